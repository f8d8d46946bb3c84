"""The settings of a training, shared by the stage, its phases, `fit` and the callbacks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kerasft.data.prepared import PreparedDataset
from kerasft.progress import Progress, Silent
from kerasft.runs.folder import RunFolder
from kerasft.tasks.base import Phase, Task
from kerasft.training.config import TrainConfig
from kerasft.training.precision import Precision


@dataclass(frozen=True)
class TrainingContext:
    """What a training is about.

    Attributes:
        task: what is learned.
        dataset: raw examples, to name and show.
        config: the `train` section; of a phase, with its changes.
        run: where checkpoints, history and TensorBoard's files go.
        seed: of the order of examples.
        precision: what the model was built with.
        hyperparameters: for TensorBoard.
        facts: what checkpoints hold besides, JSON-able.
        started: `time.perf_counter()` at the beginning of the stage, or of the phase; None: when `fit` begins.
        progress: where to report.
    """

    task: Task
    dataset: PreparedDataset
    config: TrainConfig
    run: RunFolder
    seed: int
    precision: Precision
    hyperparameters: Mapping[str, Any] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    started: float | None = None
    progress: Progress = Silent()  # noqa: RUF009 (has no state)

    def enter_phase(self, phase: Phase, steps_before: int, started: float | None) -> TrainingContext:
        """The same for one of the phases, of which its checkpoints tell."""
        facts = {"phase": phase.name, "steps_before": steps_before, "first_epoch": phase.first_epoch}
        return replace(
            self,
            config=self.config.model_copy(update=dict(phase.changes)),
            facts={**self.facts, **facts},
            started=started,
        )

    def reach_max_steps(self, phase: Phase, steps_per_epoch: int) -> TrainingContext:
        """The same with as many epochs as `max_steps` needs, in a phase that is not part of a longer training."""
        steps = self.config.max_steps
        if steps is None or phase.total_epochs is not None:
            return self
        epochs = max(self.config.epochs, math.ceil(steps / steps_per_epoch))
        return replace(self, config=self.config.model_copy(update={"epochs": epochs}))

    def validate_by_steps(self, steps: int, steps_per_epoch: int) -> TrainingContext:
        """The same for a `fit` whose epochs are intervals between two validations.

        Args:
            steps: of the training.
            steps_per_epoch: of the epochs that its intervals take the place of.
        """
        interval = self.config.validate_every_steps
        assert interval is not None
        course = {"epochs": math.ceil(steps / interval), "max_steps": steps}
        return replace(
            self,
            config=self.config.model_copy(update=course),
            facts={**self.facts, "steps_per_epoch": steps_per_epoch},
        )

    def count_steps_left(self, phase: Phase, steps_per_epoch: int) -> TrainingContext:
        """The same with those of `max_steps` that a phase which is part of a longer training has left."""
        if phase.total_epochs is None or self.config.max_steps is None:
            return self
        left = self.config.max_steps - phase.first_epoch * steps_per_epoch
        return replace(self, config=self.config.model_copy(update={"max_steps": left}))
