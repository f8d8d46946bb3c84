"""Bits of a run folder's files turned over one by one: which are told by name, and which change nothing.

    python tests/faults/flipped_bits.py --flips 300 --uses 10

makes the tiny runs of texts, entities and pictures, turns 300 bits over all files of each and checks each with what
`kerasft check` does, and takes 10 of them through predict, evaluate and a resume.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.errors import KerasftError
from kerasft.integrity import list_files
from kerasft.progress import Silent
from kerasft.runs.folder import RunFolder
from kerasft.stages.check import check

TOLD, NO_EFFECT, SILENT = "told by name", "without effect", "SILENT"


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)

    def warn(self, message: str) -> None:
        self.lines.append(message)


def choose_places(folder: Path, count: int, seed: int = 0) -> list[tuple[str, int]]:
    """(file, bit) of `count` bits, spread over all files in turn; the same for the same folder and seed."""
    generator = random.Random(seed)
    names = [name for name in [*list_files(folder), "hashes.json"] if (folder / name).stat().st_size]
    generator.shuffle(names)
    return [
        (name, generator.randrange(8 * (folder / name).stat().st_size))
        for name in (names[i % len(names)] for i in range(count))
    ]


@contextmanager
def flipped(folder: Path, name: str, bit: int) -> Iterator[None]:
    """The file with one bit turned over; as it was afterwards."""
    path = folder / name
    whole = path.read_bytes()
    content = bytearray(whole)
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    try:
        yield
    finally:
        if path.exists():  # a checkpoint that went on in training is pruned
            path.write_bytes(whole)


def check_flips(run: Path, folder: Path, count: int) -> Counter[str]:
    """How many of the flips `kerasft check` names; of each that it does not, the file and the bit."""
    copy = Path(shutil.copytree(run, folder / "copy"))
    assert not check(copy).damaged
    outcomes: Counter[str] = Counter()
    for name, bit in choose_places(copy, count):
        with flipped(copy, name, bit):
            damaged = check(copy).damaged
        # of a checkpoint its folder is named
        named = any(name == file or name.startswith(f"{file}/") for file in damaged)
        outcomes[TOLD if named else f"{SILENT} {name}:{bit}"] += 1
    shutil.rmtree(copy)
    return outcomes


Use = Callable[[Any, RunFolder, Heard], Any]
"""(config, run, progress) → what comes of it, to be compared."""


def predict(config: Any, run: RunFolder, progress: Heard) -> Any:
    """The answers for the first inputs of the test split, as the command gives them."""
    from kerasft.config.loading import load_config
    from kerasft.experiment import ExperimentConfig
    from kerasft.stages.predict import Predictor

    predictor = Predictor(run, config=load_config(ExperimentConfig, run.path).config)
    return list(predictor.predict(list_inputs(config, next(iter(predictor.kinds)))))


def list_inputs(config: Any, name: str) -> list[dict[str, str]]:
    """Texts of this project's making, or pictures of the experiment's own."""
    if name == "text":
        return [{"text": "the film was good"}, {"text": "Ada Brandt flew to Lisbon ."}, {"text": ""}]
    return [{"image": str(path)} for path in sorted(Path(config.data.test.path).rglob("*.*"))[:4]]


def evaluate(config: Any, run: RunFolder, progress: Heard) -> Any:
    """The figures."""
    from kerasft.stages import pipeline as stage

    return stage.evaluate(config, run, progress)


def resume(config: Any, run: RunFolder, progress: Heard) -> Any:
    """The weights after one epoch more, which goes on from the last checkpoint with the data and caches there are."""
    from kerasft.stages import pipeline as stage
    from kerasft.training.resume.checkpoint_files import find_checkpoint

    train = config.train.model_copy(update={"epochs": config.train.epochs + 1})
    stage.finetune(config.model_copy(update={"train": train}), run, progress)
    last = find_checkpoint(run.checkpoints / "finetune")
    assert last is not None
    return last.load_tensors("model/")


USES: dict[str, tuple[Use, tuple[str, ...]]] = {
    "predict": (predict, ("config.yaml", "hashes.json", "task.json", "model.keras", "preset/")),
    "evaluate": (
        evaluate,
        ("dataset/", "cache/", "stages.json", "metrics.json", "environment.json", "task.json", "model.keras"),
    ),
    "resume": (
        resume,
        (
            "dataset/",
            "cache/",
            "checkpoints/",
            "metrics.jsonl",
            "stages.json",
            "hashes.json",
            "environment.json",
        ),
    ),
}
"""What a run is used for → what it is used with: beginnings of the names of the files whose bits are turned over."""


def use_flips(config: Any, run: Path, folder: Path, name: str, count: int, seed: int = 1) -> Counter[str]:
    """What comes of using a run with one bit turned over, `count` times, each on a copy of its own.

    Told is what is not said of the whole run too.
    """
    use, beginnings = USES[name]
    places = [place for place in choose_places(run, 50 * count, seed) if place[0].startswith(beginnings)][
        :count
    ]

    def attempt(place: tuple[str, int] | None) -> tuple[Any, list[str]]:
        copy, heard = folder / "copy", Heard()
        shutil.copytree(run, copy)
        try:
            if place is None:
                return use(config, RunFolder(copy), heard), heard.lines
            with flipped(copy, *place):
                try:
                    return use(config, RunFolder(copy), heard), heard.lines
                except KerasftError as error:
                    return None, [*heard.lines, str(error)]
        finally:
            shutil.rmtree(copy)

    expected, usual = attempt(None)
    outcomes: Counter[str] = Counter()
    for file, bit in places:
        found, lines = attempt((file, bit))
        told = "\n".join(line for line in lines if line not in usual)
        names = {file, *(f"copy/{part}" for part in map(str, Path(file).parents) if part != ".")}
        if any(name in told for name in names):
            outcomes[TOLD] += 1
        elif same(found, expected):
            outcomes[f"{NO_EFFECT} {file}"] += 1
        else:
            outcomes[f"{SILENT} {file}:{bit}"] += 1
    return outcomes


def same(one: Any, other: Any) -> bool:
    """Equal to the bit."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return bool(one == other)


def main() -> None:
    """Makes the three runs and prints the outcomes."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import tiny_bert
    import tiny_entities
    import tiny_images

    from kerasft.config.loading import load_config
    from kerasft.experiment import ExperimentConfig
    from kerasft.stages.pipeline import run as run_all

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flips", type=int, default=300, help="bits a task that are checked")
    parser.add_argument("--uses", type=int, default=10, help="bits a task and use that are used")
    tasks = ("texts", "entities", "pictures")
    parser.add_argument("--tasks", nargs="+", choices=tasks, default=tasks, help="the runs to make")
    parser.add_argument("--of", nargs="+", choices=tuple(USES), default=tuple(USES), help="the uses to try")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        preset = tiny_bert.write_preset(folder / "tiny")
        paths = {
            "texts": tiny_bert.write_experiment(folder / "texts", preset),
            "entities": tiny_entities.write_experiment(folder / "entities", preset),
            "pictures": tiny_images.write_experiment(folder / "pictures"),
        }
        for task in asked.tasks:
            config = load_config(ExperimentConfig, paths[task]).config
            run = RunFolder(folder / "runs" / task)
            run_all(config, run)
            print(f"{task}, kerasft check: {dict(check_flips(run.path, folder, asked.flips))}", flush=True)
            for name in asked.of:
                outcomes = use_flips(config, run.path, folder, name, asked.uses)
                print(f"{task}, {name}: {dict(outcomes)}", flush=True)


if __name__ == "__main__":
    main()
