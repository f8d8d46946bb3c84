"""Pictures: read from files; near duplicates are found by perceptual hash."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.data.config import DataConfig
from kerasft.data.duplicates.near import NearPairs
from kerasft.data.kinds.base import Kind, ReadValue, Signatures
from kerasft.data.kinds.fields import InvalidValue, describe_value
from kerasft.data.sources.paths import SourceFile, locate, name_member
from kerasft.data.store import Payloads
from kerasft.errors import DataError, StorageError
from kerasft.progress import Progress
from kerasft.vision.duplicates.hashing import (
    COLOUR_SIDE,
    GREY_SIDE,
    PictureHashes,
    compute_hash,
    stack_hashes,
)
from kerasft.vision.duplicates.similar import SIMILARITY, find_similar
from kerasft.vision.files.reading import check_picture, read_picture_file
from kerasft.vision.pictures import InvalidPicture


def build_refusal(error: InvalidPicture, name: str) -> DataError:
    """For people: why a picture that a model is asked about has no answer."""
    detail = f": {error.detail}" if error.detail else ""
    return DataError(f"{error.reason}{detail}", where=name, fix="Leave the file out.")


_READERS = 4
"""Threads that read and check at once; decoding lets go of Python's lock."""


class ImageKind(Kind):
    """A picture's file, as JPEG or PNG; two are the same where their upright pixels are."""

    noun = "picture"
    named = True
    column_of = "pictures"
    reads_class_names = False
    decoded_by_tfds = False  # a picture's bytes are wanted, not its pixels
    is_file = True

    def read(self, values: Sequence[Any], file: SourceFile) -> list[ReadValue | InvalidValue]:
        with ThreadPoolExecutor(_READERS, thread_name_prefix="pictures") as readers:
            return list(readers.map(lambda value: self._read(value, file), values))

    def _read(self, value: Any, file: SourceFile) -> ReadValue | InvalidValue:
        try:
            picture = check_picture(*read_file(value, file))
        except InvalidPicture as error:
            return InvalidValue(error.reason, error.detail)
        note = picture.converted or picture.misnamed or ""
        name = self.name_value(value, file)
        size_px = picture.height, picture.width
        signature = compute_hash(picture)
        return ReadValue(picture.data, name, note, signature, size_px=size_px, orientation=picture.turned)

    def read_input(self, value: Any) -> bytes:
        if not isinstance(value, str | Path):
            message = "the bytes of a file" if isinstance(value, bytes) else f"{value!r:.60}"
            raise DataError(
                f"the input names no picture{self._as_field} but {message}", fix="Each must be a file's path."
            )
        try:
            return _read_named(find_path(str(value), Path()))
        except InvalidPicture as error:
            raise build_refusal(error, str(value)[:1000]) from error

    def read_served(self, value: Any) -> bytes:
        return bytes(value)

    def name_value(self, value: Any, file: SourceFile) -> str:
        if isinstance(value, Path):
            value = name_member(value, file)
        elif isinstance(value, Mapping):
            value = value.get("path")
        # file names may hold bytes that are no text
        return os.fsencode(value).decode("utf-8", "backslashreplace") if _is_spelled(value) else ""

    def compute_signatures(self, values: Sequence[ReadValue], near: bool) -> tuple[np.ndarray, Any]:
        hashes = stack_hashes(value.signature for value in values)
        return hashes.keys, (hashes.greys, hashes.colours)

    def open_signatures(self, folder: Path) -> Signatures | None:
        return _PictureSignatures(folder)

    def find_near_pairs(
        self,
        signatures: Any,
        rows: np.ndarray,
        boundaries: Sequence[int],
        config: DataConfig,
        payloads: Payloads,
        progress: Progress,
    ) -> NearPairs:
        similarity = config.near_duplicate_similarity or SIMILARITY
        hashes = signatures.read(payloads.read_keys())
        return NearPairs(*find_similar(hashes, rows, boundaries, similarity, progress))

    def build_features(self, label_names: Sequence[str]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        return {self.field.name: tfds.features.Image(shape=(None, None, 3))}

    def decode(self, stored: Any) -> bytes:
        return bytes(stored)


def read_file(value: Any, file: SourceFile) -> tuple[bytes, str]:
    """A picture's file and its name, from its bytes, its path, or an object with either.

    Raises:
        InvalidPicture: there is none, or it cannot be read.
        StorageError: the disk fails.
    """
    if isinstance(value, Mapping):  # Hugging Face's way: a file's bytes, its path, or both
        value = value["bytes"] if value.get("bytes") is not None else value.get("path")
    if isinstance(value, bytes):
        return value, ""
    if isinstance(value, str):
        value = find_path(value, file.path.parent)
    if not isinstance(value, Path):
        raise InvalidPicture("no picture named", f"found {describe_value(value)}")
    return _read_named(value), value.name


def _read_named(path: Path) -> bytes:
    if "\0" in str(path) or not _is_spelled(str(path)):
        raise InvalidPicture("no picture named", "the path holds characters that no file name can")
    try:
        return read_picture_file(path, follow_links=True)
    except StorageError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidPicture("no picture named", "the path is too long to be one") from None
        raise


def find_path(text: str, folder: Path) -> Path:
    """What a path in a list of pictures means: relative ones start from the list's folder.

    Raises:
        InvalidPicture: it is empty.
    """
    path = locate(text, folder)
    if not path:
        raise InvalidPicture("no picture named", "the path is empty")
    return Path(path)


def _is_spelled(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(os.fsencode(text))
    except UnicodeEncodeError:
        return False


class _PictureSignatures(Signatures):
    """Thumbnails on disk, a kilobyte a picture."""

    def __init__(self, folder: Path):
        self._stack = ExitStack()
        self._paths = [folder / "greys.uint8", folder / "colours.uint8"]
        self._files = [self._stack.enter_context(path.open("wb")) for path in self._paths]

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def append(self, signatures: Any) -> None:
        for file, values in zip(self._files, signatures, strict=True):
            file.write(np.ascontiguousarray(values).data)

    def read(self, keys: np.ndarray) -> PictureHashes:
        """Memory-mapped."""
        for file in self._files:
            file.flush()
        greys, colours = (np.memmap(path, np.uint8, "r") for path in self._paths)
        return PictureHashes(
            keys,
            greys.reshape(-1, GREY_SIDE, GREY_SIDE),
            colours.reshape(-1, COLOUR_SIDE, COLOUR_SIDE, 2),
        )


KindClass = ImageKind
