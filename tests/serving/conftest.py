"""A tiny classifier's served module, and one export of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bert

from kerasft.tasks.served import RawInputs

LABELS = ("disliked", "zły", "好")
MAX_LENGTH = 24


@pytest.fixture(scope="session")
def tiny_module(tiny_preset: Path) -> Any:
    """The served form of a classifier with random weights: three classes, 24 tokens a text."""
    from kerasft.models.text.heads import build_fast_classifier
    from kerasft.models.text.presets import load_text_backbone
    from kerasft.tasks.text_classification.serving import TextClassifierModule
    from kerasft.text.tokenizers.vocabulary import load_vocabulary
    from kerasft.text.tokenizers.wordpiece import WordPiece

    model = build_fast_classifier(
        load_text_backbone(tiny_preset), len(LABELS), pooling="cls", dropout=0.1, seed=0
    )
    generator = np.random.default_rng(0)
    head = model.get_layer("logits")
    head.set_weights([generator.standard_normal(weight.shape) for weight in head.get_weights()])
    return TextClassifierModule(model, WordPiece(load_vocabulary(tiny_preset)), MAX_LENGTH, LABELS)


@pytest.fixture(scope="session")
def expected(tiny_module: Any) -> Callable[[list[RawInputs]], np.ndarray]:
    """Raw inputs → probabilities of the module itself, one text at a time."""

    def compute(inputs: list[RawInputs]) -> np.ndarray:
        texts = [str(one["text"]).encode("utf-8", "replace") for one in inputs]
        answers = [tiny_module.serving_default([text]) for text in texts]
        return np.concatenate([answer["probabilities"].numpy() for answer in answers])

    return compute


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """A few of the tiny vocabulary's texts, and one with half of a surrogate pair."""
    return [*tiny_bert.write_texts(6)[0], "a \ud83d half"]


@pytest.fixture(scope="session")
def published(
    tmp_path_factory: pytest.TempPathFactory, tiny_module: Any, expected: Any, texts: list[str]
) -> Path:
    """A published version; to be read only."""
    from kerasft.serving.publishing import publish_saved_model
    from kerasft.tasks.answers import measure_probabilities
    from kerasft.tasks.text_classification.serving import PROBES
    from kerasft.text.raw import check_raw_text

    folder = tmp_path_factory.mktemp("served") / "model" / "1"
    publish_saved_model(
        tiny_module,
        folder,
        [{"text": text} for text in texts],
        expected,
        probes=PROBES,
        accepts=lambda inputs: not check_raw_text(inputs["text"]),
        measure=partial(measure_probabilities, label_names=LABELS),
        tolerance=1e-5,
        documents={"labels.txt": "".join(f"{label}\n" for label in LABELS)},
    )
    return folder


@pytest.fixture(scope="session")
def serve(published: Path) -> Callable[..., dict[str, np.ndarray]]:
    """Texts or bytes → what the published version's signature answers."""
    import tensorflow as tf

    model = tf.saved_model.load(str(published))
    signature = model.signatures["serving_default"]

    def answer(batch: list[str] | list[bytes], model: Any = model) -> dict[str, np.ndarray]:
        outputs = signature(text=tf.constant(batch, tf.string, shape=[len(batch)]))
        return {name: value.numpy() for name, value in outputs.items()}

    return answer
