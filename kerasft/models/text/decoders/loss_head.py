"""The loss of a causal language model, computed in chunks of tokens: logits never stand whole in memory.

Of a vocabulary of 50,000 and 8,000 tokens the logits are 1.6 GB in float32, and a plain softmax cross-entropy holds
them several times. Here the forward pass keeps one number a token, and the backward pass computes each chunk's logits
once more: one matrix product more, for 1 / chunks of the memory.

Source: Hsu et al. 2024, arXiv:2410.10989 (linear and cross-entropy in chunks); Press and Wolf 2017, arXiv:1608.05859
(the shared table).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasft.models.text.decoders.layers import DecoderPart
from kerasft.models.text.decoders.sizes import DecoderSizes

CHUNK_BYTES = 128 << 20
"""Of one chunk's logits in float32."""
_FEWEST_TOKENS = 128
"""Of a chunk: smaller products are slow, whatever the vocabulary."""
NOTHING_ASKED = -1
"""In the place of a target where no loss is computed."""


def compute_token_losses(
    hidden: tf.Tensor,
    table: tf.Tensor,
    targets: tf.Tensor,
    *,
    matmul_dtype: str = "float32",
    chunk_tokens: int | None = None,
) -> tf.Tensor:
    """Cross-entropy of each token's target, and whether that is the likeliest token.

        logits = h·Eᵀ,  loss = log Σ exp(logits) − logits[target]

    Args:
        hidden: h, float32 (tokens, width).
        table: E, float32 (vocabulary, width).
        targets: int32 (tokens,), `NOTHING_ASKED` where both answers are 0 and nothing is computed.
        matmul_dtype: what matrix products take their inputs in; all else is float32.
        chunk_tokens: tokens whose logits are in memory at once; None: what `CHUNK_BYTES` holds.

    Returns:
        float32 (tokens, 2): the loss in nats, through which gradients reach `hidden` and `table`; and 1 or 0.
    """
    vocabulary = int(table.shape[0])
    size = chunk_tokens or max(CHUNK_BYTES // (4 * vocabulary), _FEWEST_TOKENS)
    places = tf.where(targets >= 0)
    asked = tf.gather(targets, places[:, 0])
    answers = _answer(tf.gather(hidden, places[:, 0]), table, asked, size, matmul_dtype)
    return tf.scatter_nd(places, answers, tf.stack([tf.shape(targets, tf.int64)[0], 2]))


def _answer(hidden: tf.Tensor, table: tf.Tensor, targets: tf.Tensor, size: int, dtype: str) -> tf.Tensor:
    """`compute_token_losses` where something is asked of every token."""

    def multiply(left: tf.Tensor, right: tf.Tensor, **transposed: bool) -> tf.Tensor:
        return tf.cast(tf.matmul(tf.cast(left, dtype), tf.cast(right, dtype), **transposed), tf.float32)

    @tf.custom_gradient
    def compute(hidden: tf.Tensor, table: tf.Tensor) -> Any:
        def answer(start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            logits = multiply(hidden[start:end], table, transpose_b=True)
            norm = tf.reduce_logsumexp(logits, -1)
            right = tf.equal(tf.argmax(logits, -1, output_type=tf.int32), targets[start:end])
            # TensorFlow before 2.2 gathers by batches only where indices have a dimension more
            loss = norm - tf.gather(logits, targets[start:end, None], batch_dims=1)[:, 0]
            return tf.stack([loss, tf.cast(right, tf.float32)], -1), norm

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return _compute_gradients(hidden, table, targets, norms, upstream[:, 0], size, multiply)

        answers, norms = _answer_chunks(answer, tf.shape(hidden)[0], size)
        return answers, gradient

    return compute(hidden, table)


def _answer_chunks(
    answer: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]], count: tf.Tensor, size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """What `answer(start, end)` gives for each chunk of `count` tokens, joined: (tokens, 2) and (tokens,)."""
    chunks = _count_chunks(count, size)

    def step(place: tf.Tensor, answers: tf.TensorArray, norms: tf.TensorArray) -> tuple[Any, ...]:
        answered, norm = answer(place * size, tf.minimum((place + 1) * size, count))
        return place + 1, answers.write(place, answered), norms.write(place, norm)

    start = (tf.constant(0), _open_array(chunks, 2), _open_array(chunks))
    _, answers, norms = tf.while_loop(lambda place, *_: place < chunks, step, start, parallel_iterations=1)
    return answers.concat(), norms.concat()


def _compute_gradients(
    hidden: tf.Tensor,
    table: tf.Tensor,
    targets: tf.Tensor,
    norms: tf.Tensor,
    upstream: tf.Tensor,
    size: int,
    multiply: Callable[..., tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """∂logits = ∂loss·(softmax − onehot), chunk by chunk: ∂h = ∂logits·E, ∂E = Σ ∂logitsᵀ·h.

    Args:
        hidden, table, targets: see `compute_token_losses`.
        norms: float32 (tokens,), the logarithm of each token's Σ exp(logits).
        upstream: float32 (tokens,), ∂loss.
        size: tokens of a chunk.
        multiply: matrix product.
    """
    count = tf.shape(hidden)[0]
    chunks = _count_chunks(count, size)

    def step(place: tf.Tensor, of_hidden: tf.TensorArray, of_table: tf.Tensor) -> tuple[Any, ...]:
        chunk = slice(place * size, tf.minimum((place + 1) * size, count))
        share, asked = upstream[chunk], targets[chunk]
        logits = multiply(hidden[chunk], table, transpose_b=True)
        of_logits = tf.exp(logits - norms[chunk][:, None]) * share[:, None]
        places = tf.stack([tf.range(tf.size(asked)), asked], -1)
        of_logits = tf.tensor_scatter_nd_sub(of_logits, places, share)
        of_table += multiply(of_logits, hidden[chunk], transpose_a=True)
        return place + 1, of_hidden.write(place, multiply(of_logits, table)), of_table

    start = (tf.constant(0), _open_array(chunks, int(hidden.shape[-1])), tf.zeros_like(table))
    _, of_hidden, of_table = tf.while_loop(
        lambda place, *_: place < chunks, step, start, parallel_iterations=1
    )
    return of_hidden.concat(), of_table


def _count_chunks(count: tf.Tensor, size: int) -> tf.Tensor:
    """At least one: where there is no token its answers are empty."""
    return tf.maximum((count + size - 1) // size, 1)


def _open_array(chunks: tf.Tensor, *shape: int) -> tf.TensorArray:
    return tf.TensorArray(tf.float32, chunks, element_shape=(None, *shape), infer_shape=False)


@keras.saving.register_keras_serializable(package="kerasft")
class LossHead(DecoderPart):
    """The loss of each token's target; the matrix of logits is the table of token embeddings, or its own."""

    def __init__(self, sizes: DecoderSizes | Mapping[str, Any], **kwargs: Any):
        super().__init__(sizes, **kwargs)
        if not self.sizes.tied:
            self._own = self.add_weight(
                shape=(self.sizes.vocabulary_size, self.sizes.width),
                initializer=self._draw(0),
                name="output_embeddings",
            )
        self.built = True

    def share(self, table: keras.Variable) -> None:
        """Takes the table of token embeddings, (vocabulary, width): it stays the embeddings' variable."""
        self._shared = _Untracked(table)

    @property
    def table(self) -> keras.Variable:
        """(vocabulary, width)."""
        return self._shared.table if self.sizes.tied else self._own

    def call(self, hidden: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """hidden float32 (batch, tokens, width), targets int32 (batch, tokens), -1 where nothing is asked →
        float32 (batch, tokens, 2): −ln p(target), and 1.0 where the target is the likeliest token."""
        answers = compute_token_losses(
            tf.reshape(hidden, (-1, self.sizes.width)),
            tf.convert_to_tensor(self.table.value),
            tf.reshape(targets, (-1,)),
            matmul_dtype=self.matmul_dtype,
        )
        return tf.reshape(answers, tf.concat([tf.shape(targets), [2]], 0))

    def compute_logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """hidden float32 (rows, width) → logits float32 (rows, vocabulary)."""
        left, right = (tf.cast(part, self.matmul_dtype) for part in (hidden, self.table.value))
        return tf.cast(tf.matmul(left, right, transpose_b=True), tf.float32)

    def compute_output_spec(self, hidden, targets):
        return keras.KerasTensor((*targets.shape, 2), dtype="float32")


class _Untracked:
    """Holds a variable that another layer owns out of Keras' sight."""

    def __init__(self, table: keras.Variable):
        self.table = table
