"""The `data` section: which files, in which format, and what to do about what is wrong with them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from kerasft.config.base import Config, PathField
from kerasft.data.encodings import find_codec


class _FileSource(Config):
    path: Annotated[str | tuple[str, ...], PathField()]
    """A file, a glob (`parts/*.csv`), or a list of them; relative to the config file. `package:module/file`
    names a file inside an installed package."""


class _TextFileSource(_FileSource):
    encoding: str = "utf-8"
    """Text encoding of the files; a byte order mark is skipped."""

    @pydantic.field_validator("encoding")
    @classmethod
    def _is_of_files(cls, encoding: str) -> str:
        find_codec(encoding)
        return encoding


class CsvSource(_TextFileSource):
    """Comma- or otherwise separated values, one row an example."""

    format: Literal["csv"]
    delimiter: str = pydantic.Field(",", min_length=1, max_length=1)
    """One character; write "\\t" for a tab."""
    header: bool = True
    """Whether the first row names the columns."""
    quoting: Literal["auto", "minimal", "none"] = "auto"
    """`minimal`: a field may stand in double quotes, doubled inside. `none`: quotes are ordinary characters.
    `auto`: `none` for tab-separated files, else `minimal`."""
    columns: dict[str, int | str] = pydantic.Field(default_factory=dict)
    """Which column (by name, or by number from 0) holds each of the task's fields, `{text: review, label: 2}`;
    a field not listed is looked for under its own name."""


Scheme = Literal["auto", "IOB1", "IOB2", "BIOES", "IO", "plain"]
"""How tags mark where an entity begins and ends. `IO` and `plain` have no letters before their types: neighbouring
words of one type are one entity, or each is one of its own, as parts of speech are."""


class JsonLinesSource(_TextFileSource):
    """One JSON object a line."""

    format: Literal["jsonl"]
    columns: dict[str, str] = pydantic.Field(default_factory=dict)
    """Which key holds each of the task's fields, `{text: review.body}`; a dot descends into an object. Texts with
    entities: `text` and `entities`, or `words` and `tags`; the usual names are known."""
    scheme: Scheme = "auto"
    """How tags mark where an entity begins. `auto`: found out from all tags of the split."""


class ConllSource(_TextFileSource):
    """One word a line with its tags, an empty line after each sentence."""

    format: Literal["conll"]
    separator: str | None = pydantic.Field(None, min_length=1)
    """What stands between columns; write "\\t" for a tab. Null: a tab where lines have one, else blanks."""
    columns: dict[str, int] = pydantic.Field(default_factory=dict)
    """The columns of `words` and `tags`, from 0, or from the end: -1. Not given: the first and the last."""
    scheme: Scheme = "auto"
    """How tags mark where an entity begins. `auto`: found out from all tags of the split."""
    join: Literal["auto", "space", "nothing"] = "auto"
    """What is put between words to make the text. `auto`: nothing where they are single ideographs, else a space."""


class ParquetSource(_FileSource):
    """Parquet, one row an example; names of classes that Hugging Face's `datasets` wrote into it are used."""

    format: Literal["parquet"]
    columns: dict[str, str] = pydantic.Field(default_factory=dict)
    """Which column holds each of the task's fields, `{text: review.body}`; a dot descends into a struct."""
    scheme: Scheme = "auto"
    """How tags mark where an entity begins. `auto`: found out from all tags of the split."""


class ImageFolderSource(Config):
    """A folder with a folder of pictures for each class."""

    format: Literal["image_folder"]
    path: Annotated[str | tuple[str, ...], PathField()]
    """The folder that holds the classes' folders, a glob that matches such folders, or a list of them; relative to the
    config file. Pictures may lie deeper; the class is the first folder's name."""


