"""TensorFlow Datasets: by name, downloaded if necessary, or any folder that TFDS wrote; pictures stay encoded."""

from __future__ import annotations

import contextlib
import difflib
import importlib.resources.abc
import importlib.util
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tensorflow_datasets as tfds

from kerasft.data.config import TfdsSource
from kerasft.data.kinds.fields import Field, InvalidValue
from kerasft.data.sources.paths import SourceFile, measure
from kerasft.data.sources.rows import RawBatch, Reject
from kerasft.data.sources.tfds_columns import Column
from kerasft.data.tfds_features import check_feature_classes
from kerasft.errors import DataError, KerasftError, storage_error
from kerasft.network import find_why_unreachable
from kerasft.progress import Progress
from kerasft.untrusted import load_json

_BATCH_EXAMPLES = 64
_REACH_SECONDS = 2.0
_MAX_HOSTS = 3
"""Of how many hosts that a dataset comes from it is asked whether they can be reached."""
_DESCRIPTION = "features.json"


def resolve(source: TfdsSource, base: Path) -> list[SourceFile]:
    """The dataset's folder; nothing where it is yet to be downloaded.

    Raises:
        DataError: there is no such dataset, and none can be downloaded.
    """
    builder = _open_builder(source, base)
    if _is_prepared(builder):
        return [SourceFile(Path(builder.data_path), str(builder.info.full_name))]
    if source.download:
        return []
    raise DataError(
        f"TFDS has no {source.name} on this machine, and download is false.",
        where=str(builder.data_path),
        fix="Set download: true, or data_dir to where it was prepared.",
    )


def fetch(source: TfdsSource, base: Path, progress: Progress) -> None:
    """Downloads and prepares the dataset where it is not there.

    Raises:
        DataError: its hosts cannot be reached, or TFDS cannot prepare it.
        StorageError: the disk is full, say.
    """
    builder = _open_builder(source, base)
    if _is_prepared(builder) or not source.download:
        return
    with _standard_resources():
        _download(source, builder, progress)


def _download(source: TfdsSource, builder: Any, progress: Progress) -> None:
    _check_reachable(source, builder)
    size = builder.info.download_size
    size_note = f" ({size / 1e6:,.0f} MB)" if size else ""
    progress.note(f"TFDS downloads {builder.info.full_name}{size_note} into {builder.data_path}")
    tfds.disable_progress_bar()
    try:
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except Exception as error:
        raise storage_error(error, builder.data_path) or DataError(
            f"TFDS cannot download and prepare {source.name}: {_describe(error)}",
            where=str(builder.data_path),
            fix="Try again; or prepare it on another machine with `tfds build`, and set data_dir to its folder.",
        ) from error


def read_rows(file: SourceFile, source: TfdsSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the split's examples in the order in which they are stored, numbered from 1.

    Raises:
        DataError: there is no such split or feature, a feature holds another kind of thing, or the files are damaged.
    """
    builder = _open_folder(file.path)
    try:
        total = builder.info.splits[source.split].num_examples
    except (ValueError, KeyError, AssertionError) as error:
        raise DataError(
            f"There is no split {source.split!r}: {_describe(error)}",
            where=file.name,
            fix=f"It has {', '.join(builder.info.splits)}; a part of one is written train[:80%].",
        ) from error
    columns = [Column(file, source, field, builder.info.features) for field in fields]
    size, done = measure(file), 0
    examples = _iterate(builder, source.split, columns)
    while True:
        try:
            chunk = list(itertools.islice(examples, _BATCH_EXAMPLES))
        except Exception as error:
            raise storage_error(error) or DataError(
                f"The dataset is damaged: the rest cannot be read: {_describe(error)}",
                where=f"{file.name}:{done + 1}",
                fix="Remove its folder, and have TFDS prepare it again.",
            ) from error
        if not chunk:
            return
        batch = RawBatch(size_bytes=size * (done + len(chunk)) // total - size * done // total)
        for number, example in enumerate(chunk, done + 1):
            try:
                batch.values.append(tuple(column.read(example) for column in columns))
                batch.rows.append(number)
            except InvalidValue as error:
                batch.rejects.append(Reject(number, error.reason, error.detail, ""))
        done += len(chunk)
        yield batch


def _iterate(builder: Any, split: str, columns: Sequence[Column]) -> Iterator[dict[str, Any]]:
    """Examples as NumPy values, pictures as their files' bytes."""
    wanted = {column.name for column in columns}
    # what is not asked for need not be decoded
    decoders: dict[str, Any] = {
        name: tfds.decode.SkipDecoding()
        for name, feature in builder.info.features.items()
        if name not in wanted and isinstance(feature, tfds.features.Image | tfds.features.Audio)
    }
    for column in columns:
        decoders |= column.decoders
    if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
        source = builder.as_data_source(split=split, decoders=decoders)
        for start in range(0, len(source), _BATCH_EXAMPLES):
            yield from source.__getitems__(list(range(start, min(start + _BATCH_EXAMPLES, len(source)))))
        return
    # one file after the other: the order is that of the rows
    in_order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    yield from tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders, read_config=in_order))


