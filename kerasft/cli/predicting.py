"""`kerasft predict`: texts in, labels and probabilities out, in the same order, however many there are."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TextIO

import typer

from kerasft.cli.options import ConfigArgument, OutputOption, QuietOption, open_work
from kerasft.errors import ConfigError, DataError

EPILOG = """\b
Examples:
  kerasft predict runs/sst2 "What a film." "I want my money back."
  kerasft predict runs/sst2 --input reviews.txt --to answers.jsonl
  kerasft predict runs/sst2 --input reviews.csv --column review --format csv > answers.csv
  zcat reviews.gz | kerasft predict runs/sst2 --quiet | head

A line of output: {"text": "What a film.", "label": "1", "probabilities": {"0": 0.01, "1": 0.99}}

An argument such as train.epochs=1 or seed=2 changes the config, as with the other commands; a text that looks like
that goes in by --input."""


_BATCHES_READ_AHEAD = 16


class Format(StrEnum):
    """How predictions are written."""

    JSONL = "jsonl"
    CSV = "csv"


def predict(
    config: ConfigArgument,
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="Texts; without any they are read from --input."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="One text a line, or a .csv, .tsv or .jsonl file; - is standard input, read by default when it is a "
            "pipe.",
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The file's column (name, or number from 0) or key with the text.  [default: text]",
        ),
    ] = None,
    header: Annotated[
        bool, typer.Option(help="Whether the first row of a .csv or .tsv names the columns.")
    ] = True,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="Where predictions go.  [default: standard output]"),
    ] = None,
    format: Annotated[
        Format | None, typer.Option(help="How they are written.  [default: as --to ends, else jsonl]")
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Texts predicted at once; 1 answers each line of a pipe as it comes.")
    ] = 64,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Labels texts and gives the probability of each label.

    Predictions come in the order of the texts, while they are read: a pipe without an end is fine.
    """
    from kerasft.experiment import ExperimentConfig

    overrides, texts = split_overrides(texts or [], ExperimentConfig.model_fields)
    rows = choose_rows(texts, source, column, header)
    if not texts and source in (None, "-") and sys.stdin.isatty():
        batch_size = 1
    with open_work(config, overrides, output, quiet, results=sys.stderr) as work:
        from kerasft.stages.predict import Predictor

        # Read ahead, texts of like length share a batch; read one by one, each is answered as it comes.
        window = batch_size * _BATCHES_READ_AHEAD if batch_size > 1 else 1
        predictions = Predictor(work.run, batch_size).predict(rows, window)
        with open_output(to) as stream, work.progress.bar("Predicting", len(texts) or None, "texts") as bar:
            write_predictions(predictions, stream, choose_format(format, to), batch_size, bar.advance)


def split_overrides(words: Iterable[str], sections: Iterable[str]) -> tuple[list[str], list[str]]:
    """Parts `KEY=VALUE` arguments, whose key begins with a section's name, from texts."""
    override = re.compile(rf"({'|'.join(map(re.escape, sections))})([.\[][^\s=]*)?=.*", re.DOTALL)
    overrides: list[str] = []
    texts: list[str] = []
    for word in words:
        (overrides if override.fullmatch(word) else texts).append(word)
    return overrides, texts


def choose_format(format: Format | None, to: Path | None) -> Format:
    """The format asked for, or the one that the file's name ends in."""
    return format or (Format.CSV if to and to.suffix.lower() == ".csv" else Format.JSONL)


def choose_rows(
    texts: list[str], source: str | None, column: str | None, header: bool
) -> Iterator[dict[str, str]]:
    """The texts as `{"text": …}`, read while they are consumed.

    Raises:
        ConfigError: there are none, or they come from two places.
        DataError: (while reading) a file or row cannot be read.
    """
    if texts and source:
        raise ConfigError("Texts come from the command line and from --input.", fix="Give them in one place.")
    if texts:
        return ({"text": text} for text in texts)
    if source is None and sys.stdin.isatty():
        raise ConfigError(
            "There are no texts.",
            where="predict",
            fix='Give them as "…" arguments, by --input FILE, or by a pipe.',
        )
    if source in (None, "-"):
        return read_lines(sys.stdin.buffer, "standard input")
    path = Path(source)
    if not path.is_file():
        raise DataError("There is no such file.", where=source)
    if path.suffix.lower() in (".csv", ".tsv", ".jsonl"):
        return read_table(path, column, header)
    return read_text_file(path)


