"""The exported masked language model: from texts with masks to the words that may stand there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kerasft.tasks.masked_lm.encoding import MaskedEncoder
from kerasft.tasks.served import STATUS_LINE
from kerasft.text.encoding import INPUTS
from kerasft.text.raw import refuse_texts
from kerasft.text.token_words import TokenWords

GUESSES = 5
"""Words that are answered for a mask."""
MAX_MASKS = 100
"""Of a text; each takes the memory of as many numbers as the vocabulary has tokens."""
LINES = (
    STATUS_LINE,
    "- `filled`: string (batch,), the text with the likeliest word in each place;",
    "- `count`: int32 (batch,), how many masks the text has;",
    f"- `words`: string (batch, most masks, {GUESSES}), the likeliest words of each place, the likeliest first; empty "
    "where a text has fewer masks;",
    f"- `probabilities`: float32 (batch, most masks, {GUESSES}).",
)


def describe_refusal(mask: str, masks: int) -> str:
    """Why a text with so many masks is not answered; empty where it is."""
    if not masks:
        return f"there is no {mask} in the text"
    return f"too many masks: a text has at most {MAX_MASKS}" if masks > MAX_MASKS else ""


def list_probes(mask: str) -> tuple[dict[str, Any], ...]:
    """Odd inputs, replayed beside the user's own examples."""
    return tuple(
        {"text": text}
        for text in (
            "",
            mask,
            mask.lower(),
            f"{mask}{mask}",
            f"The {mask} of the {mask} was {mask}.",
            f"un{mask}able, {mask}ing",
            f"这部{mask}影非常好看。",
            f"👩‍👩‍👧‍👦 {mask} 👍🏽!!!",
            f"control\x00\x07 and\u200bzero width {mask}\ufeff",
            f"[CLS] [SEP] [UNK] {mask} spelled out",
            "word " * 700 + mask,
            f"{mask} " + "word " * 700 + mask,
            f"{mask} " * MAX_MASKS,
            f"{mask} " * (MAX_MASKS + 1),
            mask.encode() + b" no \xff\xfe UTF-8",
            "no mask at all",
        )
    )


class Guesses(NamedTuple):
    """The likeliest tokens of some places: ids int32 and probabilities float32, both (…, GUESSES)."""

    ids: tf.Tensor
    probabilities: tf.Tensor


class Guesser:
    """Picks the likeliest tokens that are no special ones.

    Args:
        vocabulary_size: of the model.
        unsaid: ids that are never answered.
    """

    def __init__(self, vocabulary_size: int, unsaid: tuple[int, ...]):
        offsets = np.zeros(vocabulary_size, np.float32)
        offsets[[number for number in unsaid if number >= 0]] = -np.inf
        self._offsets = offsets

    def guess(self, logits: tf.Tensor, log_probabilities: tf.Tensor) -> Guesses:
        """logits and log-probabilities float32 (…, vocabulary) → the likeliest."""
        ids = tf.math.top_k(logits + self._offsets, GUESSES).indices
        chosen = tf.gather(log_probabilities, ids, batch_dims=logits.shape.rank - 1)
        return Guesses(ids, tf.exp(chosen))


