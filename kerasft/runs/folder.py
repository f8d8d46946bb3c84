"""The run folder: one place for all that came of an experiment."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydantic

from kerasft.config.loading import CHANGED, format_config
from kerasft.damage import check_file, find_damage_below, read_checked
from kerasft.errors import ConfigError
from kerasft.files import remove_folder, sweep_leftovers
from kerasft.foreign import (
    check_own_files,
    check_replaceable,
    check_run_folder,
    check_unchanged,
    take_up_older,
)
from kerasft.integrity import (
    forget_files,
    record_files,
    recorded_file,
    write_recorded_json,
    write_recorded_text,
)
from kerasft.json_values import parse_json
from kerasft.runs.environment import describe_environment
from kerasft.runs.lock import owned
from kerasft.runs.paths import RunPaths
from kerasft.runs.records import Environment, Metrics, StageRecords, TaskRecord
from kerasft.runs.shared_data import CACHE, DATASET, check_place
from kerasft.untrusted import iterate_json_lines, naming

OTHER = "evaluate_other"
"""In metrics.json: figures on examples that are not the run's own, by a name of their own."""
BUILDS_ON = {"finetune": ("evaluate", OTHER, "export")}
"""Stage → later stages that become stale when it runs again. (Changed data is caught by finetune's fingerprint.)"""
BEGINNING = "beginning"
"""In stages.json: what was settled when a training was first started, before its first checkpoint."""

RETRAIN = "Rewrite it from the last checkpoint: kerasft finetune, with the run folder."
FIXES = {
    "config.yaml": CHANGED,
    "environment.json": "Restore it from a copy; or remove it: versions and machine are then unknown.",
    "metrics.json": "Restore it from a copy; or remove it, and measure again: kerasft evaluate, with the run folder.",
    "metrics.jsonl": "Restore it from a copy; or remove it: the curves are then missing, or start later.",
    "stages.json": "Restore it from a copy; or remove it, and kerasft run does these stages again.",
    "task.json": RETRAIN,
}
"""The folder's records → what to do about one that is not as it was written."""


