"""The config of a command that asks a trained model, told from the texts among the command's arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerasft.cli.options import load_experiment
from kerasft.errors import ConfigError

if TYPE_CHECKING:
    from kerasft.experiment import ExperimentConfig


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


def split_overrides(words: Iterable[str], sections: Iterable[str]) -> tuple[list[str], list[str]]:
    """Parts `KEY=VALUE` arguments, whose key begins with a section's name, from texts."""
    override = re.compile(rf"({'|'.join(map(re.escape, sections))})([.\[][^\s=]*)?=.*", re.DOTALL)
    overrides: list[str] = []
    texts: list[str] = []
    for word in words:
        (overrides if override.fullmatch(word) else texts).append(word)
    return overrides, texts
