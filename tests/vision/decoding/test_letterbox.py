"""Where pictures lie in a detector's input: drawn boxes are found where they are said to be."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasft.vision.decoding.letterbox import (
    Letterbox,
    build_box_decoder,
    build_letterbox_decoder,
    build_letterbox_or_explain_decoder,
    move_to_input,
    move_to_picture,
)

SIZE = (96, 128)
SHAPES = [(40, 60), (96, 128), (64, 20), (20, 200), (800, 600), (1501, 1999), (2003, 801)]
"""Heights and widths; the last three are decoded at a fraction of their size."""


def draw_box(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A white box on black, and its sides."""
    box = np.array([width // 4, height // 5, width - width // 3, height - height // 4])
    image = np.zeros((height, width, 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255
    return image, box.astype(np.float32)


def save(image: np.ndarray, format: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    quality = {"quality": 95} if format == "JPEG" else {}
    Image.fromarray(image).save(buffer, format, **quality, **options)
    return buffer.getvalue()


def find_box(image: np.ndarray) -> np.ndarray:
    """The sides of the white box, to parts of a pixel: what is half covered is half white."""
    bright = np.asarray(image, np.float64)[..., 0] / 255.0
    sides = []
    for line in (bright.max(axis=0), bright.max(axis=1)):
        line = np.where(line > 0.1, line, 0.0)  # JPEG's ripples
        middle = int(np.median(np.flatnonzero(line > 0.5)))
        sides.append((middle - line[:middle].sum(), middle + line[middle:].sum()))
    (left, right), (top, bottom) = sides
    return np.array([left, top, right, bottom])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_box_is_found_where_the_letterbox_says(shape, format):
    image, box = draw_box(*shape)
    images, letterbox = build_letterbox_decoder(SIZE)(tf.constant([save(image, format)]))
    assert letterbox.size.numpy().tolist() == [list(shape)]
    expected = move_to_input(tf.constant(box[None, None]), letterbox).numpy()[0, 0]
    np.testing.assert_allclose(find_box(images.numpy()[0]), expected, atol=0.6)
    back = move_to_picture(tf.constant(expected[None, None]), letterbox).numpy()[0, 0]
    np.testing.assert_allclose(back, box, atol=1e-3 * max(shape))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(45, 80), (1201, 803)])
def test_a_turned_picture_is_measured_as_a_person_sees_it(orientation, shape):
    upright, box = draw_box(*shape)
    turned = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = save(np.ascontiguousarray(turned), exif=exif)
    images, letterbox = build_letterbox_decoder(SIZE)(tf.constant([data]))
    assert letterbox.size.numpy().tolist() == [list(shape)]
    expected = move_to_input(tf.constant(box[None, None]), letterbox).numpy()[0, 0]
    np.testing.assert_allclose(find_box(images.numpy()[0]), expected, atol=0.8)


def test_files_from_anywhere_have_the_pixels_and_places_of_prepared_ones():
    files = [save(draw_box(*shape)[0], format) for shape in SHAPES for format in ("JPEG", "PNG")]
    images, letterbox = build_letterbox_decoder(SIZE)(tf.constant(files))
    mixed = [b"no picture", *files, save(draw_box(30, 50)[0], "BMP"), files[0][:200]]
    found, places, status = build_letterbox_or_explain_decoder(SIZE)(tf.constant(mixed))
    count = len(files)
    assert [bool(text) for text in status.numpy()] == [True, *[False] * count, False, True]
    np.testing.assert_array_equal(found[1 : count + 1], images)
    for one, other in zip(places, letterbox, strict=True):
        np.testing.assert_array_equal(one[1 : count + 1], other)
        assert np.isfinite(one).all()
    assert places.size.numpy()[-2].tolist() == [30, 50]


def test_a_batch_of_odd_sizes_equals_one_by_one():
    files = [save(draw_box(*shape)[0]) for shape in SHAPES]
    decode = build_letterbox_or_explain_decoder(SIZE)
    together = decode(tf.constant(files))
    for number, file in enumerate(files):
        alone = decode(tf.constant([file]))
        for one, other in zip(tf.nest.flatten(alone), tf.nest.flatten(together), strict=True):
            np.testing.assert_array_equal(one[0], other[number])


def test_no_pictures_are_no_pictures():
    images, letterbox, status = build_letterbox_or_explain_decoder(SIZE)(tf.constant([], tf.string))
    assert images.shape == (0, *SIZE, 3)
    assert (letterbox.scale.shape, letterbox.offset.shape, letterbox.size.shape) == ((0,), (0, 2), (0, 2))
    assert status.shape == (0,)


def test_boxes_are_cut_off_at_the_pictures_edges():
    # 20 high and 30 wide, twice as large in the input, 4 pixels from the left and 2 from the top
    letterbox = Letterbox(tf.constant([2.0]), tf.constant([[4.0, 2.0]]), tf.constant([[20, 30]]))
    boxes = tf.constant([[[0.0, 0.0, 24.0, 12.0], [34.0, 22.0, 400.0, 500.0]]])
    moved = move_to_picture(boxes, letterbox)
    np.testing.assert_allclose(moved, [[[0, 0, 10, 5], [15, 10, 30, 20]]])
    np.testing.assert_allclose(move_to_input(moved, letterbox)[0, 1], [34, 22, 64, 42])


@pytest.mark.parametrize("shape", SHAPES)
def test_training_finds_boxes_in_what_it_decodes(shape):
    image, box = draw_box(*shape)
    near, boxes = build_box_decoder(SIZE, 0.5)(tf.constant(save(image)), tf.constant(box[None]))
    assert min(near.shape[:2]) >= min(min(shape), 2 * min(SIZE) * min(shape) / max(shape) * 0.5)
    np.testing.assert_allclose(find_box(near.numpy()), boxes.numpy()[0], atol=0.6)
