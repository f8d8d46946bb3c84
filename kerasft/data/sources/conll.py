"""CoNLL: one word a line with its tags in columns, an empty line after each sentence."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from kerasft.data.config import ConllSource
from kerasft.data.kinds.fields import INVISIBLE, Field, InvalidValue
from kerasft.data.sources.lines import Line, read_lines
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.rows import RawBatch, Reject, shorten
from kerasft.errors import DataError
from kerasft.text.spans.tagging_schemes import OUTSIDE_TAGS, split_tag

DOCUMENT_MARK = "-DOCSTART-"
MAX_WORDS = 100_000
"""Of a sentence: a file without empty lines is no CoNLL."""
MAX_WORDS_OF_A_FILE = 300
"""Of a split's only file that is one sentence; a longer one lacks the empty lines between its sentences."""
_COLUMNS = {"words": 0, "tags": -1}
_BLANKS = " \t"
"""All that parts columns. No-break spaces, form feeds and their like are characters of words."""
_ODD_SPACES = frozenset(INVISIBLE) - set(_BLANKS)
_RUN_OF_BLANKS = re.compile(r"[ \t]+")
_KEY_AND_VALUE = re.compile(r"#[ \t]*[A-Za-z][\w.:-]*[ \t]*=(?:[ \t]|$)")
"""A comment of CoNLL-U, `# sent_id = 3`, whatever the number of columns."""
_ID = re.compile(r"([0-9]+)(?:[-.][0-9]+)?")
"""CoNLL-U's first column: a word's number; `3-4` is the surface form of two words, `6.1` a word that is not written."""
_PROBE_SENTENCES = 20
_MAX_KNOWN_TAGS = 10_000


