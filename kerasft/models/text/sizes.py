"""The sizes that a text preset's config.json names, in both forms, and whether they are believed.

config.json is read as data: nothing in it is handed to Keras to make objects of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from kerasft.errors import PresetError
from kerasft.models.hubs.folders import read_json

MAX_PARAMETERS = 4_000_000_000
"""Ten times BERT large's; 16 GB in float32."""
_LIMITS = {
    "vocabulary_size": 10_000_000,
    "num_layers": 200,
    "num_heads": 1024,
    "hidden_dim": 1 << 16,
    "intermediate_dim": 1 << 18,
    "max_sequence_length": 1 << 20,
    "num_segments": 1024,
}
FETCH = "The file is damaged, or was written for another model: fetch the preset again."


@dataclass(frozen=True)
class EncoderSizes:
    """A transformer encoder's sizes, by keras-hub's names."""

    vocabulary_size: int
    num_layers: int
    num_heads: int
    hidden_dim: int
    intermediate_dim: int
    max_sequence_length: int
    dropout: float = 0.1

    def count_parameters(self) -> int:
        """How many weights such an encoder has."""
        hidden, wide = self.hidden_dim, self.intermediate_dim
        layer = 4 * (hidden * hidden + hidden) + 2 * hidden * wide + wide + hidden + 4 * hidden
        return (self.vocabulary_size + self.max_sequence_length + 2) * hidden + self.num_layers * layer


class Counted(Protocol):
    """Sizes of any net."""

    def count_parameters(self) -> int:
        """How many weights such a net has."""


def is_hub_form(folder: Path) -> bool:
    """Whether the preset is in keras-hub's form; Hugging Face's otherwise."""
    return "registered_name" in read_json(folder / "config.json")


def read_sizes(
    folder: Path,
    sizes_class: type[EncoderSizes],
    *,
    title: str,
    hub_class: str,
    names: Mapping[str, str],
    dropout_name: str | None = None,
) -> EncoderSizes:
    """The sizes that a preset's config.json names.

    Args:
        folder: holds it.
        sizes_class: which sizes there are.
        title: of the family, for messages.
        hub_class: keras-hub's backbone of it.
        names: keras-hub's name of a size → Hugging Face's.
        dropout_name: Hugging Face's, where it is read from there.

    Raises:
        PresetError: it lacks a size, or names one that no net of this family has.
    """
    path = folder / "config.json"
    given = read_json(path)
    wanted = [field.name for field in fields(sizes_class) if field.name != "dropout"]
    if "registered_name" in given:
        given = _read_hub_config(given, path, hub_class, {*wanted, "dropout", "name", "trainable", "dtype"})
        names, dropout_name = {name: name for name in wanted}, "dropout"
    values: dict[str, Any] = {name: _read_size(given, names[name], name, title, path) for name in wanted}
    if dropout_name in given:
        values["dropout"] = _read_dropout(given[dropout_name], path)
    sizes = sizes_class(**values)
    if sizes.hidden_dim % sizes.num_heads:
        raise PresetError(
            f"{names['hidden_dim']} is {sizes.hidden_dim}, not a multiple of {names['num_heads']}, "
            f"{sizes.num_heads}.",
            where=str(path),
            fix=FETCH,
        )
    if sizes.count_parameters() > MAX_PARAMETERS:
        raise PresetError(
            f"asks for {sizes.count_parameters():,} weights; at most {MAX_PARAMETERS:,} are read.",
            where=str(path),
            fix=FETCH,
        )
    return sizes


def check_holds_parameters(sizes: Counted, weights_bytes: int, where: Path) -> None:
    """Refuses sizes that files of so many bytes cannot hold the weights of, at a byte a weight.

    Raises:
        PresetError: they cannot.
    """
    if sizes.count_parameters() > weights_bytes:
        raise PresetError(
            f"asks for {sizes.count_parameters():,} weights, but the weights file has only {weights_bytes:,} bytes.",
            where=str(where),
            fix=FETCH,
        )


def _read_hub_config(config: dict[str, Any], path: Path, hub_class: str, known: set[str]) -> dict[str, Any]:
    given = config.get("config")
    if not isinstance(given, dict):
        raise PresetError("holds no sizes under `config`.", where=str(path), fix=FETCH)
    unknown = sorted(set(given) - known)
    if unknown:
        raise PresetError(
            f"contains keys that {hub_class} does not know: {', '.join(unknown)[:200]}.",
            where=str(path),
            fix=FETCH,
        )
    return given


def _read_size(given: dict[str, Any], key: str, name: str, title: str, path: Path) -> int:
    value, limit = given.get(key, 2 if name == "num_segments" else None), _LIMITS[name]
    if type(value) is not int or not 1 <= value <= limit:
        raise PresetError(
            f"{key} is {_show(value)}; a {title}'s is a whole number from 1 to {limit:,}.",
            where=str(path),
            fix=FETCH,
        )
    return value


def _read_dropout(value: Any, path: Path) -> float:
    if type(value) not in (int, float) or not 0 <= value < 1:
        raise PresetError(f"dropout is {_show(value)}; it is from 0 to below 1.", where=str(path), fix=FETCH)
    return float(value)


def _show(value: Any) -> str:
    return "missing" if value is None else repr(value)[:60]
