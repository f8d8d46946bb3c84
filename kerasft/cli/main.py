"""The command `kerasft`, with one subcommand for each stage. TensorFlow is imported only when a command needs it."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from kerasft import __version__
from kerasft.cli.checking import EPILOG as CHECK_EPILOG
from kerasft.cli.checking import check
from kerasft.cli.comparing import EPILOG as COMPARE_EPILOG
from kerasft.cli.comparing import compare
from kerasft.cli.failures import INTERRUPTED, SHOW_TRACEBACKS, TERMINATED, end_with, guarded
from kerasft.cli.generating import EPILOG as GENERATE_EPILOG
from kerasft.cli.generating import generate
from kerasft.cli.options import (
    ConfigArgument,
    OutputOption,
    OverridesArgument,
    QuietOption,
    RestartOption,
    YesOption,
    check_destination,
    confirm_restart,
    open_work,
    print_results,
)
from kerasft.cli.predicting import EPILOG as PREDICT_EPILOG
from kerasft.cli.predicting import predict
from kerasft.cli.presets import presets_app
from kerasft.cli.samples import samples_app
from kerasft.cli.schema import EPILOG as SCHEMA_EPILOG
from kerasft.cli.schema import schema
from kerasft.cli.streams import standard_streams

_HELP = """From raw data to a served model, in Keras.

One YAML file describes an experiment, one run folder contains all its results, and each step is a command.

\b
  kerasft pretrain corpus.yaml                   a net that has learned from raw text, written as a preset
  kerasft run sst2.yaml                          all stages that the config asks for; skips finished ones
  kerasft run sst2.yaml train.epochs=1           the same, with one value changed
  kerasft predict runs/sst2 "What a film."       a label and its probabilities
  kerasft generate runs/books "Once upon a time" a text that a language model writes
  kerasft export sst2.yaml --to served/1         a SavedModel that takes texts or image files
"""
_EPILOG = """\b
A first config:
  name: reviews
  task: {type: text_classification}
  data:
    train: {format: csv, path: reviews.csv, columns: {text: review, label: stars}}
  model: {preset: bert_tiny_en_uncased}
  export: {formats: [saved_model]}

\b
KEY=VALUE changes it on the command line:
  train.optimizer.learning_rate=3e-5
  evaluate.splits='[test]'
  train.optimizer='{type: gradient_descent, learning_rate: 0.05, momentum: 0.9}'

Exit codes: 0 done, 2 config or arguments, 3 data, 4 preset, 5 training, 6 export, 7 storage, 8 run folder in use,
9 a damaged file, 10 predict, generate: some inputs could not be used, 70 a bug in kerasft, 130 stopped by Ctrl-C,
141 the output was closed, 143 stopped by SIGTERM."""

app = typer.Typer(
    name="kerasft",
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"kerasft {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Shows the version.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Shows the traceback of an error, too.")
    ] = False,
) -> None:
    if traceback:
        os.environ[SHOW_TRACEBACKS] = "1"


def _find_stage(module: str, verb: str) -> Callable[..., Any]:
    return getattr(importlib.import_module(f"kerasft.stages.{module}"), verb)


def _add_stage(verb: str, explanation: str, *examples: str, is_owner: bool = True) -> None:
    """Makes a command of `kerasft.stages.pipeline.<verb>(config, run, progress)`; see `open_work` for `is_owner`."""

    def command(
        config: ConfigArgument,
        overrides: OverridesArgument = None,
        output: OutputOption = None,
        quiet: QuietOption = False,
    ) -> None:
        with open_work(config, overrides, output, quiet, is_owner=is_owner) as work:
            _find_stage("pipeline", verb)(work.config, work.run, work.progress)

    _register(verb, command, explanation, examples)


def _add_training(verb: str, explanation: str, *examples: str) -> None:
    """Makes a command of `kerasft.stages.pipeline.<verb>`, which goes on where it was cut off, or begins afresh."""

    def command(
        config: ConfigArgument,
        overrides: OverridesArgument = None,
        output: OutputOption = None,
        restart: RestartOption = False,
        yes: YesOption = False,
        quiet: QuietOption = False,
    ) -> None:
        with open_work(config, overrides, output, quiet) as work:
            confirm_restart(work.run, restart, yes)
            returned = _find_stage("pipeline", verb)(work.config, work.run, work.progress, restart=restart)
        print_results(returned)

    _register(verb, command, explanation, examples)


def _register(verb: str, command: Callable[..., None], explanation: str, examples: Sequence[str]) -> None:
    epilog = "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)
    app.command(verb, help=explanation, epilog=epilog)(guarded(command))


_add_stage(
    "prepare",
    """Reads and checks the data, and writes a dataset.

    Tables report labels, damaged rows, duplicates, and leaks between splits; rejected.jsonl lists the rejected rows.
    """,
    "kerasft prepare sst2.yaml",
    "kerasft prepare sst2.yaml data.leaks=drop data.max_rejected=0.05",
)
_add_training(
    "pretrain",
    """Trains a net on raw text, without labels, and writes it as a preset that other runs fine-tune.

    The config names a task without labels, such as masked_lm, and a net: model.size makes a new net, whose tokenizer is
    trained on the same texts or comes from a preset; model.preset continues with a pre-trained net. The result is the
    folder preset/ in the run folder: set model.preset to it in another config. `kerasft run` does the same, then also
    measures the model, and exports it if the config says so.
    """,
    "kerasft pretrain corpus.yaml",
    "kerasft pretrain corpus.yaml train.max_steps=2000 model.size='{layers: 6, width: 384, heads: 6}'",
    "kerasft finetune sst2.yaml model.preset=runs/corpus/preset",
)
_add_training(
    "finetune",
    """Fine-tunes the preset on the data and keeps the best model.

    Watch it with: tensorboard --logdir runs. Ctrl-C and SIGTERM save a checkpoint and stop; the same command resumes
    from there, with bit-identical results. --restart starts over.
    """,
    "kerasft finetune sst2.yaml",
    "kerasft finetune sst2.yaml train.epochs=1 train.batch_size=16 --output runs/short",
    "kerasft finetune sst2.yaml train.optimizer='{type: gradient_descent, learning_rate: 0.05, momentum: 0.9}'",
)
_add_stage(
    "evaluate",
    """Measures the model, with 95 % intervals, and writes report.html.

    To measure other test data, name it in data.test: it is prepared separately, and its figures are saved under a
    name of their own. If the run folder is read-only or in use, the figures are shown but not saved.
    """,
    "kerasft evaluate sst2.yaml",
    "kerasft evaluate runs/sst2 evaluate.splits='[test]' evaluate.bootstrap_samples=10000",
    "kerasft evaluate runs/sst2 data.test.path=reviews-2024.csv",
    is_owner=False,
)


@app.command(
    epilog="""\b
