"""From prompts to the token ids that a model goes on from, in core TensorFlow ops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import tensorflow as tf

from kerasft.text.raw import refuse_texts
from kerasft.text.tokenizers.base import ABSENT, Tokenizer

EMPTY = "empty prompt: this model's tokenizer has no token with which a text begins"
NO_MESSAGES = "this model has not learned from conversations: give a text in place of messages"
PROMPT_SPEC = tf.TensorSpec((None,), tf.string, "prompt")
REFUSED = b"\xff"
"""A prompt on which nothing is written."""
Prompt = str | bytes | Sequence[Mapping[str, str]]
"""A text, UTF-8, or a conversation: messages, each `{"role": …, "content": …}`."""

_PROMPT_CHARACTERS = 60


class Prompts(NamedTuple):
    """Prompts as a model reads them.

    Attributes:
        token_ids: int32 (batch, longest), at least one column, padded on the right.
        lengths: int32 (batch,), at least 1, and at most the model's context.
        kept: int32 (batch,), how many of a row's first tokens stay where a text fills the context.
        left_out: int32 (batch,), tokens of a long prompt for which the context has no room.
        starts_word: bool (batch,), whether no space is needed before the word that follows.
        status: string (batch,), why a prompt is refused; empty where it is not.
    """

    token_ids: tf.Tensor
    lengths: tf.Tensor
    kept: tf.Tensor
    left_out: tf.Tensor
    starts_word: tf.Tensor
    status: tf.Tensor


PROMPTS_SPECS = Prompts(
    token_ids=tf.TensorSpec((None, None), tf.int32),
    lengths=tf.TensorSpec((None,), tf.int32),
    kept=tf.TensorSpec((None,), tf.int32),
    left_out=tf.TensorSpec((None,), tf.int32),
    starts_word=tf.TensorSpec((None,), tf.bool),
    status=tf.TensorSpec((None,), tf.string),
)


class PromptReader:
    """Reads texts that a model goes on from, and keeps the ends of those that are too long.

    An empty prompt without a token before it becomes the token with which a text begins; where there is none, the one
    with which a text ends.

    Args:
        tokenizer: of the model.
        context: tokens that the model looks at.
        before: ids of the tokens that stand before each prompt; they stay where a prompt is too long.
        starts_text: whether what is written is a text of its own, which begins without a space.
    """

    takes: ClassVar[str] = "`prompt`, a batch of raw UTF-8 strings"
    limits: ClassVar[str] = "A longer prompt loses its beginning"
    """For the model card: what a prompt is, and what becomes of one for which the context has no room."""
    probes: ClassVar[tuple[str | bytes, ...]] = (
        "",
        " ",
        "这部电影",
        "👩‍👩‍👧‍👦 👍🏽",
        "control\x00 and\u200bzero width\ufeff",
        "<|endoftext|> </s> <end>",
        "word " * 700,
        b"no \xff\xfe UTF-8",
    )
    """Odd prompts, which an export must answer as the model does."""

    def __init__(
        self, tokenizer: Tokenizer, context: int, before: Sequence[int] = (), *, starts_text: bool = False
    ):
        self._tokenizer, self.context = tokenizer, context
        self._before, self._starts_text = tuple(before), starts_text
        special = tokenizer.special_ids
        self._first = special.begin if special.begin != ABSENT else special.end
        self._read = tf.function(self.read, input_signature=[PROMPT_SPEC], autograph=False)

    def read(self, prompts: tf.Tensor) -> Prompts:
        """string (batch,), UTF-8 → the prompts, of a batch that is not empty."""
        with tf.device("CPU:0"):
            texts, status = refuse_texts(prompts)
            ids = self._tokenizer.tokenize(texts).with_row_splits_dtype(tf.int32)
            if not self._before:
                is_empty = tf.equal(ids.row_lengths(), 0)
                if self._first == ABSENT:
                    status = tf.where(tf.equal(status, "") & is_empty, EMPTY, status)
                # what is refused has a token too, which nobody sees
                ids = tf.concat([_repeat(max(self._first, 0), tf.cast(is_empty, tf.int32)), ids], 1)
            once = tf.ones_like(status, tf.int32)
            ids = tf.concat([*(_repeat(token, once) for token in self._before), ids], 1)
            return fit_prompts(ids, len(self._before) * once, self.context, self._starts_word(texts), status)

    def read_any(self, prompts: Sequence[Prompt]) -> Prompts:
        """The same from Python. Half of a surrogate pair becomes a question mark, as everywhere."""
        encoded = [
            prompt.encode("utf-8", "replace") if isinstance(prompt, str) else prompt for prompt in prompts
        ]
        with tf.device("CPU:0"):
            texts = [text if isinstance(text, bytes) else b"" for text in encoded]
            read = self._read(tf.constant(texts, tf.string, [len(texts)]))
            is_text = tf.constant([isinstance(text, bytes) for text in encoded], tf.bool, [len(texts)])
            return read._replace(status=tf.where(is_text, read.status, NO_MESSAGES))

    def make_prompt(self, text: str) -> str:
        """A prompt from an example's text: its beginning."""
        return text[:_PROMPT_CHARACTERS]

    def _starts_word(self, texts: tf.Tensor) -> tf.Tensor:
        """bool (batch,): of the tokenizers whose words bring a space along, whether it would be one too many."""
        brings_space = tf.fill(tf.shape(texts), brings_spaces(self._tokenizer))
        if self._starts_text:
            return brings_space
        last = tf.strings.substr(tf.strings.join([" ", texts]), -1, 1)
        return brings_space & (tf.equal(last, " ") | tf.equal(last, "\n"))


def brings_spaces(tokenizer: Tokenizer) -> bool:
    """Whether the first token of a text spells a space that the text does not begin with."""
    return getattr(tokenizer, "starts_with_space", False)


def fit_prompts(
    ids: tf.RaggedTensor, kept: tf.Tensor, context: int, starts_word: tf.Tensor, status: tf.Tensor
) -> Prompts:
    """Prompts of at most `context` tokens: of a longer one its first tokens are read, and its last ones.

    Args:
        ids: int32 (batch, ragged), all tokens of each prompt.
        kept: int32 (batch,), how many of its first tokens stay; none do where these are half of the context or more.
        context: tokens that the model looks at.
        starts_word, status: see `Prompts`.
    """
    lengths = tf.cast(ids.row_lengths(), tf.int32)
    kept = tf.where(kept < context // 2, kept, 0)
    left_out = tf.maximum(lengths - context, 0)
    lengths -= left_out
    columns = tf.ragged.range(lengths, row_splits_dtype=tf.int32)
    firsts = tf.cast(ids.row_splits[:-1], tf.int32)
    first, stays, gap = (tf.repeat(each, lengths) for each in (firsts, kept, left_out))
    places = first + columns.values + tf.where(columns.values < stays, 0, gap)
    fitted = columns.with_values(tf.gather(ids.flat_values, places))
    fitted = tf.concat([fitted, _repeat(0, tf.cast(tf.equal(lengths, 0), tf.int32))], 1)
    return Prompts(fitted.to_tensor(0), tf.maximum(lengths, 1), kept, left_out, starts_word, status)


def _repeat(token: int, times: tf.Tensor) -> tf.RaggedTensor:
    """int32 (batch, ragged): in each row a token as often as it says."""
    splits = tf.concat([[0], tf.cumsum(times)], 0)
    return tf.RaggedTensor.from_row_splits(tf.fill(splits[-1:], token), splits, validate=False)
