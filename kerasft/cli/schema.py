"""`kerasft schema`: prints the config's JSON Schema, which editors use for completion and checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  kerasft schema
  kerasft schema --to kerasft.schema.json

\b
VS Code with its YAML extension (and others with yaml-language-server) completes, explains and checks the keys of a
config that begins with
  # yaml-language-server: $schema=kerasft.schema.json"""


def schema(
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Where it goes.  [default: standard output]")
    ] = None,
) -> None:
    """Prints the config's JSON Schema, for editors."""
    from kerasft.experiment import build_json_schema

    text = json.dumps(build_json_schema(), indent=2, ensure_ascii=False) + "\n"
    if to is None:
        print(text, end="")
        return
    from kerasft.files import write_text

    write_text(to, text)
