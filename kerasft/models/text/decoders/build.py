"""A causal language model of our layers, built from a decoder's sizes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kerasft.models.text.decoders.layers import (
    DecoderEmbeddings,
    DecoderLayer,
    FinalNorm,
    PackedCausalMask,
    RotaryAngles,
    find_decoder_layers,
)
from kerasft.models.text.decoders.loss_head import LossHead
from kerasft.models.text.decoders.sizes import DecoderSizes
from kerasft.models.text.encoder import text_inputs

INPUTS = ("token_ids", "text_ids", "position_ids", "targets")
EMBEDDINGS, FINAL_NORM, LOSS_HEAD = "embeddings", "final_norm", "loss_head"
"""Names of layers; the transformer layers are transformer_layer_0, transformer_layer_1, …"""


def build_causal_lm(
    sizes: DecoderSizes,
    *,
    dropout: float,
    seed: int | None,
    matmul_dtype: str = "float32",
    blank: bool = False,
) -> keras.Model:
    """A new causal language model, its weights random.

    Args:
        sizes: of the decoder.
        dropout: on embeddings, attention weights, and what each half of a layer adds.
        seed: of the weights and of dropout.
        matmul_dtype: what matrix products take their inputs in: float32, bfloat16, float16.
        blank: whether the weights are 0, to be filled.

    Returns:
        Functional. Inputs by name, each int32 (batch, tokens): `token_ids`; `text_ids` (1, 2, … by packed text, 0 for
        padding: a token sees itself and earlier tokens of its own text); `position_ids` (place in its own text);
        `targets` (-1 where nothing is asked). Output float32 (batch, tokens, 2): −ln p(target), and 1.0 where the
        target is the likeliest token; both 0 where nothing is asked.
    """

    def configure(index: int) -> dict[str, Any]:
        drawn = None if seed is None else int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
        return {"sizes": sizes, "matmul_dtype": matmul_dtype, "seed": drawn, "blank": blank}

    inputs = text_inputs(INPUTS)
    mask = PackedCausalMask(name="packed_causal_mask")(inputs["text_ids"])
    rotary = None
    if sizes.has_rope:
        rotary = RotaryAngles(sizes, name="rotary_angles")(inputs["position_ids"])
    embeddings = DecoderEmbeddings(dropout=dropout, name=EMBEDDINGS, **configure(0))
    x = embeddings(inputs["token_ids"], inputs["position_ids"])
    for index in range(sizes.layers):
        layer = DecoderLayer(dropout=dropout, name=f"transformer_layer_{index}", **configure(index + 1))
        x = layer(x, mask, rotary)
    x = FinalNorm(name=FINAL_NORM, **configure(0))(x)
    head = LossHead(name=LOSS_HEAD, **configure(sizes.layers + 1))
    if sizes.tied:
        head.share(embeddings.tables["token"])
    return keras.Model(inputs, head(x, inputs["targets"]), name="causal_language_model")


def find_sizes(model: keras.Model) -> DecoderSizes:
    """The sizes of a model of `build_causal_lm`."""
    sizes: DecoderSizes = model.get_layer(EMBEDDINGS).sizes
    return sizes


def compute_depths(model: keras.Model) -> dict[str, int]:
    """For each variable's path its layer's distance from the bottom: 0 for the embeddings, then 1, 2, …; the last norm
    and the head are deepest."""
    layers = [[model.get_layer(EMBEDDINGS)], *([layer] for layer in find_decoder_layers(model))]
    layers.append([model.get_layer(FINAL_NORM), model.get_layer(LOSS_HEAD)])
    return {
        weight.path: depth
        for depth, group in enumerate(layers)
        for layer in group
        for weight in layer.weights
    }
