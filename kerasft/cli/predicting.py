"""`kerasft predict`: answers texts, pictures or rows of a table, in order, however many there are."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Iterable, Sequence
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
from kerasft.cli.asked import Asked
from kerasft.cli.input_rows import Kinds, Rows, Source, name_inputs
from kerasft.cli.input_tables import list_columns
from kerasft.cli.inputs import choose_rows
from kerasft.cli.options import (
    ConfigArgument,
    OutputOption,
    QuietOption,
    Work,
    load_experiment,
    open_work,
)
from kerasft.errors import ConfigError

if TYPE_CHECKING:
    from kerasft.experiment import ExperimentConfig
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


_BATCHES_READ_AHEAD = 16


def predict(
    config: ConfigArgument,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT|PICTURE",
            help="Texts, or picture files, folders and globs; JSON objects for a model with several inputs. Without "
            "them, inputs are read from --input.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="A file with one text or path a line (for a model with several inputs: one JSON object a line), or a "
            ".csv, .tsv or .jsonl file. - is standard input, which is the default if it is a pipe.",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="NAME",
            help="Column (name, or number from 0) or JSON key of the input. For a model with several inputs: "
            "INPUT=NAME, once for each input.  [default: the name of the input: text, image]",
        ),
    ] = None,
    header: Annotated[
        bool, typer.Option(help="Whether the first row of a .csv or .tsv contains the column names.")
    ] = True,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="File for the predictions.  [default: standard output]"),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(help="Format of the predictions.  [default: by the ending of --to, else jsonl]"),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(
            "--draw",
            metavar="DIR",
            help="For pictures: a folder for copies with the answer drawn on or below them.",
        ),
    ] = None,
    highlight: Annotated[
        bool,
        typer.Option(
            "--highlight",
            help="For texts: writes the texts with their entities highlighted, in colour on a terminal; an HTML page "
            "if --to ends in .html.",
        ),
    ] = False,
    encoding: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Character encoding of --input: utf-8, latin-1, cp1252, gb18030, …"
        ),
    ] = "utf-8",
    skip_errors: Annotated[
        bool,
        typer.Option(
            "--skip-errors",
            help="Leaves inputs that cannot be used out of the output, instead of writing an `error`.",
        ),
    ] = False,
    batch_size: Annotated[
        int,
        typer.Option(min=1, help="Rows per batch; with 1, each line of a pipe is answered at once."),
    ] = 64,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Predicts with a trained model: for texts, pictures, or other inputs of its task.

    Writes predictions in the order of the inputs, while it reads them, so the input can be an endless pipe.
    """
    from kerasft.data.kinds import load_kind

    overrides, words, experiment = load_trained_experiment(config, inputs or [], output)
    _check_options(experiment, format, draw, highlight)
    kinds = {field.name: load_kind(field) for field in experiment.task.inputs}
    given = Source(source, columns or (), header, encoding)
    rows = choose_rows(words, given, kinds)
    is_table = choose_format(format, to) is Format.CSV and not highlight
    others = list_columns(given, kinds) if is_table and given.is_table else []
    if given.is_table:  # a column that is not there is told before TensorFlow is loaded
        rows = iter(rows)
        rows = itertools.chain(list(itertools.islice(rows, 1)), rows)
    if not words and source in (None, "-") and sys.stdin.isatty():
        batch_size = 1
    with open_work(config, overrides, output, quiet, results=sys.stderr, is_owner=False) as work:
        from kerasft.stages.predict import Predictor

        predictor = Predictor(work.run, batch_size, work.config)
        display = predictor.display
        rows, look = _prepare_copies(rows, draw, display, kinds, work)
        # of texts read ahead, those of like length share a batch; read one by one, each is answered as it comes
        names_files = any(kind.is_file for kind in kinds.values())
        ahead = batch_size if names_files or batch_size == 1 else batch_size * _BATCHES_READ_AHEAD
        asked = Asked(rows, kinds, work, skip_errors)
        predictions = predictor.predict(asked.feed(), ahead, refuse=lambda row, error: None, look=look)
        total = len(rows) if isinstance(rows, list) else None
        remarks = [*["note"] * any(kind.may_have_note for kind in kinds.values()), "error"]
        with open_output(to) as stream, work.progress.bar("Predicting", total, name_inputs(kinds)) as bar:
            writer: Writer
            if highlight:
                as_page = to is not None and to.suffix.lower() in (".html", ".htm")
                writer = MarkedTextWriter(stream, 1, bar.advance, display=display, as_page=as_page)
            elif is_table:
                writer = CsvWriter(
                    stream,
                    batch_size,
                    bar.advance,
                    inputs=list(kinds),
                    display=display,
                    remarks=remarks,
                    others=others,
                )
            else:
                keys = [*kinds, *experiment.task.answer_keys, *remarks]
                writer = JsonLinesWriter(stream, batch_size, bar.advance, keys=keys)
            writer.write_all(asked.collect(predictions))
    asked.raise_refusals()


