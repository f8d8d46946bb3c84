"""Finite numbers: ratings, scores, prices, and other quantities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from kerasft.data.kinds.base import Kind, ReadValue
from kerasft.data.kinds.fields import INVISIBLE, InvalidValue, describe_value
from kerasft.data.sources.paths import SourceFile
from kerasft.data.store import Payloads
from kerasft.errors import DataError

_LARGEST = float(np.finfo(np.float32).max)


def parse_number(value: Any) -> float:
    """A number, or the number that a text spells with a decimal point; white space around it is dropped.

    Raises:
        InvalidValue: there is none, it is something else, is not finite, or is too large for float32.
    """
    if isinstance(value, str):
        text = value.strip(INVISIBLE)
        if not text:
            raise InvalidValue("missing number")
        try:
            value = float(text) if "_" not in text else None
        except ValueError:
            value = None
        if value is None:
            raise InvalidValue("not a number", f"found {text[:50]!r}")
    if value is None:
        raise InvalidValue("missing number", "found null")
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise InvalidValue("not a number", f"found {describe_value(value)}")
    try:
        number = float(value)
    except (OverflowError, ValueError):
        number = math.inf
    if not math.isfinite(number):
        raise InvalidValue("number is not finite", str(value)[:50])
    if abs(number) > _LARGEST:
        raise InvalidValue("number too large", f"{number:g}; at most {_LARGEST:.2g} is kept")
    return number


class NumberKind(Kind):
    """A finite number, kept as float32: TFDS' records hold no other floats, and Keras learns from no other."""

    noun = "number"
    reads_class_names = False
    column_type = np.float32

    def read(self, values: Sequence[Any], file: SourceFile) -> list[ReadValue | InvalidValue]:
        return [_read(value) for value in values]

    def read_input(self, value: Any) -> float:
        if isinstance(value, np.number):
            value = value.item()
        try:
            return float(np.float32(parse_number(value)))
        except InvalidValue as error:
            message = f"{error.reason}: {error.detail}" if error.detail else error.reason
            raise DataError(f"{message}{self._as_field}", fix="Each input must be a number.") from error

    def build_features(self, label_names: Sequence[str]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        return {self.field.name: tfds.features.Scalar(np.float32)}

    def unpack(self, payload: bytes) -> dict[str, Any]:
        return {self.field.name: np.frombuffer(payload, np.float32)[0]}

    def decode(self, stored: Any) -> float:
        # the shortest decimal that is this float32: 0.1, and not 0.10000000149011612
        return float(str(np.float32(stored)))

    def build_column(self, payloads: Payloads, rows: np.ndarray) -> np.ndarray:
        return payloads.read_numbers(np.float32)[rows]

    def summarize(self, column: np.ndarray) -> dict[str, float]:
        """Its mean, standard deviation, least and greatest value."""
        if not len(column):
            return {}
        least, most = self.decode(column.min()), self.decode(column.max())
        column = column.astype(np.float64)
        return {"mean": float(column.mean()), "std": float(column.std()), "min": least, "max": most}


def _read(value: Any) -> ReadValue | InvalidValue:
    try:
        # 0.0 and -0.0 are one number
        return ReadValue(np.float32(parse_number(value) + 0.0).tobytes())
    except InvalidValue as error:
        return error


KindClass = NumberKind
