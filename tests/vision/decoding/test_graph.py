"""The decode graph against Pillow: every kind of file, every orientation, and damage."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from kerasft.serving.graphs import list_ops
from kerasft.vision.decoding.graph import decode_batch, decode_image, decode_near, decode_or_explain
from kerasft.vision.decoding.jpeg import read_orientation

BYTES = [tf.TensorSpec([], tf.string)]
read = tf.function(read_orientation, input_signature=BYTES, autograph=False)
decode_few = tf.function(
    lambda data: decode_batch(data, (20, 24)),
    input_signature=[tf.TensorSpec([None], tf.string)],
    autograph=False,
)
near = tf.function(lambda data: decode_near(data, (500, 500)), input_signature=BYTES, autograph=False)


def make_picture(width: int = 48, height: int = 32, seed: int = 0) -> Image.Image:
    """Smooth colours, no two corners alike, so that JPEG and resizing change little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def save(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def insert_segment(jpeg: bytes, body: bytes, marker: int = 0xE1) -> bytes:
    """A JPEG with one more segment right at its beginning."""
    return jpeg[:2] + bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def make_exif(orientation: int, order: str, *, kind: int = 3, entries_before: int = 3) -> bytes:
    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, order)

    entries = b"".join(
        number(0x0100 + i, 2) + number(4, 2) + number(1, 4) + number(7, 4) for i in range(entries_before)
    )
    entries += number(0x0112, 2) + number(kind, 2) + number(1, 4) + number(orientation, 2) + b"\0\0"
    head = (b"II" if order == "little" else b"MM") + number(42, 2) + number(12, 4) + b"pad!"
    return b"Exif\0\0" + head + number(entries_before + 1, 2) + entries + number(0, 4)


def expect_resized(picture: Image.Image, size_px: tuple[int, int], resize: str) -> np.ndarray:
    height, width = size_px
    if resize == "crop":
        return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR))
    if resize == "pad":
        return np.asarray(ImageOps.pad(picture, (width, height), Image.Resampling.BILINEAR, color="black"))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def assert_alike(ours: tf.Tensor, theirs: np.ndarray, most: int = 1):
    assert ours.dtype == tf.uint8
    assert ours.shape == theirs.shape
    assert np.abs(np.asarray(ours, int) - theirs.astype(int)).max() <= most


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_turned_upright_as_pillow_does(orientation, order):
    jpeg = insert_segment(save(make_picture(), "JPEG", quality=95), make_exif(orientation, order))
    theirs = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg))))
    assert theirs.shape == ((32, 48, 3) if orientation < 5 else (48, 32, 3))
    assert int(read(jpeg)) == orientation
    assert_alike(near(jpeg), theirs, 0)


@pytest.mark.parametrize("orientation", [3, 6])
def test_exif_as_pillow_writes_it_is_read(orientation):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x9003] = "a camera's maker", orientation, "2024:01:01 00:00:00"
    jpeg = save(make_picture(), "JPEG", exif=exif, icc_profile=b"x" * 3000, comment=b"hello")
    assert int(read(jpeg)) == orientation


def test_exif_behind_other_segments_and_padding_is_found():
    jpeg = insert_segment(save(make_picture(), "JPEG"), make_exif(8, "big"))
    jpeg = insert_segment(jpeg, b"http://ns.adobe.com/xap/1.0/\0<x/>")
    jpeg = insert_segment(jpeg, b"ICC_PROFILE\0" + bytes(60_000), 0xE2)
    assert int(read(jpeg)) == 8
    assert int(read(jpeg[:2] + b"\xff\xff" + jpeg[2:])) == 8


@pytest.mark.parametrize(
    "body",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(40),
        b"Exif\0\0MM\0*\0\0\xff\xff" + bytes(40),
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(40),
        b"Exif\0\0JJ*\0" + make_exif(6, "little")[10:],
        make_exif(0, "big"),
        make_exif(9, "big"),
        make_exif(6, "little", kind=2),
        make_exif(6, "little")[:60],
        b"Exif",
        b"",
    ],
    ids=range(12),
)
def test_exif_that_makes_no_sense_leaves_the_picture_as_it_is(body):
    picture = save(make_picture(), "JPEG")
    jpeg = insert_segment(picture, body)
    assert int(read(jpeg)) == 1
    np.testing.assert_array_equal(near(jpeg), near(picture))


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_have_an_orientation(data):
    assert 1 <= int(read(b"\xff\xd8" + data)) <= 8
    assert 1 <= int(read(insert_segment(b"\xff\xd8\xff\xda", b"Exif\0\0II*\0\x08\0\0\0" + data))) <= 8
    assert int(read(data[:3])) == 1


def make_16_bit() -> tuple[bytes, np.ndarray]:
    values = np.linspace(0, 65535, 32 * 48).reshape(32, 48).astype(np.uint16)
    return save(Image.fromarray(values), "PNG"), np.repeat((values >> 8)[..., None], 3, -1)


