"""Gradient descent against its equations by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.optimizers import GradientDescent


def descend(optimizer, gradients, start=1.0):
    """The value of one scalar weight after each gradient."""
    variable = keras.Variable(np.array([start]), dtype="float32", name="kernel")
    values = []
    for gradient in gradients:
        optimizer.apply([tf.constant([gradient], tf.float32)], [variable])
        values.append(float(variable.numpy()[0]))
    return values


# θ₀ = 1, η = 0.1, gradients 1, 2, −1, worked out by hand.
BY_HAND = {
    # 1 − 0.1·1; − 0.1·2; + 0.1·1
    "plain": ({}, [0.9, 0.7, 0.8]),
    # v: −0.1; −0.09 − 0.2 = −0.29; −0.261 + 0.1 = −0.161
    "momentum": ({"momentum": 0.9}, [0.9, 0.61, 0.449]),
    # θ + 0.9·v − 0.1·g with the same v: −0.19; −0.461; −0.0449
    "nesterov": ({"momentum": 0.9, "nesterov": True}, [0.81, 0.349, 0.3041]),
    # θ·(1 − 0.1·0.5) − 0.1·g: 0.85; 0.6075; 0.677125
    "decay": ({"weight_decay": 0.5}, [0.85, 0.6075, 0.677125]),
    # the decay does not enter v: 0.95 − 0.1 = 0.85; 0.8075 − 0.29 = 0.5175; 0.491625 − 0.161 = 0.330625
    "momentum and decay": ({"momentum": 0.9, "weight_decay": 0.5}, [0.85, 0.5175, 0.330625]),
    # gradients 1, 1.5, −1
    "clipvalue": ({"clipvalue": 1.5}, [0.9, 0.75, 0.85]),
    "global_clipnorm": ({"global_clipnorm": 1.5}, [0.9, 0.75, 0.85]),
    # one update on the mean of the first two, 1.5
    "accumulated": ({"gradient_accumulation_steps": 2}, [1.0, 0.85, 0.85]),
    # the rate's scale scales the decay too: 1·(1 − 0.2·0.25) − 0.2·1 = 0.75; 0.7125 − 0.4; 0.296875 + 0.2
    "group": (
        {"groups": [{"match": "kernel", "learning_rate_scale": 2.0, "weight_decay": 0.25}]},
        [0.75, 0.3125, 0.496875],
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_three_steps_by_hand(name):
    options, expected = BY_HAND[name]
    assert descend(GradientDescent(0.1, **options), [1.0, 2.0, -1.0]) == pytest.approx(expected, abs=1e-6)


def test_golden_trajectory():
    # Float64 NumPy, 10 steps of θ·(1 − ηλ), v ← 0.9v − ηg, Nesterov, with g = 2θ.
    theta, velocity, expected = 1.0, 0.0, []
    variable = keras.Variable(np.array([1.0]), dtype="float32")
    optimizer = GradientDescent(0.05, momentum=0.9, nesterov=True, weight_decay=0.1)
    actual = []
    for _ in range(10):
        gradient = 2 * theta
        theta -= 0.05 * 0.1 * theta
        velocity = 0.9 * velocity - 0.05 * gradient
        theta += 0.9 * velocity - 0.05 * gradient
        expected.append(theta)
        optimizer.apply([2 * variable.value], [variable])
        actual.append(float(variable.numpy()[0]))
    assert actual == pytest.approx(expected, abs=1e-6)


def test_pytorch_convention_gives_the_same_while_the_rate_is_constant():
    gradients = np.random.default_rng(0).normal(size=20)
    theta, velocity = 1.0, 0.0
    for gradient in gradients:
        velocity = 0.9 * velocity + gradient
        theta -= 0.01 * velocity
    assert descend(GradientDescent(0.01, momentum=0.9), gradients)[-1] == pytest.approx(theta, abs=1e-6)


def test_without_momentum_there_are_no_slots():
    optimizer = GradientDescent(0.1)
    optimizer.build([keras.Variable(np.ones(3)), keras.Variable(np.ones(2))])
    assert [variable.name for variable in optimizer.variables] == ["iteration", "learning_rate"]


def test_rows_that_no_token_named_do_not_move_without_momentum_or_decay():
    variable = keras.Variable(np.ones((5000, 4)), dtype="float32", name="embeddings")
    gradient = tf.IndexedSlices(tf.ones((3, 4)), tf.constant([7, 7, 9]), tf.constant([5000, 4]))
    GradientDescent(0.1).apply([gradient], [variable])
    moved = 1.0 - variable.numpy()[:, 0]
    assert moved[7] == pytest.approx(0.2)
    assert moved[9] == pytest.approx(0.1)
    assert np.count_nonzero(moved) == 2


@pytest.mark.parametrize("momentum", [-0.1, 1.0, 2.0])
def test_momentum_out_of_range_is_refused(momentum):
    with pytest.raises(ValueError, match="momentum"):
        GradientDescent(0.1, momentum=momentum)
