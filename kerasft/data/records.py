"""JSON that kerasft wrote into a run folder, read back as a file that may have been damaged since."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

MAX_BYTES = 256 << 20


def read_record(path: Path) -> dict[str, Any]:
    """The JSON object of a file.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it is no plain file, too large, or no JSON object.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no file")
    if status.st_size > MAX_BYTES:
        raise ValueError(f"it has {status.st_size:,} bytes, and may have {MAX_BYTES:,}")
    try:
        value = json.loads(path.read_bytes())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value
