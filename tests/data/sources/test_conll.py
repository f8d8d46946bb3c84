"""CoNLL: which lines are words, what parts their columns, and what is told of files that are none."""

from pathlib import Path

import pytest
from data_makers import collect

from kerasft.data.config import ConllSource
from kerasft.data.kinds.fields import Field
from kerasft.data.sources import SourceFile, read_rows
from kerasft.errors import DataError

FIELDS = (Field("words", "part"), Field("tags", "part"))


@pytest.fixture
def read(tmp_path: Path):
    def run(content: str | bytes, **settings):
        path = tmp_path / "a.conll"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        source = ConllSource(format="conll", path=str(path), **settings)
        return collect(read_rows(SourceFile(path, "a.conll"), source, FIELDS))

    return run


def words_of(read_rows) -> list[list[str]]:
    rows, rejects = read_rows
    assert rejects == []
    return [words for _, words, _ in rows]


@pytest.mark.parametrize("mark", [" ", "\t"])
def test_a_line_with_a_words_columns_is_a_word_though_it_begins_with_a_hash(read, mark):
    lines = ["# O", "7 O", "Ada B-person", "# B-thing", "#ai I-thing", "", "#tbt O", "# O", "", "# O"]
    content = "\n".join(line.replace(" ", mark) for line in lines)
    assert words_of(read(content)) == [["#", "7", "Ada", "#", "#ai"], ["#tbt", "#"], ["#"]]


def test_a_penn_tag_may_be_a_hash_a_comma_or_any_mark(read):
    marks = ["#", ",", ".", ":", "``", "''", "$", "-LRB-", "(", ")"]
    content = "".join(f"{mark} {mark} O\n" for mark in marks) + "\n# # B-NP\nfive CD I-NP\n"
    rows, rejects = read(content, columns={"tags": 1})
    assert rejects == []
    assert rows == [(1, marks, marks), (12, ["#", "five"], ["#", "CD"])]


@pytest.mark.parametrize(
    "comment",
    [
        "# text = a b",
        "# sent_id = 3",
        "# newpar",
        "# newdoc id",
        "#sent 7 of the book",
        "#",
        "#\thttp://b.de [2005]",
        "# O",
    ],
)
def test_a_comment_stands_before_a_sentence_and_has_not_its_columns(read, comment):
    columns = "\t".join if "\t" in comment or comment == "# O" else " ".join
    sentence = [columns([word, "NN", "O"]) for word in ("a", "b")]
    content = "\n".join([comment, *sentence, "", comment, "# x = y", *sentence, "", comment, "", *sentence])
    assert words_of(read(content)) == [["a", "b"]] * 3


def test_a_comment_of_two_columns_is_told_by_what_would_be_its_tag(read):
    content = "# newpar\na O\nb B-x\n\n# newpar\n# O\nb B-x\n"
    assert words_of(read(content)) == [["a", "b"], ["#", "b"]]
    assert words_of(read("# heading\na DET\nb NOUN\n\n# DET\nb NOUN\n")) == [["a", "b"], ["#", "b"]]


def test_ranges_and_empty_nodes_of_conll_u_are_no_words(read):
    lines = ["1-2 vámonos _", "1 vamos VERB", "2 nos PRON", "2.1 fuimos VERB", "3 3-4 NUM", "4 6.1 NUM"]
    content = "# text = vámonos\n" + "\n".join(line.replace(" ", "\t") for line in lines) + "\n"
    rows, _ = read(content, columns={"words": 1, "tags": 2})
    assert rows == [(2, ["vamos", "nos", "3-4", "6.1"], ["VERB", "PRON", "NUM", "NUM"])]


def test_scores_and_numbers_are_words_where_no_column_counts(read):
    assert words_of(read("1 CD O\n3-4 CD O\n\n6.1 CD O\nto TO O\n")) == [["1", "3-4"], ["6.1", "to"]]


