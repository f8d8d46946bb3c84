"""`kerasft predict`: texts or pictures in, labels and probabilities out, in the same order, however many there are."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from kerasft.cli.inputs import Held, Rows, choose_rows
from kerasft.cli.options import (
    ConfigArgument,
    OutputOption,
    QuietOption,
    Work,
    load_experiment,
    open_work,
)
from kerasft.cli.streams import get_direct
from kerasft.cli.tables import is_terminal
from kerasft.errors import ConfigError, DataError

EPILOG = """\b
Examples:
  kerasft predict runs/sst2 "What a film." "I want my money back."
  kerasft predict runs/sst2 --input reviews.txt --to answers.jsonl
  kerasft predict runs/sst2 --input reviews.csv --column review --format csv > answers.csv
  zcat reviews.gz | kerasft predict runs/sst2 --quiet | head
  kerasft predict runs/wnut17 "Ada Brandt flew to Lisbon." --highlight
  kerasft predict runs/wnut17 --input news.txt --highlight --to news.html
  kerasft predict runs/flowers photo.jpg
  kerasft predict runs/flowers photos/ 'more/*.png' --to answers.jsonl --draw labelled/
  find . -name '*.jpg' | kerasft predict runs/flowers > answers.jsonl

\b
A line of output:
  {"text": "What a film.", "label": "1", "probabilities": {"0": 0.01, "1": 0.99}}
  {"text": "Ada in Lisbon", "entities": [{"text": "Lisbon", "start": 7, "end": 13, "type": "place", "score": 0.97}]}
  {"image": "photo.jpg", "label": "tulips", "probabilities": {"roses": 0.01, "tulips": 0.99}}
  {"image": "notes.jpg", "error": "not a picture: a text file"}

Pictures are named by their files; a folder stands for all files in and below it. One that cannot be used does not stop
the others: its line says why, and the command ends with exit code 3. The paths of a list in a file start from that
file's folder.

An argument such as train.epochs=1 or seed=2 changes the config, as with the other commands; a text that looks like
that goes in by --input."""


_BATCHES_READ_AHEAD = 16
_WARNINGS = 20


class Format(StrEnum):
    """How predictions are written."""

    JSONL = "jsonl"
    CSV = "csv"


def predict(
    config: ConfigArgument,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT|PICTURE",
            help="Texts, or picture files, folders and globs; without any they are read from --input.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="One text or path a line, or a .csv, .tsv or .jsonl file; - is standard input, read by default when "
            "it is a pipe.",
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The file's column (name, or number from 0) or key with the text or path.  [default: text, image]",
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
    draw: Annotated[
        Path | None,
        typer.Option(
            "--draw",
            metavar="DIR",
            help="Pictures: writes a copy of each there, with label and probability below it.",
        ),
    ] = None,
    highlight: Annotated[
        bool,
        typer.Option(
            "--highlight",
            help="Entities: writes the texts with the entities marked, in colour on a terminal; as a page where --to "
            "ends in .html.",
        ),
    ] = False,
    batch_size: Annotated[
        int,
        typer.Option(
            min=1, help="Texts or pictures predicted at once; 1 answers each line of a pipe as it comes."
        ),
    ] = 64,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Labels texts or pictures, or finds the entities in texts, and says how sure that is.

    Predictions come in the order of the inputs, while they are read: a pipe without an end is fine.
    """
    from kerasft.experiment import IMAGE_TASKS, TOKEN_TASKS, ExperimentConfig

    overrides, words = split_overrides(texts or [], ExperimentConfig.model_fields)
    task = load_experiment(config, overrides, output)[0].task.type
    of_pictures = task in IMAGE_TASKS
    if highlight and task not in TOKEN_TASKS:
        raise ConfigError(
            "This run's model finds no entities: there is nothing to mark.",
            where="--highlight",
            fix="Leave it out.",
        )
    if highlight and format is not None:
        raise ConfigError(
            "Marked texts are no table.", where="--format", fix="Leave out --format, or --highlight."
        )
    if draw is not None and not of_pictures:
        raise ConfigError(
            "This run's model takes texts: there is nothing to draw on.", where="--draw", fix="Leave it out."
        )
    field: Held = "image" if of_pictures else "text"
    rows = choose_rows(words, source, column, header, field)
    if not words and source in (None, "-") and sys.stdin.isatty():
        batch_size = 1
    with open_work(config, overrides, output, quiet, results=sys.stderr) as work, _Refusals(work) as refusals:
        from kerasft.stages.predict import Predictor

        predictor = Predictor(work.run, batch_size, work.config)
        names = predictor.label_names
        if of_pictures:
            rows, look = _prepare_copies(rows, draw, names, work)
            predictions = predictor.predict(rows, batch_size, refuse=refusals.add, look=look)
        else:
            # Read ahead, texts of like length share a batch; read one by one, each is answered as it comes.
            predictions = predictor.predict(rows, batch_size * _BATCHES_READ_AHEAD if batch_size > 1 else 1)
        total = len(rows) if isinstance(rows, list) else len(words) or None
        unit = "pictures" if of_pictures else "texts"
        with open_output(to) as stream, work.progress.bar("Predicting", total, unit) as bar:
            if highlight:
                as_page = to is not None and to.suffix.lower() in (".html", ".htm")
                write_marked_texts(predictions, stream, names, as_page, bar.advance)
                return
            write_predictions(
                predictions, stream, choose_format(format, to), batch_size, bar.advance, field, names
            )