def read_text_file(path: Path) -> Iterator[dict[str, str]]:
    with open(path, "rb") as stream:
        yield from read_lines(stream, str(path))


def read_lines(stream: BinaryIO, name: str) -> Iterator[dict[str, str]]:
    """One text a line, an empty one where the line is empty: answers keep their line's number.

    Raises:
        DataError: a line is no UTF-8, or so long that it is no text.
    """
    from kerasft.data.sources.lines import MAX_LINE_BYTES

    for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE_BYTES + 1), b""), 1):
        if len(line) > MAX_LINE_BYTES:
            raise DataError(
                f"The line has more than {MAX_LINE_BYTES >> 20} MiB.",
                where=f"{name}:{number}",
                fix="Put one text on a line; --column reads tables.",
            )
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        try:
            yield {"text": line.decode("utf-8").rstrip("\r\n")}
        except UnicodeDecodeError as error:
            raise DataError(
                f"Byte 0x{line[error.start]:02X} is not UTF-8.",
                where=f"{name}:{number}",
                fix="Convert it to UTF-8.",
            ) from None


def read_table(path: Path, column: str | None, header: bool) -> Iterator[dict[str, str]]:
    """The texts of a CSV, TSV or JSON lines file, read as in training; a row that cannot be read ends it."""
    from kerasft.data.config import CsvSource, JsonLinesSource
    from kerasft.data.fields import Field
    from kerasft.data.sources import SourceFile, read_rows

    place: Any = column or ("text" if header else 0)
    suffix = path.suffix.lower()
    config: CsvSource | JsonLinesSource
    if suffix == ".jsonl":
        config = JsonLinesSource(format="jsonl", path=str(path), columns={"text": place})
    else:
        if isinstance(place, str) and place.isdecimal():
            place = int(place)
        delimiter = "\t" if suffix == ".tsv" else ","
        config = CsvSource(
            format="csv", path=str(path), delimiter=delimiter, header=header, columns={"text": place}
        )
    for batch in read_rows(SourceFile(path, str(path)), config, [Field("text", "text")]):
        if batch.rejects:
            reject = batch.rejects[0]
            detail = f": {reject.detail}" if reject.detail else ""
            raise DataError(
                f"{reject.reason}{detail}", where=f"{path}:{reject.row}", fix=f"It reads: {reject.content}"
            )
        for row, (text,) in zip(batch.rows, batch.values, strict=True):
            if not isinstance(text, str):
                raise DataError(f"The text is {json.dumps(text)}, not a string.", where=f"{path}:{row}")
            yield {"text": text}


@contextmanager
def open_output(to: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that is there whole or not at all."""
    if to is None:
        yield sys.stdout
        return
    from kerasft.files import whole_file

    with whole_file(to) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        yield stream


def write_predictions(
    predictions: Iterable[dict[str, Any]],
    stream: TextIO,
    format: Format,
    flush_every: int,
    advance: Callable[[], None],
) -> None:
    """Writes predictions as they come; CSV has a column for each label's probability."""
    table: Any = None
    for number, prediction in enumerate(predictions, 1):
        if format is Format.JSONL:
            stream.write(json.dumps(prediction, ensure_ascii=False) + "\n")
        else:
            probabilities = prediction["probabilities"]
            if table is None:
                table = csv.writer(stream, lineterminator="\n")
                table.writerow(["text", "label", *(f"probability_{label}" for label in probabilities)])
            table.writerow([prediction["text"], prediction["label"], *probabilities.values()])
        if number % flush_every == 0:
            stream.flush()
        advance()
    stream.flush()
