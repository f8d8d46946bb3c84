"""CoNLL: one word a line with its tags in columns, an empty line after each sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kerasft.data.config import ConllSource
from kerasft.data.fields import Field, InvalidValue
from kerasft.data.sources.lines import Line, read_lines
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.rows import RawBatch, Reject, shorten
from kerasft.errors import DataError

DOCUMENT_MARK = "-DOCSTART-"
MAX_WORDS = 100_000
"""Of a sentence: a file without empty lines is no CoNLL."""
_COLUMNS = {"words": 0, "tags": -1}


def read_rows(file: SourceFile, source: ConllSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the file's sentences as (words, tags), two lists of strings, numbered by their first line.

    Lines that mark a document's start (`-DOCSTART-`), and comments (a line of CoNLL-U that begins with `#` and has no
    columns) are passed over.

    Args:
        file: which.
        source: its settings.
        fields: `words` and `tags`, in any order.

    Raises:
        DataError: a sentence does not end.
    """
    strange = [field.name for field in fields if field.name not in _COLUMNS]
    if strange:
        raise DataError(
            f"{file.name} holds words and their tags, and the task learns from {' and '.join(strange)}.",
            where=str(file.path),
            fix="Set task.type to token_classification, or name files of another format.",
        )
    indices = [source.columns.get(field.name, _COLUMNS[field.name]) for field in fields]
    sentence: list[Line] = []
    for lines, size in read_lines(file, source.encoding):
        batch = RawBatch(size_bytes=size)
        for line in lines:
            if line.text.strip() and not _is_mark(line.text):
                sentence.append(line)
                if len(sentence) > MAX_WORDS:
                    raise DataError(
                        f"A sentence has more than {MAX_WORDS:,} words.",
                        where=f"{file.name}:{sentence[0].number}",
                        fix="An empty line must stand after each sentence; is this file CoNLL?",
                    )
            elif sentence:
                _take(batch, sentence, source, indices)
                sentence = []
        yield batch
    if sentence:
        batch = RawBatch()
        _take(batch, sentence, source, indices)
        yield batch


def _is_mark(text: str) -> bool:
    return text.startswith(DOCUMENT_MARK) or (text.startswith("# ") and "\t" not in text)


def _take(batch: RawBatch, sentence: list[Line], source: ConllSource, indices: Sequence[int]) -> None:
    """Puts a sentence's columns into the batch, or the sentence among its rejects."""
    first = sentence[0].number
    try:
        rows = [_split(line, source) for line in sentence]
        count = len(rows[0])
        for line, cells in zip(sentence, rows, strict=True):
            place = f"line {line.number}"
            if len(cells) != count:
                raise InvalidValue("wrong column count", f"{place}: expected {count}, found {len(cells)}")
            if any(not -count <= index < count for index in indices):
                wanted = next(index for index in indices if not -count <= index < count)
                raise InvalidValue("wrong column count", f"{place}: no column {wanted} of {count}")
        if count == 1 and len(indices) > 1:
            raise InvalidValue("wrong column count", f"line {first}: a word without a tag")
    except InvalidValue as error:
        content = shorten(" ".join(line.text.split()[0] for line in sentence[:50] if line.text.split()))
        batch.rejects.append(Reject(first, error.reason, error.detail, content))
        return
    batch.rows.append(first)
    batch.values.append(tuple([cells[index] for cells in rows] for index in indices))


def _split(line: Line, source: ConllSource) -> list[str]:
    if line.reason:
        raise InvalidValue(line.reason, f"line {line.number}: {line.detail}")
    text = line.text.rstrip("\r\n")
    if source.separator is not None:
        return text.split(source.separator)
    return text.split("\t") if "\t" in text else text.split()
