"""The contract of a task: what a model can learn, from an example's fields to a served answer."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kerasft.data.feed import Feed, Output
from kerasft.data.kinds import load_kind
from kerasft.data.kinds.base import Kind
from kerasft.data.prepared import Split
from kerasft.metrics.tally import Tally
from kerasft.printable import format_json
from kerasft.progress import Progress
from kerasft.tasks.served import Served

Step = Callable[[Any, Any], Mapping[str, Any]]
"""See `kerasft.data.streams.Step`."""


@dataclass(frozen=True)
class Phase:
    """A part of a training with a model, batches and an optimizer of its own.

    Attributes:
        name: of its checkpoints' folder.
        model: what `fit` trains; it shares its variables with the task's model.
        train: the batches it learns from.
        validation: those its epochs are measured on, if there is such a split.
        changes: keys of the `train` section that are other ones in this phase.
        depths: each variable's path → its layer's distance from the bottom, for learning rates by depth.
        final: whether none comes after it.
        course_epochs: of the phases that are parts of one training: order of examples, learning rate and the choice
            of the best epoch run on from one to the next; None: it is a training of its own.
        first_epoch: of that training.
        whole: the task's model, where `model` is a part of it.
        loss: where the training split settles something of it, such as weights of its classes; None: the task's.
    """

    name: str
    model: Any
    train: Feed
    validation: Feed | None
    changes: Mapping[str, Any]
    depths: Mapping[str, int]
    final: bool = True
    course_epochs: int | None = None
    first_epoch: int = 0
    whole: Any = None
    loss: Any = None

    @property
    def whole_model(self) -> Any:
        """The task's model."""
        return self.model if self.whole is None else self.whole