class _Refusals:
    """Tells of pictures that cannot be used as they come, and of their number at the end, by raising.

    Args:
        work: whose progress warns.
    """

    def __init__(self, work: Work):
        self._warn = work.progress.warn
        self.count, self.answered = 0, 0

    def __enter__(self) -> _Refusals:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if self.count and kind is None:
            pictures = "picture" if self.count == 1 else "pictures"
            raise DataError(
                f"{self.count:,} {pictures} could not be used; all others have their answers.",
                where="predict",
                fix="What is the matter with each stands in its line, under `error`.",
            )

    def add(self, row: Mapping[str, Any], error: DataError) -> None:
        self.count += 1
        if self.count <= _WARNINGS:
            self._warn(f"{row['image']}: {error.what}")
        if self.count == _WARNINGS:
            self._warn("Further pictures that cannot be used are told of in the answers only.")


def _prepare_copies(
    rows: Rows, folder: Path | None, label_names: Sequence[str], work: Work
) -> tuple[Rows, Callable[..., Any] | None]:
    """The pictures, and what draws a copy of each that has an answer.

    Raises:
        ConfigError: copies would be written over their sources.
    """
    if folder is None:
        return rows, None
    from kerasft.plots.answers import LabelledCopies
    from kerasft.plots.sheets import find_missing_glyphs

    rows = list(rows)
    copies = LabelledCopies(folder, [row["image"] for row in rows])
    missing = find_missing_glyphs("".join(label_names))
    if missing:
        work.progress.warn(f"No font here has {' '.join(missing[:20])}: boxes are drawn in their place.")
    return rows, lambda row, read, answer: copies.write(row["image"], read["image"], answer)


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
    field: Held = "text",
    label_names: Sequence[str] = (),
) -> None:
    """Writes predictions as they come; CSV has a column for each label's probability.

    Args:
        predictions: of texts, or of pictures, which may hold an `error` in place of an answer.
        stream: where to.
        format: how.
        flush_every: predictions.
        advance: called after each.
        field: what they are of.
        label_names: the columns of a table of pictures; of texts the first prediction says them.
    """
    table: Any = None
    for number, prediction in enumerate(predictions, 1):
        if format is Format.JSONL:
            stream.write(json.dumps(prediction, ensure_ascii=False) + "\n")
        elif "entities" in prediction:
            if table is None:
                table = csv.writer(stream, lineterminator="\n")
                table.writerow([field, "entities"])
            table.writerow([prediction[field], json.dumps(prediction["entities"], ensure_ascii=False)])
        else:
            probabilities = prediction.get("probabilities") or dict.fromkeys(label_names)
            errors = [prediction.get("error")] if field == "image" else []
            if table is None:
                table = csv.writer(stream, lineterminator="\n")
                columns = [field, "label", *(f"probability_{label}" for label in probabilities)]
                table.writerow([*columns, *(["error"] if field == "image" else [])])
            table.writerow([prediction[field], prediction.get("label"), *probabilities.values(), *errors])
        if number % flush_every == 0:
            stream.flush()
        advance()
    stream.flush()


def write_marked_texts(
    predictions: Iterable[dict[str, Any]],
    stream: TextIO,
    types: Sequence[str],
    as_page: bool,
    advance: Callable[[], None],
) -> None:
    """Writes texts with their entities marked as they come: for a terminal, or as an HTML page.

    Args:
        predictions: with `text` and `entities`.
        stream: where to.
        types: of entities.
        as_page: whether it becomes HTML.
        advance: called after each.
    """
    from kerasft.plots.highlighting import PAGE, STYLE, highlight_html, highlight_text

    coloured = is_terminal(stream)
    if as_page:
        stream.write(PAGE.format(title="Entities", style=STYLE))
    for prediction in predictions:
        text, entities = prediction["text"], prediction["entities"]
        if as_page:
            stream.write(f'<p dir="auto">{highlight_html(text, entities, types)}</p>\n')
        else:
            get_direct(stream).write(highlight_text(text, entities, types, coloured=coloured) + "\n")
            stream.flush()
        advance()
    if as_page:
        stream.write("</body></html>\n")
