"""JSON lines: what is read, what is rejected, with its line."""

import json

import pytest
from data_makers import FIELDS, collect
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.data.config import JsonLinesSource
from kerasft.data.sources import SourceFile, read_rows


@pytest.fixture
def read(tmp_path):
    def run(content: bytes | str, **config):
        path = tmp_path / "some.jsonl"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_file(path, **config)

    return run


def read_file(path, **config):
    source = JsonLinesSource.model_validate({"format": "jsonl", "path": path.name, **config})
    return collect(read_rows(SourceFile(path, path.name), source, FIELDS))


def test_keys_are_the_fields_names_and_values_keep_their_type(read):
    rows, rejects = read('\ufeff{"text": "a", "label": 1}\r\n\n{"label": null, "text": "b", "more": []}')
    assert rows == [(1, "a", 1), (3, "b", None)]
    assert rejects == []


def test_dots_descend_unless_the_key_itself_has_them(read):
    columns = {"text": "review.body", "label": "stars"}
    rows, _ = read(
        '{"review": {"body": "a"}, "stars": 5}\n{"review.body": "b", "stars": 4}\n', columns=columns
    )
    assert rows == [(1, "a", 5), (2, "b", 4)]


def test_each_broken_line_is_rejected_with_its_reason(read):
    lines = [
        b'{"text": "fine", "label": 1}',
        b'{"text": "cut off',
        b"[1, 2]",
        b'{"text": "no label"}',
        b'{"text": "bad \xff byte", "label": 1}',
        b'{"text": "fine too", "label": 0}',
        b'{"text": {"deep": 1}, "label": 0} trailing',
        b"[" * 100_000,
        b'{"text": "big", "label": ' + b"1" * 5000 + b"}",
    ]
    rows, rejects = read(b"\n".join(lines))
    assert [row[0] for row in rows] == [1, 6]
    assert [(row, reason) for row, reason, _ in rejects] == [
        (2, "broken JSON"),
        (3, "not an object"),
        (4, "missing key"),
        (5, "invalid UTF-8"),
        (7, "broken JSON"),
        (8, "broken JSON"),
        (9, "broken JSON"),
    ]
    assert "no 'label'; there is text" in rejects[2][2]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"text": st.text(max_size=30), "label": st.integers() | st.booleans() | st.text()}
        ),
        min_size=1,
        max_size=10,
    ),
    st.booleans(),
)
def test_what_json_writes_is_read_back(tmp_path_factory, written, ascii_only):
    path = tmp_path_factory.getbasetemp() / "written.jsonl"
    lines = [json.dumps(example, ensure_ascii=ascii_only) for example in written]
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    rows, rejects = read_file(path)
    if ascii_only:
        assert [row[1:] for row in rows] == [(example["text"], example["label"]) for example in written]
        assert rejects == []
    else:
        assert len(rows) + len(rejects) == len(written)
