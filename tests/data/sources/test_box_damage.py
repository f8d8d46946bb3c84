"""Annotation files that are damaged, or lie: an error of ours, or rows that are rejected, and never anything else."""

from __future__ import annotations

import copy
import json
import random

import pytest
from box_makers import BOX_FIELDS, HEIGHT, WIDTH, WRITERS, draw_pictures, read_boxes

from kerasft.data.kinds import load_kind
from kerasft.data.kinds.fields import InvalidValue
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
