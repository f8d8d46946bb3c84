"""What a report is made of, as plain Python data: no TensorFlow, no models."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kerasft.metrics.figures import FigureKinds
from kerasft.tasks.display import Display, Figures, Shown


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """Where the model that serves lies, and how exactly it answers as the trained one.

    Attributes:
        path: the SavedModel's version folder, `runs/sst2/export/1`.
        parity: what parity.json holds; its numbers and strings are listed.
    """

    path: str
    parity: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """All that a report shows. Only the first four must be given; parts without data are left out.

    Attributes:
        title: the experiment's name.
        task: what was learned, for people: `text classification`.
        label_names: the classes, in the order of the probabilities.
        figures: split → figures, as `compute_classification_figures` gives them.
        kinds: of figures that the task has.
        shown: split → what the task says of it: headline, verdict, and sections of its own.
        display: how the task's answers are shown.
        main_split: the split that verdict, plots and mistakes are about; by default the first there is of test,
            validation and train.
        training: figures of the training stage, `examples_per_second`, `seconds`, …
        history: rows of metrics.jsonl: `{"step", "epoch", "loss", "learning_rate"}` by step, and by epoch
            `{"epoch", "validation_loss", "validation_accuracy", …}` (epochs from 1, `step` optional).
        best_step: the step whose weights were kept.
        manifest: the prepared dataset's.
        config_text: the resolved config, YAML.
        environment: versions, machine, revision; dicts in it are flattened.
        export: the exported model.
        usage: (caption, command) pairs shown before those for the export.
        augmentation: a sheet of training pictures as they are varied, PNG.
    """

    title: str
    task: str
    label_names: Sequence[str]
    figures: Mapping[str, Figures]
    kinds: FigureKinds = FigureKinds(())  # noqa: RUF009 (has no state)
    shown: Mapping[str, Shown] = field(default_factory=dict)
    display: Display = Display(None)  # noqa: RUF009 (has no state)
    main_split: str | None = None
    training: Figures = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    best_step: float | None = None
    manifest: Mapping[str, Any] | None = None
    config_text: str | None = None
    environment: Mapping[str, Any] | None = None
    export: ExportedModel | None = None
    usage: Sequence[tuple[str, str]] = ()
    augmentation: bytes | None = None

    @property
    def noun(self) -> str:
        """What an example is called."""
        return self.display.noun

    @property
    def rows(self) -> str:
        """What rows of the data are called, as a heading."""
        return "Rows" if self.noun == Display.noun else f"{self.noun.capitalize()}s"

    def choose_main_split(self) -> str | None:
        """`main_split`, or the default for it; None without any figures."""
        if self.main_split is not None:
            return self.main_split
        return choose_main_split(self.figures)


def choose_main_split(measured: Collection[str]) -> str | None:
    """The first of test, validation and train that was measured, else any; None where none was."""
    known = (name for name in ("test", "validation", "train") if name in measured)
    return next(known, None) or next(iter(measured), None)
