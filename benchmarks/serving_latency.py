"""Latency and throughput of an export against the same model behind keras-hub's preprocessor and `model.predict`.

    python benchmarks/serving_latency.py RUN TEXTS [--export FOLDER] [--threads 2] [--rounds 5]

RUN is a run's folder; TEXTS has one text a line, and what follows a tab is left out. Both sides take raw strings and
give class scores, in one process; their rounds alternate, so that whatever else the machine does meets both. Printed
are the median and 95th percentile of one short text's latency, and the texts a second in batches of 32, best round.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

BATCH = 32
SHORT_WORDS = 12
CALLS = 40
BATCHES = 8


def load_export(folder: Path) -> Callable[[list[str]], np.ndarray]:
    """From a list of texts to logits, through the SavedModel's signature."""
    import tensorflow as tf

    model = tf.saved_model.load(str(folder))
    serve = model.signatures["serving_default"]

    def answer(texts: list[str], model=model) -> np.ndarray:  # the signature does not keep its model alive
        return serve(text=tf.constant(texts))["logits"].numpy()

    return answer


def load_keras(run: Path) -> Callable[[list[str]], np.ndarray]:
    """From a list of texts to logits, as a Keras user would: the published model behind its preprocessor."""
    import keras
    import keras_hub

    max_length = json.loads((run / "task.json").read_text(encoding="utf-8"))["model"]["max_length"]
    model = keras.saving.load_model(run / "model.keras", compile=False)
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor.from_preset(
        str(run / "preset"), sequence_length=max_length
    )

    def answer(texts: list[str]) -> np.ndarray:
        return model.predict(preprocessor(texts), verbose=0)

    return answer


def measure(
    answer: Callable[[list[str]], np.ndarray], short: str, batches: list[list[str]]
) -> tuple[list[float], float]:
    """Seconds of each single call, and texts a second over the batches."""
    seconds = []
    for _ in range(CALLS):
        began = time.perf_counter()
        answer([short])
        seconds.append(time.perf_counter() - began)
    began = time.perf_counter()
    for batch in batches:
        answer(batch)
    return seconds, sum(map(len, batches)) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--export", type=Path, help="the version's folder; by default the run's export/1")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    lines = arguments.texts.read_text(encoding="utf-8").splitlines()
    texts = [line.split("\t")[0] for line in lines][: BATCH * BATCHES]
    batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    short = min(texts, key=lambda text: abs(len(text.split()) - SHORT_WORDS))
    export = arguments.export or arguments.run / "export" / "1"
    sides = {"export": load_export(export), "keras predict": load_keras(arguments.run)}
    answers = [answer(texts[:BATCH]) for answer in sides.values()]
    difference = float(np.abs(answers[0] - answers[1]).max())
    latencies: dict[str, list[float]] = {name: [] for name in sides}
    rates = dict.fromkeys(sides, 0.0)
    for _ in range(arguments.rounds):
        for name, answer in sides.items():
            answer([short])
            seconds, rate = measure(answer, short, batches)
            latencies[name] += seconds
            rates[name] = max(rates[name], rate)
    size = sum(path.stat().st_size for path in export.rglob("*") if path.is_file())
    print(f"{export}: {size / 2**20:.1f} MiB; {arguments.threads} threads; logits differ by {difference:.1e}")
    print(f"{'':<16}{'one text, median':>18}{'95th percentile':>18}{'texts a second':>17}")
    for name in sides:
        median, high = (1000 * np.percentile(latencies[name], part) for part in (50, 95))
        print(f"{name:<16}{median:>15.1f} ms{high:>15.1f} ms{rates[name]:>17.0f}")


if __name__ == "__main__":
    main()
