"""Whether an export answers as `kerasft predict` does, text by text, in any TensorFlow that is at hand.

    python benchmarks/export_parity.py RUN TEXTS [--export FOLDER] [--python PYTHON ...] [--ops]

RUN is a run's folder and TEXTS what `kerasft predict --input` takes: one text a line, or a .csv, .tsv or .jsonl file.
`kerasft predict` answers through the Keras model; the export is loaded by each PYTHON, a Python with nothing but
TensorFlow (any release from 2.0 on), and answers the same texts as raw strings. --ops lists the export's op types.
Of a model that finds entities, all of their places must be the same, in characters and in bytes, and their types.
The status is 1 if a PYTHON cannot load the export, its answers are others or differ by more than --tolerance.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from kerasft.serving.publishing import encode_inputs

REPLAY = Path(__file__).resolve().parents[1] / "kerasft" / "serving" / "replay.py"


def predict(run: Path, texts: Path, options: list[str], scratch: Path) -> list[dict]:
    """What `kerasft predict` answers, text by text."""
    answers = scratch / "predicted.jsonl"
    command = [sys.executable, "-m", "kerasft", "predict", str(run), "--input", str(texts), *options]
    subprocess.run([*command, "--quiet", "--to", str(answers)], check=True)
    return [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]


def compare(answers: dict[str, np.ndarray], rows: list[dict]) -> tuple[np.ndarray, int]:
    """Differences in probability, and for how many texts the labels, or all entities to the byte, are the same."""
    if "probabilities" in rows[0]:
        expected = np.array([list(row["probabilities"].values()) for row in rows])
        differences = np.abs(answers["probabilities"].astype(np.float64) - expected)
        return differences, int((answers["label"] == np.array([row["label"] for row in rows])).sum())
    differences, equal = [0.0], 0
    for index, row in enumerate(rows):
        count = int(answers["count"][index])
        found = {name: answers[name][index, :count].tolist() for name in answers if answers[name].ndim == 2}
        text, entities = row["text"], row["entities"]
        expected = {name: [one[name] for one in entities] for name in ("start", "end", "type")} | {
            f"{name}_byte": [len(text[: one[name]].encode()) for one in entities] for name in ("start", "end")
        }
        same = all(found[name] == values for name, values in expected.items())
        equal += same
        if same:
            differences += [abs(a - one["score"]) for a, one in zip(found["score"], entities, strict=True)]
    return np.array(differences), equal


def replay(python: str, export: Path, examples: Path, scratch: Path) -> dict[str, np.ndarray] | str:
    """What the export answers in another Python, or the last line of what went wrong there."""
    answers = scratch / "answers.npz"
    program = shutil.which(python)
    if program is None:
        return "there is no such program"
    # the link itself and not what it leads to, which would be the Python outside its environment
    command = [
        os.path.abspath(program),
        "-I",
        str(REPLAY),
        str(export.resolve()),
        str(examples),
        str(answers),
    ]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=scratch, env=environment)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it died"])[-1]
    with np.load(answers) as arrays:
        return {name: arrays[name] for name in arrays.files}


def find_export(run: Path) -> Path:
    """The newest version in the run folder."""
    versions = [path for path in (run / "export").glob("*") if path.name.isdigit()]
    if not versions:
        raise SystemExit(f"{run}/export holds no version: run `kerasft export`, or name one with --export.")
    return max(versions, key=lambda path: int(path.name))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--export", type=Path, help="the version's folder; by default the run's newest")
    parser.add_argument("--python", action="append", help="a Python with TensorFlow; may be given again")
    parser.add_argument("--column", help="handed on to `kerasft predict`")
    parser.add_argument("--no-header", action="store_true", help="handed on to `kerasft predict`")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="in probability")
    parser.add_argument("--ops", action="store_true", help="lists the op types of the export's graph")
    arguments = parser.parse_args()
    export = arguments.export or find_export(arguments.run)
    options = ["--column", arguments.column] if arguments.column else []
    options += ["--no-header"] if arguments.no_header else []
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        rows = predict(arguments.run, arguments.texts, options, scratch)
        examples = scratch / "examples.json"
        inputs = [{"text": row["text"]} for row in rows]
        examples.write_text(encode_inputs(inputs), encoding="utf-8")
        print(f"{len(rows):,} texts of {arguments.texts} through {export}, against `kerasft predict`")
        print(
            f"{'TensorFlow':<12}{'Python':<9}{'load':>7}{'largest difference':>20}{'mean':>10}  answers equal"
        )
        for python in arguments.python or [sys.executable]:
            answers = replay(python, export, examples, scratch)
            if isinstance(answers, str):
                failed = True
                print(f"{python}: {answers}")
                continue
            differences, equal = compare(answers, rows)
            failed |= not differences.max() <= arguments.tolerance or equal < len(rows)
            print(
                f"{answers['tensorflow']!s:<12}{answers['python']!s:<9}{float(answers['load_seconds']):>5.1f} s"
                f"{differences.max():>20.1e}{differences.mean():>10.1e}  {equal:,} of {len(rows):,}"
            )
    if arguments.ops:
        from kerasft.serving.graphs import list_ops

        print("Ops:", " ".join(sorted(list_ops(export))))
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
