"""The `data` section: which files, in which format, and how problems in them are handled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import pydantic

from kerasft.config.base import Config, PathField
from kerasft.data.box_config import (
    AutoSource,
    BoxCsvSource,
    CocoSource,
    Encoding,
    LabelStudioSource,
    VocSource,
    YoloSource,
)


class _FileSource(Config):
    path: Annotated[str | tuple[str, ...], PathField()]
    """A file, a glob (`parts/*.csv`), or a list of these; relative to the config file. `package:module/file` is a file
    inside an installed package. CSV, JSON lines, CoNLL and text can be compressed with gzip, xz or Zstandard."""


class _TextFileSource(_FileSource):
    encoding: Encoding = "utf-8"
    """Character encoding of the files; a byte order mark is ignored."""


class CsvSource(_TextFileSource):
    """Values separated by commas or another character; one example a row."""

    format: Literal["csv"]
    delimiter: str = pydantic.Field(",", min_length=1, max_length=1)
    """One character; write "\\t" for a tab."""
    header: bool = True
    """Whether the first row contains the column names."""
    quoting: Literal["auto", "minimal", "none"] = "auto"
    """`minimal`: a value can be in double quotes, and quotes inside it are doubled. `none`: quotes are ordinary
    characters. `auto`: `none` for tab-separated files, otherwise `minimal`."""
    columns: dict[str, int | str] = pydantic.Field(default_factory=dict)
    """The column (by name, or by number from 0) of each of the task's fields, `{text: review, label: 2}`. A field that
    is not listed is in the column with its own name."""


class TextSource(_TextFileSource):
    """Plain text without labels: a corpus."""

    format: Literal["text"]
    path: Annotated[str | tuple[str, ...], PathField()]
    """A file, a folder (all .txt and .md files below it, compressed ones too), a glob (`books/*.txt`), or a list of
    these; relative to the config file. `package:module/file` is a file inside an installed package."""
    document: Literal["file", "paragraph", "line"] = "file"
    """What one example is: a `file` with its text unchanged, a `paragraph` (blank lines separate paragraphs), or a
    `line`. A document of more than 8 MiB is cut into several at the ends of paragraphs or lines."""


Scheme = Literal["auto", "IOB1", "IOB2", "BIOES", "IO", "plain"]
"""How tags mark the beginning and end of an entity. `IO` and `plain` tags have no prefix: with `IO`, neighbouring words
of one type are one entity; with `plain`, each word is an entity of its own, as in part-of-speech tagging."""


class JsonLinesSource(_TextFileSource):
    """One JSON object a line."""

    format: Literal["jsonl"]
    columns: dict[str, str] = pydantic.Field(default_factory=dict)
    """The key of each of the task's fields, `{text: review.body}`; a dot reads a nested object. Texts with entities:
    `text` and `entities`, or `words` and `tags`; their usual names are recognised."""
    scheme: Scheme = "auto"
    """The tagging scheme. `auto`: detected from all tags of the split."""


class ConllSource(_TextFileSource):
    """One word a line with its tags, and an empty line after each sentence."""

    format: Literal["conll"]
    separator: str | None = pydantic.Field(None, min_length=1)
    """The column separator; write "\\t" for a tab. Null: a tab if lines contain one, otherwise blanks."""
    columns: dict[str, int] = pydantic.Field(default_factory=dict)
    """The columns of `words` and `tags`, counted from 0, or from the end: -1. By default the first and the last
    column."""
    scheme: Scheme = "auto"
    """The tagging scheme. `auto`: detected from all tags of the split."""
    join: Literal["auto", "space", "nothing"] = "auto"
    """What is put between words to make the text. `auto`: nothing between single ideographs, otherwise a space."""


class ParquetSource(_FileSource):
    """Parquet, one example a row. Class names that Hugging Face's `datasets` stored in the file are used."""

    format: Literal["parquet"]
    columns: dict[str, str] = pydantic.Field(default_factory=dict)
    """The column of each of the task's fields, `{text: review.body}`; a dot reads a struct."""
    scheme: Scheme = "auto"
    """The tagging scheme. `auto`: detected from all tags of the split."""


