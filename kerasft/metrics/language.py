"""How well a language model tells the tokens of documents: loss, perplexity, bits per byte, accuracy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasft.metrics.bootstrap import compute_percentile_interval
from kerasft.metrics.measure import Measure

COUNTS = ("log_loss", "right", "scored", "tokens", "bytes")
"""What is counted of each document: Σ −ln p of the predicted tokens, how many of these are the first guess, how many
there are; and how many tokens and UTF-8 bytes the document has."""


class LanguageMeasure(Measure):
    """Figures of documents, and of resamples of them.

    Of a document's t tokens n are scored. Each of these stands for t / n tokens, so that a short document, of which at
    least one token is scored, does not weigh more than its tokens. With log_loss and right the sums over a document's
    scored tokens, b its bytes, and Σ over documents:

        log_loss = Σ (t / n) log_loss / Σ t      perplexity = exp(log_loss)
        accuracy = Σ (t / n) right / Σ t         bits_per_byte = log_loss / ln 2 · Σ t / Σ b

    Documents without a scored token count in the bytes, and in the tokens, of the last alone.

    A model that predicts masked tokens alone is so measured as if it predicted all tokens as well as those: the figure
    is comparable between tokenizers that lose nothing of the text, and not with that of a model that reads from left to
    right.

    Args:
        counts: float64 (documents, 5), the columns `COUNTS`.
    """

    def __init__(self, counts: np.ndarray):
        self._counts = _weigh(np.asarray(counts, np.float64).reshape(-1, len(COUNTS)))
        self.order = np.arange(len(self._counts))
        self.values = {name: values[0] for name, values in _compute(self._counts.sum(0)[None]).items()}

    def resample(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        return _compute(counts @ self._counts)


def _weigh(counts: np.ndarray) -> np.ndarray:
    """Each document's sums as they would be if all its tokens were scored, float64 (documents, 5)."""
    loss, right, scored, tokens, size = counts.T
    weights = np.divide(tokens, scored, out=np.zeros_like(tokens), where=scored > 0)
    return np.stack([loss * weights, right * weights, scored * weights, tokens, size], -1)


def _compute(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Sums (resamples, 5) → figures (resamples,)."""
    loss, right, scored, tokens, size = sums.T
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = np.where(scored > 0, loss / scored, np.nan)
        return {
            "bits_per_byte": np.where(size > 0, mean / math.log(2) * tokens / size, np.nan),
            "perplexity": np.exp(mean),
            "accuracy": np.where(scored > 0, right / scored, np.nan),
            "log_loss": mean,
        }


def measure_language(
    counts: np.ndarray, *, bootstrap_samples: int = 0, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """The figures of some documents, with 95 % intervals over documents.

    Args:
        counts: float64 (documents, 5), the columns `COUNTS`.
        bootstrap_samples: resamples; 0: no intervals. Of one document there are none.
        seed: the resamples follow from it.
    """
    measure = LanguageMeasure(counts)
    figures: dict[str, dict[str, Any]] = {
        name: {"value": float(value)} for name, value in measure.values.items() if np.isfinite(value)
    }
    if bootstrap_samples and len(measure) > 1:
        drawn = measure.draw(bootstrap_samples, seed)
        for name, figure in figures.items():
            interval = compute_percentile_interval(drawn[name])
            if interval is not None:
                figure["low"], figure["high"] = interval
    totals = np.asarray(counts, np.float64).reshape(-1, len(COUNTS)).sum(0)
    figures["examples"] = {"value": len(measure)}
    figures["tokens"] = {"value": int(totals[3])}
    figures["predicted_tokens"] = {"value": int(totals[2])}
    return figures
