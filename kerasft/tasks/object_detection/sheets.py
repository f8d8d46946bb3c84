"""Contact sheets of a detector: training pictures as they are varied, and the worst pictures, gold beside answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from kerasft.data.feed import BatchMoment, Feed
from kerasft.data.prepared import Split
from kerasft.plots.box_canvas import ShownBox, make_box, scale_box
from kerasft.plots.boxes import build_box_sheet, build_gold_sheet, describe_counts, draw_gold_beside
from kerasft.plots.pictures import open_upright
from kerasft.tasks.object_detection.answers import AnswerTally
from kerasft.tasks.object_detection.feed import make_gold
from kerasft.tasks.object_detection.records import judge_picture
from kerasft.tasks.object_detection.targets import IGNORED, PADDING

_VARIED, _WORST = 24, 8
_WORST_PX = 640


def draw_varied(feed: Feed, label_names: Sequence[str]) -> Figure:
    """24 training pictures from all over the split with their boxes, as the first epoch shows them to the net; boxes of
    which nothing is learned are dashed.

    Args:
        feed: gives pictures and labels as a detector's.
        label_names: the classes.
    """
    rows = np.unique(np.linspace(0, len(feed) - 1, min(_VARIED, len(feed))).astype(np.int64))
    batch = feed.collate(rows, 1, BatchMoment(0, 0))
    inputs, labels = feed.unpack({name: tf.constant(array) for name, array in batch.items()})
    boxes = [list(_list_labels(its, label_names)) for its in labels.numpy()]
    titles = [describe_counts([box for box in its if not box.dashed], label_names) for its in boxes]
    heading = "Training pictures as they are varied"
    return build_box_sheet(list(inputs["image"].numpy()), boxes, titles, label_names, heading=heading)


def _list_labels(rows: np.ndarray, label_names: Sequence[str]) -> Iterator[ShownBox]:
    for *sides, label, kind in rows.tolist():
        if kind != PADDING:
            name = label_names[int(label)] if label >= 0 else ""
            yield make_box(sides, name, dashed=kind == IGNORED)


def draw_mistakes(split: Split, tally: AnswerTally, label_names: Sequence[str]) -> Figure | None:
    """The pictures with the most errors, what is true of each beside what was found; None where there are none.

    Args:
        split: where the pictures are.
        tally: of all of them.
        label_names: the classes.
    """
    worst = tally.find_worst_pictures()
    shown = worst[:_WORST]
    if not shown:
        return None
    pairs, titles = [], []
    for example, picture in zip(split.take([one.number for one in shown]), shown, strict=True):
        image = open_upright(example["image"])
        factor = min(_WORST_PX / max(image.size), 1.0)
        size = max(round(image.width * factor), 1), max(round(image.height * factor), 1)
        judged = judge_picture(make_gold(example), tally.get_answers(picture.number), label_names)
        gold, found = ([scale_box(box, factor) for box in boxes] for boxes in (judged.gold, judged.found))
        pairs.append(draw_gold_beside(image.resize(size), gold, found, label_names))
        titles.append(f"{PurePath(example['name']).name}: {picture.wrong} wrong, {picture.missed} missed")
    heading = f"{split.name}: {len(worst):,} of {len(split):,} pictures have errors; the most first"
    return build_gold_sheet(pairs, titles, heading=heading)
