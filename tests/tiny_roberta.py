"""Tiny presets of RoBERTa's and XLM-RoBERTa's shape in Hugging Face's form, with tokenizers of their kinds."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import tiny_bert
from safetensors.numpy import save_file

ROWS, POSITIONS = 320, 64
"""Of the tables of tokens (there are fewer) and of positions, of which two more are stored."""
CONFIG = {
    "vocab_size": ROWS,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "max_position_embeddings": POSITIONS + 2,
    "type_vocab_size": 1,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "tie_word_embeddings": True,
}
MODEL_TYPES = {"roberta": "roberta", "xlm_roberta": "xlm-roberta"}
ARCHITECTURES = {"roberta": "RobertaForMaskedLM", "xlm_roberta": "XLMRobertaForMaskedLM"}
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
EXTRA = ["The weather's fine — 12 °C, isn't it?", "北京的春天很美。", "naïve café"]
"""Texts of other characters, besides tiny_bert's."""


def draw(name: str, *shape: int, scale: float = 0.1, around: float = 0.0) -> np.ndarray:
    """A tensor that follows from its name alone."""
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    return (around + scale * values).astype(np.float32)


def make_tensors() -> dict[str, np.ndarray]:
    """All weights of a masked language model, by Hugging Face's names."""
    hidden, wide = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    tensors: dict[str, np.ndarray] = {}

    def add_norm(name: str) -> None:
        tensors[f"{name}.weight"] = draw(f"{name}.weight", hidden, around=1.0)
        tensors[f"{name}.bias"] = draw(f"{name}.bias", hidden)

    def add_dense(name: str, inputs: int, outputs: int) -> None:
        tensors[f"{name}.weight"] = draw(f"{name}.weight", outputs, inputs)
        tensors[f"{name}.bias"] = draw(f"{name}.bias", outputs)

    for name, rows in {"word": ROWS, "position": POSITIONS + 2, "token_type": 1}.items():
        full = f"roberta.embeddings.{name}_embeddings.weight"
        tensors[full] = draw(full, rows, hidden, scale=0.2)
    add_norm("roberta.embeddings.LayerNorm")
    for index in range(CONFIG["num_hidden_layers"]):
        layer = f"roberta.encoder.layer.{index}"
        for part in ("query", "key", "value"):
            add_dense(f"{layer}.attention.self.{part}", hidden, hidden)
        add_dense(f"{layer}.attention.output.dense", hidden, hidden)
        add_norm(f"{layer}.attention.output.LayerNorm")
        add_dense(f"{layer}.intermediate.dense", hidden, wide)
        add_dense(f"{layer}.output.dense", wide, hidden)
        add_norm(f"{layer}.output.LayerNorm")
    add_dense("lm_head.dense", hidden, hidden)
    add_norm("lm_head.layer_norm")
    tensors["lm_head.bias"] = draw("lm_head.bias", ROWS)
    return tensors


def list_texts() -> list[str]:
    """What the tokenizers are trained on."""
    return [*tiny_bert.write_texts(200, seed=3)[0], *EXTRA]


def write_byte_bpe(folder: Path) -> None:
    """RoBERTa's tokenizer.json: byte-level BPE, <s> and </s> around a text, <mask> with the space before it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=310, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(list_texts(), trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.save(str(folder / "tokenizer.json"))


def write_two_files(folder: Path) -> None:
    """The same as vocab.json and merges.txt."""
    write_byte_bpe(folder)
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False), encoding="utf-8")
    merges = "".join(f"{first} {second}\n" for first, second in model["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}", encoding="utf-8")


def write_sentencepiece(folder: Path) -> None:
    """XLM-R's sentencepiece.bpe.model, a unigram model in spite of its name."""
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(list_texts()),
        model_writer=model,
        model_type="unigram",
        vocab_size=200,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
    )
    (folder / "sentencepiece.bpe.model").write_bytes(model.getvalue())


TOKENIZERS = {"roberta": write_byte_bpe, "xlm_roberta": write_sentencepiece}


def write_preset(folder: Path, name: str = "roberta", **config: Any) -> Path:
    """Weights, config.json and tokenizer.

    Args:
        folder: is made.
        name: of the family.
        config: laid over config.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kind = {"model_type": MODEL_TYPES[name], "architectures": [ARCHITECTURES[name]]}
    (folder / "config.json").write_text(json.dumps({**CONFIG, **kind, **config}))
    save_file(make_tensors(), folder / "model.safetensors", metadata={"format": "pt"})
    TOKENIZERS[name](folder)
    return folder
