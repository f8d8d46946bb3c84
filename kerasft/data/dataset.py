"""From the user's files to a prepared dataset: read, checked, cut, and written whole or not at all."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import kerasft
from kerasft.data.checks import EXAMPLES, check_labels, handle_leaks, report, sort_labels
from kerasft.data.config import DataConfig
from kerasft.data.cutting import cut
from kerasft.data.duplicates import Duplicates, connect, group_by_key
from kerasft.data.fields import Field
from kerasft.data.fingerprint import SPLITS, compute_data_fingerprint, resolve_sources
from kerasft.data.near_duplicates import NearPairs, SignatureFiles, find_candidates, verify_pairs
from kerasft.data.prepared import FORMAT, INDEX, MANIFEST, PreparedDataset, Split, load_prepared_dataset
from kerasft.data.reading import Labels, SplitCounts, SplitReader, check_rejects
from kerasft.data.sources import SourceFile
from kerasft.data.store import RowStore
from kerasft.errors import DataError
from kerasft.files import compute_fingerprint, compute_sha256, whole_folder, write_json
from kerasft.progress import Progress, Silent

__all__ = ["PreparedDataset", "Split", "compute_data_fingerprint", "load_prepared_dataset", "prepare_dataset"]

REJECTED = "rejected.jsonl"
_WORK = ".work"
_WRITE_ROWS = 5000
_SHARD_ROWS = 1_000_000
_QUOTED_CHARACTERS = 200


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
        DataError: the files cannot be used; nothing is written then, except that `<folder>.rejected.jsonl` lists the
            rejected rows where they are too many.
    """
    _check_fields(fields)
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
        try:
            manifest, counts = _Preparation(config, fields, sources, seed, labels, progress).run(
                temporary, work
            )
        except _TooManyRejects as error:
            shutil.copyfile(temporary / REJECTED, kept)
            check_rejects(error.counts, config.max_rejected, kept)
            raise
        shutil.rmtree(work)
        write_json(temporary / MANIFEST, manifest)
    report(manifest, counts, progress)
    return load_prepared_dataset(folder)


class _TooManyRejects(Exception):
    def __init__(self, counts: dict[str, SplitCounts]):
        super().__init__("too many rows are rejected")
        self.counts = counts