Examples:
  kerasft export sst2.yaml
  kerasft export runs/sst2 --to served/1
"""
)
@guarded
def export(
    config: ConfigArgument,
    overrides: OverridesArgument = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="DIR",
            help="The folder of the export.  [default: export/<version> in the run folder]",
        ),
    ] = None,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Writes a SavedModel that takes raw texts or image files.

    Before it is published, a clean process loads it and compares its answers on real examples with the model's.
    """
    if to is not None:
        check_destination(to, "--to")
    with open_work(config, overrides, output, quiet, is_owner=to is None) as work:
        from kerasft.stages import export as stage

        print(stage.export(work.config, work.run, work.progress, to))


_add_training(
    "run",
    """Runs every stage that the config asks for.

    Skips finished stages. To resume an interrupted training, repeat the command: it continues from the last checkpoint,
    and the result is bit-identical to that of an uninterrupted run.
    """,
    "kerasft run sst2.yaml",
    "kerasft run sst2.yaml seed=1 --output runs/sst2-seed-1",
    "kerasft run sst2.yaml train.optimizer.learning_rate=3e-5 --restart",
)


@app.command(
    "verify-resume",
    epilog="""\b
Examples:
  kerasft verify-resume sst2.yaml
  kerasft verify-resume sst2.yaml train.precision=float32 --steps 200 --kills 20
""",
)
@guarded
def verify_resume(
    config: ConfigArgument,
    overrides: OverridesArgument = None,
    steps: Annotated[int, typer.Option("--steps", min=4, help="Number of training steps.")] = 60,
    kills: Annotated[
        int, typer.Option("--kills", min=1, help="Number of times the second run is killed.")
    ] = 5,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Checks on your own model that a killed and resumed run gives bit-identical results.

    Trains twice: without interruption, and in processes that are killed with SIGKILL at random and restarted. Then
    compares every tensor of every checkpoint, and reports the first step with a difference, the tensors, and the
    probable reason.
    """
    with open_work(config, overrides, output, quiet) as work:
        _find_stage("verify_resume", "verify_resume")(
            work.config, work.run, work.progress, steps=steps, kills=kills
        )


app.command(epilog=PREDICT_EPILOG)(guarded(predict))
app.command(epilog=GENERATE_EPILOG)(guarded(generate))
app.command(epilog=COMPARE_EPILOG)(guarded(compare))
app.command(epilog=CHECK_EPILOG)(guarded(check))
app.command(epilog=SCHEMA_EPILOG)(guarded(schema))
app.add_typer(presets_app, name="presets")
app.add_typer(samples_app, name="samples")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: the command line without the program's name; the process's own by default.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    end = words.index("--") if "--" in words else len(words)
    if "--traceback" in words[:end]:
        # It belongs before the verb; whoever adds it to a failed command writes it at the end.
        words.remove("--traceback")
        words.insert(0, "--traceback")
    if arguments is None:
        # processes that are started (to draw scenes, say) import nothing from the working folder
        os.environ.setdefault("PYTHONSAFEPATH", "1")
    with standard_streams():
        try:
            code = _run(words)
        except (Exception, KeyboardInterrupt) as error:
            code = end_with(error)
        if arguments is None and code in (INTERRUPTED, TERMINATED):
            _end_process(code)
    return code


def _end_process(code: int) -> NoReturn:
    """Ends it without TensorFlow's own end, which may take as long as all the rest: somebody is waiting."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


@functools.cache
def _build_command() -> Any:
    """What the app's functions and their annotations make; it takes longer than most of what it is asked to do."""
    return typer.main.get_command(app)


def _run(words: list[str]) -> int:
    try:
        _build_command()(words, prog_name="kerasft", standalone_mode=True)
    except SystemExit as end_of_command:
        code = end_of_command.code
        sys.stdout.flush()
        return code if isinstance(code, int) else int(code is not None)
    return 0
