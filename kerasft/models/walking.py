"""All layers of a model, those of models in it included."""

from __future__ import annotations

from collections.abc import Iterator

import keras


def walk_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers that are no models themselves, in order; a model in the model gives its own in its place."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from walk_layers(layer)
        else:
            yield layer