def on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def make_palette_png(picture: Image.Image, bits: int, **options) -> tuple[bytes, Image.Image]:
    data = save(picture.quantize(2**bits), "PNG", bits=bits, **options)
    assert data[24:26] == bytes([bits, 3])
    return data, on_white(Image.open(io.BytesIO(data)))


def make_grey_of_4_bits() -> tuple[bytes, np.ndarray]:
    """Put together by hand, since Pillow does not write it."""
    values = np.arange(16, dtype=np.uint8)[None].repeat(9, axis=0)
    rows = b"".join(b"\0" + bytes(row[::2] << 4 | row[1::2]) for row in values)

    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    header = (16).to_bytes(4, "big") + (9).to_bytes(4, "big") + bytes([4, 0, 0, 0, 0])
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts, (values * 17)[..., None].repeat(3, axis=-1)


def make_files() -> dict[str, tuple[bytes, Image.Image | np.ndarray]]:
    picture = make_picture()
    opacity = Image.fromarray(np.tile(np.linspace(0, 255, 48).astype(np.uint8), (32, 1)))
    clear = picture.copy()
    clear.putalpha(opacity)
    grey_clear = Image.merge("LA", [picture.convert("L"), opacity])
    palette = picture.quantize(40)
    holed = palette.copy()
    holed.info["transparency"] = 3

    holed_png = save(holed, "PNG", transparency=3)
    files = {
        "png": (save(picture, "PNG"), picture),
        "png grey": (save(picture.convert("L"), "PNG"), picture.convert("L").convert("RGB")),
        "png one bit": (save(picture.convert("1"), "PNG"), picture.convert("1").convert("RGB")),
        "png alpha": (save(clear, "PNG"), on_white(clear)),
        "png grey alpha": (save(grey_clear, "PNG"), on_white(grey_clear)),
        "png palette": (save(palette, "PNG"), palette.convert("RGB")),
        "png palette with a hole": (holed_png, on_white(Image.open(io.BytesIO(holed_png)))),
        "png 16 bits": make_16_bit(),
        **{f"png palette of {bits} bits": make_palette_png(picture, bits) for bits in (1, 2, 4)},
        "png palette of 2 bits with a hole": make_palette_png(picture, 2, transparency=1),
        "png grey of 4 bits": make_grey_of_4_bits(),
        "bmp": (save(picture, "BMP"), picture),
        "gif": (save(palette, "GIF"), palette.convert("RGB")),
        "animated gif": (
            save(palette, "GIF", save_all=True, append_images=[make_picture(seed=1).quantize(40)]),
            palette.convert("RGB"),
        ),
    }
    for name, mode in (("jpeg", "RGB"), ("jpeg grey", "L"), ("jpeg cmyk", "CMYK")):
        data = save(picture.convert(mode), "JPEG", quality=95)
        files[name] = data, Image.open(io.BytesIO(data)).convert("RGB")
    files["jpeg progressive"] = (
        data := save(picture, "JPEG", progressive=True),
        Image.open(io.BytesIO(data)),
    )
    return files


FILES = make_files()


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_gives_the_pixels_that_pillow_gives(name):
    data, expected = FILES[name]
    assert_alike(near(data), np.asarray(expected), 1)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size_px", [(24, 24), (48, 24), (24, 48), (96, 96)])
@pytest.mark.parametrize("shape", [(48, 32), (32, 48), (40, 40)])
def test_resizing_gives_the_pixels_that_pillow_gives(resize, size_px, shape):
    picture = make_picture(*shape)
    ours = decode_image(tf.constant(save(picture, "PNG")), size_px, resize=resize)
    assert_alike(ours, expect_resized(picture, size_px, resize), 1)


def test_padding_is_black_and_on_both_sides():
    white = tf.constant(save(Image.new("RGB", (40, 20), "white"), "PNG"))
    image = decode_image(white, (20, 20), resize="pad").numpy()
    assert (image[:5] == 0).all()
    assert (image[5:15] == 255).all()
    assert (image[15:] == 0).all()


