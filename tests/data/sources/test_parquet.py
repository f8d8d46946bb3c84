"""Parquet: what is read, what is rejected, with its number."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_makers import FIELDS, collect
from source_makers import PICTURE_FIELDS, TAGGED_FIELDS, draw_picture, write_hugging_face

from kerasft.data.config import ParquetSource
from kerasft.data.kinds import KINDS
from kerasft.data.kinds.fields import Field
from kerasft.data.sources import SourceFile, read_rows
from kerasft.errors import DataError
from kerasft.text.raw import MAX_TEXT_BYTES

CLASSES = {"names": ["O", "B-person"], "_type": "ClassLabel"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.parquet"


def read(path: Path, fields=FIELDS, **config):
    source = ParquetSource.model_validate({"format": "parquet", "path": path.name, **config})
    return collect(read_rows(SourceFile(path, path.name), source, fields))


def test_rows_are_numbered_from_one_over_row_groups(path):
    pq.write_table(pa.table({"label": [1, 0, 1], "more": [[], [], []], "text": ["a", "b", None]}), path, 2)
    assert read(path) == ([(1, "a", 1), (2, "b", 0), (3, None, 1)], [])


def test_batches_share_the_size_of_the_file(path):
    pq.write_table(pa.table({"text": ["a"] * 5000, "label": [1] * 5000}), path, 1500)
    source = ParquetSource(format="parquet", path=path.name)
    sizes = [batch.size_bytes for batch in read_rows(SourceFile(path, path.name), source, FIELDS)]
    assert len(sizes) >= 5
    assert sum(sizes) == path.stat().st_size


def test_dots_descend_unless_the_column_itself_has_them(path):
    review = [{"body": "a", "by": {"name": "x"}}, None, {"body": "c", "by": None}]
    pq.write_table(pa.table({"review": review, "n.stars": [5, 4, 3]}), path)
    rows, _ = read(path, columns={"text": "review.body", "label": "n.stars"})
    assert rows == [(1, "a", 5), (2, None, 4), (3, "c", 3)]
    rows, _ = read(path, columns={"text": "review.by.name", "label": "n.stars"})
    assert [text for _, text, _ in rows] == ["x", None, None]


def test_dictionaries_read_as_what_they_stand_for(path):
    column = pa.array(["good", "bad", "good"]).dictionary_encode()
    pq.write_table(pa.table({"text": ["a", "b", "c"], "label": column}), path)
    assert [label for _, _, label in read(path)[0]] == ["good", "bad", "good"]


def test_text_that_is_no_utf8_costs_its_row(path):
    texts = pa.StringArray.from_buffers(
        3, pa.array([0, 1, 3, 4], pa.int32()).buffers()[1], pa.py_buffer(b"a\xffbc")
    )
    pq.write_table(pa.table({"text": texts, "label": ["x", "y", "z"]}), path)
    rows, rejects = read(path)
    assert rows == [(1, "a", "x"), (3, "c", "z")]
    assert rejects == [(2, "invalid UTF-8", "byte 0xFF at byte 0")]


def test_classes_of_hugging_face_come_by_their_names(path):
    columns = {"text": ["a", "b", "c"], "label": [1, 0, -1]}
    write_hugging_face(path, columns, {"label": ["negative", "positive"]})
    assert [label for _, _, label in read(path)[0]] == ["positive", "negative", None]


def test_lists_of_classes_come_by_their_names(path):
    columns = {"image": [b"1", b"2"], "labels": [[0, 2], []]}
    write_hugging_face(path, columns, {"labels": ["cat", "dog", "owl"]})
    assert [labels for _, _, labels in read(path, TAGGED_FIELDS)[0]] == [["cat", "owl"], []]


@pytest.mark.parametrize(
    "told",
    [
        {"feature": CLASSES, "_type": "Sequence"},
        {"feature": CLASSES, "_type": "List", "length": -1},
        {"feature": CLASSES, "length": -1, "id": None, "_type": "LargeList"},
        [CLASSES],
    ],
    ids=["sequence", "list", "large list", "bare list"],
)
def test_numbered_tags_come_by_their_names(path, told):
    table = pa.table({"tokens": [["Ada", "ran"]], "ner_tags": [[1, 0]]})
    metadata = {"huggingface": json.dumps({"info": {"features": {"ner_tags": told}}})}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    fields = (Field("words", "part"), Field("tags", "part"))
    rows, _ = read(path, fields, columns={"words": "tokens", "tags": "ner_tags"})
    assert rows == [(1, ["Ada", "ran"], ["B-person", "O"])]


def test_classes_below_a_dot_and_inside_of_objects_come_by_their_names(path):
    told = {"a": {"kind": CLASSES}, "spans": [{"start": {"_type": "Value"}, "type": CLASSES}]}
    table = pa.table({"a": [{"kind": 1}], "spans": [[{"start": 0, "type": 1}, {"start": 4, "type": -1}]]})
    metadata = {"huggingface": json.dumps({"info": {"features": told}})}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    fields = (Field("label", "label", "target"), Field("entities", "part"))
    rows, _ = read(path, fields, columns={"label": "a.kind", "entities": "spans"})
    assert rows == [(1, "B-person", [{"start": 0, "type": "B-person"}, {"start": 4, "type": None}])]


def test_pictures_are_bytes_or_structs(path):
    picture = {"bytes": draw_picture(0), "path": "a.png"}
    pq.write_table(pa.table({"image": [picture], "label": ["x"]}), path)
    assert read(path, PICTURE_FIELDS)[0] == [(1, picture, "x")]
    assert read(path, PICTURE_FIELDS, columns={"image": "image.bytes"})[0] == [(1, picture["bytes"], "x")]


@pytest.mark.parametrize("damage", ["text", "empty", "cut"])
def test_what_is_no_parquet_file_is_named(path, damage):
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), path)
    whole = path.read_bytes()
    path.write_bytes({"text": b"text,label\n" * 5, "empty": b"", "cut": whole[:-20]}[damage])
    with pytest.raises(DataError, match=r"some.parquet: This is not a Parquet file, or it is damaged"):
        read(path)


def test_damage_inside_is_named_with_the_row(path):
    texts = [os.urandom(200).hex() for _ in range(3000)]
    pq.write_table(pa.table({"text": texts, "label": [1] * 3000}), path, 1000, compression="zstd")
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    with open(path, "r+b") as file:
        file.seek(column.data_page_offset)
        file.write(b"\xff" * 4000)
    with pytest.raises(DataError, match=r"some.parquet:1001: The file is damaged"):
        read(path)


def test_a_missing_column_is_told_with_the_nearest(path):
    pq.write_table(pa.table({"texts": ["a"], "label": [1]}), path)
    with pytest.raises(DataError, match=r"no column 'text'; there are 'texts', 'label'.\n.*mean 'texts'\?"):
        read(path)
    with pytest.raises(DataError, match=r"no column 'texts.body'"):
        read(path, columns={"text": "texts.body"})


def test_pictures_are_no_texts_and_texts_no_numbers(path):
    pq.write_table(pa.table({"image": [draw_picture(0)], "label": [1]}), path)
    with pytest.raises(
        DataError, match=r"'image' holds pictures or other bytes, and 'text' is text"
    ) as error:
        read(path, columns={"text": "image"})
    assert "image_classification" in str(error.value)
    with pytest.raises(DataError, match=r"'label' holds int64, not pictures"):
        read(path, PICTURE_FIELDS, columns={"image": "label"})


def test_a_cell_too_long_costs_its_row_and_the_others_are_read(tmp_path: Path) -> None:
    texts = [*(f"row {number}" for number in range(30)), "a" * (MAX_TEXT_BYTES + 1), "the last"]
    path = tmp_path / "long.parquet"
    table = pa.table({"text": texts, "label": ["a", "b"] * 16})
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    rows, rejects = read(path)
    assert len(rows) == 31
    assert [reject[:2] for reject in rejects] == [(31, "cell too long")]


def test_a_row_group_that_would_become_far_larger_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    texts = pa.array(["a" * (8 << 20)] * 9)
    pq.write_table(
        pa.table({"text": texts, "label": ["a"] * 9}), path, compression="zstd", use_dictionary=False
    )
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match=r"'text' of row group 0 .* would become 75,") as caught:
        read(path)
    assert "bomb.parquet" in caught.value.where


def test_a_column_that_is_not_asked_for_may_be_of_any_size(tmp_path: Path) -> None:
    path = tmp_path / "beside.parquet"
    table = pa.table({"text": ["a"] * 9, "label": ["b"] * 9, "more": ["a" * (8 << 20)] * 9})
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    assert len(read(path)[0]) == 9


def test_a_kind_from_elsewhere_is_read_as_the_one_that_it_is_made_of(tmp_path, monkeypatch):
    """What a source must know of a kind of field it asks the kind, not its name."""
    (tmp_path / "shown_kinds.py").write_text(
        "from kerasft.data.kinds.image import ImageKind\n\n\nclass KindClass(ImageKind):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(KINDS, "scan", "shown_kinds")
    large = bytes(MAX_TEXT_BYTES + 1)
    columns = {"scan": [large], "shape": [1]}
    write_hugging_face(tmp_path / "a.parquet", columns, {"shape": ["round", "square"]})
    file = SourceFile(tmp_path / "a.parquet", "a.parquet")
    source = ParquetSource(format="parquet", path="a.parquet")
    (batch,) = read_rows(file, source, [Field("scan", "scan"), Field("shape", "label", "target")])
    assert batch.values == [(large, "square")]
    with pytest.raises(DataError, match="holds int64, not pictures"):
        next(iter(read_rows(file, source, [Field("shape", "scan")])))