def load_trained_experiment(
    config: Path, words: list[str], output: Path | None
) -> tuple[list[str], list[str], ExperimentConfig]:
    """(arguments that change the config, those that are inputs, the config) of a model that is trained.

    Raises:
        ConfigError: an argument changes what the trained model does not depend on.
    """
    from kerasft.experiment import ExperimentConfig

    overrides, words = split_overrides(words, ExperimentConfig.model_fields)
    experiment = load_experiment(config, overrides, output)[0]
    if own := type(experiment).model_fields.keys() - ExperimentConfig.model_fields.keys():
        of_task, words = split_overrides(words, own)
        overrides += of_task
    _check_overrides(overrides, experiment)
    return overrides, words, experiment


def _check_overrides(overrides: Sequence[str], experiment: ExperimentConfig) -> None:
    """Refuses to change what a model that is trained does not depend on any more.

    Raises:
        ConfigError: an argument says so.
    """
    free = [f"task.{key}" for key in ("type", *experiment.task.after_training)]
    # what these say is compared with what was trained
    sections = ("task", "model", "name", *experiment.own_sections)
    for override in overrides:
        key = override.partition("=")[0]
        if re.split(r"[.\[]", key)[0] not in sections:
            raise ConfigError(
                f"the model is trained already, and {key} does not change its answers",
                where=f"override {override}",
                fix=f"Leave it out; what can be changed is {', '.join(free)}. To predict it as a text, put it into "
                "a file, and use --input.",
            )


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


def _prepare_copies(
    rows: Rows, folder: Path | None, display: Display, kinds: Kinds, work: Work
) -> tuple[Rows, Callable[..., Any] | None]:
    """The rows, and what draws a copy of each picture that has an answer.

    Raises:
        ConfigError: copies would be written over their sources.
    """
    if folder is None:
        return rows, None
    from kerasft.plots.drawn_copies import DrawnCopies
    from kerasft.plots.sheets import find_missing_glyphs

    rows, name = list(rows), next(name for name, kind in kinds.items() if kind.is_file)
    copies = DrawnCopies(folder, [row.values[name] for row in rows if row.values], display.draw)
    missing = find_missing_glyphs("".join(display.label_names))
    if missing:
        work.progress.warn(f"No font here has {' '.join(missing[:20])}: boxes are drawn instead.")
    return rows, lambda row, read, answer: copies.write(row[name], read[name], answer)


def split_overrides(words: Iterable[str], sections: Iterable[str]) -> tuple[list[str], list[str]]:
    """Parts `KEY=VALUE` arguments, whose key begins with a section's name, from texts."""
    override = re.compile(rf"({'|'.join(map(re.escape, sections))})([.\[][^\s=]*)?=.*", re.DOTALL)
    overrides: list[str] = []
    texts: list[str] = []
    for word in words:
        (overrides if override.fullmatch(word) else texts).append(word)
    return overrides, texts
