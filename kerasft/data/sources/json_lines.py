"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from kerasft.data.config import JsonLinesSource
from kerasft.data.kinds.fields import Field, InvalidValue
from kerasft.data.sources.lines import Line, read_lines
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.rows import RawBatch, Reject, shorten

MISSING_KEY = "missing key"
"""The reason of a reject that lacks one of the keys."""
_JSON_SPACE = " \t\r\n"


def read_rows(file: SourceFile, source: JsonLinesSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the file's objects; lines of white space alone are skipped.

    A field without a name stands for the object whole.
    """
    keys = [source.columns.get(field.name, field.name) for field in fields]
    optional = {key for key, field in zip(keys, fields, strict=True) if field.optional}
    for lines, size in read_lines(file, source.encoding):
        batch = RawBatch(size_bytes=size)
        for line in lines:
            if not line.reason and not line.text.strip(_JSON_SPACE):
                continue
            try:
                batch.values.append(read_object(line, keys, optional))
                batch.rows.append(line.number)
            except InvalidValue as error:
                batch.rejects.append(Reject(line.number, error.reason, error.detail, shorten(line.text)))
        yield batch


def read_object(line: Line, keys: Sequence[str], optional: Collection[str] = ()) -> tuple[Any, ...]:
    """What an object holds under some keys; under an empty one, all of it.

    Args:
        line: with the object.
        keys: which.
        optional: those that may be missing; their value is then None.

    Raises:
        InvalidValue: the line is no object, or a key is not there.
    """
    if line.reason:
        raise InvalidValue(line.reason, line.detail)
    try:
        example = json.loads(line.text, object_pairs_hook=build_object)
    except json.JSONDecodeError as error:
        if "\0" in line.text:
            raise InvalidValue(
                "NUL character", f"at character {line.text.index(chr(0))} of the line"
            ) from None
        raise InvalidValue("broken JSON", f"{error.msg} at character {error.pos} of the line") from None
    except RecursionError:
        raise InvalidValue("broken JSON", "nested too deeply") from None
    except ValueError as error:
        raise InvalidValue("broken JSON", str(error)) from None
    if not isinstance(example, dict):
        raise InvalidValue(
            "not an object", f"a line must be {{…}}, found {line.text.strip(_JSON_SPACE)[:20]}"
        )
    return tuple(
        example if not key else example[key] if key in example else _descend(example, key, key in optional)
        for key in keys
    )


def build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; Python would take the last of several values of one key, and other programs another."""
    built = dict(pairs)
    if len(built) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidValue("duplicate key", f"{shorten(twice)!r} has several values")
    return built


def _descend(example: dict[str, Any], key: str, is_optional: bool) -> Any:
    """The value under a key with dots; a key that itself holds the dots was looked for before."""
    value: Any = example
    for part in key.split("."):
        if is_optional and (value is None or (isinstance(value, dict) and part not in value)):
            return None
        if not isinstance(value, dict) or part not in value:
            found = ", ".join(shorten(name) for name in list(value)[:10]) if isinstance(value, dict) else ""
            raise InvalidValue(MISSING_KEY, f"no {key!r}; there is {found}" if found else f"no {key!r}")
        value = value[part]
    return value
