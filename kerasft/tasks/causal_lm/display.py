"""How a causal language model is shown: its figures in words, and texts coloured by how hard each token was."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from kerasft.metrics.language import LanguageMeasure
from kerasft.plots.wording import format_percent
from kerasft.tasks.display import Figures, Measured, Section, Shown, TextDisplay

_SHOWN_EXAMPLES = 12
_STEPS = (1.0, 2.0, 4.0, 7.0)
"""Bits at which a token's colour changes."""
_SHARES = (0, 14, 30, 48, 70)
"""Percent of the colour."""


class ShownToken(pydantic.BaseModel):
    """A predicted token, or several that spell one character, and the nats that it cost."""

    text: str
    log_loss: pydantic.FiniteFloat
    right: bool
    special: bool


class MeasuredExample(pydantic.BaseModel):
    """A line of predictions/<split>.jsonl: sums over an example's predicted tokens, and the first of these."""

    origin: str
    text: str
    before: str
    log_loss_sum: pydantic.FiniteFloat
    right: int
    scored: int
    tokens: int
    bytes: int
    shown: list[ShownToken]


class CausalLmDisplay(TextDisplay):
    """Of how well texts are predicted."""

    noun = "document"
    record_schema = MeasuredExample
    text = "It was a cold morning, and the harbour was still."

    def tell_example(self, record: Mapping[str, Any]) -> dict[str, Any]:
        # tokens are the tokenizer's, which may be another's in the other run
        return {key: record[key] for key in ("text", "bytes")}

    def open_measure(self, records: Sequence[Mapping[str, Any]], samples: int) -> LanguageMeasure:
        names = ("log_loss_sum", "right", "scored", "tokens", "bytes")
        return LanguageMeasure(np.array([[row[name] for name in names] for row in records], np.float64))

    def show(self, measured: Measured) -> Shown:
        rows = [row for row in measured.records if row["shown"]]
        places = np.unique(np.linspace(0, max(len(rows) - 1, 0), _SHOWN_EXAMPLES).astype(int))
        shown = [_show(rows[place]) for place in places.tolist()] if rows else []
        section = Section(
            heading="Token by token",
            template="section_tokens.html",
            data={"examples": shown, "scale": _describe_scale()},
            folder=Path(__file__).parent,
        )
        return Shown(headline=_describe(measured.figures, measured.name), sections=[section] if shown else [])

    def list_commands(self, run: str) -> list[tuple[str, str]]:
        return [("See how well it predicts a text", f"{self.ask(run)} {self._quote_example()}")]

    def list_requests(self, address: str, saved_model: str) -> list[tuple[str, str]]:
        if self.config.input == "text":
            return super().list_requests(address, saved_model)
        instance = {field.name: "…" for field in self.config.inputs}
        quoted = ", ".join(f'"{name}": "{value}"' for name, value in instance.items())
        arguments = ", ".join(f'{name}=tf.constant(["{value}"])' for name, value in instance.items())
        python = (
            "import tensorflow as tf\n"
            f"model = tf.saved_model.load({saved_model})\n"
            f'model.signatures["serving_default"]({arguments})'
        )
        return [
            ("and query it over HTTP", f"""curl -d '{{"instances": [{{{quoted}}}]}}' {address}"""),
            ("From Python, with TensorFlow alone", python),
        ]

    def _quote_example(self) -> str:
        if self.config.input == "text":
            return f'"{self.text}"'
        if self.config.input == "completion":
            return """'{"prompt": "…", "completion": "…"}'"""
        return """'[{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]'"""


def _describe(figures: Figures, split: str) -> str:
    documents = int(figures["examples"]["value"])
    where = f"{documents:,} {split} document{'s' * (documents != 1)}"
    start = f"Of {int(figures['predicted_tokens']['value']):,} tokens in {where}"
    if "accuracy" not in figures:
        return f"{start} there is nothing to measure."
    sentence = (
        f"{start} the model's first guess is right for {format_percent(figures['accuracy']['value'])}; it is as unsure "
        f"as between {figures['perplexity']['value']:,.1f} equally likely tokens"
    )
    if "bits_per_byte" not in figures:
        return f"{sentence}."
    return f"{sentence}, or {figures['bits_per_byte']['value']:.2f} bits per byte of text."


def _show(record: Mapping[str, Any]) -> dict[str, Any]:
    more = record["scored"] > len(record["shown"])
    tokens = [
        {
            "text": token["text"],
            "special": token["special"],
            "share": _choose_share(token["log_loss"]),
            "cost": f"{token['log_loss'] / math.log(2):.1f} bits"
            + (", the first guess" if token["right"] else ""),
        }
        for token in record["shown"]
    ]
    return {"origin": record["origin"], "before": record["before"], "tokens": tokens, "more": more}


def _choose_share(log_loss: float) -> int:
    return _SHARES[sum(log_loss / math.log(2) >= step for step in _STEPS)]


def _describe_scale() -> list[dict[str, Any]]:
    edges = ["0", *(f"{step:g}" for step in _STEPS)]
    names = [f"{low} to {high} bits" for low, high in itertools.pairwise(edges)]
    return [
        {"share": share, "name": name}
        for share, name in zip(_SHARES, [*names, f"{edges[-1]} bits and more"], strict=True)
    ]


DisplayClass = CausalLmDisplay
