"""Pictures a second that are decoded and varied for training, policy by policy: the rounds alternate, the best counts.

    python benchmarks/image_pipeline.py FOLDER [--sides 224 128] [--workers 2] [--rounds 3]

FOLDER has JPEG files, at any depth. `none` is decoding and resizing alone, which evaluation does in one piece as
`decode_image`. Files are in memory: reading them is not measured. The processor's time a picture, of all threads
together, tells more than the rate where the machine does something else.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

POLICIES = ("none", "light", "medium", "strong")
BATCH_SIZE = 32


def build_pipelines(files: list[bytes], side: int, workers: int) -> dict[str, object]:
    """From what is done to a `tf.data.Dataset` of batches."""
    import numpy as np
    import tensorflow as tf

    from kerasft.vision.augmentation.augmenter import build_augmenter
    from kerasft.vision.augmentation.keys import compute_keys, compute_step_key
    from kerasft.vision.config import AugmentationConfig
    from kerasft.vision.decoding.graph import decode_image, decode_near

    size_px = (side, side)
    keys = compute_keys(0, 0, np.arange(len(files)))
    labels = np.eye(10, dtype=np.float32)[np.arange(len(files)) % 10]
    examples = tf.data.Dataset.from_tensor_slices((files, keys, labels))

    def build(policy: str):
        augmenter = build_augmenter(AugmentationConfig(policy=policy), size_px)

        def load(data, key, label):
            image = decode_near(data, size_px, smallest_crop=augmenter.smallest_crop)
            return augmenter.augment(image, key), label

        batches = examples.map(load, num_parallel_calls=workers).batch(BATCH_SIZE)
        if augmenter.mix:
            steps = np.stack([compute_step_key(0, 0, step) for step in range(len(files) // BATCH_SIZE + 1)])
            with_keys = tf.data.Dataset.zip((batches, tf.data.Dataset.from_tensor_slices(steps)))
            batches = with_keys.map(lambda batch, key: augmenter.mix(*batch, key), num_parallel_calls=1)
        return batches

    def decode(data, key, label):
        return decode_image(data, size_px), label

    decoded = examples.map(decode, num_parallel_calls=workers).batch(BATCH_SIZE)
    return {"decode_image": decoded} | {policy: build(policy) for policy in POLICIES}


def measure(pipelines: dict[str, object], count: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Each pipeline's pictures a second and processor milliseconds a picture, each in its best round."""
    best = {name: (0.0, float("inf")) for name in pipelines}
    for _ in range(rounds):
        for name, dataset in pipelines.items():
            began, began_processor = time.perf_counter(), time.process_time()
            for _ in dataset:
                pass
            rate = count / (time.perf_counter() - began)
            milliseconds = (time.process_time() - began_processor) / count * 1000
            best[name] = max(best[name][0], rate), min(best[name][1], milliseconds)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sides", type=int, nargs="+", default=[224, 128])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    if not paths:
        parser.error(f"{arguments.folder} has no JPEG files")
    files = [path.read_bytes() for path in paths]
    print(f"{len(files)} files of {arguments.folder}, {os.cpu_count()} cores, {arguments.workers} at once")
    for side in arguments.sides:
        results = measure(build_pipelines(files, side, arguments.workers), len(files), arguments.rounds)
        for name, (rate, milliseconds) in results.items():
            print(
                f"{side:>4} px   {name:<14}{rate:>7,.0f} pictures/s{milliseconds:>8.2f} ms of processor each"
            )


if __name__ == "__main__":
    main()
