"""Parameter groups: which variables learn at which rate, and which are decayed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Kind = Literal["bias", "norm", "embedding", "weight"]
KINDS: tuple[Kind, ...] = ("bias", "norm", "embedding", "weight")


@dataclasses.dataclass(frozen=True)
class ParameterGroup:
    """Variables whose path matches, and how they differ from the rest.

    Each property is decided by the first group that matches the variable and names the property; what no
    group names is left as it is: rate scale 1, and the optimizer's own decay unless the variable's kind is
    among its `no_decay`.

    Args:
        match: a regular expression, searched for anywhere in `variable.path`
            (`bert/transformer_layer_3/attention_norm/gamma`, say).
        learning_rate_scale: factor on the learning rate, ≥ 0; 0 freezes the variables' learning and their
            decay, which is times the learning rate; None leaves it to the groups below.
        weight_decay: decay in place of the optimizer's own, ≥ 0, whatever the variable's kind; None leaves it.
        name: what `describe_groups` calls the group; by default the expression itself.

    Raises:
        ValueError: the expression cannot be compiled, or a number is negative.
    """

    match: str
    learning_rate_scale: float | None = None
    weight_decay: float | None = None
    name: str | None = None

    def __post_init__(self):
        try:
            re.compile(self.match)
        except re.error as error:
            raise ValueError(f"`match` is not a regular expression: {self.match!r} ({error})") from error
        for field in ("learning_rate_scale", "weight_decay"):
            value = getattr(self, field)
            if value is not None and not value >= 0:
                raise ValueError(f"`{field}` must be 0 or more, got {value}")


@dataclasses.dataclass(frozen=True)
class GroupSettings:
    """What the groups come to for one variable."""

    group: str
    kind: Kind
    learning_rate_scale: float
    weight_decay: float


def variable_path(variable: Any) -> str:
    """The path of a Keras variable, or the name of a plain `tf.Variable` without its output number."""
    return str(getattr(variable, "path", None) or variable.name).split(":")[0]


def variable_kind(variable: Any) -> Kind:
    """What a variable is, by its path and shape: `bias`, `norm`, `embedding` or `weight`.

    `norm` is the scale and offset of any normalisation: a name that is or ends with "gamma" or "beta", and
    `scale`, `offset`, `weight` or `bias` in a layer whose name contains "norm"; all of a layer scale (ConvNeXt's),
    whatever its shape; and any other vector or single number of a layer that is no bias: these scale features without
    mixing them. `bias` is any other name that is or ends with "bias". `embedding` is a table: a name with "embedding"
    or "embeddings" as one of its words (`position_embeddings`). `weight` is what is left.
    """
    parts = variable_path(variable).split("/")
    name, layer = parts[-1], parts[-2] if len(parts) > 1 else ""
    if re.search(r"(^|_)(gamma|beta)$", name):
        return "norm"
    if name in ("scale", "weight", "bias", "offset") and "norm" in layer.lower():
        return "norm"
    if re.search(r"(^|_)layer_?scale(_|$)", layer.lower()):
        return "norm"
    if re.search(r"(^|_)bias$", name):
        return "bias"
    if re.search(r"(^|_)embeddings?(_|$)", name):
        return "embedding"
    shape = getattr(variable, "shape", None)
    return "norm" if layer and shape is not None and len(shape) <= 1 else "weight"


def resolve_settings(
    variable: Any,
    groups: Sequence[ParameterGroup],
    no_decay: Iterable[str],
    weight_decay: float | None,
) -> GroupSettings:
    """The rate scale and the decay of one variable under the groups and the optimizer's own settings."""
    path, kind = variable_path(variable), variable_kind(variable)
    matching = [group for group in groups if re.search(group.match, path)]
    scale = next((g.learning_rate_scale for g in matching if g.learning_rate_scale is not None), 1.0)
    own_decay = 0.0 if kind in no_decay else float(weight_decay or 0.0)
    decay = next((g.weight_decay for g in matching if g.weight_decay is not None), own_decay)
    label = " + ".join(g.name or g.match for g in matching) or kind
    return GroupSettings(label, kind, float(scale), float(decay))


def layer_decay_groups(depths: Mapping[str, int], decay: float) -> tuple[ParameterGroup, ...]:
    """Groups by which each layer further from the head learns slower: rate × decay^distance.

    Args:
        depths: from a layer's path, or the run of path components that names it (`transformer_layer_3`,
            `bert/embeddings`), to its distance from the head: 0 for layers that learn at the full rate,
            1 for the next below. The longest name wins where several match.
        decay: factor a layer, in (0, 1]; 1 gives no groups.

    Raises:
        ValueError: the factor is outside (0, 1], or a distance is negative.

    Source: Howard and Ruder 2018, arXiv:1801.06146 (discriminative fine-tuning); Clark et al. 2020,
        arXiv:2003.10555 (layer-wise decay, 0.8 to 0.9).
    """
    if not 0 < decay <= 1:
        raise ValueError(f"`decay` must lie in (0, 1], got {decay}")
    if any(depth < 0 for depth in depths.values()):
        raise ValueError("a layer's distance from the head cannot be negative")
    if decay == 1:
        return ()
    names = sorted(depths, key=lambda name: (-len(name), name))
    return tuple(
        ParameterGroup(f"(?:^|/){re.escape(name)}(?:/|$)", decay ** depths[name], name=name) for name in names
    )


def describe_groups(optimizer: Any, variables: Iterable[Any]) -> list[dict[str, Any]]:
    """One row for each way in which the variables learn, ready for a table.

    Args:
        optimizer: one of kerasft's, one of Keras', or a `LossScaleOptimizer` around either.
        variables: the trainable variables, built.

    Returns:
        Rows in the order of the variables, each with `group` (the groups' names, else the variable's kind),
        `parameters` (how many), `share` (of all parameters, 0 to 1), `learning_rate_scale` and `weight_decay`.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    rows: dict[tuple[str, float, float], int] = {}
    for variable in variables:
        if hasattr(optimizer, "group_settings"):
            settings = optimizer.group_settings(variable)
            key = (settings.group, settings.learning_rate_scale, settings.weight_decay)
        else:
            key = ("all", 1.0, float(optimizer.weight_decay or 0.0))
        size = 1
        for dimension in variable.shape:
            size *= int(dimension)
        rows[key] = rows.get(key, 0) + size
    total = sum(rows.values())
    return [
        {
            "group": group,
            "parameters": parameters,
            "share": parameters / total if total else 0.0,
            "learning_rate_scale": scale,
            "weight_decay": decay,
        }
        for (group, scale, decay), parameters in rows.items()
    ]
