"""A task of which a megabyte an example reaches the host, and how much memory a command takes from its first batch on.

usage: python wide_outputs.py ARGUMENTS…   (of the command line; prints bytes on its last line)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from pair_scores import task as pair_scores

SIDE = 512
"""Of a float32 map: 1 MiB."""


def read_bytes(name: str) -> int:
    """A figure of this process: VmRSS, or VmHWM, the most that it took."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


class Memory:
    """What is taken after the first batch, and the most from then on."""

    first = 0

    def note(self) -> None:
        if not self.first:
            self.first = read_bytes("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")  # the highest mark begins anew

    def compute_growth(self) -> int:
        return read_bytes("VmHWM") - self.first


MEMORY = Memory()


class WideScore(pair_scores.PairScore):
    """A number for two texts, as a map that is full of it."""

    def build_step(self, model, *, published=True):
        step = super().build_step(model, published=published)

        def widen(inputs, labels):
            score = step(inputs, labels)["score"]
            return {"score": score, "map": tf.tile(score[:, None, None], [1, SIDE, SIDE])}

        return widen

    def decode(self, outputs):
        answers = [{"score": float(np.mean(output["map"]))} for output in outputs]
        MEMORY.note()
        return answers


if __name__ == "__main__":
    pair_scores.TaskClass = WideScore
    from kerasft.cli.main import main

    code = main(sys.argv[1:])
    print(MEMORY.compute_growth())
    sys.exit(code)
