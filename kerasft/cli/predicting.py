"""`kerasft predict`: answers texts, pictures or rows of a table, in order, however many there are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

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
from kerasft.cli.asked import Asked
from kerasft.cli.input_options import (
    EncodingOption,
    HeaderOption,
    make_answer_option,
    make_column_option,
    make_source_option,
)
from kerasft.cli.input_rows import Kinds, Row, Source, name_inputs
from kerasft.cli.input_tables import list_columns
from kerasft.cli.inputs import choose_rows, is_typed
from kerasft.cli.options import (
    ConfigArgument,
    OutputOption,
    QuietOption,
    Work,
    open_work,
)
from kerasft.cli.trained import load_trained_experiment
from kerasft.errors import ConfigError

if TYPE_CHECKING:
    from kerasft.experiment import ExperimentConfig
    from kerasft.plots.drawn_copies import DrawnCopies
    from kerasft.tasks.display import Display

EPILOG = """\b
Examples:
  kerasft predict runs/sst2 "What a film." "I want my money back."
  kerasft predict runs/sst2 --input reviews.txt --to answers.jsonl
  kerasft predict runs/sst2 --input reviews.csv --column review --format csv > answers.csv
  zcat reviews.gz | kerasft predict runs/sst2 --quiet | head
  kerasft predict runs/wnut17 "Ada Brandt flew to Lisbon." --highlight
  kerasft predict runs/wnut17 --input news.txt --highlight --to news.html
  kerasft predict pairs.yaml '{"first": "A dog runs.", "second": "A dog is running."}'
  kerasft predict pairs.yaml --input pairs.csv --column first=a --column second=b --format csv
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

A row that cannot be used does not stop the command: its answer gives the reason under `error`, and the command ends
with exit code 10. A blank text has a `note`. The other columns of a table follow the answer. If a column
has the same name as a key of the answer, it becomes input_NAME.

In CSV, text that a spreadsheet would read as a formula (=, +, -, @ first) begins with an apostrophe; numbers and JSON
lines stay as they are.

Name pictures by their files; a folder means all files in it and its subfolders. In a list of paths, relative paths
start from the folder of the list.

As with the other commands, an argument such as task.type=NAME changes the config; keys that cannot change a trained
model, such as seed=2, are refused. To predict a text that looks like KEY=VALUE, put it into a file and use --input."""

InputsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TEXT|PICTURE",
        help="Texts, or picture files, folders and globs; JSON objects for a model with several inputs. Without "
        "them, inputs are read from --input.",
    ),
]
SourceOption = Annotated[
    str | None,
    make_source_option("one text or path a line (for a model with several inputs: one JSON object a line)"),
]
ColumnsOption = Annotated[
    list[str] | None,
    make_column_option(
        "the input. For a model with several inputs: INPUT=NAME, once for each input.",
        "the name of the input: text, image",
    ),
]
FormatOption = Annotated[
    Format | None,
    typer.Option(help="Format of the predictions.  [default: by the ending of --to, else jsonl]"),
]
DrawOption = Annotated[
    Path | None,
    typer.Option(
        "--draw",
        metavar="DIR",
        help="For pictures: a folder for copies with the answer drawn on or below them.",
    ),
]
HighlightOption = Annotated[
    bool,
    typer.Option(
        "--highlight",
        help="For texts: writes the texts with their entities highlighted, in colour on a terminal; an HTML page "
        "if --to ends in .html.",
    ),
]
SkipErrorsOption = Annotated[
    bool,
    typer.Option(
        "--skip-errors",
        help="Leaves inputs that cannot be used out of the output, instead of writing an `error`.",
    ),
]
BatchSizeOption = Annotated[
    int, typer.Option(min=1, help="Rows per batch; with 1, each line of a pipe is answered at once.")
]
_BATCHES_READ_AHEAD = 16


def predict(
    config: ConfigArgument,
    inputs: InputsArgument = None,
    source: SourceOption = None,
    columns: ColumnsOption = None,
    header: HeaderOption = True,
    to: Annotated[Path | None, make_answer_option("the predictions")] = None,
    format: FormatOption = None,
    draw: DrawOption = None,
    highlight: HighlightOption = False,
    encoding: EncodingOption = "utf-8",
    skip_errors: SkipErrorsOption = False,
    batch_size: BatchSizeOption = 64,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Predicts with a trained model: for texts, pictures, or other inputs of its task.

    Writes predictions in the order of the inputs, while it reads them, so the input can be an endless pipe.
    """
    from kerasft.data.kinds import load_kind

    # whatever of the arguments cannot be used is told before TensorFlow is loaded
    overrides, words, experiment = load_trained_experiment(config, inputs or [], output)
    _check_options(experiment, format, draw, highlight)
    kinds = {field.name: load_kind(field) for field in experiment.task.inputs}
    given = Source(source, columns or (), header, encoding)
    rows = choose_rows(words, given, kinds)
    is_table = choose_format(format, to) is Format.CSV and not highlight
    others = list_columns(given, kinds) if is_table and given.is_table else []
    if draw is not None:
        rows = list(rows)
    copies = None if draw is None else _open_copies(draw, rows, kinds)
    batch_size = 1 if is_typed(words, source) else batch_size
    form = _Form(to, highlight, is_table, batch_size, kinds, experiment.task.answer_keys, others)
    with open_work(config, overrides, output, quiet, results=sys.stderr, is_owner=False) as work:
        from kerasft.stages.predict import Predictor

        predictor = Predictor(work.run, batch_size, work.config)
        # of texts read ahead, those of like length share a batch; read one by one, each is answered as it comes
        names_files = any(kind.is_file for kind in kinds.values())
        ahead = batch_size if names_files or batch_size == 1 else batch_size * _BATCHES_READ_AHEAD
        asked = Asked(rows, kinds, work, skip_errors)
        look = None if copies is None else _draw_on(copies, predictor.display, kinds, work)
        predictions = predictor.predict(asked.feed(), ahead, refuse=lambda row, error: None, look=look)
        total = len(rows) if isinstance(rows, list) else None
        with open_output(to) as stream, work.progress.bar("Predicting", total, name_inputs(kinds)) as bar:
            writer = form.open_writer(stream, bar.advance, predictor.display)
            writer.write_all(asked.collect(predictions))
    asked.raise_refusals()


