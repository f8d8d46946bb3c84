"""Figures of entities: precision, recall and F1 of spans with types, with 95 % bootstrap intervals over sentences.

A sentence's entities are (start, end, type id), end exclusive, in words or characters; one that is given twice counts
once. Four measures ask different things of a predicted entity and the gold one beside it:

    strict      same start, end and type        the figures without a prefix
    exact       same start and end              exact_…
    partial     same start and end; or an overlap, which counts one half    partial_…
    ent_type    an overlap and the same type    ent_type_…

    precision = Σ credit / predicted,  recall = Σ credit / gold,  F1 = 2·Σ credit / (gold + predicted)

Strict is CoNLL's measure, and seqeval's; all four are SemEval 2013's, as nervaluate computes them. Each entity is
paired with one of the other side at most: first with its like in all three, then from left to right, as
`pair_boundaries` and `pair_types` say.

Sources: Tjong Kim Sang and De Meulder 2003, CoNLL-2003; Segura-Bedmar et al. 2013, SemEval-2013 task 9.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from kerasft.errors import DataError
from kerasft.metrics.bootstrap import (
    compute_boundary_interval,
    compute_percentile_interval,
)
from kerasft.metrics.classification import Figure
from kerasft.metrics.confusion import ConfusionSums, compute_class_figures
from kerasft.metrics.measure import Measure

Entity = tuple[int, int, int]
"""(start, end, type id); end exclusive."""

_KINDS = ("precision", "recall", "f1")
_LOOSE = ("exact", "partial", "ent_type")


def measure_entities(
    gold: Sequence[Sequence[Entity]],
    predicted: Sequence[Sequence[Entity]],
    types: Sequence[str],
    *,
    token_hits: np.ndarray | None = None,
    token_log_losses: np.ndarray | None = None,
    bootstrap_samples: int = 1000,
    seed: int = 0,
) -> dict[str, Figure]:
    """All figures by name.

        precision, recall, f1    strict, of all entities together (micro)
        macro_…                  their means over the types that occur, gold or predicted; 0/0 counts as 0
        exact_…, partial_…, ent_type_…    precision, recall and F1 of the other measures
        token_accuracy           share of the tokens whose tag is right; with `token_hits` alone
        log_loss                 −ln of the probability of a token's tag, nats a token; with `token_log_losses`
        examples, entities       sentences, and gold entities in them

    Besides, for each type, strict `precision/<type>`, `recall/<type>`, `f1/<type>` and `support/<type>`. Never NaN: a
    figure that these sentences leave undefined is left out, and `explain_missing_entity_figures` says why. Intervals
    are percentile intervals over sentences. A precision, recall or token accuracy that is exactly 0 or 1 has an
    exact binomial one instead, of as many trials as sentences have a part in it: what stands in one sentence is right
    or wrong together. A figure that all resamples agree on has none.

    Args:
        gold: of each sentence its entities, in any order.
        predicted: of the same sentences.
        types: names of the type ids, all different.
        token_hits: int (sentences, 2), rightly tagged tokens and all tokens of each sentence.
        token_log_losses: float (sentences,), the sum of −ln p over each sentence's tokens; needs `token_hits`.
        bootstrap_samples: resamples behind the intervals; 0 for values alone.
        seed: the resamples follow from it.

    Raises:
        ValueError: numbers of sentences differ, names are not different, or an entity is empty or of no such type.
        DataError: there are no sentences.
    """
    measure = EntityMeasure(gold, predicted, types, token_hits=token_hits, token_log_losses=token_log_losses)
    values, trials = measure.values, _count_trials(measure.sums, types)
    resampled = measure.draw(bootstrap_samples, seed) if bootstrap_samples else {}
    support = measure.sums[:, len(types) : 2 * len(types)].sum(axis=0)
    figures: dict[str, Figure] = {"examples": {"value": len(gold)}, "entities": {"value": int(support.sum())}}
    figures |= _add_intervals(values, resampled, trials)
    for name, count in zip(types, support, strict=True):
        figures[f"support/{name}"] = {"value": int(count)}
    return figures


class EntityMeasure(Measure):
    """The figures of `measure_entities`, and of resamples of its sentences; arguments as there.

    Attributes:
        sums: int64 (sentences, columns), what each sentence adds.
    """

    def __init__(
        self,
        gold: Sequence[Sequence[Entity]],
        predicted: Sequence[Sequence[Entity]],
        types: Sequence[str],
        *,
        token_hits: np.ndarray | None = None,
        token_log_losses: np.ndarray | None = None,
    ):
        self._types = tuple(types)
        self.sums = _sum_sentences(gold, predicted, types, token_hits)
        self.values = _name_figures(self.sums.sum(axis=0, dtype=np.float64), types)
        # Sentences that add the same stand side by side, and are counted together before anything is multiplied.
        kinds, places, sizes = np.unique(self.sums, axis=0, return_inverse=True, return_counts=True)
        self.order = np.argsort(places.ravel(), kind="stable")
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._terms = np.ascontiguousarray(kinds.T, np.float64)
        self._losses = None
        if token_log_losses is not None and token_hits is not None:
            losses = np.asarray(token_log_losses, np.float64)
            self._losses = losses[self.order]
            self.values |= _name_log_loss(losses.sum(), self.sums[:, -1].sum())

    def resample(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        # einsum and not @: a matrix product of this shape spends its time waiting for its threads.
        total = np.einsum("bn,kn->bk", np.add.reduceat(counts, self._starts, axis=1), self._terms)
        figures = _name_figures(total, self._types)
        if self._losses is not None:
            figures |= _name_log_loss(np.einsum("bn,n->b", counts, self._losses), total[:, -1])
        return figures


def _add_intervals(
    values: Mapping[str, np.ndarray], resampled: Mapping[str, np.ndarray], trials: Mapping[str, float]
) -> dict[str, Figure]:
    """The figures that are defined, with their intervals; see `measure_entities`.

    Args:
        values: by name, each of no axes; NaN where undefined.
        resampled: of each its value in every resample; empty for values alone.
        trials: of each share how many sentences have a part in it.
    """
    figures: dict[str, Figure] = {}
    for name, value in values.items():
        if not np.isfinite(value):
            continue
        figures[name] = {"value": float(value)}
        interval = None
        if resampled and name in trials and value in (0.0, 1.0):
            interval = compute_boundary_interval(float(value), trials[name])
        elif resampled:
            interval = compute_percentile_interval(resampled[name])
        if interval is not None:
            figures[name] |= {"low": interval[0], "high": interval[1]}
    return figures


def explain_missing_entity_figures(figures: dict[str, Figure], types: Sequence[str]) -> dict[str, str]:
    """Why `measure_entities` left figures out: figure → reason; empty where it gave all.

    Args:
        figures: what it gave.
        types: what it was given.
    """
    reasons: dict[str, str] = {}
    for name in types:
        if f"precision/{name}" not in figures:
            reasons[f"precision/{name}"] = f"{name!r} is never predicted"
        if f"recall/{name}" not in figures:
            reasons[f"recall/{name}"] = f"no entity is a {name!r}"
        if f"f1/{name}" not in figures:
            reasons[f"f1/{name}"] = f"{name!r} is neither an entity nor a prediction here"
    why = {
        "precision": "no entity is predicted",
        "recall": "there are no entities",
        "f1": "there are no entities, and none are predicted",
    }
    for kind, reason in why.items():
        for prefix in ("", "macro_", *(f"{measure}_" for measure in _LOOSE)):
            if f"{prefix}{kind}" not in figures:
                reasons[f"{prefix}{kind}"] = reason
    return reasons


def pair_boundaries(gold: Sequence[Entity], predicted: Sequence[Entity]) -> tuple[int, int]:
    """Pairs a sentence's entities by where they are: those of the same start and end, then those that overlap.

    Each predicted entity that has not its like takes the first gold one that it overlaps and that is still free.

    Args:
        gold: sorted.
        predicted: sorted.

    Returns:
        pairs of the same start and end, and others that overlap.
    """
    free, rest = list(gold), []
    for entity in predicted:
        like = next((other for other in _list_overlaps(entity, free) if other[:2] == entity[:2]), None)
        if like is None:
            rest.append(entity)
        else:
            free.remove(like)
    return len(predicted) - len(rest), _pair_rest(free, rest)


def _pair_rest(free: list[Entity], predicted: Sequence[Entity]) -> int:
    pairs = 0
    for entity in predicted:
        beside = next(_list_overlaps(entity, free), None)
        if beside is not None:
            free.remove(beside)
            pairs += 1
    return pairs


def pair_types(gold: Sequence[Entity], predicted: Sequence[Entity]) -> int:
    """Pairs a sentence's entities that overlap, and counts the pairs of one type.

    Each predicted entity takes, of the free gold ones that it overlaps, that of its type whose start and end are
    nearest, or else the first: that one is then missed, also by a later prediction of its type.

    Args:
        gold: sorted.
        predicted: sorted.
    """
    free, pairs = list(gold), 0
    for entity in predicted:
        start, end, type_id = entity
        beside = list(_list_overlaps(entity, free))
        alike = [other for other in beside if other[2] == type_id]
        if alike:
            pairs += 1
            free.remove(min(alike, key=lambda other: abs(other[0] - start) + abs(other[1] - end)))
        elif beside:
            free.remove(beside[0])
    return pairs


def _list_overlaps(entity: Entity, others: list[Entity]) -> Iterator[Entity]:
    """Those of sorted entities that overlap one, in order."""
    for other in others:
        if other[0] >= entity[1]:
            return
        if other[1] > entity[0]:
            yield other


def _sum_sentences(
    gold: Sequence[Sequence[Entity]],
    predicted: Sequence[Sequence[Entity]],
    types: Sequence[str],
    token_hits: np.ndarray | None,
) -> np.ndarray:
    """What each sentence adds to the figures, int64 (sentences, columns).

    The columns: strict hits of each type, gold entities of each type, predicted ones of each type; pairs of the same
    start and end, other pairs that overlap, pairs of one type; and what `token_hits` holds.
    """
    sentences, num_types = len(gold), len(types)
    if len(predicted) != sentences or len(set(types)) != num_types:
        raise ValueError(
            f"expected as many predictions as sentences ({sentences}) and different types, "
            f"got {len(predicted)} and {list(types)}"
        )
    if not sentences:
        raise DataError("there are no examples to measure", fix="Give a split that has at least one example.")
    pairs = np.zeros((sentences, len(_LOOSE)), np.int64)
    cells = array("q"), array("q"), array("q")
    for place, (gold_side, predicted_side) in enumerate(zip(gold, predicted, strict=True)):
        if not gold_side and not predicted_side:
            continue
        ours, theirs = set(gold_side), set(predicted_side)
        same = ours & theirs
        _check_entities(ours | theirs, place, num_types)
        for side, entities in zip(cells, (same, ours, theirs), strict=True):
            side.extend(place * num_types + type_id for _, _, type_id in entities)
        pairs[place] = len(same), 0, len(same)
        if len(ours) > len(same) < len(theirs):
            rest = sorted(ours - same), sorted(theirs - same)
            pairs[place] += *pair_boundaries(*rest), pair_types(*rest)
    shape = sentences, num_types
    columns = [
        np.bincount(np.frombuffer(side, np.int64), minlength=sentences * num_types).reshape(shape)
        for side in cells
    ]
    columns.append(pairs)
    if token_hits is not None:
        token_hits = np.asarray(token_hits)
        if token_hits.shape != (sentences, 2):
            raise ValueError(f"expected token_hits ({sentences}, 2), got shape {token_hits.shape}")
        columns.append(token_hits.astype(np.int64))
    return np.concatenate(columns, axis=1)


def _check_entities(entities: Iterable[Entity], place: int, num_types: int) -> None:
    for entity in entities:
        start, end, type_id = entity
        if start >= end or not 0 <= type_id < num_types:
            raise ValueError(
                f"sentence {place} has the entity {entity}; expected start < end and a type in [0, {num_types})"
            )


def _name_figures(sums: np.ndarray, types: Sequence[str]) -> dict[str, np.ndarray]:
    """All figures under their names, float64 (…,) each, of sums (…, columns); NaN where they are 0/0."""
    by_side = np.split(sums, [len(types) * side for side in (1, 2, 3)], axis=-1)
    hits, support, predicted, others = by_side
    by_class = compute_class_figures(ConfusionSums(hits=hits, support=support, predicted=predicted))
    occurs = support + predicted > 0
    credits = {
        "": hits.sum(-1),
        "exact_": others[..., 0],
        "partial_": others[..., 0] + 0.5 * others[..., 1],
        "ent_type_": others[..., 2],
    }
    named: dict[str, np.ndarray] = {}
    for prefix, credit in credits.items():
        total = ConfusionSums(hits=credit, support=support.sum(-1), predicted=predicted.sum(-1))
        figures = compute_class_figures(total)
        named |= {f"{prefix}{kind}": figures[kind] for kind in _KINDS}
    with np.errstate(invalid="ignore"):
        for kind in _KINDS:
            named[f"macro_{kind}"] = np.nan_to_num(by_class[kind]).sum(-1) / occurs.sum(-1)
            named |= {f"{kind}/{name}": by_class[kind][..., place] for place, name in enumerate(types)}
        if others.shape[-1] > len(_LOOSE):
            named["token_accuracy"] = others[..., -2] / others[..., -1]
    return named


def _count_trials(sums: np.ndarray, types: Sequence[str]) -> dict[str, float]:
    """Of each proportion, how many sentences have a part in it."""
    _, support, predicted, others = np.split(sums, [len(types) * side for side in (1, 2, 3)], axis=-1)
    trials = {"token_accuracy": others[:, -1]} if others.shape[1] > len(_LOOSE) else {}
    for kind, counts in (("precision", predicted), ("recall", support)):
        trials |= {f"{prefix}{kind}": counts.sum(1) for prefix in ("", "exact_", "partial_", "ent_type_")}
        trials |= {f"{kind}/{name}": counts[:, place] for place, name in enumerate(types)}
    return {name: float(np.count_nonzero(counts)) for name, counts in trials.items()}


def _name_log_loss(losses: np.ndarray, tokens: np.ndarray) -> dict[str, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"log_loss": np.asarray(losses / tokens)}
