"""Writes a version of a SavedModel, but only if a clean process gets the trained model's answers from it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.errors import ExportError
from kerasft.files import whole_folder, write_json, write_text
from kerasft.integrity import write_hashes
from kerasft.serving.graphs import widen_compatibility
from kerasft.tasks.served import Call, FurtherSignature, Measure, Raw, RawInputs


def check_destination(destination: Path) -> None:
    """Refuses a version's folder that is there already: a version never changes.

    Raises:
        ExportError: it exists.
    """
    if os.path.lexists(destination):
        raise ExportError(
            "the destination already exists", where=str(destination), fix="Name another version or folder."
        )


def publish_saved_model(
    module: Any,
    destination: Path,
    examples: Sequence[RawInputs],
    expected: Callable[[list[RawInputs]], Any],
    *,
    probes: Sequence[RawInputs] = (),
    accepts: Callable[[RawInputs], bool] = lambda _: True,
    measure: Measure,
    tolerance: float,
    documents: Mapping[str, str],
    further: Sequence[FurtherSignature] = (),
) -> dict[str, Any]:
    """Writes, loads back in a clean process, compares, and only then puts the version in place.

    Args:
        module: a `tf.Module` with `signatures`.
        destination: the version's folder; must not exist. Folders above it are made.
        examples: raw inputs of the user's.
        expected: raw inputs → what the trained Keras model says of them, as `measure` takes it.
        probes: odd inputs, replayed beside the user's own.
        accepts: whether inputs have an answer; the export must refuse, by its `status`, all others and no more.
        measure: how far the export's answers are from what was expected.
        tolerance: the largest difference.
        documents: further files by name, under `assets.extra/`, which TF Serving leaves alone.
        further: signatures besides `serving_default`, which are asked too.

    Returns:
        What `parity.json` holds.

    Raises:
        ExportError: the destination exists, the answers differ, or the clean process failed.
        StorageError: the destination cannot be written.

    Nothing is published where one is raised.
    """
    import tensorflow as tf

    check_destination(destination)
    inputs = [*examples, *probes]
    with _new_folder(destination) as folder:
        # nobody learns from an export, and TensorFlow 2.4 and earlier refuse what custom gradients need in it
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(folder), signatures=module.signatures, options=options)
        widen_compatibility(folder)
        answers = replay(folder, inputs)
        good = np.array([accepts(one) for one in inputs])
        _check_refusals(answers, inputs, good)
        parity = _compare_accepted(answers, inputs, good, expected, tolerance, measure)
        _check_difference(parity, inputs, destination)
        parity["user_examples"], parity["probes"] = len(examples), len(probes)
        if further:
            parity["further"] = {one.name: _check_further(folder, one, tolerance) for one in further}
        write_json(folder / "parity.json", parity)
        for name, text in documents.items():
            write_text(folder / "assets.extra" / name, text)
        write_hashes(folder)
    return parity


def _check_refusals(answers: Mapping[str, np.ndarray], inputs: Sequence[RawInputs], good: np.ndarray) -> None:
    statuses = answers["status"] if "status" in answers else [""] * len(inputs)
    for one, status, is_good in zip(inputs, statuses, good, strict=True):
        if (status == "") != is_good:
            problem = (
                f"refuses ({status}) an input that the model accepts"
                if is_good
                else "accepts an input that `predict` refuses"
            )
            raise ExportError(
                f"the export {problem}; nothing was published",
                where=show_inputs(one, 60),
                fix="This is a bug in kerasft: please report it, with the input.",
            )


def _compare_accepted(
    answers: Mapping[str, np.ndarray],
    inputs: Sequence[RawInputs],
    good: np.ndarray,
    expected: Callable[[list[RawInputs]], Any],
    tolerance: float,
    measure: Measure,
) -> dict[str, Any]:
    """`compare` of the inputs that have an answer; what both refuse comes to the same."""
    accepted = [one for one, is_good in zip(inputs, good, strict=True) if is_good]
    sound = {name: array[good] if array.ndim else array for name, array in answers.items()}
    parity = compare(sound, expected(accepted), tolerance, measure)
    refused = len(inputs) - len(accepted)
    parity["examples"], parity["refused"] = len(inputs), refused
    parity["labels_equal"] += refused
    parity["worst_example"] = int(np.flatnonzero(good)[parity["worst_example"]])
    return parity


def _check_difference(parity: Mapping[str, Any], inputs: Sequence[RawInputs], destination: Path) -> None:
    largest, tolerance = parity["largest_difference"], parity["tolerance"]
    if not largest <= tolerance:  # NaN is refused too
        raise ExportError(
            f"the export's answers differ from the model's by up to {largest:.2e} "
            f"(tolerance {tolerance:.0e}); nothing was published",
            where=str(destination),
            fix=f"The example that differs most: {show_inputs(inputs[parity['worst_example']], 100)}.",
        )


def show_inputs(inputs: RawInputs, length: int) -> str:
    """For messages: an input alone, several by their names; texts and files up to a length."""
    shown = {
        name: repr(value[:length] if isinstance(value, str | bytes) else value)
        for name, value in inputs.items()
    }
    if len(shown) == 1:
        return next(iter(shown.values()))
    return ", ".join(f"{name}: {value}" for name, value in shown.items())


@contextmanager
def _new_folder(destination: Path) -> Iterator[Path]:
    """Yields a folder that becomes `destination` on success, unless that has come to be meanwhile."""
    try:
        with whole_folder(destination, replace=False) as folder:
            yield folder
    except FileExistsError:
        check_destination(destination)
        raise


def _check_further(folder: Path, signature: FurtherSignature, tolerance: float) -> dict[str, Any]:
    """Compares a further signature's answers with the model's own; returns what `parity.json` says of it.

    Raises:
        ExportError: they differ.
    """
    largest = 0.0
    for call, answers in zip(
        signature.calls, replay_calls(folder, signature.name, signature.calls), strict=True
    ):
        expected = signature.answer(call)
        for name in sorted({*answers, *expected}):
            difference = _measure_arrays(answers.get(name), expected.get(name))
            if not difference <= tolerance:
                raise ExportError(
                    f"the export's signature {signature.name} answers with another {name} than the model; nothing was "
                    "published",
                    where=show_inputs({key: str(value) for key, value in call.items()}, 100),
                    fix="This is a bug in kerasft: please report it, with the inputs.",
                )
            largest = max(largest, difference)
    return {"calls": len(signature.calls), "largest_difference": largest}


def _measure_arrays(answer: np.ndarray | None, expected: np.ndarray | None) -> float:
    """By how much numbers differ at most; infinity where anything else is not the same."""
    if answer is None or expected is None or answer.shape != expected.shape:
        return np.inf
    if expected.dtype.kind == "f" and expected.size:
        return float(np.abs(answer - expected).max())
    return 0.0 if np.array_equal(answer, expected) else np.inf


def replay(saved_model: Path, inputs: Sequence[RawInputs]) -> dict[str, np.ndarray]:
    """The answers of a SavedModel in a process of its own that knows TensorFlow alone.

    Args:
        saved_model: the version's folder.
        inputs: raw, by the inputs' names; the same names each time.

    Raises:
        ExportError: the process failed.
    """
    return _replay(saved_model, encode_inputs(inputs))


def replay_calls(saved_model: Path, name: str, calls: Sequence[Call]) -> list[dict[str, np.ndarray]]:
    """The same of a signature that is called with all of its inputs: its answers to each call.

    Args:
        saved_model: the version's folder.
        name: the signature's.
        calls: what it is asked.

    Raises:
        ExportError: the process failed.
    """
    arrays = _replay(saved_model, encode_calls(calls), name)
    answers: list[dict[str, np.ndarray]] = [{} for _ in calls]
    for key, array in arrays.items():
        number, _, output = key.partition(".")
        if output:
            answers[int(number)][output] = array
    return answers


def _replay(saved_model: Path, questions: str, *signature: str) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as scratch:
        examples, answers = Path(scratch, "examples.json"), Path(scratch, "answers.npz")
        examples.write_text(questions, encoding="utf-8")
        script = Path(__file__).with_name("replay.py")
        done = subprocess.run(
            [
                *(sys.executable, "-I", str(script)),
                *(str(saved_model.resolve()), str(examples), str(answers)),
                *signature,
            ],
            capture_output=True,
            text=True,
            cwd=scratch,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise ExportError(
                f"a clean process cannot run the export: {lines[-1] if lines else 'it died'}",
                where=str(saved_model),
                fix="Nothing was published. Try again; if it happens again, this is a bug in kerasft.",
            )
        with np.load(answers) as arrays:
            return {name: arrays[name] for name in arrays.files}


def encode_inputs(inputs: Sequence[RawInputs]) -> str:
    """Raw inputs as `replay.py` reads them: JSON by input's name, texts and files in base64, numbers as they are."""
    return json.dumps({name: [_encode(one[name]) for one in inputs] for name in inputs[0]})


def encode_calls(calls: Sequence[Call]) -> str:
    """The same of whole calls: a JSON object for each."""
    return json.dumps(
        [
            {
                name: list(map(_encode, value)) if isinstance(value, list) else _encode(value)
                for name, value in call.items()
            }
            for call in calls
        ]
    )


def _encode(value: Raw) -> str | float:
    if isinstance(value, str):
        # what a lone surrogate stands for cannot be UTF-8
        value = value.encode("utf-8", "replace")
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def compare(
    answers: dict[str, np.ndarray],
    expected: Any,
    tolerance: float,
    measure: Measure,
) -> dict[str, Any]:
    """The figures of `parity.json`: how far answers differ, over all examples."""
    differences, equal = measure(answers, expected)
    return {
        "examples": len(differences),
        "largest_difference": float(differences.max()),
        "mean_difference": float(differences.mean()),
        "labels_equal": int(equal.sum()),
        "tolerance": tolerance,
        "worst_example": int(differences.argmax()),
        "tensorflow": str(answers["tensorflow"]),
    }
