"""CSV: what is read, what is rejected, with the line where the row starts."""

import csv
import io
import json

import pytest
from data_makers import FIELDS, collect
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.data.config import CsvSource
from kerasft.data.kinds.fields import spell_label
from kerasft.data.sources import SourceFile, read_rows
from kerasft.data.sources.rows import shorten
from kerasft.errors import DataError


@pytest.fixture
def read(tmp_path):
    def run(content: bytes | str, **config):
        path = tmp_path / "some.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        source = CsvSource.model_validate({"format": "csv", "path": "some.csv", **config})
        return collect(read_rows(SourceFile(path, "some.csv"), source, FIELDS))

    return run


PLAIN = {"delimiter": "\t", "header": False, "columns": {"text": 0, "label": 1}}


def test_a_header_names_the_columns(read):
    rows, rejects = read("id,label,text\n1,pos,good\n2,neg,bad\n")
    assert rows == [(2, "good", "pos"), (3, "bad", "neg")]
    assert rejects == []


def test_columns_can_be_numbered_with_and_without_header(read):
    assert read("a,b\nx,y\n", columns={"text": 1, "label": 0})[0] == [(2, "y", "x")]
    assert read("a\tb\nx\ty\n", **PLAIN)[0] == [(1, "a", "b"), (2, "x", "y")]


@pytest.mark.parametrize("quoting", ["minimal", "none"])
@pytest.mark.parametrize(
    "content", [b"text,label\r\na,b\r\n", b"\xef\xbb\xbftext,label\na,b", b"text,label\n\n\na,b\n\n"]
)
def test_line_endings_marks_and_empty_lines_do_not_matter(read, quoting, content):
    rows, rejects = read(content, quoting=quoting)
    assert [row[1:] for row in rows] == [("a", "b")]
    assert rejects == []


def test_rows_are_numbered_by_their_first_line(read):
    rows, _ = read('text,label\n"two\nlines",a\none,b\n"x\n\ny",c\nlast,d')
    assert rows == [(2, "two\nlines", "a"), (4, "one", "b"), (5, "x\n\ny", "c"), (8, "last", "d")]


def test_quotes_are_ordinary_in_tab_separated_files(read):
    rows, rejects = read('"open quote\t1\nsay "hi"\t0\n', **PLAIN)
    assert rows == [(1, '"open quote', "1"), (2, 'say "hi"', "0")]
    assert rejects == []


def test_a_wrong_column_count_is_rejected_with_what_was_expected(read):
    rows, rejects = read("text,label\na,b\nc\nd,e,f\ng,h\n")
    assert rows == [(2, "a", "b"), (5, "g", "h")]
    assert rejects == [
        (3, "wrong column count", "expected 2, found 1"),
        (4, "wrong column count", "expected 2, found 3"),
    ]


def test_without_a_header_most_rows_say_how_many_columns_there_are(read):
    rows, rejects = read("broken\na\tb\nc\td\n", **PLAIN)
    assert [row[0] for row in rows] == [2, 3]
    assert rejects == [(1, "wrong column count", "expected 2, found 1")]


@pytest.mark.parametrize("quoting", ["minimal", "none"])
def test_invalid_utf8_costs_its_row_alone(read, quoting):
    rows, rejects = read(b"text,label\nfine,a\nbro\xffken,b\ngr\xc3\xbcn,c\n", quoting=quoting)
    assert rows == [(2, "fine", "a"), (4, "grün", "c")]
    assert [(row, reason) for row, reason, _ in rejects] == [(3, "invalid UTF-8")]
    assert "0xFF at byte 3" in rejects[0][2]


def test_invalid_utf8_inside_a_quoted_row_of_several_lines_costs_that_row(read):
    rows, rejects = read(b'text,label\n"one\n\xe4 two\nthree",a\nfine,b\n')
    assert rows == [(5, "fine", "b")]
    assert [(row, reason) for row, reason, _ in rejects] == [(2, "invalid UTF-8")]


def test_a_quote_that_is_never_closed_costs_one_row(read):
    rows, rejects = read('text,label\na,1\n"never closed,0\nb,1\nc,0\n')
    assert rows == [(2, "a", "1"), (4, "b", "1"), (5, "c", "0")]
    assert rejects == [(3, "broken quoting", "a quote is never closed")]


