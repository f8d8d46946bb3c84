"""The exported causal language model: from texts to how well each is predicted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasft.tasks.causal_lm.encoding import Encoder
from kerasft.tasks.causal_lm.reading import Reader, make_reader
from kerasft.tasks.served import STATUS_LINE, Measure, Served
from kerasft.tasks.token_losses import UNTAGGED
from kerasft.text.chat_frames import SEPARATOR, SYSTEM_END

LINES = (
    STATUS_LINE,
    "- `log_loss`: float32 (batch,), the mean of -ln p over the predicted tokens, in nats; 0 where none is predicted;",
    "- `bits_per_byte`: float32 (batch,), the sum of -log2 p divided by the bytes of these tokens; 0 where there are "
    "none;",
    "- `tokens`: int32 (batch,), how many tokens are predicted.",
)
_TAKES = {
    "text": "`text`, a batch of raw UTF-8 strings",
    "completion": "`prompt` and `completion`, batches of raw UTF-8 strings",
    "chat": "`messages`, a batch of conversations, each one raw UTF-8 string: the user's message, the assistant's "
    "answer, and so on, separated by the character U+001E; a system message may stand before the first of them, with "
    "the character U+001D behind it",
}
_PREDICTED = {"text": "each", "completion": "each completion", "chat": "the answers"}
"""What is taken, and what is scored, by `task.input`."""
_TOKENS_AT_ONCE = 4096
"""That the net reads at once, about: memory does not grow with a text's length."""
_LN_2 = 0.6931471805599453


def list_probes(kind: str) -> tuple[dict[str, Any], ...]:
    """Odd inputs, replayed beside the user's own examples."""
    texts = (
        "",
        " ",
        "a",
        "Hello, world!",
        "这部电影非常好看。",
        "👩‍👩‍👧‍👦 👍🏽!!!",
        "control\x00\x07 and\u200bzero width\ufeff",
        "<|endoftext|> </s> spelled out",
        " \n\n  spaces \t at the ends  \n",
        "word " * 700,
        b"no \xff\xfe UTF-8",
    )
    if kind == "chat":
        return list_chat_probes()
    if kind == "text":
        return tuple({"text": text} for text in texts)
    pairs = [*((text, "good.") for text in texts), *(("Why?", text) for text in texts)]
    return tuple({"prompt": prompt, "completion": completion} for prompt, completion in pairs)


def list_chat_probes() -> tuple[dict[str, Any], ...]:
    """The same of conversations."""
    completions = [
        str(pair["completion"]) for pair in list_probes("completion") if isinstance(pair["completion"], str)
    ]
    turns = [
        *(["Why?", text] for text in completions),
        *([text, "good."] for text in completions if text.strip()),
        ["Hi.", "Hello!", "Who are you?", "A test."],
        [f"Be brief.{SYSTEM_END}Hi.", f"Hello{SYSTEM_END}!"],
        ["\u00a0 Hi.\u3000", "\u2003Hello! \x85", "Who?\n", " A test.\t"],
        [f" {SYSTEM_END}Hi.", "Hello!"],
        ["no answer"],
        ["a\0b", "c"],
    ]
    return (
        {"messages": b"no \xff UTF-8\x1egood."},
        *({"messages": SEPARATOR.join(contents)} for contents in turns),
    )


def make_served(model: Any, encoder: Encoder, measure: Measure) -> Served:
    """What is exported of a model.

    Args:
        model: of `kerasft.models.text.decoders.build`.
        encoder: of its task.
        measure: see `Served`.

    Raises:
        DataError: conversations cannot be put together without their template.
    """
    kind, context = encoder.kind, encoder.context
    cut = "Texts longer than {} tokens are read in windows."
    if kind != "text":
        cut = "Of more than {} tokens the first are left out."
    return Served(
        module=ScoringModule(model, make_reader(encoder), context),
        takes=f"`serving_default` takes {_TAKES[kind]}, and returns how well the model predicts {_PREDICTED[kind]}:",
        limits=cut.format(context),
        returns=LINES,
        probes=list_probes(kind),
        measure=measure,
    )


