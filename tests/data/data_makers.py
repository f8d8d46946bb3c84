"""What the data room's tests are made of: sources, sentences, and a reader's rows."""

from __future__ import annotations

from typing import Any

from kerasft.data.kinds.fields import Field

FIELDS = (Field("text", "text"), Field("label", "label", "target"))
TAGGED_TEXT_FIELDS = (
    Field("text", "tagged_text", parts=("text", "words", "tags", "entities")),
    Field("types", "labels", "target", of="text"),
)


def csv_source(path: str, **settings: Any) -> dict[str, Any]:
    return {"format": "csv", "path": path, **settings}


def tsv_source(path: str) -> dict[str, Any]:
    return csv_source(path, delimiter="\t", header=False, columns={"text": 0, "label": 1})


_VOCABULARY = """
river mountain window garden letter engine silver market island winter summer bridge castle forest planet
dinner coffee teacher doctor painter driver singer farmer soldier captain kitchen corner village harbor
thunder candle mirror basket ladder hammer needle pocket ribbon saddle tunnel valley walnut yellow purple
ancient broken clever distant empty fragile gentle hollow idle jolly keen lively modest narrow obscure proud
quiet rapid steady tender useful vivid weary young zealous arrives becomes carries delivers enters follows
gathers happens imagines joins keeps leaves measures notices opens performs questions remains shelters touches
"""
WORDS = _VOCABULARY.split()


def sentences(random, count: int, shortest: int = 8, longest: int = 40) -> list[str]:
    """Unrelated sentences of words that are drawn one by one."""
    return [" ".join(random.choices(WORDS, k=random.randint(shortest, longest))) for _ in range(count)]


def collect(batches):
    """What a reader yields: rows as (row, *values), and rejects as (row, reason, detail)."""
    rows, rejects = [], []
    for batch in batches:
        rows += [(row, *values) for row, values in zip(batch.rows, batch.values, strict=True)]
        rejects += [(reject.row, reject.reason, reject.detail) for reject in batch.rejects]
    return rows, rejects
