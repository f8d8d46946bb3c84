"""The sizes that a BERT preset's config.json names, in both forms, and whether they are believed.

config.json is read as data: nothing in it is handed to Keras to make objects of.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasft.errors import PresetError
from kerasft.models.hubs.folders import list_preset_files, list_weight_files, read_json
from kerasft.models.weights.files import Tensor, check_h5_file, read_safetensors_header

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
_HUGGING_FACE_NAMES = {
    "vocabulary_size": "vocab_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "hidden_dim": "hidden_size",
    "intermediate_dim": "intermediate_size",
    "max_sequence_length": "max_position_embeddings",
}
_HUB_CLASSES = ("keras_hub>BertBackbone", "keras_nlp>BertBackbone")
_HUB_KEYS = {*_LIMITS, "dropout", "name", "trainable", "dtype"}
_MAX_TENSORS = 10_000
_FLOATS = ("F64", "F32", "F16", "BF16")
_FETCH = "The file is damaged, or was written for another model: fetch the preset again."


@dataclass(frozen=True)
class BertSizes:
    """A BERT's sizes, by the names of keras-hub's `BertBackbone`."""

    vocabulary_size: int
    num_layers: int
    num_heads: int
    hidden_dim: int
    intermediate_dim: int
    max_sequence_length: int
    num_segments: int = 2
    dropout: float = 0.1

    def count_parameters(self) -> int:
        """How many weights such a BERT has, its pooler included."""
        hidden, wide = self.hidden_dim, self.intermediate_dim
        rows = self.vocabulary_size + self.max_sequence_length + self.num_segments
        layer = 4 * (hidden * hidden + hidden) + 2 * hidden * wide + wide + hidden + 4 * hidden
        return rows * hidden + 2 * hidden + self.num_layers * layer + hidden * hidden + hidden


def is_hub_form(folder: Path) -> bool:
    """Whether the preset is in keras-hub's form; Hugging Face's otherwise."""
    return "registered_name" in read_json(folder / "config.json")


def read_bert_sizes(folder: Path) -> BertSizes:
    """The sizes that a preset's config.json names.

    Raises:
        PresetError: it is of another architecture, lacks a size, or names one that no BERT has.
    """
    path = folder / "config.json"
    config = read_json(path)
    if "registered_name" in config:
        given = _read_hub_config(config, path)
        names = {name: name for name in _LIMITS}
    else:
        if config.get("model_type") != "bert":
            raise _refuse_architecture(config.get("model_type"), path)
        given, names = config, _HUGGING_FACE_NAMES
    values: dict[str, Any] = {name: _read_size(given, names[name], name, path) for name in names}
    if "registered_name" in config and "dropout" in given:
        values["dropout"] = _read_dropout(given["dropout"], path)
    sizes = BertSizes(**values)
    if sizes.hidden_dim % sizes.num_heads:
        raise PresetError(
            f"{names['hidden_dim']} is {sizes.hidden_dim}, not a multiple of {names['num_heads']}, "
            f"{sizes.num_heads}.",
            where=str(path),
            fix=_FETCH,
        )
    if sizes.count_parameters() > MAX_PARAMETERS:
        raise PresetError(
            f"asks for {sizes.count_parameters():,} weights; at most {MAX_PARAMETERS:,} are read.",
            where=str(path),
            fix=_FETCH,
        )
    return sizes


def check_holds_parameters(sizes: BertSizes, held_bytes: int, where: Path) -> None:
    """Refuses sizes that files of so many bytes cannot hold the weights of, at a byte a weight.

    Raises:
        PresetError: they cannot.
    """
    if sizes.count_parameters() > held_bytes:
        raise PresetError(
            f"asks for {sizes.count_parameters():,} weights, and the weights that are there take {held_bytes:,} bytes.",
            where=str(where),
            fix=_FETCH,
        )


def check_bert_weights(folder: Path, sizes: BertSizes) -> None:
    """Makes sure that a preset's weights are there, in the sizes asked for, before memory is taken for them.

    In keras-hub's form Keras itself compares each weight's shape when it is read.

    Raises:
        PresetError: a tensor is missing, has another shape or no floating point type, or a file lies about itself.
    """
    paths = [folder / name for name in list_weight_files(folder)]
    check_holds_parameters(sizes, sum(path.stat().st_size for path in paths), folder / "config.json")
    if is_hub_form(folder):
        _check_h5_files([path for path in paths if path.suffix == ".h5"])
    else:
        _check_tensors(folder, sizes, _read_hugging_face_tensors(folder))


def _check_h5_files(paths: list[Path]) -> None:
    for path in paths:
        try:
            check_h5_file(path)
        except ValueError as error:
            raise PresetError(
                f"The weights cannot be loaded: {error}", where=str(path), fix=_FETCH
            ) from error


def _check_tensors(folder: Path, sizes: BertSizes, tensors: dict[str, Tensor]) -> None:
    """keras-hub finds a tensor by the end of its name and reshapes what it finds: both must leave no doubt."""
    wrong = []
    if len(tensors) > _MAX_TENSORS:
        wrong.append(f"there are {len(tensors):,} tensors, and may be {_MAX_TENSORS:,}")
        tensors = {}
    for name, shape in list_hugging_face_shapes(sizes, tensors).items():
        found = [name] if name in tensors else [other for other in tensors if other.endswith(name)]
        if len(found) != 1:
            wrong.append(f"{name} is {'there more than once' if found else 'missing'}")
        elif tensors[found[0]].shape != shape or tensors[found[0]].dtype not in _FLOATS:
            dtype, other = tensors[found[0]]
            wrong.append(f"{found[0]} is {dtype} {list(other)}, not floats {list(shape)}")
    if wrong:
        more = f", and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise PresetError(
            f"The weights cannot be loaded: {'; '.join(wrong[:5])[:1000]}{more}.",
            where=str(folder),
            fix=_FETCH,
        )


def list_hugging_face_shapes(sizes: BertSizes, tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a BERT's tensors in Hugging Face's form.

    Args:
        sizes: the BERT's.
        tensors: what is there: layer norms are named in one of two ways.
    """
    hidden, wide = sizes.hidden_dim, sizes.intermediate_dim
    old = any(name.endswith("embeddings.LayerNorm.gamma") for name in tensors)
    scale, shift = ("gamma", "beta") if old else ("weight", "bias")
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (sizes.vocabulary_size, hidden),
        "embeddings.position_embeddings.weight": (sizes.max_sequence_length, hidden),
        "embeddings.token_type_embeddings.weight": (sizes.num_segments, hidden),
    }
    norms, dense = ["embeddings.LayerNorm"], {"pooler.dense": (hidden, hidden)}
    for index in range(sizes.num_layers):
        layer = f"encoder.layer.{index}"
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            dense[f"{layer}.attention.{part}"] = (hidden, hidden)
        dense |= {f"{layer}.intermediate.dense": (wide, hidden), f"{layer}.output.dense": (hidden, wide)}
    for norm in norms:
        shapes |= {f"{norm}.{scale}": (hidden,), f"{norm}.{shift}": (hidden,)}
    for name, shape in dense.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def _read_hub_config(config: dict[str, Any], path: Path) -> dict[str, Any]:
    name, given = config.get("registered_name"), config.get("config")
    if name not in _HUB_CLASSES:
        raise _refuse_architecture(config.get("class_name") or name, path)
    if not isinstance(given, dict):
        raise PresetError("holds no sizes under `config`.", where=str(path), fix=_FETCH)
    unknown = sorted(set(given) - _HUB_KEYS)
    if unknown:
        raise PresetError(
            f"holds what BertBackbone does not know: {', '.join(unknown)[:200]}.",
            where=str(path),
            fix=_FETCH,
        )
    return given