class ImageFolderSource(Config):
    """A folder that contains one folder of pictures for each class."""

    format: Literal["image_folder"]
    path: Annotated[str | tuple[str, ...], PathField()]
    """The folder with the class folders, a glob that matches such folders, or a list of these; relative to the config
    file. Pictures can be in subfolders; the class is the name of the top folder."""


class TfdsSource(Config):
    """A dataset of TensorFlow Datasets: one of its catalogue, or any folder that TFDS wrote."""

    format: Literal["tfds"]
    name: str | None = None
    """The name in the catalogue, `tf_flowers`, optionally with a config and a version: `glue/sst2`,
    `tf_flowers:3.*.*`."""
    path: Annotated[str | None, PathField()] = None
    """Instead of a name: the folder that contains dataset_info.json and features.json; relative to the config file."""
    split: str = pydantic.Field(min_length=1)
    """One of its splits, or part of one: `train`, `train[:80%]`, `train+test`."""
    data_dir: Annotated[str | None, PathField()] = None
    """Where TFDS stores datasets of its catalogue. Null: TFDS' default, `~/tensorflow_datasets`."""
    download: bool = True
    """Whether a dataset of the catalogue is downloaded if it is not in `data_dir`."""
    columns: dict[str, str] = pydantic.Field(default_factory=dict)
    """The feature of each of the task's fields, `{text: sentence}`; a dot reads a nested feature."""
    scheme: Scheme = "auto"
    """The tagging scheme. `auto`: detected from all tags of the split."""

    @pydantic.model_validator(mode="after")
    def _is_named_once(self) -> TfdsSource:
        if (self.name is None) == (self.path is None):
            raise ValueError("give name or path, one of the two")
        if self.path is not None and self.data_dir is not None:
            raise ValueError("data_dir goes with name, not with path")
        return self


Source = Annotated[
    CsvSource
    | JsonLinesSource
    | TextSource
    | ConllSource
    | ParquetSource
    | ImageFolderSource
    | CocoSource
    | VocSource
    | YoloSource
    | LabelStudioSource
    | BoxCsvSource
    | AutoSource
    | TfdsSource,
    pydantic.Field(discriminator="format"),
]


class _TrainPart(Config):
    """Part of train's own files, from their start or to their end; it is not trained on. Write it without `format`."""

    format: Literal["part"]
    last: float | None = pydantic.Field(None, gt=0.0, lt=1.0)
    """The share of train's files, in their order, that is taken from their end."""
    first: float | None = pydantic.Field(None, gt=0.0, lt=1.0)
    """The share that is taken from their start. If `validation` and `test` are taken from the same end, `test` is the
    outer one."""
    documents: bool = False
    """What the share is of. False: of the bytes of the text in UTF-8; the document at the boundary is cut in two,
    between two characters. True: of the number of examples, which stay whole."""

    @property
    def share(self) -> float:
        """Of train, whichever end it is taken from."""
        return self.last if self.last is not None else self.first or 0.0

    @pydantic.model_validator(mode="after")
    def _has_one_end(self) -> _TrainPart:
        if (self.last is None) == (self.first is None):
            raise ValueError("give last or first, one of the two")
        return self


if TYPE_CHECKING:

    class TrainPart(_TrainPart):
        pass
else:
    # `from` is a word of Python's, which cannot stand in a class
    TrainPart = pydantic.create_model(
        "TrainPart",
        __base__=_TrainPart,
        __doc__=_TrainPart.__doc__,
        **{
            "from": (
                Literal["train"],
                pydantic.Field(description="Which split's files it is part of: always `train`."),
            )
        },
    )


HeldOutSource = Annotated[Source | TrainPart, pydantic.Field(discriminator="format")]


