"""State dicts written as PyTorch writes them, without PyTorch: both of its forms, and files that lie."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import ml_dtypes
import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
STORAGES = {
    "float64": "Double", "float32": "Float", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long",
    "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool",
}  # fmt: skip
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


class Global:
    """A function or class that a pickle names; it need not be there to be named."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    def __call__(self) -> None:
        """Only what can be called can be pickled as called."""


class Call:
    """Pickled as a call of anything."""

    def __init__(self, function: Any, *arguments: Any):
        self.made = function, arguments

    def __reduce__(self) -> Any:
        return self.made


class Stored:
    """Numbers in a file, and what the pickle says of them.

    Args:
        numbers: they themselves.
        key: their name in the file.
        claims: how many the pickle says there are; None for the truth.
        kind: the storage's class, without "Storage"; None for the right one.
    """

    def __init__(self, numbers: np.ndarray, key: str, claims: int | None = None, kind: str | None = None):
        self.numbers, self.key = numbers, key
        self.claims = numbers.size if claims is None else claims
        self.kind = kind or STORAGES[numbers.dtype.name]


class Tensor:
    """A part of a storage, pickled as `torch._utils._rebuild_tensor_v2` makes it, or as a parameter of that."""

    def __init__(
        self,
        storage: Stored,
        shape: tuple[int, ...],
        strides: tuple[int, ...] | None = None,
        offset: int = 0,
        is_parameter: bool = False,
    ):
        self.storage, self.shape, self.offset, self.is_parameter = storage, shape, offset, is_parameter
        plain = np.cumprod([1, *shape[:0:-1]])[::-1].tolist() if shape else []
        self.strides = tuple(plain) if strides is None else strides


class _Pickler(pickle._Pickler):  # Python's own in Python, which can be added to
    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def __init__(self, file: io.BytesIO, older: bool):
        super().__init__(file, 2)
        self.older = older

    def save_global_mark(self, each: Global) -> None:
        self.write(f"c{each.module}\n{each.name}\n".encode())
        self.memoize(each)

    dispatch[Global] = save_global_mark

    def persistent_id(self, each: Any) -> Any:
        if not isinstance(each, Stored):
            return None
        pointer = ("storage", Global("torch", f"{each.kind}Storage"), each.key, "cpu", each.claims)
        return (*pointer, None) if self.older else pointer

    def reducer_override(self, each: Any) -> Any:
        if not isinstance(each, Tensor):
            return NotImplemented
        made = (each.storage, each.offset, each.shape, each.strides, False, OrderedDict())
        rebuild = Global("torch._utils", "_rebuild_tensor_v2")
        if not each.is_parameter:
            return rebuild, made
        plain = Tensor(each.storage, each.shape, each.strides, each.offset)
        return Global("torch._utils", "_rebuild_parameter"), (plain, True, OrderedDict())


def pickle_object(content: Any, *, older: bool = False) -> bytes:
    """As PyTorch pickles it."""
    file = io.BytesIO()
    _Pickler(file, older).dump(content)
    return file.getvalue()


def make_tensors(arrays: Mapping[str, np.ndarray]) -> OrderedDict[str, Tensor]:
    """A state dict of whole arrays, with the attribute that PyTorch's have."""
    made = OrderedDict(
        (name, Tensor(Stored(array.reshape(-1), str(number)), array.shape))
        for number, (name, array) in enumerate(arrays.items())
    )
    made._metadata = OrderedDict([("", {"version": 1})])
    return made


def list_stored(content: Any) -> list[Stored]:
    """The storages in what is saved, each once."""
    if isinstance(content, Tensor):
        return [content.storage]
    values: Iterable[Any] = content.values() if isinstance(content, dict) else ()
    return list({id(each): each for value in values for each in list_stored(value)}.values())


def write_archive(
    path: Path, content: Any, *, data: bytes | None = None, compression: int = zipfile.ZIP_STORED
) -> Path:
    """As `torch.save` writes since 1.6; `data` takes the place of the pickle."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickle_object(content) if data is None else data)
        archive.writestr("archive/byteorder", "little")
        for key, numbers in {storage.key: storage.numbers for storage in list_stored(content)}.items():
            archive.writestr(f"archive/data/{key}", numbers.tobytes())
        archive.writestr("archive/version", "3\n")
    return path


def write_older(path: Path, content: Any, *, data: bytes | None = None, system: Any = SYSTEM) -> Path:
    """As `torch.save` wrote before that; `data` takes the place of the pickle."""
    storages = list_stored(content)
    parts = [pickle.dumps(each, 2) for each in (MAGIC, PROTOCOL, system)]
    parts.append(pickle_object(content, older=True) if data is None else data)
    parts.append(pickle.dumps([storage.key for storage in storages], 2))
    for storage in storages:
        parts += [storage.numbers.size.to_bytes(8, "little"), storage.numbers.tobytes()]
    path.write_bytes(b"".join(parts))
    return path


WRITERS = {"archive": write_archive, "older": write_older}
