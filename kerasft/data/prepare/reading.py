"""From raw rows to checked ones: values parsed, labels known, rejects written down."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from kerasft.data.config import Source
from kerasft.data.kinds.base import Content, Held, Signatures
from kerasft.data.kinds.fields import Field, InvalidValue, parse_label, parse_labels
from kerasft.data.prepare.labels import Labels
from kerasft.data.sources import RawBatch, Reject, SourceFile, measure, read_rows
from kerasft.data.sources.rows import shorten
from kerasft.data.store import RowStore
from kerasft.errors import DataError
from kerasft.printable import format_json
from kerasft.progress import Progress

SHOWN_REJECTS = 5
_PENDING_BATCHES = 4


@dataclass
class SplitCounts:
    """What came of a split's files."""

    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Rejected rows by reason."""
    shown: list[str] = field(default_factory=list)
    """The first few rejects, for messages."""
    files: dict[int, int] = field(default_factory=dict)
    """Accepted rows by file."""
    notes: Counter[str] = field(default_factory=Counter)
    """What had to be done to rows that were accepted."""

    @property
    def share_rejected(self) -> float:
        total = self.accepted + self.rejected.total()
        return self.rejected.total() / total if total else 0.0


@dataclass
class _Parsed:
    held: list[Held] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


class SplitReader:
    """Reads splits one after the other into a store, with signatures made on a second thread.

    Args:
        fields: what an example holds, and its label.
        content: of the field that is no label.
        signatures: None where near duplicates are not looked for.
        rejected: where rejects are written, as JSON lines.
        mended: likewise what was mended in rows that are kept.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        content: Content,
        labels: Labels,
        store: RowStore,
        signatures: Signatures | None,
        rejected: IO[str],
        mended: IO[str],
    ):
        self._fields = fields
        self._content = content
        self._label = next(i for i, field in enumerate(fields) if field.kind in ("label", "labels"))
        self._held = 1 - self._label
        self._labels = labels
        self._store = store
        self._signatures = signatures
        self._rejected, self._mended = rejected, mended
        self._pending: deque[Future] = deque()

    def read(
        self, name: str, source: Source, files: dict[int, SourceFile], progress: Progress
    ) -> SplitCounts:
        """Reads a split's files, given by their numbers."""
        counts = SplitCounts()
        total = sum(measure(file) for file in files.values())
        fields = self._content.open_source(source, list(files.values()), self._fields, progress)
        with (
            ThreadPoolExecutor(1, thread_name_prefix="signatures") as executor,
            progress.bar(f"reading {name}", total, "bytes") as bar,
        ):
            for number, file in files.items():
                before = counts.accepted
                for batch in read_rows(file, source, fields):
                    self._take(batch, name, number, file, counts, executor)
                    bar.advance(batch.size_bytes, rows=counts.accepted)
                counts.files[number] = counts.accepted - before
            while self._pending:
                self._finish_one()
        return counts

    def _take(
        self,
        batch: RawBatch,
        split: str,
        number: int,
        file: SourceFile,
        counts: SplitCounts,
        executor: ThreadPoolExecutor,
    ) -> None:
        parsed = self._parse(batch, file)
        for reject in sorted(batch.rejects):
            counts.rejected[reject.reason] += 1
            detail = f": {reject.detail}" if reject.detail else ""
            if len(counts.shown) < SHOWN_REJECTS:
                counts.shown.append(f"{self._locate(reject, file)}: {reject.reason}{detail}")
            line = {"split": split, "file": file.name, **reject._asdict()}
            self._rejected.write(format_json(line) + "\n")
        if not parsed.held:
            return
        counts.accepted += len(parsed.held)
        counts.notes.update(one.note for one in parsed.held if one.note)
        for one, row in zip(parsed.held, parsed.rows, strict=True):
            if one.mended:
                line = {"split": split, "file": file.name, "row": row, "what": one.mended}
                self._mended.write(format_json(line) + "\n")
        names = [
            one.name or f"{file.name}:{row}"
            for one, row in zip(parsed.held, parsed.rows, strict=True)
            if self._content.named
        ]
        payloads = [one.payload for one in parsed.held]
        self._store.append(payloads, number, parsed.labels, parsed.rows, names)
        near = self._signatures is not None
        self._pending.append(executor.submit(self._content.look_at, parsed.held, near))
        if len(self._pending) > _PENDING_BATCHES:
            self._finish_one()

    def _locate(self, reject: Reject, file: SourceFile) -> str:
        """How a message calls a rejected row."""
        if self._content.named and reject.content:
            # rows of a folder are its files, and their numbers tell nothing
            return reject.content if file.path.is_dir() else f"{file.name}:{reject.row}: {reject.content}"
        return f"{file.name}:{reject.row}"

    def _parse(self, batch: RawBatch, file: SourceFile) -> _Parsed:
        parsed = _Parsed()
        labelled = self._content.labelled
        raw = batch.values if labelled else [values[self._held] for values in batch.values]
        read = self._content.read(raw, file)
        for row, values, found in zip(batch.rows, batch.values, read, strict=True):
            try:
                if isinstance(found, InvalidValue):
                    raise found
                label = self._number(found.labels if labelled else values[self._label])
            except InvalidValue as error:
                batch.rejects.append(Reject(row, error.reason, error.detail, self._quote(values, file)))
                continue
            parsed.held.append(found)
            parsed.labels.append(label)
            parsed.rows.append(row)
        return parsed

    def _quote(self, values: Sequence[Any], file: SourceFile) -> str:
        """What is kept of a rejected row."""
        if self._content.named:
            return shorten(self._content.name_value(values[self._held], file))
        return shorten(" | ".join(map(str, values)))

    def _number(self, value: Any) -> int:
        if self._fields[self._label].kind == "labels":
            return self._labels.number_set(parse_labels(value))
        return self._labels.number(parse_label(value))

    def _finish_one(self) -> None:
        keys, signatures = self._pending.popleft().result()
        self._store.append_keys(keys)
        if self._signatures is not None:
            self._signatures.append(signatures)


