"""What the manifest of a prepared dataset says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import kerasft
from kerasft.data.config import DataConfig
from kerasft.data.kinds.base import Kind
from kerasft.data.kinds.label import LabelKind
from kerasft.data.manifest import FORMAT
from kerasft.data.prepare.reading import SplitCounts
from kerasft.data.sources import SourceFile, compute_source_sha256, measure
from kerasft.files import compute_fingerprint

_EXAMPLES_FORMAT = 1
"""Raised when the same files give other examples: part of the fingerprint."""


def build_manifest(
    config: DataConfig,
    kinds: Sequence[Kind],
    files: Sequence[tuple[str, SourceFile]],
    counts: Mapping[str, SplitCounts],
    findings: Mapping[str, Any],
    *,
    seed: int,
    is_drawn: bool,
    drops_duplicates: bool,
) -> dict[str, Any]:
    """The manifest.

    Args:
        config: the `data` section.
        kinds: those of the examples' fields.
        files: (split, file) of each source.
        counts: split → what came of its files.
        findings: `splits`, `leaks` and so on, as they are to stand in it.
        seed: the config's.
        is_drawn: whether rows were split off from train by the seed.
        drops_duplicates: whether duplicates inside train were dropped.
    """
    sources = [
        _describe_source(split, file, counts[split].files[number])
        for number, (split, file) in enumerate(files)
    ]
    settings = config.describe()
    names = [list(kind.names) for kind in kinds if isinstance(kind, LabelKind)]
    protected = [each["fingerprint"] for each in findings.get("decontamination", {}).get("against", ())]
    content = {
        "format": _EXAMPLES_FORMAT,
        "settings": {
            key: _without_place(value)
            for key, value in settings.items()
            if key not in ("duplicates", "decontaminate")
        },
        "sources": [(source["split"], source["sha256"]) for source in sources],
        "fields": [(kind.field.name, kind.field.kind, *["optional"] * kind.field.optional) for kind in kinds],
        "labels": names[0] if names else [],
        **({"other_labels": names[1:]} if names[1:] else {}),
        **({"decontaminate": protected} if protected else {}),
        **({"duplicates": "drop"} if drops_duplicates else {}),
        "seed": seed if is_drawn else None,
    }
    return {
        "format": FORMAT,
        "kerasft": kerasft.__version__,
        "fingerprint": compute_fingerprint(content),
        "fields": [_describe_field(kind) for kind in kinds],
        "labels": names[0] if names else [],
        **findings,
        "sources": sources,
        "config": settings,
        "seed": seed,
    }


def _describe_source(split: str, file: SourceFile, rows: Any) -> dict[str, Any]:
    return {
        "split": split,
        "file": file.name,
        "size_bytes": measure(file),
        "sha256": compute_source_sha256(file),
        "rows": rows,
    }


def _describe_field(kind: Kind) -> dict[str, Any]:
    field = kind.field
    entry: dict[str, Any] = {"name": field.name, "kind": field.kind, "role": field.role}
    entry |= {"optional": True} if field.optional else {}
    return entry | ({"labels": list(kind.names)} if isinstance(kind, LabelKind) else {})


def _without_place(value: Any) -> Any:
    """A source's settings without where it lies."""
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if key not in ("path", "images", "data_dir", "download")}
