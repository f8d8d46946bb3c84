"""Short texts with two types of entities, and an experiment on them with the tiny BERT that trains in seconds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import tiny_bert

OPINION = re.compile(rf"\b(?:(?:very|really) )*(?:{'|'.join(tiny_bert.LIKED + tiny_bert.DISLIKED)})\b")
THING = re.compile(rf"\b(?:{'|'.join(tiny_bert.SUBJECTS)})\b")


def find_entities(text: str) -> list[list[Any]]:
    """[start, end, type] of what is said of things (`very good`), and of the things (`film`)."""
    found = [
        [match.start(), match.end(), kind]
        for kind, pattern in (("opinion", OPINION), ("thing", THING))
        for match in pattern.finditer(text)
    ]
    return sorted(found)


def write_experiment(folder: Path, preset: Path, **sections: Any) -> Path:
    """A config file beside its data, as JSON (which is YAML): 64 texts to learn from, 24 to measure on.

    The texts to measure on are of a few words to a hundred, which is more than the model takes at once.

    Args:
        folder: made if need be.
        preset: the tiny BERT's.
        sections: replace whole sections.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts, _ = tiny_bert.write_texts(100, seed=2)
    measured = [*texts[64:84], *(" . ".join(texts[84 + 4 * i : 88 + 4 * i] * 2) for i in range(4))]
    for name, chosen in (("train", texts[:64]), ("test", measured)):
        rows = [{"text": text, "entities": find_entities(text)} for text in chosen]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    config = {
        "name": "tiny-entities",
        "task": {"type": "token_classification"},
        "data": {
            "train": {"format": "jsonl", "path": "train.jsonl"},
            "validation": {"format": "jsonl", "path": "test.jsonl"},
            "test": {"format": "jsonl", "path": "test.jsonl"},
        },
        "model": {"preset": str(preset), "max_length": 32},
        "train": {
            "epochs": 3,
            "batch_size": 8,
            "optimizer": {"type": "adamw", "learning_rate": 0.01},
            "precision": "float32",
        },
        "evaluate": {"bootstrap_samples": 50},
        "export": {"replay_examples": 24},
    }
    path = folder / "experiment.yaml"
    path.write_text(json.dumps({**config, **sections}), encoding="utf-8")
    return path
