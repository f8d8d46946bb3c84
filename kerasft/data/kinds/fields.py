"""Fields of an example, and the parsing of raw values."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from kerasft.text.raw import MAX_TEXT_BYTES

INVISIBLE = (
    " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\xad\u1680\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
    + "".join(map(chr, range(0x2000, 0x2010)))
)
"""White space, zero-width characters and soft hyphens: a text of nothing else is empty."""


@dataclass(frozen=True)
class Field:
    """One thing an example holds.

    Args:
        name: the key it has in an example, and in the config's `columns`.
        kind: a name in `kerasft.data.kinds.KINDS`: `text` is a string with something visible in it; `image` a
            picture's file; `tagged_text` a text with entities in it; `label` the name of a class; `labels` those of
            any number of classes; `number` a finite number; `boxes` are boxes in a picture; `mask` is a class for each
            of its pixels; `chat` a conversation. (`part` is a part of a tagged text, as it stands in a file: no example
            has such a field.)
        role: whether the model is given it, or learns it.
        parts: the columns it is made of, where these are several.
        of: the field that it is read from, where it has no column of its own: the types of a text's entities.
        classes: the only class names allowed, in the order of their numbers; None: those found in train.
        optional: whether examples may be without it. Of an input that is an example like others, of which the model
            reads an empty text; of a target it means that there is nothing to find: no labels, no boxes. The file's
            column may be missing, too. Only kinds with an empty value can be optional (`Kind.read_missing`), and one
            input of a task at least is not.
    """

    name: str
    kind: str
    role: Literal["input", "target"] = "input"
    parts: tuple[str, ...] = ()
    of: str = ""
    classes: tuple[str, ...] | None = None
    optional: bool = False


def may_lack_column(field: Field, columns: Mapping[str, Any]) -> bool:
    """Whether a file may have no column for a field: it is optional, and the config's `columns` names none for it."""
    return field.optional and field.name not in columns


def is_missing(value: Any) -> bool:
    """Whether a raw value is none: null, not a number, or a text with nothing visible in it."""
    if isinstance(value, str):
        return not value.strip(INVISIBLE)
    return value is None or (isinstance(value, float) and math.isnan(value))


def list_class_fields(fields: Sequence[Field]) -> list[str]:
    """The names of the fields that hold class names."""
    return [field.name for field in fields if field.kind in ("label", "labels")]


def limit_classes(fields: Sequence[Field], classes: Mapping[str, Sequence[str]]) -> tuple[Field, ...]:
    """The fields, of which some allow only these class names.

    Args:
        fields: an example's.
        classes: field's name → its class names, in the order of their numbers.
    """
    return tuple(
        replace(field, classes=tuple(classes[field.name])) if field.name in classes else field
        for field in fields
    )


class InvalidValue(Exception):
    """A value cannot be a field's: the row is rejected.

    Args:
        reason: one of few, counted in the manifest.
        detail: what is the matter in this row.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def parse_text(value: Any) -> str:
    """The text, unchanged.

    Raises:
        InvalidValue: it is no string, has nothing visible in it, is too long, has a NUL, or code points that UTF-8
            cannot hold.
    """
    if not isinstance(value, str):
        raise InvalidValue(
            "missing text" if value is None else "text is not a string", f"found {describe_value(value)}"
        )
    if not value.strip(INVISIBLE):
        raise InvalidValue("empty text")
    if len(value) > MAX_TEXT_BYTES:
        raise InvalidValue(
            "text too long", f"{len(value):,} characters; at most {MAX_TEXT_BYTES:,} bytes are read"
        )
    # only so long a text can have too many bytes, at most four a character
    if 4 * len(value) > MAX_TEXT_BYTES and (size := len(value.encode("utf-8", "replace"))) > MAX_TEXT_BYTES:
        raise InvalidValue("text too long", f"{size:,} bytes; at most {MAX_TEXT_BYTES:,} are read")
    if "\0" in value:
        raise InvalidValue("NUL character", f"at character {value.index(chr(0))} of the text")
    if not value.isascii():
        _check_encodable(value, "text")
    return value


def parse_label(value: Any) -> str:
    """The label's name: white space around it is dropped, and accents are composed (NFC), since one name may come
    both ways, from macOS and from elsewhere; numbers and booleans become what JSON would write.

    A float without a fraction is written as an integer (1.0 becomes "1"), since tools that know no missing
    integers write integer labels so; true and false become "true" and "false".

    Raises:
        InvalidValue: there is none, or it is a list or an object.
    """
    if isinstance(value, str):
        value = value.strip(INVISIBLE)
        if not value:
            raise InvalidValue("missing label")
        if not value.isascii():
            _check_encodable(value, "label")
            value = unicodedata.normalize("NFC", value)
        if not value.isprintable():
            raise InvalidValue("control character in the label", repr(value[:50]))
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise InvalidValue("missing label")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isinf(value):
            raise InvalidValue("label is not a finite number", str(value))
        return str(int(value)) if value.is_integer() else repr(value)
    raise InvalidValue("label is neither string nor number", f"found {describe_value(value)}")


def parse_labels(value: Any) -> tuple[str, ...]:
    """The labels' names, each once, sorted: of a list, or of a string with `|` between them; there may be none.

    Raises:
        InvalidValue: there is no such thing, or one of them is not a label.
    """
    if isinstance(value, str):
        value = [part for part in value.split("|") if part.strip(INVISIBLE)]
    if not isinstance(value, list | tuple):
        raise InvalidValue(
            "missing labels" if value is None else "labels are not a list", f"found {describe_value(value)}"
        )
    return tuple(sorted({parse_label(item) for item in value}))


_WHOLE_NUMBER = re.compile(r"(-?)0*([0-9]+)\.0+")


@lru_cache(maxsize=1 << 12)
def spell_label(value: str) -> str:
    """A label of a file that knows text alone, such as CSV, as JSON's number or truth value would be called.

    `0.0` is `0`, `True` and `TRUE` are `true`; what is no such thing stays as it is.
    """
    plain = value.strip(INVISIBLE)
    if plain.lower() in ("true", "false"):
        return plain.lower()
    match = _WHOLE_NUMBER.fullmatch(plain)
    if match is None:
        return value
    return match[2] if int(match[2]) == 0 else match[1] + match[2]


def spell_labels(value: str) -> str:
    """The same of labels with `|` between them."""
    return "|".join(map(spell_label, value.split("|")))


def read_label_names(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The labels that a config names, as `parse_label` reads the data's; None stays.

    Raises:
        ValueError: two are the same, or one is not a label.
    """
    if names is None:
        return None
    read: dict[str, str] = {}
    for name in names:
        try:
            label = parse_label(name)
        except InvalidValue as error:
            raise ValueError(f"{name!r} is not a label: {error.reason}") from error
        if label in read:
            raise ValueError(f"{read[label]!r} and {name!r} are the same label")
        read[label] = name
    return tuple(read)


def _check_encodable(value: str, name: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidValue(
            "unpaired surrogate", f"U+{ord(value[error.start]):04X} at character {error.start} of the {name}"
        ) from None


def describe_value(value: Any) -> str:
    """What kind of thing a raw value is, in words."""
    names = {
        type(None): "null",
        dict: "an object",
        list: "a list",
        str: "text",
        bytes: "bytes",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), type(value).__name__)
