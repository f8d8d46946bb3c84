"""What is exported of a model that writes: the signature `generate`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.tasks.served import Call, FurtherSignature, Served
from kerasft.text.generation.config import GenerationConfig
from kerasft.text.generation.generator import Generator
from kerasft.text.generation.options import OPTION_SPECS, Options
from kerasft.text.generation.writer import TextWriter

_TOKENS = 24
RETURNS = (
    "- `continuation`: string (batch,), the text that follows each prompt;",
    "- `tokens`: int32 (batch,), how many tokens were written;",
    "- `ended`: string (batch,), why each text ended: `end token`, `stop string` or `length`;",
    "- `left_out`: int32 (batch,), tokens at a prompt's beginning for which the model has no room;",
    "- `status`: string (batch,), empty where a prompt was used; else why not: its other outputs are empty, or 0.",
)


def add_writing(served: Served, generator: Generator, examples: Sequence[str]) -> Served:
    """What is exported, with a signature that writes beside those that it has.

    Args:
        served: as the task gives it.
        generator: of the same model.
        examples: texts whose beginnings are prompts of the export's check.
    """
    writer = TextWriter(generator)

    def answer(call: Call) -> dict[str, np.ndarray]:
        with tf.device("CPU:0"):
            options = Options(*(_make_tensor(call[spec.name], spec) for spec in OPTION_SPECS))
            answers = writer.ask(call["prompt"], options)  # type: ignore[arg-type]
        return {name: _decode(values) for name, values in answers.items()}

    further = FurtherSignature(
        name="generate",
        takes=_describe(generator),
        returns=RETURNS,
        calls=list_calls(generator, [generator.prompts.make_prompt(text) for text in examples]),
        answer=answer,
    )
    module = _Joined(served.module, generator)
    return dataclasses.replace(served, module=module, further=(*served.further, further))


def list_calls(generator: Generator, prompts: Sequence[str]) -> tuple[Call, ...]:
    """What an export is asked: the likeliest tokens, drawn ones, other prompts, none, and options that it refuses."""
    greedy = {"max_new_tokens": _TOKENS, "temperature": 0.0, "repetition_penalty": 1.0}
    drawn = {"max_new_tokens": _TOKENS, "temperature": 0.9, "top_k": 50, "top_p": 0.9, "seed": 7}
    defaults, given, probes = generator.defaults, list(prompts), list(generator.prompts.probes)
    return (
        _make_call(defaults, given, greedy),
        _make_call(defaults, given, {**drawn, "repetition_penalty": 1.2, "stop": ["\n\n", "e"]}),
        _make_call(defaults, probes, {**drawn, "top_k": 0}),
        _make_call(defaults, [], greedy),
        _make_call(defaults, given[:1], {**greedy, "temperature": -1.0}),
    )


def _make_call(defaults: GenerationConfig, prompts: list[Any], changes: dict[str, Any]) -> Call:
    options = defaults.model_dump() | changes
    return {"prompt": prompts, **options, "stop": list(options["stop"])}


def _make_tensor(value: Any, spec: tf.TensorSpec) -> tf.Tensor:
    if spec.dtype == tf.string:
        value = [each.encode("utf-8", "replace") for each in value]
        return tf.constant(value, tf.string, [len(value)])
    return tf.constant(value, spec.dtype)


def _decode(values: np.ndarray) -> np.ndarray:
    if values.dtype != object:
        return values
    return np.array([value.decode("utf-8") for value in values.ravel()], str).reshape(values.shape)


def _describe(generator: Generator) -> str:
    """For the model card: what the signature does, and how TensorFlow Serving is asked."""
    example = {
        "signature_name": "generate",
        "inputs": {"prompt": ["Once upon a time"]} | generator.defaults.model_dump(mode="json"),
    }
    return "\n".join(
        [
            f"`generate` writes on from {generator.prompts.takes}. All other inputs are scalars, `stop` aside, which "
            "is a list of strings and may be empty; none may be left out. A request to TensorFlow Serving, with the "
            "options that the model was trained with as its defaults:",
            "",
            f"    {json.dumps(example, ensure_ascii=False)}",
            "",
            f"The model looks at {generator.context} tokens. {generator.prompts.limits}; a longer text goes on from "
            "its newer half. `temperature` 0 gives the likeliest tokens; otherwise the same `seed` gives the same "
            "texts. It returns",
        ]
    )


class _Joined(tf.Module):
    """Two modules with the signatures of both."""

    def __init__(self, first: Any, second: Any):
        super().__init__(name="model")
        self.first, self.second = first, second

    @property
    def signatures(self) -> dict[str, Any]:
        """For `tf.saved_model.save`."""
        return {**self.first.signatures, **self.second.signatures}