_ONE_A_LINE = (
    "Write one JSON object a line (jq -c '.[]' OLD > NEW makes that of an array), or set data.SPLIT's format to what "
    "the file is."
)
_CAUSES = {
    "missing key": "Set columns: {FIELD: KEY}, beside data.SPLIT's path, to the keys that the objects have.",
    "missing text": "Set columns, beside data.SPLIT's path, to the column that holds the text.",
    "missing label": "Set columns, beside data.SPLIT's path, to the column that holds the label.",
    "text is not a string": "Set columns, beside data.SPLIT's path, to the column that holds the text.",
    "unknown label": "Check data.SPLIT's columns (are text and label swapped?), and write its labels as those of train "
    "or task.labels are written.",
    "wrong column count": "Set data.SPLIT's delimiter (CSV) or separator (CoNLL) to what parts the columns.",
    "broken JSON": _ONE_A_LINE,
    "not an object": _ONE_A_LINE,
    "label is neither string nor number": "Write one string or number a row; where pictures have several labels, set "
    "task.multi_label: true.",
    "missing file": "Write paths that start from the list's own folder, or absolute ones.",
    "tag is not a string": "No config key does this: replace the numbers in the file (0 → O, 1 → B-PER, …), or, in "
    "Parquet, store their names in its metadata (ClassLabel, as `datasets` writes it).",
}
"""What to do where one reason is that of nearly all rows: then it is the config, and not the rows, that is wrong."""
_NEARLY_ALL = 0.9


def _suggest(split: SplitCounts, name: str) -> str:
    (reason, count), *_ = split.rejected.most_common(1)
    nearly_all = split.share_rejected * count >= _NEARLY_ALL * split.rejected.total()
    told = _CAUSES.get(reason) if nearly_all else None
    return (told or "Mend them, or raise data.max_rejected.").replace("SPLIT", name)


class RejectsError(DataError):
    """Too many rows cannot be used."""


def check_rejects(counts: dict[str, SplitCounts], limit: float, rejected: Path) -> None:
    """Stops where too much of a split was rejected, or nothing is left of it.

    Raises:
        RejectsError: with counts by reason and the first few rejects.
        DataError: there are no rows at all.
    """
    for name, split in counts.items():
        total = split.accepted + split.rejected.total()
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in split.rejected.most_common())
        shown = "".join(f"\n    {line}" for line in split.shown)
        if not total:
            raise DataError(
                "There is no row in it.",
                where=f"data.{name}",
                fix="Check its path, and header: true or false.",
            )
        if split.share_rejected > limit or not split.accepted:
            raise RejectsError(
                f"{split.rejected.total():,} of {total:,} rows of data.{name} ({split.share_rejected:.1%}) "
                f"cannot be used, more than data.max_rejected ({limit:.1%}): {reasons}. The first:{shown}",
                fix=f"All are listed in {rejected}. {_suggest(split, name)}",
            )