class Task(abc.ABC):
    """What is learned. A task never trains by itself: training is always `compile` + `fit` on its model.

    It has no state after it is made: what a split settles goes through its feed or the training's phases.
    """

    label_names: tuple[str, ...]
    """The classes, in the order of the model's outputs."""

    config: Any
    """The `task` section, which names what is measured: `figure_kinds`."""

    model_config: Any
    """The `model` section."""

    preset: Any
    """What the model begins with; of texts, the preset's folder."""

    # --- data -------------------------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def encoder_fingerprint(self) -> str:
        """Changes when the model would be given other inputs for the same example."""

    @abc.abstractmethod
    def make_feed(self, examples: Sequence[Mapping[str, Any]]) -> Feed:
        """A few examples as the model takes them, from memory; they need not say what is true of them."""

    @abc.abstractmethod
    def open_feed(self, split: Split, folder: Path, fingerprint: str, progress: Progress) -> Feed:
        """A split's examples as the model takes them where nothing is learned.

        Args:
            split: of the prepared dataset.
            folder: where what is worked out once may be kept, such as encoded texts.
            fingerprint: of the split's examples.
            progress: where to report.
        """

    # --- model ------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def build_model(self, *, seed: int, matmul_dtype: str) -> Any:
        """The functional `keras.Model` that learns, with the preset's weights."""

    @abc.abstractmethod
    def compute_depths(self, model: Any) -> dict[str, int]:
        """Each variable's path → its layer's distance from the bottom, for learning rates by depth."""

    def build_step(self, model: Any, *, published: bool = True) -> Step:
        """What is kept of a model's outputs, reduced inside the graph: by default all, as `logits`.

        Args:
            model: one that `load_published` gave, or a phase's.
            published: False while it learns: then it is asked in the cheapest way.
        """
        from kerasft.models.forward import make_forward

        forward = make_forward(model)
        return lambda inputs, labels: {"logits": forward(inputs)}

    def open_phases(
        self,
        model: Any,
        train: Any,
        open_feed: Callable[[str], Feed | None],
        *,
        seed: int,
        matmul_dtype: str = "float32",
    ) -> Iterator[Phase]:
        """The parts of a training, each asked for when the one before is over: one, or with `model.adaptation: gradual`
        one for each block.

        What learns is settled here, adapters included, for any task on our text encoder.

        Args:
            model: of `build_model`.
            train: the `train` section.
            open_feed: split → what `open_feed` of this task gives; None where there is no such split.
            seed: of what is random about examples.
            matmul_dtype: what the model was built with.
        """
        from kerasft.models.adaptation.adapters import begin_adapters
        from kerasft.models.adaptation.learning import adapt, list_blocks, list_rungs

        feed, validation = open_feed("train"), open_feed("validation")
        assert feed is not None
        adaptation = self.model_config.adaptation
        begin_adapters(model, self.model_config, self.preset, self.label_names, seed=seed)
        depths = self.compute_depths(model)
        for rung in list_rungs(adaptation, train.epochs, len(list_blocks(depths))):
            adapt(model, adaptation, depths, rung.blocks)
            yield make_phase(rung, train, model, feed, validation, depths)

    @abc.abstractmethod
    def publish(self, model: Any, folder: Path) -> None:
        """Writes `model.keras` (opens without kerasft) and `preset/` into the run folder."""

    @abc.abstractmethod
    def load_published(self, folder: Path) -> Any:
        """The Keras model of `model.keras`, built here and given its weights: what `predict` and `evaluate` ask."""

    @abc.abstractmethod
    def loss(self) -> Any:
        """For `compile`, unless a phase has one of its own."""

    def metrics(self) -> list[Any]:
        """Light per-step metrics for `compile`, besides the loss; by default none."""
        return []

    # --- answers ----------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def decode(self, outputs: Sequence[Output]) -> list[dict[str, Any]]:
        """Outputs of some examples → JSON-able predictions, one an example."""

    def complete(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        """A prediction with what it says of its example, for people: by default as it is."""
        return dict(prediction)

    @abc.abstractmethod
    def open_tally(self) -> Tally:
        """An empty tally of a split."""

    @abc.abstractmethod
    def make_right_output(self, reference: Any) -> Output:
        """An output that answers as the reference says: from it follows which figures a split has at all."""

    @cached_property
    def input_kinds(self) -> dict[str, Kind]:
        """How each input field's values are read, by the field's name."""
        return {field.name: load_kind(field) for field in self.config.inputs}

    def read_input(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """An example, without targets, of a row that `predict` is given.

        Raises:
            DataError: it holds nothing that could be one.
        """
        return {name: kind.read_input(row.get(name)) for name, kind in self.input_kinds.items()}

    def read_served(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """An example of what the served model takes, by its inputs' names.

        Raises:
            DataError: it is none; the served model says so too.
        """
        return {name: kind.read_served(inputs[name]) for name, kind in self.input_kinds.items()}

    def record(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        """What is kept of a measured example and its prediction, JSON-able.

        By default the example's texts and numbers by their fields' names, and the prediction under `predicted`.
        """
        names = [field.name for field in self.config.fields if field.kind in ("text", "number")]
        return {**{name: example[name] for name in names}, "predicted": dict(prediction)}

    def describe(self, examples: Sequence[Mapping[str, Any]], outputs: Sequence[Output]) -> str:
        """A few examples and what the model says of them, as Markdown for TensorBoard; by default their records."""
        records = map(self.record, examples, self.decode(outputs))
        return "\n".join(f"    {format_json(record)}\n" for record in records)

    def draw_mistakes(self, split: Split, tally: Tally) -> Any:
        """A matplotlib Figure of a split's worst mistakes; None where there are none, or nothing to look at."""
        return None

    def draw_varied(self, feed: Feed) -> Any:
        """A matplotlib Figure of training examples as they are varied; None where `feed` gives them as they are."""
        return None

    # --- export -----------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def serve(self, model: Any) -> Served:
        """What is exported of a model that `load_published` gave."""


def make_phase(
    rung: Any,
    train: Any,
    model: Any,
    feed: Feed,
    validation: Feed | None,
    depths: Mapping[str, int],
    loss: Any = None,
) -> Phase:
    """The phase of a part of the training of the net.

    Args:
        rung: of `kerasft.models.adaptation.learning.list_rungs`.
        train: the `train` section.
        model, feed, validation, depths, loss: the phase's.
    """
    if rung.blocks is None:
        return Phase("finetune", model, feed, validation, {}, depths, loss=loss)
    name = "finetune" if rung.final else f"gradual-{rung.blocks}"
    changes = {"epochs": rung.epochs}
    return Phase(
        name, model, feed, validation, changes, depths, rung.final, train.epochs, rung.first_epoch, loss=loss
    )  # fmt: skip
