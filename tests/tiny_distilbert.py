"""A tiny DistilBERT in Hugging Face's form, and its forward pass in NumPy."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tiny_bert import DISLIKED, LIKED, PIECES

CONFIG = {
    "model_type": "distilbert",
    "vocab_size": len(PIECES),
    "n_layers": 2,
    "n_heads": 2,
    "dim": 32,
    "hidden_dim": 64,
    "max_position_embeddings": 64,
    "dropout": 0.02,
    "attention_dropout": 0.02,
    "activation": "gelu",
    "sinusoidal_pos_embds": False,
    "pad_token_id": 0,
}


def make_tensors(seed: int = 0, **sizes: int) -> dict[str, np.ndarray]:
    """Random weights by Hugging Face's names; words of praise lie together, as after pre-training."""
    config = {**CONFIG, **sizes}
    generator = np.random.default_rng(seed)
    dim, wide = config["dim"], config["hidden_dim"]
    tensors: dict[str, np.ndarray] = {}

    def draw(name: str, *shape: int, scale: float, around: float = 0.0) -> None:
        tensors[name] = (around + scale * generator.standard_normal(shape)).astype(np.float32)

    def draw_norm(name: str) -> None:
        draw(f"{name}.weight", dim, scale=0.05, around=1.0)
        draw(f"{name}.bias", dim, scale=0.05)

    draw("embeddings.word_embeddings.weight", config["vocab_size"], dim, scale=0.2)
    draw("embeddings.position_embeddings.weight", config["max_position_embeddings"], dim, scale=0.05)
    draw_norm("embeddings.LayerNorm")
    shapes = {f"attention.{part}_lin": (dim, dim) for part in ("q", "k", "v", "out")}
    shapes |= {"ffn.lin1": (wide, dim), "ffn.lin2": (dim, wide)}
    for index in range(config["n_layers"]):
        layer = f"transformer.layer.{index}"
        for name, shape in shapes.items():
            draw(f"{layer}.{name}.weight", *shape, scale=0.1)
            draw(f"{layer}.{name}.bias", shape[0], scale=0.05)
        draw_norm(f"{layer}.sa_layer_norm")
        draw_norm(f"{layer}.output_layer_norm")
    praise = generator.standard_normal(dim).astype(np.float32)
    for words, sign in ((LIKED, 1), (DISLIKED, -1)):
        tensors["embeddings.word_embeddings.weight"][[PIECES.index(word) for word in words]] += sign * praise
    return tensors


def write_preset(folder: Path, *, prefix: str = "distilbert.", seed: int = 0, **config: Any) -> Path:
    """The weights, config.json and vocabulary.

    Args:
        folder: is made.
        prefix: before the tensors' names: a model with a head has one, a bare one has none.
        seed: of the weights.
        config: laid over config.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"{prefix}{name}": value for name, value in make_tensors(seed).items()}
    if prefix:
        tensors["vocab_projector.bias"] = np.zeros(len(PIECES), np.float32)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def compute_hidden_states(
    tensors: dict[str, np.ndarray], token_ids: np.ndarray, mask: np.ndarray, heads: int = 2
) -> np.ndarray:
    """The last hidden states, float64 (batch, tokens, dim), by the definition.

    Args:
        tensors: of `make_tensors`.
        token_ids, mask: int (batch, tokens); 1 a token, 0 padding.
        heads: of attention.

    Source: Sanh et al. 2019, arXiv:1910.01108: layers as in Vaswani et al. 2017, arXiv:1706.03762, with gelu.
    """

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ tensors[f"{name}.weight"].astype(np.float64).T + tensors[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        normal = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return normal * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def gelu(x: np.ndarray) -> np.ndarray:
        return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

    def split(x: np.ndarray) -> np.ndarray:
        return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    def attend(x: np.ndarray, layer: str) -> np.ndarray:
        query, key, value = (split(linear(x, f"{layer}.{part}_lin")) for part in "qkv")
        scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(query.shape[-1])
        scores = np.where(mask[:, None, None, :] == 1, scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        context = weights / weights.sum(-1, keepdims=True) @ value
        return linear(context.transpose(0, 2, 1, 3).reshape(x.shape), f"{layer}.out_lin")

    table = tensors["embeddings.word_embeddings.weight"].astype(np.float64)
    x = table[token_ids] + tensors["embeddings.position_embeddings.weight"][: token_ids.shape[1]]
    x = norm(x, "embeddings.LayerNorm")
    for index in range(sum(name.endswith(".sa_layer_norm.bias") for name in tensors)):
        layer = f"transformer.layer.{index}"
        x = norm(x + attend(x, f"{layer}.attention"), f"{layer}.sa_layer_norm")
        hidden = linear(gelu(linear(x, f"{layer}.ffn.lin1")), f"{layer}.ffn.lin2")
        x = norm(x + hidden, f"{layer}.output_layer_norm")
    return x
