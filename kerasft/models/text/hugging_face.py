"""A text preset's tensors in Hugging Face's form: found by name, looked at, and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from kerasft.errors import PresetError
from kerasft.models.hubs.folders import list_preset_files, read_json
from kerasft.models.text.sizes import FETCH
from kerasft.models.weights.files import Tensor, read_safetensors_header

_MAX_TENSORS = 10_000
_FLOATS = ("F64", "F32", "F16", "BF16")
_INDEX, _WHOLE = "model.safetensors.index.json", "model.safetensors"


def read_tensor_headers(folder: Path) -> dict[str, Tensor]:
    """All tensors of the preset's safetensors, in one file or in those that an index names; no data are read.

    Raises:
        PresetError: a file is missing, or lies about itself.
    """
    names = list_preset_files(folder)
    if _INDEX not in names:
        return _read_header(folder, _WHOLE, names)
    weight_map = _read_weight_map(folder)
    headers = {file: _read_header(folder, file, names) for file in sorted({*weight_map.values()})}
    return {name: headers[file][name] for name, file in weight_map.items() if name in headers[file]}


def check_tensors(folder: Path, tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Makes sure that each tensor asked for is there once, in floats of its shape.

    Args:
        folder: the preset's, for messages.
        tensors: those that are there.
        shapes: those asked for, by the end of their names: trainers put a prefix before them.

    Raises:
        PresetError: one is not.
    """
    wrong = []
    if len(tensors) > _MAX_TENSORS:
        wrong.append(f"there are {len(tensors):,} tensors, and may be {_MAX_TENSORS:,}")
        tensors = {}
    for name, shape in shapes.items():
        found = _find(name, tensors)
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
            fix=FETCH,
        )


def read_tensors(folder: Path, names: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Each name and the tensor whose name ends so, in float32, one after another; `check_tensors` has found them all.

    Args:
        folder: the preset's.
        names: without their prefix.
    """
    import ml_dtypes  # noqa: F401 (NumPy knows bfloat16 from it)
    from safetensors import safe_open

    places = _read_weight_map(folder) if (folder / _INDEX).is_file() else None
    if places is None:
        places = dict.fromkeys(_read_header(folder, _WHOLE, [_WHOLE]), _WHOLE)
    found = {name: _find(name, places)[0] for name in names}
    for file in sorted({places[full] for full in found.values()}):
        with safe_open(folder / file, framework="np") as tensors:
            for name, full in found.items():
                if places[full] == file:
                    yield name, tensors.get_tensor(full).astype(np.float32)


def _find(name: str, tensors: Mapping[str, object]) -> list[str]:
    return [name] if name in tensors else [other for other in tensors if other.endswith(name)]


def _read_weight_map(folder: Path) -> dict[str, str]:
    weight_map = read_json(folder / _INDEX).get("weight_map")
    if not isinstance(weight_map, dict):
        raise PresetError("holds no weight_map.", where=str(folder / _INDEX), fix=FETCH)
    return {name: str(file) for name, file in weight_map.items()}


def _read_header(folder: Path, file: str, names: list[str]) -> dict[str, Tensor]:
    if file not in names:
        raise PresetError(f"lacks {file[:100]}.", where=str(folder), fix=FETCH)
    try:
        return read_safetensors_header(folder / file)
    except ValueError as error:
        raise PresetError(
            f"The weights cannot be loaded: {error}", where=str(folder / file), fix=FETCH
        ) from error
