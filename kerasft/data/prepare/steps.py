"""The steps of preparing a dataset: reading, cutting, checking, writing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

import kerasft
from kerasft.data.config import ConllSource, DataConfig
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
from kerasft.data.prepare.fingerprint import SPLITS
from kerasft.data.prepare.reading import SplitCounts, SplitReader, check_rejects
from kerasft.data.prepare.writing import write_splits
from kerasft.data.prepared import FORMAT
from kerasft.data.sources import SourceFile, compute_source_sha256, measure
from kerasft.data.store import RowStore
from kerasft.errors import DataError
from kerasft.files import compute_fingerprint
from kerasft.progress import Progress

REJECTED = "rejected.jsonl"
MENDED = "mended.jsonl"
_FEW_SENTENCES, _LONG_SENTENCE = 4, 100
"""So few of so many words lack the empty lines between them."""
_EXAMPLES_FORMAT = 1
"""Raised when the same files give other examples: part of the fingerprint."""


class Preparation:
    """The steps of one `prepare_dataset`, with what they share."""

    def __init__(
        self,
        config: DataConfig,
        fields: Sequence[Field],
        sources: dict[str, list[SourceFile]],
        seed: int,
        progress: Progress,
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
        self.counts: dict[str, SplitCounts] = {}
        self.cut_splits: list[str] = []

    def run(self, folder: Path, work: Path, kept: Path) -> dict[str, Any]:
        """Writes everything but the manifest into `folder`, and returns the manifest; see `prepare_dataset`."""
        names = [kind.field.name for kind in self.inputs]
        with RowStore(work, list(self.kinds), names) as store:
            pairs = self._read(store, folder, work, kept)
            for target in self.classes:
                target.settle(store, self.counts.get("train"))
            groups = group_by_key(store.read_keys())
            splits = self._assign(store, groups, pairs)
            present = {
                name: number
                for number, name in enumerate(SPLITS)
                if name in self.counts or name in self.cut_splits
            }
            entries, leaks = self._check(store, groups, pairs, splits, present)
            del groups, pairs
            write_splits(folder, store, self.kinds, splits, present, self.progress)
        return self._build_manifest(entries, leaks)

    def _read(self, store: RowStore, folder: Path, work: Path, kept: Path) -> NearPairs:
        """Reads all splits into the store.

        Returns:
            Near duplicates among the first rows of each example.

        Raises:
            RejectsError: too many rows of a split are rejected, or all.
        """
        boundaries = [0]
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
                    self.counts[name] = reader.read(name, getattr(self.config, name), files, self.progress)
                    boundaries.append(len(store))
                    for target in self.classes if name == "train" else ():
                        target.kind.labels.closed = True
                        target.check_names(store, self.counts["train"])
            check_rejects(self.counts, self.config.max_rejected, kept)
            store.flush()
            if not signatures:
                return NO_PAIRS
            return self._find_near_pairs(store, signatures, boundaries)

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
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """(what the manifest says of each split, and of leaks); rows that leak may be marked as dropped in `splits`.

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
                "duplicates": describe_duplicates(duplicates, number, describe),
            }
            for name, number in present.items()
        }
        return entries, leaks

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

    def _assign(self, store: RowStore, groups: np.ndarray, pairs: NearPairs) -> np.ndarray:
        """uint8 (rows,): each row's split, an index into `SPLITS`; what is missing is cut from train.

        Raises:
            DataError: train is too small for it.
        """
        lengths = [self.counts[name].accepted if name in self.counts else 0 for name in SPLITS]
        splits = np.repeat(np.arange(len(SPLITS), dtype=np.uint8), lengths)
        wanted = {"validation": self.config.validation_share, "test": self.config.test_share}
        self.cut_splits = [
            name
            for name, share in wanted.items()
            if share and name not in self.counts and "train" in self.counts
        ]
        if not self.cut_splits:
            return splits
        train = slice(0, lengths[0])
        splits[train] = cut(
            store.read_keys()[train],
            self._find_strata(store, train, min(wanted[name] for name in self.cut_splits)),
            groups[train],
            connect(groups, pairs)[train],
            {SPLITS.index(name): wanted[name] for name in self.cut_splits},
            self.seed,
        )
        for name in self.cut_splits:
            if not (splits == SPLITS.index(name)).any():
                self._check_sentences(store)
                self._refuse_cut(name, len(np.unique(groups[train])), lengths[0])
        return splits

    def _find_strata(self, store: RowStore, train: slice, share: float) -> np.ndarray:
        """int32 (rows of train,): those of the first target that has any; else all rows are alike."""
        for name, kind in self.kinds.items():
            if kind.field.role == "target":
                strata = kind.find_strata(store.columns[name], train, share)
                if strata is not None:
                    return strata
        return np.zeros(train.stop, np.int32)

    def _refuse_cut(self, split: str, different: int, rows: int) -> None:
        """Says that train is too small.

        Raises:
            DataError: always.
        """
        shares = " and ".join(f"data.{cut_split}_share: 0" for cut_split in self.cut_splits)
        labels = f" with {len(self.classes[0].kind.names):,} labels" if self.classes else ""
        wanted = "at least 3 of each label, and some 50" if self.classes else "some 50"
        raise DataError(
            f"train has too few different {self.noun}s to cut {split} from it: {different:,}, in {rows:,} "
            f"rows{labels}.",
            where="data",
            fix=f"Add rows: {wanted} to learn from. Or name files under data.{split}; to go on without, set {shares}.",
        )

    def _check_sentences(self, store: RowStore) -> None:
        """Looks whether train is too small for a cut because its sentences are not parted.

        Raises:
            DataError: they are not.
        """
        rows = self.counts["train"].accepted
        if not isinstance(self.config.train, ConllSource) or rows > _FEW_SENTENCES:
            return
        texts = store.columns[self.inputs[0].field.name]
        sentences = [payload.partition(b"\0")[0] for payload in texts.read_payloads(range(rows))]
        words = max(len(text.split()) for text in sentences)
        if words < _LONG_SENTENCE:
            return
        sentences_read = "one sentence" if rows == 1 else f"{rows} sentences, the longest"
        raise DataError(
            f"train is {sentences_read} of {words:,} words, too few to split: the empty lines between "
            "its sentences seem to be missing.",
            where=next(file.name for split, file in self.files if split == "train"),
            fix="Put an empty line after each sentence.",
        )

    def _build_manifest(self, entries: dict[str, Any], leaks: dict[str, Any]) -> dict[str, Any]:
        sources = [
            {
                "split": split,
                "file": file.name,
                "size_bytes": measure(file),
                "sha256": compute_source_sha256(file),
                "rows": self.counts[split].files[number],
            }
            for number, (split, file) in enumerate(self.files)
        ]
        settings = self.config.describe()
        names = [list(target.kind.names) for target in self.classes]
        content = {
            "format": _EXAMPLES_FORMAT,
            "settings": {key: _without_place(value) for key, value in settings.items()},
            "sources": [(source["split"], source["sha256"]) for source in sources],
            "fields": [(field.name, field.kind, *["optional"] * field.optional) for field in self.fields],
            "labels": names[0] if names else [],
            **({"other_labels": names[1:]} if names[1:] else {}),
            "seed": self.seed if self.cut_splits else None,
        }
        return {
            "format": FORMAT,
            "kerasft": kerasft.__version__,
            "fingerprint": compute_fingerprint(content),
            "fields": [self._describe_field(kind) for kind in self.kinds.values()],
            "labels": names[0] if names else [],
            "splits": entries,
            "leaks": leaks,
            "sources": sources,
            "config": settings,
            "seed": self.seed,
        }

    def _describe_field(self, kind: Kind) -> dict[str, Any]:
        field = kind.field
        entry: dict[str, Any] = {"name": field.name, "kind": field.kind, "role": field.role}
        entry |= {"optional": True} if field.optional else {}
        return entry | ({"labels": list(kind.names)} if isinstance(kind, LabelKind) else {})


def _without_place(value: Any) -> Any:
    """A source's settings without where it lies."""
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if key not in ("path", "data_dir", "download")}
