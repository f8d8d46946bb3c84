"""Cuts of texts into pieces: every prediction once, pieces of one length in all epochs, at other places in each."""

from __future__ import annotations

import numpy as np
import pytest

from kerasft.text.cuts import EpochCuts, count_windows

PREDICTIONS = np.array([0, 1, 7, 8, 9, 16, 17, 23, 0, 100])
CAPACITY = 8


def list_spans(cuts: EpochCuts, epoch: int) -> dict[int, list[tuple[int, int]]]:
    """The spans of each text that has some."""
    found: dict[int, list[tuple[int, int]]] = {}
    for piece in range(len(cuts)):
        found.setdefault(int(cuts.texts[piece]), []).extend(cuts.cut(piece, epoch))
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("epoch", range(5))
def test_every_prediction_is_in_one_piece(seed: int, epoch: int) -> None:
    found = list_spans(EpochCuts(PREDICTIONS, CAPACITY, seed=seed), epoch)
    for text, total in enumerate(PREDICTIONS.tolist()):
        spans = sorted(found.get(text, []))
        assert [place for start, stop in spans for place in range(start, stop)] == list(range(total))


@pytest.mark.parametrize("epoch", range(12))
def test_pieces_are_as_long_as_they_say_in_every_epoch(epoch: int) -> None:
    cuts = EpochCuts(PREDICTIONS, CAPACITY, seed=3)
    for piece in range(len(cuts)):
        spans = cuts.cut(piece, epoch)
        assert sum(stop - start for start, stop in spans) == cuts.lengths[piece] <= CAPACITY
        assert 1 <= len(spans) <= 2
    assert cuts.lengths.sum() == PREDICTIONS.sum()


def test_texts_that_fit_stay_whole() -> None:
    cuts = EpochCuts(PREDICTIONS, CAPACITY, seed=3)
    for epoch in range(5):
        found = list_spans(cuts, epoch)
        assert [found[text] for text in (1, 2, 3)] == [[(0, 1)], [(0, 7)], [(0, 8)]]


def test_the_first_pieces_length_is_any_below_a_rows_equally_often() -> None:
    cuts = EpochCuts(np.array([100]), CAPACITY, seed=3)
    starts = [min(stop for _, stop in list_spans(cuts, epoch)[0]) % CAPACITY for epoch in range(400)]
    counts = np.bincount(starts, minlength=CAPACITY)
    # 50 of each are expected; the standard deviation of a count is 6.6
    assert counts.min() > 25
    assert counts.max() < 75


def test_cuts_follow_from_seed_epoch_and_text_alone() -> None:
    one, other = (EpochCuts(PREDICTIONS, CAPACITY, seed=seed) for seed in (1, 2))
    again = EpochCuts(PREDICTIONS, CAPACITY, seed=1)
    assert list_spans(one, 4) == list_spans(again, 4)
    assert list_spans(one, 4) != list_spans(one, 5)
    assert list_spans(one, 4) != list_spans(other, 4)


def test_measured_windows_are_full_but_for_the_last() -> None:
    assert count_windows(PREDICTIONS, CAPACITY).tolist() == [1, 1, 1, 1, 2, 2, 3, 3, 1, 13]
