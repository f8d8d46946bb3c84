"""Arguments that the commands share, and what they open: a config, a run folder, a progress display."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from kerasft.cli.environment import prepare_environment
from kerasft.cli.progress import QuietProgress, open_progress
from kerasft.cli.signals import ending_in_order
from kerasft.errors import ConfigError

if TYPE_CHECKING:
    from kerasft.experiment import ExperimentConfig
    from kerasft.runs.folder import RunFolder

ConfigArgument = Annotated[
    Path, typer.Argument(metavar="CONFIG.yaml", help="The experiment's config, or a run folder.")
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Changes to the config: a key with dots, and a value in YAML."),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", help="The run folder.  [default: runs/<name>]"),
]
RestartOption = Annotated[
    bool,
    typer.Option("--restart", help="Removes the training in the run folder, and starts over."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="With --restart: removes without asking.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Shows only results and errors.")]


@dataclass(frozen=True)
class Work:
    """What a stage is given."""

    config: ExperimentConfig
    run: RunFolder
    progress: QuietProgress


def load_experiment(
    path: Path, overrides: Sequence[str] | None, output: Path | None
) -> tuple[ExperimentConfig, Path]:
    """The config and the run folder's path; nothing is written and TensorFlow is not imported."""
    from kerasft.config.loading import load_config
    from kerasft.experiment import ExperimentConfig

    loaded = load_config(ExperimentConfig, path, overrides or ())
    folder = output or loaded.run_folder or Path("runs", loaded.config.name)
    return loaded.config, check_destination(folder, "--output")


def check_destination(path: Path, option: str) -> Path:
    """The path of something that is to be written.

    Raises:
        ConfigError: the libraries that write there could not name it.
    """
    try:
        usable = b"\0" not in str(path).encode("utf-8")
    except UnicodeEncodeError:
        usable = False
    if usable:
        return path
    raise ConfigError(
        "This path is not valid UTF-8, which TensorFlow requires.",
        where=f"{option} {path}",
        fix="Rename it.",
    )


@contextmanager
def open_work(
    path: Path,
    overrides: Sequence[str] | None,
    output: Path | None,
    quiet: bool,
    results: TextIO | None = None,
    *,
    is_owner: bool = True,
) -> Iterator[Work]:
    """Loads the config, and says on Ctrl-C what is kept.

    Args:
        path, overrides, output, quiet: as they were given.
        results: where the command's own output does not go.
        is_owner: whether the run folder is held against other processes; reading it needs no lock.
    """
    config, folder = load_experiment(path, overrides, output)
    prepare_environment()
    from kerasft.runs.folder import RunFolder

    with open_progress(quiet, results) as progress, ending_in_order():
        try:
            run = RunFolder(folder)
            with run.owned(progress.note) if is_owner else nullcontext():
                yield Work(config, run, progress)
        except KeyboardInterrupt as stop:
            kept = f"finished results are kept in {folder}; run the same command again to continue."
            raise type(stop)(str(stop) or kept) from None


def confirm_restart(run: RunFolder, restart: bool, yes: bool) -> None:
    """Asks before `--restart` removes a training.

    Raises:
        ConfigError: nobody can be asked.
        typer.Exit: the answer was no.
    """
    trained = run.list_trained() if restart else []
    if not trained or yes:
        return
    names = ", ".join(place.name + "/" * place.is_dir() for place in trained)
    if not sys.stdin.isatty():
        raise ConfigError(
            f"--restart would remove {names}, and standard input is not a terminal",
            where=str(run.path),
            fix="To confirm, add --yes; prepared data and exports are kept.",
        )
    if not typer.confirm(f"Remove {names} from {run.path} and train from the start?", err=True):
        raise typer.Exit(1)


def print_results(results: Mapping[str, Any] | None) -> None:
    """Prints what a stage returned, a line each: `report  runs/x/report.html`."""
    if not results:
        return
    width = max(len(name) for name in results)
    for name, value in results.items():
        print(f"{name:<{width}}  {value}", flush=True)
