"""Which weights of a model are trained: the net as blocks under a head, and what each kind of adaptation trains."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from kerasft.errors import ConfigError
from kerasft.models.adaptation.config import Adaptation
from kerasft.models.walking import walk_layers
from kerasft.optimizers.groups import variable_kind

LORA_MARK = "_lora_"
"""Part of the name of every variable of a low-rank product."""
_POOLER = "pooler"


@dataclass(frozen=True)
class UnfreezingStage:
    """A part of a training in which the same weights are trained.

    Attributes:
        blocks: number of trained blocks besides the head, from the top; None: adaptation does not go by blocks.
        first_epoch: the epoch of the training at which the stage begins.
        epochs: length of the stage.
        final: whether this is the last stage.
    """

    blocks: int | None
    first_epoch: int
    epochs: int
    final: bool


def is_head(path: str, depths: Mapping[str, int]) -> bool:
    """Whether a variable belongs to the head: what lies deepest, and the pooler, which pre-training bound to a task.

    Args:
        path: the variable's.
        depths: each variable's path → its layer's distance from the bottom, the head's being the largest.
    """
    return depths.get(path) == max(depths.values()) or _POOLER in path.split("/")


def list_blocks(depths: Mapping[str, int]) -> list[tuple[str, ...]]:
    """The paths of each block's variables, from the bottom; the head is none of them."""
    blocks: dict[int, list[str]] = {}
    for path, depth in depths.items():
        if not is_head(path, depths):
            blocks.setdefault(depth, []).append(path)
    return [tuple(blocks[depth]) for depth in sorted(blocks)]


def list_unfreezing_stages(
    adaptation: Adaptation, epochs: int, blocks: int, *, lowest: int = 0, head_is_done: bool = False
) -> Iterator[UnfreezingStage]:
    """The stages of a training: one, unless blocks are unfrozen one after another.

    Args:
        adaptation: `model.adaptation`.
        epochs: total epochs of the training.
        blocks: number of blocks under the head.
        lowest: number of blocks at the bottom that stay frozen.
        head_is_done: the head was trained before: the first stage already unfreezes a block.
    """
    if adaptation.type != "gradual":
        yield UnfreezingStage(None, 0, epochs, True)
        return
    count = 1 if head_is_done else 0
    first = 0
    while first < epochs:
        last_block = count >= blocks - lowest
        length = epochs - first if last_block else min(adaptation.every_epochs, epochs - first)
        yield UnfreezingStage(count, first, length, first + length == epochs)
        first += length
        count += 1


def choose_learning(
    model: keras.Model,
    adaptation: Adaptation,
    depths: Mapping[str, int],
    blocks: int | None = None,
    *,
    has_new_head: bool = True,
) -> set[str]:
    """The paths of the variables that learn.

    Args:
        model: whose weights they are.
        adaptation: `model.adaptation`.
        depths: see `is_head`.
        blocks: with `gradual`: how many learn besides the head, from the top.
        has_new_head: whether the head begins at random, and not with weights of the preset, which `lora` and `bitfit`
            leave as they are.
    """
    paths = [variable.path for variable in model.weights]
    head = {path for path in paths if is_head(path, depths)}
    if adaptation.type == "head":
        return head
    if adaptation.type == "gradual":
        known = list_blocks(depths)
        return head.union(*known[len(known) - min(blocks or 0, len(known)) :])
    new = head if has_new_head else set()
    if adaptation.type == "lora":
        return new | {path for path in paths if LORA_MARK in path}
    if adaptation.type == "bitfit":
        return new | {variable.path for variable in model.weights if is_bias(variable)}
    return set(paths)


def is_bias(variable: Any) -> bool:
    """Whether a variable is added to something: a bias, or the offset of a normalisation."""
    return variable_kind(variable) == "bias" or variable.path.endswith("beta")


