"""compare: two runs' figures on the same examples, from the predictions that they keep."""

from __future__ import annotations

import itertools
from typing import Any

from kerasft.damage import check_file
from kerasft.errors import ConfigError, DataError
from kerasft.metrics.measure import Measure
from kerasft.metrics.paired import Comparison, compare_measures
from kerasft.runs.folder import RunFolder
from kerasft.tasks import load_display, load_sections
from kerasft.tasks.display import Display
from kerasft.untrusted import iterate_json_lines, naming

_EVALUATE_AGAIN = "Measure it anew: kerasft evaluate."
_SHOWN = 3
"""Examples that are named where some differ."""


def compare(
    first: RunFolder, second: RunFolder, split: str = "test", *, samples: int = 1000, seed: int = 0
) -> dict[str, Comparison]:
    """By how much each figure of the second run differs from the first's; see `compare_measures`.

    Both are read from predictions/<split>.jsonl: neither model is loaded. Figures that need more than is kept there
    (of entities `token_accuracy` and `log_loss`) are left out.

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
    labels = [set(display.label_names) for display in displays]
    if displays[0].config.type != displays[1].config.type or labels[0] != labels[1]:
        raise ConfigError(
            "these runs learned other tasks, or other labels",
            where=f"{first.path} and {second.path}",
            fix="Compare runs of one task with the same labels.",
        )
    one, other = (_read(run, display, split) for run, display in zip((first, second), displays, strict=True))
    mine, others = ([displays[0].tell_example(record) for record in records] for records in (one, other))
    _check_same_examples(mine, others, f"{first.path} and {second.path}, {split}")
    # both by the first's order of labels, in which alone names stand for numbers
    measures = [_measure(displays[0], records, samples) for records in (one, other)]
    return compare_measures(*measures, samples=samples, seed=seed)


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
        check_file(path, _EVALUATE_AGAIN)
        return list(iterate_json_lines(path, display.record_schema, error=ConfigError, fix=_EVALUATE_AGAIN))


def _measure(display: Display, records: list[dict[str, Any]], samples: int) -> Measure:
    measure = display.open_measure(records, samples)
    if measure is None:
        raise ConfigError(
            "its predictions do not tell its figures",
            where=f"task.type: {display.config.type}",
            fix="Its display has to give an `open_measure`.",
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
