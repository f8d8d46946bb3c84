"""The run folder: one place for all that came of an experiment."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from kerasft import __version__
from kerasft.errors import ConfigError
from kerasft.files import sweep_leftovers, write_json
from kerasft.training.lock import owned

BUILDS_ON = {"finetune": ("evaluate", "export")}
"""A stage → those whose results are worth nothing once it is done anew. (Whether prepared data are others, the
fingerprint of `finetune` tells.)"""
REPORTED_PACKAGES = ("tensorflow", "keras", "keras-hub", "tensorflow-datasets", "numpy", "kerasft")


class RunFolder:
    """Paths and records of one run. Creates nothing until something is written.

    Args:
        path: the folder, existing or not.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.dataset = self.path / "dataset"
        self.cache = self.path / "cache"
        self.logs = self.path / "logs"
        self.history = self.path / "metrics.jsonl"
        self.metrics = self.path / "metrics.json"
        self.environment = self.path / "environment.json"
        self.task = self.path / "task.json"
        self.model = self.path / "model.keras"
        self.preset = self.path / "preset"
        self.adapter = self.path / "adapter"
        self.predictions = self.path / "predictions"
        self.augmentation = self.path / "augmentation.png"
        self.export = self.path / "export"
        self.checkpoints = self.path / "checkpoints"
        self.report = self.path / "report.html"
        self._stages = self.path / "stages.json"

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @contextmanager
    def owned(self, report: Callable[[str], Any] = lambda message: None) -> Iterator[None]:
        """Holds the folder against other processes, and clears away what killed ones left; see `training.lock`.

        Raises:
            RunLockedError: another process holds it.
        """
        with owned(self.path, report):
            phases = self.checkpoints.iterdir() if self.checkpoints.is_dir() else ()
            for folder in (self.path, self.cache, self.predictions, self.export, *phases):
                sweep_leftovers(folder)
            yield

    # --- figures ----------------------------------------------------------------------------------------------

    def read_metrics(self) -> dict[str, dict[str, dict[str, Any]]]:
        """`{stage: {split: {figure: {"value": …}}}}`; empty before any stage."""
        return _read(self.metrics, {})

    def write_figures(self, stage: str, figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """Puts a stage's figures, by split, in place of what stood there for it."""
        write_json(self.metrics, {**self.read_metrics(), stage: figures})

    def read_history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        if not self.history.exists():
            return []
        lines = self.history.read_text(encoding="utf-8").splitlines()
        try:
            return [json.loads(line) for line in lines if line]
        except ValueError as error:
            raise ConfigError(
                f"a line is no JSON: {error}", where=str(self.history), fix="Mend or remove it."
            ) from error

    # --- what is done -----------------------------------------------------------------------------------------

    def is_done(self, stage: str, fingerprint: str) -> bool:
        """Whether the stage was finished with exactly what it would be given now."""
        return self.stage_record(stage).get("fingerprint") == fingerprint

    def stage_record(self, stage: str) -> dict[str, Any]:
        """What was noted when the stage was finished; empty if it was not."""
        return _read(self._stages, {}).get(stage, {})

    def mark_done(self, stage: str, fingerprint: str, **facts: Any) -> None:
        """Notes that a stage is finished."""
        records = _read(self._stages, {})
        records[stage] = {"fingerprint": fingerprint, "finished": datetime.now(UTC).isoformat(), **facts}
        write_json(self._stages, records)

    def list_trained(self) -> list[Path]:
        """What a training has left here: what `clear_training` removes."""
        places = (
            self.checkpoints, self.logs, self.history, self.model, self.preset, self.task, self.predictions,
            self.report, self.augmentation, self.adapter,
        )  # fmt: skip
        return [place for place in places if place.exists()]

    def list_phases(self) -> list[str]:
        """The phases of a training that have checkpoints here, by name."""
        if not self.checkpoints.is_dir():
            return []
        return sorted(
            path.name for path in self.checkpoints.iterdir() if path.is_dir() and "." not in path.name
        )

    def clear_training(self) -> None:
        """Removes the training and what was measured on it; prepared data and exports stay."""
        self.mark_begun("finetune")
        # what the others hang on goes first: without it the rest is taken for nothing
        for place in sorted(self.list_trained(), key=lambda place: place != self.task):
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink()

    def mark_begun(self, stage: str) -> None:
        """Forgets that a stage was finished, and those that build on it, before what it wrote is replaced.

        The figures of these go too: they are of a model that is no more.
        """
        stale = (stage, *BUILDS_ON.get(stage, ()))
        records = _read(self._stages, {})
        if any(name in records for name in stale):
            write_json(self._stages, {name: value for name, value in records.items() if name not in stale})
        figures = self.read_metrics()
        if any(name in figures for name in stale):
            write_json(self.metrics, {name: value for name, value in figures.items() if name not in stale})

    # --- circumstances ----------------------------------------------------------------------------------------

    def write_environment(self, **facts: Any) -> None:
        """Adds to environment.json: versions and machine, and what is handed in."""
        write_json(self.environment, {**_read(self.environment, {}), **describe_environment(), **facts})

    def read_environment(self) -> dict[str, Any]:
        return _read(self.environment, {})

    def read_identity(self) -> dict[str, Any] | None:
        """What the model that was trained here was trained from; None where there is none."""
        return _read(self.task, {}).get("identity")

    def read_task(self) -> dict[str, Any]:
        """What a trained model needs to be understood: task.json.

        Raises:
            ConfigError: nothing was trained here yet.
        """
        if not self.task.exists() or not self.model.exists():
            raise ConfigError(
                "there is no trained model here yet",
                where=str(self.path),
                fix="Train one first: kerasft finetune CONFIG.yaml",
            )
        return _read(self.task, {})


def describe_environment() -> dict[str, Any]:
    """Versions and machine, as environment.json holds them."""
    versions = {}
    for package in REPORTED_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = __version__ if package == "kerasft" else "not installed"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": _cores(),
        "versions": versions,
        "command": " ".join(sys.argv),
        "git_revision": _git_revision(),
    }


def _git_revision() -> str | None:
    """The commit that the working folder stands at, with `+` where files differ from it; None outside git."""

    def ask(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = ask("status", "--porcelain", "--untracked-files=no")
        return ask("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read(path: Path, default: Any) -> Any:
    if not path.exists():
        return default
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(
            f"the run's record is damaged: {error}",
            where=str(path),
            fix="Bring back a copy of it; or remove it, and the stages it told of are done again.",
        ) from error
