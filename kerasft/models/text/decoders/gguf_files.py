"""GGUF files: metadata and tensors in one file, read as data.

The header is read here, with bounds: the library `gguf` takes seconds for a vocabulary of 50,000 tokens. The library
knows the many forms in which numbers are stored.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.errors import PresetError
from kerasft.models.text.decoders.gguf_header import StoredTensor, read_header
from kerasft.models.text.sizes import FETCH

if TYPE_CHECKING:
    from kerasft.models.text.decoders.families import DecoderFamily
    from kerasft.models.text.decoders.sizes import DecoderSizes


def is_gguf(preset: Path) -> bool:
    """Whether a preset is one file of this form."""
    return preset.suffix.lower() == ".gguf" and preset.is_file()


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file whose header was read.

    Attributes:
        path: where it is.
        metadata: its keys and values.
        tensors: by name.
    """

    path: Path
    metadata: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor]

    @functools.cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each tensor's name → its shape, rows first."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}

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
            PresetError: the file ends before a tensor does, the tensor is stored in a way that the library does not
                read, or the library is not installed.
        """
        if importlib.util.find_spec("gguf") is None:
            raise PresetError(
                "needs the package gguf, which is not installed.",
                where=str(self.path),
                fix="pip install 'kerasft[gguf]'",
            )
        content = np.memmap(self.path, np.uint8, "r")
        for name in names:
            yield name, self._read_tensor(name, self.tensors[name], content)

    def _read_tensor(self, name: str, tensor: StoredTensor, content: np.ndarray) -> np.ndarray:
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize

        try:
            kind = GGMLQuantizationType(tensor.kind)
            block, block_bytes = GGML_QUANT_SIZES[kind]
            row_bytes = tensor.shape[-1] // block * block_bytes
            end = tensor.offset + math.prod(tensor.shape[:-1]) * row_bytes
            if tensor.shape[-1] % block or end > len(content):
                raise PresetError(f"The file ends before {name} does.", where=str(self.path), fix=FETCH)
            rows = content[tensor.offset : end].reshape(*tensor.shape[:-1], row_bytes)
            return np.asarray(dequantize(rows, kind), np.float32).reshape(tensor.shape)
        except (ValueError, KeyError, NotImplementedError) as error:
            raise PresetError(
                f"{name} is stored in a way that cannot be read ({str(error)[:200]}).",
                where=str(self.path),
                fix="Choose a file in another quantisation, such as Q8_0 or F16.",
            ) from error


def open_gguf(path: Path) -> GgufFile:
    """Reads a file's header. The last one is kept, as long as the file stays as it is.

    Raises:
        PresetError: it is damaged.
    """
    try:
        state = path.stat()
        return _open(path, state.st_mtime_ns, state.st_size)
    except (ValueError, OSError) as error:
        raise PresetError(
            f"The file cannot be read: {str(error)[:300]}.", where=str(path), fix=FETCH
        ) from error


@functools.lru_cache(maxsize=1)
def _open(path: Path, modified: int, size: int) -> GgufFile:
    return GgufFile(path, *read_header(path))
