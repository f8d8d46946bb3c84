"""Measures `prepare` with all checks on: rows a second, peak memory, and how both grow with the rows.

    python benchmarks/prepare.py [ROWS ...]

Generates rows of about 20 words (words and their frequencies drawn from a seeded Zipf law, two labels, a few
duplicates, near duplicates and broken rows), prepares each size in a process of its own, and prints a line a size;
then the memory that each further row costs.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

VOCABULARY = 30_000
BLOCK = 10_000
LETTERS = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))


def build_vocabulary(random: np.random.Generator) -> list[str]:
    """Different made-up words of 1 to 12 letters, the frequent ones short."""
    frequency = 1.0 / np.arange(1, len(LETTERS) + 1)
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        length = int(np.clip(random.normal(2.5 + 1.2 * np.log10(len(words) + 1), 1.5), 1, 12))
        words["".join(random.choice(LETTERS, length, p=frequency / frequency.sum()))] = None
    return list(words)


def generate(path: Path, rows: int, seed: int) -> None:
    """Writes a CSV file, `text,label`; 0.5 % of the rows repeat or vary an earlier one, 0.1 % are broken."""
    random = np.random.default_rng(seed)
    words = np.array(build_vocabulary(random), object)
    weights = 1.0 / (np.arange(VOCABULARY) + 2.7)
    cumulative = np.cumsum(weights / weights.sum())
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for start in range(0, rows, BLOCK):
            count = min(BLOCK, rows - start)
            lengths = np.clip(random.normal(20, 7, count).astype(int), 3, 60)
            drawn = words[np.searchsorted(cumulative, random.random(lengths.sum()))]
            ends = np.cumsum(lengths)
            texts = [drawn[end - length : end].tolist() for end, length in zip(ends, lengths, strict=True)]
            labels = random.choice(["negative", "positive"], count)
            kinds = random.random(count)
            for i in np.flatnonzero(kinds < 0.005):
                texts[i] = list(texts[random.integers(0, count)])
                if kinds[i] < 0.003:
                    texts[i][random.integers(0, len(texts[i]))] = str(random.choice(words))
            for i in np.flatnonzero(kinds > 0.999):
                texts[i] = []
            writer.writerows(
                (
                    ", ".join([" ".join(text[:9]), " ".join(text[9:])]) if len(text) > 9 else " ".join(text),
                    label,
                )
                for text, label in zip(texts, labels, strict=True)
            )


def prepare(path: Path, folder: Path) -> dict[str, float]:
    """Prepares the file in this process.

    Returns:
        seconds and processor_seconds (of all threads), imports of this package left out; peak_memory_mb of the
        process; and what was found.
    """
    from kerasft.data.config import DataConfig
    from kerasft.data.kinds.fields import Field
    from kerasft.data.prepare.dataset import prepare_dataset

    config = DataConfig.model_validate({"train": {"format": "csv", "path": str(path)}})
    fields = (Field("text", "text"), Field("label", "label", "target"))
    start, processor = time.perf_counter(), time.process_time()
    dataset = prepare_dataset(config, fields, folder, base=path.parent, seed=0)
    seconds = time.perf_counter() - start
    train = dataset.manifest["splits"]["train"]
    return {
        "seconds": seconds,
        "processor_seconds": time.process_time() - processor,
        "peak_memory_mb": read_peak_memory_mb(),
        "kept": sum(split["rows"] for split in dataset.manifest["splits"].values()),
        "duplicates": train["duplicates"]["exact"],
        "near": train["duplicates"]["near"],
    }


def read_peak_memory_mb() -> float:
    """The largest resident size that this process has had, MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(rows: int, seed: int) -> dict[str, float]:
    """Generates a file and prepares it in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        generate(path, rows, seed)
        command = [sys.executable, __file__, "--prepare", str(path), str(Path(folder) / "prepared")]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return json.loads(output.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", type=int, default=[100_000, 1_000_000], help="sizes, rising")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prepare", nargs=2, type=Path, metavar=("FILE", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare:
        print(json.dumps(prepare(*arguments.prepare)))
        return
    print(
        f"{'rows':>10} {'seconds':>9} {'rows/s':>9} {'CPU s':>7} {'peak MiB':>9} {'duplicates':>11} {'near':>8}"
    )
    results = []
    for rows in arguments.rows:
        result = measure(rows, arguments.seed)
        results.append(result)
        print(
            f"{rows:>10,} {result['seconds']:>9.1f} {rows / result['seconds']:>9,.0f} "
            f"{result['processor_seconds']:>7.1f} {result['peak_memory_mb']:>9.0f} "
            f"{result['duplicates']:>11,} {result['near']:>8,}",
            flush=True,
        )
    if len(results) > 1:
        grown = (results[-1]["peak_memory_mb"] - results[0]["peak_memory_mb"]) * 2**20
        slope = grown / (arguments.rows[-1] - arguments.rows[0])
        print(f"memory: {slope:.0f} bytes for each further row")


if __name__ == "__main__":
    main()
