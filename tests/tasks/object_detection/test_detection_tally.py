"""The tally of boxes: figures depend on no order, little is kept of a picture, and what it draws."""

from __future__ import annotations

import numpy as np
import pytest
from detection_makers import draw_pictures

from kerasft.errors import DataError
from kerasft.plots.style import figure_to_png
from kerasft.tasks.object_detection.tally import DetectionTally

NAMES = ("a", "b", "c")
GOLD, FOUND = draw_pictures(2, 40)


def collect(numbers, threshold: float | None = 0.5, batch: int = 7) -> DetectionTally:
    tally = DetectionTally(NAMES, threshold)
    for start in range(0, len(numbers), batch):
        some = numbers[start : start + batch]
        tally.add(some, [FOUND[number] for number in some], [GOLD[number] for number in some])
    return tally


def test_figures_depend_on_no_order() -> None:
    whole, first, second = (
        collect(range(40)),
        collect([30, 2, *range(3, 30)]),
        collect([39, *range(31, 39), 1]),
    )
    second.merge(collect([0]))
    first.merge(second)
    first.add([], [], [])
    assert len(first) == len(whole) == 40
    options = {"bootstrap_samples": 50, "seed": 3}
    figures = whole.compute_figures(**options)
    assert first.compute_figures(**options) == figures
    assert figures["examples"] == {"value": 40}
    assert first.find_worst_pictures() == whole.find_worst_pictures()


def test_a_split_without_pictures_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="no pictures to measure"):
        DetectionTally(NAMES).compute_figures()


def test_without_a_threshold_there_are_the_figures_that_need_none() -> None:
    tally = collect(range(40), None)
    figures, chosen = tally.compute_figures(), tally.choose_threshold()
    assert not {"f1", "precision", "recall", "errors_missed"} & set(figures)
    assert collect(range(40), chosen).compute_figures()["f1"] == figures["best_f1"]
    assert tally.find_worst_pictures() == tally.find_worst_pictures(chosen)


def test_a_detection_takes_34_bytes_and_a_gold_box_17() -> None:
    table = collect(range(40)).join()
    of_gold = {"gold_pictures", "gold_labels", "gold_sizes", "found", "near"}
    sizes = {name: column.itemsize for name, column in table._asdict().items() if name != "numbers"}
    assert sum(size for name, size in sizes.items() if name in of_gold) == 17
    assert sum(size for name, size in sizes.items() if name not in of_gold) == 34


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_it_draws_curves_and_what_errors_cost(threshold) -> None:
    drawn = collect(range(40), threshold).draw()
    assert list(drawn) == ["precision_recall", "confidence", "errors"]
    for figure in drawn.values():
        assert figure_to_png(figure).startswith(b"\x89PNG")


def test_it_draws_pictures_without_objects_or_detections() -> None:
    empty, silent = GOLD[0]._replace(), FOUND[0]._replace()
    nothing = type(empty)(*(part[:0] for part in empty)), type(silent)(*(part[:0] for part in silent))
    tally = DetectionTally(NAMES)
    tally.add([0], [nothing[1]], [nothing[0]])
    drawn = tally.draw()
    assert list(drawn) == ["precision_recall", "confidence"]
    tally.add([1], [nothing[1]], [GOLD[int(np.argmax([len(gold.labels) for gold in GOLD]))]])
    drawn |= tally.draw()
    assert len(drawn["precision_recall"].axes[0].lines) > 0
    for figure in drawn.values():
        assert figure_to_png(figure).startswith(b"\x89PNG")
    assert tally.choose_threshold() is None
    assert tally.find_worst_pictures()[0].number == 1
