"""kerasft's finetune stage against another program that does the same, in alternated pairs of whole processes.

usage: finetune.py CONFIG.yaml [KEY=VALUE …] --pairs 3 --against "peer/bin/python hf_sst2.py MODEL DATA grouped fp32 3"

Wall-clock from a process's start to its end, Python's start and imports included, both in the same minutes. The data
are prepared before (kerasft's `prepare` is timed apart and printed). The other program's last line of output is shown.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def run_timed(command: list[str]) -> tuple[float, str]:
    """Seconds and the last line of standard output of a process that must succeed."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stderr[-3000:]}")
    lines = done.stdout.strip().splitlines()
    return seconds, lines[-1] if lines else ""


def main() -> None:
    """Runs the pairs and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--against", required=True, help="the other command, as one string")
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    other = shlex.split(arguments.against)
    kerasft = [sys.executable, "-m", "kerasft"]
    ratios = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "run")
        tail = [arguments.config, *arguments.overrides, "--output", str(folder), "--quiet"]
        seconds, _ = run_timed([*kerasft, "prepare", *tail])
        print(f"prepare (not counted): {seconds:.1f} s", flush=True)
        print(f"{'pair':>4}  {'kerasft s':>9}  {'other s':>9}  {'ratio':>6}", flush=True)
        for pair in range(1, arguments.pairs + 1):
            ours, _ = run_timed([*kerasft, "finetune", *tail, "--restart", "--yes"])
            theirs, told = run_timed(other)
            ratios.append(ours / theirs)
            print(f"{pair:>4}  {ours:>9.1f}  {theirs:>9.1f}  {ratios[-1]:>6.3f}   {told}", flush=True)
        figures = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["finetune"]["train"]
    print(f"median ratio {statistics.median(ratios):.3f} (below 1: kerasft is faster)")
    print("kerasft: " + ", ".join(f"{name} {figure['value']:.4g}" for name, figure in figures.items()))


if __name__ == "__main__":
    main()