class DataConfig(Config):
    """Where the examples come from."""

    train: Source | None = None
    """The examples that the model is trained on. Optional if only `test` is evaluated."""
    validation: HeldOutSource | None = None
    """The examples for choosing the best epoch and for early stopping. `{from: train, last: 0.1}` is the last tenth of
    train's files. If missing, it is split off from train, stratified by label, by `seed`."""
    test: HeldOutSource | None = None
    """The examples that the reported figures are measured on. `{from: train, last: 0.1}` is the last tenth of train's
    files. If missing, it is split off from train, stratified by label, by `seed`."""
    validation_share: float = pydantic.Field(0.1, ge=0.0, lt=1.0)
    """Share of train that is split off if `validation` is missing; 0: none."""
    test_share: float = pydantic.Field(0.1, ge=0.0, lt=1.0)
    """Share of train that is split off if `test` is missing; 0: none."""
    max_rejected: float = pydantic.Field(0.01, ge=0.0, le=1.0)
    """The largest share of a split's rows that can be rejected; above it, `prepare` stops with an error."""
    leaks: Literal["warn", "refuse", "drop"] = "warn"
    """What to do about validation or test examples that are also in train, exactly or nearly: `warn`, `refuse` (stop
    with an error), or `drop` (remove them from train). With several inputs, all of them must match."""
    duplicates: Literal["auto", "keep", "drop"] = "auto"
    """What to do about examples of train that are the same as an earlier one of train, or nearly the same: `keep`, or
    `drop` (the first one stays; the others are listed in duplicates.jsonl). `auto`: `drop` if examples have no labels
    or other targets, otherwise `keep`."""
    decontaminate: Annotated[tuple[str, ...], PathField()] = ()
    """Configs whose validation and test examples must not be in train: examples of train that share a passage of about
    50 letters with one of their texts are dropped and listed in contaminated.jsonl. Relative to the config file."""
    near_duplicates: bool = True
    """Whether to look for near duplicates as well as exact ones."""
    near_duplicate_similarity: float | None = pydantic.Field(None, ge=0.3, le=1.0)
    """Two examples are near duplicates from this similarity on. Texts: Jaccard similarity of their sets of character
    n-grams (five letters, or two ideographs), 0.42 by default. Changing two words of ten leaves about 0.5; unrelated
    texts have about 0.02; texts of fewer than about seven words need a higher similarity. Texts without labels or other
    targets, of any length: n-grams of 25 letters (about five words), 0.6 by default, which is left if one word of
    twenty is changed. Pictures: correlation of
    their thumbnails at the best alignment (mirrored or slightly cropped), 0.95 by default."""

    cache_folder: Annotated[str | None, PathField()] = None
    """A folder that runs with the same data share: the first run prepares and encodes the data, and the others reuse
    it. Each data set has its own folder inside, which can be removed when no run needs it. Relative to the config file.
    Null: the data is kept in the run folder."""

    def describe(self) -> dict[str, Any]:
        """The section as fingerprints and records have it.

        It is without `cache_folder`, which changes no example, and without defaults of keys that older runs' records
        do not have.
        """
        later = {name for name in ("duplicates", "decontaminate") if getattr(self, name) in ("auto", ())}
        return self.model_dump(mode="json", exclude={"cache_folder", *later})

    @property
    def parts(self) -> dict[str, TrainPart]:
        """The splits that are parts of train's files."""
        sources = {"validation": self.validation, "test": self.test}
        return {name: source for name, source in sources.items() if isinstance(source, TrainPart)}

    @pydantic.model_validator(mode="before")
    @classmethod
    def _name_parts(cls, value: Any) -> Any:
        """`{from: train, …}` says what it is without a format."""
        if not isinstance(value, dict):
            return value
        named = {
            name: {"format": "part", **value[name]}
            for name in ("validation", "test")
            if isinstance(value.get(name), dict)
            and "format" not in value[name]
            and ("from" in value[name] or not set(value[name]) - {"last", "first", "documents"})
        }
        return value | named if named else value

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
        parts = self.parts
        if parts and self.train is None:
            raise ValueError(f"{' and '.join(parts)}: there is no train to take a part from")
        if sum(part.share for part in parts.values()) >= 1:
            raise ValueError("validation and test leave nothing of train's files to train on")
        if len({part.documents for part in parts.values()}) > 1:
            raise ValueError("documents must be the same for validation and test")
        return self
