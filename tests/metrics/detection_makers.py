"""Draws pictures' gold boxes and what a detector might say of them, and asks pycocotools about both."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from kerasft.metrics.detection.boxes import Detections, GoldBoxes, make_detections, make_gold_boxes

COCO_FIGURES = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large"),
)
"""In the order of COCOeval's `stats`."""


def _draw_boxes(random: np.random.Generator, count: int, whole: bool) -> np.ndarray:
    corners = random.uniform(0, 200, (count, 2))
    sizes = np.exp(random.uniform(np.log(5), np.log(200), (count, 2)))
    boxes = np.concatenate([corners, corners + sizes], axis=1)
    return np.round(boxes) + np.array([0, 0, 1, 1]) if whole else boxes


def draw_pictures(
    seed: int,
    pictures: int = 12,
    classes: int = 3,
    *,
    most_gold: int = 6,
    most_found: int = 20,
    crowds: float = 0.15,
    ties: bool = True,
    whole: bool = True,
) -> tuple[list[GoldBoxes], list[Detections]]:
    """Some pictures, also empty ones on either side; detections are near gold boxes, of wrong classes, or anywhere.

    Args:
        seed: they follow from it.
        pictures, classes: how many.
        most_gold, most_found: boxes a picture.
        crowds: the share of gold boxes that are crowds.
        ties: whether many scores are equal.
        whole: whether sides are whole pixels, so that many overlaps are equal, and at a threshold exactly.
    """
    random = np.random.default_rng(seed)
    gold, found = [], []
    for _ in range(pictures):
        count = int(random.integers(0, most_gold + 1)) if random.random() > 0.15 else 0
        boxes, labels = _draw_boxes(random, count, whole), random.integers(0, classes, count)
        own = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        areas = own * random.uniform(0.5, 1.0, count) if random.random() < 0.5 else None
        gold.append(make_gold_boxes(boxes, labels, random.random(count) < crowds, areas))
        answers = int(random.integers(0, most_found + 1)) if random.random() > 0.1 else 0
        places, classes_said = _draw_boxes(random, answers, whole), random.integers(0, classes, answers)
        if count and answers:
            near = random.random(answers) < 0.7
            of = random.integers(0, count, answers)
            moved = boxes[of] + random.normal(0, random.choice([0, 1, 3, 8], (answers, 1)), (answers, 4))
            moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
            places = np.where(near[:, None], np.round(moved) if whole else moved, places)
            places[:, 2:] = np.maximum(places[:, 2:], places[:, :2] + 1)
            classes_said = np.where(near & (random.random(answers) < 0.8), labels[of], classes_said)
        scores = random.random(answers)
        found.append(make_detections(places, np.round(scores, 1) if ties else scores, classes_said))
    return gold, found


def _to_coco(box: np.ndarray) -> list[float]:
    left, top, right, bottom = box.astype(np.float64).tolist()
    return [left, top, right - left, bottom - top]


def ask_pycocotools(
    gold: Sequence[GoldBoxes], found: Sequence[Detections], classes: int
) -> dict[str, float] | None:
    """`COCO_FIGURES`, and `ap/<number>` and `ap50/<number>` of each class; -1 where undefined.

    None without any detection: pycocotools does not read an empty list of them.
    """
    annotations, answers = [], []
    for number, (true, said) in enumerate(zip(gold, found, strict=True)):
        for box, label, crowd, area in zip(*true, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(label),
                    "bbox": _to_coco(box),
                    "area": float(area),
                    "iscrowd": int(crowd),
                }
            )
        for box, score, label in zip(*said, strict=True):
            answers.append(
                {
                    "image_id": number,
                    "category_id": int(label),
                    "bbox": _to_coco(box),
                    "score": float(score),
                }
            )
    if not answers:
        return None
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = {
            "images": [{"id": number} for number in range(len(gold))],
            "annotations": annotations,
            "categories": [{"id": label} for label in range(classes)],
        }
        data.createIndex()
        evaluation = COCOeval(data, data.loadRes(answers), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    figures = dict(zip(COCO_FIGURES, map(float, evaluation.stats), strict=True))
    for label in range(classes):
        values = evaluation.eval["precision"][:, :, label, 0, 2]
        figures[f"ap/{label}"], figures[f"ap50/{label}"] = float(values.mean()), float(values[0].mean())
    return figures
