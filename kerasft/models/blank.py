"""Nets that are built only to be filled from a file: no random numbers are drawn for weights that are read anyway."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_RANDOM = ("RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal")
"""Keras' initializers that draw; others, such as Glorot's, are subclasses of these."""
_LOCK = threading.RLock()


@contextmanager
def blank_weights() -> Iterator[None]:
    """Within it, weights that would begin at random begin at 0, in all threads; one thread at a time is inside."""
    import keras

    classes = [getattr(keras.initializers, name) for name in _RANDOM]
    with _LOCK:
        drawing = [cls.__call__ for cls in classes]
        try:
            for cls in classes:
                cls.__call__ = _make_zeros
            yield
        finally:
            for cls, draw in zip(classes, drawing, strict=True):
                cls.__call__ = draw


def _make_zeros(self: Any, shape: Any, dtype: Any = None) -> Any:
    """In the place of an initializer's `__call__`."""
    import keras

    return keras.ops.zeros(shape, dtype)
