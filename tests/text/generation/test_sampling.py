"""The next token, by numbers that were worked out by hand, and by what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.text.generation.sampling import choose_tokens, draw_uniform, keep_likeliest, penalize_repetition

SCORES = st.lists(
    st.lists(st.integers(-6, 6).map(float), min_size=7, max_size=7), min_size=1, max_size=3
).map(lambda rows: np.array(rows, np.float32))
"""Scores of which many are equal."""


def penalize(logits, history, lengths, penalty):
    return penalize_repetition(
        tf.constant(logits, tf.float32), tf.constant(history), tf.constant(lengths), tf.constant(penalty)
    ).numpy()


def keep(logits, top_k=0, top_p=1.0):
    kept = keep_likeliest(tf.constant(logits, tf.float32), tf.constant(top_k), tf.constant(top_p)).numpy()
    assert np.array_equal(kept[kept > -np.inf], np.asarray(logits, np.float32)[kept > -np.inf])
    return kept > -np.inf


def choose(logits, temperature=1.0, top_k=0, top_p=1.0, uniform=None, seed=0):
    count = len(logits)
    if uniform is None:
        uniform = draw_uniform(tf.constant(seed, tf.int64), tf.constant(0), tf.range(count))
    told = (tf.constant(value) for value in (float(temperature), top_k, float(top_p)))
    return choose_tokens(tf.constant(logits, tf.float32), *told, tf.constant(uniform, tf.float64)).numpy()


def test_known_tokens_are_penalized_once_and_never_made_likelier() -> None:
    logits = [[2.0, -1.0, 0.5, 3.0], [2.0, -1.0, 0.5, 3.0]]
    history = [[0, 1, 0], [3, 2, 2]]
    assert penalize(logits, history, [3, 1], 2.0).tolist() == [[1.0, -2.0, 0.5, 3.0], [2.0, -1.0, 0.5, 1.5]]
    assert penalize(logits, history, [3, 3], 1.0).tolist() == logits
    assert penalize(logits, history, [2, 0], 0.5).tolist() == [[4.0, -0.5, 0.5, 3.0], logits[1]]


def test_the_likeliest_tokens_are_kept_by_number_and_by_probability() -> None:
    logits = np.log([[0.15, 0.5, 0.05, 0.3]])
    assert keep(logits, top_k=2).tolist() == [[False, True, False, True]]
    assert keep(logits, top_p=0.4).tolist() == [[False, True, False, False]]
    assert keep(logits, top_p=0.6).tolist() == [[False, True, False, True]]
    assert keep(logits, top_p=0.9).tolist() == [[True, True, False, True]]
    # of the two likeliest alone the first has 0.625
    assert keep(logits, top_k=2, top_p=0.6).tolist() == [[False, True, False, False]]
    assert keep(logits, top_k=9).all()
    assert keep(logits).all()


@given(scores=SCORES, top_k=st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_as_many_tokens_are_kept_as_were_asked_for(scores, top_k) -> None:
    for row, kept in zip(scores, keep(scores, top_k=top_k), strict=True):
        assert np.flatnonzero(kept).tolist() == sorted(np.argsort(-row, kind="stable")[:top_k].tolist())


@given(scores=SCORES, top_p=st.floats(0.01, 0.99))
@settings(max_examples=40, deadline=None)
def test_the_fewest_tokens_are_kept_that_have_the_probability(scores, top_p) -> None:
    top_p = float(np.float32(top_p))
    for row, kept in zip(scores.astype(np.float64), keep(scores, top_p=top_p), strict=True):
        shares = np.exp(row) / np.exp(row).sum()
        assert shares[kept].sum() >= top_p - 1e-5
        assert shares[kept].sum() - shares[kept].min() < top_p + 1e-5
        assert shares[kept].min() >= shares[~kept].max(initial=0.0)


def test_without_temperature_the_first_of_the_likeliest_is_taken() -> None:
    assert choose([[1.0, 3.0, 3.0], [0.0, 0.0, -1.0]], temperature=0.0).tolist() == [1, 0]
    near = np.random.default_rng(0).standard_normal((20, 50))
    for temperature in (1e-3, 1e-38):
        assert choose(near, temperature).tolist() == near.argmax(1).tolist()


def test_a_token_is_drawn_by_where_a_number_falls() -> None:
    logits = np.log([[0.25, 0.5, 0.25]] * 6)
    uniform = [0.0, 0.2499, 0.2501, 0.7499, 0.7501, 1.0 - 2.0**-52]
    assert choose(logits, uniform=uniform).tolist() == [0, 0, 1, 1, 2, 2]
    # of the two likeliest the first has two thirds
    assert choose(logits, top_k=2, uniform=uniform).tolist() == [0, 0, 0, 1, 1, 1]
    # at half the temperature shares are squared: 1/6, 4/6, 1/6
    assert choose(logits, 0.5, uniform=[0.0, 0.16, 0.17, 0.83, 0.84, 0.99]).tolist() == [0, 0, 1, 1, 2, 2]


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    shares = np.array([0.4, 0.0, 0.1, 0.3, 0.2])
    with np.errstate(divide="ignore"):
        logits = np.tile(np.log(shares), (20_000, 1))
    drawn = np.bincount(choose(logits), minlength=5) / len(logits)
    assert drawn[1] == 0.0
    np.testing.assert_allclose(drawn, shares, atol=5 * np.sqrt(0.25 / len(logits)))
    assert np.bincount(choose(logits, temperature=1000.0), minlength=5)[1] == 0


def test_a_rows_number_follows_from_seed_step_and_row_alone() -> None:
    def draw(seed, step, rows):
        return draw_uniform(
            tf.constant(seed, tf.int64), tf.constant(step), tf.constant(rows, tf.int32)
        ).numpy()

    many = draw(5, 3, range(1000))
    assert many.dtype == np.float64
    assert 0.0 <= many.min() < 0.01
    assert 0.99 < many.max() < 1.0
    assert len(set(many)) == 1000
    assert draw(5, 3, range(600, 610)).tolist() == many[600:610].tolist()
    assert draw(5, 3, [7]).tolist() == [many[7]]
    assert draw(5, 3, []).tolist() == []
    others = [draw(seed, step, range(1000)) for seed, step in ((6, 3), (5, 4), (3, 5), (-5, 3), (2**62, 3))]
    for other in others:
        assert abs(np.corrcoef(many, other)[0, 1]) < 0.15


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_scores_that_are_not_numbers_give_some_token(top_p) -> None:
    chosen = choose(np.full((2, 5), np.nan), top_p=top_p)
    assert ((chosen >= 0) & (chosen < 5)).all()
