"""What an export can do besides `serving_default` is asked too before it is published."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from kerasft.errors import ExportError
from kerasft.serving.model_card import write_model_card
from kerasft.serving.publishing import publish_saved_model, replay_calls
from kerasft.tasks.served import Call, FurtherSignature, Served


class Repeating(tf.Module):
    """The length of a text; and a text as often as it is asked for, with a mark after it."""

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def serving_default(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"length": tf.strings.length(text)}

    @tf.function(
        input_signature=[
            tf.TensorSpec((None,), tf.string),
            tf.TensorSpec((), tf.int32),
            tf.TensorSpec((None,), tf.float32),
            tf.TensorSpec((), tf.string),
        ]
    )
    def repeat(
        self, text: tf.Tensor, times: tf.Tensor, scale: tf.Tensor, mark: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        repeated = tf.strings.reduce_join(tf.tile(text[:, None], [1, times]), 1)
        return {"repeated": tf.strings.join([repeated, mark]), "scaled": scale / 3.0}

    @property
    def signatures(self) -> dict[str, Any]:
        return {"serving_default": self.serving_default, "repeat": self.repeat}


CALLS: tuple[Call, ...] = (
    {"text": ["a", "ż"], "times": 3, "scale": [1.0, 0.1], "mark": "好"},
    {"text": [], "times": 2, "scale": [], "mark": ""},
    {"text": ["\ud83d", b"bytes"], "times": 0, "scale": [-1.0], "mark": b"!"},
)


def encode(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "replace")


def repeat(call: Call) -> dict[str, np.ndarray]:
    """The same in Python."""
    texts = [encode(text) * int(call["times"]) + encode(call["mark"]) for text in call["text"]]
    scaled = np.array(call["scale"], np.float32) / np.float32(3.0)
    return {"repeated": np.array([text.decode() for text in texts], str), "scaled": scaled}


def publish(destination: Path, answer: Any = repeat, tolerance: float = 1e-6) -> dict[str, Any]:
    further = FurtherSignature(name="repeat", takes="", returns=(), calls=CALLS, answer=answer)

    def measure(answers: Mapping[str, np.ndarray], expected: Any) -> tuple[np.ndarray, np.ndarray]:
        return np.abs(answers["length"] - expected), answers["length"] == expected

    return publish_saved_model(
        Repeating(),
        destination,
        [{"text": "abc"}],
        lambda inputs: np.array([len(encode(one["text"])) for one in inputs]),
        measure=measure,
        tolerance=tolerance,
        documents={},
        further=[further],
    )


@pytest.fixture
def calls_here(monkeypatch: pytest.MonkeyPatch, replay_here: None) -> None:
    """Calls are answered by this process."""
    from kerasft.serving import publishing, replay

    def answer(saved_model: Path, name: str, calls: Any) -> list[dict[str, np.ndarray]]:
        serve = tf.saved_model.load(str(saved_model)).signatures[name]
        arrays = replay.ask_whole(serve, json.loads(publishing.encode_calls(calls)))
        return [
            {key.partition(".")[2]: array for key, array in arrays.items() if key.startswith(f"{number}.")}
            for number in range(len(calls))
        ]

    monkeypatch.setattr(publishing, "replay_calls", answer)


@pytest.mark.slow
def test_a_clean_process_is_asked_whole_calls(tmp_path: Path) -> None:
    parity = publish(tmp_path / "1")
    assert parity["further"] == {"repeat": {"calls": 3, "largest_difference": 0.0}}
    assert json.loads((tmp_path / "1" / "parity.json").read_text()) == parity
    answers = replay_calls(tmp_path / "1", "repeat", CALLS)
    assert answers[0]["repeated"].tolist() == ["aaa好", "żżż好"]
    assert answers[1]["repeated"].shape == answers[1]["scaled"].shape == (0,)
    assert answers[2]["repeated"].tolist() == ["!", "!"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda answers: {**answers, "repeated": np.char.add(answers["repeated"], " ")}, "repeated"),
        (lambda answers: {**answers, "scaled": answers["scaled"] + 0.01}, "scaled"),
        (lambda answers: {**answers, "scaled": answers["scaled"] * np.nan}, "scaled"),
        (lambda answers: {**answers, "scaled": answers["scaled"][:1]}, "scaled"),
        (lambda answers: {**answers, "more": np.zeros(1)}, "more"),
        (lambda answers: {"scaled": answers["scaled"]}, "repeated"),
    ],
)
def test_answers_that_are_not_the_models_are_refused(
    tmp_path: Path, calls_here: None, change: Any, told: str
) -> None:
    with pytest.raises(ExportError, match=f"repeat answers with another {told} than the model"):
        publish(tmp_path / "1", lambda call: change(repeat(call)))
    assert list(tmp_path.iterdir()) == []


def test_numbers_may_differ_by_the_tolerance(tmp_path: Path, calls_here: None) -> None:
    def near(call: Call) -> dict[str, np.ndarray]:
        answers = repeat(call)
        return {**answers, "scaled": answers["scaled"] + np.float32(0.01)}

    parity = publish(tmp_path / "1", near, tolerance=0.02)
    assert parity["further"]["repeat"]["largest_difference"] == pytest.approx(0.01, rel=1e-4)


def test_the_model_card_says_how_it_is_called() -> None:
    further = FurtherSignature(
        name="repeat",
        takes="`repeat` takes `text` and returns",
        returns=("- `repeated`: string (batch,).",),
        calls=(),
        answer=repeat,
    )
    served = Served(
        module=None, takes="It takes", limits="Limits.", returns=(), probes=(), measure=None, further=(further,)
    )  # fmt: skip
    card = write_model_card(
        name="x",
        task="y",
        preset="z",
        served=served,
        label_names=(),
        figures={},
        kinds=(),
        data={"splits": {}, "fingerprint": ""},
        versions={},
    )
    assert "## The signature `repeat`\n\n`repeat` takes `text` and returns\n\n- `repeated`" in card
