"""Annotation files that are damaged, or lie: an error of ours, or rows that are rejected, and never anything else."""

from __future__ import annotations

import copy
import itertools
import json
import random

import pytest
from box_makers import BOX_FIELDS, HEIGHT, WIDTH, WRITERS, draw_pictures, read_boxes

from kerasft.data.kinds import load_kind
from kerasft.data.kinds.fields import InvalidValue
from kerasft.data.sources.paths import SourceFile
from kerasft.errors import KerasftError

ROUNDS = 150
FILES = {
    "coco": "annotations/instances_train.json",
    "label_studio": "export.json",
    "voc": "Annotations/scene 01.xml",
    "yolo": "data.yaml",
    "box_csv": "boxes.csv",
}
ODD = [
    *(None, True, 0, -1, 1.5, 1e308, float("nan"), 10**400, "", "x", "0", "\0", "../..", "/"),
    *([], {}, [None], [1, 2, 3, 4], ["a"], {"a": 1}),
]
PIECES = [
    b"<!DOCTYPE a>",
    b"&x;",
    b",",
    b"\n",
    b'"',
    b"- ",
    b"1e400",
    b"nan",
    b"*a",
    b"&a ",
    b"\0",
    b"\xff",
    b"[",
]


def change_value(value, source: random.Random):
    """Something in a JSON value is missing, or is something else."""
    if isinstance(value, dict) and value and source.random() < 0.8:
        key = source.choice(list(value))
        if source.random() < 0.2:
            del value[key]
        else:
            value[key] = change_value(value[key], source)
        return value
    if isinstance(value, list) and value and source.random() < 0.8:
        place = source.randrange(len(value))
        value[place] = change_value(value[place], source)
        return value
    return copy.deepcopy(source.choice(ODD))


def damage(data: bytes, source: random.Random) -> bytes:
    """Bytes are missing, or others stand between them."""
    changed = bytearray(data)
    for _ in range(source.randint(1, 6)):
        place = source.randrange(len(changed))
        if source.random() < 0.5:
            del changed[place : place + source.randint(1, 20)]
        changed[place:place] = source.choice(PIECES)
    return bytes(changed)


@pytest.mark.parametrize("format", FILES)
def test_a_damaged_file_of_boxes_ends_in_rows_rejects_or_an_error_of_ours(tmp_path, format):
    source = random.Random(7)
    settings = WRITERS[format](tmp_path, draw_pictures(3))
    path = tmp_path / FILES[format]
    whole = path.read_bytes()
    kind = load_kind(BOX_FIELDS[1])
    ends = {"rows": 0, "rejects": 0, "errors": 0}
    for number in range(ROUNDS):
        if path.suffix == ".json" and number % 2:
            path.write_text(json.dumps(change_value(json.loads(whole), source)))
        else:
            path.write_bytes(damage(whole, source))
        try:
            read = read_boxes(tmp_path, settings if number % 3 else {"format": "auto", "path": "."})
        except KerasftError:
            ends["errors"] += 1
            continue
        ends["rejects"] += len(read.rejects)
        for value in kind.read(list(read.pictures.values()), None):
            checked = value if isinstance(value, InvalidValue) else kind.check_size(value, (HEIGHT, WIDTH))
            if isinstance(checked, InvalidValue):
                ends["rejects"] += 1
                continue
            ends["rows"] += 1
            for box in kind.unpack(checked.payload)["boxes"]:
                assert 0 <= box["left"] < box["right"] <= WIDTH
                assert 0 <= box["top"] < box["bottom"] <= HEIGHT
    assert ends["rows"] > 0, ends
    assert ends["rejects"] + ends["errors"] > ROUNDS // 4, ends


@pytest.mark.parametrize(
    ("format", "name"),
    [
        *itertools.product(FILES, ["a" * 300, f"{'a' * 300}/b", "\0", "", "/", "..", "a/../../b"]),
        ("coco", "\ud800"),
        ("label_studio", "\ud800"),
    ],
)
def test_a_name_that_no_picture_can_have_rejects_its_row_alone(tmp_path, format, name):
    settings = WRITERS[format](tmp_path, draw_pictures(2))
    if format in ("coco", "label_studio"):
        path = tmp_path / FILES[format]
        content = json.loads(path.read_text())
        first = content["images"][0] if format == "coco" else content[0]["data"]
        first["file_name" if format == "coco" else "image"] = name
        path.write_text(json.dumps(content))
    elif format == "box_csv":
        (tmp_path / FILES[format]).write_text(
            f"filename,class,xmin,ymin,xmax,ymax\n{name},a,1,1,9,9\nscene 01.png,a,1,1,9,9\n"
        )
    elif format == "yolo":
        (tmp_path / "train.txt").write_text(f"{name}\nimages/train/scene 01.png\n")
        content = (tmp_path / FILES[format]).read_text()
        (tmp_path / FILES[format]).write_text(content.replace("images/train", "train.txt"))
    else:
        (tmp_path / "ImageSets" / "Main" / "train.txt").write_text(f"{name}\nscene 01\n")
    read = read_boxes(tmp_path, settings)
    paths = [path for path, _ in read.rows]
    values = load_kind(BOX_FIELDS[0]).read(paths, SourceFile(tmp_path / FILES[format], FILES[format]))
    kept = [
        path.name for path, value in zip(paths, values, strict=True) if not isinstance(value, InvalidValue)
    ]
    assert kept == ["scene 01.png"]
    # a list's empty line names nothing
    assert len(paths) + len(read.rejects) == (1 if format in ("yolo", "voc") and not name else 2)
