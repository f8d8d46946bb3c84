"""Contact sheets of pictures: the worst mistakes of an image classifier, and augmented training pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from kerasft.data.feed import BatchMoment, Feed
from kerasft.data.prepared import Split
from kerasft.metrics.mistakes import find_mistakes
from kerasft.plots.pictures import open_upright
from kerasft.plots.sheets import build_picture_sheet
from kerasft.plots.style import shorten_label

SHOWN = 24
_MISTAKE_PX = 240
_LEAST_SHARE = 0.05


def draw_mistakes(
    split: Split, probabilities: np.ndarray, labels: np.ndarray, label_names: Sequence[str]
) -> Figure | None:
    """The pictures that the model is surest of and wrong about, up to 24; None where it makes no mistake.

    Args:
        split: where the pictures are.
        probabilities: float (examples, classes).
        labels: int (examples,).
        label_names: the classes' names.
    """
    wrong = find_mistakes(probabilities, labels)
    shown = wrong[:SHOWN]
    if not len(shown):
        return None
    pictures, titles = [], []
    for example, row, label in zip(split.take(shown), probabilities[shown], labels[shown], strict=True):
        predicted = int(row.argmax())
        pictures.append(np.asarray(open_upright(example["image"], _MISTAKE_PX)))
        titles.append(
            f"{_describe(label_names[label], row[label])}\n→ {_describe(label_names[predicted], row[predicted])}\n"
            f"{PurePath(example['name']).name}"
        )
    heading = f"{split.name}: {len(wrong):,} of {len(labels):,} are wrong; label → answer, the surest first"
    return build_picture_sheet(pictures, titles, heading=heading)


def draw_varied(feed: Feed, label_names: Sequence[str]) -> Figure:
    """24 training pictures from all over the split, as the first epoch shows them to the net.

    Args:
        feed: gives pictures, float32 (batch, height, width, 3), and labels as distributions over classes.
        label_names: the classes' names.
    """
    rows = np.unique(np.linspace(0, len(feed) - 1, min(SHOWN, len(feed))).astype(np.int64))
    batch = feed.collate(rows, 1, BatchMoment(0, 0))
    images, labels = feed.unpack({name: tf.constant(array) for name, array in batch.items()})
    titles = [_name_labels(shares, label_names) for shares in labels.numpy()]
    return build_picture_sheet(list(images.numpy()), titles, heading="Training pictures as they are varied")


def _name_labels(shares: np.ndarray, label_names: Sequence[str]) -> str:
    """`tulips`; of a mixed picture a line each for `tulips 70 %` and `roses 30 %`, of several labels a line each."""
    named = [int(index) for index in np.argsort(-shares, kind="stable") if shares[index] >= _LEAST_SHARE]
    if len(named) == 1:
        return label_names[named[0]]
    return "\n".join(_describe(label_names[index], shares[index]) for index in named) or "–"


def _describe(label: str, share: float) -> str:
    name = shorten_label(label, 20)
    return name if share == 1.0 else f"{name} {100 * share:.0f}\u202f%"
