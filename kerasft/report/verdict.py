"""What is said of a split in plain words: by its task, and of the data whatever the task."""

from __future__ import annotations

from kerasft.report.content import ReportContent
from kerasft.tasks.display import Statement

_FEW_EXAMPLES = 200


def build_verdict(content: ReportContent, split: str) -> list[Statement]:
    """Sentences about one split: the task's own, and about the data."""
    found = list(content.shown[split].statements) if split in content.shown else []
    found += _judge_data(content, split)
    figures = content.figures[split]
    if "examples" in figures and figures["examples"]["value"] < _FEW_EXAMPLES:
        found.append(
            Statement(
                "fair", "There are few examples: the intervals are wide, and small differences mean nothing."
            )
        )
    return found


def _judge_data(content: ReportContent, split: str) -> list[Statement]:
    leak = ((content.manifest or {}).get("leaks") or {}).get(f"train → {split}") or {}
    left = leak.get("exact", 0) + leak.get("near", 0) if not leak.get("dropped") else 0
    if split == "train" or not left:
        return []
    return [
        Statement(
            "fair",
            f"{left:,} {split} {content.noun}s are also in train, exactly or nearly, which can make the "
            "figures too optimistic. To remove them from train, set data.leaks to drop.",
        )
    ]
