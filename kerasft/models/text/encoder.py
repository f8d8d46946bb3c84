"""The fast encoder of BERT and its kin, built from a keras-hub backbone's sizes, and its weights there and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasft.models.text.bert_layers import (
    BertEmbeddings,
    BertPooler,
    BertTransformerLayer,
    FirstToken,
    PackedMask,
    find_encoder_layers,
)

Pairs = Iterable[tuple[Any, list[Any]]]
"""(fast variable, keras-hub's variables that stand side by side in it) for every weight."""
PACKED_INPUTS = ("position_ids", "mask_positions")
"""What an encoder that answers at some positions takes besides: each token's place in its own text, and which places of
the row are answered. In its `padding_mask` the tokens of a row's first text are 1, those of its second 2, and so on."""


def text_inputs(names: Sequence[str]) -> dict[str, keras.KerasTensor]:
    """The inputs of a text model by keras-hub's names, each int32 (batch, tokens)."""
    return {name: keras.Input((None,), dtype="int32", name=name) for name in names}


def build_encoder(
    sizes: Mapping[str, Any],
    input_names: Sequence[str],
    *,
    pooled: bool,
    has_pooler: bool,
    exact_gelu: bool,
    layer_norm_epsilon: float,
    matmul_dtype: str,
    seed: int | None,
    name: str,
    selected: bool = False,
) -> keras.Model:
    """An encoder of our layers, its weights random.

    Args:
        sizes: of a keras-hub backbone's config.
        input_names: `token_ids`, `padding_mask`, and `segment_ids` where there are segments.
        pooled: True gives one vector a text, float32 (batch, hidden), by a layer named `pooler`, and spares what it
            does not need; False one a token, float32 (batch, tokens, hidden).
        has_pooler: whether that vector went through a dense layer; else it is the first token's last output.
        exact_gelu: see `BertTransformerLayer`.
        layer_norm_epsilon: of all normalisations.
        matmul_dtype: what matrix products take their inputs in: float32, bfloat16, float16.
        seed: of dropout.
        name: of the model.
        selected: True gives the outputs at `mask_positions` alone, float32 (batch, positions, hidden), and spares in
            the last layer what they do not need. Several texts may then stand in one row: see `PACKED_INPUTS`.
    """
    common = {
        "dropout": sizes["dropout"],
        "matmul_dtype": matmul_dtype,
        "layer_norm_epsilon": layer_norm_epsilon,
    }
    inputs = text_inputs([*input_names, *(PACKED_INPUTS if selected else ())])
    mask = inputs["padding_mask"]
    mask = PackedMask(name="packed_mask")(mask) if selected else mask
    x = BertEmbeddings(
        sizes["vocabulary_size"],
        sizes["hidden_dim"],
        sizes["max_sequence_length"],
        sizes.get("num_segments", 0),
        seed=_derive_seed(seed, 0),
        name="embeddings",
        **common,
    )(inputs["token_ids"], inputs.get("segment_ids"), inputs.get("position_ids"))
    last = sizes["num_layers"] - 1
    for index in range(sizes["num_layers"]):
        x = BertTransformerLayer(
            sizes["num_heads"],
            sizes["hidden_dim"],
            sizes["intermediate_dim"],
            first_token_only=pooled and index == last,
            exact_gelu=exact_gelu,
            seed=_derive_seed(seed, index + 1),
            name=f"transformer_layer_{index}",
            **common,
        )(x, mask, inputs["mask_positions"] if selected and index == last else None)
    x = _build_pooler(sizes["hidden_dim"], matmul_dtype, has_pooler)(x) if pooled else x
    return keras.Model(inputs, x, name=name)


def _derive_seed(seed: int | None, layer: int) -> int | None:
    return None if seed is None else int(np.random.SeedSequence([seed, layer]).generate_state(1)[0])


def _build_pooler(hidden_dim: int, matmul_dtype: str, has_pooler: bool) -> keras.layers.Layer:
    if has_pooler:
        return BertPooler(hidden_dim, matmul_dtype=matmul_dtype, seed=0, name="pooler")
    return FirstToken(name="pooler")


def list_variables(encoder: keras.Model) -> Iterator[tuple[Any, list[str]]]:
    """Each variable of a fast encoder, adapters aside, and the keys of the weights that stand side by side in it."""
    embeddings = encoder.get_layer("embeddings")
    for part, table in embeddings.tables.items():
        yield table, [f"embeddings/{part}"]
    yield from _list_norm(embeddings._norms["layer_norm"], "embeddings/norm")
    for index, layer in enumerate(find_encoder_layers(encoder)):
        for name, (kernel, bias) in layer._dense.items():
            parts = ("query", "key", "value") if name == "query_key_value" else (name,)
            yield kernel, [f"{index}/{part}/kernel" for part in parts]
            yield bias, [f"{index}/{part}/bias" for part in parts]
        for name, norm in layer._norms.items():
            yield from _list_norm(norm, f"{index}/{name}")
    for layer in encoder.layers:
        if isinstance(layer, BertPooler):
            kernel, bias = layer._dense["dense"]
            yield kernel, ["pooler/kernel"]
            yield bias, ["pooler/bias"]


def _list_norm(norm, key: str) -> Iterator[tuple[Any, list[str]]]:
    yield norm[0], [f"{key}/gamma"]
    yield norm[1], [f"{key}/beta"]


def join_weights(pairs: Pairs) -> None:
    """Gives fast variables the values of keras-hub's, exactly."""
    for fast, hub in pairs:
        columns = len(hub) if len(fast.shape) == 2 else 1
        if len(hub) > 1:  # query, key, value side by side: (in, heads, size) → (in, heads · size) each
            rows = [fast.shape[0], -1] if columns > 1 else [-1]
            value = np.concatenate([variable.numpy().reshape(rows) for variable in hub], axis=-1)
        else:
            value = hub[0].numpy().reshape(fast.shape)
        fast.assign(value)


def part_weights(pairs: Pairs, merged: Mapping[int, np.ndarray]) -> None:
    """Gives keras-hub's variables the values of fast ones, exactly.

    Args:
        pairs: see `Pairs`.
        merged: `id` of a fast variable → the value to be given in its place, where there is one.
    """
    for fast, hub in pairs:
        value = merged.get(id(fast))
        parts = np.split(fast.numpy() if value is None else value, len(hub), axis=-1)
        for variable, part in zip(hub, parts, strict=True):
            variable.assign(part.reshape(variable.shape))


def compute_merged_kernels(encoder: keras.Model) -> dict[int, np.ndarray]:
    """`id` of a kernel's variable → the kernel with the low-rank product beside it added, where there is one."""
    merged = {}
    for layer in encoder.layers:
        for dense, product in getattr(layer, "low_rank", {}).items():
            kernel = layer._dense[dense][0]
            merged[id(kernel)] = product.merge(kernel.numpy())
    return merged


def compute_layer_depths(encoder: keras.Model) -> dict[str, int]:
    """For each variable's path its layer's distance from the bottom: 0 for the embeddings, then 1, 2, …"""
    depths = {}
    for layer in encoder.layers:
        if layer.name == "embeddings":
            depth = 0
        elif layer.name.startswith("transformer_layer_"):
            depth = int(layer.name.rsplit("_", 1)[1]) + 1
        else:
            depth = 1 + sum(other.name.startswith("transformer_layer_") for other in encoder.layers)
        depths.update({variable.path: depth for variable in layer.weights})
    return depths