def _open_builder(source: TfdsSource, base: Path) -> Any:
    if source.path is not None:
        return _open_folder(base / source.path)
    assert source.name is not None
    try:
        name, settings = tfds.core.naming.parse_builder_name_kwargs(source.name)
    except (ValueError, AssertionError) as error:
        raise DataError(
            f"{source.name!r} is not a valid name of a TFDS dataset.",
            fix="Write name: tf_flowers, glue/sst2 or tf_flowers:3.*.*",
        ) from error
    if name.namespace:
        raise DataError(
            f"{source.name} is not one of TFDS' own datasets.",
            fix=f"Prepare it yourself, and set path to its folder, in place of name: {source.name}",
        )
    if source.data_dir is not None:
        settings["data_dir"] = str(base / source.data_dir)
    for path in _find_descriptions(settings.get("data_dir"), name.name):
        _check_description(path)
    try:
        return tfds.builder(str(name), **settings)
    except tfds.core.DatasetNotFoundError as error:
        near = difflib.get_close_matches(name.name, tfds.list_builders(with_community_datasets=False), n=1)
        place = settings.get("data_dir") or tfds.core.constants.DATA_DIR
        raise DataError(
            f"TFDS knows no dataset {name.name!r}, and {place} holds none.",
            fix=f"Did you mean {near[0]!r}?"
            if near
            else "Set data_dir, or path to the dataset's own folder.",
        ) from error
    except KerasftError:
        raise
    except Exception as error:  # versions and configs that are not there, and modules that a dataset needs
        raise DataError(
            f"TFDS cannot open {source.name}: {_describe(error)}", fix="Name another version or config."
        ) from error


def _find_descriptions(data_dir: str | None, name: str) -> list[Path]:
    folder = Path(data_dir or tfds.core.constants.DATA_DIR, name).expanduser()
    return sorted(folder.glob(f"**/{_DESCRIPTION}"))


def _check_description(path: Path) -> None:
    try:
        check_feature_classes(load_json(path, follow_links=True))
    except (OSError, ValueError) as error:
        raise DataError(
            f"The dataset's description cannot be used: {_describe(error)}",
            where=str(path),
            fix="Let TFDS prepare it again.",
        ) from error


def _open_folder(folder: Path) -> Any:
    if not (folder / _DESCRIPTION).is_file():
        inside = sorted(path.parent for path in folder.glob(f"**/{_DESCRIPTION}"))[:1]
        raise DataError(
            f"This is not the folder of a TFDS dataset: it has no {_DESCRIPTION}."
            if folder.is_dir()
            else "There is no such folder.",
            where=str(folder),
            fix=f"Set path to {inside[0]}" if inside else "Set path to the folder of the dataset's version.",
        )
    _check_description(folder / _DESCRIPTION)
    try:
        return tfds.builder_from_directory(str(folder))
    except Exception as error:
        raise DataError(
            f"The dataset cannot be opened: {_describe(error)}",
            where=str(folder),
            fix="Let TFDS prepare it again.",
        ) from error


@contextlib.contextmanager
def _standard_resources() -> Iterator[None]:
    """TFDS 4.9.10 asks for the package `importlib_resources` without requiring it; Python's own module does as well."""
    name = "importlib_resources"
    if importlib.util.find_spec(name) is not None:
        yield
        return
    sys.modules[name] = importlib.resources
    try:
        yield
    finally:
        sys.modules.pop(name, None)


def _is_prepared(builder: Any) -> bool:
    return Path(builder.data_path, _DESCRIPTION).is_file()


def _check_reachable(source: TfdsSource, builder: Any) -> None:
    """Asks the hosts that the dataset comes from: TFDS itself would try again and again.

    Raises:
        DataError: one does not answer.
    """
    hosts: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        for url in builder.url_infos or ():
            hosts.setdefault(urlsplit(url).netloc, url)
    for host, url in itertools.islice(hosts.items(), _MAX_HOSTS):
        parts = urlsplit(url)
        why = find_why_unreachable(f"{parts.scheme}://{parts.netloc}", _REACH_SECONDS)
        if why is not None:
            raise DataError(
                f"TFDS has no {source.name} on this machine, and {host} cannot be reached: {why}.",
                where=str(builder.data_path),
                fix=f"Prepare it on a machine with a network (tfds build {builder.name}), copy its folder, and set "
                "data_dir to where the copy lies.",
            )


def _describe(error: BaseException) -> str:
    """The first lines of what TFDS says."""
    return " ".join(str(error).split())[:300] or type(error).__name__
