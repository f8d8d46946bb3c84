"""The steps of preparing a dataset: reading, naming labels, cutting, checking, writing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import kerasft
from kerasft.data.config import ConllSource, DataConfig
from kerasft.data.duplicates.exact import Duplicates, group_by_key
from kerasft.data.duplicates.near import NO_PAIRS, NearPairs, connect
from kerasft.data.kinds import load_content
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.checks import describe_duplicates, handle_leaks, warn_of_swapped_labels
from kerasft.data.prepare.cutting import cut, join_rare_sets
from kerasft.data.prepare.fingerprint import SPLITS
from kerasft.data.prepare.label_checks import check_labels, check_roles, sort_labels, warn_of_odd_labels
from kerasft.data.prepare.labels import Labels
from kerasft.data.prepare.reading import SplitCounts, SplitReader, check_rejects
from kerasft.data.prepare.train_labels import check_kept_labels, check_train_labels
from kerasft.data.prepare.writing import write_splits
from kerasft.data.prepared import FORMAT
from kerasft.data.sources import SourceFile, compute_source_sha256, measure
from kerasft.data.store import RowStore
from kerasft.errors import DataError
from kerasft.files import compute_fingerprint
from kerasft.progress import Progress

REJECTED = "rejected.jsonl"
MENDED = "mended.jsonl"
_SHOWN_CHARACTERS = 50
_FEW_SENTENCES, _LONG_SENTENCE = 4, 100
"""So few of so many words lack the empty lines between them."""
_READ_CHARACTERS = 2000
"""Of a text, of which the words are counted."""


class Preparation:
    """The steps of one `prepare_dataset`, with what they share."""

    def __init__(
        self,
        config: DataConfig,
        fields: Sequence[Field],
        sources: dict[str, list[SourceFile]],
        seed: int,
        labels: Sequence[str] | None,
        progress: Progress,
    ):
        self.config = config
        self.fields = fields
        self.seed = seed
        self.progress = progress
        self.content = load_content(next(f.kind for f in fields if not f.kind.startswith("label")))
        self.files = [(split, file) for split, files in sources.items() for file in files]
        self.labels = Labels(labels)
        self.label_names = list(self.labels.numbers)
        self.label_sets: np.ndarray | None = None
        """bool (sets, classes), of several labels an example: row's label → which classes it means."""
        self.counts: dict[str, SplitCounts] = {}
        self.cut_splits: list[str] = []

    def run(self, folder: Path, work: Path, kept: Path) -> dict[str, Any]:
        """Writes everything but the manifest into `folder`, and returns the manifest; see `prepare_dataset`."""
        with RowStore(work) as store:
            pairs = self._read(store, folder, work, kept)
            labels = self._name_labels(store)
            read = self._check_train_labels(labels)
            groups = group_by_key(store.read_column("keys"))
            splits = self._assign(store, groups, pairs, labels)
            present = {
                name: number
                for number, name in enumerate(SPLITS)
                if name in self.counts or name in self.cut_splits
            }
            found = self._count_labels(labels, splits, present)
            self._check_kept_labels(read, found)
            check_labels(found, self.progress, not self.content.labelled)
            duplicates = Duplicates(groups, pairs, splits, labels)
            describe = store.build_describer([file.name for _, file in self.files], self.content.quoted)
            leaks = handle_leaks(
                duplicates,
                present,
                self.config.leaks,
                describe,
                self.progress,
                self.content.noun,
                self._name_label,
                self.cut_splits,
            )
            if self.content.quoted and (self.content.labelled or self.label_sets is None):
                own = {name: number for name, number in present.items() if number and name in self.counts}
                read_rows = partial(self._read_labelled, store, labels)
                warn_of_swapped_labels(splits, own, read_rows, self.label_names, self.progress)
            counted = self._count_labels(labels, splits, present)
            self._check_kept_labels(read, counted)
            entries = {
                name: {
                    "rows": int((splits == number).sum()),
                    "cut_from_train": name in self.cut_splits,
                    "labels": counted[name],
                    "rejected": dict(self.counts[name].rejected.most_common()) if name in self.counts else {},
                    "notes": dict(self.counts[name].notes.most_common()) if name in self.counts else {},
                    "duplicates": describe_duplicates(duplicates, number, describe),
                }
                for name, number in present.items()
            }
            del duplicates, describe, groups, pairs
            write_splits(
                folder, store, self.fields, self.content, self.label_names, self.label_sets, labels, splits,
                present, self.progress,
            )  # fmt: skip
        return self._build_manifest(entries, leaks)

    def _read(self, store: RowStore, folder: Path, work: Path, kept: Path) -> NearPairs:
        """Reads all splits into the store.

        Returns:
            Near duplicates among the first rows of each text.

        Raises:
            RejectsError: too many rows of a split are rejected, or all.
        """
        boundaries = [0]
        numbered = list(enumerate(self.files))
        near = self.config.near_duplicates
        with self.content.open_signatures(work) as signatures:
            with (
                open(folder / REJECTED, "w", encoding="utf-8") as rejected,
                open(folder / MENDED, "w", encoding="utf-8") as mended,
            ):
                reader = SplitReader(
                    self.fields,
                    self.content,
                    self.labels,
                    store,
                    signatures if near else None,
                    rejected,
                    mended,
                )
                for name in dict.fromkeys(split for split, _ in self.files):
                    files = {number: file for number, (split, file) in numbered if split == name}
                    self.counts[name] = reader.read(name, getattr(self.config, name), files, self.progress)
                    boundaries.append(len(store))
                    self.labels.closed |= name == "train"
                    if name == "train" and not self.label_names and len(store):
                        self._look_at_labels(store)
            check_rejects(self.counts, self.config.max_rejected, kept)
            store.flush()
            if not near:
                return NO_PAIRS
            groups = group_by_key(store.read_column("keys"))
            firsts = np.flatnonzero(groups == np.arange(len(groups))).astype(np.uint32)
            return self.content.find_near_pairs(
                signatures, firsts, boundaries, self.config, store, self.progress
            )

    def _look_at_labels(self, store: RowStore) -> None:
        """Looks whether what train's label column holds are labels, before other splits lack them."""
        if self.content.labelled:
            return
        store.flush()
        rows = np.bincount(store.read_column("labels")).tolist()
        counts = dict(zip(self.labels.numbers, rows, strict=False))
        if self.fields_are_multiple:
            counts = dict.fromkeys(self.labels.numbers, 0)
            for names, number in self.labels.sets.items():
                counts.update((name, counts[name] + rows[number]) for name in names)
        elif 2 * len(counts) > len(store):
            columns = getattr(self.config.train, "columns", {})
            held, label = sorted(self.fields, key=lambda field: field.kind == "label")
            check_roles(
                list(counts),
                len(store),
                len(np.unique(store.read_column("keys"))),
                store.read_first_text()[:_SHOWN_CHARACTERS] if self.content.quoted else "",
                {field.name: columns.get(field.name, field.name) for field in (held, label)},
                self.content.noun,
            )
        if self.counts["train"].share_rejected <= self.config.max_rejected:
            self._check_label_counts(counts)
        warn_of_odd_labels(counts, self.progress, self.content.noun, self.fields_are_multiple)

    def _check_train_labels(self, labels: np.ndarray) -> dict[str, int]:
        """Label → rows of train's files.

        Raises:
            DataError: they are too few labels to learn from.
        """
        if "train" not in self.counts:
            return {}
        rows = labels[: self.counts["train"].accepted]
        counts = self._count_labels(rows, np.zeros(len(rows), np.uint8), {"train": 0})["train"]
        self._check_label_counts(counts)
        return counts

    def _check_label_counts(self, counts: dict[str, int]) -> None:
        files = [file for split, file in self.files if split == "train"]
        label = next(field.name for field in self.fields if field.kind in ("label", "labels"))
        column = getattr(self.config.train, "columns", {}).get(label, label)
        check_train_labels(counts, self.content.labelled, self.config.train, files, column)

    def _check_kept_labels(self, read: dict[str, int], counted: dict[str, dict[str, int]]) -> None:
        if "train" in counted:
            check_kept_labels(
                read, counted["train"], self.content.labelled, self.cut_splits, self.config.leaks
            )

    def _name_labels(self, store: RowStore) -> np.ndarray:
        """int32 (rows,): each row's label, in the order of `label_names`, which is settled here."""
        self.label_names = self.label_names or sort_labels(list(self.labels.numbers))
        places = {name: number for number, name in enumerate(self.label_names)}
        if self.fields_are_multiple:
            self.label_sets = np.zeros((len(self.labels.sets), len(self.label_names)), bool)
            for names, number in self.labels.sets.items():
                self.label_sets[number, [places[name] for name in names]] = True
            return store.read_column("labels")
        numbers = np.array([places[name] for name in self.labels.numbers], np.int32)
        return numbers[store.read_column("labels")]

    def _read_labelled(
        self, store: RowStore, labels: np.ndarray, rows: np.ndarray
    ) -> Iterator[tuple[str, int]]:
        """(text, number of its label), or of each entity in it (text, number of its type); row by row, since a text may
        have megabytes."""
        places = {name: number for number, name in enumerate(self.label_names)}
        for row in rows.tolist():
            (payload,) = store.read_payloads([row])
            for text, name in self.content.list_labelled(payload, self._name_label(labels[row])):
                yield text[:_READ_CHARACTERS], places[name]

    def _name_label(self, number: int) -> str:
        """A row's label in words; several where an example has."""
        if self.label_sets is None:
            return self.label_names[number]
        return " and ".join(self.label_names[i] for i in np.flatnonzero(self.label_sets[number])) or "none"

    @property
    def fields_are_multiple(self) -> bool:
        """Whether an example has any number of labels."""
        return any(field.kind == "labels" for field in self.fields)

    def _count_labels(
        self, labels: np.ndarray, splits: np.ndarray, present: dict[str, int]
    ) -> dict[str, dict[str, int]]:
        counted = {}
        for split, number in present.items():
            chosen = labels[splits == number]
            if self.label_sets is None:
                counts = np.bincount(chosen, minlength=len(self.label_names))
            else:
                counts = np.bincount(chosen, minlength=len(self.label_sets)) @ self.label_sets
            counted[split] = dict(zip(self.label_names, counts.tolist(), strict=True))
        return counted

    def _assign(
        self, store: RowStore, groups: np.ndarray, pairs: NearPairs, labels: np.ndarray
    ) -> np.ndarray:
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
        strata = labels[train]
        if self.label_sets is not None:
            strata = join_rare_sets(strata, self.label_sets, min(wanted[name] for name in self.cut_splits))
        splits[train] = cut(
            store.read_column("keys")[train],
            strata,
            groups[train],
            connect(groups, pairs)[train],
            {SPLITS.index(name): wanted[name] for name in self.cut_splits},
            self.seed,
        )
        for name in self.cut_splits:
            if not (splits == SPLITS.index(name)).any():
                self._check_sentences(store)
                shares = " and ".join(f"data.{cut_split}_share: 0" for cut_split in self.cut_splits)
                raise DataError(
                    f"train has too few different {self.content.noun}s to cut {name} from it: "
                    f"{len(np.unique(groups[train])):,}, in {lengths[0]:,} rows with {len(self.label_names):,} labels.",
                    where="data",
                    fix="Add rows: at least 3 of each label, and some 50 to learn from. Or name files under "
                    f"data.{name}; to go on without, set {shares}.",
                )
        return splits

    def _check_sentences(self, store: RowStore) -> None:
        """Looks whether train is too small for a cut because its sentences are not parted.

        Raises:
            DataError: they are not.
        """
        rows = self.counts["train"].accepted
        if not isinstance(self.config.train, ConllSource) or rows > _FEW_SENTENCES:
            return
        texts = [payload.partition(b"\0")[0] for payload in store.read_payloads(range(rows))]
        words = max(len(text.split()) for text in texts)
        if words < _LONG_SENTENCE:
            return
        told = "one sentence" if rows == 1 else f"{rows} sentences, the longest"
        raise DataError(
            f"train is {told} of {words:,} words, too few to cut other splits from: the empty lines between its "
            "sentences seem to be missing.",
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
        settings = self.config.model_dump(mode="json")
        content = {
            "format": FORMAT,
            "settings": {key: _without_place(value) for key, value in settings.items()},
            "sources": [(source["split"], source["sha256"]) for source in sources],
            "fields": [(field.name, field.kind) for field in self.fields],
            "labels": self.label_names,
            "seed": self.seed if self.cut_splits else None,
        }
        return {
            "format": FORMAT,
            "kerasft": kerasft.__version__,
            "fingerprint": compute_fingerprint(content),
            "fields": {field.kind: field.name for field in self.fields},
            "labels": self.label_names,
            "splits": entries,
            "leaks": leaks,
            "sources": sources,
            "config": settings,
            "seed": self.seed,
        }


def _without_place(value: Any) -> Any:
    """A source's settings without where it lies."""
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if key not in ("path", "data_dir", "download")}
