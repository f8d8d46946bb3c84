"""Made-up runs to report on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from kerasft.metrics.classification import compute_classification_figures
from kerasft.metrics.figures import CLASSIFICATION
from kerasft.report.content import ExportedModel, ReportContent
from kerasft.tasks.display import Measured
from kerasft.tasks.labels_display import SplitPredictions
from kerasft.tasks.text_classification.display import TextClassificationDisplay

MANIFEST = {
    "fingerprint": "0123456789abcdef",
    "splits": {
        "train": {
            "rows": 700,
            "cut_from_train": False,
            "labels": {"no": 300, "yes": 400},
            "rejected": {"empty text": 2, "unknown label": 1},
            "duplicates": {"exact": 5, "conflicting": 1, "near": 7},
        },
        "test": {"rows": 300, "cut_from_train": True, "labels": {"no": 140, "yes": 160}, "rejected": {}},
    },
    "leaks": {
        "train → test": {
            "exact": 2,
            "near": 1,
            "dropped": 0,
            "examples": [
                {
                    "row": "all.csv:9",
                    "text": "Good.",
                    "stands_in": "all.csv:3",
                    "as": "good",
                    "same_label": False,
                }
            ],
        }
    },
    "sources": [{"split": "train", "file": "all.csv", "rows": 1003, "sha256": "ab" * 32}],
}
HISTORY = [
    *(
        {"step": step, "epoch": 1 + step // 50, "loss": 1 / step, "learning_rate": 1e-5}
        for step in range(1, 90)
    ),
    {"epoch": 1, "validation_loss": 0.5, "validation_accuracy": 0.8},
    {"epoch": 2, "validation_loss": 0.4, "validation_accuracy": 0.9},
]


@pytest.fixture
def predict():
    """A function that makes up predictions for n examples of k classes."""

    def make(num_examples, num_classes=2, *, skill=2.0, scale=1.0, seed=0, text="text number {}"):
        generator = np.random.default_rng(seed)
        labels = generator.integers(num_classes, size=num_examples)
        logits = generator.normal(size=(num_examples, num_classes))
        logits[np.arange(num_examples), labels] += skill
        probabilities = np.exp(scale * logits)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return SplitPredictions(
            probabilities=probabilities.astype(np.float32),
            labels=labels,
            texts=[text.format(index) for index in range(num_examples)],
            origins=[f"test.tsv:{index + 1}" for index in range(num_examples)],
        )

    return make


@pytest.fixture
def build_content(predict):
    """A function that builds a content with everything in it; keywords replace fields."""

    def build(
        label_names=("no", "yes"),
        predictions=None,
        *,
        mistakes=20,
        label_smoothing=0.0,
        display_class=TextClassificationDisplay,
        **fields,
    ):
        predictions = predictions or {"validation": predict(200, len(label_names), seed=1)} | {
            "test": predict(300, len(label_names))
        }
        figures = {
            split: compute_classification_figures(found.probabilities, found.labels, label_names)
            for split, found in predictions.items()
        }
        config = SimpleNamespace(figure_kinds=CLASSIFICATION, label_smoothing=label_smoothing)
        display = display_class(config, label_names)
        shown = {
            split: display.show_predictions(
                found, Measured(name=split, figures=figures[split], mistakes=mistakes)
            )
            for split, found in predictions.items()
        }
        everything = {
            "title": "example",
            "task": "text classification",
            "label_names": label_names,
            "figures": figures,
            "kinds": CLASSIFICATION,
            "shown": shown,
            "display": display,
            "training": {"seconds": {"value": 184.0}, "examples_per_second": {"value": 142.3}},
            "history": HISTORY,
            "best_step": 89,
            "manifest": MANIFEST,
            "config_text": "name: example\n",
            "environment": {"versions": {"tensorflow": "2.21.0"}, "devices": ["cpu", "cpu"], "commit": None},
            "export": ExportedModel(path="runs/example/export/1", parity={"largest_difference": 3.25e-7}),
            "usage": [("Classify", "kerasft predict runs/example/config.yaml")],
        }
        return ReportContent(**(everything | fields))

    return build
