"""`kerasft check`: compares every file of a run with its recorded hash."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kerasft.cli.options import QuietOption
from kerasft.cli.tables import print_table
from kerasft.errors import DamagedError
from kerasft.printable import make_line

if TYPE_CHECKING:
    from kerasft.stages.check import Part

EPILOG = """\b
Examples:
  kerasft check runs/sst2
  kerasft check runs/sst2/export/1
  kerasft check served/1 --quiet && echo whole

Compares each file with the SHA-256 that was recorded when it was written (hashes.json, in the run folder and in each
folder that can be copied on its own). Names each damaged file and the command that rebuilds it. Counts files without
a record: your own files, and all files of runs by old versions. Writes nothing.

Exit codes: 0 nothing is damaged, 2 no such folder, 9 a file is damaged, or a required file is missing."""

_SHOWN = 10


def check(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run folder, or one of its presets, datasets or exports.")
    ],
    quiet: QuietOption = False,
) -> None:
    """Compares every file of a run with the hash that was recorded when it was written."""
    from kerasft.stages.check import advise
    from kerasft.stages.check import check as check_files

    found = check_files(folder)
    if not quiet:
        rows = [[part.name, part.files, part.size_bytes, _describe(part)] for part in found.parts]
        print_table(sys.stdout, f"Files of {folder}", ["part", "whole files", "bytes", "state"], rows)
        for name in [name for part in found.parts for name in part.missing][:_SHOWN]:
            print(f"{make_line(name)} no longer exists; nothing depends on it.")
        for name in [name for part in found.parts for name in part.unrecorded][:_SHOWN]:
            print(f"{make_line(name)} is not recorded.")
        if not found.is_recorded:
            print(
                "This run was made by a version of kerasft that recorded no hashes: "
                "only its checkpoints can be checked."
            )
    for name, damage in found.damaged.items():
        print(make_line(f"{name}: {damage}. {advise(folder, name)}"))
    if found.damaged:
        count = len(found.damaged)
        raise DamagedError(
            f"{count:,} {'file is' if count == 1 else 'files are'} not as written: {', '.join(list(found.damaged)[:3])}"
            + (", …" if count > 3 else ""),
            where=str(folder),
            fix="The line of each file says what to do.",
        )


def _describe(part: Part) -> str:
    parts = [
        f"{len(names):,} {state}"
        for names, state in (
            (part.damaged, "damaged"),
            (part.missing, "removed"),
            (part.unrecorded, "not recorded"),
        )
        if names
    ]
    return ", ".join(parts) or "whole"
