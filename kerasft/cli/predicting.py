"""`kerasft predict`: texts or pictures in, labels and probabilities out, in the same order, however many there are."""

from __future__ import annotations

import collections
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerasft.cli.answers import (
    CsvWriter,
    Format,
    JsonLinesWriter,
    MarkedTextWriter,
    Writer,
    choose_format,
    open_output,
)
from kerasft.cli.inputs import Held, Row, Rows, Source, choose_rows, list_columns
from kerasft.cli.options import (
    ConfigArgument,
    OutputOption,
    QuietOption,
    Work,
    load_experiment,
    open_work,
)
from kerasft.errors import ConfigError, RefusedInputs

if TYPE_CHECKING:
    from kerasft.tasks.config import TaskConfig

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
  {"text": " ", "label": "0", "probabilities": {"0": 0.6, "1": 0.4}, "note": "blank text"}

A row that cannot be read or used does not stop the others: its answer says why under `error`, and the command ends
with exit code 10. A blank text has a `note`. A table's other columns stand behind the answer; one named like a key of
the answer is called input_NAME.

In CSV, text that a spreadsheet would take for a formula (=, +, -, @ first) begins with an apostrophe; numbers and JSON
lines stay as they are.

Pictures are named by their files; a folder stands for all files in and below it. The paths of a list in a file start
from that file's folder.

An argument such as train.epochs=1 or seed=2 changes the config, as with the other commands; a text that looks like
that goes in by --input."""


_BATCHES_READ_AHEAD = 16
_WARNINGS = 20
_NOUNS = {"text": "text", "image": "picture"}


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
    encoding: Annotated[
        str,
        typer.Option(metavar="NAME", help="Of the characters in --input: utf-8, latin-1, cp1252, gb18030, …"),
    ] = "utf-8",
    skip_errors: Annotated[
        bool,
        typer.Option(
            "--skip-errors", help="Leaves what cannot be used out of the output, instead of an `error` there."
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
    from kerasft.experiment import ExperimentConfig

    overrides, words = split_overrides(texts or [], ExperimentConfig.model_fields)
    experiment = load_experiment(config, overrides, output)[0]
    if own := type(experiment).model_fields.keys() - ExperimentConfig.model_fields.keys():
        of_task, words = split_overrides(words, own)
        overrides += of_task
    task = experiment.task
    _check_options(task, format, draw, highlight)
    held: Held = "image" if task.inputs[0].name == "image" else "text"
    given = Source(source, column, header, encoding)
    rows = choose_rows(words, given, held)
    chosen = choose_format(format, to)
    others = list_columns(given, held) if chosen is Format.CSV and not highlight and given.is_table else []
    if not words and source in (None, "-") and sys.stdin.isatty():
        batch_size = 1
    with open_work(config, overrides, output, quiet, results=sys.stderr, is_owner=False) as work:
        from kerasft.stages.predict import Predictor

        predictor = Predictor(work.run, batch_size, work.config)
        names = predictor.label_names
        rows, look = _prepare_copies(rows, draw, names, work)
        # Texts read ahead, those of like length share a batch; read one by one, each is answered as it comes.
        ahead = batch_size * _BATCHES_READ_AHEAD if held == "text" and batch_size > 1 else batch_size
        asked = _Asked(rows, held, work, skip_errors)
        predictions = predictor.predict(asked.feed(), ahead, refuse=lambda row, error: None, look=look)
        total = len(rows) if isinstance(rows, list) else None
        with open_output(to) as stream, work.progress.bar("Predicting", total, f"{_NOUNS[held]}s") as bar:
            keys = _list_keys(held, task)
            writer: Writer
            if highlight:
                as_page = to is not None and to.suffix.lower() in (".html", ".htm")
                writer = MarkedTextWriter(stream, 1, bar.advance, types=names, as_page=as_page)
            elif chosen is Format.CSV:
                writer = CsvWriter(
                    stream, batch_size, bar.advance, keys=keys, label_names=names, others=others
                )
            else:
                writer = JsonLinesWriter(stream, batch_size, bar.advance, keys=keys)
            writer.write_all(asked.collect(predictions))
    asked.raise_refusals()


def _check_options(task: TaskConfig, format: Format | None, draw: Path | None, highlight: bool) -> None:
    """Raises a ConfigError where options do not suit the task, or each other."""
    if highlight and "entities" not in task.answer_keys:
        raise ConfigError(
            "This run's model finds no entities: there is nothing to mark.",
            where="--highlight",
            fix="Leave it out.",
        )
    if highlight and format is not None:
        raise ConfigError(
            "Marked texts are no table.", where="--format", fix="Leave out --format, or --highlight."
        )
    if draw is not None and task.inputs[0].name != "image":
        raise ConfigError(
            "This run's model takes texts: there is nothing to draw on.", where="--draw", fix="Leave it out."
        )


def _list_keys(held: Held, task: TaskConfig) -> list[str]:
    """The keys that an answer may have, in their order."""
    return [held, *task.answer_keys, *(["note"] if held == "text" else []), "error"]


class _Asked:
    """What was asked, in its order: puts each answer beside its row, and tells of rows that cannot be used.

    Args:
        rows: texts or pictures.
        held: which.
        work: whose progress warns.
        skip_errors: leaves rows without an answer out.
    """

    def __init__(self, rows: Rows, held: Held, work: Work, skip_errors: bool):
        self._rows, self._held, self._skip = rows, held, skip_errors
        self._warn = work.progress.warn
        self._waiting: collections.deque[Row] = collections.deque()
        self.count, self.refused, self.blank = 0, 0, 0

    def feed(self) -> Iterator[dict[str, Any]]:
        """The rows as a `Predictor` takes them."""
        for row in self._rows:
            self._waiting.append(row)
            yield {self._held: row.value}

    def collect(
        self, predictions: Iterable[Mapping[str, Any]]
    ) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """(answer, other columns) of each row; an answer holds an `error` where the row cannot be used."""
        from kerasft.data.kinds.fields import INVISIBLE

        for prediction in predictions:
            row = self._waiting.popleft()
            self.count += 1
            answer = dict(prediction)
            if "error" in answer:
                if row.problem:
                    answer["error"] = row.problem
                self._tell(row, answer["error"])
                if not self._skip:
                    yield answer, row.columns
                continue
            if self._held == "text" and not row.value.strip(INVISIBLE):
                self.blank += 1
                answer["note"] = "blank text"
            yield answer, row.columns
        if self.blank:
            texts = "1 text is" if self.blank == 1 else f"{self.blank:,} texts are"
            self._warn(f"{texts} blank: what the model says of nothing stands there, with a note.")

    def _tell(self, row: Row, error: str) -> None:
        self.refused += 1
        if self.refused <= _WARNINGS:
            self._warn(
                ": ".join(filter(None, (row.where, row.value if self._held == "image" else "", error)))
            )
        if self.refused == _WARNINGS:
            self._warn(f"Further {_NOUNS[self._held]}s that cannot be used are told of in the answers only.")

    def raise_refusals(self) -> None:
        """Raises `RefusedInputs` where some rows have no answer."""
        if not self.refused:
            return
        some = f"{self.refused:,} of {self.count:,} {_NOUNS[self._held]}{'s' * (self.count > 1)}"
        left = (
            "They were left out."
            if self._skip
            else "What is the matter stands under `error` in their answers."
        )
        raise RefusedInputs(
            f"{some} could not be used"
            + ("; all others have their answers." if self.refused < self.count else "."),
            where="predict",
            fix=left,
        )


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
    copies = LabelledCopies(folder, [row.value for row in rows if row.value is not None])
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
