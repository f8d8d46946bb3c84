"""Seconds and memory of boxes' figures, beside pycocotools': python benchmarks/detection_metrics.py [PICTURES] [BOXES]

PICTURES scenes are drawn (1,000 by default), and BOXES detections (100) of each; with `--only` pycocotools is left out.
Memory is by how much the process' peak rises above where it was before the first picture is matched. Pictures are
matched one batch after the other, as `evaluate` does it; making the lists that pycocotools is given is not timed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import time
from collections.abc import Iterator

import numpy as np

from kerasft.metrics.detection.boxes import Detections, GoldBoxes, make_detections, make_gold_boxes
from kerasft.metrics.detection.measure import measure_detections
from kerasft.metrics.detection.table import join_tables, match_pictures
from kerasft.samples.scenes import draw_scene, list_classes

SIZE_PX, BATCH = 128, 32
DRAWN = 250
"""So many scenes are drawn; more pictures have their boxes again, and other detections."""


def draw_gold(pictures: int) -> list[GoldBoxes]:
    """What is to be seen in drawn scenes."""
    scenes = (draw_scene(0, index, size_px=SIZE_PX) for index in range(min(pictures, DRAWN)))
    return [make_gold_boxes(scene.boxes, scene.class_ids) for scene in scenes]


def draw_found(gold: GoldBoxes, count: int, classes: int, seed: int) -> Detections:
    """Detections as a fair detector's: a few near each object, and many unsure ones anywhere."""
    random = np.random.default_rng(seed)
    corners = random.uniform(0, SIZE_PX - 12, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(8, 60, (count, 2))], axis=1)
    labels, scores = random.integers(0, classes, count), random.beta(1, 12, count)
    near = min(2 * len(gold.labels), count)
    of = np.arange(near) % max(len(gold.labels), 1)
    boxes[:near] = gold.boxes[of] + random.normal(0, 2, (near, 4))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    labels[:near], scores[:near] = gold.labels[of], random.beta(4, 3, near)
    return make_detections(boxes, scores, labels)


def read_peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_ours(
    pictures: int, drawn: list[GoldBoxes], count: int, names: list[str], resamples: int
) -> tuple[dict[str, float], float]:
    """Figures, and the seconds of matching and measuring."""
    seconds, tables = 0.0, []
    for first in range(0, pictures, BATCH):
        numbers = range(first, min(first + BATCH, pictures))
        gold = [drawn[number % len(drawn)] for number in numbers]
        found = [
            draw_found(one, count, len(names), number) for one, number in zip(gold, numbers, strict=True)
        ]
        start = time.perf_counter()
        tables.append(match_pictures(gold, found, numbers))
        seconds += time.perf_counter() - start
    start = time.perf_counter()
    table = join_tables(tables)
    tables.clear()
    figures = measure_detections(table, names, threshold=0.5, bootstrap_samples=resamples)
    return {name: figure["value"] for name, figure in figures.items()}, seconds + time.perf_counter() - start


def list_theirs(
    pictures: int, drawn: list[GoldBoxes], count: int, classes: int
) -> tuple[list[dict], list[dict]]:
    """Annotations and detections as pycocotools takes them."""

    def convert(box: np.ndarray) -> list[float]:
        left, top, right, bottom = box.astype(np.float64).tolist()
        return [left, top, right - left, bottom - top]

    def iterate() -> Iterator[tuple[int, GoldBoxes, Detections]]:
        for number in range(pictures):
            gold = drawn[number % len(drawn)]
            yield number, gold, draw_found(gold, count, classes, number)

    annotations, answers = [], []
    for number, gold, found in iterate():
        for box, label, _, area in zip(*gold, strict=True):
            row = {
                "image_id": number,
                "category_id": int(label),
                "bbox": convert(box),
                "area": float(area),
                "iscrowd": 0,
            }
            annotations.append(row | {"id": len(annotations) + 1})
        for box, score, label in zip(*found, strict=True):
            answers.append(
                {
                    "image_id": number,
                    "category_id": int(label),
                    "bbox": convert(box),
                    "score": float(score),
                }
            )
    return annotations, answers


def measure_theirs(
    pictures: int, annotations: list[dict], answers: list[dict], classes: int
) -> tuple[float, float]:
    """AP by pycocotools, and its seconds, reading the lists included."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = {
            "images": [{"id": number} for number in range(pictures)],
            "annotations": annotations,
            "categories": [{"id": label} for label in range(classes)],
        }
        data.createIndex()
        evaluation = COCOeval(data, data.loadRes(answers), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0]), time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=int, nargs="?", default=1000)
    parser.add_argument("boxes", type=int, nargs="?", default=100)
    parser.add_argument("--resamples", type=int, default=0, help="behind the intervals; pycocotools has none")
    parser.add_argument("--only", action="store_true", help="leave pycocotools out")
    options = parser.parse_args()
    names = list_classes()
    drawn = draw_gold(options.pictures)
    before = read_peak_mib()
    figures, seconds = measure_ours(options.pictures, drawn, options.boxes, names, options.resamples)
    print(
        f"{options.pictures:,} pictures, {options.boxes} detections each, {len(names)} classes\n"
        f"kerasft:     AP {figures['ap']:.6f}, {seconds:.2f} s, {options.resamples:,} resamples, "
        f"{read_peak_mib() - before:.0f} MiB"
    )
    if options.only:
        return
    annotations, answers = list_theirs(options.pictures, drawn, options.boxes, len(names))
    before = read_peak_mib()
    value, seconds = measure_theirs(options.pictures, annotations, answers, len(names))
    print(f"pycocotools: AP {value:.6f}, {seconds:.2f} s, {read_peak_mib() - before:.0f} MiB")


if __name__ == "__main__":
    main()