def freeze_all_but(model: keras.Model, learning: Collection[str], *, whole_layers: bool) -> None:
    """Makes the variables of these paths learn, and no others. A model that was compiled must be compiled again.

    Args:
        model: of any layers, nested models included.
        learning: paths.
        whole_layers: layers in which nothing learns are frozen as layers, so that what they do in training only
            (dropout) is left out; False: only their variables are.
    """
    for layer in walk_layers(model):
        if not layer.weights:
            continue
        some = any(variable.path in learning for variable in layer.weights)
        layer.trainable = some or not whole_layers
        for variable in layer.trainable_variables:
            variable.trainable = variable.path in learning


def adapt(
    model: keras.Model,
    adaptation: Adaptation,
    depths: Mapping[str, int],
    blocks: int | None = None,
    *,
    has_new_head: bool = True,
) -> None:
    """Freezes what does not learn. A net that is frozen from the bottom up has no dropout where it is frozen.

    With `lora` the products must be there (`kerasft.models.adaptation.lora.add_lora`).

    Args:
        model, adaptation, depths, blocks, has_new_head: see `choose_learning`.

    Raises:
        ConfigError: nothing would learn.
    """
    if adaptation.type in ("full", "layerwise"):
        return
    learning = choose_learning(model, adaptation, depths, blocks, has_new_head=has_new_head)
    if not learning:
        raise ConfigError(
            f"with adaptation: {adaptation.type} nothing would learn: the net has no biases",
            where="model.adaptation",
            fix="Set it to lora, or to full.",
        )
    freeze_all_but(model, learning, whole_layers=adaptation.type in ("head", "gradual"))


def describe_learning(
    model: keras.Model, optimizer: Any, depths: Mapping[str, int], learning_rate: float
) -> list[tuple[str, int, float, float | None, str | None]]:
    """What learns, and how fast, as rows of a table.

    Args:
        model: as it is trained.
        optimizer: one of kerasft's, one of Keras', or a `LossScaleOptimizer` around either.
        depths: see `is_head`.
        learning_rate: the highest.

    Returns:
        Rows from the head down: what, how many parameters, their share of all, the highest learning rate, and weight
        decay; what is frozen stands last, without these two.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    learning = sorted(model.trainable_variables, key=lambda variable: -depths.get(variable.path, 0))
    settled = [
        (variable, *_read_settings(inner, variable, learning_rate))
        for variable in learning
    ]  # fmt: skip
    by_block = len({rate for variable, rate, _ in settled if not is_head(variable.path, depths)}) > 1
    groups: dict[tuple[str, float], list[tuple[Any, float]]] = {}
    for variable, rate, decay in settled:
        label = _name_group(variable, depths, by_block)
        groups.setdefault((label, rate), []).append((variable, decay))
    total = sum(math.prod(variable.shape) for variable in model.weights)
    rows: list[tuple[str, int, float, float | None, str | None]] = []
    for (label, rate), members in groups.items():
        count = sum(math.prod(variable.shape) for variable, _ in members)
        only_biases = label != "head" and all(is_bias(variable) for variable, _ in members)
        decays = sorted({decay for _, decay in members}, reverse=True)
        decay_rates = " or ".join(f"{decay:g}" for decay in decays)
        rows.append((f"biases of {label}" if only_biases else label, count, count / total, rate, decay_rates))
    frozen = total - sum(row[1] for row in rows)
    return [*rows, ("frozen", frozen, frozen / total, None, None)] if frozen else rows


def _read_settings(optimizer: Any, variable: Any, learning_rate: float) -> tuple[float, float]:
    if hasattr(optimizer, "group_settings"):
        settings = optimizer.group_settings(variable)
        return learning_rate * settings.learning_rate_scale, settings.weight_decay
    return learning_rate, float(optimizer.weight_decay or 0.0)


def _name_group(variable: Any, depths: Mapping[str, int], by_block: bool) -> str:
    path = variable.path
    if depths.get(path) == max(depths.values()) or (not by_block and is_head(path, depths)):
        return "head"
    if LORA_MARK in path:
        return "adapters"
    if not by_block or path not in depths:
        return "backbone"
    # a block is named after its lowest layer
    first = next(other for other, depth in depths.items() if depth == depths[path])
    return first.split("/")[0]
