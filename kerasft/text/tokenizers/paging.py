"""Tables over all of Unicode, in which equal pages of 256 code points are kept once."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

PAGE = 256


def build_pages(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The table of a value for each code point.

    Args:
        values: (n × 256,).

    Returns:
        int32 (n,), the page of each 256 code points; and (pages in use × 256,), their values.
    """
    rows, pages = np.unique(values.reshape(-1, PAGE), axis=0, return_inverse=True)
    return pages.reshape(-1).astype(np.int32), rows.reshape(-1)


def look_up(pages: tf.Tensor, entries: tf.Tensor, code_points: tf.Tensor) -> tf.Tensor:
    """The values of code points, int32 (any,)."""
    page = tf.gather(pages, tf.bitwise.right_shift(code_points, PAGE.bit_length() - 1))
    return tf.gather(entries, page * PAGE + tf.bitwise.bitwise_and(code_points, PAGE - 1))
