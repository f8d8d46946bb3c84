"""Plain text: a document is a file, a paragraph or a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kerasft.data.config import TextSource
from kerasft.data.kinds import load_kind_class
from kerasft.data.kinds.fields import INVISIBLE, Field
from kerasft.data.sources.lines import Line, read_lines
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.rows import RawBatch, Reject, shorten
from kerasft.errors import DataError
from kerasft.text.raw import MAX_TEXT_BYTES

CUT = f"part of a document of more than {MAX_TEXT_BYTES >> 20} MiB"
"""The note about documents that were cut."""
BLANK = "file without any text, left out"
"""The note about files that are empty, or hold nothing visible."""


def read_rows(file: SourceFile, source: TextSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the file's documents, numbered by their first line.

    The text of a file stands as it is; those of paragraphs and lines are without the line ends after them. Blank ones
    are skipped, and so are blank parts of a document that is cut; of a file without any text there is a note. A
    document with a line that cannot be decoded is rejected as a whole, or the part of it where it is cut.

    Args:
        file: which.
        source: its settings.
        fields: the one text that an example holds; optional ones are missing.

    Raises:
        DataError: examples hold more than a text.
    """
    needed = [field for field in fields if not field.optional]
    if len(needed) != 1 or (needed[0].name and load_kind_class(needed[0].kind).column_of != "text"):
        raise DataError(
            f"{file.name} holds text alone, and the task learns from {' and '.join(f.name for f in fields)}.",
            where=str(file.path),
            fix="Use a task that needs no labels, or a format with columns, such as csv or jsonl.",
        )
    reader = _DocumentReader(source.document, fields)
    for lines, size in read_lines(file, source.encoding, splits_long_lines=True):
        reader.batch.size_bytes += size
        for line in lines:
            reader.add(line)
        if reader.batch.rows or reader.batch.rejects:
            yield reader.take_batch()
    reader.end()
    yield reader.take_batch()


class _DocumentReader:
    """Puts documents together from lines.

    Args:
        unit: what a document is: `file`, `paragraph` or `line`.
        fields: of an example; one without a name is the row as a mapping, `{"text": …}`.
    """

    def __init__(self, unit: str, fields: Sequence[Field]):
        self.batch = RawBatch()
        self._unit, self._fields = unit, fields
        self._lines: list[Line] = []
        self._size_bytes = 0
        self._last_blank = self._last_blank_bytes = 0
        """How many of the lines, and of their bytes, end with the last paragraph's end among them."""
        self._is_cut = self._has_documents = False

    def add(self, line: Line) -> None:
        """Takes the file's next line."""
        blank = not line.text.strip(INVISIBLE)
        if self._unit == "paragraph" and blank:
            self.finish()
            return
        size = _measure(line.text)
        for piece in [line] if size <= MAX_TEXT_BYTES else _split(line):
            self._append(piece, size if piece is line else _measure(piece.text))
        if blank:
            self._last_blank, self._last_blank_bytes = len(self._lines), self._size_bytes
        if self._unit == "line" and line.text.endswith("\n"):
            self.finish()

    def _append(self, line: Line, size_bytes: int) -> None:
        while self._lines and self._size_bytes + size_bytes > MAX_TEXT_BYTES:
            self._cut()
        self._lines.append(line)
        self._size_bytes += size_bytes

    def _cut(self) -> None:
        """Ends a part of a document: at the end of a paragraph where half of the part's bytes or more are before it."""
        self._is_cut = True
        place, rest_bytes = len(self._lines), 0
        if self._last_blank and 2 * self._last_blank_bytes >= self._size_bytes:
            place, rest_bytes = self._last_blank, self._size_bytes - self._last_blank_bytes
        rest = self._lines[place:]
        del self._lines[place:]
        self._emit()
        self._lines, self._size_bytes = rest, rest_bytes

    def finish(self) -> None:
        """Ends a document."""
        self._emit()
        self._is_cut = False

    def end(self) -> None:
        """Ends the file."""
        self.finish()
        if not self._has_documents:
            self.batch.notes[BLANK] += 1

    def _emit(self) -> None:
        lines, self._lines = self._lines, []
        self._size_bytes = self._last_blank = self._last_blank_bytes = 0
        text = "".join(line.text for line in lines)
        if not text.strip(INVISIBLE):
            return
        self._has_documents = True
        if self._unit != "file":
            text = text.rstrip("\r\n")
        bad = next((line for line in lines if line.reason), None)
        if bad is not None:
            self.batch.rejects.append(Reject(bad.number, bad.reason, bad.detail, shorten(bad.text)))
            return
        self.batch.rows.append(lines[0].number)
        self.batch.values.append(
            tuple(
                None if field.optional else text if field.name else {"text": text} for field in self._fields
            )
        )
        if self._is_cut:
            self.batch.notes[CUT] += 1

    def take_batch(self) -> RawBatch:
        """What is finished since this was last called."""
        batch, self.batch = self.batch, RawBatch()
        return batch


def _measure(text: str) -> int:
    """Bytes of a text in UTF-8. Most lines are ASCII."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _split(line: Line) -> Iterator[Line]:
    """A line that is too long in UTF-8, though not in its file's own encoding, in pieces that end after a space, or
    else after any character."""
    text, longest = line.text, MAX_TEXT_BYTES // 4  # a character has at most 4 bytes
    while len(text) > longest:
        place = text.rfind(" ", longest // 2, longest) + 1 or longest
        yield line._replace(text=text[:place])
        text = text[place:]
    yield line._replace(text=text)
