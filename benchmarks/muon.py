"""Steps and seconds until Muon's validation loss is what AdamW reaches, each with the best of several rates.

A small BERT learns to fill masks in texts that a random automaton writes: each token has a few likely successors.
Both optimizers train the same net from the same weights on the same batches, with warm-up and a fall to zero; each has
its rate tuned over a grid. The target is the final loss of AdamW's best rate; of each run, the first measurement at or
below the target counts. Seconds are those of training steps alone, the first left out.

    python benchmarks/muon.py [--hidden 64] [--layers 2] [--batch 32] [--tokens 32] [--steps 600]
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from kerasft.models.text.bert_layers import BertEmbeddings, BertTransformerLayer
from kerasft.optimizers import AdamW, Muon, Warmup

VOCABULARY, SUCCESSORS, MASK = 128, 2, 0
MASKED_SHARE = 0.2
MEASURE_EVERY = 20
# an update's root mean square is about rate for AdamW and 0.2 · rate for Muon
RATES = {"AdamW": (1e-3, 2e-3, 4e-3, 8e-3), "Muon": (5e-3, 1e-2, 2e-2, 4e-2)}


class Texts:
    """Masked batches of an automaton's texts, the same for the same number."""

    def __init__(self, batch: int, tokens: int):
        random = np.random.default_rng(0)
        self._successors = random.integers(1, VOCABULARY, (VOCABULARY, SUCCESSORS))
        share = 1.0 / np.arange(1, SUCCESSORS + 1)
        self._shares = share / share.sum()
        self._shape = (batch, tokens)

    def make_batch(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(ids with masks, ids, 1.0 where masked), each (batch, tokens)."""
        random = np.random.default_rng([1, number])
        batch, tokens = self._shape
        ids = np.empty(self._shape, "int32")
        ids[:, 0] = random.integers(1, VOCABULARY, batch)
        for place in range(1, tokens):
            likely = self._successors[ids[:, place - 1], random.choice(SUCCESSORS, batch, p=self._shares)]
            any_token = random.integers(1, VOCABULARY, batch)
            ids[:, place] = np.where(random.random(batch) < 0.05, any_token, likely)
        masked = random.random(self._shape) < MASKED_SHARE
        return np.where(masked, MASK, ids).astype("int32"), ids, masked.astype("float32")


def build_model(hidden: int, layers: int, tokens: int) -> keras.Model:
    ids = keras.Input((tokens,), dtype="int32")
    x = BertEmbeddings(VOCABULARY, hidden, tokens, 0, 0.0, seed=0, name="embeddings")(ids)
    mask = keras.ops.ones_like(ids)
    for index in range(layers):
        layer = BertTransformerLayer(hidden // 32, hidden, 4 * hidden, 0.0, seed=index, name=f"layer_{index}")
        x = layer(x, mask)
    initializer = keras.initializers.TruncatedNormal(stddev=0.02, seed=0)
    return keras.Model(ids, keras.layers.Dense(VOCABULARY, kernel_initializer=initializer, name="logits")(x))


def compute_loss(model, ids, labels, masked):
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(ids, training=True))
    return tf.reduce_sum(losses * masked) / tf.reduce_sum(masked)


def train(optimizer, model, texts: Texts, steps: int, validation) -> list[tuple[int, float, float]]:
    """(steps done, seconds of training, validation loss), time and again."""
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def step(ids, labels, masked):
        with tf.GradientTape() as tape:
            loss = compute_loss(model, ids, labels, masked)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    measure = tf.function(lambda *batch: compute_loss(model, *batch), autograph=False)
    seconds, course = 0.0, []
    for number in range(steps):
        batch = [tf.constant(part) for part in texts.make_batch(number)]
        start = time.perf_counter()
        float(step(*batch))
        seconds += time.perf_counter() - start if number else 0.0
        if (number + 1) % MEASURE_EVERY == 0 or number + 1 == steps:
            course.append((number + 1, seconds, float(np.mean([measure(*each) for each in validation]))))
    return course


def make_optimizer(name: str, rate: float, steps: int):
    schedule = Warmup(rate, steps // 20, steps, "linear")
    if name == "AdamW":
        return AdamW(schedule, weight_decay=0.01, beta_2=0.98)
    # AdamW's part of Muon has the rate that AdamW alone does best with, or near it
    return Muon(
        schedule, weight_decay=0.01, beta_2=0.98, adamw_rate_scale=2e-3 / rate, adamw_match=["^logits/"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("hidden", 64), ("layers", 2), ("batch", 32), ("tokens", 32), ("steps", 600)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    texts = Texts(arguments.batch, arguments.tokens)
    validation = [[tf.constant(part) for part in texts.make_batch(10**6 + number)] for number in range(4)]
    best: dict[str, list[tuple[int, float, float]]] = {}
    for name, rates in RATES.items():
        for rate in rates:
            model = build_model(arguments.hidden, arguments.layers, arguments.tokens)
            course = train(
                make_optimizer(name, rate, arguments.steps), model, texts, arguments.steps, validation
            )
            _, seconds, loss = course[-1]
            each = 1e3 * seconds / (arguments.steps - 1)
            print(
                f"{name:6} rate {rate:<7g} loss {loss:.4f} after {arguments.steps} steps of {each:.0f} ms",
                flush=True,
            )
            if name not in best or loss < best[name][-1][2]:
                best[name] = course
    target = best["AdamW"][-1][2]
    for name, course in best.items():
        steps, seconds, _ = next((point for point in course if point[2] <= target), (None, None, None))
        reached = "never" if steps is None else f"after {steps} steps, {seconds:.1f} s"
        print(f"{name}: loss {target:.4f} reached {reached}; its own last is {course[-1][2]:.4f}")


if __name__ == "__main__":
    main()
