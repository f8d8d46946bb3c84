"""Loss and accuracy over tokens that have a label: tags, or what stands behind masks."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kerasft.optimizers.denominators import set_denominator

UNTAGGED = -1
"""The label of a token that carries no tag, or is not to be told: a word's further pieces, [CLS], [SEP], padding."""


@keras.saving.register_keras_serializable(package="kerasft")
class TokenCrossentropy(keras.losses.Loss):
    """The mean cross-entropy of a batch's tagged tokens.

    From labels int32 (batch, tokens), `UNTAGGED` where there is none, and logits (batch, tokens, tags). Each token
    counts the same, whichever text it is of, and whichever of the batches that make one update. Sample weights,
    (batch,) or (batch, tokens), weigh a token's loss and not the number that it is divided by, as in Keras.
    """

    def __init__(self, name: str = "token_crossentropy", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        with tf.name_scope(self.name):
            y_true = tf.cast(y_true, tf.int32)  # Keras makes floats of labels
            tagged = tf.not_equal(y_true, UNTAGGED)
            losses = self.compute_losses(y_true, tf.cast(y_pred, self.dtype))
            if sample_weight is not None:
                weights = tf.cast(sample_weight, losses.dtype)
                losses *= weights if weights.shape.rank == 2 else tf.reshape(weights, (-1, 1))
            count = tf.reduce_sum(tf.cast(tagged, losses.dtype))
            set_denominator(self, tf.cast(count, tf.float32))
            loss = tf.reduce_sum(tf.where(tagged, losses, 0)) / tf.maximum(count, 1)
            # as Keras does with its own, so that gradients can be summed over replicas
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            return loss / replicas if replicas > 1 else loss

    def compute_losses(self, labels: Any, outputs: Any) -> Any:
        """float32 (batch, tokens), the loss of each token; of those without a label anything."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), outputs)


@keras.saving.register_keras_serializable(package="kerasft")
class NextTokenCrossentropy(TokenCrossentropy):
    """The same of a model that computes each token's loss itself, because logits of all tokens would fill memory.

    From labels int32 (batch, tokens) and outputs (batch, tokens, 2), of which the first column is -ln p of the label.
    """

    def __init__(self, name: str = "next_token_crossentropy", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def compute_losses(self, labels: Any, outputs: Any) -> Any:
        return outputs[..., 0]


class TokenAccuracy(keras.metrics.Metric):
    """The share of tagged tokens whose highest logit is their tag's."""

    def __init__(self, name: str = "accuracy", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self._right = self.add_weight(name="right", initializer="zeros")
        self._tagged = self.add_weight(name="tagged", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true = tf.cast(y_true, tf.int32)
        tagged = tf.not_equal(y_true, UNTAGGED)
        right = self.find_right(y_true, y_pred) & tagged
        self._right.assign_add(tf.reduce_sum(tf.cast(right, tf.float32)))
        self._tagged.assign_add(tf.reduce_sum(tf.cast(tagged, tf.float32)))

    def result(self) -> Any:
        return tf.math.divide_no_nan(self._right.value, self._tagged.value)

    def find_right(self, labels: Any, outputs: Any) -> Any:
        """bool (batch, tokens), whether the likeliest class is the label's; of tokens without a label anything."""
        return tf.equal(tf.argmax(outputs, -1, output_type=labels.dtype), labels)


class NextTokenAccuracy(TokenAccuracy):
    """The same from outputs (batch, tokens, 2), of which the second column is 1 where the likeliest token is right."""

    def find_right(self, labels: Any, outputs: Any) -> Any:
        return outputs[..., 1] > 0.5
