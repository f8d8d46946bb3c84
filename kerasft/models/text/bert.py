"""BERT's encoder, built for speed from a keras-hub backbone's weights, and given back to it after training."""

from __future__ import annotations

import keras
import numpy as np

from kerasft.models.text.bert_layers import BertEmbeddings, BertPooler, BertTransformerLayer


def text_inputs() -> dict[str, keras.KerasTensor]:
    """The inputs of a BERT model by keras-hub's names, each int32 (batch, tokens)."""
    names = ("token_ids", "segment_ids", "padding_mask")
    return {name: keras.Input((None,), dtype="int32", name=name) for name in names}


def build_fast_encoder(
    backbone: keras.Model, *, pooled: bool, matmul_dtype: str = "float32", seed: int | None = None
) -> keras.Model:
    """The functional model of our layers that computes what `backbone` does, with its weights.

    Args:
        backbone: a keras-hub `BertBackbone`.
        pooled: True gives the pooled output float32 (batch, hidden) and spares what it does not need;
            False the sequence output float32 (batch, tokens, hidden).
        matmul_dtype: what matrix products take their inputs in: float32, bfloat16, float16.
        seed: of dropout.
    """
    sizes = backbone.get_config()
    common = {"dropout": sizes["dropout"], "matmul_dtype": matmul_dtype}

    def next_seed(index: int) -> int | None:
        return None if seed is None else int(np.random.SeedSequence([seed, index]).generate_state(1)[0])

    inputs = text_inputs()
    x = BertEmbeddings(
        sizes["vocabulary_size"],
        sizes["hidden_dim"],
        sizes["max_sequence_length"],
        sizes["num_segments"],
        seed=next_seed(0),
        name="embeddings",
        **common,
    )(inputs["token_ids"], inputs["segment_ids"])
    for index in range(sizes["num_layers"]):
        x = BertTransformerLayer(
            sizes["num_heads"],
            sizes["hidden_dim"],
            sizes["intermediate_dim"],
            first_token_only=pooled and index == sizes["num_layers"] - 1,
            seed=next_seed(index + 1),
            name=f"transformer_layer_{index}",
            **common,
        )(x, inputs["padding_mask"])
    if pooled:
        x = BertPooler(sizes["hidden_dim"], matmul_dtype=matmul_dtype, seed=0, name="pooler")(x)
    encoder = keras.Model(inputs, x, name="fast_bert_encoder")
    copy_weights_to_fast(backbone, encoder)
    return encoder


def _pairs(backbone: keras.Model, encoder: keras.Model):
    """(fast variable, keras-hub variables, how they are joined) for every weight."""
    embeddings = encoder.get_layer("embeddings")
    yield embeddings.token_embeddings, [backbone.get_layer("token_embedding").embeddings]
    yield embeddings.position_embeddings, [backbone.get_layer("position_embedding").position_embeddings]
    yield embeddings.segment_embeddings, [backbone.get_layer("segment_embedding").embeddings]
    yield from _norm_pair(embeddings._norms["layer_norm"], backbone.get_layer("embeddings_layer_norm"))
    for index in range(backbone.num_layers):
        fast, hub = (m.get_layer(f"transformer_layer_{index}") for m in (encoder, backbone))
        attention = hub._self_attention_layer
        parts = (attention.query_dense, attention.key_dense, attention.value_dense)
        kernel, bias = fast._dense["query_key_value"]
        yield kernel, [part.kernel for part in parts]
        yield bias, [part.bias for part in parts]
        for name, layer in (
            ("attention_output", attention.output_dense),
            ("feedforward_intermediate", hub._feedforward_intermediate_dense),
            ("feedforward_output", hub._feedforward_output_dense),
        ):
            yield fast._dense[name][0], [layer.kernel]
            yield fast._dense[name][1], [layer.bias]
        yield from _norm_pair(fast._norms["attention_layer_norm"], hub._self_attention_layer_norm)
        yield from _norm_pair(fast._norms["feedforward_layer_norm"], hub._feedforward_layer_norm)
    if any(layer.name == "pooler" for layer in encoder.layers):
        kernel, bias = encoder.get_layer("pooler")._dense["dense"]
        pooled = backbone.get_layer("pooled_dense")
        yield kernel, [pooled.kernel]
        yield bias, [pooled.bias]


def _norm_pair(norm, layer):
    yield norm[0], [layer.gamma]
    yield norm[1], [layer.beta]


def copy_weights_to_fast(backbone: keras.Model, encoder: keras.Model) -> None:
    """Takes the backbone's weights into the fast encoder, exactly."""
    for fast, hub in _pairs(backbone, encoder):
        columns = len(hub) if len(fast.shape) == 2 else 1
        if len(hub) > 1:  # query, key, value side by side: (in, heads, size) → (in, heads · size) each
            rows = [fast.shape[0], -1] if columns > 1 else [-1]
            value = np.concatenate([variable.numpy().reshape(rows) for variable in hub], axis=-1)
        else:
            value = hub[0].numpy().reshape(fast.shape)
        fast.assign(value)


def copy_weights_to_backbone(encoder: keras.Model, backbone: keras.Model) -> None:
    """Gives the fast encoder's weights back to the keras-hub backbone, exactly; products beside them are added."""
    merged = compute_merged_kernels(encoder)
    for fast, hub in _pairs(backbone, encoder):
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
