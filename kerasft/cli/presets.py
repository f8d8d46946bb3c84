"""`kerasft presets`: lists pre-trained models, and downloads one into a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kerasft.cli.environment import prepare_environment
from kerasft.cli.failures import guarded
from kerasft.cli.options import QuietOption, check_destination
from kerasft.cli.progress import open_progress
from kerasft.cli.tables import print_table

presets_app = typer.Typer(
    help="Lists and downloads pre-trained models.", no_args_is_help=True, rich_markup_mode=None
)


@presets_app.command(
    "list",
    epilog="""\b
Examples:
  kerasft presets list
  kerasft presets list bert_
  kerasft presets list --cached

Besides these, model.preset takes hf://owner/name, kaggle://…, modelscope://…, a local folder, and
package:module/folder.""",
)
@guarded
def list_command(
    search: Annotated[
        str, typer.Argument(metavar="WORD", help="Lists only names and descriptions that contain this text.")
    ] = "",
    cached: Annotated[
        bool, typer.Option("--cached", help="Lists only presets that need no network.")
    ] = False,
) -> None:
    """Lists known values of `model.preset`: size, licence, and whether it is on this machine."""
    prepare_environment()
    from kerasft.models.fetching import list_presets

    rows = [
        row
        for row in list_presets()
        if search.lower() in f"{row.name} {row.description}".lower() and (row.cached or not cached)
    ]
    columns = ["name", "parameters", "MB", "licence", "cached", "description"]
    cells = [
        [row.name, row.parameters, round(row.size_mb), row.licence, row.cached, row.description]
        for row in rows
    ]
    print_table(sys.stdout, f"{len(rows)} presets", columns, cells)


@presets_app.command(
    "fetch",
    epilog="""\b
Examples:
  kerasft presets fetch bert_tiny_en_uncased --to presets/bert_tiny
  kerasft run reviews.yaml model.preset=./presets/bert_tiny""",
)
@guarded
def fetch_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A value of `model.preset`.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to write.")],
    quiet: QuietOption = False,
) -> None:
    """Copies a complete preset into a folder, for example for a machine without a network."""
    check_destination(to, "--to")
    prepare_environment()
    from kerasft.models.fetching import fetch_preset

    with open_progress(quiet) as progress:
        print(fetch_preset(name, to, progress))
