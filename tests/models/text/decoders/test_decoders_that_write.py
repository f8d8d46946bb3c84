"""A real net writes with its cache what it would write without one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.models.text.decoders.build import build_causal_lm
from kerasft.models.text.decoders.cached import CachedDecoder
from kerasft.models.text.decoders.sizes import DecoderSizes
from kerasft.text.generation.config import GenerationConfig
from kerasft.text.generation.generator import Generator
from kerasft.text.generation.writer import TextWriter
from kerasft.text.tokenizers.characters import Characters, CharacterVocabulary

SIZES: dict[str, Any] = {
    "layers": 2,
    "heads": 4,
    "head_size": 4,
    "width": 16,
    "feedforward": 32,
    "context": 24,
}
NETS: dict[str, dict[str, Any]] = {
    "learned positions": {"kv_heads": 4},
    "rotary positions, shared keys": {
        **{"kv_heads": 2, "rope_base": 10_000.0, "norm": "rms", "activation": "silu_gated"},
        **{"biases": False, "tied": False},
    },
}
PROMPTS = ["go on", "a", "plodding along, and on"]


def build(net: str, vocabulary_size: int) -> keras.Model:
    model = build_causal_lm(
        DecoderSizes(vocabulary_size=vocabulary_size, **SIZES, **NETS[net]), dropout=0.0, seed=0
    )
    random = np.random.default_rng(1)
    for variable in model.variables:  # larger than a new net's: tokens are not all equally likely
        variable.assign(variable + 0.4 * random.standard_normal(variable.shape).astype(np.float32))
    return model


def write_without_cache(model: keras.Model, tokenizer: Characters, prompt: str, count: int) -> str:
    """Of all tokens that may follow the one that the whole net finds likeliest, and so on."""
    ids = tokenizer.tokenize(tf.constant([prompt])).to_list()[0]
    size, written = tokenizer.vocabulary_size, []
    for _ in range(count):
        rows = np.tile(ids, (size, 1)).astype(np.int32)
        targets = np.full_like(rows, -1)
        targets[:, -1] = np.arange(size)
        inputs = {
            "token_ids": rows,
            "text_ids": np.ones_like(rows),
            "position_ids": np.zeros_like(rows) + np.arange(len(ids), dtype=np.int32),
            "targets": targets,
        }
        losses = np.array(model(inputs, training=False))[:, -1, 0]
        losses[:4] = np.inf  # special tokens
        written.append(int(losses.argmin()))
        kept = ids[-(SIZES["context"] // 2) :] if len(ids) == SIZES["context"] else ids
        ids = [*kept, written[-1]]
    return tokenizer.decode([written]).numpy()[0].decode()


@pytest.mark.numerical
@pytest.mark.parametrize(
    "net", ["learned positions", pytest.param("rotary positions, shared keys", marks=pytest.mark.slow)]
)
def test_it_writes_what_it_would_without_a_cache(net: str) -> None:
    tokenizer = Characters(CharacterVocabulary(tuple("abcdefghijklmnop, ")))
    model = build(net, tokenizer.vocabulary_size)
    generator = Generator(CachedDecoder(model), tokenizer, end_ids=[])
    config = GenerationConfig(temperature=0.0, max_new_tokens=20)
    texts = TextWriter(generator).write(PROMPTS, config)
    expected = [write_without_cache(model, tokenizer, prompt, 20) for prompt in PROMPTS]
    assert [text.continuation for text in texts] == expected
    assert len(set(expected)) == len(PROMPTS)
