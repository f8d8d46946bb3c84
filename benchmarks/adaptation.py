"""What each way to adapt a pre-trained net reaches and costs: `model.adaptation`, type by type and seed by seed.

usage: adaptation.py CONFIG.yaml [KEY=VALUE …] [--seeds 0 1 2] [--types full head …] [--rate TYPE=RATE …] [--to FOLDER]

Runs `kerasft run` for each, and reads the runs' metrics.json: the accuracy on validation (mean and each seed's), the
share of the weights that learns, seconds of training, peak memory, and the size of what has to be kept: the adapter's
folder for lora, else model.keras. The less learns, the higher the learning rate usually is; RATES holds the defaults.
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

RATES = {"full": 5e-5, "layerwise": 1e-4, "gradual": 1e-4, "lora": 1e-3, "bitfit": 1e-3, "head": 1e-3}


def train(config: str, options: list[str], folder: Path) -> None:
    """Runs the experiment."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "kerasft", "run", config, *options, "--output", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")


def read_run(folder: Path) -> dict[str, float]:
    """A run's figures."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    training = metrics["finetune"]["train"]
    kept = folder / "adapter" if (folder / "adapter").is_dir() else folder / "model.keras"
    files = [kept] if kept.is_file() else list(kept.iterdir())
    return {
        "accuracy": metrics["evaluate"]["validation"]["accuracy"]["value"],
        "share": training["learning_share"]["value"],
        "seconds": training["seconds"]["value"],
        "memory": training["peak_memory_mb"]["value"],
        "size": sum(file.stat().st_size for file in files) / 1e6,
    }


def main() -> None:
    """Prints a line a type as it is ready."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", metavar="CONFIG.yaml")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--types", nargs="+", default=list(RATES), choices=list(RATES))
    parser.add_argument("--rate", action="append", default=[], metavar="TYPE=RATE")
    parser.add_argument("--to", type=Path, help="where the runs stay; else they are removed")
    arguments = parser.parse_args()
    rates = {**RATES, **{name: float(rate) for name, rate in (pair.split("=") for pair in arguments.rate)}}
    with tempfile.TemporaryDirectory() as scratch:
        print(
            f"{'type':9}  {'rate':>7}  accuracy   by seed                 {'learns':>7}  seconds  peak, MB  kept, MB"
        )
        for name in arguments.types:
            runs = []
            for seed in arguments.seeds:
                options = [f"model.adaptation={name}", f"seed={seed}", "evaluate.splits=[validation]"]
                options += [
                    f"train.optimizer.learning_rate={rates[name]}",
                    "export=null",
                    *arguments.overrides,
                ]
                folder = (arguments.to or Path(scratch)) / f"{name}-{seed}"
                train(arguments.config, options, folder)
                runs.append(read_run(folder))
            mean = {key: statistics.mean(run[key] for run in runs) for key in runs[0]}
            by_seed = " ".join(f"{run['accuracy']:.4f}" for run in runs)
            print(
                f"{name:9}  {rates[name]:7.0e}  {mean['accuracy']:.4f}    {by_seed:22}  {mean['share']:7.2%}  "
                f"{mean['seconds']:7.1f}  {mean['memory']:8.0f}  {mean['size']:8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
