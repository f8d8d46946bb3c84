"""What is shown of boxes: rows of a table, drawn copies, the report's sections, and what two runs are compared by."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kerasft.metrics.detection.boxes import make_detections, make_gold_boxes
from kerasft.metrics.detection.figure_kinds import DETECTION
from kerasft.metrics.detection.measure import measure_detections
from kerasft.metrics.detection.table import match_pictures
from kerasft.plots.pictures import WHOLE_SIZE
from kerasft.report.content import ReportContent
from kerasft.report.page import render_report
from kerasft.samples.scene_outlines import SHAPES
from kerasft.samples.scenes import Scene, draw_scene
from kerasft.tasks.display import Measured
from kerasft.tasks.object_detection.display import ObjectDetectionDisplay
from kerasft.tasks.object_detection.records import BoxesPrediction, judge_picture, read_found, read_gold

NAMES = tuple(SHAPES)
SCENES = [draw_scene(0, index, size_px=96) for index in range(12)]


def make_display() -> ObjectDetectionDisplay:
    config = SimpleNamespace(
        answer_keys=("boxes",), figure_kinds=DETECTION, inputs=(SimpleNamespace(name="image"),), type="x"
    )
    return ObjectDetectionDisplay(config, NAMES)


def make_box(box: Any, label: str, **others: Any) -> dict[str, Any]:
    return {
        "label": label,
        **dict(zip(("left", "top", "right", "bottom"), map(float, box), strict=True)),
        **others,
    }


def make_record(number: int, scene: Scene, predicted: list[dict[str, Any]]) -> dict[str, Any]:
    boxes = [make_box(thing.box, thing.name, crowd=False) for thing in scene.objects]
    return {"origin": f"scenes/{number}.jpg", "boxes": boxes, "predicted": predicted}


def make_records() -> list[dict[str, Any]]:
    """All objects are found but the second scene's, which are missed, and the third's, which have other names."""
    records = []
    for number, scene in enumerate(SCENES):
        right = [
            make_box(thing.box, thing.name, score=0.9 - 0.01 * n) for n, thing in enumerate(scene.objects)
        ]
        if number == 1:
            right = []
        if number == 2:
            right = [{**box, "label": NAMES[(NAMES.index(box["label"]) + 1) % len(NAMES)]} for box in right]
        records.append(make_record(number, scene, right))
    return records


class Scenes:
    """Pictures as a split gives them."""

    name = "test"

    def __len__(self) -> int:
        return len(SCENES)

    def __getitem__(self, number: int) -> Mapping[str, Any]:
        file = io.BytesIO()
        Image.fromarray(SCENES[number].image).save(file, "PNG")
        return {"image": file.getvalue(), "name": f"scenes/{number}.jpg"}


def measure(records: list[dict[str, Any]]) -> dict[str, Any]:
    gold, found = ([read(record, NAMES) for record in records] for read in (read_gold, read_found))
    return dict(measure_detections(match_pictures(gold, found), NAMES, threshold=0.3))


def test_a_table_has_a_row_for_each_box_and_one_for_a_picture_without():
    display = make_display()
    answer = {
        "boxes": [
            make_box((1, 2, 3, 4.5049), "fish", score=0.75004),
            make_box((5, 6, 7, 8), "leaf", score=0.5),
        ]
    }
    assert display.list_columns() == ["label", "score", "left", "top", "right", "bottom"]
    assert display.list_rows(answer) == [
        ["fish", 0.75, 1.0, 2.0, 3.0, 4.5],
        ["leaf", 0.5, 5.0, 6.0, 7.0, 8.0],
    ]
    assert display.list_rows({"boxes": []}) == [[None] * 6]
    assert display.list_rows({"error": "empty file"}) == [[None] * 6]
    assert display.list_cells(answer) == ["fish", 0.75, 1.0, 2.0, 3.0, 4.5]
    assert (
        display.caption(answer)
        == f"{', '.join(sorted(['fish 1', 'leaf 1'], key=lambda n: NAMES.index(n[:-2])))}"
    )
    assert display.caption({"boxes": []}) == "no boxes"


def test_boxes_are_drawn_where_they_lie_in_a_reduced_copy_too():
    display, white = make_display(), Image.new("RGB", (800, 600), "white")
    reduced = Image.new("RGB", (400, 300), "white")
    reduced.info[WHOLE_SIZE] = 800, 600
    answer = {"boxes": [make_box((200, 100, 600, 500), "fish", score=0.9)]}
    whole, half = (np.asarray(display.draw(picture, answer)) for picture in (white, reduced))

    def find_extent(pixels: np.ndarray, height: int) -> list[int]:
        rows, columns = np.nonzero((pixels[:height] < 250).any(axis=-1))
        return [columns.max(), rows.max()]

    np.testing.assert_allclose(find_extent(whole, 600), [600, 500], atol=1)
    np.testing.assert_allclose(find_extent(half, 300), [300, 250], atol=1)


def test_a_record_is_read_as_it_is_written():
    record = make_records()[0]
    read = BoxesPrediction.model_validate(record).model_dump()
    assert read == record
    gold, found = read_gold(read, NAMES), read_found(read, NAMES)
    np.testing.assert_array_equal(gold.boxes, SCENES[0].boxes)
    np.testing.assert_array_equal(found.boxes, SCENES[0].boxes)
    assert [NAMES[label] for label in gold.labels] == [thing.name for thing in SCENES[0].objects]
    with pytest.raises(KeyError):
        read_gold({"boxes": [make_box((0, 0, 1, 1), "stranger")]}, NAMES)


def test_what_is_missed_or_wrong_is_filled():
    gold = make_gold_boxes(
        [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 90, 30]],
        [0, 1, 0, 2],
        [False] * 3 + [True],
    )
    found = make_detections(
        # right, class, background, in the crowd, duplicate
        [[0, 0, 10, 10], [20, 0, 30, 10], [40, 50, 50, 60], [60, 0, 70, 10], [0, 0, 10, 9]],
        [0.9, 0.8, 0.7, 0.6, 0.5],
        [0, 0, 1, 2, 0],
    )
    judged = judge_picture(gold, found, NAMES)
    assert [box.filled for box in judged.gold] == [False, True, True, False]
    assert [box.dashed for box in judged.gold] == [False, False, False, True]
    assert [box.filled for box in judged.found] == [False, True, True, False, True]
    assert judged.missed == 2
    assert judged.wrong == {"class": 1, "duplicate": 1, "background": 1}
    assert judged.errors == 5
    assert [box.name for box in judged.gold] == [NAMES[0], NAMES[1], NAMES[0], NAMES[2]]


def test_more_boxes_than_count_are_no_errors():
    found = make_detections([[0, 0, 10, 10]] * 130, np.linspace(0.9, 0.1, 130), [0] * 130)
    judged = judge_picture(make_gold_boxes([[0, 0, 10, 10]], [0]), found, NAMES)
    assert len(judged.found) == 130
    assert judged.wrong == {"duplicate": 99}
    assert judged.missed == 0


def test_the_worst_pictures_come_first_and_right_ones_not_at_all():
    records = make_records()
    measured = Measured(name="test", figures=measure(records), records=iter(records), split=Scenes())
    (section,) = [
        one for one in make_display().show(measured).sections if one.heading == "The worst pictures"
    ]
    counts = sorted([len(SCENES[1].objects), 2 * len(SCENES[2].objects)], reverse=True)
    assert [len(one["wrong"]) + one["missed"] > 0 for one in section.data["pictures"]] == [True, True]
    assert (section.data["wrong"], section.data["examples"]) == (2, 12)
    names = [one["name"] for one in section.data["pictures"]]
    first = 1 if counts[0] == len(SCENES[1].objects) else 2
    assert names == [f"scenes/{first}.jpg", f"scenes/{3 - first}.jpg"]
    picture = section.data["pictures"][0]["picture"]
    image = Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2])))
    assert image.width > image.height
    assert image.width > 900


def test_no_more_pictures_are_shown_than_asked_for():
    records = [{**record, "predicted": []} for record in make_records()]
    for mistakes, shown in ((3, 3), (0, None)):
        measured = Measured(
            name="test", figures=measure(records), records=iter(records), split=Scenes(), mistakes=mistakes
        )
        sections = [one for one in make_display().show(measured).sections if "worst" in one.heading]
        assert [len(one.data["pictures"]) for one in sections] == ([shown] if shown else [])


def test_the_verdict_says_what_is_found_and_how_it_is_wrong():
    records = make_records()
    shown = make_display().show(Measured(name="test", figures=measure(records), records=records, split=None))
    objects = sum(len(scene.objects) for scene in SCENES)
    assert shown.headline.startswith(f"Of the {objects} objects in 12 test pictures the model finds ")
    told = " ".join(statement.text for statement in shown.statements)
    missed = measure(records)["errors_missed"]["value"]
    assert f"{missed} object{'s' * (missed != 1)} missed" in told
    assert "of the wrong class" in told
    headings = [section.heading for section in shown.sections]
    assert headings == ["Class by class", "Kinds of errors"]


def test_where_nothing_is_wrong_nothing_is_blamed():
    records = make_records()[3:]
    shown = make_display().show(Measured(name="test", figures=measure(records), records=records, split=None))
    assert [statement.tone for statement in shown.statements] == ["good"]
    none = [{**record, "predicted": []} for record in records]
    shown = make_display().show(Measured(name="test", figures=measure(none), records=none, split=None))
    assert "finds 0" in shown.headline or "finds none" in shown.headline
    empty = [{**record, "predicted": [], "boxes": []} for record in records]
    shown = make_display().show(Measured(name="test", figures=measure(empty), records=empty, split=None))
    assert "no objects" in shown.headline


def test_two_runs_are_compared_by_what_their_answers_tell():
    records = make_records()
    display = make_display()
    found = display.open_measure(records, 20)
    figures = measure(records)
    assert {"precision", "recall", "f1", f"f1/{NAMES[0]}"} <= set(found.values)
    assert not {name for name in found.values if name.startswith("a")}
    for name in ("precision", "recall", "f1"):
        assert float(found.values[name]) == pytest.approx(figures[name]["value"])
    resampled = found.resample(np.ones((1, len(found))))
    assert set(resampled) == set(found.values)
    assert resampled["f1"][0] == pytest.approx(figures["f1"]["value"])
    assert display.tell_example(records[0]) == {key: records[0][key] for key in ("origin", "boxes")}


def test_the_page_shows_it_all(tmp_path: Path):
    records = make_records()
    display, figures = make_display(), measure(records)
    measured = Measured(name="test", figures=figures, records=records, split=Scenes())
    content = ReportContent(
        title="scenes",
        task="object detection",
        label_names=NAMES,
        figures={"test": figures},
        kinds=DETECTION,
        display=display,
        shown={"test": display.show(measured)},
        usage=display.list_commands("runs/scenes"),
    )
    page = render_report(content)
    for text in (
        "Class by class",
        "Kinds of errors",
        "The worst pictures",
        "of the wrong class",
        "--to boxes.csv",
    ):
        assert text in page
    assert len(re.findall(r'class="sheet" src="data:image/jpeg', page)) == 2
