"""The exported token classifier: from raw strings to entities with positions in bytes and characters."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kerasft.tasks.served import STATUS_LINE
from kerasft.tasks.token_classification.encoding import WindowEncoder
from kerasft.tasks.token_classification.spans import TagSet
from kerasft.text.raw import refuse_texts
from kerasft.text.spans.tagging_schemes import TagRules
from kerasft.text.spans.units import Units
from kerasft.text.spans.viterbi import decode_greedily_in_graph, decode_viterbi_in_graph

PROBES = tuple(
    {"text": text}
    for text in (
        "",
        " \t\n",
        "Zażółć gęślą jaźń — İstanbul, naïve café, Jose\u0301 e\u0301",
        "彭小军认为,国内银行ABC2008",
        "👩‍👩‍👧‍👦 👍🏽 met Ada in Zürich!!!",
        "control\x00\x07 and\u200bzero width\ufeff",
        "x" * 150,
        "[CLS] [SEP] [MASK] [UNK] spelled out",
        "A Place in Paris . " * 400,
        b"no \xff\xfe UTF-8",
        b"\xed\xa0\x80",
        b"cut \xf0\x9f\x98",
    )
)
"""Inputs that tokenizers stumble over, replayed beside the user's own examples."""
ENTITY_LINES = (
    STATUS_LINE,
    "- `count`: int32 (batch,), how many entities a text has;",
    "- `start`, `end`: int32 (batch, most), in characters (code points), the end exclusive; -1 as filler;",
    "- `start_byte`, `end_byte`: int32 (batch, most), the same in bytes of the UTF-8 that was given;",
    "- `type`: string (batch, most); empty as filler;",
    "- `score`: float32 (batch, most), the mean probability of the tags of an entity's units; 0 as filler.",
)
"""What `serving_default` returns, for the model card."""
_TOKENS_AT_ONCE = 8192
"""Tokens that run through the net at once, padding included."""