class TfdsSource(Config):
    """A dataset of TensorFlow Datasets: one that it knows by name, or any folder that it wrote."""

    format: Literal["tfds"]
    name: str | None = None
    """`tf_flowers`, with a config and a version if need be: `glue/sst2`, `tf_flowers:3.*.*`."""
    path: Annotated[str | None, PathField()] = None
    """Instead of a name: the folder that holds dataset_info.json and features.json; relative to the config file."""
    split: str = pydantic.Field(min_length=1)
    """One of its splits, or a part of one: `train`, `train[:80%]`, `train+test`."""
    data_dir: Annotated[str | None, PathField()] = None
    """Where datasets known by name lie, and are put. Null: TFDS' own place, `~/tensorflow_datasets`."""
    download: bool = True
    """Whether a dataset known by name is downloaded where it is not there yet."""
    columns: dict[str, str] = pydantic.Field(default_factory=dict)
    """Which feature holds each of the task's fields, `{text: sentence}`; a dot descends into a nested one."""
    scheme: Scheme = "auto"
    """How tags mark where an entity begins. `auto`: found out from all tags of the split."""

    @pydantic.model_validator(mode="after")
    def _is_named_once(self) -> TfdsSource:
        if (self.name is None) == (self.path is None):
            raise ValueError("give name or path, one of the two")
        if self.path is not None and self.data_dir is not None:
            raise ValueError("data_dir goes with name, not with path")
        return self


Source = Annotated[
    CsvSource | JsonLinesSource | ConllSource | ParquetSource | ImageFolderSource | TfdsSource,
    pydantic.Field(discriminator="format"),
]


class DataConfig(Config):
    """Where the examples come from."""

    train: Source | None = None
    """What the model learns from. May be missing where only `test` is evaluated or predicted."""
    validation: Source | None = None
    """What choices are made on (best epoch, early stopping). Missing: cut from train by seed, stratified by label."""
    test: Source | None = None
    """What the reported figures are measured on. Missing: cut from train by seed, stratified by label."""
    validation_share: float = pydantic.Field(0.1, ge=0.0, lt=1.0)
    """Share of train cut off where `validation` is missing; 0 for none."""
    test_share: float = pydantic.Field(0.1, ge=0.0, lt=1.0)
    """Share of train cut off where `test` is missing; 0 for none."""
    max_rejected: float = pydantic.Field(0.01, ge=0.0, le=1.0)
    """The largest share of a split's rows that may be rejected before `prepare` stops with an error."""
    leaks: Literal["warn", "refuse", "drop"] = "warn"
    """What to do about examples of validation or test that stand (exactly or nearly) in train as well: warn, stop with
    an error (`refuse`), or drop them from train. Of several inputs, all must be the same or nearly so."""
    near_duplicates: bool = True
    """Whether near duplicates are looked for, besides exact ones."""
    near_duplicate_similarity: float | None = pydantic.Field(None, ge=0.3, le=1.0)
    """From which similarity two examples count as near duplicates. Texts: Jaccard similarity of their sets of character
    n-grams (five letters, or two ideographs), by default 0.42; texts under some seven words must be more alike; two
    words of ten changed leave about 0.5, unrelated texts share 0.02. Pictures: correlation of their thumbnails where
    they fit best, mirrored or cropped a little, by default 0.95."""

    cache_folder: Annotated[str | None, PathField()] = None
    """Where runs of the same data share them: prepared and encoded once, by the first that needs them. Each data, of
    whatever run, have a folder in it, which may be removed when no run needs it. Relative to the config file. Null: in
    the run folder, for this run alone."""

    def describe(self) -> dict[str, Any]:
        """The section as fingerprints and records have it: without `cache_folder`, which changes no example."""
        return self.model_dump(mode="json", exclude={"cache_folder"})

    @pydantic.model_validator(mode="after")
    def _train_keeps_something(self) -> DataConfig:
        shares = [
            self.validation_share if self.validation is None else 0.0,
            self.test_share if self.test is None else 0.0,
        ]
        if sum(shares) >= 1:
            raise ValueError(
                f"validation_share and test_share leave nothing to train on ({' + '.join(map(str, shares))})"
            )
        return self