class RunFolder(RunPaths):
    """Paths and records of one run. Creates nothing until something is written.

    The folder may come from someone else: before the first of its records is read, it is made sure that no links,
    pipes or devices lie in it, and each record is checked for its shape.

    Args:
        path: the folder, existing or not.
    """

    def __init__(self, path: str | Path):
        super().__init__(path)
        self._is_owned = False
        self._checked = False

    @property
    def shared_data(self) -> Path | None:
        """The folder that its prepared data lie in, where they are shared between runs; None: the run's own."""
        place = self.stage_record("prepare").get("folder")
        return Path(place) if place is not None else None

    @property
    def dataset(self) -> Path:
        """The folder of the prepared data.

        Raises:
            DataError: they are shared, and gone.
        """
        return self._find_data(DATASET)

    @property
    def cache(self) -> Path:
        """The folder of what is made of them once, such as encoded texts; raises as `dataset` does."""
        return self._find_data(CACHE)

    @property
    def caches(self) -> list[Path]:
        """The folders for these, best first: shared data may be read-only, and then the run folder has one."""
        return list(dict.fromkeys((self.cache, self.path / CACHE)))

    def _find_data(self, name: str) -> Path:
        place = self.shared_data
        if place is None:
            return self.path / name
        check_place(place, f"Prepare them again: kerasft prepare {shlex.quote(str(self.path))}")
        return place / name

    @contextmanager
    def owned(
        self, report: Callable[[str], Any] = lambda message: None, *, patience_seconds: float = 0
    ) -> Iterator[None]:
        """Holds the folder against other processes, and clears away what killed ones left; see `kerasft.runs.lock`.

        Whoever holds it already, through this object, goes on holding it. Reading needs no lock.

        Args:
            report: told where a dead owner's lock was taken over, and where another owner is waited for.
            patience_seconds: how long to wait for another owner.

        Raises:
            ConfigError: it is not empty and not a run's.
            RunLockedError: another process holds it.
        """
        if self._is_owned:
            yield
            return
        self.check()
        check_run_folder(self.path)
        with ExitStack() as stack:
            stack.enter_context(owned(self.path, report, patience_seconds=patience_seconds))
            self._is_owned = True
            stack.callback(setattr, self, "_is_owned", False)
            take_up_older(self.path)
            phases = self.checkpoints.iterdir() if self.checkpoints.is_dir() else ()
            for folder in (self.path, self.path / CACHE, self.predictions, self.export, *phases):
                sweep_leftovers(folder)
            yield

    def check(self) -> None:
        """Makes sure, once, that what kerasft opens in the folder is plain files and folders, at any depth.

        Raises:
            ConfigError: something else lies there.
        """
        if not self._checked:
            check_own_files(self.path)
            self._checked = True

    # --- its files, with their hashes -------------------------------------------------------------------------

    def write_json(self, path: Path, value: Any) -> None:
        """Writes one of the folder's records whole or not at all, and records its hash."""
        write_recorded_json(self.path, path, value)

    def write_config(self, config: pydantic.BaseModel) -> None:
        """Writes config.yaml, complete: reading it gives an equal config.

        Raises:
            ConfigError: somebody has changed it, or put it there.
        """
        self.check_unchanged(self.config)
        write_recorded_text(self.path, self.config, format_config(config))

    def check_unchanged(self, *paths: Path) -> None:
        """Refuses to replace config.yaml or report.html where somebody has changed it, or put it there.

        Raises:
            ConfigError: somebody has.
        """
        for path in paths:
            check_unchanged(path)

    def open_file(self, path: Path) -> AbstractContextManager[Path]:
        """A temporary path that takes `path`'s place; see `kerasft.integrity.recorded_file`."""
        return recorded_file(self.path, path)

    def discard(self, *paths: Path) -> None:
        """Removes files and folders, where they are there, and what is recorded of them."""
        forget_files(self.path, paths)
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                remove_folder(path)
            else:
                path.unlink(missing_ok=True)

    def find_damage(self, *places: Path) -> str | None:
        """What is wrong with the first of some files and folders that is not as it was written, in words.

        Raises:
            DamagedError: a record of hashes is damaged.
        """
        return find_damage_below(self.path, places)

    def forget_course(self) -> None:
        """Before a training goes on: metrics.jsonl and logs/ are about to grow; see `record_course`.

        Raises:
            DamagedError: metrics.jsonl is not as it was when the training before was over.
        """
        if self.history.exists():
            check_file(self.history, FIXES[self.history.name], self.path)
        forget_files(self.path, (self.history, self.logs))

    def record_course(self) -> None:
        """Records metrics.jsonl and logs/, which were appended to, when a training is over."""
        logs = [path for path in self.logs.rglob("*") if path.is_file() and not path.is_symlink()]
        record_files(self.path, [path for path in (self.history, *logs) if path.exists()])

    # --- figures ----------------------------------------------------------------------------------------------

    def read_metrics(self) -> dict[str, dict[str, dict[str, Any]]]:
        """`{stage: {split: {figure: {"value": …}}}}`; empty before any stage."""
        return self._read(self.metrics, Metrics)

    def write_figures(self, stage: str, figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """Puts a stage's figures, by split, in place of what stood there for it."""
        self.write_json(self.metrics, {**self.read_metrics(), stage: figures})

    def read_history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        self.check()
        if not self.history.exists():
            return []
        # it is small: a line a few steps
        read_checked(self.history, FIXES[self.history.name], self.path)
        return list(iterate_json_lines(self.history, error=ConfigError, fix=FIXES[self.history.name]))

    # --- what is done -----------------------------------------------------------------------------------------

    def is_done(self, stage: str, fingerprint: str) -> bool:
        """Whether the stage was finished with exactly what it would be given now."""
        return self.stage_record(stage).get("fingerprint") == fingerprint

    def stage_record(self, stage: str) -> dict[str, Any]:
        """What was noted when the stage was finished; empty if it was not."""
        return self._read(self.stages, StageRecords).get(stage, {})

    def mark_done(self, stage: str, fingerprint: str, **facts: Any) -> None:
        """Notes that a stage is finished."""
        records = self._read(self.stages, StageRecords)
        records[stage] = {"fingerprint": fingerprint, "finished": datetime.now(UTC).isoformat(), **facts}
        self.write_json(self.stages, records)

    def check_trained(self) -> None:
        """Refuses to replace a preset or an adapter among whose files other people's lie.

        Raises:
            ConfigError: they do.
        """
        for place in (self.preset, self.adapter):
            check_replaceable(place)

    def clear_training(self) -> None:
        """Removes the training and what was measured on it; prepared data and exports stay.

        Raises:
            ConfigError: something else lies among it, or somebody has changed the report.
        """
        self.check_trained()
        self.check_unchanged(self.report)
        self.mark_begun("finetune")
        self.mark_begun(BEGINNING)
        # what the others hang on goes first: without it the rest is taken for nothing
        for place in sorted(self.list_trained(), key=lambda place: place != self.task):
            self.discard(place)

    def mark_begun(self, stage: str) -> None:
        """Forgets that a stage was finished, and those that build on it, before what it wrote is replaced.

        The figures of these go too: they are of a model that is no more.
        """
        stale = (stage, *BUILDS_ON.get(stage, ()))
        records = self._read(self.stages, StageRecords)
        if any(name in records for name in stale):
            self.write_json(
                self.stages, {name: value for name, value in records.items() if name not in stale}
            )
        figures = self.read_metrics()
        if any(name in figures for name in stale):
            self.write_json(
                self.metrics, {name: value for name, value in figures.items() if name not in stale}
            )

    # --- circumstances ----------------------------------------------------------------------------------------

    def write_environment(self, **facts: Any) -> None:
        """Adds to environment.json: versions and machine, and what is handed in; None takes something out."""
        facts = {**self.read_environment(), **describe_environment(), **facts}
        self.write_json(self.environment, {name: fact for name, fact in facts.items() if fact is not None})

    def read_environment(self) -> dict[str, Any]:
        return self._read(self.environment, Environment)

    def read_identity(self) -> dict[str, Any] | None:
        """What the model that was trained here was trained from; None where there is none."""
        return self._read(self.task, TaskRecord).get("identity")

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
        return self._read(self.task, TaskRecord)

    def _read(self, path: Path, schema: Any) -> dict[str, Any]:
        """What one of the folder's records holds; nothing where it is not there.

        Raises:
            DamagedError: it is not as it was written.
            ConfigError: it is no JSON, or of another shape.
        """
        self.check()
        if not path.exists():
            return {}
        fix = FIXES[path.name]
        with naming(path, ConfigError, fix):
            return parse_json(read_checked(path, fix, self.path), schema)