class TokenClassifierModule(tf.Module):
    """Units, windows, encoder, head and decoding in one graph of core TensorFlow ops.

    Args:
        model: from inputs that the tokenizer gives to logits (windows, tokens, tags).
        encoder: of texts.
        tag_set: the model's tags.
        constrained: whether only legal sequences are answered.
    """

    def __init__(self, model: Any, encoder: WindowEncoder, tag_set: TagSet, *, constrained: bool):
        super().__init__(name="token_classifier")
        # the variables alone are tracked: a Keras model in a SavedModel would bring its own metadata along
        self.weights = [variable.value for variable in model.weights]
        self._tokenizer = encoder.tokenizer
        self._max_length, self._overlap = encoder.max_length, encoder.overlap
        self._untracked = _Untracked(model, tag_set.rules if constrained else None)
        self.types = tf.constant(["", *tag_set.types])

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
    def serving_default(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """text string (batch,), UTF-8 → see `ENTITY_LINES`."""
        # a batch of none would meet reshapes that cannot tell their last size: an empty text runs in its place
        batch = tf.size(text)
        texts = tf.concat([text, tf.fill([tf.cast(tf.equal(batch, 0), tf.int32)], "")], 0)
        texts, status = refuse_texts(texts)
        found = self._tokenizer.encode_windows(texts, self._max_length, self._overlap)
        logits = self._run_net(found.inputs)
        places = tf.stack([found.windows.flat_values, found.positions.flat_values], 1)
        log_probabilities = tf.nn.log_softmax(tf.gather_nd(logits, places))
        splits = tf.cast(found.windows.row_splits, tf.int32)
        tags = self._choose_tags(log_probabilities, splits)
        answer = _find_entities(tags, log_probabilities, splits, found.units)
        answer["type"] = tf.gather(self.types, answer["type"])
        answer["status"] = status
        return {name: values[:batch] for name, values in answer.items()}

    def _run_net(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """float32 (windows, tokens, tags), of a few windows at once: memory does not follow the longest text."""
        windows, width = tf.unstack(tf.shape(inputs["token_ids"]))
        most = tf.maximum(1, _TOKENS_AT_ONCE // width)
        parts = (windows + most - 1) // most
        size = (windows + parts - 1) // parts

        def run_part(part: tf.Tensor) -> tf.Tensor:
            rows = tf.minimum(part * size + tf.range(size), windows - 1)
            taken = {name: tf.gather(inputs[name], rows) for name in self._untracked.model.input}
            return tf.cast(self._untracked.model(taken, training=False), tf.float32)

        num_tags = self._untracked.model.output_shape[-1]
        logits = tf.map_fn(
            run_part,
            tf.range(parts),
            parallel_iterations=1,
            fn_output_signature=tf.TensorSpec((None, None, num_tags), tf.float32),
        )
        return tf.reshape(logits, [parts * size, width, num_tags])[:windows]

    def _choose_tags(self, log_probabilities: tf.Tensor, splits: tf.Tensor) -> tf.Tensor:
        """int32 (units,): the tags of all texts' units, from float32 (units, tags) and where each text's begin."""
        if self._untracked.rules is None:
            return decode_greedily_in_graph(log_probabilities)
        return decode_viterbi_in_graph(log_probabilities, splits, self._untracked.rules)

    @property
    def signatures(self) -> dict[str, Any]:
        """For `tf.saved_model.save`."""
        return {"serving_default": self.serving_default}


def _find_entities(
    tags: tf.Tensor, log_probabilities: tf.Tensor, splits: tf.Tensor, units: Units
) -> dict[str, tf.Tensor]:
    """The entities of each text side by side; `type` is a number from 1, 0 where there is none.

    A span begins at a tag that does not go on with the one before it, as `find_spans` of
    `kerasft.text.spans.tagging_schemes` reads it.

    Args:
        tags: int32 (units,), of all texts' units: 0 for O, else 1 + 2·type for B and 2 + 2·type for I.
        log_probabilities: float32 (units, tags).
        splits: int32 (texts + 1,), where each text's units begin.
        units: with their places.
    """
    count = tf.size(tags)
    index = tf.range(count)
    kinds = (tags + 1) // 2
    text_of = tf.searchsorted(splits[1:], index, side="right")
    before = tf.concat([[0], kinds[:-1]], 0)
    same_text = tf.equal(text_of, tf.concat([[-1], text_of[:-1]], 0))
    goes_on = tf.equal(tags % 2, 0) & (tags > 0) & tf.equal(before, kinds) & same_text
    begins = (tags > 0) & ~goes_on
    ends = (tags > 0) & ~tf.concat([goes_on[1:], [False]], 0)
    first = tf.boolean_mask(index, begins)
    last = tf.boolean_mask(index, ends)
    owner = tf.where(tags > 0, tf.cumsum(tf.cast(begins, tf.int32)) - 1, -1)
    # as a column: TensorFlow before 2.2 refuses as many batch dimensions as indices have
    chosen = tf.exp(tf.gather(log_probabilities, tags[:, None], axis=1, batch_dims=1)[:, 0])
    sums = tf.math.unsorted_segment_sum(chosen, owner, tf.size(first))
    of_text = tf.gather(text_of, first)
    counts = tf.math.unsorted_segment_sum(tf.ones_like(of_text), of_text, tf.size(splits) - 1)
    column = tf.range(tf.size(first)) - tf.gather(tf.cumsum(counts, exclusive=True), of_text)
    places, shape = tf.stack([of_text, column], 1), tf.stack([tf.size(counts), tf.reduce_max(counts)])

    def lay_out(values: tf.Tensor, filler: int) -> tf.Tensor:
        return tf.scatter_nd(places, values - filler, shape) + filler

    return {
        "count": counts,
        "start": lay_out(tf.gather(units.start.flat_values, first), -1),
        "end": lay_out(tf.gather(units.end.flat_values, last), -1),
        "start_byte": lay_out(tf.gather(units.start_byte.flat_values, first), -1),
        "end_byte": lay_out(tf.gather(units.end_byte.flat_values, last), -1),
        "type": lay_out(tf.gather(kinds, first), 0),
        "score": lay_out(sums / tf.cast(last - first + 1, tf.float32), 0),
    }


class _Untracked:
    """Holds a model and tag rules out of TensorFlow's sight."""

    def __init__(self, model: Any, rules: TagRules | None):
        self.model, self.rules = model, rules
