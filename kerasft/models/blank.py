"""Nets that are built only to be filled from a file: no random numbers are drawn for weights that are read anyway."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_RANDOM = ("RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal")
"""Keras' initializers that draw; others, such as Glorot's, are subclasses of these."""
_LOCK = threading.RLock()


@contextmanager
def blank_weights() -> Iterator[None]:
    """Within it, weights that would begin at random begin at 0; other threads draw theirs as ever, or wait to enter."""
    import keras

    classes = [getattr(keras.initializers, name) for name in _RANDOM]
    inside = threading.get_ident()

    def begin_blank(draw: Callable[..., Any]) -> Callable[..., Any]:
        def begin(self: Any, shape: Any, dtype: Any = None) -> Any:
            if threading.get_ident() != inside:
                return draw(self, shape, dtype)
            return keras.ops.zeros(shape, dtype)

        return begin

    with _LOCK:
        drawing = [cls.__call__ for cls in classes]
        try:
            for cls, draw in zip(classes, drawing, strict=True):
                cls.__call__ = begin_blank(draw)
            yield
        finally:
            for cls, draw in zip(classes, drawing, strict=True):
                cls.__call__ = draw
