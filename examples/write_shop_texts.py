"""Teach SmolLM2, a small language model, the style of a shop: LoRA on 200 prompts and completions, before and after.

    make quickstart-lm
    python examples/write_shop_texts.py [--output runs/quickstart-lm] [train.max_steps=40 …]

Your own data: files of JSON lines, {"prompt": …, "completion": …}, named in a copy of the config that is read here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from importlib import resources
from itertools import zip_longest
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import kerasft
from kerasft.cli.progress import open_progress
from kerasft.config.loading import load_config
from kerasft.data.streams import run_over
from kerasft.experiment import ExperimentConfig
from kerasft.text.generation.config import GenerationConfig
from kerasft.text.generation.writer import TextWriter
from kerasft.training.trained import build_task

CONFIG = Path(__file__).parents[1] / "configs" / "lm" / "smollm2_shop_texts.yaml"
PROMPTS = (
    "honey dipper, cherrywood",
    "storm lantern paraffin, wind won't blow it out",
    "hot water bottle + knitted cover, two litre",
)
"""Things of which no training text speaks."""
GREEDY = GenerationConfig(temperature=0.0, max_new_tokens=80)
COLUMN = 56

ASK = """\
import json, sys
import tensorflow as tf

generate = tf.saved_model.load(sys.argv[1]).signatures["generate"]
asked = json.loads(sys.argv[2])
takes = generate.structured_input_signature[1]
answer = generate(**{name: tf.constant(asked[name], spec.dtype) for name, spec in takes.items()})
print(answer["continuation"][0].numpy().decode())
"""
"""Run in a process of its own, which loads TensorFlow alone."""


def read_samples(split: str) -> list[dict[str, str]]:
    """The sample texts: `{"prompt": …, "completion": …}` each."""
    text = (resources.files("kerasft.samples") / "shop_texts" / f"{split}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def measure(task: Any, model: Any, rows: Sequence[dict[str, str]]) -> float:
    """Mean negative log-likelihood of the completions' tokens, in nats."""
    feed, tally = task.make_feed([task.read_input(row) for row in rows]), task.open_tally()
    for part in run_over(feed, task.build_step(model), 8):
        numbers, outputs = zip(*part, strict=True)
        tally.add(numbers, outputs, [feed.get_reference(number) for number in numbers])
    return tally.compute_figures()["log_loss"]["value"]


def write(task: Any, model: Any) -> list[str]:
    """What the model writes on each prompt, taking the likeliest token each time."""
    return [written.continuation for written in TextWriter(task.open_generator(model)).write(PROMPTS, GREEDY)]


def show(prompt: str, before: str, after: str) -> None:
    """Prints two texts side by side."""
    columns = [wrap("before", before), wrap("after", after)]
    print(f"\n{prompt}")
    for left, right in zip_longest(*columns, fillvalue=""):
        print(f"  {left:<{COLUMN}}  {right}".rstrip())


def wrap(title: str, text: str) -> list[str]:
    """A text as lines of a column."""
    lines = [line for part in text.strip().splitlines() for line in textwrap.wrap(part, COLUMN)]
    return [f"-- {title} --", *lines]


def ask_export(folder: Path, prompt: str) -> str:
    """The same of the exported model, in a process that loads TensorFlow alone."""
    asked = json.dumps({"prompt": [prompt], **GREEDY.model_dump(mode="json")})
    command = [sys.executable, "-I", "-c", ASK, str(folder), asked]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def main() -> None:
    """Measures and writes, trains, does both again, exports, and asks the export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="changes the config")
    parser.add_argument("--output", type=Path, default=Path("runs/quickstart-lm"), help="the run folder")
    arguments = parser.parse_args()

    config = load_config(ExperimentConfig, CONFIG, arguments.overrides).config
    task, rows = build_task(config, (), config.model.resolve().path), read_samples("test")
    model = task.build_model(seed=config.seed, matmul_dtype="float32")
    before, loss_before = write(task, model), measure(task, model, rows)
    del model

    with open_progress(results=sys.stderr) as progress:
        run = kerasft.finetune(
            CONFIG, output=arguments.output, overrides=arguments.overrides, progress=progress
        )
    after, loss_after = write(task, run.model), measure(task, run.model, rows)

    for texts in zip(PROMPTS, before, after, strict=True):
        show(*texts)
    fall = 1 - loss_after / loss_before
    print(
        f"\nloss on {len(rows)} held-out texts: {loss_before:.3f} before, {loss_after:.3f} after (-{fall:.0%})"
    )

    exported = run.export()
    print(f"\nexported {exported}, which writes with TensorFlow alone:\n")
    print(textwrap.indent(ask_export(exported, PROMPTS[0]), "  "))


if __name__ == "__main__":
    main()
