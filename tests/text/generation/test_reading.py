"""What is kept of earlier tokens gives the scores that all tokens give, for rows of any length."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from small_decoders import MeanDecoder

from kerasft.text.generation.reading import WindowReader

pytestmark = pytest.mark.numerical


def pad(rows: list[list[int]], kept: int = 0) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    longest = max(map(len, rows))
    padded = [row + [1] * (longest - len(row)) for row in rows]
    return tf.constant(padded, tf.int32), tf.constant([len(row) for row in rows]), tf.fill([len(rows)], kept)


def draw(lengths: list[int], size: int) -> list[list[int]]:
    random = np.random.default_rng(0)
    return [random.integers(0, size, length).tolist() for length in lengths]


def assert_like_uncached(decoder: MeanDecoder, hidden: tf.Tensor, rows: list[list[int]]) -> None:
    logits = decoder.compute_logits(hidden).numpy()
    for found, row in zip(logits, rows, strict=True):
        np.testing.assert_allclose(found, decoder.compute_without_cache(row), atol=1e-4)


def test_prompts_of_any_length_are_read_in_blocks() -> None:
    decoder = MeanDecoder(20, context=700)
    rows = draw([1, 600, 256, 257, 255, 512], 20)
    hidden, window = WindowReader(decoder).open(*pad(rows))
    assert window.token_ids.shape == (6, 640)
    assert_like_uncached(decoder, hidden, rows)


def test_a_window_grows_and_is_emptied_where_it_is_full() -> None:
    decoder = MeanDecoder(20, context=90)
    reader, rows = WindowReader(decoder), draw([3, 60, 90], 20)
    _, window = reader.open(*pad(rows)[:2], tf.constant([2, 0, 44]))
    random, live = np.random.default_rng(1), tf.constant([True, True, True])
    vectors = (tf.TensorSpec((None,), dtype) for dtype in (tf.int32, tf.bool))
    extend = tf.function(reader.extend, input_signature=[reader.specs, *vectors])
    capacities = set()
    for _ in range(100):
        tokens = random.integers(0, 20, 3)
        hidden, window = extend(window, tf.constant(tokens, tf.int32), live)
        # 90 tokens have no room for another: 45 stay, each row's own number of the first ones among them
        rows = [
            row[:kept] + row[kept - 45 :] if len(row) == 90 else row
            for kept, row in zip((2, 0, 44), rows, strict=True)
        ]
        rows = [[*row, int(token)] for row, token in zip(rows, tokens, strict=True)]
        assert_like_uncached(decoder, hidden, rows)
        capacities.add(int(tf.shape(window.token_ids)[1]))
    assert window.lengths.numpy().tolist() == [len(row) for row in rows]
    assert capacities == {90}
    assert extend.experimental_get_tracing_count() == 1


def test_a_row_that_has_ended_changes_nothing() -> None:
    decoder = MeanDecoder(20, context=40)
    reader, rows = WindowReader(decoder), draw([40, 5], 20)
    _, window = reader.open(*pad(rows))
    for token in range(20):
        hidden, window = reader.extend(window, tf.constant([token, token]), tf.constant([False, True]))
        rows[1].append(token)
        assert_like_uncached(decoder, hidden[1:], rows[1:])
    assert window.lengths.numpy().tolist() == [40, 25]


def test_room_is_made_in_steps() -> None:
    decoder = MeanDecoder(20, context=150)
    reader, rows = WindowReader(decoder), draw([1], 20)
    hidden, window = reader.open(*pad(rows))
    capacities = [window.token_ids.shape[1]]
    for token in [3] * 149:
        hidden, window = reader.extend(window, tf.constant([token]), tf.constant([True]))
        capacities.append(int(window.token_ids.shape[1]))
    assert sorted(set(capacities)) == [64, 128, 150]
    assert_like_uncached(decoder, hidden, [rows[0] + [3] * 149])
