"""Measures `prepare` with all checks on: rows a second, peak memory, and how both grow with the rows.

    python benchmarks/prepare.py [ROWS ...]
    python benchmarks/prepare.py --corpus [DOCUMENTS ...]

Generates rows of about 20 words (words and their frequencies drawn from a seeded Zipf law, two labels, a few
duplicates, near duplicates and broken rows), prepares each size in a process of its own, and prints a line a size;
then the memory that each further row costs.

With --corpus: documents of about 5 kB without labels, as JSON lines in files of 10,000, drawn from a pool of sentences;
2 % are copies of an earlier document, and 3 % have one word of thirty changed. Prints MB a second, the peak of memory
above that at the start, and how many of the planted duplicates were dropped.
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
from resident import begin_peak_mb, read_peak_mb

VOCABULARY = 30_000
BLOCK = 10_000
SENTENCES = 200_000
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


def generate_corpus(folder: Path, documents: int, seed: int) -> tuple[int, int]:
    """Writes JSON lines, `{"text": …}`.

    Returns:
        How many documents are copies of an earlier one, and how many nearly are.
    """
    random = np.random.default_rng(seed)
    words = np.array(build_vocabulary(random), object)
    weights = 1.0 / (np.arange(VOCABULARY) + 2.7)
    cumulative = np.cumsum(weights / weights.sum())
    pool = []
    for length in np.clip(random.normal(15, 5, SENTENCES).astype(int), 4, 30).tolist():
        drawn = words[np.searchsorted(cumulative, random.random(length))].tolist()
        pool.append(
            " ".join(
                [*drawn[: length // 2], drawn[length // 2] + ",", *drawn[length // 2 + 1 :]]
            ).capitalize()
        )
    copies = changed = 0
    recent: list[list[str]] = []
    for start in range(0, documents, BLOCK):
        with open(folder / f"part-{start // BLOCK:04}.jsonl", "w", encoding="utf-8") as file:
            for kind in random.random(min(BLOCK, documents - start)).tolist():
                size = int(random.integers(40, 80))
                text = [pool[i] for i in random.integers(0, SENTENCES, size)]
                if kind < 0.05 and recent:
                    text = recent[int(random.integers(0, len(recent)))]
                    if kind < 0.02:
                        copies += 1
                    else:
                        text = " ".join(text).split(" ")
                        for place in range(int(random.integers(0, 30)), len(text), 30):
                            text[place] = str(words[int(random.integers(0, VOCABULARY))])
                        text = [" ".join(text)]
                        changed += 1
                elif random.random() < 0.05:
                    recent = [*recent[-999:], text]
                file.write(json.dumps({"text": ". ".join(text)}) + "\n")
    return copies, changed


def prepare_corpus(folder: Path, target: Path) -> dict[str, float]:
    """Prepares the files in this process, train alone.

    Returns:
        seconds; megabytes of text; peak_memory_mb above that at the start; and what was dropped.
    """
    from kerasft.data.config import DataConfig
    from kerasft.data.kinds.fields import Field
    from kerasft.data.prepare.dataset import prepare_dataset

    data = {
        "train": {"format": "jsonl", "path": f"{folder}/*.jsonl"},
        "validation_share": 0.01,
        "test_share": 0.01,
    }
    config = DataConfig.model_validate(data)
    before = begin_peak_mb()
    start, processor = time.perf_counter(), time.process_time()
    dataset = prepare_dataset(config, (Field("text", "text"),), target, base=folder, seed=0)
    splits = dataset.manifest["splits"]
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - processor,
        "megabytes": sum(path.stat().st_size for path in folder.glob("*.jsonl")) / 1e6,
        "peak_memory_mb": read_peak_mb() - before,
        "dropped_exact": splits["train"]["duplicates"]["dropped_exact"],
        "dropped_near": splits["train"]["duplicates"]["dropped_near"],
    }


def measure_corpus(documents: int, seed: int) -> dict[str, float]:
    """Generates a corpus and prepares it in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "corpus"
        source.mkdir()
        copies, changed = generate_corpus(source, documents, seed)
        command = [sys.executable, __file__, "--prepare-corpus", str(source), str(Path(folder) / "prepared")]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return {**json.loads(output.splitlines()[-1]), "copies": copies, "changed": changed}


def compare_corpora(sizes: list[int], seed: int) -> None:
    """Prints a line a size."""
    print(
        f"{'documents':>10} {'MB':>7} {'seconds':>9} {'MB/s':>6} {'CPU s':>7} {'peak MiB':>9} {'copies':>15} "
        f"{'changed':>15}"
    )
    for documents in sizes:
        found = measure_corpus(documents, seed)
        print(
            f"{documents:>10,} {found['megabytes']:>7.0f} {found['seconds']:>9.1f} "
            f"{found['megabytes'] / found['seconds']:>6.1f} {found['processor_seconds']:>7.1f} "
            f"{found['peak_memory_mb']:>9.0f} {found['dropped_exact']:>7,}/{found['copies']:<7,} "
            f"{found['dropped_near']:>7,}/{found['changed']:<7,}",
            flush=True,
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
        "peak_memory_mb": read_peak_mb(),
        "kept": sum(split["rows"] for split in dataset.manifest["splits"].values()),
        "duplicates": train["duplicates"]["exact"],
        "near": train["duplicates"]["near"],
    }


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
    parser.add_argument(
        "rows", nargs="*", type=int, help="sizes, rising (100,000 and 1,000,000; documents: 40,000)"
    )
    parser.add_argument("--corpus", action="store_true", help="documents of 5 kB instead of labelled rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prepare", nargs=2, type=Path, metavar=("FILE", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument(
        "--prepare-corpus", nargs=2, type=Path, metavar=("FOLDER", "FOLDER"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.prepare:
        print(json.dumps(prepare(*arguments.prepare)))
        return
    if arguments.prepare_corpus:
        print(json.dumps(prepare_corpus(*arguments.prepare_corpus)))
        return
    if arguments.corpus:
        compare_corpora(arguments.rows or [40_000], arguments.seed)
        return
    arguments.rows = arguments.rows or [100_000, 1_000_000]
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