def _check_fields(fields: Sequence[Field]) -> None:
    kinds = [field.kind for field in fields]
    if sorted(kinds) != ["label", "text"]:
        raise ValueError(f"an example holds one text and one label, not {kinds}")


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
        self.sources = sources
        self.seed = seed
        self.given_labels = labels
        self.progress = progress
        self.files = [(split, file) for split, files in sources.items() for file in files]

    def run(self, folder: Path, work: Path) -> tuple[dict[str, Any], dict[str, SplitCounts]]:
        """Writes everything but the manifest into `folder`.

        Raises:
            _TooManyRejects: the reader gave up too many rows, or a split is empty.
            DataError: for what `checks` and `sources` say.
        """
        labels = Labels(self.given_labels)
        with RowStore(work) as store:
            counts, pairs = self._read(store, labels, folder, work)
            names = list(self.given_labels or sort_labels(list(labels.numbers)))
            numbers = np.array([names.index(name) for name in labels.numbers], np.int32)
            columns = store.read_column("labels")
            row_labels = numbers[columns]
            groups = group_by_key(store.read_column("keys"))
            splits, is_cut = self._assign(store, counts, groups, pairs, row_labels)
            duplicates = Duplicates(groups, pairs, splits, row_labels)
            present = {
                name: number for number, name in enumerate(SPLITS) if name in counts or is_cut.get(name)
            }
            check_labels(_count_labels(names, row_labels, splits, present), self.progress)
            leaks = handle_leaks(
                duplicates, present, self.config.leaks, self._describer(store), self.progress
            )
            label_counts = _count_labels(names, row_labels, splits, present)
            check_labels({"train": label_counts["train"]} if "train" in present else {}, Silent())
            self._write(folder, store, names, row_labels, splits, present)
            entries = {
                name: {
                    "rows": int((splits == number).sum()),
                    "cut_from_train": bool(is_cut.get(name)),
                    "labels": label_counts[name],
                    "rejected": dict(counts[name].rejected.most_common()) if name in counts else {},
                    "duplicates": self._describe_duplicates(duplicates, number, store),
                }
                for name, number in present.items()
            }
        return self._build_manifest(names, entries, leaks, counts, bool(any(is_cut.values()))), counts

    def _read(
        self, store: RowStore, labels: Labels, folder: Path, work: Path
    ) -> tuple[dict[str, SplitCounts], NearPairs]:
        counts = {}
        boundaries = [0]
        with (
            SignatureFiles(work) as signatures,
            open(folder / REJECTED, "w", encoding="utf-8") as rejected,
        ):
            reader = SplitReader(
                self.fields, labels, store, signatures if self.config.near_duplicates else None, rejected
            )
            numbered = list(enumerate(self.files))
            for name in self.sources:
                files = {number: file for number, (split, file) in numbered if split == name}
                counts[name] = reader.read(name, getattr(self.config, name), files, self.progress)
                boundaries.append(len(store))
                if name == "train":
                    labels.closed = True
            rejected.flush()
            store.flush()
            signatures.flush()
            try:
                check_rejects(counts, self.config.max_rejected, folder)
            except DataError as error:
                raise _TooManyRejects(counts) from error
            return counts, self._find_near(store, signatures, boundaries)

    def _find_near(self, store: RowStore, signatures: SignatureFiles, boundaries: list[int]) -> NearPairs:
        if not self.config.near_duplicates:
            return verify_pairs(np.empty(0, np.uint64), store.read_texts, 1.0)
        groups = group_by_key(store.read_column("keys"))
        firsts = np.flatnonzero(groups == np.arange(len(groups))).astype(np.uint32)
        similarity = self.config.near_duplicate_similarity
        candidates = find_candidates(signatures, firsts, boundaries, similarity, self.progress)
        return verify_pairs(candidates, store.read_texts, similarity, self.progress)

    def _assign(
        self,
        store: RowStore,
        counts: dict[str, SplitCounts],
        groups: np.ndarray,
        pairs: NearPairs,
        labels: np.ndarray,
    ) -> tuple[np.ndarray, dict[str, bool]]:
        """uint8 (rows,): each row's split, an index into `SPLITS`; and which splits were cut from train."""
        lengths = [counts[name].accepted if name in counts else 0 for name in SPLITS]
        splits = np.repeat(np.arange(len(SPLITS), dtype=np.uint8), lengths)
        wanted = {"validation": self.config.validation_share, "test": self.config.test_share}
        shares = {
            SPLITS.index(name): share
            for name, share in wanted.items()
            if "train" in counts and name not in counts
        }
        shares = {number: share for number, share in shares.items() if share > 0}
        if not shares:
            return splits, {}
        train = slice(0, lengths[0])
        clusters = connect(groups, pairs)[train]
        splits[train] = cut(
            store.read_column("keys")[train], labels[train], groups[train], clusters, shares, self.seed
        )
        for number in shares:
            if not (splits == number).any():
                raise DataError(
                    f"train has too few different texts to cut {SPLITS[number]} from it.",
                    where="data",
                    fix=f"Name files under data.{SPLITS[number]}, or set data.{SPLITS[number]}_share: 0.",
                )
        return splits, {SPLITS[number]: True for number in shares}

    def _describer(self, store: RowStore):
        files, rows = store.read_column("files"), store.read_column("rows")

        def describe(row: int) -> tuple[str, str]:
            text = store.read_texts([row])[0]
            return f"{self.files[files[row]][1].name}:{rows[row]}", text[:_QUOTED_CHARACTERS]

        return describe

    def _describe_duplicates(self, duplicates: Duplicates, split: int, store: RowStore) -> dict[str, Any]:
        found = duplicates.find_in(split)
        describe = self._describer(store)
        examples = []
        for row in found.conflicting[np.argsort(duplicates.groups[found.conflicting], kind="stable")][
            :EXAMPLES
        ]:
            place, text = describe(int(row))
            examples.append({"row": place, "text": text})
        return {
            "exact": found.exact,
            "conflicting": len(found.conflicting),
            "near": found.near,
            "conflicting_examples": examples,
        }

    def _write(
        self,
        folder: Path,
        store: RowStore,
        names: list[str],
        labels: np.ndarray,
        splits: np.ndarray,
        present: dict[str, int],
    ) -> None:
        (folder / INDEX).mkdir()
        origins = np.stack([store.read_column("files"), store.read_column("rows")], axis=1)
        for name, number in present.items():
            chosen = splits == number
            np.save(folder / INDEX / f"{name}.labels.npy", labels[chosen])
            np.save(folder / INDEX / f"{name}.origins.npy", origins[chosen])
        del origins
        writer = _open_writer(folder, self.fields, names)
        writer.initialize_splits(list(present))
        with self.progress.bar("writing", len(store), "rows") as bar:
            for start in range(0, len(store), _WRITE_ROWS):
                stop = min(start + _WRITE_ROWS, len(store))
                examples = _build_examples(self.fields, store.read_range(start, stop), labels[start:stop])
                assigned = splits[start:stop]
                writer.add_examples(
                    {
                        name: list(itertools.compress(examples, assigned == number))
                        for name, number in present.items()
                        if (assigned == number).any()
                    }
                )
                bar.advance(stop - start)
        writer.close_all()

    def _build_manifest(
        self,
        names: list[str],
        entries: dict[str, Any],
        leaks: dict[str, Any],
        counts: dict[str, SplitCounts],
        is_cut: bool,
    ) -> dict[str, Any]:
        sources = [
            {
                "split": split,
                "file": file.name,
                "size_bytes": file.path.stat().st_size,
                "sha256": compute_sha256(file.path),
                "rows": counts[split].files[number],
            }
            for number, (split, file) in enumerate(self.files)
        ]
        settings = self.config.model_dump(mode="json")
        content = {
            "format": FORMAT,
            "settings": {key: _without_path(value) for key, value in settings.items()},
            "sources": [(source["split"], source["sha256"]) for source in sources],
            "fields": [(field.name, field.kind) for field in self.fields],
            "labels": names,
            "seed": self.seed if is_cut else None,
        }
        return {
            "format": FORMAT,
            "kerasft": kerasft.__version__,
            "fingerprint": compute_fingerprint(content),
            "fields": {field.kind: field.name for field in self.fields},
            "labels": names,
            "splits": entries,
            "leaks": leaks,
            "sources": sources,
            "config": settings,
            "seed": self.seed,
        }