@pytest.mark.parametrize(
    ("side", "decoded"), [(400, 800), (200, 400), (101, 400), (99, 200), (50, 100), (30, 100)]
)
def test_a_large_jpeg_is_decoded_at_a_fraction_that_leaves_twice_the_target(side, decoded):
    jpeg = save(make_picture(1200, 800), "JPEG", quality=95)
    image = decode_near(tf.constant(jpeg), (side, side))
    assert image.shape == (decoded, decoded * 3 // 2, 3)
    assert decoded == 800 or 2 * side <= decoded
    with Image.open(io.BytesIO(jpeg)) as picture:
        assert_alike(decode_image(jpeg, (side, side)), expect_resized(picture, (side, side), "crop"), 4)


def test_a_fraction_is_chosen_by_the_upright_picture_and_the_smallest_crop():
    jpeg = insert_segment(save(make_picture(1200, 800), "JPEG"), make_exif(6, "big"))
    assert decode_near(tf.constant(jpeg), (300, 200), resize="stretch").shape == (600, 400, 3)
    assert decode_near(tf.constant(jpeg), (200, 300), resize="stretch").shape == (1200, 800, 3)
    assert decode_near(tf.constant(jpeg), (200, 300), resize="pad").shape == (600, 400, 3)
    assert decode_near(tf.constant(jpeg), (200, 200), smallest_crop=0.25).shape == (1200, 800, 3)


@pytest.mark.parametrize("data", [b"", b"GIF", b"<html>", b"RIFF\0\0\0\0WEBPVP8 "])
def test_what_is_no_picture_is_said_with_its_place(data):
    good = FILES["png"][0]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Picture 2 of the batch.*(no JPEG, PNG|empty)"):
        decode_few(tf.constant([good, data]))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"no JPEG, PNG, GIF, BMP or WebP|empty|cut short"
    ):
        decode_image(tf.constant(data), (8, 8))


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "bmp"])
def test_a_cut_file_is_an_error(name):
    data = FILES[name][0]
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(tf.constant(data[: len(data) // 2]), (8, 8))


def test_a_batch_holds_what_single_pictures_give_and_may_be_empty():
    files = [data for name, (data, _) in FILES.items() if name.startswith(("png", "jpeg"))]
    batch = decode_few(tf.constant(files))
    assert batch.shape == (len(files), 20, 24, 3)
    for image, data in zip(batch, files, strict=True):
        np.testing.assert_array_equal(image, decode_image(tf.constant(data), (20, 24)))
    assert decode_few(tf.zeros([0], tf.string)).shape == (0, 20, 24, 3)
    assert decode_few.get_concrete_function().structured_outputs.shape.as_list() == [None, 20, 24, 3]


OLD_OPS = {
    "Abs", "Add", "AddV2", "All", "Any", "ArgMax", "AsString", "Assert", "BatchDatasetV2", "BatchMatMulV2",
    "BitwiseAnd", "Case", "Cast", "ConcatV2", "ConcatenateDataset", "Const", "DatasetToSingleElement",
    "DecodeBmp", "DecodeGif", "DecodeImage", "DecodeJpeg", "DecodePng", "DecodeRaw", "EnsureShape", "Equal",
    "ExpandDims", "ExtractJpegShape", "Fill", "FloorDiv", "FloorMod", "GatherV2", "Greater", "GreaterEqual",
    "Identity", "If", "IgnoreErrorsDataset", "LeftShift", "Less", "LessEqual", "LogicalAnd", "LogicalNot",
    "LogicalOr", "MapDataset", "Max", "Maximum", "MergeV2Checkpoints", "Min", "Minimum", "Mul", "Neg",
    "NoOp", "NotEqual", "Pack", "Pad", "ParallelMapDatasetV2", "PartitionedCall", "Placeholder", "Prod",
    "Range", "Rank", "RealDiv", "ReduceJoin", "Reshape", "RestoreV2", "Reverse", "ReverseV2", "RightShift",
    "Round", "SaveV2", "ScaleAndTranslate", "ScatterNd", "Select", "SelectV2", "Shape", "ShardedFilename",
    "Size", "Squeeze", "StatefulPartitionedCall", "StatelessCase", "StatelessIf", "StatelessWhile",
    "StaticRegexFullMatch", "StridedSlice", "StringJoin", "StringLength", "Sub", "Substr", "Sum",
    "TensorListConcatV2", "TensorListFromTensor", "TensorListGetItem", "TensorListReserve",
    "TensorListSetItem", "TensorListStack", "TensorSliceDataset", "Transpose", "Unpack", "Where", "While",
    "ZerosLike",
}  # fmt: skip
"""What TensorFlow 2.6 knows."""


def test_training_sees_the_very_pixels_that_inference_sees():
    # tf.data runs its functions as they are written, and tf.function after TensorFlow's optimizer has changed them
    shapes = [(width, height) for width in (131, 233, 350, 401) for height in (97, 240, 367, 500)]
    files = tf.constant([save(make_picture(*shape, seed=9), "JPEG") for shape in shapes])
    for size_px in ((112, 112), (224, 160)):
        inferred = tf.function(lambda f, s=size_px: decode_batch(f, s), autograph=False)(files)
        streamed = next(
            iter(tf.data.Dataset.from_tensors(files).map(lambda f, s=size_px: decode_batch(f, s)))
        )
        np.testing.assert_array_equal(inferred, streamed)


@pytest.mark.slow
def test_an_export_holds_old_ops_alone_and_gives_the_same_pixels(tmp_path):
    module = tf.Module()
    module.serve = tf.function(
        lambda data: decode_or_explain(data, (16, 16)),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    tf.saved_model.save(module, tmp_path / "saved", signatures={"serving_default": module.serve})
    assert sorted(list_ops(tmp_path / "saved") - OLD_OPS) == []
    files = tf.constant([data for data, _ in FILES.values()])
    served = tf.saved_model.load(tmp_path / "saved").serve(files)
    for one, other in zip(served, module.serve(files), strict=True):
        np.testing.assert_array_equal(one, other)
