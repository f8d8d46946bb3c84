"""TFDS features as the columns of fields: where they lie, what they must be, values as other formats give them."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from kerasft.data.config import TfdsSource
from kerasft.data.kinds import load_kind_class
from kerasft.data.kinds.fields import Field, InvalidValue, may_lack_column
from kerasft.data.kinds.tagging import zip_lists
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.picture_boxes import PictureBoxes
from kerasft.errors import DataError

_SHOWN_FEATURES = 20


class Column:
    """What an example of a TFDS dataset holds for one of the task's fields.

    Args:
        file: the dataset.
        source: says which feature it is.
        field: the task's.
        features: the dataset's.

    Attributes: `is_lacking` says whether there is none, as of an optional field.

    Raises:
        DataError: there is no such feature, or it holds another kind of thing.
    """

    def __init__(self, file: SourceFile, source: TfdsSource, field: Field, features: Any):
        path = source.columns.get(field.name, field.name)
        self._parts = [path] if path in features else path.split(".")
        kind = load_kind_class(field.kind)
        self._picture = kind.column_of == "pictures"
        feature = _find(features, self._parts)
        self.is_lacking = feature is None and may_lack_column(field, source.columns)
        self._classes = None
        self._shares: str | None = None
        if self.is_lacking:
            return
        if feature is None:
            raise _build_missing_error(file, field, path, features)
        _check_kind(file, field, path, feature)
        self._classes = _collect_classes(feature) if kind.reads_class_names else None
        self._shares = _find_shares(feature) if kind.in_pixels and not self._picture else None

    @property
    def name(self) -> str:
        """The feature that it lies in."""
        return self._parts[0]

    @property
    def decoders(self) -> dict[str, Any]:
        """What leaves a picture as it is stored; nothing for anything else."""
        if not self._picture or self.is_lacking:
            return {}
        decoder: Any = tfds.decode.SkipDecoding()
        for part in reversed(self._parts):
            decoder = {part: decoder}
        return decoder

    def read(self, example: dict[str, Any]) -> Any:
        """The value: bytes of a picture; text, numbers and lists of Python's; a class by its name.

        Raises:
            InvalidValue: it is no text in UTF-8, or no class of the dataset.
        """
        if self.is_lacking:
            return None
        value: Any = example
        for part in self._parts:
            value = value[part]
        if self._picture:
            return bytes(value)
        converted = _convert(value, self._classes)
        return converted if self._shares is None else _take_shares(converted, self._shares)


def _convert(value: Any, classes: Any) -> Any:
    """Python's values; classes by their names."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list):
        return [_convert(item, classes) for item in value]
    if isinstance(value, dict):
        below = classes if isinstance(classes, dict) else {}
        return {key: _convert(item, below.get(key)) for key, item in value.items()}
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            damage = f"byte 0x{value[error.start]:02X} at byte {error.start}"
            raise InvalidValue("invalid UTF-8", damage) from None
    if not isinstance(classes, list):
        return value
    if value == -1:  # how TFDS writes that a test split tells no label
        return None
    if not 0 <= value < len(classes):
        raise InvalidValue("unknown label", f"number {value} of {len(classes)} classes")
    return classes[value]


def _collect_classes(feature: Any) -> Any:
    """The classes' names; or, of a feature of several, the names below each key that has some."""
    while isinstance(feature, tfds.features.Sequence):
        feature = feature.feature
    if isinstance(feature, tfds.features.ClassLabel):
        return list(feature.names) if feature.names else None
    if not isinstance(feature, tfds.features.FeaturesDict):
        return None
    return {key: names for key, item in feature.items() if (names := _collect_classes(item))} or None


def _find(features: Any, parts: list[str]) -> Any:
    found = features
    for part in parts:
        while isinstance(found, tfds.features.Sequence):
            found = found.feature
        if not isinstance(found, tfds.features.FeaturesDict) or part not in found:
            return None
        found = found[part]
    return found


def _check_kind(file: SourceFile, field: Field, path: str, feature: Any) -> None:
    picture = isinstance(feature, tfds.features.Image)
    text = isinstance(feature, tfds.features.Text) or (
        isinstance(feature, tfds.features.Tensor) and feature.np_dtype == np.object_ and not feature.shape
    )
    kind = load_kind_class(field.kind)
    if kind.column_of == "text" and not text:
        raise DataError(
            f"The feature {path!r} holds {_describe(feature)}, and {field.name!r} is text.",
            where=file.name,
            fix="Set task.type to image_classification, or name a dataset of texts."
            if picture
            else f"Set columns: {{{field.name}: …}} to a feature that holds text.",
        )
    if kind.column_of == "pictures" and not picture:
        raise DataError(
            f"The feature {path!r} holds {_describe(feature)}, not pictures.",
            where=file.name,
            fix=f"Set columns: {{{field.name}: …}} to a feature that holds pictures, or task.type to "
            "text_classification.",
        )


def _find_shares(feature: Any) -> str | None:
    """The key of boxes that TFDS keeps as shares of the picture's size; empty where they are all there is; None where
    there are none."""
    while isinstance(feature, tfds.features.Sequence):
        feature = feature.feature
    if isinstance(feature, tfds.features.FeaturesDict):
        return next(
            (key for key, item in feature.items() if isinstance(item, tfds.features.BBoxFeature)), None
        )
    return "" if isinstance(feature, tfds.features.BBoxFeature) else None


def _take_shares(value: Any, key: str) -> PictureBoxes:
    """Boxes of TFDS: top, left, bottom, right, as shares of the picture's size."""
    items = zip_lists(value) if key else [{"": sides} for sides in value]
    boxes = []
    for item in items:
        top, left, bottom, right = item[key]
        rest = {name: held for name, held in item.items() if name != key}
        boxes.append({**rest, "left": left, "top": top, "right": right, "bottom": bottom})
    return PictureBoxes(boxes, None, True)


def _describe(feature: Any) -> str:
    kinds = {
        tfds.features.Image: "pictures",
        tfds.features.ClassLabel: "classes",
        tfds.features.Text: "text",
        tfds.features.Sequence: "sequences",
    }
    return next((noun for kind, noun in kinds.items() if isinstance(feature, kind)), type(feature).__name__)


def _build_missing_error(file: SourceFile, field: Field, path: str, features: Any) -> DataError:
    names = list(features)
    near = difflib.get_close_matches(path, names, n=1, cutoff=0.5)
    listed = ", ".join(f"{name} ({_describe(features[name])})" for name in names[:_SHOWN_FEATURES])
    return DataError(
        f"There is no feature {path!r}; there are {listed}{', …' if len(names) > _SHOWN_FEATURES else ''}.",
        where=file.name,
        fix=f"{f'Did you mean {near[0]!r}? ' if near else ''}"
        f"Set columns: {{{field.name}: {near[0] if near else '…'}}}",
    )
