"""Pictures named in CSV, JSONL and Parquet: which paths are read, which rows are rejected, and how they are called."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_makers import csv_source
from source_makers import PICTURE_FIELDS, draw_picture, write_pictures

from kerasft.data.config import DataConfig
from kerasft.data.prepare.dataset import PreparedDataset, prepare_dataset
from kerasft.errors import DataError

OWN = {"validation_share": 0.0, "test_share": 0.0}


@pytest.fixture
def prepare_pictures(tmp_path, progress):
    def run(data: dict, fields=PICTURE_FIELDS, **settings) -> PreparedDataset:
        config = DataConfig.model_validate({**OWN, **data})
        folder = tmp_path / "prepared"
        return prepare_dataset(config, fields, folder, base=tmp_path, seed=0, progress=progress, **settings)

    return run


def read_rejects(dataset: PreparedDataset) -> list[tuple[int, str, str, str]]:
    lines = (dataset.folder / "rejected.jsonl").read_text().splitlines()
    return [(line["row"], line["reason"], line["detail"], line["content"]) for line in map(json.loads, lines)]


def test_a_csv_of_paths_starts_from_its_own_folder(tmp_path, prepare_pictures):
    write_pictures(tmp_path / "lists" / "pictures", 4)
    lines = [f"pictures/{i}.png,{'ab'[i % 2]}" for i in range(4)]
    (tmp_path / "lists" / "list.csv").write_text("file,class\n" + "\n".join(lines))
    columns = {"image": "file", "label": "class"}
    dataset = prepare_pictures({"train": csv_source("lists/list.csv", columns=columns)})
    split = dataset.split("train")
    assert split.take([3]) == [{"image": draw_picture(3), "label": 1, "name": "pictures/3.png"}]
    assert split.origin(3) == "pictures/3.png"
    assert dataset.label_names == ("a", "b")


def test_absolute_paths_parents_and_links_are_followed(tmp_path, prepare_pictures):
    write_pictures(tmp_path / "elsewhere", 3)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "link.png").symlink_to(tmp_path / "elsewhere" / "2.png")
    paths = [str(tmp_path / "elsewhere" / "0.png"), "../elsewhere/1.png", " link.png "]
    lines = [json.dumps({"image": path, "label": i % 2}) for i, path in enumerate(paths)]
    (tmp_path / "lists" / "list.jsonl").write_text("\n".join(lines))
    dataset = prepare_pictures({"train": {"format": "jsonl", "path": "lists/list.jsonl"}})
    assert [row["image"] for row in dataset.split("train").take(range(3))] == [
        draw_picture(i) for i in range(3)
    ]


def test_paths_that_lead_to_no_picture_are_rejected_by_name(tmp_path, prepare_pictures):
    write_pictures(tmp_path, 4)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "round.png").symlink_to("round.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "cut.png").write_bytes(draw_picture(0)[:100])
    os.mkfifo(tmp_path / "pipe.png")
    bad = [
        "missing.png", "folder.png", "gone.png", "round.png", "empty.png", "text.png", "cut.png", "pipe.png",
        "/dev/null", "0.png/1.png", "", None, 7, ["0.png"], "a" * 5000, "a\0b", "a\ud800b",
    ]  # fmt: skip
    rows = [{"image": f"{i}.png", "label": i % 2} for i in range(4)] + [{"image": p, "label": 0} for p in bad]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    dataset = prepare_pictures({"train": {"format": "jsonl", "path": "list.jsonl"}, "max_rejected": 0.9})
    found = read_rejects(dataset)
    assert [row for row, *_ in found] == list(range(5, 5 + len(bad)))
    assert [(reason, detail) for _, reason, detail, _ in found[:5]] == [
        ("missing file", "there is no such file"),
        ("not a plain file", "a folder"),
        ("missing file", "there is no such file"),
        ("not a plain file", "a link"),
        ("empty file", ""),
    ]
    assert found[7][1:] == ("not a plain file", "a pipe", "pipe.png")
    assert found[8][1:] == ("not a plain file", "a device", "/dev/null")
    assert found[9][1] == "missing file"
    assert [reason for _, reason, _, _ in found[10:]] == ["no picture named"] * 7
    assert [detail for _, _, detail, _ in found[10:14]] == [
        "the path is empty",
        "found null",
        "found a number",
        "found a list",
    ]
    assert found[14][2:] == ("the path is too long to be one", "a" * 200)


def test_rejects_are_shown_with_the_list_s_line_and_the_picture_s_name(tmp_path, prepare_pictures):
    write_pictures(tmp_path, 2)
    (tmp_path / "list.csv").write_text("image,label\n0.png,a\n1.png,b\nnone.png,a\n")
    with pytest.raises(DataError, match=r"list.csv:4: none.png: missing file: there is no such file"):
        prepare_pictures({"train": csv_source("list.csv")})


def test_an_unreadable_picture_is_rejected(tmp_path, prepare_pictures):
    write_pictures(tmp_path, 3)
    (tmp_path / "2.png").chmod(0)
    if os.access(tmp_path / "2.png", os.R_OK):
        pytest.skip("this user may read anything")
    (tmp_path / "list.csv").write_text("image,label\n0.png,a\n1.png,b\n2.png,a\n")
    dataset = prepare_pictures({"train": csv_source("list.csv"), "max_rejected": 0.5})
    assert [reject[1] for reject in read_rejects(dataset)] == ["unreadable file"]


def test_parquet_holds_bytes_paths_or_both(tmp_path, prepare_pictures):
    write_pictures(tmp_path, 1)
    pictures = [
        {"bytes": draw_picture(5), "path": "five.png"},
        {"bytes": draw_picture(6), "path": None},
        {"bytes": None, "path": "0.png"},
        {"bytes": None, "path": None},
        {"bytes": b"no picture", "path": None},
        None,
    ]
    pq.write_table(pa.table({"image": pictures, "label": [0, 1, 0, 1, 0, 1]}), tmp_path / "some.parquet")
    dataset = prepare_pictures({"train": {"format": "parquet", "path": "*.parquet"}, "max_rejected": 0.6})
    rows = dataset.split("train").take(range(3))
    assert [row["image"] for row in rows] == [draw_picture(5), draw_picture(6), draw_picture(0)]
    assert [row["name"] for row in rows] == ["five.png", "some.parquet:2", "0.png"]
    assert [(row, reason, content) for row, reason, _, content in read_rejects(dataset)] == [
        (4, "no picture named", ""),
        (5, "not a picture", ""),
        (6, "no picture named", ""),
    ]


def test_file_names_that_are_no_text_are_spelled_out(tmp_path: Path, prepare_pictures):
    for name in ("a", "b"):
        write_pictures(tmp_path / "classes" / name, 1)
    odd = os.fsencode(tmp_path / "classes" / "a") + b"/\xff.png"
    with open(odd, "wb") as file:
        file.write(draw_picture(3))
    dataset = prepare_pictures({"train": {"format": "image_folder", "path": "classes"}})
    assert sorted(row["name"] for row in dataset.split("train").take(range(3))) == [
        "classes/a/0.png",
        "classes/a/\\xff.png",
        "classes/b/0.png",
    ]
