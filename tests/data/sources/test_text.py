"""Plain text: files, paragraphs and lines as documents, folders, long documents, encodings."""

import gzip

import pytest
from data_makers import FIELDS, collect

from kerasft.data.config import DataConfig, TextSource
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.dataset import prepare_dataset
from kerasft.data.sources import count_skipped, lines, note_skipped_files, read_rows, resolve_source, text
from kerasft.data.sources.paths import SourceFile
from kerasft.errors import DataError

TEXT = (Field("text", "text"),)
STORY = "One.\nStill one.\n\n \t\nTwo.\r\n\r\n\n\nThree, the last"


def source(document="file", **settings):
    return TextSource.model_validate(
        {"format": "text", "path": "story.txt", "document": document, **settings}
    )


@pytest.fixture
def read(tmp_path):
    def read(content, document="file", **settings):
        path = tmp_path / "story.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return collect(read_rows(SourceFile(path, "story.txt"), source(document, **settings), TEXT))

    return read


def test_a_file_stands_as_it_is(read):
    assert read(STORY) == ([(1, STORY)], [])


def test_paragraphs_are_separated_by_blank_lines(read):
    rows, rejects = read(STORY, "paragraph")
    assert rows == [(1, "One.\nStill one."), (5, "Two."), (9, "Three, the last")]
    assert not rejects


def test_lines_are_without_their_ends_and_blank_ones_are_skipped(read):
    rows, _ = read(STORY, "line")
    assert rows == [(1, "One."), (2, "Still one."), (5, "Two."), (9, "Three, the last")]


@pytest.mark.parametrize("document", ["file", "paragraph", "line"])
def test_an_empty_file_has_no_documents(read, document):
    assert read("", document) == ([], [])


@pytest.mark.parametrize("content", ["", "\n", " \t\n\n\u200b"])
@pytest.mark.parametrize("document", ["file", "paragraph", "line"])
def test_of_a_file_without_text_there_is_a_note(tmp_path, content, document):
    assert notes(tmp_path, content, document) == ([], 1)


def test_files_without_text_do_not_count_as_rejects(tmp_path, progress):
    for number in range(40):
        (tmp_path / f"{number}.txt").write_text(
            f"The text of file {number}." if number % 4 else "\n" * (number % 8)
        )
    data = {"train": {"format": "text", "path": "*.txt"}, "validation_share": 0, "test_share": 0}
    dataset = prepare_dataset(
        DataConfig.model_validate(data), TEXT, tmp_path / "out", base=tmp_path, seed=0, progress=progress
    )
    split = dataset.manifest["splits"]["train"]
    assert len(dataset.split("train")) == 30
    assert split["rejected"] == {}
    assert split["notes"] == {text.BLANK: 10}


def test_a_byte_order_mark_is_no_text(read):
    assert read(b"\xef\xbb\xbfWords.\n")[0] == [(1, "Words.\n")]


def test_a_document_with_damage_is_rejected_with_the_line_of_the_damage(read):
    content = b"Fine.\n\nFine still\nand d\xe9maged\n\nFine again."
    rows, rejects = read(content, "paragraph")
    assert rows == [(1, "Fine."), (6, "Fine again.")]
    ((row, reason, detail),) = rejects
    assert (row, reason) == (4, "invalid UTF-8")
    assert "0xE9" in detail


def test_another_encoding_is_named(read):
    words = "Žluťoučký kůň příšerně úpěl ďábelské ódy.\n" * 20
    with pytest.raises(DataError, match="cp1250") as error:
        read(words.encode("cp1250"))
    assert "encoding: cp1250" in error.value.fix
    assert read(words.encode("cp1250"), encoding="cp1250")[0] == [(1, words)]


@pytest.fixture
def small_limits(monkeypatch):
    monkeypatch.setattr(text, "MAX_TEXT_BYTES", 100)
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 40)
    monkeypatch.setattr(lines, "BLOCK_BYTES", 16)


def notes(tmp_path, content, document="file"):
    path = tmp_path / "long.txt"
    path.write_text(content, encoding="utf-8")
    batches = list(read_rows(SourceFile(path, "long.txt"), source(document), TEXT))
    return [value for batch in batches for (value,) in batch.values], sum(
        batch.notes.total() for batch in batches
    )


