"""What a report is made of, as plain Python data: no TensorFlow, no models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasft.metrics.figures import FigureKinds

Figures = Mapping[str, Mapping[str, float | int]]
"""Figure's name → `{"value": …, "low": …, "high": …}`, as in metrics.json."""


@dataclass(frozen=True, kw_only=True)
class SplitPredictions:
    """What the model said about one split's examples.

    Attributes:
        probabilities: float (examples, classes), rows sum to 1.
        labels: int (examples,), ids in [0, classes).
        texts: the examples' texts, shown beside mistakes; any sequence, read where needed only.
        pictures: where they are pictures, their JPEG or PNG files; likewise.
        origins: `file:row` or name of each example; empty where not known.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    texts: Sequence[str] = ()
    pictures: Sequence[bytes] = ()
    origins: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class SeveralLabels:
    """What the model said about one split's examples, each of which has any number of labels.

    Attributes:
        probabilities: float (examples, classes), each label's own.
        labels: bool (examples, classes).
        texts, pictures, origins: see `SplitPredictions`.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    texts: Sequence[str] = ()
    pictures: Sequence[bytes] = ()
    origins: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class TaggedText:
    """A text with the entities in it, and those that the model said.

    Attributes:
        text: whole.
        entities: with `start`, `end` (in characters) and `type`, in order.
        predicted: likewise.
        origin: `file:row`; empty where not known.
    """

    text: str
    entities: Sequence[Mapping[str, Any]]
    predicted: Sequence[Mapping[str, Any]]
    origin: str = ""


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
class Section:
    """One part of the page.

    Attributes:
        heading: as shown.
        template: name of a template in this package, or of any that `templates` of the content holds.
        data: what the template sees, besides `content`.
    """

    heading: str
    template: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """All that a report shows. Only the first four must be given; parts without data are left out.

    Attributes:
        title: the experiment's name.
        task: what was learned, `text_classification`.
        label_names: the classes, in the order of the probabilities.
        figures: split → figures, as `compute_classification_figures` gives them.
        kinds: of figures that the task has.
        predictions: split → predictions, for the plots and mistakes; of classifiers.
        several_labels: split → predictions, of classifiers that give any number of labels.
        tagged_texts: split → texts with their entities, gold and predicted; of models that find entities.
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
        label_smoothing: share of the training target that was spread over all labels.
        mistakes: how many mistakes are shown.
        sections: more parts, after the mistakes.
        templates: name → Jinja source of their templates, where this package lacks them.
    """

    title: str
    task: str
    label_names: Sequence[str]
    figures: Mapping[str, Figures]
    kinds: FigureKinds = FigureKinds(())  # noqa: RUF009 (has no state)
    predictions: Mapping[str, SplitPredictions] = field(default_factory=dict)
    several_labels: Mapping[str, SeveralLabels] = field(default_factory=dict)
    tagged_texts: Mapping[str, Sequence[TaggedText]] = field(default_factory=dict)
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
    label_smoothing: float = 0.0
    mistakes: int = 20
    sections: Sequence[Section] = ()
    templates: Mapping[str, str] = field(default_factory=dict)

    @property
    def of_pictures(self) -> bool:
        """Whether the examples are pictures; else they are texts."""
        fields = (self.manifest or {}).get("fields") or []
        shown = [found.pictures for found in self.predictions.values()]
        shown += [found.pictures for found in self.several_labels.values()]
        return any(field["kind"] == "image" for field in fields) or any(map(len, shown))

    @property
    def noun(self) -> str:
        """What an example is called."""
        return "picture" if self.of_pictures else "example"

    def choose_main_split(self) -> str | None:
        """`main_split`, or the default for it; None without any figures."""
        if self.main_split is not None:
            return self.main_split
        return next((name for name in ("test", "validation", "train") if name in self.figures), None) or next(
            iter(self.figures), None
        )
