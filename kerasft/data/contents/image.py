"""Pictures as the content of examples: read by their files, near duplicates by perceptual hash."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.data.config import DataConfig
from kerasft.data.contents.base import Content, Signatures
from kerasft.data.fields import InvalidValue, describe_value
from kerasft.data.near_duplicates import NO_PAIRS, NearPairs
from kerasft.data.sources.paths import SourceFile
from kerasft.data.store import RowStore
from kerasft.errors import StorageError
from kerasft.progress import Progress
from kerasft.vision.files import check_picture, read_picture
from kerasft.vision.pictures import InvalidPicture, Picture

_READERS = 4
"""Threads that read and check at once; decoding lets go of Python's lock."""


class ImageContent(Content):
    """A picture's file, as JPEG or PNG; two are the same where their upright pixels are."""

    noun = "picture"
    quoted = False
    named = True

    def read(self, values: Sequence[Any], file: SourceFile) -> list[tuple[bytes, str, str] | InvalidValue]:
        with ThreadPoolExecutor(_READERS, thread_name_prefix="pictures") as readers:
            return list(readers.map(lambda value: self._read(value, file), values))

    def _read(self, value: Any, file: SourceFile) -> tuple[bytes, str, str] | InvalidValue:
        try:
            picture = self._open(value, file)
        except InvalidPicture as error:
            return InvalidValue(error.reason, error.detail)
        note = picture.converted or picture.misnamed or ""
        return picture.data, self.name_value(value, file), note

    def _open(self, value: Any, file: SourceFile) -> Picture:
        if isinstance(value, Mapping):  # Hugging Face's way: a file's bytes, its path, or both
            value = value["bytes"] if value.get("bytes") is not None else value.get("path")
        if isinstance(value, bytes):
            return check_picture(value, "")
        if isinstance(value, str):
            value = _find_path(value, file)
        if not isinstance(value, Path):
            raise InvalidPicture("no picture named", f"found {describe_value(value)}")
        try:
            return read_picture(value, follow_links=True)
        except StorageError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise InvalidPicture("no picture named", "the path is too long to be one") from None
            raise

    def name_value(self, value: Any, file: SourceFile) -> str:
        if isinstance(value, Path):
            value = f"{file.name}/{value.relative_to(file.path).as_posix()}"
        elif isinstance(value, Mapping):
            value = value.get("path")
        # file names may hold bytes that are no text
        return os.fsencode(value).decode("utf-8", "backslashreplace") if _is_spelled(value) else ""

    def look_at(self, payloads: Sequence[bytes], near: bool) -> tuple[np.ndarray, Any]:
        import hashlib

        keys = [int.from_bytes(hashlib.sha256(payload).digest()[:8], "little") for payload in payloads]
        return np.array(keys, np.uint64), None

    def open_signatures(self, folder: Path) -> Signatures:
        return _PictureSignatures()

    def find_near_pairs(
        self,
        signatures: Any,
        rows: np.ndarray,
        boundaries: Sequence[int],
        config: DataConfig,
        store: RowStore,
        progress: Progress,
    ) -> NearPairs:
        return NO_PAIRS

    def build_feature(self) -> Any:
        import tensorflow_datasets as tfds

        return tfds.features.Image(shape=(None, None, 3))

    def decode(self, stored: Any) -> bytes:
        return bytes(stored)


def _find_path(text: str, file: SourceFile) -> Path:
    """What a path in a list of pictures means: relative ones start from the list's folder."""
    text = text.strip()
    if not text:
        raise InvalidPicture("no picture named", "the path is empty")
    if "\0" in text or not _is_spelled(text):
        raise InvalidPicture("no picture named", "the path holds characters that no file name can")
    return file.path.parent / text


def _is_spelled(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(os.fsencode(text))
    except UnicodeEncodeError:
        return False


class _PictureSignatures(Signatures):
    def __init__(self) -> None:
        self.parts: list[Any] = []

    def __exit__(self, *exception: object) -> None:
        self.parts.clear()

    def append(self, signatures: Any) -> None:
        self.parts.append(signatures)


ContentClass = ImageContent
