"""What a causal language model answers: how well it predicts a text, and each of its first tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.metrics.language import COUNTS, LanguageMeasure
from kerasft.tasks.language_tally import count_document
from kerasft.text.tokenizers.special import list_special_tokens

_SHOWN_TOKENS = 120
"""Of an example, with their losses."""
_RECORDED_CHARACTERS = 300
_CONTEXT_CHARACTERS = 160
_COUNTS = ("log_loss_sum", *COUNTS[1:])
_MOST_BYTES = 4
"""Of a character in UTF-8."""


class ScoredTexts:
    """Reads what the task's feed joins of an example.

    Args:
        tokenizer: of the model.
        kind: `text`, `completion` or `chat`; see `task.input` of a config.
    """

    def __init__(self, tokenizer: Any, kind: str):
        self._tokenizer, self._kind = tokenizer, kind
        self._special = {place: token for token, place in list_special_tokens(tokenizer).items()}

    def decode(self, outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """How well each example is predicted, and its first tokens with their losses."""
        return [self._decode(output) for output in outputs]

    def _decode(self, output: Mapping[str, Any]) -> dict[str, Any]:
        counts = count_document(output)
        values = LanguageMeasure(np.array([counts])).values
        figures = {
            name: float(values[name]) if np.isfinite(values[name]) else None
            for name in ("log_loss", "bits_per_byte")
        }
        return {
            **figures,
            "tokens": output["tokens"],
            "counts": dict(zip(_COUNTS, counts, strict=True)),
            "shown": list(self._list_tokens(output)),
        }

    def _list_tokens(self, output: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The first tokens; several that spell one character together are one."""
        ids = output["targets"][:_SHOWN_TOKENS]
        spelled = self._tokenizer.spell(tf.constant(ids, tf.int32)).numpy() if len(ids) else ()
        losses, right = output["log_loss"].tolist(), output["right"].tolist()
        waiting, loss, all_right = b"", 0.0, True
        for place, (number, piece) in enumerate(zip(ids.tolist(), spelled, strict=True)):
            waiting += piece
            loss, all_right = loss + losses[place], all_right and right[place]
            if place + 1 < len(ids) and _is_unfinished(waiting):
                continue
            text = waiting.decode("utf-8", "replace")
            is_special = not text and number in self._special
            yield {
                "text": self._special[number] if is_special else text,
                "log_loss": loss,
                "right": all_right,
                "special": is_special,
            }
            waiting, loss, all_right = b"", 0.0, True

    def complete(self, prediction: Mapping[str, Any]) -> dict[str, Any]:
        return {name: prediction[name] for name in ("log_loss", "bits_per_byte", "tokens")}

    def record(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        before, text = self._say(example)
        return {
            "text": text[:_RECORDED_CHARACTERS],
            "before": before[-_CONTEXT_CHARACTERS:],
            **prediction["counts"],
            "shown": prediction["shown"],
        }

    def _say(self, example: Mapping[str, Any]) -> tuple[str, str]:
        """What stands before an example's first predicted token, and all of it."""
        if self._kind == "text":
            return "", example["text"]
        if self._kind == "completion":
            return example["prompt"], f"{example['prompt']}\n{example['completion']}"
        roles = [role for role, _ in example["messages"]]
        contents = [content for _, content in example["messages"]]
        before = contents[: roles.index("assistant")] if "assistant" in roles else contents
        return before[-1] if before else "", "\n".join(contents)

    def describe(self, examples: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> str:
        """Some examples as a Markdown table: how well each is predicted, and which tokens are the hardest."""
        lines = ["| text | log-loss | bits per byte | hardest tokens |", "|---|---|---|---|"]
        for example, prediction in zip(examples, self.decode(outputs), strict=True):
            hardest = sorted(prediction["shown"], key=lambda token: -token["log_loss"])[:5]
            shown = ", ".join(f"{token['text']!r} {token['log_loss']:.1f}" for token in hardest)
            figures = [_format(prediction[name]) for name in ("log_loss", "bits_per_byte")]
            cells = [self._say(example)[1][:_CONTEXT_CHARACTERS], *figures, shown]
            lines.append(
                "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
            )
        return "\n".join(lines)

    def measure(
        self, answers: Mapping[str, np.ndarray], outputs: Sequence[Mapping[str, Any]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Served.measure`: nats a token, and whether as many tokens were predicted."""
        differences, equal = np.zeros(len(outputs)), np.zeros(len(outputs), bool)
        for index, prediction in enumerate(self.decode(outputs)):
            for name in ("log_loss", "bits_per_byte"):
                difference = abs(float(answers[name][index]) - (prediction[name] or 0.0))
                differences[index] = max(differences[index], difference)
            equal[index] = int(answers["tokens"][index]) == prediction["tokens"]
        return differences, equal


def _is_unfinished(text: bytes) -> bool:
    """Whether more bytes may make it whole characters."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and len(text) - error.start < _MOST_BYTES
    return False


def _format(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