class ScoringModule(tf.Module):
    """Tokenizer and net in one graph of core TensorFlow ops; `signatures` are exported.

    Args:
        model: of `kerasft.models.text.decoders.build`.
        reader: reads the inputs.
        context: tokens of a row.
    """

    def __init__(self, model: Any, reader: Reader, context: int):
        super().__init__(name="causal_lm")
        # the variables alone are tracked: a Keras model in a SavedModel would bring its own metadata along
        self.weights = [variable.value for variable in model.weights]
        self.tokenizer = reader.tokenizer
        self._read, self._context, self._forward = reader.read, context, _make_untracked(model)
        specs = [tf.TensorSpec((None,), tf.string, name=name) for name in reader.names]
        self.serving_default = tf.function(self._serve, input_signature=specs, autograph=False)

    @property
    def signatures(self) -> dict[str, Any]:
        """For `tf.saved_model.save`."""
        return {"serving_default": self.serving_default}

    def _serve(self, *inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Strings (batch,), UTF-8 → how well each example is predicted; see `LINES`."""
        ids, asked, sizes, status = self._read(*inputs)
        lengths = tf.where(status == "", tf.cast(ids.row_lengths(), tf.int32), 0)
        tokens = tf.where(status == "", tf.reduce_sum(asked, 1) - tf.reduce_sum(asked[:, :1], 1), 0)
        losses = self._sum_losses(ids, asked, lengths)

        def divide(sums: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
            return tf.where(counts > 0, sums / tf.cast(tf.maximum(counts, 1), tf.float32), 0.0)

        sizes = tf.where(tokens > 0, sizes, 0)
        return {
            "log_loss": divide(losses, tokens),
            "bits_per_byte": divide(losses / _LN_2, sizes),
            "tokens": tokens,
            "status": status,
        }

    def _sum_losses(self, ids: tf.RaggedTensor, asked: tf.RaggedTensor, lengths: tf.Tensor) -> tf.Tensor:
        """float32 (batch,): Σ -ln p of the predicted tokens, window by window.

        Args:
            ids, asked: int32 (batch, ragged).
            lengths: int32 (batch,), of those that are read; 0: none.
        """
        context, count = self._context, tf.size(lengths)
        windows = tf.maximum(lengths - 2 + context, 0) // context
        owners = tf.repeat(tf.range(count), windows)
        numbers = tf.ragged.range(windows, row_splits_dtype=tf.int32).values
        width = tf.maximum(tf.minimum(tf.reduce_max(tf.concat([lengths, [2]], 0)) - 1, context), 1)
        at_once = tf.maximum(_TOKENS_AT_ONCE // width, 1)
        firsts = tf.cast(ids.row_splits[:-1], tf.int32)
        # a place behind all, for what lies beyond a text
        flat, flags = tf.concat([ids.flat_values, [0]], 0), tf.concat([asked.flat_values, [0]], 0)

        def advance(start: tf.Tensor, sums: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            owner, number = owners[start : start + at_once], numbers[start : start + at_once]
            column = tf.range(width)[None, :]
            place = number[:, None] * context + column
            inside = place < tf.gather(lengths, owner)[:, None] - 1
            source = tf.where(inside, tf.gather(firsts, owner)[:, None] + place, tf.size(flat) - 1)
            after = tf.minimum(source + 1, tf.size(flat) - 1)
            is_predicted = inside & (tf.gather(flags, after) > 0)
            inputs = {
                "token_ids": tf.gather(flat, source),
                "text_ids": tf.cast(inside, tf.int32),
                "position_ids": tf.where(inside, tf.zeros_like(place) + column, 0),
                "targets": tf.where(is_predicted, tf.gather(flat, after), UNTAGGED),
            }
            found = tf.reduce_sum(self._forward(inputs)[..., 0], 1)
            return start + at_once, sums + tf.math.unsorted_segment_sum(found, owner, count)

        _, sums = tf.while_loop(
            lambda start, sums: start < tf.size(owners),
            advance,
            (tf.constant(0), tf.zeros_like(lengths, tf.float32)),
            shape_invariants=(tf.TensorShape(()), tf.TensorShape((None,))),
            parallel_iterations=1,
        )
        return sums


def _make_untracked(model: Any) -> Callable[[Any], tf.Tensor]:
    """The model as a plain function, which TensorFlow does not look into."""

    def forward(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return model({name: inputs[name] for name in model.input}, training=False)

    return forward
