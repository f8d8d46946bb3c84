"""Turns examples in memory into the files of a run folder: JSON lines, and the config that names them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic

from kerasft.data.kinds.fields import Field
from kerasft.errors import ConfigError
from kerasft.integrity import write_recorded_text
from kerasft.runs.folder import RunFolder
from kerasft.tasks import load_sections


def list_fields(task: Mapping[str, Any]) -> tuple[Field, ...]:
    """What an example of the task must hold; nothing where the section is faulty, which is reported with the config."""
    schema = load_sections(str(task.get("type")), is_asked_for=True).task
    try:
        return schema.model_validate(dict(task)).fields
    except pydantic.ValidationError:
        return ()


def build_document(
    task: Mapping[str, Any],
    preset: Any,
    examples: int,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
) -> dict[str, Any]:
    """An experiment's config, but for its name, its seed and where its data are."""
    usual = load_sections(str(task.get("type")), is_asked_for=True).train()
    train: dict[str, Any] = {
        "batch_size": max(1, min(usual.batch_size, examples // 8)) if batch_size is None else batch_size
    }
    if epochs is not None:
        train["epochs"] = epochs
    if learning_rate is not None:
        optimizer = usual.optimizer.model_dump(mode="json", exclude_unset=True)
        train["optimizer"] = {**optimizer, "learning_rate": learning_rate}
    # of a handful of examples none can be spared
    share = 0.1 if examples >= 20 else 0.0
    preset = str(preset)
    if not any(mark in preset for mark in ("://", "package:")) and Path(preset).exists():
        preset = str(Path(preset).resolve())
    return {
        "task": dict(task),
        "data": {"validation_share": share, "test_share": share},
        "model": {"preset": preset},
        "train": train,
    }


def write_inputs(
    run: RunFolder, document: dict[str, Any], splits: Mapping[str, Sequence[str]], restart: bool
) -> Path:
    """Examples become JSON lines in the run folder, so that the run can be repeated from its config.

    Returns:
        The config's path.

    Raises:
        ConfigError: a training there has learned from other examples.
    """
    folder = run.path / "inputs"
    files: dict[str, str] = {}
    for split, rows in splits.items():
        files[f"{split}.jsonl"] = "".join(f"{row}\n" for row in rows)
        document["data"][split] = {"format": "jsonl", "path": f"{split}.jsonl"}
    if run.list_trained() and not restart:
        # before anything is written over
        others = [name for name, text in files.items() if read_text(folder / name) != text]
        if others:
            raise ConfigError(
                f"this folder contains a run that was trained on other examples ({', '.join(others)})",
                where=str(run.path),
                fix="Name another folder (output=…), or start over there: restart=True.",
            )
    try:
        files["config.yaml"] = json.dumps(document, indent=2) + "\n"
    except TypeError as error:
        raise ConfigError(
            f"an argument is nothing that a config can hold: {error}", where="kerasft.finetune"
        ) from error
    for name, text in files.items():
        write_recorded_text(run.path, folder / name, text)
    return folder / "config.yaml"


def read_text(path: Path) -> str | None:
    """A file's text; None where it is not there."""
    return path.read_text(encoding="utf-8") if path.exists() else None
