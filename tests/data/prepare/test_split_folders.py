"""Folders of pictures: links, splits inside of them, and files that are no pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from source_makers import PICTURE_FIELDS, draw_picture

from kerasft.data.config import DataConfig, ImageFolderSource
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.dataset import compute_data_fingerprint, prepare_dataset
from kerasft.data.prepare.split_folders import find_split_folders, take_split_folders
from kerasft.data.sources import SourceFile, read_rows
from kerasft.errors import DataError


def fill(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture")


def read(folder: Path) -> list[tuple[str, str]]:
    source = ImageFolderSource(format="image_folder", path=str(folder))
    fields = (Field("image", "image"), Field("label", "label", "target"))
    batches = list(read_rows(SourceFile(folder, folder.name), source, fields))
    assert [reject for batch in batches for reject in batch.rejects if reject.reason != "no class"] == []
    rows = [(path.relative_to(folder).as_posix(), label) for batch in batches for path, label in batch.values]
    return rows + [(reject.content, "") for batch in batches for reject in batch.rejects]


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    fill(tmp_path, "elsewhere/1.png", "pictures/cat/2.png")
    (tmp_path / "pictures" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "pictures" / "cat" / "3.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    found = [("cat/2.png", "cat"), ("cat/3.png", "cat"), ("dog/1.png", "dog")]
    assert read(tmp_path / "pictures") == found


def test_a_link_to_a_folder_above_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "pictures/cat/2.png")
    (tmp_path / "pictures" / "cat" / "all").symlink_to(tmp_path / "pictures")
    with pytest.raises(DataError, match="leads to a folder that contains it") as error:
        read(tmp_path / "pictures")
    assert error.value.where.endswith("cat/all")


def test_what_is_no_picture_is_passed_over_beside_the_classes(tmp_path: Path) -> None:
    fill(tmp_path, "README.md", "LICENSE", "labels.csv", ".DS_Store", "Thumbs.db", "__MACOSX/cat/1.png")
    fill(tmp_path, "cat/1.png", "cat/Thumbs.db", "cat/.DS_Store", "cat/desktop.ini", "lost.JPG")
    assert read(tmp_path) == [("cat/1.png", "cat"), ("lost.JPG", "")]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["train", "val", "test"], {"train": "train", "validation": "val", "test": "test"}),
        (["Training", "Valid"], {"train": "Training", "validation": "Valid"}),
        (["training", "testing", "extra"], {"train": "training", "test": "testing"}),
        (["train"], {"train": "train"}),
        (["train", "bus", "tram"], {}),
        (["val", "test"], {}),
        (["train", "val", "valid"], {}),
    ],
)
def test_splits_are_told_from_classes(tmp_path: Path, names: list[str], found: dict[str, str]) -> None:
    fill(tmp_path, *(f"{name}/{label}/1.png" for name in names for label in ("cat", "dog")))
    assert {split: path.name for split, path in find_split_folders(tmp_path).items()} == found


def test_classes_that_are_called_as_splits_are_stay_classes(tmp_path: Path) -> None:
    fill(tmp_path, "train/1.png", "test/1.png", "dev/1.png")
    assert find_split_folders(tmp_path) == {}


def test_a_folder_of_splits_is_taken_as_such_and_it_is_said(tmp_path: Path, progress) -> None:
    for number, place in enumerate(
        f"{s}/{c}/{i}.png" for s in ("train", "val") for c in "ab" for i in range(3)
    ):
        fill(tmp_path / "all", place)
        (tmp_path / "all" / place).write_bytes(draw_picture(number))
    fill(tmp_path / "all", "test/unlabelled.png")
    config = DataConfig(train=ImageFolderSource(format="image_folder", path="all"), test_share=0)
    before = compute_data_fingerprint(config, tmp_path)
    dataset = prepare_dataset(
        config, PICTURE_FIELDS, tmp_path / "prepared", base=tmp_path, seed=0, progress=progress
    )
    assert progress.notes == [
        "The folder contains splits instead of classes: train is all/train, validation is all/val."
    ]
    assert dataset.label_names == ("a", "b")
    assert {name: len(dataset.split(name)) for name in dataset.splits} == {"train": 6, "validation": 6}
    (tmp_path / "all" / "val" / "a" / "9.png").write_bytes(draw_picture(99))
    assert compute_data_fingerprint(config, tmp_path) != before


def test_a_split_that_the_folder_lacks_is_told_and_others_stay_as_named(tmp_path: Path, progress) -> None:
    fill(tmp_path, *(f"{place}/{label}/1.png" for place in ("all/train", "all/val", "own") for label in "ab"))
    both = ImageFolderSource(format="image_folder", path="all")
    own = ImageFolderSource(format="image_folder", path="own")
    taken = take_split_folders(DataConfig(train=both, validation=own), tmp_path, progress)
    assert (taken.train.path, taken.validation.path, taken.test) == ("all/train", "own", None)
    with pytest.raises(
        DataError, match="holds the splits train, validation, with folders of classes, but no test"
    ):
        take_split_folders(DataConfig(test=both), tmp_path, progress)


def test_one_of_several_folders_that_holds_splits_is_told(tmp_path: Path) -> None:
    fill(tmp_path, *(f"all/{split}/{label}/1.png" for split in ("train", "val") for label in "ab"))
    with pytest.raises(DataError, match="all holds the splits train, validation") as error:
        read(tmp_path / "all")
    assert error.value.fix.endswith("all/train")


def test_a_class_folder_that_is_a_link_to_nowhere_is_an_error(tmp_path: Path) -> None:
    fill(tmp_path, "pics/round/1.png")
    (tmp_path / "pics" / "LICENSE.md").symlink_to("/nonexistent.md")
    assert read(tmp_path / "pics") == [("round/1.png", "round")]
    (tmp_path / "pics" / "square").symlink_to("/nonexistent")
    with pytest.raises(DataError, match="square is a link to /nonexistent, which is not there") as error:
        read(tmp_path / "pics")
    assert error.value.where.endswith("pics/square")


def test_splits_beside_the_folder_of_train_that_are_not_used_are_told(tmp_path: Path, progress) -> None:
    fill(tmp_path, *(f"all/{split}/{label}/1.png" for split in ("train", "val", "test") for label in "ab"))
    train = ImageFolderSource(format="image_folder", path="all/train")
    config = DataConfig(train=train)
    assert take_split_folders(config, tmp_path, progress) == config
    own = train.model_copy(update={"path": "all/test"})
    take_split_folders(DataConfig(train=train, test=own), tmp_path, progress)
    take_split_folders(DataConfig(train=train, validation=own, test=own), tmp_path, progress)
    assert progress.notes == [
        "Beside all/train are val and test, not used: name them as data.validation and data.test, "
        "or set data.train's path: all",
        "Beside all/train is val, not used: name it as data.validation, or set data.train's path: all",
    ]


@pytest.mark.parametrize(
    ("path", "what", "fix"),
    [
        (
            "par",
            "The only class folder in par is 'split', which holds the splits train, val.",
            "Set path: par/split",
        ),
        (
            "par/split/train/a",
            "a contains pictures but no folders; beside it stands b.",
            "If these are the classes, set path: par/split/train",
        ),
    ],
)
def test_a_folder_one_level_too_high_or_too_low_is_told_with_the_right_one(
    tmp_path: Path, path: str, what: str, fix: str
) -> None:
    fill(tmp_path, *(f"par/split/{split}/{label}/1.png" for split in ("train", "val") for label in "ab"))
    source = ImageFolderSource(format="image_folder", path=path)
    with pytest.raises(DataError) as error:
        list(read_rows(SourceFile(tmp_path / path, path), source, PICTURE_FIELDS))
    assert (error.value.what.replace("par/split/train/a", "a"), error.value.fix) == (what, fix)
