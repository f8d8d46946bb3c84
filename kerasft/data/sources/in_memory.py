"""Writes examples that are given from Python, as columns or rows, as JSON lines."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from kerasft.data.kinds import load_kind_class
from kerasft.data.kinds.fields import Field
from kerasft.errors import ConfigError
from kerasft.printable import format_json


def read_splits(given: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, list[str]]:
    """The examples of each split that is given, as JSON objects, one a line.

    Args:
        given: split → columns by field, or rows; None where it is not given.
        fields: what an example must hold.

    Raises:
        ConfigError: they are no such thing, or an example lacks a field.
    """
    splits = {}
    for split, examples in given.items():
        if examples is None:
            continue
        where = f"kerasft.finetune: {split}"
        rows = _read_rows(examples, split, where)
        if not rows and split == "train":
            raise ConfigError("there are no examples", where=where)
        splits[split] = [_format_row(number, row, fields, where) for number, row in enumerate(rows)]
    return splits


def _read_rows(examples: Any, split: str, where: str) -> list[Mapping[str, Any]]:
    if not isinstance(examples, Mapping) and not hasattr(examples, "keys"):
        rows = list_values(examples, split, where)
        for number, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise ConfigError(
                    f"example {number} is {row!r:.60}",
                    where=where,
                    fix=f'{split}={{"<field>": [values], …}}, or a list of {{"<field>": value, …}}.',
                )
        return rows
    # mappings and pandas' DataFrames
    columns = {str(name): list_values(examples[name], str(name), where) for name in examples.keys()}  # noqa: SIM118
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{count:,} of {name}" for name, count in lengths.items())
        raise ConfigError(f"the columns have different lengths: {counts}", where=where)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _format_row(number: int, row: Mapping[str, Any], fields: Sequence[Field], where: str) -> str:
    values = {str(name): make_plain(value) for name, value in row.items()}
    used: set[str] = set()
    for field in fields:
        if field.of:
            continue
        names = dict.fromkeys((field.name, *field.parts))
        used |= names.keys()
        if field.optional and not any(name in values for name in names):
            continue
        if not any(name in values for name in names):
            raise ConfigError(
                f"example {number} has no {' or '.join(names)}",
                where=where,
                fix=f"It has {', '.join(values) or 'nothing'}.",
            )
        kind, value = load_kind_class(field.kind), values.get(field.name)
        if kind.is_file:
            if not isinstance(value, str | Path):
                raise ConfigError(f"{field.name} {number} is not a file path but {value!r:.60}", where=where)
            values[field.name] = os.path.abspath(value)
        elif kind.column_of == "text" and not isinstance(value, str) and value is not None:
            raise ConfigError(f"{field.name} {number} is not a string but {value!r:.60}", where=where)
    for name in list(values):
        try:
            format_json(values[name], allow_nan=False)
        except (TypeError, ValueError) as error:
            if name in used:
                message = f"{name} {number} cannot be written as JSON: {error}"
                raise ConfigError(message, where=where) from error
            del values[name]  # dates, say, in a column that nothing is learned from
    return format_json(values, keeps_surrogates=True)


def list_values(values: Any, name: str, where: str) -> list[Any]:
    """The items of a list, array, Series, generator or the like, in their order.

    Raises:
        ConfigError: it is one text, or has no order, or not one dimension.
    """
    single = isinstance(values, str | bytes | Path)
    unordered = isinstance(values, Mapping | Set)
    if not single and not unordered and getattr(values, "ndim", 1) == 1:
        try:
            items = iter(values)
        except TypeError:
            pass
        else:
            return list(items)
    got = f"{values!r:.60}" if single else f"{type(values).__name__}"
    raise ConfigError(
        f"`{name}` must be a one-dimensional list, array or Series; got {got}",
        where=where,
        fix=f"{name}=[…]" if single else None,
    )


def make_plain(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's numbers and lists, also inside of lists and mappings; NaN as None."""
    if hasattr(value, "tolist") and hasattr(value, "ndim"):
        value = value.tolist()
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, list | tuple):
        return [make_plain(part) for part in value]
    return {key: make_plain(part) for key, part in value.items()} if isinstance(value, Mapping) else value