@dataclass(frozen=True)
class _Form:
    """How answers are written.

    Attributes:
        to: the file; None for standard output.
        is_marked: as texts with what was found in them highlighted.
        is_table: as CSV; else as JSON lines.
        batch_size: answers that come at once.
        kinds: of the inputs.
        answer_keys: those that the task's answers have.
        others: the names of the inputs' other columns, for a table.
    """

    to: Path | None
    is_marked: bool
    is_table: bool
    batch_size: int
    kinds: Kinds
    answer_keys: Sequence[str]
    others: Sequence[str]

    def open_writer(self, stream: TextIO, advance: Callable[[], Any], display: Display) -> Writer:
        """What writes so to a stream; `advance` is called after each answer."""
        if self.is_marked:
            as_page = self.to is not None and self.to.suffix.lower() in (".html", ".htm")
            return MarkedTextWriter(stream, 1, advance, display=display, as_page=as_page)
        inputs = list(self.kinds)
        remarks = [*["note"] * any(kind.may_have_note for kind in self.kinds.values()), "error"]
        if self.is_table:
            return CsvWriter(
                stream,
                self.batch_size,
                advance,
                inputs=inputs,
                display=display,
                remarks=remarks,
                others=self.others,
            )
        keys = [*inputs, *self.answer_keys, *remarks]
        return JsonLinesWriter(stream, self.batch_size, advance, keys=keys)


def _check_options(
    experiment: ExperimentConfig, format: Format | None, draw: Path | None, highlight: bool
) -> None:
    """Raises a ConfigError where options do not suit the task, or each other."""
    if not highlight and draw is None:
        return
    from kerasft.data.kinds import load_kind
    from kerasft.tasks import load_display

    display = load_display(experiment.task.type)(experiment.task)
    if highlight and not display.can_mark:
        raise ConfigError(
            "This run's model has nothing to highlight in texts.",
            where="--highlight",
            fix="Leave it out.",
        )
    if highlight and format is not None:
        raise ConfigError(
            "Highlighted texts cannot be written as a table.",
            where="--format",
            fix="Leave out --format, or --highlight.",
        )
    has_files = any(load_kind(field).is_file for field in experiment.task.inputs)
    if draw is not None and not (display.can_draw and has_files):
        raise ConfigError(
            "This run's model has nothing to draw on pictures.",
            where="--draw",
            fix="Leave it out.",
        )


def _open_copies(folder: Path, rows: Iterable[Row], kinds: Kinds) -> DrawnCopies:
    """Where a copy of each picture that has an answer will go.

    Raises:
        ConfigError: copies would be written over their sources, or over other files.
    """
    from kerasft.plots.drawn_copies import DrawnCopies

    names = [name for name, kind in kinds.items() if kind.is_file]
    return DrawnCopies(folder, [row.values[name] for row in rows if row.values for name in names])


def _draw_on(copies: DrawnCopies, display: Display, kinds: Kinds, work: Work) -> Callable[..., None]:
    """What draws a row's answer on a copy of each of its pictures; see `Predictor.predict`."""
    from kerasft.plots.sheets import find_missing_glyphs

    missing = find_missing_glyphs("".join(display.label_names))
    if missing:
        work.progress.warn(f"No font here has {' '.join(missing[:20])}: boxes are drawn instead.")
    names = [name for name, kind in kinds.items() if kind.is_file]

    def draw(row: Mapping[str, Any], read: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        for name in names:
            copies.write(row[name], read[name], answer, display.draw)

    return draw
