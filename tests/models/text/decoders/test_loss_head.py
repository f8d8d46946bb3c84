"""The loss in chunks against the plain one: values, gradients, rows that are not asked."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tolerances import needs_bfloat16

from kerasft.models.text.decoders.loss_head import compute_token_losses

pytestmark = pytest.mark.numerical

TOKENS, WIDTH, VOCABULARY = 23, 6, 17


def make_inputs(seed: int = 0) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """hidden, table, targets of which every fourth is nothing, and what each loss weighs."""
    generator = np.random.default_rng(seed)
    hidden = tf.constant(generator.standard_normal((TOKENS, WIDTH)), tf.float32)
    table = tf.constant(generator.standard_normal((VOCABULARY, WIDTH)), tf.float32)
    targets = generator.integers(0, VOCABULARY, TOKENS)
    targets[1::4] = np.argmax(hidden.numpy() @ table.numpy().T, -1)[1::4]
    targets[::4] = -1
    weights = tf.constant(generator.standard_normal(TOKENS), tf.float32)
    return hidden, table, tf.constant(targets, tf.int32), weights


def compute_plain(hidden: tf.Tensor, table: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    logits = tf.matmul(hidden, table, transpose_b=True)
    is_asked = tf.cast(targets >= 0, tf.float32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(targets, 0), logits)
    right = tf.cast(tf.equal(tf.argmax(logits, -1, output_type=tf.int32), targets), tf.float32)
    return tf.stack([losses * is_asked, right * is_asked], -1)


def differentiate(function, hidden: tf.Tensor, table: tf.Tensor, weights: tf.Tensor) -> list[np.ndarray]:
    with tf.GradientTape() as tape:
        tape.watch([hidden, table])
        answers = function(hidden, table)
        loss = tf.reduce_sum(answers[:, 0] * weights)
    return [
        answers.numpy(),
        *(tf.convert_to_tensor(part).numpy() for part in tape.gradient(loss, [hidden, table])),
    ]


@pytest.mark.parametrize("chunk_tokens", [1, 4, 17, 18, None])
@pytest.mark.parametrize("in_graph", [False, True])
def test_values_and_gradients_are_those_of_the_plain_loss(chunk_tokens: int | None, in_graph: bool) -> None:
    hidden, table, targets, weights = make_inputs()

    def compute(hidden: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
        return compute_token_losses(hidden, table, targets, chunk_tokens=chunk_tokens)

    unknown = (tf.TensorSpec((None, WIDTH)), tf.TensorSpec((VOCABULARY, WIDTH)))
    function = tf.function(compute, input_signature=unknown) if in_graph else compute
    mine = differentiate(function, hidden, table, weights)
    plain = differentiate(lambda *parts: compute_plain(*parts, targets), hidden, table, weights)
    for left, right in zip(mine, plain, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)
    assert 0 < mine[0][:, 1].sum() < TOKENS


@pytest.mark.parametrize("count", [0, 5])
def test_rows_of_which_nothing_is_asked_answer_0(count: int) -> None:
    hidden, table, _, weights = make_inputs()
    targets = -tf.ones((count,), tf.int32)
    answers, of_hidden, of_table = differentiate(
        lambda *parts: compute_token_losses(*parts, targets), hidden[:count], table, weights[:count]
    )
    assert answers.shape == (count, 2)
    assert not answers.any()
    assert not of_hidden.any()
    assert not of_table.any()


@needs_bfloat16
def test_narrow_products_stay_near_float32() -> None:
    hidden, table, targets, weights = make_inputs()
    exact = differentiate(lambda *parts: compute_token_losses(*parts, targets), hidden, table, weights)
    narrow = differentiate(
        lambda *parts: compute_token_losses(*parts, targets, matmul_dtype="bfloat16"), hidden, table, weights
    )
    for place in (0, 1, 2):
        difference = np.abs(exact[place] - narrow[place])
        column = difference[:, 0] if place == 0 else difference
        assert 0 < column.max() < 0.2


def test_the_logits_never_stand_whole_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, table, targets, weights = make_inputs()
    multiply, rows = tf.matmul, []

    def watch(*arguments: tf.Tensor, **transposed: bool) -> tf.Tensor:
        product = multiply(*arguments, **transposed)
        rows.extend([product.shape[0]] if product.shape[1] == VOCABULARY else [])
        return product

    monkeypatch.setattr(tf, "matmul", watch)
    differentiate(
        lambda *parts: compute_token_losses(*parts, targets, chunk_tokens=4), hidden, table, weights
    )
    asked = int(tf.reduce_sum(tf.cast(targets >= 0, tf.int32)))
    assert max(rows) == 4
    assert sum(rows) == 2 * asked  # forward, and once more backward: nothing is computed for the others
