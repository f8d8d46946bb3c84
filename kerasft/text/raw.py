"""Which raw texts a served model answers: valid UTF-8 of limited length; the status of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

MAX_TEXT_BYTES = 8 << 20
"""Bytes of the longest text that is answered: memory grows with it, by about a hundred bytes a byte."""
TOO_LONG = f"too long: a text has at most {MAX_TEXT_BYTES:,} bytes"
INVALID = "invalid UTF-8"


def check_raw_text(text: str | bytes) -> str:
    """Why a text is not answered; empty where it is.

    Half of a surrogate pair in a Python string counts as the question mark that is encoded in its place.
    """
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    if len(data) > MAX_TEXT_BYTES:
        return TOO_LONG
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return INVALID
    return ""


def refuse_texts(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """`check_raw_text` in core TensorFlow ops, over a batch.

    Args:
        texts: string (batch,).

    Returns:
        The texts, string (batch,), empty where they are refused; and why they are, string (batch,).
    """
    import tensorflow as tf

    with tf.device("CPU:0"):
        long = tf.strings.length(texts) > MAX_TEXT_BYTES
        kept = tf.where(long, "", texts)
        # what is no UTF-8 is left out, so that what is changed by that was none
        whole = tf.strings.unicode_transcode(
            kept, "UTF-8", "UTF-8", errors="ignore", replace_control_characters=False
        )
        valid = tf.equal(whole, kept)
        status = tf.where(long, TOO_LONG, tf.where(valid, "", INVALID))
        return tf.where(valid, kept, ""), status
