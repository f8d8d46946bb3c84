"""What manifest.json of a prepared dataset must hold: it may come from elsewhere, and is checked first."""

from __future__ import annotations

from typing import Any, Literal

import pydantic

from kerasft.data.kinds import KINDS

FORMAT = 2
"""Raised when what is written changes. Format 1 (one input, one field of labels) is read as well."""


class _Profile(pydantic.BaseModel):
    documents: int
    bytes: int
    characters: int
    words: int
    lengths: dict[Literal["min", "p5", "p25", "median", "p75", "p95", "max"], int]
    scripts: dict[str, float]


class _SplitEntry(pydantic.BaseModel):
    rows: int = pydantic.Field(ge=0)
    labels: dict[str, int]
    profile: dict[str, _Profile] = {}


class _Protected(pydantic.BaseModel):
    config: str
    compared: int
    too_short: int


class _Decontamination(pydantic.BaseModel):
    against: list[_Protected]
    dropped: int
    found: int


class _SourceEntry(pydantic.BaseModel):
    file: str


class _FieldEntry(pydantic.BaseModel):
    name: str
    kind: str
    role: Literal["input", "target"]
    optional: bool = False
    labels: list[str] | None = None


class Manifest(pydantic.BaseModel):
    """What every manifest holds, as far as reading examples depends on it."""

    fingerprint: str
    labels: list[str]
    fields: list[_FieldEntry] = pydantic.Field(min_length=1)
    splits: dict[str, _SplitEntry]
    sources: list[_SourceEntry]
    decontamination: _Decontamination | None = None

    @pydantic.model_validator(mode="after")
    def _check_agreement(self) -> Manifest:
        for field in self.fields:
            if field.kind not in KINDS:
                raise ValueError(
                    f"the field {field.name!r} is of the kind {field.kind!r}, which does not exist"
                )
            if not field.name.isidentifier():
                raise ValueError(f"{field.name!r} is not the name of a field")
        if len({field.name for field in self.fields}) < len(self.fields):
            raise ValueError("two of its fields have one name")
        first = next((field for field in self.fields if field.labels is not None), None)
        if self.labels != (first.labels if first else []):
            raise ValueError("its labels are not those of its fields")
        for name, split in self.splits.items():
            known = set(split.labels) == set(self.labels)
            single = first is not None and first.kind == "label"
            if not known or (single and sum(split.labels.values()) != split.rows):
                raise ValueError(f"the labels of {name} do not add up to its {split.rows} rows")
        return self


def list_fields(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """A manifest's fields; those of format 1, `{kind: name}`, as format 2 writes them.

    Raises:
        ValueError: they are no such thing.
    """
    fields = manifest.get("fields")
    if manifest["format"] == FORMAT or not isinstance(fields, dict):
        return fields or []
    if len(fields) != 2 or len(set(fields) & {"label", "labels"}) != 1:
        raise ValueError(f"the fields are {', '.join(map(str, fields))}")
    return [
        {"name": name, "kind": kind, "role": "target", "labels": manifest.get("labels")}
        if kind in ("label", "labels")
        else {"name": name, "kind": kind, "role": "input"}
        for kind, name in fields.items()
    ]