def _without_path(value: Any) -> Any:
    return {key: item for key, item in value.items() if key != "path"} if isinstance(value, dict) else value


def _count_labels(
    names: list[str], labels: np.ndarray, splits: np.ndarray, present: dict[str, int]
) -> dict[str, dict[str, int]]:
    return {
        split: dict(
            zip(names, np.bincount(labels[splits == number], minlength=len(names)).tolist(), strict=True)
        )
        for split, number in present.items()
    }


def _build_examples(fields: Sequence[Field], texts: list[bytes], labels: np.ndarray) -> list[dict[str, Any]]:
    names = {field.kind: field.name for field in fields}
    text, label = names["text"], names["label"]
    return [{text: value, label: number} for value, number in zip(texts, labels.tolist(), strict=True)]


def _open_writer(folder: Path, fields: Sequence[Field], names: list[str]) -> Any:
    import tensorflow_datasets as tfds

    features = {"text": tfds.features.Text, "label": lambda: tfds.features.ClassLabel(names=names)}
    identity = tfds.core.dataset_info.DatasetIdentity(
        name="prepared",
        version=tfds.core.utils.Version("1.0.0"),
        data_dir=str(folder),
        module_name="kerasft.data.dataset",
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        description="Prepared by kerasft; see manifest.json.",
        features=tfds.features.FeaturesDict({field.name: features[field.kind]() for field in fields}),
    )
    return tfds.core.SequentialWriter(info, max_examples_per_shard=_SHARD_ROWS, file_format="array_record")