def read_rows(file: SourceFile, source: ConllSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the file's sentences as (words, tags), two lists of strings, numbered by their first line.

    Passed over are lines that mark a document's start (`-DOCSTART-`); comments, which begin with `#`, stand before a
    sentence and have not the columns of its words; and, where the first column counts the words as CoNLL-U does,
    ranges (`3-4`) and empty nodes (`6.1`).

    Args:
        file: which.
        source: its settings.
        fields: `words` and `tags`, in any order.

    Raises:
        DataError: sentences do not end, or the column of words holds their numbers.
    """
    strange = [field.name for field in fields if field.name not in _COLUMNS]
    if strange:
        raise DataError(
            f"{file.name} holds words and their tags, and the task learns from {' and '.join(strange)}.",
            where=str(file.path),
            fix="Set task.type to token_classification, or name files of another format.",
        )
    reader: _SentenceReader | None = None
    sentence: list[Line] = []
    for lines, size in read_lines(file, source.encoding):
        batch = RawBatch(size_bytes=size)
        reader = reader or _SentenceReader(file, source, fields, lines)
        for line in lines:
            if line.text.strip(_BLANKS + "\r\n") and not _is_mark(line.text):
                sentence.append(line)
                if len(sentence) > MAX_WORDS:
                    raise _build_endless_error(
                        f"{file.name}:{sentence[0].number}", f"more than {MAX_WORDS:,}"
                    )
            elif sentence:
                reader.take(batch, sentence)
                sentence = []
        yield batch
    if reader is None:
        return
    batch = RawBatch()
    if sentence:
        reader.take(batch, sentence)
    reader.check_whole()
    yield batch


def _is_mark(text: str) -> bool:
    return text.startswith(DOCUMENT_MARK) and text[len(DOCUMENT_MARK) :][:1].strip(_BLANKS + "\r\n") == ""


def _build_endless_error(where: str, words: str) -> DataError:
    return DataError(
        f"A sentence has {words} words: no empty line separates it from the next.",
        where=where,
        fix="Put an empty line after each sentence. (If this is not a CoNLL file, with one word a line, set another "
        "format.)",
    )


def _describe_odd_space(text: str) -> str:
    odd = next((character for character in text.strip(_BLANKS + "\r\n") if character in _ODD_SPACES), None)
    return f"; U+{ord(odd):04X} does not separate columns; blanks and tabs do" if odd else ""


class _SentenceReader:
    """Takes sentences' columns apart.

    Args:
        file: which.
        source: its settings.
        fields: what to take.
        lines: the file's first ones: they tell what its words look like, so that comments can be told from them.
    """

    def __init__(self, file: SourceFile, source: ConllSource, fields: Sequence[Field], lines: Sequence[Line]):
        self._file = file
        self._separator = source.separator
        self._alone = isinstance(source.path, str) and not glob.has_magic(source.path)
        columns = {name: source.columns.get(name, place) for name, place in _COLUMNS.items()}
        self._indices = [columns[field.name] for field in fields]
        self._word, self._tag = columns["words"], columns["tags"]
        self._sentences = self._numbered = self._words = 0
        plain = [
            line
            for line in lines
            if not line.reason and not line.text.startswith("#") and line.text.strip(_BLANKS + "\r\n")
        ]
        tabbed = [line for line in plain if "\t" in line.text.strip(_BLANKS + "\r\n")]
        self._tabbed = bool(tabbed) and 2 * len(tabbed) >= len(plain)
        self._known_tags: set[str] = set()
        rows = [self._split(line) for line in (tabbed if self._tabbed else plain)]
        counts = Counter(map(len, rows))
        self._usual_count = counts.most_common(1)[0][0] if counts else 0
        for row in rows:
            self._learn_tag(row)

    def take(self, batch: RawBatch, sentence: Sequence[Line]) -> None:
        """Puts a sentence's columns into the batch, or the sentence among its rejects; a comment alone is nothing."""
        try:
            rows = [self._split(line) for line in sentence]
            comments = self._count_comments(sentence, rows)
            sentence, rows = sentence[comments:], rows[comments:]
            if not rows:
                return
            self._check_columns(sentence, rows)
        except InvalidValue as error:
            words = [_RUN_OF_BLANKS.split(line.text.strip(_BLANKS + "\r\n"))[0] for line in sentence[:50]]
            batch.rejects.append(
                Reject(sentence[0].number, error.reason, error.detail, shorten(" ".join(words)))
            )
            return
        rows = self._drop_what_is_no_word(rows)
        for row in rows:
            self._learn_tag(row)
        batch.rows.append(sentence[0].number)
        batch.values.append(tuple([cells[index] for cells in rows] for index in self._indices))

    def check_whole(self) -> None:
        """Looks at the file as a whole, at its end.

        Raises:
            DataError: it is one long sentence, or its words are numbers that count them.
        """
        if self._alone and self._sentences == 1 and self._words > MAX_WORDS_OF_A_FILE:
            raise _build_endless_error(self._file.name, f"{self._words:,}")
        self._check_numbered()

    def _split(self, line: Line) -> list[str]:
        if line.reason:
            raise InvalidValue(line.reason, f"line {line.number}: {line.detail}")
        text = line.text.rstrip("\r\n")
        if self._separator is not None and self._separator.strip(" "):
            return [cell.strip(" ") for cell in text.split(self._separator)]
        inner = text.strip(_BLANKS)
        if self._separator is None and ("\t" in inner or (self._tabbed and "\t" in text)):
            return [cell.strip(" ") for cell in text.split("\t")]
        cells = _RUN_OF_BLANKS.split(inner)
        if self._tabbed and self._separator is None and not self._may_be_word(cells):
            return [inner]  # blanks inside of the one column that the line has
        return cells

    def _learn_tag(self, row: Sequence[str]) -> None:
        if -len(row) <= self._tag < len(row) and len(self._known_tags) < _MAX_KNOWN_TAGS:
            self._known_tags.add(row[self._tag])

    def _count_comments(self, sentence: Sequence[Line], rows: Sequence[Sequence[str]]) -> int:
        """How many lines at the sentence's beginning are comments."""
        words = next((i for i, line in enumerate(sentence) if not line.text.startswith("#")), len(sentence))
        count = len(rows[words]) if words < len(rows) else self._usual_count
        lines = zip(sentence[:words], rows, strict=False)
        return next(
            (i for i, (line, row) in enumerate(lines) if not self._is_comment(line, row, count)), words
        )

    def _is_comment(self, line: Line, row: Sequence[str], count: int) -> bool:
        """Whether a line that begins with `#` is one, where a word would have `count` columns.

        `# newpar` before words of two columns has two itself; what would be its tag is none of the file's.
        """
        if _KEY_AND_VALUE.match(line.text):
            return True
        return len(row) < 2 or (count > 0 and len(row) != count) or not self._may_be_word(row)

    def _may_be_word(self, row: Sequence[str]) -> bool:
        """Whether what stands in a row's column of tags is one of the file's, or looks like one."""
        if not (-len(row) <= self._tag < len(row) and -len(row) <= self._word < len(row)):
            return False
        tag, parts = row[self._tag], split_tag(row[self._tag])
        lettered = parts is not None and len(tag) > 1
        return tag in OUTSIDE_TAGS or lettered or tag in self._known_tags or tag == row[self._word]

    def _check_columns(self, sentence: Sequence[Line], rows: Sequence[Sequence[str]]) -> None:
        counts = [len(cells) for cells in rows]
        count = self._usual_count if self._usual_count in counts else counts[0]
        for line, cells in zip(sentence, rows, strict=True):
            place = f"line {line.number}"
            if len(cells) != count:
                detail = f"{place}: expected {count}, found {len(cells)}{_describe_odd_space(line.text)}"
                raise InvalidValue("wrong column count", detail)
            if any(not -count <= index < count for index in self._indices):
                wanted = next(index for index in self._indices if not -count <= index < count)
                raise InvalidValue("wrong column count", f"{place}: no column {wanted} of {count}")
        if count == 1 and len(self._indices) > 1:
            raise InvalidValue("wrong column count", f"line {sentence[0].number}: a word without a tag")

    def _drop_what_is_no_word(self, rows: list[list[str]]) -> list[list[str]]:
        """The rows of words, where the first column counts them."""
        self._sentences += 1
        self._words += len(rows)
        found = [_ID.fullmatch(row[0]) for row in rows]
        numbers = [int(match[0]) for match in found if match and match[0].isdigit()]
        counts = all(found) and len(rows[0]) > 2 and numbers == list(range(1, len(numbers) + 1))
        if self._word % len(rows[0]) == 0:
            self._numbered += bool(counts)
            if self._sentences == _PROBE_SENTENCES:
                self._check_numbered()
            return rows
        return [row for row in rows if row[0].isdigit()] if counts and numbers else rows

    def _check_numbered(self) -> None:
        if self._numbered == self._sentences <= _PROBE_SENTENCES and self._words > 2:
            raise DataError(
                "The column of words holds 1, 2, 3, …: it numbers them, as in CoNLL-U.",
                where=self._file.name,
                fix="Set columns: {words: 1, tags: …}, with the number of the column that holds the tags, from 0 (in "
                "CoNLL-U 3 is the part of speech).",
            )
