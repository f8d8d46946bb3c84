"""Nets that are built to be filled: nothing is drawn for them, and nets built later begin at random as ever."""

from __future__ import annotations

import threading

import keras
import numpy as np
import pytest

from kerasft.models.blank import blank_weights

LAYERS = {
    "dense": lambda: keras.layers.Dense(3),
    "normal": lambda: keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(seed=1)),
    "orthogonal": lambda: keras.layers.Dense(3, kernel_initializer="orthogonal"),
    "he": lambda: keras.layers.Dense(3, kernel_initializer="he_normal"),
    "uniform": lambda: keras.layers.Embedding(4, 3),
    "constant": lambda: keras.layers.LayerNormalization(),
}


def build(name: str) -> list[np.ndarray]:
    layer = LAYERS[name]()
    layer.build((4,))
    return layer.get_weights()


@pytest.mark.parametrize("name", list(LAYERS))
def test_what_would_begin_at_random_begins_at_0(name: str) -> None:
    before = build(name)
    with blank_weights():
        blank = build(name)
    if name == "constant":
        assert (blank[0] == 1).all()
        return
    assert before[0].any()
    assert not any(weight.any() for weight in blank)
    assert [weight.dtype for weight in blank] == [weight.dtype for weight in before]
    assert build(name)[0].any()


def test_drawing_goes_on_after_an_error_and_within_another() -> None:
    with pytest.raises(ValueError, match="stop"), blank_weights(), blank_weights():
        raise ValueError("stop")
    assert build("dense")[0].any()


def test_another_thread_draws_its_weights_meanwhile() -> None:
    drawn: list = []
    with blank_weights():
        thread = threading.Thread(target=lambda: drawn.append(keras.initializers.RandomNormal(seed=1)((8,))))
        thread.start()
        thread.join()
        here = keras.initializers.RandomNormal(seed=1)((8,))
    expected = keras.ops.convert_to_numpy(keras.initializers.RandomNormal(seed=1)((8,)))
    np.testing.assert_array_equal(drawn[0], expected)
    np.testing.assert_array_equal(here, np.zeros(8))
    assert np.any(expected)
