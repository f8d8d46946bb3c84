"""Milliseconds a step of kerasft's optimizers and of Keras' own, on the variables of a BERT encoder.

Only the optimizer is timed: fixed gradients are applied inside a `tf.function`, as `fit` does; the token
embedding's gradient is an `IndexedSlices`, as lookups give it. The two optimizers of a pair alternate. Muon's are
the variables of kerasft's encoder, whose kernels are matrices; its products are set against plain ones.

    python benchmarks/optimizer.py [--layers 6] [--hidden 384] [--tokens 1024] [--steps 30]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from kerasft import optimizers
from kerasft.models.text.bert_layers import BertTransformerLayer

PAIRS = {
    "AdamW": (keras.optimizers.AdamW, optimizers.AdamW, {"weight_decay": 0.01}),
    "AdamW, global_clipnorm": (
        keras.optimizers.AdamW,
        optimizers.AdamW,
        {"weight_decay": 0.01, "global_clipnorm": 1.0},
    ),
    "AdamW, EMA": (keras.optimizers.AdamW, optimizers.AdamW, {"weight_decay": 0.01, "use_ema": True}),
    "AdamW, 4 accumulated": (
        keras.optimizers.AdamW,
        optimizers.AdamW,
        {"weight_decay": 0.01, "gradient_accumulation_steps": 4},
    ),
    "descent": (keras.optimizers.SGD, optimizers.GradientDescent, {}),
    "descent, momentum": (
        keras.optimizers.SGD,
        optimizers.GradientDescent,
        {"momentum": 0.9, "weight_decay": 0.01},
    ),
}


def copy_bandwidth(threads: int) -> float:
    """GB/s read plus written by a copy of 200 MB, the best of five."""
    source = np.ones(50_000_000, np.float32)
    target = np.zeros_like(source)
    parts = np.linspace(0, source.size, threads + 1, dtype=int)

    def copy(place):
        np.copyto(target[parts[place] : parts[place + 1]], source[parts[place] : parts[place + 1]])

    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            start = time.perf_counter()
            list(pool.map(copy, range(threads)))
            best = min(best, time.perf_counter() - start)
    return 2 * source.nbytes / best / 1e9


def make_gradients(variables, tokens: int) -> list:
    """One gradient a variable, of plausible size; rows for the largest embedding."""
    random = np.random.default_rng(0)
    gradients = [tf.constant(1e-2 * random.normal(size=v.shape), tf.float32) for v in variables]
    place = max(range(len(variables)), key=lambda each: variables[each].shape[0])
    rows, width = variables[place].shape
    gradients[place] = tf.IndexedSlices(
        tf.constant(1e-2 * random.normal(size=(tokens, width)), tf.float32),
        tf.constant(random.integers(0, rows, tokens), tf.int32),
        tf.constant([rows, width]),
    )
    return gradients


def make_step(optimizer, variables, gradients):
    """A compiled step, run once; and the seconds that the first call took."""
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step():
        optimizer.apply(gradients, variables)

    start = time.perf_counter()
    step()
    return step, time.perf_counter() - start


def alternate(steps: dict, count: int) -> dict[str, float]:
    """Median milliseconds of each step, timed by turns."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(count):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def measure_product_rate(hidden: int) -> float:
    """GFLOP/s of one product of a feed-forward layer's sizes, the best of ten."""
    left, right = tf.random.normal((hidden, 4 * hidden)), tf.random.normal((4 * hidden, hidden))
    product = tf.function(tf.matmul, autograph=False)
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        product(left, right)
        best = min(best, time.perf_counter() - start)
    return 8 * hidden**3 / best / 1e9


def measure_muon(layers: int, hidden: int, count: int) -> None:
    """Prints Muon's step, ours and Keras', beside AdamW's on the same variables."""
    blocks = [
        BertTransformerLayer(hidden // 32, hidden, 4 * hidden, name=f"layer_{i}") for i in range(layers)
    ]
    variables = [variable for block in blocks for variable in block.trainable_variables]
    random = np.random.default_rng(0)
    gradients = [tf.constant(1e-2 * random.normal(size=v.shape), tf.float32) for v in variables]
    makers = {
        "AdamW": lambda: optimizers.AdamW(1e-5, weight_decay=0.01),
        "Muon": lambda: optimizers.Muon(1e-5, weight_decay=0.01),
        "Keras' Muon": lambda: keras.optimizers.Muon(1e-5, weight_decay=0.01),
    }
    steps = {name: make_step(make(), variables, gradients)[0] for name, make in makers.items()}
    median = alternate(steps, count)
    # 5 iterations of 4·A²·B + 2·A³, in units of A = hidden: 4 square matrices a layer, and two of A × 4·A
    operations = 5 * layers * (4 * 6 + 2 * 18) * hidden**3
    print(f"{layers} layers' matrices: " + ", ".join(f"{name} {ms:.1f} ms" for name, ms in median.items()))
    rate, plain = operations / median["Muon"] / 1e6, measure_product_rate(hidden)
    print(
        f"Muon: {operations / 1e9:.1f} GFLOP a step at {rate:.0f} GFLOP/s; a plain product runs at {plain:.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=384)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--only-muon", action="store_true", help="leave the others out")
    arguments = parser.parse_args()
    measure_muon(arguments.layers, arguments.hidden, arguments.steps)
    if arguments.only_muon:
        return
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=30522,
        num_layers=arguments.layers,
        num_heads=arguments.hidden // 32,
        hidden_dim=arguments.hidden,
        intermediate_dim=4 * arguments.hidden,
    )
    variables = backbone.trainable_variables
    gradients = make_gradients(variables, arguments.tokens)
    parameters = sum(int(np.prod(v.shape)) for v in variables)
    bandwidth = copy_bandwidth(min(os.cpu_count() or 1, 8))
    print(
        f"{parameters / 1e6:.1f} M parameters in {len(variables)} variables; memory copies at {bandwidth:.1f} GB/s"
    )
    print(f"{'':24} {'Keras ms':>9} {'ours ms':>9} {'ratio':>6} {'Keras first s':>14} {'ours first s':>13}")
    for name, (theirs, ours, options) in PAIRS.items():
        steps, first = {}, {}
        for label, optimizer in (("keras", theirs(1e-5, **options)), ("ours", ours(1e-5, **options))):
            steps[label], first[label] = make_step(optimizer, variables, gradients)
        median = alternate(steps, arguments.steps)
        print(
            f"{name:24} {median['keras']:9.1f} {median['ours']:9.1f} {median['keras'] / median['ours']:6.1f}"
            f" {first['keras']:14.2f} {first['ours']:13.2f}",
            flush=True,
        )
    measured = optimizers.AdamW(1e-5, weight_decay=0.01, measure_gradient_norm=True)
    step, _ = make_step(measured, variables, gradients)
    print(f"{'AdamW, norm measured':24} {'':9} {alternate({'ours': step}, arguments.steps)['ours']:9.1f}")


if __name__ == "__main__":
    main()
