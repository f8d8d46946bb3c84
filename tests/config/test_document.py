"""YAML as plain values with lines."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.config.document import MAX_BYTES, Document, parse_yaml, read_document


def parse(text: str) -> Document:
    document = Document(origins={(): "c.yaml:1"})
    parse_yaml(text, document, lambda line: f"c.yaml:{line}")
    return document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-5", 5e-5),
        ("5.0e-5", 5e-5),
        ("1e3", 1000.0),
        ("+1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", -math.inf),
        (".Inf", math.inf),
        ("12", 12),
        ("-0", 0),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        # Not in YAML 1.2's core schema, whatever YAML 1.1 made of them:
        ("yes", "yes"),
        ("on", "on"),
        ("no", "no"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("12:30:45", "12:30:45"),
        ("2001-12-14", "2001-12-14"),
        ("0o8", "0o8"),
        ("nan", "nan"),
        ("'5'", "5"),
        ('"\\t"', "\t"),
        ("!!str 5", "5"),
        ("package:gt/model", "package:gt/model"),
        ("hf://owner/name", "hf://owner/name"),
    ],
)
def test_scalars_are_read_as_yaml_1_2_says(text: str, value: object):
    document = parse(f"key: {text}")
    assert not document.problems
    assert document.data == {"key": value}
    assert type(document.data["key"]) is type(value)


def test_not_a_number_is_a_float():
    assert math.isnan(parse(".nan").data)


def test_every_value_knows_its_keys_line():
    document = parse("a: 1\nb:\n  c:\n    2\n  d: [x,\n    y]\n")
    lines = {path: int(where.rpartition(":")[2]) for path, where in document.origins.items()}
    assert lines[("a",)] == 1
    assert lines[("b",)] == 2
    assert lines[("b", "c")] == 3
    assert lines[("b", "d")] == 5
    assert lines[("b", "d", 1)] == 6
    assert document.find_origin(("b", "missing", "deeper")) == "c.yaml:2"


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "c.yaml:3", "the key is given twice; first in c.yaml:1"),
        ("a: 1\nb: [1, 2\n", "c.yaml:3", "not valid YAML"),
        ("a:\n\t- 1\n", "c.yaml:2", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "c.yaml:2", "single document"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", "c.yaml:2", "tag"),
        ("a: !secret x\n", "c.yaml:1", "tag !secret"),
        ("a: !!set {x, y}\n", "c.yaml:1", "tag"),
        ("a: 1\n? [x]\n: 1\n", "c.yaml:2", "expected a key"),
        ("a: *nowhere\n", "c.yaml:1", "alias"),
        ("a: \x07\n", "c.yaml:1", "not valid YAML"),
        ("a: 1\nb:\n  <<: 3\n", "c.yaml:3", "expected another section after <<"),
    ],
)
def test_what_is_wrong_with_the_yaml_names_its_line(text: str, where: str, words: str):
    (problem,) = parse(text).problems
    assert problem.where == where
    assert words in str(problem)


def test_the_first_of_two_equal_keys_holds():
    assert parse("a: 1\na: 2\n").data == {"a": 1}


def test_a_merge_key_brings_what_is_lacking():
    document = parse("base: &b {format: csv, path: x}\nbelow:\n  path: y\n  <<: *b\n")
    assert not document.problems
    assert document.data["below"] == {"path": "y", "format": "csv"}
    assert document.origins[("below", "path")] == "c.yaml:3"
    assert document.origins[("below", "format")] == "c.yaml:1"


def test_of_merged_sections_the_first_wins():
    document = parse("a: &a {x: 1}\nb: &b {x: 2, y: 3}\nc: {<<: [*a, *b]}\n")
    assert document.data["c"] == {"x": 1, "y": 3}


def test_many_aliases_of_aliases_are_refused_at_once():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (problem,) = parse("\n".join(lines)).problems
    assert "aliases followed" in str(problem)


def test_many_merges_of_merges_are_refused_at_once():
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 12)]
    (problem,) = parse("\n".join(lines)).problems
    assert "aliases followed" in str(problem)


@pytest.mark.parametrize(
    "text", ["a: &x [*x]", "a: &x {b: *x}", "[" * 100 + "]" * 100, "[" * 20_000 + "]" * 20_000]
)
def test_endless_depth_is_refused(text: str):
    (problem,) = parse(text).problems
    assert "levels" in str(problem)


def test_a_section_merged_into_itself_is_refused():
    assert "after <<" in str(parse("a: &x\n  <<: *x\n").problems[0])


def test_bytes_that_are_no_utf_8_name_their_line(tmp_path: Path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    (problem,) = read_document(path, "c.yaml").problems
    assert str(problem) == "c.yaml:2: expected UTF-8 text, got the byte 0xe9"


def test_a_byte_order_mark_is_skipped(tmp_path: Path):
    path = tmp_path / "c.yaml"
    path.write_bytes("\ufeffa: ü\n".encode())
    assert read_document(path, "c.yaml").data == {"a": "ü"}


def test_a_huge_file_is_not_parsed(tmp_path: Path):
    path = tmp_path / "c.yaml"
    path.write_text("# " + "x" * MAX_BYTES)
    (problem,) = read_document(path, "c.yaml").problems
    assert "at most" in str(problem)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str):
    document = parse(text)
    assert document.problems or document.origins
