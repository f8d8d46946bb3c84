"""How a masked language model is shown: its figures in words, and masked words with the model's guesses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from kerasft.metrics.language import LanguageMeasure
from kerasft.plots.wording import format_percent
from kerasft.tasks.display import Figures, Measured, Section, Shown, TextDisplay

_SHOWN_DOCUMENTS = 20
_SHOWN_GUESSES = 3


class ShownMask(pydantic.BaseModel):
    """A masked token in its surroundings, and what the model took it for."""

    before: str
    target: str
    after: str
    words: list[str] = pydantic.Field(min_length=1)
    probabilities: list[pydantic.FiniteFloat] = pydantic.Field(min_length=1)


class MeasuredDocument(pydantic.BaseModel):
    """A line of predictions/<split>.jsonl: sums over a document's masked tokens, and a few of these."""

    origin: str
    text: str
    log_loss_sum: pydantic.FiniteFloat
    right: int
    scored: int
    tokens: int
    bytes: int
    masks: list[ShownMask]


class MaskedLmDisplay(TextDisplay):
    """Of answers to texts with masks."""

    noun = "document"
    record_schema = MeasuredDocument
    text = "The weather was [MASK] all day."

    def list_columns(self) -> list[str]:
        return ["filled", "words", "probabilities", "log_loss", "bits_per_byte"]

    def list_cells(self, answer: Mapping[str, Any]) -> list[Any]:
        masks = answer.get("masks") or []
        words = [mask["words"][0] for mask in masks]
        shares = [round(mask["probabilities"][0], 6) for mask in masks]
        return [
            answer.get("filled"),
            " | ".join(words) if words else None,
            " | ".join(map(str, shares)) if shares else None,
            answer.get("log_loss"),
            answer.get("bits_per_byte"),
        ]

    def tell_example(self, record: Mapping[str, Any]) -> dict[str, Any]:
        # tokens are the tokenizer's, which may be another's in the other run
        return {key: record[key] for key in ("text", "bytes")}

    def open_measure(self, records: Sequence[Mapping[str, Any]], samples: int) -> LanguageMeasure:
        names = ("log_loss_sum", "right", "scored", "tokens", "bytes")
        return LanguageMeasure(np.array([[row[name] for name in names] for row in records], np.float64))

    def show(self, measured: Measured) -> Shown:
        rows = list(measured.records)
        with_masks = [row for row in rows if row["masks"]]
        places = np.unique(np.linspace(0, max(len(with_masks) - 1, 0), _SHOWN_DOCUMENTS).astype(int))
        shown = [_show(with_masks[place]) for place in places.tolist()] if with_masks else []
        section = Section(
            heading="Masked words",
            template="section_masks.html",
            data={"documents": shown},
            folder=Path(__file__).parent,
        )
        return Shown(headline=_describe(measured.figures, measured.name), sections=[section] if shown else [])


def _describe(figures: Figures, split: str) -> str:
    documents = int(figures["examples"]["value"])
    start = (
        f"Of {int(figures['predicted_tokens']['value']):,} masked tokens in {documents:,} {split} documents"
    )
    if "accuracy" not in figures:
        return f"{start} there is nothing to measure."
    return (
        f"{start} the model's first guess is right for {format_percent(figures['accuracy']['value'])}; it is as unsure "
        f"as between {figures['perplexity']['value']:,.1f} equally likely tokens."
    )


def _show(record: Mapping[str, Any]) -> dict[str, Any]:
    masks = [
        {
            **mask,
            "is_right": mask["words"][0] == mask["target"],
            "guesses": [
                {"word": word, "share": format_percent(share)}
                for word, share in zip(mask["words"], mask["probabilities"], strict=True)
            ][:_SHOWN_GUESSES],
        }
        for mask in record["masks"]
    ]
    return {"origin": record["origin"], "masks": masks}


DisplayClass = MaskedLmDisplay