def test_a_quote_that_a_later_row_closes_by_chance_costs_one_row(read):
    rows, rejects = read('text,label\n"never closed,0\n"good, indeed",1\nb,1\n')
    assert rows == [(3, "good, indeed", "1"), (4, "b", "1")]
    assert [(row, reason) for row, reason, _ in rejects] == [(2, "broken quoting")]


def test_an_unclosed_quote_in_a_large_file_costs_one_row(read):
    lines = [f"text number {i},{i % 2}" for i in range(20_000)]
    lines[3] = '"' + lines[3]
    rows, rejects = read("text,label\n" + "\n".join(lines))
    assert len(rows) == 19_999
    assert rejects == [(5, "broken quoting", "a quote is not closed within 131,072 characters")]
    assert rows[-1] == (20_001, "text number 19999", "1")


def test_nul_bytes_reach_the_check_of_values(read):
    assert read("text,label\na\0b,1\n")[0] == [(2, "a\0b", "1")]


def test_other_encodings_are_read(read):
    assert read("text,label\nhübsch,a\n".encode("latin-1"), encoding="latin-1")[0] == [(2, "hübsch", "a")]
    assert read("text,label\nx,a\n".encode("utf-8-sig"), encoding="utf-8-sig")[0] == [(2, "x", "a")]
    assert read("text,label\n你好,a\n".encode("gb18030"), encoding="gb18030")[0] == [(2, "你好", "a")]


def test_old_line_ends_are_named(read):
    with pytest.raises(DataError, match="carriage return"):
        read(b"text,label\ra,b\rc,d\r")


def test_a_missing_column_lists_those_there_are_and_the_nearest(read):
    with pytest.raises(DataError) as error:
        read("id,label,txet\n1,a,b\n")
    assert "'text'" in str(error.value)
    assert "'id', 'label', 'txet'" in str(error.value)
    assert "Did you mean 'txet'?" in error.value.fix
    assert error.value.where == "some.csv:1"


def test_a_wrong_delimiter_is_suspected(read):
    with pytest.raises(DataError, match="delimiter"):
        read("text;label\na;b\n")


def test_a_column_name_that_stands_twice_is_refused(read):
    with pytest.raises(DataError, match="2 columns are called 'text'"):
        read("text,text,label\na,b,c\n")


def test_a_column_number_out_of_range_is_refused(read):
    with pytest.raises(DataError, match=r"no column 5 for 'label': rows have 2 columns"):
        read("a\tb\n", delimiter="\t", header=False, columns={"text": 0, "label": 5})


def test_without_a_header_columns_need_numbers(read):
    with pytest.raises(DataError, match="needs a column's number"):
        read("a\tb\n", delimiter="\t", header=False)


@pytest.mark.parametrize("content", ["", "text,label\n", "text,label", "\n\n"])
def test_nothing_in_the_file_is_no_rows(read, content):
    assert read(content) == ([], [])


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=20), st.booleans())
def test_what_pythons_csv_writes_is_read_back(tmp_path_factory, written, quote_all):
    out = io.StringIO(newline="")
    writer = csv.writer(out, "unix") if quote_all else csv.writer(out)
    writer.writerow(["text", "label"])
    writer.writerows(written)
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_bytes(out.getvalue().encode())
    source = CsvSource(format="csv", path="written.csv")
    rows, rejects = collect(read_rows(SourceFile(path, "written.csv"), source, FIELDS))
    assert [row[1:] for row in rows] == [(text, spell_label(label)) for text, label in written]
    assert rejects == []


def test_what_could_not_be_decoded_is_shown_by_its_bytes():
    assert shorten("a\udcff b \ud83d\r\n") == "a\\udcff b \\ud83d"
    assert shorten("a\udcff b\n") == "a\\xff b"
    assert len(shorten("x" * 1000)) == 200


@pytest.mark.parametrize("mark", ["\t", ";", "|"])
def test_a_header_of_one_column_tells_the_delimiter_that_it_wants(read, mark):
    with pytest.raises(DataError, match=r"one column, .* and none called 'text'") as caught:
        read(f"text{mark}label\ngood{mark}1\n")
    assert caught.value.fix == f"Set delimiter: {json.dumps(mark)}."
