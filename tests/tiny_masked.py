"""A small corpus and an experiment that goes on learning from it with the tiny BERT, in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tiny_bert


def write_experiment(folder: Path, preset: Path | None, **sections: Any) -> Path:
    """A config file beside its data, as JSON (which is YAML): 64 texts to learn from, 24 to measure on.

    The texts to measure on are of a few words to a hundred, which is more than a window holds.

    Args:
        folder: made if need be.
        preset: the tiny BERT's; None: a new net, with a tokenizer of its own.
        sections: replace whole sections.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts, _ = tiny_bert.write_texts(100, seed=2)
    measured = [*texts[64:84], *(" . ".join(texts[84 + 4 * i : 88 + 4 * i] * 2) for i in range(4))]
    for name, chosen in (("train", texts[:64]), ("test", measured)):
        lines = "".join(json.dumps({"text": text}) + "\n" for text in chosen)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    config: dict[str, Any] = {
        "name": "tiny-masked",
        "task": {"type": "masked_lm"},
        "data": {
            "train": {"format": "jsonl", "path": "train.jsonl"},
            "validation": {"format": "jsonl", "path": "test.jsonl"},
            "test": {"format": "jsonl", "path": "test.jsonl"},
        },
        "model": {"preset": str(preset), "max_length": 32},
        "train": {
            "epochs": 3,
            "batch_size": 8,
            "optimizer": {"type": "adamw", "learning_rate": 0.003},
            "precision": "float32",
        },
        "evaluate": {"bootstrap_samples": 50},
        "export": {"replay_examples": 24},
    }
    if preset is None:
        config["model"] = {"size": {"layers": 2, "width": 32, "heads": 2}, "max_length": 32}
        config["tokenizer"] = {"type": "wordpiece", "vocabulary_size": 160, "lowercase": True}
    path = folder / "experiment.yaml"
    path.write_text(json.dumps({**config, **sections}), encoding="utf-8")
    return path
