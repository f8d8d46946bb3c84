"""Masks: which files hold numbers of classes, which do not, and that they fit their pictures."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from source_makers import draw_picture, write_pictures

from kerasft.data.config import DataConfig
from kerasft.data.kinds.fields import Field
from kerasft.data.kinds.mask import VOID, read_mask
from kerasft.data.prepare.dataset import prepare_dataset
from kerasft.vision.pictures import InvalidPicture

NUMBERS = np.arange(256, dtype=np.uint8).reshape(16, 16)


def encode(image: Image.Image, format: str = "PNG", **settings) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **settings)
    return buffer.getvalue()


def test_greys_and_places_in_a_palette_are_numbers():
    palette = Image.new("P", (16, 16))
    palette.putdata(NUMBERS.ravel().tolist())
    palette.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    assert np.array_equal(read_mask(encode(Image.fromarray(NUMBERS))), NUMBERS)
    assert np.array_equal(read_mask(encode(palette)), NUMBERS)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_a_pixel_are_the_numbers_that_were_written(bits):
    numbers = NUMBERS % 2**bits
    palette = Image.new("P", (16, 16))
    palette.putdata(numbers.ravel().tolist())
    palette.putpalette([0, 0, 0, 255, 0, 0] * 8)
    assert np.array_equal(read_mask(encode(palette, bits=bits)), numbers)
    assert np.array_equal(read_mask(write_grey_png(numbers, bits)), numbers)


def write_grey_png(numbers: np.ndarray, bits: int) -> bytes:
    """A PNG of greys of so many bits, which Pillow does not write."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = numbers.shape
    spread = np.unpackbits(numbers[..., None], axis=-1)[..., 8 - bits :].reshape(height, width * bits)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(spread, axis=1))
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (draw_picture(0), "mask holds no numbers"),
        (draw_picture(0, "JPEG"), "mask is not a PNG"),
        (encode(Image.fromarray(NUMBERS))[:-30], "cut short"),
    ],
)
def test_files_without_numbers_are_refused(data, reason):
    with pytest.raises(InvalidPicture) as error:
        read_mask(data)
    assert error.value.reason == reason


def test_masks_are_taken_as_they_were_and_must_fit_picture_and_classes(tmp_path, progress):
    names = write_pictures(tmp_path, 4)  # 16 × 16 pixels
    masks = [NUMBERS % 3, np.where(NUMBERS < 9, VOID, 1).astype(np.uint8), NUMBERS[:8] % 3, NUMBERS % 4]
    rows = []
    for number, (name, mask) in enumerate(zip(names, masks, strict=True)):
        (tmp_path / f"mask-{number}.png").write_bytes(encode(Image.fromarray(mask)))
        rows.append({"image": name, "mask": f"mask-{number}.png"})
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = DataConfig.model_validate(
        {
            "train": {"format": "jsonl", "path": "a.jsonl"},
            "validation_share": 0,
            "test_share": 0,
            "max_rejected": 0.5,
        }
    )
    fields = (Field("image", "image"), Field("mask", "mask", "target", classes=("road", "sky", "tree")))
    dataset = prepare_dataset(config, fields, tmp_path / "data", base=tmp_path, seed=0, progress=progress)
    taken = dataset.split("train").take(range(2))
    assert [example["image"] for example in taken] == [draw_picture(0), draw_picture(1)]
    for example, mask in zip(taken, masks, strict=False):
        assert np.array_equal(read_mask(example["mask"]), mask)
    lines = (dataset.folder / "rejected.jsonl").read_text().splitlines()
    assert [(line["row"], line["reason"], line["detail"]) for line in map(json.loads, lines)] == [
        (3, "mask of another size", "16 × 8 pixels, and the picture has 16 × 16"),
        (4, "unknown class number", "3; there are 3 classes, and 255 for pixels of none"),
    ]
    import tensorflow_datasets as tfds

    pixels = tfds.builder_from_directory(str(dataset.folder)).as_data_source(split="train")[0]["mask"]
    assert np.array_equal(pixels[..., 0], masks[0])
