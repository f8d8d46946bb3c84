"""kerasft's language models against another program's: tokens a second, and the loss on the same blocks.

usage: pretraining.py TRAIN.txt VALID.txt [--pairs 3] [--steps 600] [--block 128] [--layers 4] [--width 256] …
           --against "peer/bin/python hf_lm.py mlm {train} {valid} {tokenizer} 128 4 256 4 16 600 1e-3"
       pretraining.py TRAIN.txt VALID.txt --task causal_lm --tokenizer byte_bpe --vocabulary 4096 …
           --against "peer/bin/python hf_lm.py clm {train} {valid} {tokenizer} 128 4 256 4 16 600 1e-3"

A tokenizer is trained on TRAIN.txt and given to both (`--tokenizer characters`: the other program's command says how it
takes characters). Both cut each file into blocks of the same tokens and train a net of the same size for as many steps.
The other program prints its `tokens_per_second` and `valid_nats_per_token` as JSON in its last line. A masked model's
masks, bool (blocks, block), it writes to eval_masks.npy in its working folder: kerasft's model is measured at those. A
causal model is measured on each block's tokens but the first. Pairs of whole processes; which of the two runs first
alternates. Without --against kerasft alone is measured, at masks of 15 %.
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
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def write_config(folder: Path, options: argparse.Namespace) -> Path:
    """The experiment, as JSON (which is YAML)."""
    source = {"format": "text", "document": "file"}
    size = {"layers": options.layers, "width": options.width, "heads": options.heads}
    tokenizer: dict[str, Any] = {"type": options.tokenizer}
    if options.tokenizer != "characters":
        tokenizer["vocabulary_size"] = options.vocabulary
    causal = options.task == "causal_lm"
    config = {
        "name": "pretraining",
        "task": {"type": options.task} | ({} if causal else {"special_tokens": False}),
        "data": {
            "train": {**source, "path": str(options.train.absolute())},
            "validation": {**source, "path": str(options.valid.absolute())},
            "test_share": 0,
        },
        "tokenizer": tokenizer,
        "model": {"family": "gpt2", "size": size, "context": options.block, "dropout": 0}
        if causal
        else {"size": size, "max_length": options.block},
        "train": {
            "max_steps": options.steps,
            "epochs": 1000,
            "batch_size": options.batch,
            "precision": options.precision,
            "optimizer": {
                "type": "adamw",
                "learning_rate": options.rate,
                "weight_decay": 0.1,
                "beta_2": 0.99,
                "global_clipnorm": 1.0,
            },
            "schedule": {"type": "cosine", "warmup": 0.05},
            "tensorboard": {"every_steps": 50, "examples": 0},
        },
    }
    path = folder / "pretraining.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def call(command: list[str], folder: Path) -> str:
    """What a process prints in its last line; it must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stderr[-3000:]}")
    lines = done.stdout.strip().splitlines()
    return lines[-1] if lines else ""


def measure_loss(folder: Path, valid: Path, masks: Path | None) -> float:
    """The loss of a run's model over the blocks of a file, nats a predicted token."""
    from kerasft.runs.folder import RunFolder
    from kerasft.training.trained import load_trained

    trained = load_trained(RunFolder(folder))
    text = valid.read_text(encoding="utf-8")
    if trained.task.config.type == "causal_lm":
        return measure_causal(trained, text)
    return measure_masked(trained, text, masks)


