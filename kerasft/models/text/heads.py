"""What stands on an encoder: pooling or none, dropout and a head, in a fast form and in keras-hub's."""

from __future__ import annotations

from typing import Any

import keras

from kerasft.models.text.encoder import text_inputs
from kerasft.models.text.families import family_of


def _add_head(features: Any, num_classes: int, dropout: float, seed: int | None) -> Any:
    features = keras.layers.Dropout(dropout, seed=seed, dtype="float32", name="head_dropout")(features)
    return keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02, seed=seed),
        dtype="float32",
        name="logits",
    )(features)


def _average(sequence: Any, padding_mask: Any) -> Any:
    return keras.layers.GlobalAveragePooling1D(name="mean_of_tokens")(sequence, mask=padding_mask)


def build_fast_classifier(
    backbone: Any,
    num_classes: int,
    *,
    pooling: str,
    dropout: float,
    seed: int | None,
    matmul_dtype: str = "float32",
) -> keras.Model:
    """The model that learns: our encoder, pooled or not, dropped out, and a float32 head.

    Args:
        backbone: keras-hub's, whose weights it begins with.
        num_classes: outputs of the head.
        pooling: `cls` (the first token's output, through the family's pooler where it has one), `mean` (over the text's
            tokens), or `none`: the head answers for each token.
        dropout: before the head.
        seed: of the head's weights and of all dropout.
        matmul_dtype: what the encoder's matrix products take their inputs in.

    Returns:
        Functional, from the family's inputs, `{token_ids, padding_mask, …}`, int32 (batch, tokens), to logits, float32
        (batch, classes), or (batch, tokens, classes) without pooling.
    """
    family = family_of(backbone)
    encoder = family.build_fast_encoder(
        backbone, pooled=pooling == "cls", matmul_dtype=matmul_dtype, seed=seed
    )
    inputs = text_inputs(family.inputs)
    features = encoder(inputs)
    if pooling == "mean":
        features = _average(features, inputs["padding_mask"])
    return keras.Model(inputs, _add_head(features, num_classes, dropout, seed), name=_name(pooling))


def find_encoder(classifier: keras.Model) -> keras.Model:
    """The encoder in a classifier: our fast one, or keras-hub's backbone."""
    return next(layer for layer in classifier.layers if isinstance(layer, keras.Model))


def split_classifier(classifier: keras.Model, *, pooling: str) -> tuple[keras.Model, keras.Model]:
    """The two halves of a fast classifier, on the very variables of the whole.

    While all under the head is frozen its features are computed once, and the head alone is trained on them; the
    classifier has then learned the same.

    Args:
        classifier: of `build_fast_classifier`.
        pooling: as it was built with: `cls` or `mean`.

    Returns:
        From the classifier's inputs to float32 features, (batch, hidden), or for `cls` (batch, 1, hidden), which the
        encoder's pooler takes; and from these to logits, pooler and dropout included.
    """
    if pooling == "cls":
        encoder = find_encoder(classifier)
        pooler = encoder.get_layer("pooler")
        inputs, frozen = encoder.input, pooler.input
    else:
        inputs, frozen = classifier.input, classifier.get_layer("mean_of_tokens").output
    features = keras.Input(frozen.shape[1:], dtype="float32", name="features")
    pooled = pooler(features) if pooling == "cls" else features
    extractor = keras.Model(inputs, frozen, name="feature_extractor")
    logits = classifier.get_layer("logits")(classifier.get_layer("head_dropout")(pooled))
    return extractor, keras.Model(features, logits, name="classification_head")


def _name(pooling: str) -> str:
    return "token_classifier" if pooling == "none" else "text_classifier"


def build_hub_classifier(backbone: Any, num_classes: int, *, pooling: str, dropout: float) -> keras.Model:
    """The same model on keras-hub's own backbone: what is saved, since it opens without kerasft."""
    outputs = backbone(backbone.input)
    features = family_of(backbone).pick_features(outputs, pooled=pooling == "cls")
    if pooling == "mean":
        features = _average(features, backbone.input["padding_mask"])
    return keras.Model(backbone.input, _add_head(features, num_classes, dropout, None), name=_name(pooling))


def publish_classifier(fast: keras.Model, backbone: Any, *, pooling: str, dropout: float) -> keras.Model:
    """The fast classifier's weights in keras-hub's form; `backbone` takes them and becomes part of it."""
    family_of(backbone).copy_to_backbone(find_encoder(fast), backbone)
    head = fast.get_layer("logits")
    public = build_hub_classifier(backbone, head.units, pooling=pooling, dropout=dropout)
    public.get_layer("logits").set_weights(head.get_weights())
    return public


def accelerate_classifier(public: keras.Model, *, pooling: str) -> keras.Model:
    """The fast form of a model that `publish_classifier` made."""
    backbone = find_encoder(public)
    head = public.get_layer("logits")
    fast = build_fast_classifier(backbone, head.units, pooling=pooling, dropout=0.0, seed=0)
    fast.get_layer("logits").set_weights(head.get_weights())
    return fast
