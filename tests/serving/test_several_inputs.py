"""A served model of several inputs, texts and numbers, is checked and published like any other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from kerasft.errors import ExportError
from kerasft.serving.publishing import publish_saved_model, replay
from kerasft.tasks.served import RawInputs

LONGEST = 40
"""Bytes of a text that has an answer."""
PROBES = (
    {"first": "", "second": b"", "weight": 0.0},
    {"first": "a \ud83d half", "second": b"no \xff UTF-8", "weight": -1e-30},
    {"first": "好" * 10, "second": "b" * (LONGEST + 1), "weight": 2.0},
    {"first": "b" * (LONGEST + 1), "second": "", "weight": 0.5},
)
TEXT, NUMBER = tf.TensorSpec((None,), tf.string), tf.TensorSpec((None,), tf.float32)


class Excess(tf.Module):
    """By how many bytes a text is longer than another, times a weight."""

    # the names' order is not the alphabet's
    @tf.function(input_signature=[TEXT, NUMBER, TEXT])
    def serving_default(self, second: tf.Tensor, weight: tf.Tensor, first: tf.Tensor) -> dict[str, tf.Tensor]:
        lengths = [tf.strings.length(text) for text in (first, second)]
        good = tf.maximum(*lengths) <= LONGEST
        excess = weight * tf.cast(lengths[0] - lengths[1], tf.float32)
        return {"excess": tf.where(good, excess, 0.0), "status": tf.where(good, "", "too long")}

    @property
    def signatures(self) -> dict[str, Any]:
        return {"serving_default": self.serving_default}


def count_bytes(text: Any) -> int:
    return len(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))


def accepts(inputs: RawInputs) -> bool:
    return max(count_bytes(inputs["first"]), count_bytes(inputs["second"])) <= LONGEST


def expect(inputs: Sequence[RawInputs]) -> list[float]:
    return [
        np.float32(one["weight"]) * (count_bytes(one["first"]) - count_bytes(one["second"])) for one in inputs
    ]


def measure(answers: Mapping[str, np.ndarray], expected: list[float]) -> tuple[np.ndarray, np.ndarray]:
    differences = np.abs(answers["excess"].astype(np.float64) - expected)
    return differences, differences == 0.0


def publish(destination: Path, examples: Sequence[RawInputs], **changes: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"expected": expect, "accepts": accepts, "probes": PROBES} | changes
    return publish_saved_model(
        Excess(), destination, examples, measure=measure, tolerance=1e-6, documents={}, **told
    )


def make_examples(count: int) -> list[RawInputs]:
    random = np.random.default_rng(0)
    return [
        {
            "first": "a" * int(random.integers(LONGEST)),
            "second": "ż" * int(random.integers(LONGEST // 2)),
            "weight": float(np.float32(random.normal())),
        }
        for _ in range(count)
    ]


def test_several_inputs_are_fed_by_name_in_a_clean_process(tmp_path: Path) -> None:
    examples = make_examples(150)  # more than two batches
    parity = publish(tmp_path / "1", examples)
    assert parity == json.loads((tmp_path / "1" / "parity.json").read_text(encoding="utf-8"))
    assert (parity["user_examples"], parity["probes"], parity["refused"]) == (150, 4, 2)
    assert parity["examples"] == parity["labels_equal"] == 154
    answers = replay(tmp_path / "1", examples)
    assert answers["excess"].dtype == np.float32
    assert answers["excess"].tolist() == expect(examples)
    assert len(set(answers["excess"].tolist())) > 100


def test_inputs_that_are_mixed_up_are_refused_and_shown_by_name(tmp_path: Path, replay_here: None) -> None:
    def mix_up(inputs: Sequence[RawInputs]) -> list[float]:
        return expect([{**one, "first": one["second"], "second": one["first"]} for one in inputs])

    examples = [{"first": "same", "second": "size", "weight": 1.0}]
    examples.append({"first": "a" * 30, "second": "b", "weight": 1.5})
    with pytest.raises(ExportError, match=r"differ from the model's by up to 8\.70e\+01") as caught:
        publish(tmp_path / "1", examples, expected=mix_up, probes=())
    shown = f"first: '{'a' * 30}', second: 'b', weight: 1.5."
    assert caught.value.fix == f"The example that differs most: {shown}"
    assert list(tmp_path.iterdir()) == []


def test_inputs_that_one_side_alone_refuses_are_shown_by_name(tmp_path: Path, replay_here: None) -> None:
    with pytest.raises(ExportError, match="accepts an input that `predict` refuses") as caught:
        publish(tmp_path / "1", make_examples(3), accepts=lambda inputs: inputs["weight"] != 0.0)
    assert caught.value.where == "first: '', second: b'', weight: 0.0"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"first": "a", "second": "b"}, "weight"),
        ({"first": "a", "second": "b", "weight": 1.0, "third": "c"}, "third"),
        ({"first": "a", "second": "b", "weight": "heavy"}, "float"),
    ],
)
def test_inputs_that_the_signature_does_not_take_are_told(
    tmp_path: Path, inputs: RawInputs, told: str
) -> None:
    tf.saved_model.save(Excess(), str(tmp_path / "1"), signatures=Excess().signatures)
    with pytest.raises(ExportError, match=f"a clean process cannot run the export: .*{told}"):
        replay(tmp_path / "1", [inputs])
