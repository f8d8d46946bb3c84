"""Checks before a dataset is published: duplicates and leaks, and their messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kerasft.data.duplicates.exact import DROPPED, Duplicates, Leaks
from kerasft.data.kinds.text_profile import describe_lengths, describe_scripts
from kerasft.data.prepare.contradictions import count_contradictions, find_swapped, sample_rows
from kerasft.data.prepare.reading import SplitCounts
from kerasft.errors import DataError
from kerasft.progress import Progress

EXAMPLES = 10
"""How many cases of a kind are listed."""
_QUOTED_CHARACTERS = 60

Describe = Callable[[int], tuple[str, str]]
"""Row → (file:row, text)."""


def handle_leaks(
    duplicates: Duplicates,
    splits: dict[str, int],
    policy: str,
    describe: Describe,
    progress: Progress,
    noun: str = "text",
    name_label: Callable[[int], str] = str,
    cut: Sequence[str] = (),
) -> dict[str, dict[str, Any]]:
    """Counts leaks between each two splits, and does with those from train as `data.leaks` says.

    Rows dropped are marked in `duplicates.splits`.

    Returns:
        "train → test" and so on → {"exact", "near", "contradicting", "dropped", "examples"}.

    Raises:
        DataError: there are leaks from train, and the policy is `refuse`.
    """
    names = sorted(splits, key=splits.__getitem__)
    found: dict[str, dict[str, Any]] = {}
    leaks_of: dict[str, Leaks] = {}
    for i, earlier in enumerate(names):
        for later in names[i + 1 :]:
            key = f"{earlier} → {later}"
            leaks = leaks_of[key] = duplicates.find_leaks(splits[earlier], splits[later])
            rows = np.concatenate([leaks.exact[:EXAMPLES], leaks.near[:EXAMPLES]])[: 2 * EXAMPLES]
            contradicting, pairs = count_contradictions(duplicates, leaks, splits[earlier])
            examples = [_describe_leak(int(row), splits[earlier], duplicates, describe) for row in rows]
            found[key] = {
                "exact": len(leaks.exact),
                "near": len(leaks.near),
                "contradicting": contradicting,
                "dropped": 0,
                "examples": examples,
            }
            if contradicting:
                progress.warn(
                    _describe_contradiction(key, found[key], pairs, noun, name_label, later not in cut)
                )
    from_train = {
        key: leaks for key, leaks in leaks_of.items() if key.startswith("train → ") and len(leaks.sources)
    }
    if from_train and policy == "refuse":
        raise DataError(_explain({key: found[key] for key in from_train}, noun), fix=_FIX)
    if from_train and policy == "drop":
        for key, leaks in from_train.items():
            duplicates.splits[leaks.sources] = DROPPED
            found[key]["dropped"] = len(leaks.sources)
        dropped = len(np.unique(np.concatenate([leaks.sources for leaks in from_train.values()])))
        progress.note(
            f"{dropped:,} {'rows' if dropped > 1 else 'row'} of train {'were' if dropped > 1 else 'was'} dropped: "
            f"{'their contents are' if dropped > 1 else 'its contents are'} also in another split."
        )
    for key, entry in found.items():
        if entry["exact"] + entry["near"] and not entry["dropped"]:
            message, lines = _explain_one(key, entry, noun, shown=3)
            progress.warn(f"{message} {'; '.join(lines)}.")
    return found


def _describe_contradiction(
    key: str,
    entry: dict[str, Any],
    pairs: list[tuple[int, int]],
    noun: str,
    name_label: Callable[[int], str],
    own: bool,
) -> str:
    earlier, later = key.split(" → ")
    count, total = entry["contradicting"], entry["exact"] + entry["near"]
    nearly = (
        ""
        if not entry["near"]
        else "nearly the same "
        if not entry["exact"]
        else "exactly or nearly the same "
    )
    which = f"{noun}s that are {nearly}in both" if total > 1 else f"{noun} that is {nearly}in both"
    message = f"{earlier} and {later} have contradicting labels: of {total:,} {which}"
    (there, here), often = Counter(pairs).most_common(1)[0] if pairs else ((0, 0), 0)
    shown = (
        f"; {often:,} {'are' if often > 1 else 'is'} {name_label(there)!r} in {earlier} and {name_label(here)!r} "
        f"in {later}"
        if pairs
        else ""
    )
    have = "have" if count > 1 else "has"
    swapped = ", and whether the labels of one are swapped" if 2 * count > total else ""
    check = f"Check how each file writes its labels{swapped}" if own else f"Check the labels of these {noun}s"
    return f"{message}, {count:,} {have} another label in {later}{shown}. {check}."


def warn_of_swapped_labels(
    splits: np.ndarray,
    own: dict[str, int],
    read: Callable[[np.ndarray], Iterator[tuple[str, int]]],
    names: Sequence[str],
    progress: Progress,
) -> None:
    """Warns where two labels of a split seem to be swapped, judging by the words of their texts.

    Args:
        splits: uint8 (rows,), each row's split; train is 0.
        own: the splits that have files of their own, and their numbers.
        read: of rows, the texts and the numbers of their labels, or the entities and those of their types.
        names: the labels'.
        progress: where it is reported.
    """
    for split, number in own.items():
        train, other = sample_rows(splits, 0, number)
        if not len(train) or not len(other):
            continue
        for pair in find_swapped(read(train), read(other), len(names)):
            first, second = names[pair.first], names[pair.second]
            progress.warn(
                f"train and {split} have contradicting labels: {first!r} and {second!r} seem to be swapped "
                f"in one of them. "
                f"At least {pair.share:.0%} of what is either in {split} has the words of the other in train. "
                "Check how each file writes its labels."
            )


def describe_duplicates(duplicates: Duplicates, split: int, describe: Describe) -> dict[str, Any]:
    """Counts duplicates inside a split, for the manifest, with some that have other labels."""
    found = duplicates.find_in(split)
    by_text = found.conflicting[np.argsort(duplicates.groups[found.conflicting], kind="stable")]
    examples = [describe(int(row)) for row in by_text[:EXAMPLES]]
    return {
        "exact": found.exact,
        "conflicting": len(found.conflicting),
        "near": found.near,
        "conflicting_examples": [{"row": place, "text": text} for place, text in examples],
    }


_FIX = "Remove them from one of the files, or set data.leaks to drop (removes them from train) or warn."


def _describe_leak(row: int, earlier: int, duplicates: Duplicates, describe: Describe) -> dict[str, Any]:
    partner, similarity = duplicates.find_partner(row, earlier)
    (place, text), (other_place, other_text) = describe(row), describe(partner)
    return {
        "row": place,
        "text": text,
        "stands_in": other_place,
        "as": other_text,
        "similarity": 1.0
        if duplicates.groups[row] == duplicates.groups[partner]
        else min(round(similarity, 3), 0.999),
        "same_label": bool(duplicates.labels[row] == duplicates.labels[partner]),
    }


def _explain(found: dict[str, dict[str, Any]], noun: str) -> str:
    parts = []
    for key, entry in found.items():
        message, lines = _explain_one(key, entry, noun, EXAMPLES)
        parts.append("\n".join([message, *(f"    {line}" for line in lines)]))
    return "\n".join(parts)


def _explain_one(key: str, entry: dict[str, Any], noun: str, shown: int) -> tuple[str, list[str]]:
    earlier, later = key.split(" → ")
    exact, near = entry["exact"], entry["near"]
    message = f"{_count(exact, noun)} of {later} {'is' if exact == 1 else 'are'} also in {earlier}"
    alike = "is a near duplicate" if near == 1 else "are near duplicates"
    if near and exact:
        message += f", and {near:,} {alike}"
    elif near:
        message = f"{_count(near, noun)} of {later} {alike} of {noun}s in {earlier}"
    lines = []
    for example in entry["examples"][:shown]:
        how = "the same as" if example["similarity"] == 1.0 else f"{example['similarity']:.2f} alike"
        quoted = f": {example['text'][:_QUOTED_CHARACTERS]!r}" if example["text"] else ""
        lines.append(f"{example['row']} {how} {example['stands_in']}{quoted}")
    return f"{message}:", lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def report(
    manifest: dict[str, Any], counts: dict[str, SplitCounts], progress: Progress, noun: str = "text"
) -> None:
    """Shows the tables of what was found."""
    rows = []
    has_labels = bool(manifest["labels"])
    has_dropped = any(_count_dropped(split) for split in manifest["splits"].values())
    for name, split in manifest["splits"].items():
        if conflicting := split["duplicates"]["conflicting"]:
            places = ", ".join(example["row"] for example in split["duplicates"]["conflicting_examples"][:4])
            progress.warn(
                f"{conflicting:,} {'rows' if conflicting > 1 else 'row'} of {name} share{'s' * (conflicting == 1)} "
                f"{'their' if conflicting > 1 else 'its'} {noun} with a row of another label: {places}"
                f"{', …' if conflicting > 4 else ''}."
            )
        read = counts.get(name)
        rows.append(
            [
                name,
                split["rows"],
                read.rejected.total() if read else 0,
                split["duplicates"]["exact"],
                *([split["duplicates"]["conflicting"]] if has_labels else []),
                split["duplicates"]["near"],
                *([_count_dropped(split)] if has_dropped else []),
                *([_describe_labels(split)] if has_labels else []),
                *(_describe_figures(figures) for figures in split["targets"].values()),
            ]
        )
    columns = [
        *("split", "rows", "rejected", "duplicates"),
        *(["with other label"] if has_labels else []),
        "near duplicates",
        *(["duplicates dropped"] if has_dropped else []),
        *(["labels"] if has_labels else []),
        *next((split["targets"] for split in manifest["splits"].values()), ()),
    ]
    progress.table("Prepared dataset", columns, rows)
    _report_profiles(manifest["splits"], progress)
    leaks = [[key, leak["exact"], leak["near"], leak["dropped"]] for key, leak in manifest["leaks"].items()]
    if leaks:
        progress.table(f"{noun.capitalize()}s in two splits", ("splits", "exact", "near", "dropped"), leaks)
    notes = [
        [name, note, number] for name, split in counts.items() for note, number in split.notes.most_common()
    ]
    if notes:
        progress.table(f"{noun.capitalize()}s converted", ("split", "what they were", "rows"), notes)
    reasons = [
        [name, reason, number]
        for name, split in counts.items()
        for reason, number in split.rejected.most_common()
    ]
    if reasons:
        progress.table("Rejected rows", ("split", "reason", "rows"), reasons)


def _report_profiles(splits: dict[str, dict[str, Any]], progress: Progress) -> None:
    """Shows what the texts of a corpus hold."""
    rows = []
    for name, split in splits.items():
        for profile in split.get("profile", {}).values():
            counts = [profile[key] for key in ("documents", "bytes", "characters", "words")]
            rows.append(
                [name, *counts, describe_lengths(profile["lengths"]), describe_scripts(profile["scripts"])]
            )
    if rows:
        columns = ("split", "documents", "bytes", "characters", "words", "characters a document", "scripts")
        progress.table("Corpus", columns, rows)


def _count_dropped(split: dict[str, Any]) -> int:
    return split["duplicates"].get("dropped_exact", 0) + split["duplicates"].get("dropped_near", 0)


def _describe_labels(split: dict[str, Any]) -> str:
    return "  ".join(
        f"{label} {count / max(split['rows'], 1):.1%}" for label, count in _most(split["labels"])
    )


def _describe_figures(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.6g}" for name, value in _most(figures))


def _most(labels: dict[str, Any]) -> list[tuple[str, Any]]:
    return list(labels.items()) if len(labels) <= 6 else sorted(labels.items(), key=lambda item: -item[1])[:6]
