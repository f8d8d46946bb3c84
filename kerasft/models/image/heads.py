"""The head on an image backbone: pooling, dropout and classification; splits a model into backbone and head."""

from __future__ import annotations

from typing import Literal

import keras

POOLED, DROPOUT, LOGITS = "pooled", "head_dropout", "logits"
"""The head's layers by their names."""


def build_image_classifier(
    backbone: keras.Model,
    num_classes: int,
    *,
    pooling: Literal["average", "max"] = "average",
    dropout: float = 0.2,
    seed: int | None = None,
) -> keras.Model:
    """The backbone, pooled over the image, and a float32 head.

    The backbone is one layer of the model: its name is its own, so that what belongs to it is found in any file. For
    labels of which several may hold the model is the same; only the loss differs.

    Args:
        backbone: of `build_image_backbone`; it becomes part of the model.
        num_classes: outputs of the head.
        pooling: over rows and columns of the feature map.
        dropout: on the pooled features.
        seed: of the head's weights and dropout.

    Returns:
        Functional, from float32 or uint8 (batch, height, width, 3), RGB from 0 to 255, to logits, float32
        (batch, classes).
    """
    image = backbone.inputs[0]
    inputs = keras.Input(image.shape[1:], dtype=image.dtype, name="image")
    pool = keras.layers.GlobalMaxPooling2D if pooling == "max" else keras.layers.GlobalAveragePooling2D
    features = pool(dtype="float32", name=POOLED)(backbone(inputs))
    features = keras.layers.Dropout(dropout, seed=seed, dtype="float32", name=DROPOUT)(features)
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02, seed=seed),
        dtype="float32",
        name=LOGITS,
    )(features)
    return keras.Model(inputs, logits, name="image_classifier")


def get_backbone(classifier: keras.Model) -> keras.Model:
    """The backbone inside a model of `build_image_classifier`, also one that was opened from a file."""
    return next(layer for layer in classifier.layers if isinstance(layer, keras.Model))


def split_classifier(classifier: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The two halves of a classifier, on the very variables of the whole.

    While the backbone is frozen its features are computed once and the head alone is trained on them; the classifier
    has then learned the same.

    Args:
        classifier: of `build_image_classifier`.

    Returns:
        From images to pooled features, float32 (batch, channels); and from these to logits, dropout included.
    """
    pooled = classifier.get_layer(POOLED).output
    extractor = keras.Model(classifier.inputs[0], pooled, name="feature_extractor")
    features = keras.Input(pooled.shape[1:], dtype="float32", name="features")
    logits = classifier.get_layer(LOGITS)(classifier.get_layer(DROPOUT)(features))
    return extractor, keras.Model(features, logits, name="classification_head")
