"""A tiny BERT preset, a small set of texts, and an experiment on both that trains in seconds."""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path
from typing import Any

LIKED = ["good", "great", "lovely", "superb", "tasty", "warm"]
DISLIKED = ["bad", "awful", "dull", "poor", "bland", "cold"]
_SUBJECTS = "film meal phone hotel story soup camera train actor dessert screen view"
SUBJECTS = _SUBJECTS.split()
_OTHERS = """
    the a was is and but very quite this that we i it not never again with for of to in on at
    evening morning friend price staff battery room music ending really would come back my our
"""
OTHERS = _OTHERS.split()
LETTERS = [*"abcdefghijklmnopqrstuvwxyz", *"0123456789", *".,!?'-"]
PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS[:36]),
    *LIKED,
    *DISLIKED,
    *SUBJECTS,
    *(word for word in OTHERS if len(word) > 1),
    *("##ed", "##ing", "##ly", "##er"),
]

OPENINGS = ["the {s} was {w}", "a {w} {s}", "this {s} is {w}", "{w} , the {s}", "my {s} was {w}"]
ENDINGS = [
    "",
    "in the evening",
    "and we would come back",
    "for that price",
    "and the staff was {w}",
    "but it was not the {s} of our friend",
    "with music , and the room was very {w} , really {w} , again and again",
]


def write_texts(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Short texts of a few words to some twenty, no two the same, with the labels `liked` and `disliked`."""
    generator = random.Random(seed)
    rows: dict[str, str] = {}
    while len(rows) < count:
        label = ("liked", "disliked")[len(rows) % 2]
        words = LIKED if label == "liked" else DISLIKED
        form = f"{generator.choice(OPENINGS)} {generator.choice(ENDINGS)}".replace("{s}", "{}")
        text = ""
        for part in form.replace("{}", "{s}").split():
            part = part.replace("{s}", generator.choice(SUBJECTS)).replace("{w}", generator.choice(words))
            text += f" {part}"
        rows.setdefault(text.strip(), label)
    return list(rows), list(rows.values())


def build_backbone(seed: int = 0, **sizes: Any) -> Any:
    """A keras-hub `BertBackbone` of 2 layers with random weights; biases and norms too are off their first values."""
    import keras
    import keras_hub
    import numpy as np

    keras.utils.set_random_seed(seed)
    settings = {
        "vocabulary_size": len(PIECES),
        "num_layers": 2,
        "num_heads": 2,
        "hidden_dim": 32,
        "intermediate_dim": 64,
        "max_sequence_length": 64,
        "dropout": 0.1,
    }
    backbone = keras_hub.models.BertBackbone(**{**settings, **sizes})
    generator = np.random.default_rng(seed)
    for variable in backbone.weights:
        noise = 0.05 * generator.standard_normal(variable.shape)
        variable.assign(variable.numpy() + noise.astype(np.float32))
    return backbone


_backbones = functools.cache(build_backbone)


def lend_backbone(seed: int = 0, **sizes: Any) -> Any:
    """`build_backbone`, built once a process: to be read only, as by a net that begins with a copy of its weights."""
    import keras

    backbone = _backbones(seed, **sizes)
    keras.utils.set_random_seed(seed)  # as building it does
    return backbone


def make_inputs(batch: int, width: int) -> dict[str, Any]:
    """What the encoder takes, int32 (batch, width) tensors: random tokens, of a length of its own in each row."""
    import numpy as np
    import tensorflow as tf

    generator = np.random.default_rng(0)
    mask = (np.arange(width) < generator.integers(2, width + 1, (batch, 1))).astype(np.int32)
    token_ids = generator.integers(5, len(PIECES), (batch, width)).astype(np.int32) * mask
    return {
        "token_ids": tf.constant(token_ids),
        "segment_ids": tf.zeros_like(token_ids),
        "padding_mask": tf.constant(mask),
    }


def write_preset(folder: Path) -> Path:
    """The backbone and its tokenizer as a keras-hub preset; words of praise lie together, as after pre-training."""
    import keras_hub
    import numpy as np

    backbone = build_backbone(dropout=0.02)
    table = backbone.get_layer("token_embedding").embeddings
    values = table.numpy() * 3
    praise = np.random.default_rng(1).standard_normal(values.shape[1])
    for words, sign in ((LIKED, 1), (DISLIKED, -1)):
        values[[PIECES.index(word) for word in words]] += sign * praise
    table.assign(values)
    backbone.save_to_preset(str(folder))
    keras_hub.models.BertTokenizer(vocabulary=PIECES, lowercase=True).save_to_preset(str(folder))
    return folder


def write_experiment(folder: Path, preset: Path, **sections: Any) -> Path:
    """A config file beside its data, as JSON (which is YAML): 64 texts to learn from, 24 and 24 to measure on.

    Args:
        folder: where they go.
        preset: the tiny preset's folder.
        sections: laid over the config, section by section.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts, labels = write_texts(112)
    bounds = {"train": (0, 64), "validation": (64, 88), "test": (88, 112)}
    for split, (start, stop) in bounds.items():
        rows = zip(texts[start:stop], labels[start:stop], strict=True)
        lines = (json.dumps({"text": text, "label": label}) for text, label in rows)
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    config: dict[str, Any] = {
        "name": "tiny",
        "seed": 0,
        "task": {"type": "text_classification"},
        "data": {split: {"format": "jsonl", "path": f"{split}.jsonl"} for split in bounds},
        "model": {"preset": str(preset), "max_length": 32},
        "train": {
            "epochs": 4,
            "batch_size": 8,
            "precision": "float32",
            "optimizer": {"type": "adamw", "learning_rate": 5e-3, "weight_decay": 0.01},
            "tensorboard": {"every_steps": 1},
        },
        "evaluate": {"bootstrap_samples": 50},
        "export": {"replay_examples": 8},
    }
    for name, section in sections.items():
        config[name] = {**config[name], **section} if isinstance(section, dict) else section
    path = folder / "experiment.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path