def _read_size(given: dict[str, Any], key: str, name: str, path: Path) -> int:
    value, limit = given.get(key, 2 if key == "num_segments" else None), _LIMITS[name]
    if type(value) is not int or not 1 <= value <= limit:
        raise PresetError(
            f"{key} is {_show(value)}; a BERT's is a whole number from 1 to {limit:,}.",
            where=str(path),
            fix=_FETCH,
        )
    return value


def _read_dropout(value: Any, path: Path) -> float:
    if type(value) not in (int, float) or not 0 <= value < 1:
        raise PresetError(f"dropout is {_show(value)}; it is from 0 to below 1.", where=str(path), fix=_FETCH)
    return float(value)


def _refuse_architecture(name: Any, path: Path) -> PresetError:
    return PresetError(
        f"The preset is a {str(name)[:60]}; text classification trains BERT-family presets.",
        where=str(path.parent),
        fix="See `kerasft presets list` for what can be named.",
    )


def _show(value: Any) -> str:
    return "missing" if value is None else repr(value)[:60]


def _read_hugging_face_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of the preset's safetensors, in one file or in those that an index names."""
    names = list_preset_files(folder)
    index = "model.safetensors.index.json"
    if index not in names:
        return _read_header(folder, "model.safetensors", names)
    weight_map = read_json(folder / index).get("weight_map")
    if not isinstance(weight_map, dict):
        raise PresetError("holds no weight_map.", where=str(folder / index), fix=_FETCH)
    headers = {file: _read_header(folder, file, names) for file in sorted({*map(str, weight_map.values())})}
    return {name: headers[str(file)][name] for name, file in weight_map.items() if name in headers[str(file)]}


def _read_header(folder: Path, file: str, names: list[str]) -> dict[str, Tensor]:
    if file not in names:
        raise PresetError(f"lacks {file[:100]}.", where=str(folder), fix=_FETCH)
    try:
        return read_safetensors_header(folder / file)
    except ValueError as error:
        raise PresetError(
            f"The weights cannot be loaded: {error}", where=str(folder / file), fix=_FETCH
        ) from error
