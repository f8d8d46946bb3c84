"""The share of a training step that waits for its input, and what making that input beside it costs.

usage: input_wait.py CONFIG.yaml [KEY=VALUE …] [--steps 60] [--rounds 3]

Takes the training's own batches (read from the prepared dataset, decoded, varied, prefetched) and its own compiled
step. `waits`: the time in which a step's batch is asked for and not there yet. `held`: the same steps on batches that
are in memory already, which nothing is decoded beside; on a processor that does both, what a step takes longer than
that is work shared, not waiting. Rounds alternate. The phase is the last: train.head=null spares pictures the first.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from kerasft.cli.environment import prepare_environment
from kerasft.config.loading import load_config

_WARM_UP = 3


def time_steps(batches: Iterable, step: Callable, count: int) -> tuple[float, float]:
    """Seconds a step, and seconds of it in which its batch was waited for."""
    iterator = iter(batches)
    for _ in range(_WARM_UP):
        float(step(next(iterator)))
    waited, start = 0.0, time.perf_counter()
    for _ in range(count):
        asked = time.perf_counter()
        batch = next(iterator)
        waited += time.perf_counter() - asked
        float(step(batch))
    return (time.perf_counter() - start) / count, waited / count


def main() -> None:
    """Prints a line a round, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", metavar="CONFIG.yaml")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    prepare_environment()
    import tensorflow as tf

    from kerasft.data.streams import make_stream
    from kerasft.experiment import ExperimentConfig
    from kerasft.progress import Silent
    from kerasft.runs.folder import RunFolder
    from kerasft.stages.prepare import prepare
    from kerasft.training.fit import compile_model, first_example
    from kerasft.training.memory import keep_freed_memory
    from kerasft.training.precision import choose_precision
    from kerasft.training.resume.state import build_all
    from kerasft.training.trained import build_task, open_feed

    config = load_config(ExperimentConfig, arguments.config, arguments.overrides).config
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as scratch:
        run = RunFolder(Path(scratch, "run"))
        dataset = prepare(config, run)
        task = build_task(config, dataset.label_names, config.model.resolve().path)
        precision = choose_precision(config.train.precision)
        model = task.build_model(seed=config.seed, matmul_dtype=precision.matmul_dtype)

        def open_split(name: str):
            return open_feed(task, dataset, name, run.cache, Silent()) if name in dataset.splits else None

        *_, phase = task.open_phases(
            model, config.train, open_split, seed=config.seed, matmul_dtype=precision.matmul_dtype
        )
        train = config.train.model_copy(update=dict(phase.changes))
        stream = make_stream(
            phase.train,
            train.batch_size,
            seed=config.seed,
            shuffle=True,
            group_lengths=train.group_lengths,
            workers=train.workers,
        )
        compile_model(task, phase, train, len(stream), precision)
        build_all(phase.model, *first_example(phase.train, stream))
        step = tf.function(lambda batch: phase.model.train_step(batch)["loss"], reduce_retracing=True)
        count = arguments.steps
        ours = [
            batch for batch, _ in zip(stream.dataset().repeat(), range(min(len(stream), 20)), strict=False)
        ]
        held = tf.data.Dataset.from_generator(
            lambda: (ours[index % len(ours)] for index in range(count + _WARM_UP)),
            output_signature=stream.dataset().element_spec,
        )
        print(f"{len(stream)} batches of {train.batch_size}, {precision.policy}")
        print(f"{'round':>5}  {'step ms':>8}  {'waits ms':>8}  {'share':>6}  {'held ms':>8}", flush=True)
        rows = []
        for number in range(1, arguments.rounds + 1):
            seconds, waited = time_steps(stream.dataset().repeat(), step, count)
            bare, _ = time_steps(held, step, count)
            rows.append((1e3 * seconds, 1e3 * waited, waited / seconds, 1e3 * bare))
            print("{:>5}  {:>8.1f}  {:>8.2f}  {:>6.2%}  {:>8.1f}".format(number, *rows[-1]), flush=True)
        medians = [statistics.median(column) for column in zip(*rows, strict=True)]
        print("{:>5}  {:>8.1f}  {:>8.2f}  {:>6.2%}  {:>8.1f}".format("all", *medians))


if __name__ == "__main__":
    main()
