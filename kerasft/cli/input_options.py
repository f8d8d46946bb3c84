"""Options of the commands that ask a trained model: where the inputs come from, and where the answers go."""

from __future__ import annotations

from typing import Annotated, Any

import typer

HeaderOption = Annotated[
    bool, typer.Option(help="Whether the first row of a .csv or .tsv contains the column names.")
]
EncodingOption = Annotated[
    str,
    typer.Option(metavar="NAME", help="Character encoding of --input: utf-8, latin-1, cp1252, gb18030, …"),
]


def make_source_option(lines: str) -> Any:
    """`--input`.

    Args:
        lines: what a file that is no table holds.
    """
    return typer.Option(
        "--input",
        "-i",
        metavar="FILE",
        help=f"A file with {lines}, or a .csv, .tsv or .jsonl file. - is standard input, which is the default if it "
        "is a pipe.",
    )


def make_column_option(inputs: str, default: str) -> Any:
    """`--column`.

    Args:
        inputs: what is in the column, and how several are named.
        default: its name where none is given.
    """
    return typer.Option(
        "--column",
        metavar="NAME",
        help=f"Column (name, or number from 0) or JSON key of {inputs}  [default: {default}]",
    )


def make_answer_option(answers: str) -> Any:
    """`--to`, the file for the answers."""
    return typer.Option("--to", metavar="FILE", help=f"File for {answers}.  [default: standard output]")
