"""GGUF files: metadata and tensors in one file, read with the library `gguf` as data.

Source: the GGUF format, as llama.cpp's library reads it.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.errors import PresetError
from kerasft.models.text.sizes import FETCH

if TYPE_CHECKING:
    from kerasft.models.text.decoders.families import DecoderFamily
    from kerasft.models.text.decoders.sizes import DecoderSizes

_MAGIC = b"GGUF"
_MAX_COUNT = 10_000
"""Of tensors, and of keys in the metadata."""
_DAMAGE = (ValueError, LookupError, TypeError, ArithmeticError, MemoryError, OSError)


def is_gguf(preset: Path) -> bool:
    """Whether a preset is one file of this form."""
    return preset.suffix.lower() == ".gguf" and preset.is_file()


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file whose header was read.

    Attributes:
        path: where it is.
        metadata: its keys and values.
        tensors: by name, as the library describes them.
    """

    path: Path
    metadata: Mapping[str, Any]
    tensors: Mapping[str, Any]

    @functools.cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each tensor's name → its shape, rows first."""
        return {
            name: tuple(int(size) for size in reversed(tensor.shape)) for name, tensor in self.tensors.items()
        }

    def read_sizes(self, family: DecoderFamily) -> DecoderSizes:
        """The sizes of the net.

        Raises:
            PresetError: one is missing, or not to be believed.
        """
        try:
            return family.read_gguf_sizes(self.metadata, self.shapes)
        except KeyError as error:
            raise PresetError(f"lacks {error.args[0]}.", where=str(self.path), fix=FETCH) from error
        except (ValueError, TypeError, ArithmeticError, IndexError) as error:
            raise PresetError(f"{error}.", where=str(self.path), fix=FETCH) from error

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Makes sure that each tensor asked for is there, in its shape.

        Raises:
            PresetError: one is not.
        """
        wrong = [
            f"{name} is {list(self.shapes[name])}, not {list(shape)}"
            if name in self.shapes
            else f"{name} is missing"
            for name, shape in shapes.items()
            if self.shapes.get(name) != shape
        ]
        if wrong:
            more = f", and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise PresetError(
                f"The weights cannot be loaded: {'; '.join(wrong[:5])[:1000]}{more}.",
                where=str(self.path),
                fix=FETCH,
            )

    def read(self, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
        """Each name and its tensor in float32, one after another.

        Raises:
            PresetError: it is stored in a way that the library does not read.
        """
        from gguf import dequantize

        for name in names:
            tensor = self.tensors[name]
            try:
                value = dequantize(tensor.data, tensor.tensor_type)
            except NotImplementedError as error:
                raise PresetError(
                    f"{name} is stored as {tensor.tensor_type.name}, which cannot be read.",
                    where=str(self.path),
                    fix="Choose a file in another quantisation, such as Q8_0 or F16.",
                ) from error
            yield name, np.asarray(value, np.float32).reshape(self.shapes[name])


def open_gguf(path: Path) -> GgufFile:
    """Reads a file's header. The last one is kept, as long as the file stays as it is.

    Raises:
        PresetError: it is damaged, or the library is not installed.
    """
    if importlib.util.find_spec("gguf") is None:
        raise PresetError(
            "needs the package gguf, which is not installed.",
            where=str(path),
            fix="pip install 'kerasft[gguf]'",
        )
    try:
        with open(path, "rb") as file:
            header = file.read(24)
        counts = [int.from_bytes(header[start : start + 8], "little") for start in (8, 16)]
        if len(header) < 24 or header[:4] != _MAGIC or max(counts) > _MAX_COUNT:
            raise ValueError("it does not begin as a GGUF file does")
        state = path.stat()
        return _open(path, state.st_mtime_ns, state.st_size)
    except _DAMAGE as error:
        cause = f"{type(error).__name__}: {str(error)[:300]}"
        raise PresetError(f"The file cannot be read ({cause}).", where=str(path), fix=FETCH) from error


@functools.lru_cache(maxsize=1)
def _open(path: Path, modified: int, size: int) -> GgufFile:
    from gguf import GGUFReader

    reader = GGUFReader(path, "r")
    metadata = {name: _make_plain(field.contents()) for name, field in reader.fields.items()}
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    return GgufFile(path, metadata, tensors)


def _make_plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
