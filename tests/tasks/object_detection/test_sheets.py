"""Sheets of a detector's pictures: what is drawn on them, and when there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_boxes

from kerasft.data.prepared import load_prepared_dataset
from kerasft.tasks.object_detection.feed import BoxFeed, make_gold
from kerasft.training.trained import Trained, load_trained
from kerasft.vision.augmentation.boxes import build_box_augmenter
from kerasft.vision.config import BoxAugmentationConfig


@pytest.fixture(scope="module")
def trained(tiny_box_run: Any) -> Trained:
    return load_trained(tiny_box_run)


def list_texts(figure: Any) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text")))


def test_the_worst_pictures_are_drawn_and_none_where_all_is_right(trained: Trained) -> None:
    split = load_prepared_dataset(trained.run.dataset).split("test")
    references = [make_gold(example) for example in split.take(np.arange(len(split)))]
    right = [trained.task.make_right_output(reference) for reference in references]
    tally = trained.task.open_tally()
    tally.add(range(len(right)), right, references)
    assert trained.task.draw_mistakes(split, tally) is None
    wrong = [dict(output) for output in right]
    for name in ("boxes", "scores", "labels"):
        wrong[2][name] = wrong[2][name][:0]
    tally = trained.task.open_tally()
    tally.add(range(len(wrong)), wrong, references)
    figure = trained.task.draw_mistakes(split, tally)
    texts = list_texts(figure)
    assert "1 of 18 pictures have errors" in texts
    assert f"02.jpg: 0 wrong, {len(references[2].boxes)} missed" in texts


def test_varied_pictures_are_drawn_with_their_boxes_and_others_not(trained: Trained) -> None:
    split = load_prepared_dataset(trained.run.dataset).split("train")
    augmenter = build_box_augmenter(BoxAugmentationConfig(policy="light"), tiny_boxes.SIZE_PX)
    figure = trained.task.draw_varied(BoxFeed(split, tiny_boxes.SIZE_PX, augmenter=augmenter))
    assert "Training pictures as they are varied" in list_texts(figure)
    assert "disc" in list_texts(figure)
    assert trained.task.draw_varied(BoxFeed(split, tiny_boxes.SIZE_PX)) is None
