"""Parquet: reads rows by number; memory depends on the largest row group, not on the file."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kerasft.data.config import ParquetSource
from kerasft.data.kinds import load_kind_class
from kerasft.data.kinds.fields import Field, InvalidValue, may_lack_column
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.rows import RawBatch, Reject, shorten
from kerasft.errors import DataError
from kerasft.text.raw import MAX_TEXT_BYTES
from kerasft.vision.pictures import MAX_FILE_BYTES

_BATCH_ROWS = 1000
_BATCH_PICTURES = 64
_BUFFER_BYTES = 1 << 20
"""Columns are read through a buffer of this size, and not a row group's whole column at once."""
_BATCH_BYTES = 64 << 20
"""Unpacked bytes of a batch, by what the file says of its row groups."""
_MAX_RATIO, _FREE_BYTES = 1000, 64 << 20
"""How many times larger than packed a row group's column may become where it is larger than the other: repetitive texts
come to a hundred."""
_SHOWN_COLUMNS = 20


def read_rows(file: SourceFile, source: ParquetSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the file's rows, numbered from 1.

    Raises:
        DataError: it is no Parquet file, is damaged, or a configured column is not there or is of another kind.
    """
    try:
        # what is read ahead would be kept for as long as the file is open
        reader = pq.ParquetFile(file.path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise _build_damage_error(file, error) from error
    with reader:
        columns = [_Column(file, source, field, reader.schema_arrow) for field in fields]
        size, total, done = file.path.stat().st_size, reader.metadata.num_rows, 0
        tables = _iterate(reader, columns, any(column.of_pictures for column in columns))
        while True:
            try:
                table = next(tables, None)
            except (pa.ArrowException, OSError) as error:
                raise _build_damage_error(file, error, done + 1) from error
            if table is None:
                return
            batch = _take_columns(table, columns, done + 1)
            batch.size_bytes = size * (done + len(table)) // total - size * done // total
            done += len(table)
            yield batch


def _iterate(reader: pq.ParquetFile, columns: Sequence[_Column], pictures: bool) -> Iterator[pa.RecordBatch]:
    """Parts of one row group after the other: asked for all of them, Arrow keeps those that are done with."""
    most = _BATCH_PICTURES if pictures else _BATCH_ROWS
    for group in range(reader.num_row_groups):
        row_group = reader.metadata.row_group(group)
        a_row = _check_group(row_group, columns, group) // max(1, row_group.num_rows)
        yield from reader.iter_batches(
            max(1, min(most, _BATCH_BYTES // max(1, a_row))),
            row_groups=[group],
            columns=[column.path for column in columns if not column.is_lacking],
        )


def _check_group(group: Any, columns: Sequence[_Column], number: int) -> int:
    """The bytes that the row group's columns become, before there is memory for them.

    Raises:
        DataError: far more than any data do.
    """
    total = 0
    for place in range(group.num_columns):
        chunk = group.column(place)
        column = next((one for one in columns if one.holds(chunk.path_in_schema)), None)
        if column is None:
            continue
        total += chunk.total_uncompressed_size
        if chunk.total_uncompressed_size > max(_FREE_BYTES, _MAX_RATIO * chunk.total_compressed_size):
            raise DataError(
                f"The column {column.path!r} of row group {number} has {chunk.total_compressed_size:,} bytes and "
                f"would become {chunk.total_uncompressed_size:,}: such files are made to exhaust memory.",
                where=column.file.name,
                fix="Remove the file, or create it again from its source.",
            )
    return total


def _take_columns(table: pa.RecordBatch, columns: Sequence[_Column], first: int) -> RawBatch:
    batch = RawBatch()
    for number, values in enumerate(
        zip(*(column.list_values(table) for column in columns), strict=True), first
    ):
        problem = next((value for value in values if isinstance(value, InvalidValue)), None)
        if problem is None:
            batch.rows.append(number)
            batch.values.append(values)
        else:
            batch.rejects.append(Reject(number, problem.reason, problem.detail, ""))
    return batch


class _Column:
    """One column, or what lies in one under a path with dots.

    Attributes:
        is_lacking: whether it is not there, as that of an optional field may be.

    Raises:
        DataError: there is none, or it holds another kind of thing than the field.
    """

    def __init__(self, file: SourceFile, source: ParquetSource, field: Field, schema: pa.Schema):
        self.file = file
        self.path = source.columns.get(field.name, field.name)
        kind = load_kind_class(field.kind)
        self.of_pictures = kind.column_of == "pictures"
        self._most_bytes = MAX_FILE_BYTES if self.of_pictures else MAX_TEXT_BYTES
        # a column whose own name holds the dots comes first
        self._parts = [self.path] if self.path in schema.names else self.path.split(".")
        found = _find_type(schema, self._parts)
        self.is_lacking = found is None and may_lack_column(field, source.columns)
        self._classes = None
        if self.is_lacking or (field.optional and found is not None and pa.types.is_null(found)):
            return
        if found is None:
            raise _build_missing_error(file, field, self.path, schema)
        _check_kind(file, field, self.path, found)
        self._classes = _read_classes(schema, self._parts) if kind.reads_class_names else None

    def list_values(self, table: pa.RecordBatch) -> list[Any]:
        """A value a row; an `InvalidValue` where it cannot be decoded."""
        if self.is_lacking:
            return [None] * len(table)
        array = table.column(self._parts[0])
        long = self._find_long(array)
        try:
            values = [] if long else array.to_pylist()
        except UnicodeDecodeError:  # Parquet files may hold anything under the name of text
            values = [_decode(item) for item in array]
        if long:
            values = [long[row] if row in long else _decode(item) for row, item in enumerate(array)]
        for part in self._parts[1:]:
            values = [value.get(part) if isinstance(value, dict) else value for value in values]
        if self._classes is None:
            return values
        return [value if isinstance(value, InvalidValue) else _name(value, self._classes) for value in values]

    def holds(self, path: str) -> bool:
        """Whether a column, as a row group counts them, is part of it."""
        return path == self.path or path.startswith(f"{self._parts[0]}.")

    def _find_long(self, array: pa.Array) -> dict[int, InvalidValue]:
        """Rows whose cells are too long to be looked at, and what is said of them."""
        kind = array.type
        checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
        if not any(check(kind) for check in checks):
            return {}
        lengths = np.asarray(pc.fill_null(pc.binary_length(array), 0))
        return {
            int(row): InvalidValue(
                "cell too long", f"{lengths[row]:,} bytes; at most {self._most_bytes:,} are read"
            )
            for row in np.flatnonzero(lengths > self._most_bytes)
        }


def _name(value: Any, classes: Any) -> Any:
    """Classes by their names, where the file tells them; Hugging Face writes −1 where there is none.

    Args:
        value: a number, or what holds some: lists, objects.
        classes: names; or, of an object's keys, the names below each that has some.
    """
    if isinstance(value, list):
        return [_name(item, classes) for item in value]
    if isinstance(classes, dict):
        if not isinstance(value, dict):
            return value
        return {key: _name(item, classes[key]) if key in classes else item for key, item in value.items()}
    if value == -1:
        return None
    number = isinstance(value, int) and not isinstance(value, bool)
    return classes[value] if number and 0 <= value < len(classes) else value


def _decode(item: pa.Scalar) -> Any:
    try:
        return item.as_py()
    except UnicodeDecodeError as error:
        return InvalidValue("invalid UTF-8", f"byte 0x{error.object[error.start]:02X} at byte {error.start}")


def _find_type(schema: pa.Schema, parts: Sequence[str]) -> pa.DataType | None:
    if schema.names.count(parts[0]) != 1:
        return None
    found = schema.field(parts[0]).type
    for part in parts[1:]:
        if not pa.types.is_struct(found) or found.get_field_index(part) < 0:
            return None
        found = found.field(part).type
    return found


def _check_kind(file: SourceFile, field: Field, path: str, found: pa.DataType) -> None:
    if pa.types.is_dictionary(found):
        found = found.value_type
    binary = pa.types.is_binary(found) or pa.types.is_large_binary(found)
    text = pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
    picture = binary or (pa.types.is_struct(found) and found.get_field_index("bytes") >= 0)
    wanted = load_kind_class(field.kind).column_of
    if wanted == "text" and not text:
        raise DataError(
            f"The column {path!r} holds {'pictures or other bytes' if picture else found}, and {field.name!r} is text.",
            where=file.name,
            fix="Name another column, or set task.type to image_classification if these are pictures.",
        )
    if wanted == "pictures" and not (picture or text):
        raise DataError(
            f"The column {path!r} holds {found}, not pictures.",
            where=file.name,
            fix="Name a column with pictures' bytes, with their paths, or with both, {bytes, path}.",
        )


def _read_classes(schema: pa.Schema, parts: Sequence[str]) -> Any:
    """The classes' names that Hugging Face's `datasets` keeps beside columns of numbers, as `_name` takes them."""
    try:
        description = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        for part in parts:
            description = _open_list(description)[part]
        return _collect_classes(description)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError):
        return None


def _open_list(description: Any) -> Any:
    """What a list's items are, whichever of its spellings `datasets` has used."""
    while isinstance(description, list) or (
        isinstance(description, dict) and "feature" in description and "_type" in description
    ):
        description = description[0] if isinstance(description, list) else description["feature"]
    return description


def _collect_classes(description: Any) -> Any:
    description = _open_list(description)
    if description.get("_type") == "ClassLabel":
        return [str(label) for label in description["names"]]
    if isinstance(description.get("_type"), str):
        return None
    found = {key: _collect_classes(item) for key, item in description.items()}
    return {key: names for key, names in found.items() if names} or None


def _build_missing_error(file: SourceFile, field: Field, path: str, schema: pa.Schema) -> DataError:
    near = difflib.get_close_matches(path, schema.names, n=1, cutoff=0.5)
    shown = [repr(shorten(name)) for name in schema.names[:_SHOWN_COLUMNS]]
    more = ", …" if len(schema.names) > len(shown) else ""
    twice = schema.names.count(path.split(".")[0]) > 1
    return DataError(
        f"{'More than one column is called' if twice else 'There is no column'} {path!r}; there are "
        f"{', '.join(shown)}{more}.",
        where=file.name,
        fix=f"{f'Did you mean {near[0]!r}? ' if near and not twice else ''}"
        f"Set columns: {{{field.name}: {near[0] if near and not twice else '…'}}}",
    )


def _build_damage_error(file: SourceFile, error: Exception, row: int | None = None) -> DataError:
    if row is None:
        what = f"This is not a Parquet file, or it is damaged: {str(error)[:300]}"
    else:
        what = f"The file is damaged: the rest cannot be read: {str(error)[:300]}"
    return DataError(
        what,
        where=file.name if row is None else f"{file.name}:{row}",
        fix="Create or download the file again.",
    )
