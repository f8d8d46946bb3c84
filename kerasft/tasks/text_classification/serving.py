"""The exported text classifier: from raw strings to label, probabilities and logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kerasft.tasks.served import answer_classes
from kerasft.text.raw import refuse_texts

PROBES = tuple(
    {"text": text}
    for text in (
        "",
        " \t\n",
        "Zażółć gęślą jaźń — İstanbul, naïve café",
        "这部电影非常好看。",
        "👩‍👩‍👧‍👦 👍🏽 loved it!!!",
        "control\x00\x07 and\u200bzero width\ufeff",
        "x" * 150,
        "[CLS] [SEP] [MASK] [UNK] spelled out",
        "word " * 2000,
        b"no \xff\xfe UTF-8",
        b"\xed\xa0\x80",
        b"cut \xf0\x9f\x98",
    )
)
"""Inputs that tokenizers stumble over, replayed beside the user's own examples."""


class TextClassifierModule(tf.Module):
    """Tokenizer, encoder and head in one graph of core TensorFlow ops.

    Args:
        model: from inputs that the tokenizer gives to logits.
        tokenizer: of the model's preset.
        max_length: tokens a text may have; longer ones are cut.
        label_names: the classes, in the order of the logits.
    """

    def __init__(self, model: Any, tokenizer: Any, max_length: int, label_names: Sequence[str]):
        super().__init__(name="text_classifier")
        # the variables alone are tracked: a Keras model in a SavedModel would bring its own metadata along
        self.weights = [variable.value for variable in model.weights]
        self._tokenizer = tokenizer
        self._max_length = max_length
        self.label_names = tf.constant(list(label_names))
        self._forward = _Untracked(model)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
    def serving_default(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """text string (batch,), UTF-8 → label string (batch,); probabilities and logits float32 (batch, classes);
        status string (batch,), why a text has no answer: then its label is empty and its numbers are 0."""
        # a batch of none would meet reshapes that cannot tell their last size: one empty text runs in its place
        count = tf.size(text)
        texts = tf.concat([text, tf.fill([tf.cast(count == 0, tf.int32)], "")], 0)
        texts, status = refuse_texts(texts)
        inputs = self._tokenizer.encode(texts, self._max_length)
        taken = {name: inputs[name] for name in self._forward.model.input}
        logits = self._forward.model(taken, training=False)[:count]
        return answer_classes(logits, tf.nn.softmax(logits), self.label_names, status[:count])

    @property
    def signatures(self) -> dict[str, Any]:
        """For `tf.saved_model.save`."""
        return {"serving_default": self.serving_default}


class _Untracked:
    """Holds a model out of TensorFlow's sight."""

    def __init__(self, model: Any):
        self.model = model
