"""What the head at masked tokens alone saves: a training step with it, and with the head at all tokens.

usage: masked_head.py [--vocabulary 8192] [--layers 4] [--width 256] [--batch 16] [--tokens 128] [--pairs 3]

Each is a process of its own that trains a new net on random tokens with `compile` and `fit`: seconds a step (the first
left out), and the most memory that it took beyond what it had before the first step. Both have the same loss, of
15 % of the tokens; at all tokens, the other 85 % are computed and left out of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

from resident import begin_peak_mb, read_peak_mb

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Seconds a step, and megabytes."""
    import keras
    import keras_hub
    import numpy as np
    import tensorflow as tf

    from kerasft.models.text.masked_heads import build_fast_masked_lm, build_hub_masked_lm
    from kerasft.tasks.token_losses import UNTAGGED, TokenCrossentropy

    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=options.vocabulary,
        num_layers=options.layers,
        num_heads=max(1, options.width // 64),
        hidden_dim=options.width,
        intermediate_dim=4 * options.width,
        max_sequence_length=options.tokens,
    )
    model = build_fast_masked_lm(build_hub_masked_lm(backbone), dropout=0.0, seed=0)
    model.compile(keras.optimizers.AdamW(1e-3), TokenCrossentropy(), jit_compile=False)
    generator = np.random.default_rng(0)
    shape = (options.batch, options.tokens)
    tokens = generator.integers(5, options.vocabulary, shape).astype(np.int32)
    masked = np.sort(
        generator.permuted(np.tile(np.arange(options.tokens), (options.batch, 1)), axis=1)[
            :, : round(0.15 * options.tokens)
        ]
    )
    positions, targets = masked, np.take_along_axis(tokens, masked, 1)
    if options.child == "all":
        positions = np.tile(np.arange(options.tokens), (options.batch, 1))
        targets = np.full(shape, UNTAGGED)
        np.put_along_axis(targets, masked, np.take_along_axis(tokens, masked, 1), 1)
    inputs = {
        "token_ids": tokens,
        "segment_ids": np.zeros(shape, np.int32),
        "padding_mask": np.ones(shape, np.int32),
        "position_ids": np.tile(np.arange(options.tokens, dtype=np.int32), (options.batch, 1)),
        "mask_positions": positions.astype(np.int32),
    }
    data = tf.data.Dataset.from_tensors((inputs, targets.astype(np.int32))).repeat()
    before = begin_peak_mb()
    first = model.fit(data, steps_per_epoch=1, epochs=1, verbose=0).history["loss"][0]
    started = time.perf_counter()
    model.fit(data, steps_per_epoch=options.steps, epochs=1, verbose=0)
    seconds = (time.perf_counter() - started) / options.steps
    return {"seconds": seconds, "megabytes": read_peak_mb() - before, "loss": first}


def main() -> None:
    """Runs the pairs and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    numbers = {
        "vocabulary": 8192,
        "layers": 4,
        "width": 256,
        "batch": 16,
        "tokens": 128,
        "steps": 10,
        "pairs": 3,
    }
    for name, value in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--child", choices=("masked", "all"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options)))
        return
    print(f"{'head at':>8}  {'s a step':>8}  {'MB':>6}  {'first loss':>10}", flush=True)
    for _ in range(options.pairs):
        for child in ("masked", "all"):
            command = [sys.executable, __file__, *sys.argv[1:], "--child", child]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr[-2000:])
            found = json.loads(done.stdout.strip().splitlines()[-1])
            print(
                f"{child:>8}  {found['seconds']:>8.3f}  {found['megabytes']:>6.0f}  {found['loss']:>10.5f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
