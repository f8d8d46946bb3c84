"""Opens the users' files for reading: plain, or compressed with gzip, xz or Zstandard, which their first bytes say."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from kerasft.data.sources.paths import SourceFile
from kerasft.errors import DataError

_MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "Zstandard"}
_EXPANDS = 250
"""Text is compressed to a tenth, tables of few different rows to a hundredth: what expands further is a bomb."""
_SURE_AFTER_BYTES = 64 << 20


class ByteReader:
    """The bytes of a file, decompressed; memory stays flat whatever its size.

    Args:
        file: which, for messages.
        raw: the open file.
    """

    def __init__(self, file: SourceFile, raw: BinaryIO):
        self._file, self._raw = file, raw
        start = raw.read(max(map(len, _MAGIC)))
        raw.seek(0)
        self._format = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), "")
        self._stream: IO[bytes] = _decompress(raw, file.path, self._format)
        self._read = self._reported = 0

    def read(self, size: int) -> bytes:
        """The next bytes, `size` where there are so many; empty at the end.

        Raises:
            DataError: compressed data is damaged, or expands too far.
        """
        if not self._format:
            data = self._stream.read(size)
        else:
            try:
                data = self._stream.read(size)
            except (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise DataError(
                    f"The {self._format} data is cut short or damaged ({error}).",
                    where=self._file.name,
                    fix="Copy or download the file again.",
                ) from error
            self._check_size()
        self._read += len(data)
        return data

    def _check_size(self) -> None:
        if self._read > _SURE_AFTER_BYTES and self._read > _EXPANDS * self._raw.tell():
            raise DataError(
                f"The {self._format} data expands to more than {_EXPANDS} times its size.",
                where=self._file.name,
                fix="If it is what it should be, decompress it and name the result.",
            )

    def take_size(self) -> int:
        """Bytes of the file itself that were read since this was last asked."""
        place = self._raw.tell() if self._format else self._read
        size, self._reported = place - self._reported, place
        return size


def _decompress(raw: BinaryIO, path: Path, format: str) -> Any:
    if format == "gzip":
        return gzip.GzipFile(fileobj=raw)
    if format == "xz":
        return lzma.LZMAFile(raw)
    if format == "Zstandard":
        import pyarrow

        return pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, mode="r"), "zstd")
    return raw


@contextmanager
def open_bytes(file: SourceFile) -> Iterator[ByteReader]:
    """Opens a file for reading from its start to its end."""
    with open(file.path, "rb") as raw:
        yield ByteReader(file, raw)
