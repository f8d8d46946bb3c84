"""What is looked at before a dataset is published: labels, duplicates, leaks; and what the user is told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasft.data.duplicates import DROPPED, Duplicates, Leaks
from kerasft.data.reading import SplitCounts
from kerasft.errors import DataError
from kerasft.progress import Progress

EXAMPLES = 10
"""How many cases of a kind are listed."""
_QUOTED_CHARACTERS = 60

Describe = Callable[[int], tuple[str, str]]
"""Row → (file:row, text)."""


def sort_labels(names: Sequence[str]) -> list[str]:
    """Numbers by value, anything else by code point."""
    try:
        return sorted(names, key=lambda name: (float(name), name))
    except ValueError:
        return sorted(names)


def check_labels(counts: dict[str, dict[str, int]], progress: Progress, fewest: int = 2) -> None:
    """Looks at each split's label counts.

    Args:
        counts: split → label → rows.
        progress: told of what is odd.
        fewest: labels that train must have.

    Raises:
        DataError: it has fewer.
    """
    train = counts.get("train")
    present = [name for name, count in train.items() if count] if train else []
    if train is not None and len(present) < fewest:
        none = "No row of train has a label." if fewest > 1 else "No row of train has an entity."
        raise DataError(
            f"All rows of train have one label, {present[0]!r}." if present else none,
            where="data.train",
            fix="A classifier needs examples of at least two labels: check which column holds the label."
            if fewest > 1
            else "Check which columns hold the words and their tags, or the entities.",
        )
    for split, labels in counts.items():
        missing = [name for name, count in labels.items() if not count]
        if missing:
            progress.warn(f"{split} has no rows of {_enumerate(missing)}.")
    if train:
        least, most = min(present, key=train.__getitem__), max(present, key=train.__getitem__)
        if train[most] >= 20 * train[least]:
            progress.warn(
                f"train is unbalanced: {train[most]:,} rows of {most!r}, {train[least]:,} of {least!r}; "
                "look at macro F1 besides accuracy."
            )
    folded: dict[str, str] = {}
    for name in next(iter(counts.values()), {}):
        twin = folded.setdefault(name.casefold(), name)
        if twin != name:
            progress.warn(f"The labels {twin!r} and {name!r} differ only in case.")


def _enumerate(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more labels" if len(names) > 5 else shown


def handle_leaks(
    duplicates: Duplicates,
    splits: dict[str, int],
    policy: str,
    describe: Describe,
    progress: Progress,
    noun: str = "text",
) -> dict[str, dict[str, Any]]:
    """Counts leaks between each two splits, and does with those from train as `data.leaks` says.

    Rows dropped are marked in `duplicates.splits`.

    Returns:
        "train → test" and so on → {"exact", "near", "dropped", "examples"}.

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
            examples = [_describe_leak(int(row), splits[earlier], duplicates, describe) for row in rows]
            found[key] = {
                "exact": len(leaks.exact),
                "near": len(leaks.near),
                "dropped": 0,
                "examples": examples,
            }
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
            f"{dropped:,} rows of train were dropped: their {noun}s stand in another split as well."
        )
    for key, entry in found.items():
        if entry["exact"] + entry["near"] and not entry["dropped"]:
            progress.warn(_explain({key: entry}, noun, shown=3))
    return found


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


_FIX = "Take them out of one of the files, or set data.leaks to drop (from train) or warn."


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


def _explain(found: dict[str, dict[str, Any]], noun: str, shown: int = EXAMPLES) -> str:
    parts = []
    for key, entry in found.items():
        earlier, later = key.split(" → ")
        lines = [
            f"Of {later}, {entry['exact']:,} {noun}s stand in {earlier} as well, and {entry['near']:,} nearly do:"
        ]
        for example in entry["examples"][:shown]:
            how = "the same as" if example["similarity"] == 1.0 else f"{example['similarity']:.2f} alike"
            quoted = f": {example['text'][:_QUOTED_CHARACTERS]!r}" if example["text"] else ""
            lines.append(f"    {example['row']} {how} {example['stands_in']}{quoted}")
        parts.append("\n".join(lines))
    return "\n".join(parts)


def report(
    manifest: dict[str, Any], counts: dict[str, SplitCounts], progress: Progress, noun: str = "text"
) -> None:
    """Shows the tables of what was found."""
    rows = []
    for name, split in manifest["splits"].items():
        if conflicting := split["duplicates"]["conflicting"]:
            places = ", ".join(example["row"] for example in split["duplicates"]["conflicting_examples"][:4])
            progress.warn(
                f"{conflicting:,} rows of {name} share their {noun} with a row of another label: {places}"
                f"{', …' if conflicting > 4 else ''}."
            )
        read = counts.get(name)
        rows.append(
            [
                name,
                split["rows"],
                read.rejected.total() if read else 0,
                split["duplicates"]["exact"],
                split["duplicates"]["conflicting"],
                split["duplicates"]["near"],
                "  ".join(
                    f"{label} {count / max(split['rows'], 1):.1%}" for label, count in _most(split["labels"])
                ),
            ]
        )
    columns = ("split", "rows", "rejected", "duplicates", "with other label", "near duplicates", "labels")
    progress.table("Prepared dataset", columns, rows)
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


def _most(labels: dict[str, int]) -> list[tuple[str, int]]:
    return list(labels.items()) if len(labels) <= 6 else sorted(labels.items(), key=lambda item: -item[1])[:6]
