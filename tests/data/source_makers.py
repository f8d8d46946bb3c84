"""Small pictures, and datasets as TFDS and Hugging Face write them, for tests of sources."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from kerasft.data.kinds.fields import Field

PICTURE_FIELDS = (Field("image", "image"), Field("label", "label", "target"))
TAGGED_FIELDS = (Field("image", "image"), Field("labels", "labels", "target"))


def draw_picture(number: int, format: str = "PNG", size: int = 16) -> bytes:
    """A file of noise that no other number has."""
    pixels = np.random.default_rng(number).integers(0, 256, (size, size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


def write_pictures(folder: Path, count: int) -> list[str]:
    """`0.png` and so on below the folder, which is made; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number}.png" for number in range(count)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(draw_picture(number))
    return names


def write_tfds(
    data_dir: Path,
    name: str,
    features: dict[str, Any],
    splits: dict[str, Sequence[dict[str, Any]]],
    file_format: str,
    shard: int = 4,
) -> Path:
    """Version 1.0.0 of a dataset, in files of `shard` examples; its folder."""
    import tensorflow_datasets as tfds

    folder = data_dir / name / "1.0.0"
    folder.mkdir(parents=True)
    identity = tfds.core.dataset_info.DatasetIdentity(
        name=name, version=tfds.core.utils.Version("1.0.0"), data_dir=str(folder), module_name="made_up"
    )
    info = tfds.core.DatasetInfo(
        builder=identity, description="Made up.", features=tfds.features.FeaturesDict(features)
    )
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=shard, file_format=file_format)
    writer.initialize_splits(list(splits))
    writer.add_examples(splits)
    writer.close_all()
    return folder


def write_hugging_face(path: Path, columns: dict[str, Any], classes: dict[str, Sequence[str]]) -> None:
    """A Parquet file with the names of classes as `datasets` keeps them."""
    told = {
        name: {"names": list(names), "_type": "ClassLabel"}
        if not isinstance(columns[name][0], list)
        else {"feature": {"names": list(names), "_type": "ClassLabel"}, "_type": "List"}
        for name, names in classes.items()
    }
    table = pa.table(columns)
    metadata = {"huggingface": json.dumps({"info": {"features": told}})}
    pq.write_table(table.replace_schema_metadata(metadata), path)
