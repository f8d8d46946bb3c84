"""TensorFlow Datasets as a source: both ways of storing them, by name and by folder, without a network."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from data_makers import FIELDS, collect
from source_makers import PICTURE_FIELDS, TAGGED_FIELDS, draw_picture, write_tfds

from kerasft.data.config import DataConfig, TfdsSource
from kerasft.data.prepare.dataset import compute_data_fingerprint
from kerasft.data.sources import fetch_source, read_rows, resolve_source
from kerasft.errors import DataError
from kerasft.progress import Silent

COUNT = 11
FEATURES = {
    "image": tfds.features.Image(shape=(None, None, 3)),
    "mask": tfds.features.Image(shape=(None, None, 3)),
    "label": tfds.features.ClassLabel(names=["rose", "tulip"]),
    "sentence": tfds.features.Text(),
    "objects": tfds.features.Sequence(
        {"label": tfds.features.ClassLabel(names=["leaf", "bee"]), "area": np.int64}
    ),
    "tags": tfds.features.Sequence(tfds.features.ClassLabel(names=["red", "wet"])),
}


def build_example(number: int) -> dict:
    return {
        "image": draw_picture(number),
        "mask": b"no picture at all",
        "label": number % 2,
        "sentence": f"flower {number}",
        "objects": [{"label": number % 2, "area": number}] * (number % 3),
        "tags": list(range(number % 3)),
    }


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def data_dir(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    examples = [build_example(number) for number in range(COUNT)]
    write_tfds(folder, "shapes", FEATURES, {"train": examples, "test": examples[:2]}, request.param)
    return folder


def build_source(data_dir: Path, **settings) -> TfdsSource:
    named = {"name": "shapes", "data_dir": str(data_dir)}
    return TfdsSource.model_validate({"format": "tfds", "split": "train", **named, **settings})


def read(source: TfdsSource, fields):
    (file,) = resolve_source(source, Path("/nowhere"))
    return collect(read_rows(file, source, fields))


def test_rows_come_in_the_order_of_the_files_with_classes_by_name(data_dir):
    rows, rejects = read(build_source(data_dir), PICTURE_FIELDS)
    assert rows == [(i + 1, draw_picture(i), ("rose", "tulip")[i % 2]) for i in range(COUNT)]
    assert rejects == []


def test_texts_are_decoded(data_dir):
    rows, _ = read(build_source(data_dir, columns={"text": "sentence"}), FIELDS)
    assert rows[3] == (4, "flower 3", "tulip")


def test_a_split_may_be_a_part_of_one_or_several(data_dir):
    assert len(read(build_source(data_dir, split="train[:40%]"), PICTURE_FIELDS)[0]) == 4
    assert len(read(build_source(data_dir, split="train+test"), PICTURE_FIELDS)[0]) == COUNT + 2


def test_sequences_of_classes_are_lists_of_names(data_dir):
    rows, _ = read(build_source(data_dir, columns={"labels": "tags"}), TAGGED_FIELDS)
    assert [labels for _, _, labels in rows[:3]] == [[], ["red"], ["red", "wet"]]
    rows, _ = read(build_source(data_dir, columns={"labels": "objects.label"}), TAGGED_FIELDS)
    assert [labels for _, _, labels in rows[:3]] == [[], ["bee"], ["leaf", "leaf"]]


@pytest.mark.parametrize("name", ["shapes", "shapes:1.*.*", "shapes:1.0.0"])
def test_a_dataset_is_found_by_name_and_version(data_dir, name):
    (file,) = resolve_source(build_source(data_dir, name=name), Path("/nowhere"))
    assert (file.name, file.path) == ("shapes/1.0.0", data_dir / "shapes" / "1.0.0")


def test_a_folder_is_opened_as_it_is(data_dir):
    source = TfdsSource(format="tfds", path="shapes/1.0.0", split="test")
    (file,) = resolve_source(source, data_dir)
    rows, _ = collect(read_rows(file, source, PICTURE_FIELDS))
    assert (file.name, len(rows)) == ("shapes/1.0.0", 2)


def test_sizes_of_batches_add_up_to_the_folder(data_dir):
    source = build_source(data_dir)
    (file,) = resolve_source(source, Path("/nowhere"))
    sizes = sum(batch.size_bytes for batch in read_rows(file, source, PICTURE_FIELDS))
    assert sizes == sum(path.stat().st_size for path in file.path.iterdir())


def test_splits_features_and_kinds_that_are_not_there_are_named(data_dir):
    with pytest.raises(DataError, match=r"no split 'dev'(.|\n)*It has train, test"):
        read(build_source(data_dir, split="dev"), PICTURE_FIELDS)
    with pytest.raises(
        DataError, match=r"no feature 'labels'; there are .*image \(pictures\)(.|\n)*'label'\?"
    ):
        read(build_source(data_dir), TAGGED_FIELDS)
    with pytest.raises(
        DataError, match=r"'image' holds pictures, and 'text' is text(.|\n)*image_classification"
    ):
        read(build_source(data_dir, columns={"text": "image"}), FIELDS)
    with pytest.raises(DataError, match=r"'sentence' holds text, not pictures(.|\n)*text_classification"):
        read(build_source(data_dir, columns={"image": "sentence"}), PICTURE_FIELDS)


def test_damaged_files_are_named_with_the_row(data_dir, tmp_path):
    folder = tmp_path / "shapes" / "1.0.0"
    folder.mkdir(parents=True)
    for path in (data_dir / "shapes" / "1.0.0").iterdir():
        data = path.read_bytes()
        (folder / path.name).write_bytes(data[: len(data) // 2] if "train" in path.name else data)
    with pytest.raises(DataError, match=r"shapes/1.0.0:1: The dataset is damaged"):
        read(build_source(tmp_path), PICTURE_FIELDS)


def test_the_fingerprint_follows_the_files(data_dir, tmp_path):
    for path in (data_dir / "shapes" / "1.0.0").iterdir():
        copy = tmp_path / "shapes" / "1.0.0" / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    config = DataConfig(train=build_source(tmp_path))
    first = compute_data_fingerprint(config, Path("/nowhere"))
    assert compute_data_fingerprint(config, Path("/nowhere")) == first
    with open(tmp_path / "shapes" / "1.0.0" / "label.labels.txt", "a") as file:
        file.write("daisy\n")
    assert compute_data_fingerprint(config, Path("/nowhere")) != first


def test_pictures_of_tfds_are_prepared_with_their_place_as_name(data_dir, tmp_path, progress):
    from kerasft.data.prepare.dataset import prepare_dataset

    config = DataConfig(
        train=build_source(data_dir), validation_share=0.0, test=build_source(data_dir, split="test")
    )
    dataset = prepare_dataset(
        config, PICTURE_FIELDS, tmp_path / "prepared", base=tmp_path, seed=0, progress=progress
    )
    assert dataset.label_names == ("rose", "tulip")
    assert dataset.split("train").take([5]) == [
        {"image": draw_picture(5), "label": 1, "name": "shapes/1.0.0:6"}
    ]
    assert dataset.split("train").origin(5) == "shapes/1.0.0:6"
    assert dataset.manifest["leaks"]["train → test"]["exact"] == 2
    assert [source["file"] for source in dataset.manifest["sources"]] == ["shapes/1.0.0", "shapes/1.0.0"]


# Without the dataset.


def test_a_name_that_tfds_does_not_know_is_told_with_the_nearest(tmp_path):
    with pytest.raises(DataError, match=r"knows no dataset 'tf_flower'(.|\n)*mean 'tf_flowers'"):
        resolve_source(build_source(tmp_path, name="tf_flower"), tmp_path)
    with pytest.raises(DataError, match=r"cannot open tf_flowers:99.0.0"):
        resolve_source(build_source(tmp_path, name="tf_flowers:99.0.0"), tmp_path)


@pytest.mark.parametrize("name", ["huggingface:imdb", "kaggle:x/y", "!", ""])
def test_names_of_other_places_are_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"not one of TFDS' own|not a valid name of a TFDS dataset"):
        resolve_source(build_source(tmp_path, name=name), tmp_path)


def test_what_is_not_there_and_may_not_be_downloaded_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"no tf_flowers on this machine(.|\n)*download: true"):
        resolve_source(build_source(tmp_path, name="tf_flowers", download=False), tmp_path)


def test_without_a_network_the_error_comes_at_the_first_attempt(tmp_path, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    source = build_source(tmp_path, name="tf_flowers:3.*.*")
    assert resolve_source(source, tmp_path) == []
    attempts = []
    connect = socket.create_connection
    monkeypatch.setattr(
        socket, "create_connection", lambda *given, **more: attempts.append(given) or connect(*given, **more)
    )
    with pytest.raises(DataError, match=r"cannot be reached(.|\n)*tfds build tf_flowers"):
        fetch_source(source, tmp_path, Silent())
    assert len(attempts) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_that_tfds_can_make_is_made(tmp_path, progress):
    class KerasftMadeUp(tfds.core.GeneratorBasedBuilder):
        """Made up."""

        VERSION = tfds.core.Version("2.1.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict({"text": tfds.features.Text(), "label": np.int64}),
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            yield from ((i, {"text": f"text {i}", "label": i % 2}) for i in range(5))

    source = build_source(tmp_path, name="kerasft_made_up")
    assert resolve_source(source, tmp_path) == []
    fetch_source(source, tmp_path, progress)
    assert progress.notes == [
        f"TFDS downloads kerasft_made_up/2.1.0 into {tmp_path / 'kerasft_made_up' / '2.1.0'}"
    ]
    fetch_source(source, tmp_path, progress)
    assert len(progress.notes) == 1
    rows, _ = read(source, FIELDS)
    assert sorted(row[1:] for row in rows) == [(f"text {i}", i % 2) for i in range(5)]


def test_a_folder_that_tfds_did_not_write_is_told(tmp_path):
    source = TfdsSource(format="tfds", path="shapes", split="train")
    with pytest.raises(DataError, match=r"There is no such folder"):
        resolve_source(source, tmp_path)
    (tmp_path / "shapes" / "1.0.0").mkdir(parents=True)
    with pytest.raises(DataError, match=r"not the folder of a TFDS dataset"):
        resolve_source(source, tmp_path)
    (tmp_path / "shapes" / "1.0.0" / "features.json").write_text("{}")
    with pytest.raises(DataError, match=r"Set path to .*shapes/1.0.0"):
        resolve_source(source, tmp_path)


@pytest.mark.parametrize("by_name", [True, False])
def test_a_description_that_names_other_classes_is_not_imported(tmp_path, by_name):
    folder = tmp_path / "shapes" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "features.json").write_text(json.dumps({"pythonClassName": "subprocess.Popen"}))
    source = (
        build_source(tmp_path) if by_name else TfdsSource(format="tfds", path="shapes/1.0.0", split="train")
    )
    with pytest.raises(DataError, match=r"names the class subprocess.Popen"):
        resolve_source(source, tmp_path)


@pytest.mark.parametrize(
    "settings", [{}, {"name": "a", "path": "b"}, {"path": "b", "data_dir": "c"}], ids=str
)
def test_a_dataset_is_named_once(settings):
    with pytest.raises(ValueError, match=r"give name or path|data_dir goes with name"):
        TfdsSource.model_validate({"format": "tfds", "split": "train", **settings})
