"""Learning rate schedules against their formulas, Keras' own, and what must hold for all."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.optimizers import GradientDescent, Warmup

SHAPES = ["constant", "linear", "cosine", "polynomial", "wsd"]


def rates(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


def test_linear_by_hand():
    schedule = Warmup(peak=1.0, warmup_steps=4, total_steps=14, shape="linear", end_share=0.5)
    assert rates(schedule, [0, 1, 3, 4, 9, 14, 100]) == pytest.approx([0, 0.25, 0.75, 1.0, 0.75, 0.5, 0.5])


@pytest.mark.parametrize(
    ("decay_shape", "falling"),
    [("linear", [1.0, 0.875, 0.75, 0.625, 0.5]), ("sqrt", [1.0, 0.75, 0.6464466, 0.5669873, 0.5])],
)
def test_wsd_by_hand(decay_shape, falling):
    # warm-up in 2 steps, the peak until 10 − 4, then 1 − q or 1 − √q of the half above the end's share
    schedule = Warmup(1.0, 2, 10, "wsd", end_share=0.5, decay_steps=4, decay_shape=decay_shape)
    assert rates(schedule, [0, 1, 2, 3, 5]) == pytest.approx([0, 0.5, 1, 1, 1])
    assert rates(schedule, [6, 7, 8, 9, 10]) == pytest.approx(falling)
    assert float(schedule(50)) == 0.5


def test_linear_reaches_zero_one_step_after_the_last():
    schedule = Warmup(peak=2.0, warmup_steps=0, total_steps=4, shape="linear")
    assert rates(schedule, range(6)) == pytest.approx([2.0, 1.5, 1.0, 0.5, 0.0, 0.0])


def test_cosine_equals_keras_with_its_warm_up():
    ours = Warmup(peak=0.3, warmup_steps=10, total_steps=110, shape="cosine", end_share=0.1)
    theirs = keras.optimizers.schedules.CosineDecay(0.0, 100, alpha=0.1, warmup_target=0.3, warmup_steps=10)
    steps = range(130)
    assert rates(ours, steps) == pytest.approx(rates(theirs, steps), abs=1e-7)


@pytest.mark.parametrize(("shape", "power"), [("linear", 1.0), ("polynomial", 2.0), ("polynomial", 0.5)])
def test_polynomial_equals_keras(shape, power):
    ours = Warmup(peak=0.3, total_steps=100, shape=shape, end_share=0.2, power=power)
    theirs = keras.optimizers.schedules.PolynomialDecay(0.3, 100, end_learning_rate=0.06, power=power)
    steps = range(120)
    assert rates(ours, steps) == pytest.approx(rates(theirs, steps), abs=1e-7)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.sampled_from(SHAPES),
    peak=st.floats(1e-6, 10.0),
    total=st.integers(2, 10_000_000),
    warmup_share=st.floats(0, 0.99),
    end_share=st.floats(0, 1),
    power=st.floats(0.1, 5),
    decay_shape=st.sampled_from(["linear", "sqrt"]),
    at=st.floats(0, 1.5),
)
def test_rate_rises_to_the_peak_and_never_leaves_its_bounds(
    shape, peak, total, warmup_share, end_share, power, decay_shape, at
):
    warmup = int(total * warmup_share)
    schedule = Warmup(
        peak,
        warmup,
        total,
        shape,
        end_share,
        power,
        decay_steps=max((total - warmup) // 2, 1),
        decay_shape=decay_shape,
    )
    end = peak if shape == "constant" else peak * end_share
    assert float(schedule(warmup)) == pytest.approx(peak, rel=1e-5)
    assert float(schedule(total)) == pytest.approx(end, rel=1e-5, abs=1e-12)
    step = int(total * at)
    rate, later = float(schedule(step)), float(schedule(step + 1))
    assert -1e-12 <= rate <= peak * (1 + 1e-6)
    assert rate >= 0.0
    slack = 1e-6 * peak
    assert later >= rate - slack if step < warmup else later <= rate + slack


def test_warm_up_as_long_as_the_training_ends_at_the_end_value():
    schedule = Warmup(peak=1.0, warmup_steps=10, total_steps=10, shape="linear")
    assert rates(schedule, [5, 9, 10, 11]) == pytest.approx([0.5, 0.9, 0.0, 0.0])


@pytest.mark.parametrize("shape", SHAPES)
def test_config_round_trip(shape):
    schedule = Warmup(0.1, 3, 20, shape, 0.2, 3.0, 1, 7, "sqrt")
    rebuilt = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert isinstance(rebuilt, Warmup)
    assert rebuilt.get_config() == schedule.get_config()


@pytest.mark.parametrize("optimizer_class", [GradientDescent, keras.optimizers.SGD])
def test_works_inside_a_compiled_step(optimizer_class):
    optimizer = optimizer_class(Warmup(1.0, 2, 4, "linear"))
    variable = keras.Variable(np.zeros(1), dtype="float32")
    optimizer.build([variable])
    step = tf.function(lambda: optimizer.apply([tf.ones(1)], [variable]), autograph=False)
    values = []
    for _ in range(5):
        step()
        values.append(float(variable.numpy()[0]))
    assert -np.diff([0.0, *values]) == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0])
    assert float(optimizer.learning_rate) == 0.0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"peak": -1.0, "total_steps": 5}, "peak"),
        ({"peak": float("nan"), "total_steps": 5}, "peak"),
        ({"peak": 1.0, "total_steps": 5, "warmup_steps": -1}, "warmup_steps"),
        ({"peak": 1.0}, "total_steps"),
        ({"peak": 1.0, "total_steps": 5, "shape": "square"}, "shape"),
        ({"peak": 1.0, "total_steps": 5, "end_share": 1.5}, "end_share"),
        ({"peak": 1.0, "total_steps": 5, "power": 0.0}, "power"),
        ({"peak": 1.0, "total_steps": 5, "shape": "wsd"}, "decay_steps"),
        ({"peak": 1.0, "total_steps": 5, "warmup_steps": 2, "shape": "wsd", "decay_steps": 4}, "decay_steps"),
        (
            {"peak": 1.0, "total_steps": 5, "shape": "wsd", "decay_steps": 4, "decay_shape": "cosine"},
            "decay_shape",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, word):
    with pytest.raises(ValueError, match=word):
        Warmup(**arguments)
