"""Checks raw rows: the kind of each field reads its value, and rejected rows are listed."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import compress
from typing import IO, Any

import numpy as np

from kerasft.data.config import Source
from kerasft.data.kinds.base import Kind, ReadValue, Signatures
from kerasft.data.kinds.fields import Field, InvalidValue, is_missing
from kerasft.data.prepare.parts import ByteCutter
from kerasft.data.sources import RawBatch, Reject, SourceFile, measure, read_rows
from kerasft.data.sources.rows import shorten
from kerasft.data.store import RowStore
from kerasft.printable import format_json
from kerasft.progress import Progress

SHOWN_REJECTS = 5
_PENDING_BATCHES = 4
_COMPARED_BYTES = 1 << 17
"""So many bytes of payloads are compared at once, or the rows of one batch."""
_LARGE_BYTES = 1 << 21
"""Batches of so many bytes do not wait for each other in memory: comparing takes a multiple of their size."""


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
    left_out: int = 0
    """Accepted rows of which something was left out."""
    left_out_shown: list[str] = field(default_factory=list)
    """The first few of them, and what it was, for messages."""

    @property
    def share_rejected(self) -> float:
        total = self.accepted + self.rejected.total()
        return self.rejected.total() / total if total else 0.0


class SplitReader:
    """Reads splits one after the other into a store, with signatures made on a second thread.

    Args:
        kinds: field's name → its kind, in the order in which they are read.
        store: where rows go.
        signatures: input's name → where its signatures go; those without are compared exactly alone.
        rejected: where rejects are written, as JSON lines.
        mended: likewise what was mended in rows that are kept.
    """

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        store: RowStore,
        signatures: Mapping[str, Signatures],
        rejected: IO[str],
        mended: IO[str],
    ):
        self._kinds = kinds
        self._named = next((kind for kind in kinds.values() if kind.named and _is_input(kind)), None)
        self._often = Counter(kind.field.kind for kind in kinds.values())
        self._columns: dict[str, slice] = {}
        """Field's name → which of a row's raw values are its own."""
        self._store = store
        self._signatures = signatures
        self._rejected, self._mended = rejected, mended
        self._pending: deque[Future[list[tuple[str, np.ndarray, Any]]]] = deque()
        self._waiting: dict[str, list[ReadValue]] = {}
        """Input's name → values of rows that are stored, and not compared yet."""
        self._waiting_bytes = 0
        self._cutter: ByteCutter | None = None
        self._messages: list[tuple[bool, str]] = []
        """What readers say of files, and whether it is a warning."""

    def measure_payloads(self, source: Source, files: Mapping[int, SourceFile], progress: Progress) -> int:
        """Bytes of the rows of some files that are accepted, where examples hold one field; nothing is stored."""
        total = 0
        columns = self._open(source, list(files.values()), progress)
        size = sum(measure(file) for file in files.values())
        with progress.bar("measuring train", size, "bytes") as bar:
            for file in files.values():
                for batch in read_rows(file, source, columns):
                    read, _ = self._parse(batch, file)
                    total += sum(len(value.payload) for values in read.values() for value in values)
                    bar.advance(batch.size_bytes)
        return total

    def read(
        self,
        name: str,
        source: Source,
        files: Mapping[int, SourceFile],
        progress: Progress,
        cutter: ByteCutter | None = None,
    ) -> SplitCounts:
        """Reads a split's files, given by their numbers.

        Args:
            name: the split.
            source: the files' settings.
            files: number → file.
            progress: shows a bar.
            cutter: cuts rows where parts of the files are other splits; examples then hold one field.
        """
        counts = SplitCounts()
        self._cutter = cutter
        total = sum(measure(file) for file in files.values())
        columns = self._open(source, list(files.values()), progress)
        with (
            ThreadPoolExecutor(1, thread_name_prefix="signatures") as executor,
            progress.bar(f"reading {name}", total, "bytes") as bar,
        ):
            for number, file in files.items():
                before = counts.accepted
                for batch in read_rows(file, source, columns):
                    self._take(batch, name, number, file, counts, executor)
                    bar.advance(batch.size_bytes, rows=counts.accepted)
                counts.files[number] = counts.accepted - before
            self._compare_waiting(executor)
            while self._pending:
                self._finish_one()
        for is_warning, message in self._messages:
            (progress.warn if is_warning else progress.note)(message)
        self._messages.clear()
        _report_left_out(name, counts, progress)
        return counts

    def _open(self, source: Source, files: Sequence[SourceFile], progress: Progress) -> list[Field]:
        """The columns to read of each row."""
        columns: list[Field] = []
        for name, kind in self._kinds.items():
            own = [] if kind.field.of else kind.open_source(source, files, progress)
            self._columns[name] = slice(len(columns), len(columns) + len(own))
            columns += own
        return columns

    def _take(
        self,
        batch: RawBatch,
        split: str,
        number: int,
        file: SourceFile,
        counts: SplitCounts,
        executor: ThreadPoolExecutor,
    ) -> None:
        read, kept = self._parse(batch, file)
        counts.notes.update(batch.notes)
        self._messages += [(False, remark) for remark in batch.remarks]
        self._messages += [(True, warning) for warning in batch.warnings]
        for reject in sorted(batch.rejects):
            counts.rejected[reject.reason] += 1
            detail = f": {reject.detail}" if reject.detail else ""
            if len(counts.shown) < SHOWN_REJECTS:
                counts.shown.append(f"{self._locate(reject, file)}: {reject.reason}{detail}")
            line = {"split": split, "file": file.name, **reject._asdict()}
            self._rejected.write(format_json(line) + "\n")
        if not kept:
            return
        rows = [batch.rows[place] for place in kept]
        if self._cutter is not None:
            ((name, values),) = read.items()
            read[name], rows = self._cutter.cut(values, rows)
        counts.accepted += len(rows)
        names = []
        if self._named:
            values = read[self._named.field.name]
            names = [value.name or f"{file.name}:{row}" for value, row in zip(values, rows, strict=True)]
        self._note(read, rows, names, split, file, counts)
        payloads = {name: self._kinds[name].encode(values) for name, values in read.items()}
        self._store.append(payloads, number, rows, names)
        for name, values in read.items():
            if _is_input(self._kinds[name]):
                self._waiting.setdefault(name, []).extend(values)
        self._waiting_bytes += sum(len(payload) for column in payloads.values() for payload in column)
        # the rows of several small files are compared together: few rows take as long as many
        if self._waiting_bytes >= _COMPARED_BYTES:
            self._compare_waiting(executor)

    def _compare_waiting(self, executor: ThreadPoolExecutor) -> None:
        """Hands the inputs of the last rows to the thread that compares them."""
        waiting, size = self._waiting, self._waiting_bytes
        self._waiting, self._waiting_bytes = {}, 0
        if waiting:
            self._pending.append(executor.submit(self._compare, waiting))
        while len(self._pending) > (_PENDING_BATCHES if size < _LARGE_BYTES else 0):
            self._finish_one()

    def _note(
        self,
        read: dict[str, list[ReadValue]],
        rows: Sequence[int],
        names: Sequence[str],
        split: str,
        file: SourceFile,
        counts: SplitCounts,
    ) -> None:
        """Counts what had to be done to rows that are kept, and lists what was mended."""
        for values in read.values():
            counts.notes.update(value.note for value in values if value.note)
            for place, (value, row) in enumerate(zip(values, rows, strict=True)):
                name = {"name": names[place]} if names else {}
                if value.mended:
                    line = {"split": split, "file": file.name, "row": row, **name, "what": value.mended}
                    self._mended.write(format_json(line) + "\n")
                if value.left_out:
                    counts.left_out += 1
                    if len(counts.left_out_shown) < SHOWN_REJECTS:
                        where = names[place] if names else f"{file.name}:{row}"
                        counts.left_out_shown.append(f"{where}: {value.left_out}")

    def _locate(self, reject: Reject, file: SourceFile) -> str:
        """How a message calls a rejected row."""
        if self._named and reject.content:
            # rows of a folder are its files, and their numbers mean nothing
            return reject.content if file.path.is_dir() else f"{file.name}:{reject.row}: {reject.content}"
        return f"{file.name}:{reject.row}"

    def _parse(self, batch: RawBatch, file: SourceFile) -> tuple[dict[str, list[ReadValue]], list[int]]:
        """Field's name → values of the rows that are kept, and which of the batch's these are.

        A row is rejected for the first of its fields that cannot be used; the others are not read then.
        """
        read: dict[str, list[ReadValue]] = {}
        kept = list(range(len(batch.values)))
        # after the picture what is measured in its pixels, and after a field what is read from it
        for name, kind in sorted(self._kinds.items(), key=lambda item: _rank(item[1])):
            found = _read_values(kind, self._get_raw(kind, batch, read, kept), file)
            if kind.in_pixels:
                found = self._check_sizes(kind, found, read)
            good = [not isinstance(value, InvalidValue) for value in found]
            for place, value in zip(kept, found, strict=True):
                if isinstance(value, InvalidValue):
                    detail = value.detail
                    if self._often[kind.field.kind] > 1:
                        detail = f"{name}: {detail}" if detail else name
                    quoted = self._quote(batch.values[place], file)
                    batch.rejects.append(Reject(batch.rows[place], value.reason, detail, quoted))
            if not all(good):
                kept = list(compress(kept, good))
                read = {other: list(compress(values, good)) for other, values in read.items()}
            read[name] = [value for value in found if not isinstance(value, InvalidValue)]
        return read, kept

    def _get_raw(
        self, kind: Kind, batch: RawBatch, read: dict[str, list[ReadValue]], kept: Sequence[int]
    ) -> list[Any]:
        """What `kind.read` is given of the rows that are kept so far."""
        if kind.field.of:
            return [value.labels for value in read[kind.field.of]]
        columns = self._columns[kind.field.name]
        if kind.field.parts:
            return [batch.values[place][columns] for place in kept]
        return [batch.values[place][columns.start] for place in kept]

    def _check_sizes(
        self, kind: Kind, found: Sequence[ReadValue | InvalidValue], read: dict[str, list[ReadValue]]
    ) -> list[ReadValue | InvalidValue]:
        """What of a field's values fits the rows' pictures, which were read before."""
        plain = (values for name, values in read.items() if not self._kinds[name].in_pixels)
        pictures = next((values for values in plain if values and values[0].size_px), [])
        if not pictures:
            return list(found)
        return [
            value
            if isinstance(value, InvalidValue) or picture.size_px is None
            else kind.check_size(value, picture.size_px, picture.orientation)
            for value, picture in zip(found, pictures, strict=True)
        ]

    def _quote(self, values: Sequence[Any], file: SourceFile) -> str:
        """What is kept of a rejected row."""
        if self._named:
            value = values[self._columns[self._named.field.name].start]
            return shorten(self._named.name_value(value, file))
        return shorten(" | ".join(map(str, values)))

    def _compare(self, inputs: dict[str, list[ReadValue]]) -> list[tuple[str, np.ndarray, Any]]:
        """(name, keys, signatures) of each input."""
        return [
            (name, *self._kinds[name].compute_signatures(values, name in self._signatures))
            for name, values in inputs.items()
        ]

    def _finish_one(self) -> None:
        for name, keys, signatures in self._pending.popleft().result():
            self._store.columns[name].append_keys(keys)
            if name in self._signatures:
                self._signatures[name].append(signatures)


def _report_left_out(split: str, counts: SplitCounts, progress: Progress) -> None:
    """Names what was left out of rows that are kept."""
    if counts.left_out:
        rows = f"{counts.left_out:,} row{'s' * (counts.left_out > 1)}"
        shown = "; ".join(counts.left_out_shown)
        more = "; …" * (counts.left_out > len(counts.left_out_shown))
        progress.warn(f"{split}: something was left out of {rows}: {shown}{more}.")


def _read_values(kind: Kind, values: Sequence[Any], file: SourceFile) -> list[ReadValue | InvalidValue]:
    """Each raw value as its kind reads it; of an optional field those that there are."""
    missing = kind.read_missing() if kind.field.optional else None
    if missing is None:
        return kind.read(values, file)
    missing = missing._replace(note=f"without {kind.field.name}")
    read = iter(kind.read([value for value in values if not is_missing(value)], file))
    return [missing if is_missing(value) else next(read) for value in values]


def _is_input(kind: Kind) -> bool:
    return kind.field.role == "input"


def _rank(kind: Kind) -> int:
    return 2 if kind.field.of else int(kind.in_pixels)
