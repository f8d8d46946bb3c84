"""Texts: near duplicates are found by character n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.data.config import DataConfig
from kerasft.data.duplicates.grams import GRAM_WEIGHT, LONG_GRAM_WEIGHT, compute_grams
from kerasft.data.duplicates.minhash import compute_signatures
from kerasft.data.duplicates.near import (
    CORPUS_SIMILARITY,
    SIMILARITY,
    NearPairs,
    SignatureFiles,
    find_near_pairs,
)
from kerasft.data.duplicates.normalization import compute_keys, normalize_texts
from kerasft.data.kinds.base import Kind, ReadValue, Signatures
from kerasft.data.kinds.fields import InvalidValue, is_missing, parse_text
from kerasft.data.kinds.text_profile import profile_texts
from kerasft.data.sources.paths import SourceFile
from kerasft.data.store import Payloads, read_text
from kerasft.errors import DataError
from kerasft.progress import Progress
from kerasft.text.raw import check_raw_text


class TextKind(Kind):
    """A string; two are the same where they are after normalising case, space and punctuation."""

    noun = "text"
    quoted = True
    column_of = "text"
    reads_class_names = False
    decoded_by_tfds = False
    may_have_note = True

    def read(self, values: Sequence[Any], file: SourceFile) -> list[ReadValue | InvalidValue]:
        return [_read(value) for value in values]

    def read_missing(self) -> ReadValue:
        return ReadValue(b"")

    def read_input(self, value: Any) -> str:
        if value is None and self.field.optional:
            return ""
        if not isinstance(value, str):
            raise DataError(
                f"the input holds no text{self._as_field} but {value!r:.60}",
                fix="Each input must be a string.",
            )
        if refused := check_raw_text(value):
            raise DataError(refused, fix="Leave the text out, or cut it into parts.")
        return value

    def read_served(self, value: Any) -> str:
        if isinstance(value, bytes):
            if refused := check_raw_text(value):
                raise DataError(refused)
            value = value.decode("utf-8")
        return self.read_input(value)

    def note_input(self, value: Any) -> str:
        return "blank text" if is_missing(value) and not self.field.optional else ""

    def compute_signatures(self, values: Sequence[ReadValue], near: bool) -> tuple[np.ndarray, Any]:
        normalized = normalize_texts([read_text(value.payload) for value in values])
        if not near:
            return compute_keys(normalized), None
        return compute_keys(normalized), compute_signatures(*compute_grams(normalized, self._gram_weight))

    @property
    def _gram_weight(self) -> int:
        return LONG_GRAM_WEIGHT if self.is_of_corpus else GRAM_WEIGHT

    def open_signatures(self, folder: Path) -> Signatures | None:
        return _TextSignatures(folder)

    def find_near_pairs(
        self,
        signatures: Any,
        rows: np.ndarray,
        boundaries: Sequence[int],
        config: DataConfig,
        payloads: Payloads,
        progress: Progress,
    ) -> NearPairs:
        signatures.files.flush()
        default = CORPUS_SIMILARITY if self.is_of_corpus else SIMILARITY
        return find_near_pairs(
            signatures.files,
            rows,
            boundaries,
            config.near_duplicate_similarity or default,
            payloads,
            progress,
            gram_weight=self._gram_weight,
        )

    def profile(self, payloads: Payloads, rows: np.ndarray) -> dict[str, Any]:
        return profile_texts(payloads, rows)

    def list_labelled(self, payload: bytes, label: str) -> list[tuple[str, str]]:
        return [(read_text(payload), label)]

    def build_features(self, label_names: Sequence[str]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        return {self.field.name: tfds.features.Text()}

    def decode(self, stored: Any) -> str:
        return stored.decode("utf-8")


class _TextSignatures(Signatures):
    def __init__(self, folder: Path):
        self.files = SignatureFiles(folder)

    def __exit__(self, *exception: object) -> None:
        self.files.__exit__(*exception)

    def append(self, signatures: Any) -> None:
        self.files.append(*signatures)


def _read(value: Any) -> ReadValue | InvalidValue:
    try:
        return ReadValue(parse_text(value).encode("utf-8"))
    except InvalidValue as error:
        return error


KindClass = TextKind