@pytest.mark.usefixtures("small_limits")
class TestLongDocuments:
    def test_are_cut_at_the_ends_of_paragraphs(self, tmp_path):
        paragraphs = [f"Paragraph {number}, of some words.\nAnd more.\n\n" for number in range(9)]
        parts, cut = notes(tmp_path, "".join(paragraphs))
        assert "".join(parts) == "".join(paragraphs)
        assert cut == len(parts) == 5
        assert all(part.endswith("\n\n") and len(part) <= 100 for part in parts)

    def test_are_cut_at_the_ends_of_lines_where_paragraphs_are_long(self, tmp_path):
        content = "".join(f"line {number} of a list\n" for number in range(30))
        parts, _ = notes(tmp_path, content)
        assert "".join(parts) == content
        assert all(part.endswith("\n") and len(part) <= 100 for part in parts)
        assert all(len(part) > 60 for part in parts[:-1])

    @pytest.mark.parametrize("document", ["file", "line", "paragraph"])
    def test_of_one_endless_line_are_cut_at_spaces(self, tmp_path, document):
        content = " ".join(f"wörd{number}" for number in range(90))
        parts, cut = notes(tmp_path, content, document)
        assert "".join(parts) == content
        assert cut == len(parts) > 5
        assert all(part.endswith(" ") and len(part.encode()) <= 100 for part in parts[:-1])

    def test_without_any_space_are_cut_between_characters(self, tmp_path):
        content = "x" + "字" * 200
        parts, _ = notes(tmp_path, content)
        assert "".join(parts) == content
        assert all(len(part.encode()) <= 100 for part in parts)

    @pytest.mark.parametrize("before", [8, 50, 90])
    def test_of_lines_of_all_lengths_are_cut_until_each_part_fits(self, tmp_path, before):
        """Short lines, the end of their paragraph, and lines of which a few fill a part."""
        content = "a\n" * (before // 2) + "\n" + ("字" * 7 + "long\n") * 12
        parts, cut = notes(tmp_path, content)
        assert "".join(parts) == content
        assert cut == len(parts)
        sizes = [len(part.encode()) for part in parts]
        assert max(sizes) <= 100
        # no line more would have fitted, or the part ends with its paragraph
        assert all(
            size + 26 > 100 for size, part in zip(sizes[:-1], parts, strict=False) if "\n\n" not in part
        )

    def test_of_one_line_that_grows_in_utf_8_are_cut_by_its_bytes_there(self, read, monkeypatch):
        """A Thai letter is one byte in its own encoding, and three in UTF-8."""
        monkeypatch.setattr(lines, "MAX_LINE_BYTES", 60)
        for content in ("ก" * 130 + "\n", "กขค " * 40):
            rows, rejects = read(content.encode("tis-620"), encoding="tis-620")
            assert not rejects
            assert "".join(part for _, part in rows) == content
            assert max(len(part.encode()) for _, part in rows) <= 100

    def test_lose_only_the_part_with_the_damage(self, read):
        content = b"".join(b"line %d of a list\n" % number for number in range(30)).replace(
            b"17 of", b"\xff of"
        )
        rows, rejects = read(content)
        assert [row for row, *_ in rejects] == [18]
        assert len(rows) == 5

    def test_short_ones_have_no_note(self, tmp_path):
        assert notes(tmp_path, "Short.\n\nAnd short.\n", "paragraph") == (["Short.", "And short."], 0)


def test_a_folder_means_its_text_files_and_those_below(tmp_path, progress):
    books = tmp_path / "books"
    (books / "old").mkdir(parents=True)
    (books / ".hidden").mkdir()
    for name in (
        "b.txt",
        "a.md",
        "old/c.TXT",
        "old/d.txt.gz",
        ".e.txt",
        ".hidden/f.txt",
        "g.pdf",
        "h",
        "i.py",
    ):
        (books / name).write_text("x")
    given = TextSource.model_validate({"format": "text", "path": "books"})
    found = resolve_source(given, tmp_path)
    assert [file.name for file in found] == [
        "books/a.md",
        "books/b.txt",
        "books/old/c.TXT",
        "books/old/d.txt.gz",
    ]
    note_skipped_files(given, tmp_path, progress)
    (said,) = progress.notes
    assert said.startswith("3 files below books are not read, as they are neither .txt nor .md: ")
    assert {".pdf 1", "h 1", ".py 1"} == set(said.removesuffix(".").split(": ")[1].split(", "))


def test_files_that_are_named_are_read_whatever_their_names(tmp_path):
    for name in ("a.rst", "b.txt"):
        (tmp_path / name).write_text("x")
    given = TextSource.model_validate({"format": "text", "path": ["*.rst", "b.txt"]})
    assert [file.name for file in resolve_source(given, tmp_path)] == ["a.rst", "b.txt"]
    assert not count_skipped(given.path, tmp_path, (".txt",))


def test_a_folder_without_text_says_what_it_holds(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "one.png").write_text("x")
    given = TextSource.model_validate({"format": "text", "path": "pictures"})
    with pytest.raises(DataError, match=r"No file below the folder ends in \.txt.*one\.png"):
        resolve_source(given, tmp_path)


def test_text_has_no_labels(tmp_path):
    path = tmp_path / "story.txt"
    path.write_text("x")
    with pytest.raises(DataError, match="holds text alone, and the task learns from text and label"):
        list(read_rows(SourceFile(path, "story.txt"), source(), FIELDS))


def test_optional_fields_are_missing(tmp_path):
    path = tmp_path / "story.txt"
    path.write_text("x\ny")
    fields = (*TEXT, Field("pair", "text", optional=True))
    assert collect(read_rows(SourceFile(path, "story.txt"), source("line"), fields))[0] == [
        (1, "x", None),
        (2, "y", None),
    ]


def test_compressed_text_reads_the_same(tmp_path):
    path = tmp_path / "story.txt.gz"
    path.write_bytes(gzip.compress(STORY.encode()))
    assert collect(read_rows(SourceFile(path, path.name), source(), TEXT))[0] == [(1, STORY)]