def test_a_column_of_words_that_counts_them_is_refused(read):
    content = "1\tWe\tPRON\n2\tgo\tVERB\n\n1\tStop\tVERB\n"
    with pytest.raises(DataError, match=r"holds 1, 2, 3.*\n.*columns: \{words: 1") as error:
        read(content)
    assert error.value.where == "a.conll"
    assert words_of(read(content, columns={"words": 1})) == [["We", "go"], ["Stop"]]


@pytest.mark.parametrize(
    "character", ["\u00a0", "\u3000", "\u2028", "\u0085", "\x0c", "\x0b", "\x1c", "\u2003"]
)
def test_only_blanks_and_tabs_are_white_space(read, character):
    content = f"a{character}b O\n{character} O\nc O\n\n{character}d O\n"
    assert words_of(read(content)) == [[f"a{character}b", character, "c"], [f"{character}d"]]


def test_marks_line_ends_blanks_and_a_missing_last_one_do_not_matter(read):
    lines = [
        "-DOCSTART- -X- -X- O",
        "",
        "Ada  NNP\tI-NP\tB-x ",
        "ran VBD I-VP O",
        " ",
        "-DOCSTART-",
        "so RB O O \t",
    ]
    plain = "\n".join(lines).replace("NNP\tI-NP\tB-x ", "NNP I-NP B-x")
    for content in (plain, plain.replace("\n", "\r\n"), "\ufeff" + plain + "\n\n\n"):
        assert words_of(read(content)) == [["Ada", "ran"], ["so"]]
    assert words_of(read("Ada \tB-x \nran\t O\n")) == [["Ada", "ran"]]
    assert words_of(read("Ada  B-x \nran O\n", separator=" ")) == [["Ada", "ran"]]
    assert words_of(read("-DOCSTART-x O\nran O\n")) == [["-DOCSTART-x", "ran"]]


def test_carriage_returns_alone_are_told(read):
    for content in (b"Ada B-x\rran O\r", b"Ada B-x\rran O\r\rso O\n"):
        with pytest.raises(DataError, match="carriage return without a line feed"):
            read(content)


def test_a_comment_inside_of_a_sentence_is_told_with_its_line(read):
    rows, rejects = read("a\tO\n# odd\tone\ttoo many\nb\tO\n\nc\tO\n")
    assert [words for _, words, _ in rows] == [["c"]]
    assert rejects == [(1, "wrong column count", "line 2: expected 2, found 3")]


def test_a_file_without_empty_lines_is_told(read):
    content = "word O\n" * 400
    with pytest.raises(DataError, match=r"400 words: no empty line.*\n.*Put an empty line after each"):
        read(content)
    assert len(words_of(read(content + "\n\nword O\n"))) == 2


def test_the_odd_line_is_told_and_a_space_that_parts_no_columns(read):
    rows, rejects = read("a\u00a0O\nb O\n\nc O\n\u3000\nd O\n\ne O\n")
    assert [words for _, words, _ in rows] == [["e"]]
    assert [detail for _, _, detail in rejects] == [
        "line 1: expected 2, found 1; U+00A0 does not separate columns; blanks and tabs do",
        "line 5: expected 2, found 1; U+3000 does not separate columns; blanks and tabs do",
    ]


def test_a_file_of_comments_has_no_rows(read):
    assert read("# a b c\n# x\n#\n\n# y = z\n") == ([], [])
    assert words_of(read("#a O\n#b B-x\n")) == [["#a", "#b"]]


def test_a_tag_that_is_empty_is_left_for_the_check_of_words(read):
    assert read("a\tO\nb\t\n")[0] == [(1, ["a", "b"], ["O", ""])]


def test_a_blank_inside_of_a_word_parts_nothing_where_tabs_do(read):
    assert words_of(read("New York\tB-x\n1 000\tO\n\nin\tO\nMalmo B-x\n")) == [
        ["New York", "1 000"],
        ["in", "Malmo"],
    ]
    _, rejects = read("Ada\tB-x\nran\tO\nNew York\n")
    assert rejects == [(1, "wrong column count", "line 3: expected 2, found 1")]
