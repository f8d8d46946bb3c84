"""The steps of preparing a dataset: reading, cutting, checking, writing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.data.config import DataConfig, TextSource
from kerasft.data.duplicates.exact import Duplicates, group_by_key
from kerasft.data.duplicates.near import NO_PAIRS, NearPairs, connect
from kerasft.data.duplicates.several import join_pairs
from kerasft.data.kinds import load_kind
from kerasft.data.kinds.base import Kind
from kerasft.data.kinds.fields import Field
from kerasft.data.kinds.label import LabelKind
from kerasft.data.prepare.checks import describe_duplicates, handle_leaks
from kerasft.data.prepare.class_targets import ClassTarget
from kerasft.data.prepare.cutting import cut
from kerasft.data.prepare.decontamination import CONTAMINATED, Decontamination, report_decontamination
from kerasft.data.prepare.dropping import DUPLICATES, drop_duplicates
from kerasft.data.prepare.fingerprint import SPLITS
from kerasft.data.prepare.manifest import build_manifest
from kerasft.data.prepare.parts import TRAIN, ByteCutter, Segment, lay_out
from kerasft.data.prepare.reading import SplitCounts, SplitReader
from kerasft.data.prepare.rejects import check_rejects
from kerasft.data.prepare.too_few import check_not_empty, check_sentences, refuse_cut
from kerasft.data.prepare.writing import write_splits
from kerasft.data.prepared import PreparedDataset
from kerasft.data.sources import SourceFile
from kerasft.data.store import RowStore
from kerasft.errors import ConfigError
from kerasft.progress import Progress

REJECTED = "rejected.jsonl"
MENDED = "mended.jsonl"


class Preparation:
    """The steps of one `prepare_dataset`, with what they share."""

    def __init__(
        self,
        config: DataConfig,
        fields: Sequence[Field],
        sources: dict[str, list[SourceFile]],
        seed: int,
        progress: Progress,
        protected: Sequence[tuple[str, PreparedDataset]] = (),
    ):
        self.config = config
        self.fields = fields
        self.seed = seed
        self.progress = progress
        self.kinds: dict[str, Kind] = {field.name: load_kind(field) for field in fields}
        self.inputs = [kind for kind in self.kinds.values() if kind.field.role == "input"]
        self.noun = self.inputs[0].noun if len(self.inputs) == 1 else "example"
        self.files = [(split, file) for split, files in sources.items() for file in files]
        self.classes = [
            ClassTarget(kind, self.kinds, self.noun, config, sources.get("train", []), progress)
            for kind in self.kinds.values()
            if isinstance(kind, LabelKind)
        ]
        self.protected = protected
        self.counts: dict[str, SplitCounts] = {}
        self.segments: list[Segment] = []
        """The rows of the store, in their order."""
        self.cut_splits: list[str] = []
        """The splits that were train's: drawn by the seed, or parts of its files."""
        self.is_corpus = not any(field.role == "target" for field in fields)
        self.drops_duplicates = config.duplicates == "drop" or (
            config.duplicates == "auto" and self.is_corpus
        )
        for kind in self.inputs:
            kind.is_of_corpus = self.is_corpus

    def run(self, folder: Path, work: Path, kept: Path) -> dict[str, Any]:
        """Writes everything but the manifest into `folder`, and returns the manifest; see `prepare_dataset`."""
        names = [kind.field.name for kind in self.inputs]
        with RowStore(work, list(self.kinds), names) as store:
            pairs = self._read(store, folder, work, kept)
            for target in self.classes:
                target.settle(store, self.counts.get("train"))
            groups = group_by_key(store.read_keys())
            splits = np.repeat(
                np.array([SPLITS.index(segment.split) for segment in self.segments], np.uint8),
                [segment.rows for segment in self.segments],
            )
            findings = self._drop(store, groups, pairs, splits, folder, work)
            self._cut(store, groups, pairs, splits)
            present = {
                name: number
                for number, name in enumerate(SPLITS)
                if name in self.counts or name in self.cut_splits
            }
            check_not_empty(splits, present, self.counts, self.config.parts)
            findings |= self._check(store, groups, pairs, splits, present, findings.pop("duplicates", {}))
            del groups, pairs
            write_splits(folder, store, self.kinds, splits, present, self.progress)
        return build_manifest(
            self.config,
            list(self.kinds.values()),
            self.files,
            self.counts,
            findings,
            seed=self.seed,
            is_drawn=bool(set(self.cut_splits) - set(self.config.parts)),
            drops_duplicates=self.drops_duplicates,
        )

    def _read(self, store: RowStore, folder: Path, work: Path, kept: Path) -> NearPairs:
        """Reads all splits into the store.

        Returns:
            Near duplicates among the first rows of each example.

        Raises:
            RejectsError: too many rows of a split are rejected, or all.
        """
        numbered = list(enumerate(self.files))
        with ExitStack() as stack:
            signatures = {}
            for place, kind in enumerate(self.inputs if self.config.near_duplicates else ()):
                (work / f"signatures-{place}").mkdir()
                opened = kind.open_signatures(work / f"signatures-{place}")
                if opened is not None:
                    signatures[kind.field.name] = stack.enter_context(opened)
            with (
                open(folder / REJECTED, "w", encoding="utf-8") as rejected,
                open(folder / MENDED, "w", encoding="utf-8") as mended,
            ):
                reader = SplitReader(self.kinds, store, signatures, rejected, mended)
                for name in dict.fromkeys(split for split, _ in self.files):
                    files = {number: file for number, (split, file) in numbered if split == name}
                    cutter = self._open_cutter(reader, files) if name == TRAIN else None
                    source = getattr(self.config, name)
                    self.counts[name] = reader.read(name, source, files, self.progress, cutter)
                    self.segments += self._list_segments(name, cutter)
                    for target in self.classes if name == "train" else ():
                        target.kind.labels.closed = True
                        target.check_names(store, self.counts["train"])
            check_rejects(self.counts, self.config.max_rejected, kept)
            store.flush()
            if not signatures:
                return NO_PAIRS
            ends = np.cumsum([0, *(segment.rows for segment in self.segments)]).tolist()
            return self._find_near_pairs(store, signatures, ends)

    def _open_cutter(self, reader: SplitReader, files: dict[int, SourceFile]) -> ByteCutter | None:
        """What cuts train's text where parts of it by bytes are other splits.

        Raises:
            ConfigError: examples are not texts alone.
        """
        parts, source = self.config.parts, self.config.train
        if not parts or source is None or any(part.documents for part in parts.values()):
            return None
        (name, *others) = self.kinds
        if others or self.kinds[name].field.kind != "text":
            raise ConfigError(
                "Only texts without labels or other fields can be cut by bytes.",
                where=f"data.{next(iter(parts))}",
                fix="Set documents: true.",
            )
        total = reader.measure_payloads(source, files, self.progress)
        return ByteCutter(lay_out(parts, total), isinstance(source, TextSource))

    def _list_segments(self, name: str, cutter: ByteCutter | None) -> list[Segment]:
        """Whose a split's files are."""
        if cutter is not None:
            return cutter.segments
        rows = self.counts[name].accepted
        if name != TRAIN or not self.config.parts:
            return [Segment(name, rows)]
        ends = lay_out(self.config.parts, rows)
        starts = [0, *(end for _, end in ends)]
        return [Segment(part, end - start) for (part, end), start in zip(ends, starts, strict=False)]

    def _find_near_pairs(
        self, store: RowStore, signatures: dict[str, Any], boundaries: Sequence[int]
    ) -> NearPairs:
        pairs = []
        for kind in self.inputs:
            payloads = store.columns[kind.field.name]
            if kind.field.name not in signatures:
                pairs.append(NO_PAIRS)
                continue
            groups = group_by_key(payloads.read_keys())
            firsts = np.flatnonzero(groups == np.arange(len(groups))).astype(np.uint32)
            del groups
            pairs.append(
                kind.find_near_pairs(
                    signatures[kind.field.name], firsts, boundaries, self.config, payloads, self.progress
                )
            )
        if len(pairs) == 1:
            return pairs[0]
        return join_pairs([store.columns[kind.field.name].read_keys() for kind in self.inputs], pairs)

    def _check(
        self,
        store: RowStore,
        groups: np.ndarray,
        pairs: NearPairs,
        splits: np.ndarray,
        present: dict[str, int],
        dropped: dict[str, Any],
    ) -> dict[str, Any]:
        """What the manifest says of each split, and of leaks; rows that leak may be marked as dropped in `splits`.

        Raises:
            DataError: there are leaks where they are refused, or train cannot be learned from.
        """
        for target in self.classes:
            target.check(target.count(splits, present, self.cut_splits))
        numbers = self.classes[0].numbers if self.classes else np.zeros(len(store), np.int32)
        duplicates = Duplicates(groups, pairs, splits, numbers)
        quoted = [kind.field.name for kind in self.inputs if kind.quoted]
        describe = store.build_describer([file.name for _, file in self.files], quoted)
        leaks = handle_leaks(
            duplicates,
            present,
            self.config.leaks,
            describe,
            self.progress,
            self.noun,
            self.classes[0].kind.describe if self.classes else str,
            self.cut_splits,
        )
        own = {name: number for name, number in present.items() if number and name in self.counts}
        for target in self.classes:
            target.warn_of_swapped(store, splits, own)
        counted = [target.count(splits, present, self.cut_splits) for target in self.classes]
        entries = {
            name: {
                "rows": int((splits == number).sum()),
                "cut_from_train": name in self.cut_splits,
                "labels": counted[0][name] if counted else {},
                "targets": self._summarize(store, splits == number, [each[name] for each in counted[1:]]),
                "rejected": dict(self.counts[name].rejected.most_common()) if name in self.counts else {},
                "notes": dict(self.counts[name].notes.most_common()) if name in self.counts else {},
                "duplicates": describe_duplicates(duplicates, number, describe)
                | (dropped if name == TRAIN else {}),
                **self._profile(store, splits == number),
            }
            for name, number in present.items()
        }
        return {"splits": entries, "leaks": leaks}

    def _profile(self, store: RowStore, rows: np.ndarray) -> dict[str, Any]:
        """What a split of a corpus holds, by field."""
        if not self.is_corpus:
            return {}
        profiles = {
            kind.field.name: kind.profile(store.columns[kind.field.name], np.flatnonzero(rows))
            for kind in self.inputs
        }
        return {"profile": {name: profile for name, profile in profiles.items() if profile}}

    def _summarize(
        self, store: RowStore, rows: np.ndarray, counted: Sequence[dict[str, int]]
    ) -> dict[str, dict[str, Any]]:
        """What is known of a split's targets besides the first that has classes, by field."""
        names = [target.kind.field.name for target in self.classes[1:]]
        summaries: dict[str, dict[str, Any]] = dict(zip(names, counted, strict=True))
        for name, kind in self.kinds.items():
            if (
                kind.field.role == "target"
                and kind.column_type is not None
                and not isinstance(kind, LabelKind)
            ):
                summaries[name] = dict(kind.summarize(kind.build_column(store.columns[name], rows)))
        return summaries

    def _drop(
        self,
        store: RowStore,
        groups: np.ndarray,
        pairs: NearPairs,
        splits: np.ndarray,
        folder: Path,
        work: Path,
    ) -> dict[str, Any]:
        """Marks rows of train in `splits` that are not to be trained on, and says which, for the manifest."""
        found: dict[str, Any] = {}
        locate = store.build_locator([file.name for _, file in self.files])
        if self.protected:
            columns = [store.columns[kind.field.name] for kind in self.inputs if kind.quoted]
            decontamination = Decontamination(self.protected, work / "passages")
            found["decontamination"] = decontamination.drop(
                folder / CONTAMINATED, columns, splits, locate, self.progress
            )
            report_decontamination(found["decontamination"], self.progress)
        if self.drops_duplicates:
            found["duplicates"] = drop_duplicates(folder / DUPLICATES, groups, pairs, splits, locate)
        return found

    def _cut(self, store: RowStore, groups: np.ndarray, pairs: NearPairs, splits: np.ndarray) -> None:
        """Splits off from train, in `splits`, what is missing.

        Raises:
            DataError: train is too small for it.
        """
        wanted = {"validation": self.config.validation_share, "test": self.config.test_share}
        drawn = [
            name
            for name, share in wanted.items()
            if share and getattr(self.config, name) is None and TRAIN in self.counts
        ]
        self.cut_splits = [*drawn, *self.config.parts]
        if not drawn:
            return
        train = np.flatnonzero(splits == 0)
        splits[train] = cut(
            store.read_keys()[train],
            self._find_strata(store, train, min(wanted[name] for name in drawn)),
            group_by_key(groups[train]),
            group_by_key(connect(groups, pairs)[train]),
            {SPLITS.index(name): wanted[name] for name in drawn},
            self.seed,
        )
        for name in drawn:
            if not (splits == SPLITS.index(name)).any():
                texts = store.columns[self.inputs[0].field.name]
                file = next(file.name for split, file in self.files if split == TRAIN)
                check_sentences(self.config.train, texts, self.counts[TRAIN].accepted, file)
                labels = len(self.classes[0].kind.names) if self.classes else 0
                different = len(np.unique(groups[train]))
                refuse_cut(name, different, len(train), self.noun, labels, self.config.train, drawn)

    def _find_strata(self, store: RowStore, train: np.ndarray, share: float) -> np.ndarray:
        """int32 (rows of train,): those of the first target that has any; else all rows are alike."""
        for name, kind in self.kinds.items():
            if kind.field.role == "target":
                strata = kind.find_strata(store.columns[name], train, share)
                if strata is not None:
                    return strata
        return np.zeros(len(train), np.int32)
