"""A run folder's dataset and cache damaged by hand: told with the file, or made anew; never other rows than written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flipped_bits import Heard
from lying_makers import run_kerasft

from kerasft.data.cache import ArrayCache, build_cache
from kerasft.data.config import DataConfig
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.dataset import prepare_dataset
from kerasft.data.prepared import PreparedDataset, load_prepared_dataset
from kerasft.errors import DataError
from kerasft.integrity import HASHES

FIELDS = (Field("text", "text"), Field("label", "label", "target"))
ROWS = 40


def write_source(folder: Path) -> None:
    rows = [{"text": f"row {i} of {i * 7919}", "label": ("bad", "good")[i % 2]} for i in range(ROWS)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    write_source(folder)
    data = {
        "train": {"format": "jsonl", "path": "train.jsonl"},
        "validation_share": 0,
        "test_share": 0,
        "near_duplicates": False,
    }
    prepare_dataset(DataConfig.model_validate(data), FIELDS, folder / "dataset", base=folder, seed=0)
    return folder / "dataset"


@pytest.fixture
def copied(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "dataset"))


def read_all(folder: Path) -> list[Any]:
    """Every example, with its label read both ways and where it came from."""
    dataset: PreparedDataset = load_prepared_dataset(folder)
    split = dataset.split("train")
    examples = split.take(range(len(split)))
    labels = split.column("label")
    return [
        (example["text"], dataset.label_names[example["label"]], int(label), split.origin(i))
        for i, (example, label) in enumerate(zip(examples, labels, strict=True))
    ]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def blank(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x41
    path.write_bytes(content)


def pickled(path: Path) -> None:
    with open(path, "wb") as file:
        np.save(file, np.array([{"a": 1}], object), allow_pickle=True)


def change_manifest(**changes: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


MANIFESTS: dict[str, Callable[[Path], None]] = {
    "cut": cut,
    "empty": empty,
    "blank": blank,
    "a list": lambda path: path.write_text("[]"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "no splits": change_manifest(splits=None),
    "splits of another kind": change_manifest(splits={"train": []}),
    "more rows": change_manifest(splits={"train": {"rows": 41, "labels": {"bad": 20, "good": 21}}}),
    "fewer rows": change_manifest(splits={"train": {"rows": 10, "labels": {"bad": 5, "good": 5}}}),
    "rows that do not add up": change_manifest(splits={"train": {"rows": 40, "labels": {"bad": 20, "good": 21}}}),
    "rows below zero": change_manifest(splits={"train": {"rows": -1, "labels": {"bad": -1, "good": 0}}}),
    "other labels": change_manifest(labels=["bad", "good", "ugly"]),
    "labels of another kind": change_manifest(labels=[1, 2]),
    "no field": change_manifest(fields={"text": "text"}),
    "another field": change_manifest(fields={"text": "words", "label": "label"}),
    "no sources": change_manifest(sources=[]),
    "no fingerprint": change_manifest(fingerprint=None),
    "another split": change_manifest(splits={"../train": {"rows": 40, "labels": {"bad": 20, "good": 20}}}),
}  # fmt: skip


@pytest.mark.parametrize("damage", MANIFESTS.values(), ids=list(MANIFESTS))
def test_a_damaged_manifest_is_told_without_a_hash_too(copied: Path, damage: Callable[[Path], None]) -> None:
    (copied / HASHES).unlink()
    damage(copied / "manifest.json")
    with pytest.raises(DataError) as caught:
        read_all(copied)
    assert caught.value.exit_code == (3 if "There is no split" in str(caught.value) else 9)
    assert str(copied) in str(caught.value.where)
    assert "kerasft prepare" in caught.value.fix or "There is no split" in str(caught.value)


def test_a_manifest_that_is_a_pipe_is_not_waited_for(copied: Path) -> None:
    (copied / HASHES).unlink()
    (copied / "manifest.json").unlink()
    os.mkfifo(copied / "manifest.json")
    with pytest.raises(DataError, match="manifest is damaged: it is a pipe"):
        load_prepared_dataset(copied)


FILES = ["train", "features.json", "dataset_info.json", "index/train.label.npy", "index/train.origins.npy"]
DAMAGES = {
    "cut": cut,
    "empty": empty,
    "blank": blank,
    "flip": flip,
    "missing": Path.unlink,
    "pickled": pickled,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_told_or_does_not_matter(
    prepared: Path, copied: Path, name: str, damage: str
) -> None:
    (path,) = [copied / name] if "." in name else copied.glob(f"*{name}.array_record*")
    DAMAGES[damage](path)
    try:
        found = read_all(copied)
    except DataError as error:
        told = error
    else:
        assert found == read_all(prepared)
        return
    assert "damaged" in str(told)
    assert str(copied) in str(told.where)
    assert "kerasft prepare" in str(told.fix)


def test_features_name_no_class_outside_tfds(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "payload.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (copied / HASHES).unlink()
    path = copied / "features.json"
    description = json.loads(path.read_text())
    description["pythonClassName"] = "payload.Features"
    path.write_text(json.dumps(description))
    with pytest.raises(DataError, match=r"names the class payload\.Features"):
        read_all(copied)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_the_command_tells_of_a_damaged_dataset_or_makes_it_anew(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    write_source(folder)
    config = {
        "name": "x",
        "task": {"type": "text_classification"},
        "data": {"train": {"format": "jsonl", "path": "train.jsonl"}},
        "model": {"preset": "./preset"},
    }
    (folder / "x.yaml").write_text(json.dumps(config))
    assert run_kerasft("prepare", "x.yaml", folder=folder).code == 0
    manifest = folder / "runs" / "x" / "dataset" / "manifest.json"
    DAMAGES[damage](manifest)
    done = run_kerasft("prepare", "x.yaml", folder=folder)
    assert "Traceback" not in done.stderr
    if done.code:
        assert done.code == 3, done
        assert "dataset" in done.stderr
    else:
        load_prepared_dataset(manifest.parent)


# The cache


def chunks() -> Iterator[dict[str, Any]]:
    yield {
        "token_ids": [np.arange(i % 5 + 1, dtype=np.int32) for i in range(ROWS)],
        "label": np.arange(ROWS, dtype=np.int32),
    }


def never() -> Iterator[dict[str, Any]]:
    raise AssertionError("made anew")
    yield


def change_index(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        index = json.loads((folder / "cache.json").read_text())
        for key, value in changes.items():
            if key in index["columns"]:
                index["columns"][key] |= value
            else:
                index[key] = value
        (folder / "cache.json").write_text(json.dumps(index))

    return change


def change_file(name: str, damage: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda folder: damage(folder / name)


def change_offsets(place: int, value: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        offsets = np.fromfile(folder / "token_ids.offsets", np.int64)
        offsets[place] = value
        offsets.tofile(folder / "token_ids.offsets")

    return change


CACHES: dict[str, Callable[[Path], None]] = {
    "index cut": change_file("cache.json", cut),
    "index empty": change_file("cache.json", empty),
    "index a list": change_file("cache.json", lambda path: path.write_text("[]")),
    "index without columns": change_index(columns=None),
    "more rows": change_index(rows=ROWS + 1),
    "fewer rows": change_index(rows=ROWS - 1),
    "rows below zero": change_index(rows=-1),
    "endless rows": change_index(rows=1e400),
    "another dtype": change_index(label={"dtype": "<i8"}),
    "objects": change_index(label={"dtype": "|O"}),
    "no dtype": change_index(label={"dtype": "python"}),
    "another shape": change_index(label={"shape": [20, 2]}),
    "another shape for the rows": change_index(token_ids={"shape": [10]}),
    "another kind": change_index(token_ids={"kind": "fixed"}),
    "a column elsewhere": change_index(columns={"../x": {"kind": "fixed", "dtype": "<i4", "shape": [40]}}),
    "values cut": change_file("token_ids.values", cut),
    "values empty": change_file("token_ids.values", empty),
    "values missing": change_file("token_ids.values", Path.unlink),
    "labels cut": change_file("label.values", cut),
    "offsets cut": change_file("token_ids.offsets", cut),
    "offsets blank": change_file("token_ids.offsets", blank),
    "offsets missing": change_file("token_ids.offsets", Path.unlink),
    "an offset behind the end": change_offsets(7, 10_000),
    "an offset below zero": change_offsets(7, -3),
    "the first offset": change_offsets(0, 1),
    "the last offset": change_offsets(-1, 3),
}


@pytest.mark.parametrize("damage", CACHES.values(), ids=list(CACHES))
def test_a_damaged_cache_is_told_and_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = tmp_path / "cache"
    build_cache(folder, "f", chunks())
    damage(folder)
    with pytest.raises(DataError, match="cache of encoded examples is damaged") as caught:
        ArrayCache(folder)
    assert caught.value.where == str(folder)
    heard = Heard()
    again = build_cache(folder, "f", chunks(), heard)
    (told,) = heard.lines
    assert told.startswith(f"{folder}: ")
    assert told.endswith("It is rebuilt.")
    assert build_cache(folder, "f", never(), heard).num_rows == ROWS
    assert heard.lines == [told]
    np.testing.assert_array_equal(again.column("label"), np.arange(ROWS))
    rows = again.padded("token_ids", np.arange(ROWS), 5, padding=-1)
    expected = [[*range(i % 5 + 1), *[-1] * (4 - i % 5)] for i in range(ROWS)]
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("name", ["token_ids.values", "cache.json"])
def test_a_cache_with_a_pipe_in_it_is_made_anew(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "cache"
    build_cache(folder, "f", chunks())
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert build_cache(folder, "f", chunks()).num_rows == ROWS


def test_a_sound_cache_is_not_made_anew(tmp_path: Path) -> None:
    build_cache(tmp_path / "cache", "f", chunks())
    assert build_cache(tmp_path / "cache", "f", never()).fingerprint == "f"
