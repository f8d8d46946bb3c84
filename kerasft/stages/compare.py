"""compare: two runs' figures on the same examples, from the predictions that they keep."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasft.damage import check_file
from kerasft.errors import ConfigError, DataError
from kerasft.metrics.figures import FigureKinds
from kerasft.metrics.measure import Measure
from kerasft.metrics.paired import Comparison, compare_measures
from kerasft.runs.folder import OTHER, RunFolder
from kerasft.tasks import load_display, load_sections
from kerasft.tasks.display import Display
from kerasft.untrusted import iterate_json_lines, naming

_EVALUATE_AGAIN = "Measure it anew: kerasft evaluate."
_SHOWN = 3
"""Examples that are named where some differ."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What came of comparing two runs.

    Attributes:
        figures: the comparison of each figure, by name.
        missing: names of measured figures that were not compared: the predictions do not hold what they need.
        undefined: names of those that are undefined for one of the runs, as the precision of a label that it never
            gives.
        kinds: what the figures mean.
        examples: how many were compared.
    """

    figures: dict[str, Comparison]
    missing: tuple[str, ...]
    undefined: tuple[str, ...]
    kinds: FigureKinds
    examples: int


def compare(
    first: RunFolder, second: RunFolder, split: str = "test", *, samples: int = 1000, seed: int = 0
) -> Compared:
    """By how much each figure of the second run differs from the first's; see `compare_measures`.

    Both are read from predictions/<split>.jsonl: neither model is loaded, and nothing is written. Figures that need
    more than is kept there (of entities `token_accuracy` and `log_loss`) are left out.

    Args:
        first, second: evaluated runs of one task.
        split: what both measured.
        samples: resamples.
        seed: the resamples follow from it.

    Raises:
        ConfigError: the runs' tasks or labels differ, the task's figures cannot be compared, or a run keeps no
            predictions of the split.
        DataError: their examples differ.
        DamagedError: predictions are not as they were written.
    """
    displays = [_load_display(run) for run in (first, second)]
    where = f"{first.path} and {second.path}"
    _check_same_task(displays[0], displays[1], where)
    one, other = (_read(run, display, split) for run, display in zip((first, second), displays, strict=True))
    mine, others = ([displays[0].tell_example(record) for record in records] for records in (one, other))
    _check_same_examples(mine, others, f"{where}, {split}")
    # both by the first's order of labels, in which alone names stand for numbers
    measures = [
        _measure(displays[0], records, samples, run, split)
        for records, run in ((one, first), (other, second))
    ]
    figures = compare_measures(*measures, samples=samples, seed=seed)
    kinds = displays[0].config.figure_kinds
    known = [measure.values.keys() for measure in measures]
    missing = [name for name in _list_measured(first, split, kinds) if name not in known[0] & known[1]]
    undefined = [name for name in known[0] & known[1] if _is_undefined_once(name, measures)]
    return Compared(
        figures=figures,
        missing=tuple(missing),
        undefined=tuple(sorted(undefined)),
        kinds=kinds,
        examples=len(one),
    )


def _is_undefined_once(name: str, measures: list[Measure]) -> bool:
    return len({bool(np.isfinite(measure.values[name])) for measure in measures}) == 2


def _check_same_task(first: Display, second: Display, where: str) -> None:
    """Raises a ConfigError where two runs learned other things, which no figure compares."""
    types = first.config.type, second.config.type
    names = set(first.label_names), set(second.label_names)
    if types[0] != types[1] or type(first) is not type(second):
        raise ConfigError(
            "these runs learned different tasks"
            + (f": {types[0]} and {types[1]}" if types[0] != types[1] else ""),
            where=where,
            fix="Compare runs of one task, with the same `task` section.",
        )
    if names[0] != names[1]:
        only = [", ".join(sorted(one - other)[:_SHOWN]) for one, other in (names, names[::-1])]
        told = [
            f"only the {place} has {some}"
            for place, some in zip(("first", "second"), only, strict=True)
            if some
        ]
        raise ConfigError(
            f"these runs learned different labels: {'; '.join(told)}",
            where=where,
            fix="Compare runs with the same labels.",
        )


def _list_measured(run: RunFolder, split: str, kinds: FigureKinds) -> list[str]:
    """The figures that metrics.json has of a split, counts aside."""
    metrics = run.read_metrics()
    figures = metrics.get("evaluate", {}).get(split) or metrics.get(OTHER, {}).get(split) or {}
    return [name for name in figures if kinds.find(name).form != "count"]


def _load_display(run: RunFolder) -> Display:
    facts = run.read_task()
    with naming("task.json", ConfigError, _EVALUATE_AGAIN):
        task = load_sections(facts["task"]["type"]).task.model_validate(facts["task"])
    return load_display(facts["task"]["type"])(task, facts["label_names"])


def _read(run: RunFolder, display: Display, split: str) -> list[dict[str, Any]]:
    path = run.predictions / f"{split}.jsonl"
    if not path.exists():
        measured = ", ".join(sorted(found.stem for found in run.predictions.glob("*.jsonl")))
        raise ConfigError(
            f"there are no predictions of {split}; there are some of {measured or 'no split'}",
            where=str(run.path),
            fix="Measure it first: run.evaluate(), or kerasft evaluate.",
        )
    with naming(path, ConfigError, _EVALUATE_AGAIN):
        check_file(path, _EVALUATE_AGAIN, run.path)
        records = list(
            iterate_json_lines(path, display.record_schema, error=ConfigError, fix=_EVALUATE_AGAIN)
        )
        if not records:
            raise ValueError("it has no examples")
    return records


def _measure(
    display: Display, records: list[dict[str, Any]], samples: int, run: RunFolder, split: str
) -> Measure:
    with naming(run.predictions / f"{split}.jsonl", ConfigError, _EVALUATE_AGAIN):
        measure = display.open_measure(records, samples)
    if measure is None:
        raise ConfigError(
            "runs of this task cannot be compared: its predictions do not tell its figures",
            where=f"task.type: {display.config.type}",
            fix="The task's `Display` needs an `open_measure`; see docs/extending.md.",
        )
    return measure


def _check_same_examples(first: list[dict[str, Any]], second: list[dict[str, Any]], where: str) -> None:
    """Two runs' examples, line by line.

    Raises:
        DataError: a line tells another example than the other run's, or has no counterpart.
    """
    pairs = itertools.zip_longest(first, second)
    differing = [number for number, (one, other) in enumerate(pairs, 1) if one != other]
    if differing:
        named = ", ".join(map(str, differing[:_SHOWN])) + (", …" if len(differing) > _SHOWN else "")
        raise DataError(
            f"{len(differing):,} examples differ, of {len(first):,} and {len(second):,}: lines {named}",
            where=where,
            fix="Compare runs that measured the same examples, in the same order. A split that was cut off train "
            "depends on seed: name validation and test data of their own.",
        )
