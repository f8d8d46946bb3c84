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
    """One phase of a training, with its own model, batches and optimizer.

    Attributes:
        name: name of its checkpoint folder.
        model: what `fit` trains; shares its variables with the task's model.
        train: the training batches.
        validation: the batches that each epoch is measured on, if there is a validation split.
        changes: keys of the `train` section that have other values in this phase.
        depths: each variable's path → its layer's distance from the bottom, for learning rates by layer.
        final: whether this is the last phase.
        total_epochs: total epochs of the training that this phase is part of; example order, schedule and best-epoch
            choice carry over from the phase before. None if it is a training of its own.
        first_epoch: the epoch of that training at which this phase begins.
        whole: the task's model, if `model` is only a part of it.
        loss: the loss, if it depends on the training split (class weights); None: the task's.
    """

    name: str
    model: Any
    train: Feed
    validation: Feed | None
    changes: Mapping[str, Any]
    depths: Mapping[str, int]
    final: bool = True
    total_epochs: int | None = None
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

    title: str = "Fine-tuning"
    """What its training is called, for people."""

    label_names: tuple[str, ...]
    """The classes, in the order of the model's outputs; empty for a task without classes."""

    config: Any
    """The `task` section, including `figure_kinds`."""

    model_config: Any
    """The `model` section."""

    preset: Any
    """What the model starts from; for texts, the preset's folder."""

    # --- data -------------------------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def encoder_fingerprint(self) -> str:
        """A string that changes when the same example would give the model different inputs."""

    @abc.abstractmethod
    def make_feed(self, examples: Sequence[Mapping[str, Any]]) -> Feed:
        """A feed of a few examples in memory; they may have no targets."""

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

    @property
    def start_note(self) -> str:
        """What is to be known of the weights that the training begins with, in brackets behind their number."""
        return ""

    @property
    def has_new_head(self) -> bool:
        """Whether the head begins at random, and so learns however the net is adapted."""
        return True

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
        from kerasft.models.adaptation.learning import adapt, list_blocks, list_unfreezing_stages

        feed = open_feed("train")
        assert feed is not None
        feed, validation = self.make_training_feed(feed, seed=seed), open_feed("validation")
        adaptation = self.model_config.adaptation
        begin_adapters(model, self.model_config, self.preset, self.label_names, seed=seed)
        depths = self.compute_depths(model)
        for stage in list_unfreezing_stages(adaptation, train.epochs, len(list_blocks(depths))):
            adapt(model, adaptation, depths, stage.blocks, has_new_head=self.has_new_head)
            yield make_phase(stage, train, model, feed, validation, depths)

    def make_training_feed(self, feed: Feed, *, seed: int) -> Feed:
        """What training draws its batches from: by default the examples as they are, in language models rows packed of
        them.

        Args:
            feed: of `open_feed`, the training split's.
            seed: of what is random about examples.
        """
        return feed

    def settle_answers(  # noqa: B027
        self, model: Any, open_feed: Callable[[str], Feed | None], batch_size: int
    ) -> None:
        """Settles what the answers of a trained model follow from besides what it has learned, before it is published:
        a threshold, which becomes one of its weights; by default nothing.

        Args:
            model: of `build_model`, trained.
            open_feed: split → what `open_feed` of this task gives; None where there is no such split.
            batch_size: examples a batch.
        """

    @abc.abstractmethod
    def publish(self, model: Any, folder: Path) -> None:
        """Writes `model.keras` (opens without kerasft) and `preset/` into the run folder."""

    @abc.abstractmethod
    def load_published(self, folder: Path) -> Any:
        """The Keras model of `model.keras`, built here and given all of its weights: what `predict` and `evaluate` ask.

        It is called where weights that would begin at random begin at 0; see `kerasft.models.blank`.
        """

    @abc.abstractmethod
    def loss(self) -> Any:
        """For `compile`, unless a phase has one of its own."""

    def metrics(self) -> list[Any]:
        """Keras metrics for `compile`, besides the loss; none by default."""
        return []

    # --- answers ----------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def decode(self, outputs: Sequence[Output]) -> list[dict[str, Any]]:
        """Outputs of some examples → predictions for JSON, one an example."""

    def complete(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        """A prediction with parts of its example added, for people; unchanged by default."""
        return dict(prediction)

    @abc.abstractmethod
    def open_tally(self) -> Tally:
        """Returns an empty tally."""

    @abc.abstractmethod
    def make_right_output(self, reference: Any) -> Output:
        """An output that is right for this reference; used to check which figures a split has."""

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

    def make_question(self, example: Mapping[str, Any]) -> dict[str, Any]:
        """What the served model can be asked about an example, by its inputs' names; by default the example's own."""
        return {name: example[name] for name in self.input_kinds}

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
        """A matplotlib Figure of a split's worst mistakes; None if there are none, or nothing to draw."""
        return None

    def draw_varied(self, feed: Feed) -> Any:
        """A matplotlib Figure of augmented training examples; None if `feed` does not augment."""
        return None

    # --- export -----------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def serve(self, model: Any) -> Served:
        """What is exported of a model that `load_published` gave."""

    # --- writing ----------------------------------------------------------------------------------------------

    def open_generator(self, model: Any) -> Any:
        """A `kerasft.text.generation.generator.Generator` of a model that `load_published` gave, where the `task`
        section has `writing`; None, the default: its models write nothing."""
        return None


def make_phase(
    stage: Any,
    train: Any,
    model: Any,
    feed: Feed,
    validation: Feed | None,
    depths: Mapping[str, int],
    loss: Any = None,
) -> Phase:
    """The phase of a part of the training of the net.

    Args:
        stage: of `kerasft.models.adaptation.learning.list_unfreezing_stages`.
        train: the `train` section.
        model, feed, validation, depths, loss: the phase's.
    """
    if stage.blocks is None:
        return Phase("finetune", model, feed, validation, {}, depths, loss=loss)
    name = "finetune" if stage.final else f"gradual-{stage.blocks}"
    changes = {"epochs": stage.epochs}
    return Phase(
        name, model, feed, validation, changes, depths, stage.final, train.epochs, stage.first_epoch, loss=loss
    )  # fmt: skip