class MaskedLmModule(tf.Module):
    """Tokenizer, net and words in one graph of core TensorFlow ops.

    Args:
        model: of `build_fast_masked_lm`.
        encoder: cuts texts into windows.
        guesser: picks words.
        words: of the tokenizer.
    """

    def __init__(self, model: Any, encoder: MaskedEncoder, guesser: Guesser, words: TokenWords):
        super().__init__(name="masked_lm")
        # the variables alone are tracked: a Keras model in a SavedModel would bring its own metadata along
        self.weights = [variable.value for variable in model.weights]
        self._encoder = encoder
        self._words = tf.constant(words.words)
        self._fill = words.fill_in_graph
        self._forward = _make_untracked(model, guesser)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
    def serving_default(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """text string (batch,), UTF-8, with masks → what may stand there; see `LINES`."""
        # a batch of none would meet reshapes that cannot tell their last size: one mask runs in its place
        mask = self._encoder.mask
        count = tf.size(text)
        texts = tf.concat([text, tf.fill([tf.cast(count == 0, tf.int32)], mask)], 0)
        texts, status = refuse_texts(texts)
        masks = tf.cast(tf.strings.split(texts, mask).row_lengths(), tf.int32) - 1
        status = tf.where((status == "") & (masks == 0), describe_refusal(mask, 0), status)
        status = tf.where((status == "") & (masks > MAX_MASKS), describe_refusal(mask, MAX_MASKS + 1), status)
        good = tf.equal(status, "")
        texts = tf.where(good, texts, mask)
        ids, probabilities = self._answer(texts)
        words = ids.with_flat_values(tf.gather(self._words, ids.flat_values))
        answers = {
            "filled": self._fill(texts, words.with_values(words.values[:, 0])),
            "count": tf.cast(ids.row_lengths(), tf.int32),
            "words": words.to_tensor(""),
            "probabilities": probabilities.to_tensor(0.0),
        }
        return {
            **{name: _blank(value, good)[:count] for name, value in answers.items()},
            "status": status[:count],
        }

    def _answer(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """The likeliest ids, int32 (batch, ragged masks, GUESSES), and their probabilities."""
        rows = self._encoder.encode_question(texts)
        special = self._encoder.tokenizer.special_ids
        asks = tf.reduce_any(tf.equal(rows.token_ids, special.mask), 1)
        chosen = tf.reshape(tf.where(asks), [-1])
        windows, of_text = tf.gather(rows.token_ids, chosen), tf.gather(rows.texts, chosen)
        token_ids = windows.to_tensor(special.padding)
        lengths = tf.cast(windows.row_lengths(), tf.int32)
        column = tf.range(tf.shape(token_ids)[1])[None, :]
        places = tf.where(tf.equal(token_ids, special.mask))
        positions = tf.RaggedTensor.from_value_rowids(
            tf.cast(places[:, 1], tf.int32),
            places[:, 0],
            nrows=tf.shape(token_ids, tf.int64)[0],
            validate=False,
        )
        inputs = dict.fromkeys(INPUTS, tf.zeros_like(token_ids)) | {
            "token_ids": token_ids,
            "padding_mask": tf.cast(column < lengths[:, None], tf.int32),
            "position_ids": tf.zeros_like(token_ids) + column,
            "mask_positions": positions.to_tensor(0),
        }
        given = tf.sequence_mask(positions.row_lengths(), tf.shape(inputs["mask_positions"])[1])
        ids, probabilities = (tf.boolean_mask(part, given) for part in self._forward(inputs))
        texts_of_masks = tf.cast(tf.gather(of_text, places[:, 0]), tf.int64)

        def group(values: tf.Tensor) -> tf.RaggedTensor:
            count = tf.size(texts, tf.int64)
            return tf.RaggedTensor.from_value_rowids(values, texts_of_masks, nrows=count, validate=False)

        return group(ids), group(probabilities)

    @property
    def signatures(self) -> dict[str, Any]:
        """For `tf.saved_model.save`."""
        return {"serving_default": self.serving_default}


def _blank(values: tf.Tensor, good: tf.Tensor) -> tf.Tensor:
    """Nothing where an input has no answer."""
    empty = tf.zeros([], values.dtype) if values.dtype != tf.string else tf.constant("")
    return tf.where(tf.reshape(good, [-1, *[1] * (values.shape.rank - 1)]), values, empty)


def _make_untracked(model: Any, guesser: Guesser) -> Callable[[Any], Guesses]:
    """The model's guesses as a plain function, which TensorFlow does not look into."""

    def forward(inputs: dict[str, tf.Tensor]) -> Guesses:
        logits = model({name: inputs[name] for name in model.input}, training=False)
        return guesser.guess(logits, tf.nn.log_softmax(logits))

    return forward
