"""Small texts, prompts and conversations, and experiments that learn to continue them, in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tiny_bert

TEMPLATE = (
    "{% for message in messages %}{{ '<|start|>' + message.role + '\n' + message.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant\n' }}{% endif %}"
)


def make_rows(kind: str, count: int) -> list[dict[str, Any]]:
    """Examples of one of the three kinds of input: reviews, and whether these were liked."""
    texts, labels = tiny_bert.write_texts(count, seed=2)
    if kind == "text":
        return [{"text": text} for text in texts]
    if kind == "completion":
        return [{"prompt": text, "completion": label} for text, label in zip(texts, labels, strict=True)]
    return [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": label}]}
        for text, label in zip(texts, labels, strict=True)
    ]


def write_experiment(folder: Path, kind: str = "text", **sections: Any) -> Path:
    """A config file beside its data, as JSON (which is YAML): 64 examples to learn from, 24 to measure on.

    Args:
        folder: made if need be.
        kind: `text`, `completion` or `chat`.
        sections: replace whole sections.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = make_rows(kind, 88)
    for name, chosen in (("train", rows[:64]), ("test", rows[64:])):
        lines = "".join(json.dumps(row) + "\n" for row in chosen)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    config: dict[str, Any] = {
        "name": "tiny-causal",
        "task": {"type": "causal_lm", "input": kind},
        "data": {
            "train": {"format": "jsonl", "path": "train.jsonl"},
            "validation": {"format": "jsonl", "path": "test.jsonl"},
            "test": {"format": "jsonl", "path": "test.jsonl"},
            "near_duplicates": False,
        },
        "model": {"family": "gpt2", "size": {"layers": 2, "width": 32, "heads": 2}, "context": 32},
        "train": {
            "epochs": 3,
            "batch_size": 8,
            "optimizer": {"type": "adamw", "learning_rate": 0.01},
            "precision": "float32",
        },
        "evaluate": {"bootstrap_samples": 50},
        "export": {"replay_examples": 24},
    }
    if kind == "text":
        config["tokenizer"] = {"type": "characters"}
    else:
        config["tokenizer"] = {"type": "byte_bpe", "vocabulary_size": 300}
        config["model"] |= {"family": "own"}
    path = folder / "experiment.yaml"
    path.write_text(json.dumps({**config, **sections}), encoding="utf-8")
    return path


def write_preset(folder: Path, context: int = 64) -> Path:
    """A preset of 2 layers of 32 with random weights, byte-level tokens, special ones among them, and a chat template;
    its folder."""
    import numpy as np

    from kerasft.models.text.decoders.new_nets import write_decoder_config
    from kerasft.models.text.decoders.presets import load_decoder
    from kerasft.models.text.decoders.publishing import publish_decoder
    from kerasft.models.text.decoders.tokenizer_files import load_decoder_tokenizer
    from kerasft.text.tokenizers.config import TokenizerConfig
    from kerasft.text.tokenizers.training import train_tokenizer

    start = folder / "start"
    texts = [row["text"] for row in make_rows("text", 88)]
    train_tokenizer(TokenizerConfig(type="byte_bpe", vocabulary_size=300), texts, start)
    path = start / "tokenizer.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    for number, token in enumerate(("<|start|>", "<|end|>"), 300):
        whole["added_tokens"].append({**whole["added_tokens"][0], "id": number, "content": token})
    path.write_text(json.dumps(whole), encoding="utf-8")
    settings = json.loads((start / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings |= {"eos_token": "<|end|>", "chat_template": TEMPLATE}
    (start / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    sizes = {"vocabulary_size": 302, "layers": 2, "width": 32, "heads": 4, "kv_heads": 2, "context": context}
    write_decoder_config(start, family="llama", **sizes)
    model = load_decoder(start, random_weights=True, seed=0)
    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:  # with embeddings of 0.02 no token could become likely
        variable.assign(variable + 0.2 * generator.standard_normal(variable.shape).astype(np.float32))
    publish_decoder(model, start, load_decoder_tokenizer(start), folder)
    return folder / "preset"


def write_chat_experiment(folder: Path) -> Path:
    """`write_experiment` of conversations, with a preset."""
    folder.mkdir(parents=True, exist_ok=True)
    model = {"preset": str(write_preset(folder / "run")), "context": 64}
    return write_experiment(folder, "chat", model=model, tokenizer={})
