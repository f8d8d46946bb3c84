"""Pre-train a small BERT on raw texts, ask it for masked words, then fine-tune it on labelled ones.

    python examples/pretrain_and_finetune.py [--texts "books/*.txt"] [--steps 200] [--output runs/reading]

Without --texts it reads the sample reviews, of which it forgets the labels first: enough to see every step, and far too
few to learn a language from.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import resources
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import kerasft

CONFIG = """\
name: reading
task: {{type: masked_lm}}
data: {{train: {source}}}
tokenizer: {{type: wordpiece, vocabulary_size: {vocabulary}, lowercase: true}}
model: {{size: {{layers: 2, width: 128, heads: 2}}, max_length: 128}}
train: {{max_steps: {steps}, batch_size: 32, optimizer: {{type: adamw, learning_rate: 1.0e-3}}}}
"""


def read_samples(split: str) -> list[dict[str, str]]:
    """The sample reviews: `{"text": …, "label": …}` each."""
    text = (resources.files("kerasft.samples") / "reviews" / f"{split}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def main() -> None:
    """Pre-trains, asks, fine-tunes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--texts", help="a file, a folder or a glob of .txt files")
    parser.add_argument("--vocabulary", type=int, default=2000, help="tokens of the new tokenizer")
    parser.add_argument("--steps", type=int, default=200, help="of the pre-training")
    parser.add_argument("--epochs", type=int, default=3, help="of the fine-tuning")
    parser.add_argument("--output", type=Path, default=Path("runs/reading"), help="where both run folders go")
    arguments = parser.parse_args()

    source = {"format": "jsonl", "path": "package:kerasft.samples/reviews/train.jsonl"}
    if arguments.texts:
        source = {"format": "text", "path": str(Path(arguments.texts).absolute())}
    arguments.output.mkdir(parents=True, exist_ok=True)
    config = arguments.output / "reading.yaml"
    config.write_text(
        CONFIG.format(source=json.dumps(source), vocabulary=arguments.vocabulary, steps=arguments.steps),
        "utf-8",
    )
    reading = kerasft.finetune(config, output=arguments.output / "pretrained")
    for answer in reading.predict(["The food was [MASK].", "I would not [MASK] it again."]):
        print(f"{answer['text']} → {', '.join(answer['masks'][0]['words'])}")

    run = kerasft.finetune(
        task="text_classification",
        preset=arguments.output / "pretrained" / "preset",
        train=read_samples("train"),
        validation=read_samples("validation"),
        test=read_samples("test"),
        epochs=arguments.epochs,
        learning_rate=1e-3,
        output=arguments.output / "finetuned",
    )
    accuracy = run.evaluate()["test"]["accuracy"]
    print(
        f"test accuracy {accuracy['value']:.3f}, 95 % interval {accuracy['low']:.3f} to {accuracy['high']:.3f}"
    )


if __name__ == "__main__":
    main()
