"""Images a second of a `keras.applications` net in training and forward, alone or in pairs with other programs.

usage: efficientnet.py [--way plain|float32|bfloat16] [--network EfficientNetB0] [--size 224] [--frozen-norms]
       efficientnet.py --way bfloat16 --pairs 3 --peer "peer/bin/python torch_efficientnet.py bf16" --peer "… fp32"

Random weights and pictures in memory, 5 classes. Training is `compile` and `fit` with kerasft's gradient descent,
without the first steps; forward is what `build_fast_forward` gives (`plain`: Keras' own net as a `tf.function`). A pair
runs both sides as whole processes one after the other; of several peers the better figure counts. A peer prints
`train X predict Y`, in images a second.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import statistics
import subprocess
import sys
import time

FIGURES = re.compile(r"train ([\d.]+) predict ([\d.]+)")


def measure(arguments: argparse.Namespace) -> str:
    """One line with this side's figures."""
    import keras
    import tensorflow as tf

    from kerasft.models.image.fast import accelerate_image_model, build_fast_forward
    from kerasft.optimizers import GradientDescent

    keras.utils.set_random_seed(0)
    model = build_network(arguments)
    plain = arguments.way == "plain"
    fast = model if plain else accelerate_image_model(model, arguments.way)
    fast.compile(GradientDescent(1e-3), keras.losses.SparseCategoricalCrossentropy(True), jit_compile=False)
    size, batch = arguments.size, arguments.batch
    pictures = tf.random.uniform((batch, size, size, 3), 0.0, 255.0)
    labels = tf.random.uniform((batch,), 0, 5, tf.int32)
    data = tf.data.Dataset.from_tensors((pictures, labels)).repeat(arguments.steps + 3)
    ends = []
    end = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda step, logs: ends.append(time.perf_counter())
    )
    start = time.perf_counter()
    fast.fit(data, verbose=0, callbacks=[end])
    training = (ends[-1] - ends[2]) / arguments.steps
    if plain:
        forward = tf.function(lambda x: model(x, training=False), autograph=False)
    else:
        forward = build_fast_forward(model, arguments.way)
    seconds = []
    for _ in range(arguments.steps + 2):
        begun = time.perf_counter()
        forward(pictures).numpy()
        seconds.append(time.perf_counter() - begun)
    rates = f"train {batch / training:.1f} predict {batch / statistics.mean(seconds[2:]):.1f} img/s"
    return (
        f"kerasft {arguments.way} {arguments.network} {size} px: {rates}, first step {ends[0] - start:.1f} s"
    )


def build_network(arguments: argparse.Namespace):
    """The net with a head of 5 classes."""
    import keras

    shape = (arguments.size, arguments.size, 3)
    options = {"alpha": arguments.alpha} if arguments.network == "MobileNet" else {}
    backbone = getattr(keras.applications, arguments.network)(
        weights=None, include_top=False, pooling="avg", input_shape=shape, **options
    )
    for layer in backbone.layers:
        if arguments.frozen_norms and isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    dropped = keras.layers.Dropout(0.2)(backbone.output)
    return keras.Model(backbone.input, keras.layers.Dense(5, name="head")(dropped))


def run(command: list[str]) -> tuple[float, float]:
    """(training, forward) that a process prints."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    found = FIGURES.search(done.stdout)
    if done.returncode or found is None:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    return float(found[1]), float(found[2])


def compare(own: list[str], peers: list[str], pairs: int) -> None:
    """Runs the pairs and prints a table."""
    ratios: list[tuple[float, float]] = []
    print(
        f"{'pair':>4}  {'train':>6} {'peer':>6} {'ratio':>6}  {'forward':>7} {'peer':>6} {'ratio':>6}",
        flush=True,
    )
    for pair in range(1, pairs + 1):
        ours = run(own)
        others = [run(shlex.split(peer)) for peer in peers]
        theirs = tuple(max(figures) for figures in zip(*others, strict=True))
        ratios.append((ours[0] / theirs[0], ours[1] / theirs[1]))
        left = f"{ours[0]:>6.1f} {theirs[0]:>6.1f} {ratios[-1][0]:>6.2f}"
        print(f"{pair:>4}  {left}  {ours[1]:>7.1f} {theirs[1]:>6.1f} {ratios[-1][1]:>6.2f}", flush=True)
    medians = [statistics.median(column) for column in zip(*ratios, strict=True)]
    print(f"median ratio: training {medians[0]:.2f}, forward {medians[1]:.2f} (above 1: kerasft is faster)")


def main() -> None:
    """Measures this side, or runs the pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--way", choices=["plain", "float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--network", default="EfficientNetB0")
    parser.add_argument("--alpha", type=float, default=0.25, help="MobileNet's width")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=5, help="timed steps")
    parser.add_argument("--frozen-norms", action="store_true", help="batch normalisation as in fine-tuning")
    parser.add_argument("--peer", action="append", default=[], help="another program, as one string")
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    if not arguments.peer:
        print(measure(arguments))
        return
    own = [sys.executable, __file__, f"--way={arguments.way}", f"--network={arguments.network}"]
    own += [f"--{name}={getattr(arguments, name)}" for name in ("alpha", "size", "batch", "steps")]
    compare(own + ["--frozen-norms"] * arguments.frozen_norms, arguments.peer, arguments.pairs)


if __name__ == "__main__":
    main()
