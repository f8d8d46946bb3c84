"""`python -m kerasft`: the same as the command `kerasft`."""

from __future__ import annotations

import sys

from kerasft.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
