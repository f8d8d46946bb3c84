"""From the user's files to a prepared dataset: read, checked, cut, and written whole or not at all."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import kerasft
from kerasft.data.checks import check_labels, describe_duplicates, handle_leaks, report, sort_labels
from kerasft.data.config import DataConfig
from kerasft.data.cutting import cut
from kerasft.data.duplicates import Duplicates, group_by_key
from kerasft.data.fields import Field
from kerasft.data.fingerprint import SPLITS, compute_data_fingerprint, resolve_sources
from kerasft.data.near_duplicates import NO_PAIRS, NearPairs, SignatureFiles, connect, find_near_pairs
from kerasft.data.prepared import FORMAT, MANIFEST, PreparedDataset, Split, load_prepared_dataset
from kerasft.data.reading import Labels, RejectsError, SplitCounts, SplitReader, check_rejects
from kerasft.data.sources import SourceFile
from kerasft.data.store import RowStore
from kerasft.data.writing import write_splits
from kerasft.errors import ConfigError, DataError
from kerasft.files import compute_fingerprint, compute_sha256, whole_folder, write_json
from kerasft.progress import Progress, Silent

__all__ = ["PreparedDataset", "Split", "compute_data_fingerprint", "load_prepared_dataset", "prepare_dataset"]

REJECTED = "rejected.jsonl"
_WORK = ".work"


def prepare_dataset(
    config: DataConfig,
    fields: Sequence[Field],
    folder: Path,
    *,
    base: Path,
    seed: int,
    labels: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> PreparedDataset:
    """Reads, checks and writes a dataset; what stood at `folder` is replaced.

    Args:
        config: the `data` section.
        fields: what the task needs of an example: one text and one label.
        folder: where the dataset goes.
        base: the folder that relative paths start from.
        seed: decides which rows are cut for a missing validation or test split.
        labels: the labels in their order; None: those of train, numbers by value, else sorted.
        progress: told of what is found.

    Raises:
        ConfigError: `columns` names something that examples do not have.
        DataError: the files cannot be used; nothing is written then, except that `<folder>.rejected.jsonl` lists the
            rejected rows where they are too many.
    """
    if sorted(field.kind for field in fields) != ["label", "text"]:
        raise ValueError(f"an example holds one text and one label, not {[field.kind for field in fields]}")
    _check_columns(config, fields)
    folder = Path(folder)
    progress = progress or Silent()
    kept = folder.with_name(f"{folder.name}.{REJECTED}")
    kept.unlink(missing_ok=True)
    sources = resolve_sources(config, base)
    if not sources:
        raise DataError(
            "The data section names no files.", fix="Set data.train (and data.test), with format and path."
        )
    with whole_folder(folder) as temporary:
        work = temporary / _WORK
        work.mkdir()
        preparation = _Preparation(config, fields, sources, seed, labels, progress)
        try:
            manifest = preparation.run(temporary, work, kept)
        except RejectsError:
            shutil.copyfile(temporary / REJECTED, kept)
            raise
        shutil.rmtree(work)
        write_json(temporary / MANIFEST, manifest)
    report(manifest, preparation.counts, progress)
    return load_prepared_dataset(folder)


def _check_columns(config: DataConfig, fields: Sequence[Field]) -> None:
    names = [field.name for field in fields]
    for split in SPLITS:
        source = getattr(config, split)
        for name in source.columns if source is not None else ():
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                raise ConfigError(
                    f"The task's examples have no {name!r}; they have {', '.join(names)}.",
                    where=f"data.{split}.columns",
                    fix=f"Did you mean {near[0]!r}?" if near else "Write columns: {field: column}.",
                )


class _Preparation:
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
        self.files = [(split, file) for split, files in sources.items() for file in files]
        self.labels = Labels(labels)
        self.label_names = list(labels or ())
        self.counts: dict[str, SplitCounts] = {}
        self.cut_splits: list[str] = []

    def run(self, folder: Path, work: Path, kept: Path) -> dict[str, Any]:
        """Writes everything but the manifest into `folder`, and returns the manifest; see `prepare_dataset`."""
        with RowStore(work) as store:
            pairs = self._read(store, folder, work, kept)
            labels = self._name_labels(store)
            groups = group_by_key(store.read_column("keys"))
            splits = self._assign(store, groups, pairs, labels)
            present = {
                name: number
                for number, name in enumerate(SPLITS)
                if name in self.counts or name in self.cut_splits
            }
            check_labels(_count_labels(self.label_names, labels, splits, present), self.progress)
            duplicates = Duplicates(groups, pairs, splits, labels)
            describe = store.build_describer([file.name for _, file in self.files])
            leaks = handle_leaks(duplicates, present, self.config.leaks, describe, self.progress)
            counted = _count_labels(self.label_names, labels, splits, present)
            if self.config.leaks == "drop":
                check_labels({"train": counted["train"]} if "train" in counted else {}, Silent())
            entries = {
                name: {
                    "rows": sum(counted[name].values()),
                    "cut_from_train": name in self.cut_splits,
                    "labels": counted[name],
                    "rejected": dict(self.counts[name].rejected.most_common()) if name in self.counts else {},
                    "duplicates": describe_duplicates(duplicates, number, describe),
                }
                for name, number in present.items()
            }
            del duplicates, describe, groups, pairs
            write_splits(folder, store, self.fields, self.label_names, labels, splits, present, self.progress)
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
        with SignatureFiles(work) as signatures:
            with open(folder / REJECTED, "w", encoding="utf-8") as rejected:
                reader = SplitReader(self.fields, self.labels, store, signatures if near else None, rejected)
                for name in dict.fromkeys(split for split, _ in self.files):
                    files = {number: file for number, (split, file) in numbered if split == name}
                    self.counts[name] = reader.read(name, getattr(self.config, name), files, self.progress)
                    boundaries.append(len(store))
                    self.labels.closed |= name == "train"
            check_rejects(self.counts, self.config.max_rejected, kept)
            store.flush()
            if not near:
                return NO_PAIRS
            signatures.flush()
            groups = group_by_key(store.read_column("keys"))
            firsts = np.flatnonzero(groups == np.arange(len(groups))).astype(np.uint32)
            similarity = self.config.near_duplicate_similarity
            return find_near_pairs(signatures, firsts, boundaries, similarity, store, self.progress)

    def _name_labels(self, store: RowStore) -> np.ndarray:
        """int32 (rows,): each row's label, in the order of `label_names`, which is settled here."""
        self.label_names = self.label_names or sort_labels(list(self.labels.numbers))
        places = {name: number for number, name in enumerate(self.label_names)}
        numbers = np.array([places[name] for name in self.labels.numbers], np.int32)
        return numbers[store.read_column("labels")]

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
        splits[train] = cut(
            store.read_column("keys")[train],
            labels[train],
            groups[train],
            connect(groups, pairs)[train],
            {SPLITS.index(name): wanted[name] for name in self.cut_splits},
            self.seed,
        )
        for name in self.cut_splits:
            if not (splits == SPLITS.index(name)).any():
                raise DataError(
                    f"train has too few different texts to cut {name} from it.",
                    where="data",
                    fix=f"Name files under data.{name}, or set data.{name}_share: 0.",
                )
        return splits

    def _build_manifest(self, entries: dict[str, Any], leaks: dict[str, Any]) -> dict[str, Any]:
        sources = [
            {
                "split": split,
                "file": file.name,
                "size_bytes": file.path.stat().st_size,
                "sha256": compute_sha256(file.path),
                "rows": self.counts[split].files[number],
            }
            for number, (split, file) in enumerate(self.files)
        ]
        settings = self.config.model_dump(mode="json")
        content = {
            "format": FORMAT,
            "settings": {key: _without_path(value) for key, value in settings.items()},
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


def _without_path(value: Any) -> Any:
    return {key: item for key, item in value.items() if key != "path"} if isinstance(value, dict) else value


def _count_labels(
    names: Sequence[str], labels: np.ndarray, splits: np.ndarray, present: dict[str, int]
) -> dict[str, dict[str, int]]:
    counts = {
        split: np.bincount(labels[splits == number], minlength=len(names))
        for split, number in present.items()
    }
    return {split: dict(zip(names, numbers.tolist(), strict=True)) for split, numbers in counts.items()}
