"""Texts with entities, from words and tags or from spans, in one common form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasft.data.config import (
    ConllSource,
    JsonLinesSource,
    ParquetSource,
    Source,
    TfdsSource,
)
from kerasft.data.kinds.base import ReadValue
from kerasft.data.kinds.fields import Field, InvalidValue
from kerasft.data.kinds.tagging import Tagged, parse_spans, parse_words, pick_parts, read_tags
from kerasft.data.kinds.text import TextKind
from kerasft.data.sources.paths import SourceFile
from kerasft.errors import DataError
from kerasft.progress import Progress
from kerasft.text.spans.scheme_detection import SchemeFinder
from kerasft.text.spans.tagging_schemes import Scheme

WHOLE = Field("", "part")
"""A row as its file holds it: an object, of which the known names are taken."""
WORDS, ENTITIES = "words", "entities"
"""Names of features, besides the text's."""
_WITHOUT_LETTERS = ("IO", "plain")
_MEANINGS = {
    "IO": ". Neighbouring words of one tag are one entity; set scheme: plain if each is one of its own.",
    "plain": ". Each word is an entity of its own; set scheme: IO if neighbouring words of one tag are one.",
}


class TaggedTextKind(TextKind):
    """A string, where its words are if its file says so, and its entities: (start, end, type), in characters.

    Stored as the text, a NUL, and the rest as JSON. The types of its entities are the labels of a field `of` it.
    """

    part_noun = "entity"

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self._names: list[str] = []
        self._scheme: Scheme = "IOB2"
        self._without_letters: Scheme | None = None
        self._join = "auto"

    def open_source(self, source: Source, files: Sequence[SourceFile], progress: Progress) -> Sequence[Field]:
        """Also finds out, from all tags of a split, how they are meant."""
        fields = _choose_fields(source, self.field)
        self._names = [field.name for field in fields]
        self._join = source.join if isinstance(source, ConllSource) else "auto"
        scheme: Scheme | Literal["auto"] = getattr(source, "scheme", "auto")
        if scheme != "auto":
            self._scheme = scheme
        elif {"tags", WHOLE.name} & set(self._names):
            self._scheme = self._find_scheme(source, files, fields, progress)
        return fields

    def _find_scheme(
        self, source: Source, files: Sequence[SourceFile], fields: Sequence[Field], progress: Progress
    ) -> Scheme:
        from kerasft.data.sources import read_rows

        finder = SchemeFinder()
        for file in files:
            for batch in read_rows(file, source, fields):
                for values in batch.values:
                    try:
                        finder.feed(read_tags(self._pick(values).get("tags", [])))
                    except InvalidValue:
                        continue  # rejected when it is read
        name = files[0].name if len(files) == 1 else f"{files[0].name} and others"
        try:
            scheme = finder.find()
        except DataError as error:
            raise DataError(error.what, where=name, fix=error.fix) from error
        if scheme in _WITHOUT_LETTERS:
            # how often a split has O does not change what its tags mean
            scheme = self._without_letters = self._without_letters or scheme
        if finder.has_tags:
            progress.note(f"{name}: the tags are {scheme}: {finder.explain()}{_MEANINGS.get(scheme, '.')}")
        return scheme

    def _pick(self, values: Sequence[Any]) -> dict[str, Any]:
        if self._names == [WHOLE.name]:
            return pick_parts(values[0])
        return dict(zip(self._names, values, strict=True))

    def read(self, values: Sequence[Any], file: SourceFile) -> list[ReadValue | InvalidValue]:
        return [self._read(value) for value in values]

    def _read(self, values: Sequence[Any]) -> ReadValue | InvalidValue:
        try:
            parts = self._pick(values)
            if "tags" in parts:
                tagged = parse_words(parts, self._scheme, self._join)
            else:
                tagged = parse_spans(parts)
        except InvalidValue as error:
            return error
        labels = tuple(sorted({name for _, _, name in tagged.entities}))
        return ReadValue(_pack(tagged), note=tagged.note, labels=labels, mended=tagged.mended)

    def list_labelled(self, payload: bytes, label: str) -> list[tuple[str, str]]:
        text, _, rest = payload.partition(b"\0")
        characters = text.decode("utf-8")
        return [(characters[start:end], kind) for start, end, kind in json.loads(rest)[1]]

    def build_features(self, label_names: Sequence[str]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        place = {name: tfds.features.Scalar(np.int32) for name in ("start", "end")}
        kind = tfds.features.ClassLabel(names=list(label_names))
        return {
            **super().build_features(label_names),
            WORDS: tfds.features.Sequence(place),
            ENTITIES: tfds.features.Sequence({**place, "type": kind}),
        }

    def unpack(self, payload: bytes) -> dict[str, Any]:
        text, _, rest = payload.partition(b"\0")
        words, entities = json.loads(rest)
        return {
            self.field.name: text,
            WORDS: [{"start": start, "end": end} for start, end in words],
            ENTITIES: [{"start": start, "end": end, "type": kind} for start, end, kind in entities],
        }

    def decode_example(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **super().decode_example(stored),
            WORDS: _zip(stored[WORDS], ("start", "end")),
            ENTITIES: _zip(stored[ENTITIES], ("start", "end", "type")),
        }


def _zip(columns: Mapping[str, Sequence[Any]], names: Sequence[str]) -> list[tuple[int, ...]]:
    return [tuple(map(int, row)) for row in zip(*(columns[name] for name in names), strict=True)]


def _pack(tagged: Tagged) -> bytes:
    rest = json.dumps([tagged.words, tagged.entities], ensure_ascii=False, separators=(",", ":"))
    return tagged.text.encode("utf-8") + b"\0" + rest.encode("utf-8")


def _choose_fields(source: Source, field: Field) -> list[Field]:
    """What to read of each row.

    Raises:
        DataError: the format cannot hold texts with entities, or the config does not say which columns hold them.
    """
    if isinstance(source, ConllSource):
        return [Field("words", "part"), Field("tags", "part")]
    if not isinstance(source, JsonLinesSource | ParquetSource | TfdsSource):
        raise DataError(
            f"A {source.format} file cannot hold texts with entities in them.",
            where="data",
            fix="Use format conll (a word a line), jsonl (text and entities, or words and tags), parquet or tfds.",
        )
    named = [name for name in field.parts if name in source.columns]
    if isinstance(source, JsonLinesSource) and not named:
        return [WHOLE]
    if {"words", "tags"} <= set(named) or {"text", "entities"} <= set(named):
        return [Field(name, "part") for name in named]
    raise DataError(
        "The config does not say which columns hold the entities.",
        where="data",
        fix="Set columns: {words: …, tags: …}, or {text: …, entities: …}.",
    )


KindClass = TaggedTextKind
