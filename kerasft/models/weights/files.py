"""What a weights file claims, looked at before anything is read from it: tensors' names, types and shapes."""

from __future__ import annotations

import json
import math
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerasft.errors import PresetError, storage_error

_MAX_ITEMS = 100_000
"""Groups and datasets of an HDF5 file; no net has so many."""
MAX_HEADER_BYTES = 8 << 20
"""Of a safetensors file; a thousand tensors take about a hundredth of it."""


class Tensor(NamedTuple):
    """A tensor as its file's header describes it."""

    dtype: str
    """F32, BF16, I64, …"""
    shape: tuple[int, ...]


def is_cut_short(path: Path) -> bool:
    """Whether a safetensors file ends before its header says.

    Source: the safetensors format: 8 bytes with the header's length, the header as JSON, then the data.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        if size < 8 or 8 + header_bytes > size:
            return True
        if header_bytes > MAX_HEADER_BYTES:
            return False
        try:
            header = json.loads(file.read(header_bytes))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return bool(8 + header_bytes + max(ends, default=0) > size)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return False


def read_safetensors_header(path: Path) -> dict[str, Tensor]:
    """The tensors that a safetensors file holds, by name; their data are not read.

    Raises:
        ValueError: the header is too large or malformed, or its offsets overlap, leave gaps or lead out of the file.
    """
    from safetensors import SafetensorError, safe_open

    with open(path, "rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
    if header_bytes > MAX_HEADER_BYTES:
        raise ValueError(f"its header has {header_bytes:,} bytes, and may have {MAX_HEADER_BYTES:,}")
    try:
        with safe_open(path, framework="np") as tensors:
            slices = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 (no mapping)
            return {name: Tensor(each.get_dtype(), tuple(each.get_shape())) for name, each in slices.items()}
    except (SafetensorError, OSError, RecursionError) as error:
        raise ValueError(str(error)) from error


def check_h5_file(path: Path) -> None:
    """Refuses an HDF5 file whose data lie elsewhere, or take more memory than the file has bytes.

    Keras' weights are stored as they are, so that a dataset that is larger than its file is none of Keras'.

    Raises:
        ValueError: it is such a file, or no HDF5.
    """
    import h5py

    size = path.stat().st_size

    def check(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.external or item.is_virtual:
            raise ValueError(f"the data of {name} lie in another file")
        claimed = math.prod(item.shape or ()) * item.dtype.itemsize
        if claimed > size:
            raise ValueError(f"{name} claims {claimed:,} bytes, and the file has {size:,}")

    try:
        with h5py.File(path, "r") as file:
            _check_no_links(file)
            file.visititems(check)
    except (OSError, KeyError, RuntimeError, TypeError) as error:
        raise ValueError(str(error)) from error


def _check_no_links(file: Any) -> None:
    """Refuses an HDF5 file with links to elsewhere, or with more groups and datasets than any net has.

    Raises:
        ValueError: it has.
    """
    import h5py

    groups, items = [file], 0
    while groups:
        group = groups.pop()
        for name in group:
            items += 1
            if items > _MAX_ITEMS:
                raise ValueError(f"it has more than {_MAX_ITEMS:,} groups and datasets")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{group.name}/{name} is a link to elsewhere, which is not followed")
            # a hard link may lead back up: each group is opened once by its depth
            if group.get(name, getclass=True) is h5py.Group:
                if group.name.count("/") > 32:
                    raise ValueError("its groups stand inside each other too deep")
                groups.append(group[name])


def check_finite(model: Any, where: Path) -> None:
    """Makes sure that a Keras model's weights are numbers.

    Raises:
        PresetError: one holds NaN or infinity.
    """
    for variable in model.weights:
        if not np.isfinite(np.sum(variable.numpy())):
            raise PresetError(
                f"The weight {variable.path} holds numbers that are not finite.",
                where=str(where),
                fix="The file is damaged or comes from a training that diverged: fetch it again, or train it again.",
            )


@contextmanager
def naming_damage(path: Path, what: str, fix: str) -> Iterator[None]:
    """What HDF5, zip files and Keras meet in a file that cannot be used is told of as one thing.

    Args:
        path: the file.
        what: that cannot be loaded: "model" or "weights".
        fix: what to do.

    Raises:
        PresetError: the file is damaged, or of something else.
        StorageError: there was no room to unpack it.
    """
    try:
        yield
    except (
        ValueError, OSError, LookupError, TypeError, AttributeError, EOFError, RuntimeError,
        zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        # where the weights are unpacked there may be no room: that is no damage
        storage = storage_error(error, tempfile.gettempdir())
        if storage is not None:
            raise storage from error
        cause = error.args[0] if isinstance(error, KeyError) else error
        raise PresetError(
            f"The {what} cannot be loaded: {str(cause)[:1000]}", where=str(path), fix=fix
        ) from error
