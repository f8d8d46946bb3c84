"""What a masked language model answers: words for masks, and how well a text is predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.metrics.language import LanguageMeasure
from kerasft.tasks.language_tally import count_document
from kerasft.tasks.masked_lm.serving import GUESSES
from kerasft.text.token_words import TokenWords

_SHOWN_MASKS = 3
_SHOWN_TOKENS = 12
"""Masks that are shown of a document, and tokens before and after each."""
_RECORDED_CHARACTERS = 300


class MaskedAnswers:
    """Reads what the task's feed joins of a document.

    Args:
        words: of the tokenizer.
        mask_id: of the mask.
        special: ids that are not shown.
    """

    def __init__(self, words: TokenWords, mask_id: int, special: Sequence[int]):
        self._words, self._mask_id, self._special = words, mask_id, special

    def decode(self, outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What was asked for at masks; or where none were, how well the text is told at masks of its own."""
        return [self._decode(output) for output in outputs]

    def _decode(self, output: Mapping[str, Any]) -> dict[str, Any]:
        asked = np.flatnonzero(output["targets"] == self._mask_id)
        if len(asked):
            return {"masks": [self._list_guesses(output, place) for place in asked.tolist()]}
        counts = count_document(output)
        measure = LanguageMeasure(np.array([counts]))
        figures = {
            name: float(value) if np.isfinite(value) else None for name, value in measure.values.items()
        }
        names = ("log_loss_sum", "right", "scored", "tokens", "bytes")
        return {
            "masks": [],
            "log_loss": figures["log_loss"],
            "bits_per_byte": figures["bits_per_byte"],
            "counts": dict(zip(names, counts, strict=True)),
            "shown": self._show_masks(output),
        }

    def _list_guesses(self, output: Mapping[str, Any], place: int) -> dict[str, Any]:
        words = self._words.words
        return {
            "words": [words[number] for number in output["ids"][place].tolist()],
            "probabilities": [float(value) for value in output["probabilities"][place]],
        }

    def _show_masks(self, output: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A few masks of a document's first window, in their surroundings."""
        tokens = output["first_window"]
        places = np.flatnonzero(output["windows"] == 0)
        shown = []
        for place in places[:: max(1, len(places) // _SHOWN_MASKS)][:_SHOWN_MASKS].tolist():
            position = int(output["positions"][place])

            def say(part: np.ndarray) -> str:
                return self._words.join([number for number in part.tolist() if number not in self._special])

            shown.append(
                {
                    "before": say(tokens[max(0, position - _SHOWN_TOKENS) : position]),
                    "target": self._words.words[int(output["targets"][place])],
                    "after": say(tokens[position + 1 : position + 1 + _SHOWN_TOKENS]),
                    **self._list_guesses(output, place),
                }
            )
        return shown

    def complete(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        words = [mask["words"][0] for mask in prediction["masks"]]
        return {
            "filled": self._words.fill(example["text"], words) if words else example["text"],
            "masks": prediction["masks"],
            "log_loss": prediction.get("log_loss"),
            "bits_per_byte": prediction.get("bits_per_byte"),
        }

    def record(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "text": example["text"][:_RECORDED_CHARACTERS],
            **prediction["counts"],
            "masks": prediction["shown"],
        }

    def describe(self, outputs: Sequence[Mapping[str, Any]]) -> str:
        """A few masks of some documents as a Markdown table."""
        lines = ["| text | masked | guesses |", "|---|---|---|"]
        for prediction in self.decode(outputs):
            for one in prediction.get("shown", ()):
                guesses = ", ".join(
                    f"{word} {share:.2f}"
                    for word, share in zip(one["words"][:3], one["probabilities"], strict=False)
                )
                mark = "" if one["words"][0] == one["target"] else " ✗"
                cells = [f"{one['before']} **[…]** {one['after']}", one["target"], guesses + mark]
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return "\n".join(lines)

    def measure(
        self, answers: Mapping[str, np.ndarray], outputs: Sequence[Mapping[str, Any]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Served.measure`. Words of equal probability may change places."""
        differences, equal = np.zeros(len(outputs)), np.ones(len(outputs), bool)
        for index, output in enumerate(outputs):
            masks = self._decode(output)["masks"]
            if int(answers["count"][index]) != len(masks):
                differences[index], equal[index] = 1.0, False
                continue
            if not masks:
                continue
            mine = np.array([mask["probabilities"] for mask in masks])
            theirs = answers["probabilities"][index, : len(masks)]
            differences[index] = np.abs(mine - theirs).max()
            words = np.array([mask["words"] for mask in masks])
            equal[index] = bool(np.all(words == answers["words"][index, : len(masks), :GUESSES]))
        return differences, equal
