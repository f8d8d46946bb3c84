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


def read_rows(file: SourceFile, source: TextSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the file's documents, numbered by their first line.

    The text of a file stands as it is; those of paragraphs and lines are without the line ends after them, and blank
    ones are skipped. A document with a line that cannot be decoded is rejected as a whole, or the part of it where it
    is cut.

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
    reader.finish()
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
        self._last_blank = 0
        """How many of the lines end with the last paragraph's end among them."""
        self._is_cut = False

    def add(self, line: Line) -> None:
        """Takes the file's next line."""
        blank = not line.text.strip(INVISIBLE)
        if self._unit == "paragraph" and blank:
            self.finish()
            return
        # a decoded line cannot be longer in characters than in bytes; most lines are ASCII
        size = len(line.text) if line.text.isascii() else len(line.text.encode("utf-8", "surrogatepass"))
        if self._size_bytes + size > MAX_TEXT_BYTES:
            self._cut()
        self._lines.append(line)
        self._size_bytes += size
        if blank:
            self._last_blank = len(self._lines)
        if self._unit == "line" and line.text.endswith("\n"):
            self.finish()

    def _cut(self) -> None:
        """Ends a part of a document: at the end of a paragraph where half of the part or more is before it."""
        self._is_cut = True
        place = self._last_blank if 2 * self._last_blank >= len(self._lines) else len(self._lines)
        rest = self._lines[place:]
        del self._lines[place:]
        self._emit()
        self._lines = rest
        self._size_bytes = sum(len(line.text.encode("utf-8", "surrogatepass")) for line in rest)

    def finish(self) -> None:
        """Ends a document."""
        self._emit()
        self._is_cut = False

    def _emit(self) -> None:
        lines, self._lines = self._lines, []
        self._size_bytes = self._last_blank = 0
        if not lines:
            return
        text = "".join(line.text for line in lines)
        if self._unit != "file":
            text = text.rstrip("\r\n")
            if not text.strip(INVISIBLE):
                return
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
