"""PyTorch's files of state dicts, read as numbers: no PyTorch, and nothing of the pickle in them is run.

A file is a zip archive (PyTorch 1.6 and later), or five pickles followed by the numbers (before that). Its sizes are
claims, which are held against the bytes that are there before anything is read.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.models.weights.torch_pickle import BYTES, MAX_PICKLE_BYTES, Storage, StoredTensor, read_pickle

_PICKLE = "data.pkl"
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_FIRST_BYTE = b"\x80"
"""Of every pickle of protocol 2 or later."""
_NESTED = ("state_dict", "model_state_dict", "model")
"""Where training scripts put the state dict among what else they save."""
_PARALLEL = "module."
"""What torch's DataParallel puts before each name."""


@dataclass(frozen=True)
class TorchFile:
    """A state dict whose pickle was followed; its numbers are read when they are asked for.

    Attributes:
        path: where it is.
        tensors: by name.
        starts: of storages, in bytes from the file's beginning; None for an archive.
        members: of storages: their names in the archive; None for the older form.
    """

    path: Path
    tensors: Mapping[str, StoredTensor]
    starts: Mapping[str, int] | None = None
    members: Mapping[str, str] | None = None

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
        """Each name and its tensor, in the type in which it is stored (bfloat16 by `ml_dtypes`).

        Raises:
            ValueError, OSError, EOFError, zipfile.BadZipFile: the file is damaged there.
        """
        if self.members is not None:
            with zipfile.ZipFile(self.path) as archive:
                for name in names:
                    tensor = self.tensors[name]
                    yield name, _shape(tensor, archive.read(self.members[tensor.storage.key]))
            return
        assert self.starts is not None
        with open(self.path, "rb") as file:
            for name in names:
                tensor = self.tensors[name]
                file.seek(self.starts[tensor.storage.key])
                yield name, _shape(tensor, file.read(_count_bytes(tensor.storage)))


def is_torch_file(path: Path) -> bool:
    """Whether a file looks like one of PyTorch's: an archive with a pickle, or a pickle."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return bool(_find_pickles(archive))
    with open(path, "rb") as file:
        return file.read(1) == _FIRST_BYTE


def open_torch_file(path: Path) -> TorchFile:
    """Follows the pickle of a state dict.

    Raises:
        ValueError: the file is damaged, claims more than it has, or holds something other than a state dict.
        OSError, EOFError, zipfile.BadZipFile: it cannot be read.
    """
    return _open_archive(path) if zipfile.is_zipfile(path) else _open_older(path)


def _open_archive(path: Path) -> TorchFile:
    with zipfile.ZipFile(path) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        pickles = _find_pickles(archive)
        if len(pickles) != 1:
            raise ValueError(f"it holds {len(pickles)} pickles, and PyTorch writes one")
        root = pickles[0].removesuffix(_PICKLE)
        order = infos.get(f"{root}byteorder")
        if order is not None and (order.file_size > 16 or archive.read(order).strip() != b"little"):
            raise ValueError("its numbers are not in the byte order little-endian")
        _check_member(infos[pickles[0]], MAX_PICKLE_BYTES)
        tensors = _find_tensors(read_pickle(io.BytesIO(archive.read(pickles[0]))))
    members, total, size = {}, 0, path.stat().st_size
    for storage in _list_storages(tensors):
        name = f"{root}data/{storage.key}"
        if name not in infos:
            raise ValueError(f"it has no {name[:100]}, which its pickle names")
        claimed = _count_bytes(storage)
        _check_member(infos[name], size)
        if infos[name].file_size != claimed:
            raise ValueError(
                f"its pickle claims {claimed:,} bytes at {name[:100]}, and there are {infos[name].file_size:,}"
            )
        total += claimed
        members[storage.key] = name
    # members may lie on top of each other
    if total > size:
        raise ValueError(f"its tensors claim {total:,} bytes, and the file has {size:,}")
    return TorchFile(path, tensors, members=members)


def _find_pickles(archive: zipfile.ZipFile) -> list[str]:
    return [
        name for name in archive.namelist() if name.split("/")[-1] == _PICKLE and name.count("/") in (0, 1)
    ]


def _check_member(info: zipfile.ZipInfo, limit: int) -> None:
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"its {info.filename[:100]} is compressed, which PyTorch does not do")
    if info.file_size > limit:
        raise ValueError(f"its {info.filename[:100]} claims {info.file_size:,} bytes, more than {limit:,}")


def _open_older(path: Path) -> TorchFile:
    size = path.stat().st_size
    with open(path, "rb") as file:
        content = io.BytesIO(file.read(MAX_PICKLE_BYTES))
        if read_pickle(content) != _MAGIC or read_pickle(content) != _PROTOCOL:
            raise ValueError("it is a pickle, but not one that PyTorch writes for a state dict")
        system = read_pickle(content)
        if type(system) is not dict or system.get("little_endian") is not True:
            raise ValueError("its numbers are not in the byte order little-endian")
        tensors = _find_tensors(read_pickle(content))
        keys = read_pickle(content)
        storages = {storage.key: storage for storage in _list_storages(tensors)}
        if type(keys) is not list or any(type(key) is not str for key in keys) or set(keys) != set(storages):
            raise ValueError("its list of storages is not that of its tensors")
        starts, place = {}, content.tell()
        for key in keys:
            file.seek(place)
            count = int.from_bytes(file.read(8), "little")
            if key in starts or count != storages[key].size:
                raise ValueError(
                    f"its storage {key[:40]} has {count:,} numbers, and its pickle claims {storages[key].size:,}"
                )
            starts[key] = place + 8
            place += 8 + _count_bytes(storages[key])
            if place > size:
                raise ValueError(f"it ends within its storage {key[:40]}")
    return TorchFile(path, tensors, starts=starts)


def _find_tensors(content: Any) -> dict[str, StoredTensor]:
    """The state dict in what was saved; names that begin with `module.` lose that."""
    for key in _NESTED:
        if type(content) is dict and type(content.get(key)) is dict:
            content = content[key]
            break
    if type(content) is not dict or not content:
        raise ValueError("it holds something other than a state dict")
    for name, value in content.items():
        if type(name) is not str or type(value) is not StoredTensor:
            raise ValueError(f"its {str(name)[:100]} is not a tensor")
    if all(name.startswith(_PARALLEL) for name in content):
        return {name.removeprefix(_PARALLEL): tensor for name, tensor in content.items()}
    return content


def _list_storages(tensors: Mapping[str, StoredTensor]) -> list[Storage]:
    """Each storage once.

    Raises:
        ValueError: two tensors say different things about one.
    """
    found: dict[str, Storage] = {}
    for tensor in tensors.values():
        if found.setdefault(tensor.storage.key, tensor.storage) != tensor.storage:
            raise ValueError(f"its tensors disagree about the storage {tensor.storage.key[:40]}")
    return list(found.values())


def _count_bytes(storage: Storage) -> int:
    return storage.size * BYTES[storage.dtype]


def _shape(tensor: StoredTensor, data: bytes) -> np.ndarray:
    """A tensor out of its storage's bytes; its bounds were checked when the pickle was read."""
    if len(data) != _count_bytes(tensor.storage):
        raise ValueError(f"it ends within its storage {tensor.storage.key[:40]}")
    numbers = np.frombuffer(data, _find_dtype(tensor.storage.dtype))[tensor.offset :]
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers, tensor.shape, strides, writeable=False).copy()


def _find_dtype(name: str) -> np.dtype:
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)