def measure_causal(trained: Any, text: str) -> float:
    """Of each block's tokens but the first."""
    import numpy as np
    import tensorflow as tf

    task, model = trained.task, trained.model
    ids = task.tokenizer.tokenize(tf.constant([text])).values.numpy()
    block = task.model_config.context
    rows = ids[: len(ids) // block * block].reshape(-1, block).astype(np.int32)
    total = 0.0
    for start in range(0, len(rows), 16):
        token_ids = rows[start : start + 16]
        inputs = {
            "token_ids": token_ids,
            "text_ids": np.ones_like(token_ids),
            "position_ids": np.broadcast_to(np.arange(block, dtype=np.int32), token_ids.shape),
            "targets": np.pad(token_ids[:, 1:], ((0, 0), (0, 1)), constant_values=-1),
        }
        answers = model({name: tf.constant(value) for name, value in inputs.items()}, training=False)
        total += float(answers.numpy()[..., 0].sum(dtype=np.float64))
    return total / (len(rows) * (block - 1))


def measure_masked(trained: Any, text: str, masks: Path | None) -> float:
    """At some masks."""
    import numpy as np
    import tensorflow as tf

    task, model = trained.task, trained.model
    (ids,) = task.encoder.tokenize([text])
    block = task.model_config.max_length
    rows = ids[: len(ids) // block * block].reshape(-1, block)
    hidden = np.load(masks) if masks else np.random.default_rng(0).random(rows.shape) < 0.15
    total = count = 0.0
    for start in range(0, len(rows), 16):
        true, masked = rows[start : start + 16], hidden[start : start + 16]
        places = [np.flatnonzero(row) for row in masked]
        width = max(1, *(len(row) for row in places))
        positions = np.array([np.pad(row, (0, width - len(row))) for row in places], np.int32)
        inputs: dict[str, Any] = {
            "token_ids": np.where(masked, task.tokenizer.special_ids.mask, true).astype(np.int32),
            "segment_ids": np.zeros_like(true),
            "padding_mask": np.ones_like(true),
            "mask_positions": positions,
        }
        logits = model({name: tf.constant(inputs[name]) for name in model.input}, training=False)
        targets = np.take_along_axis(true, positions, 1)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits).numpy()
        is_scored = np.arange(width)[None, :] < masked.sum(1)[:, None]
        total += float(losses[is_scored].sum(dtype=np.float64))
        count += int(is_scored.sum())
    return total / count


def main() -> None:
    """Runs the pairs and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("valid", type=Path)
    parser.add_argument("--against", help="the other command, as one string")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--task", choices=("masked_lm", "causal_lm"), default="masked_lm")
    parser.add_argument("--tokenizer", default="wordpiece")
    for name, value in {
        "block": 128,
        "layers": 4,
        "width": 256,
        "heads": 4,
        "batch": 16,
        "steps": 600,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--precision", default="float32")
    options = parser.parse_args()
    kerasft = [sys.executable, "-m", "kerasft"]
    ratios = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config, run = write_config(folder, options), folder / "run"
        call([*kerasft, "prepare", str(config), "--output", str(run), "--quiet"], folder)
        given = {
            "train": options.train.absolute(),
            "valid": options.valid.absolute(),
            "tokenizer": run / "start" / "tokenizer.json",
        }
        other = shlex.split(options.against.format(**given)) if options.against else []
        print(
            f"{'pair':>4}  {'kerasft tokens/s':>16}  {'loss':>7}  {'other tokens/s':>14}  {'loss':>7}  {'ratio':>6}"
        )
        for pair in range(1, options.pairs + 1):
            tail = ["--output", str(run), "--quiet", "--restart", "--yes"]
            ours = [*kerasft, "pretrain", str(config), *tail]
            printed = {}
            for command in (ours, other)[:: 1 if pair % 2 else -1]:
                if command:
                    printed[command is other] = call(command, folder)
            peer = json.loads(printed[True]) if other else {}
            figures = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["finetune"]["train"]
            speed = figures["examples_per_second"]["value"] * options.block
            loss = measure_loss(run, options.valid, folder / "eval_masks.npy" if other else None)
            theirs = peer.get("tokens_per_second", float("nan"))
            their_loss = peer.get("valid_nats_per_token", float("nan"))
            ratios.append(speed / theirs)
            print(
                f"{pair:>4}  {speed:>16.0f}  {loss:>7.4f}  {theirs:>14.0f}  {their_loss:>7.4f}  {ratios[-1]:>6.3f}",
                flush=True,
            )
    if other:
        print(
            f"median ratio of tokens a second: {statistics.median(ratios):.2f} (above 1: kerasft is faster)"
        )


if __name__ == "__main__":
    main()
