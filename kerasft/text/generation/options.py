"""The options of writing as tensors, which an exported model is given with each call."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from kerasft.config.describe import Place
from kerasft.text.generation.config import GenerationConfig


class Options(NamedTuple):
    """How texts are written; see `GenerationConfig`.

    Attributes:
        max_new_tokens, top_k: int32 scalars.
        temperature, top_p, repetition_penalty: float32 scalars.
        seed: int64 scalar.
        stop: string (n,), UTF-8; empty ones are passed over.
    """

    max_new_tokens: tf.Tensor
    temperature: tf.Tensor
    top_k: tf.Tensor
    top_p: tf.Tensor
    repetition_penalty: tf.Tensor
    seed: tf.Tensor
    stop: tf.Tensor


OPTION_SPECS = Options(
    tf.TensorSpec((), tf.int32, "max_new_tokens"),
    tf.TensorSpec((), tf.float32, "temperature"),
    tf.TensorSpec((), tf.int32, "top_k"),
    tf.TensorSpec((), tf.float32, "top_p"),
    tf.TensorSpec((), tf.float32, "repetition_penalty"),
    tf.TensorSpec((), tf.int64, "seed"),
    tf.TensorSpec((None,), tf.string, "stop"),
)
_LIMITED = ("max_new_tokens", "temperature", "top_k", "top_p", "repetition_penalty")
_COMPARISONS = {"ge": tf.greater_equal, "gt": tf.greater, "le": tf.less_equal}


def make_options(config: GenerationConfig) -> Options:
    """A config's options as tensors."""
    values = config.model_dump()
    values["stop"] = encode_stops(config)
    with tf.device("CPU:0"):
        return Options(
            *(
                tf.constant(
                    values[spec.name], spec.dtype, [len(values["stop"])] if spec.name == "stop" else []
                )
                for spec in OPTION_SPECS
            )
        )


def encode_stops(config: GenerationConfig) -> list[bytes]:
    """The stop strings in UTF-8; half of a surrogate pair as a question mark, as in prompts."""
    return [stop.encode("utf-8", "replace") for stop in config.stop]


def refuse_options(options: Options) -> tf.Tensor:
    """string scalar: which option has a value that it may not have; empty where none has."""
    places, status = Place.of(GenerationConfig).keys, tf.constant("")
    for name in _LIMITED:
        reason = f"{name}: expected {places[name].describe()}"
        status = tf.where(tf.not_equal(status, "") | _is_allowed(options, name), status, reason)
    return status


def make_safe(options: Options) -> Options:
    """The options; in the place of any that `refuse_options` names, others that every text can be written with."""
    is_right = tf.equal(refuse_options(options), "")
    others = make_options(GenerationConfig(max_new_tokens=1))
    changed = {name: tf.where(is_right, getattr(options, name), getattr(others, name)) for name in _LIMITED}
    return options._replace(**changed)


def _is_allowed(options: Options, name: str) -> tf.Tensor:
    """bool scalar: whether an option is within the limits that `GenerationConfig` sets; NaN never is."""
    value, is_right = getattr(options, name), tf.constant(True)
    for bound in GenerationConfig.model_fields[name].metadata:
        for kind, compare in _COMPARISONS.items():
            if hasattr(bound, kind):
                is_right &= compare(value, tf.constant(getattr(bound, kind), value.dtype))
    return is_right
