"""Boxes follow their pictures: drawn rectangles are found where the boxes are said to be."""

from __future__ import annotations

import io

import numpy as np
import pydantic
import pytest
import tensorflow as tf
from PIL import Image

from kerasft.vision.augmentation.boxes import (
    BoxAugmenter,
    PlacedBoxes,
    build_box_augmenter,
    judge_boxes,
    place_boxes,
)
from kerasft.vision.augmentation.geometry import compute_matrix, make_quarter_turns
from kerasft.vision.augmentation.keys import compute_keys
from kerasft.vision.config import BoxAugmentation, BoxAugmentationConfig
from kerasft.vision.decoding.letterbox import build_letterbox_decoder, move_to_input
from kerasft.vision.decoding.orientation import turn_quarters

SIZE = (90, 120)
BOXES = np.array([[8, 10, 60, 34], [80, 4, 96, 70], [30, 50, 76, 76]], np.float32)
"""Of three rectangles, one in each colour, in a picture of 80 × 100 pixels."""
AUGMENTATIONS = {
    "nothing": BoxAugmentation(),
    "flip": BoxAugmentation(flip=True),
    "flip_vertical": BoxAugmentation(flip_vertical=True),
    "rotate_90": BoxAugmentation(rotate_90=True),
    "scale": BoxAugmentation(scale=(0.6, 1.4)),
    "larger": BoxAugmentation(scale=(2.0, 4.0)),
    "all": BoxAugmentation(flip=True, flip_vertical=True, rotate_90=True, scale=(0.5, 2.0)),
}


def draw_picture(factor: int = 1, height: int = 80, width: int = 100) -> np.ndarray:
    image = np.zeros((height * factor, width * factor, 3), np.uint8)
    for channel, (left, top, right, bottom) in enumerate((BOXES * factor).astype(int)):
        image[top:bottom, left:right, channel] = 255
    return image


def find_rectangle(image: np.ndarray, channel: int) -> list[int] | None:
    """left, top, right, bottom of what is brighter than half in one channel."""
    bright = np.asarray(image)[..., channel] > 127.5
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if len(rows) else None


def check_against_picture(image: np.ndarray, placed: PlacedBoxes) -> None:
    """The rectangles that can be seen lie where the boxes do, and there are no others."""
    for channel, box in enumerate(placed.boxes.numpy()):
        found = find_rectangle(image, channel)
        kept, ignored = bool(placed.kept[channel]), bool(placed.ignored[channel])
        assert not (kept and ignored)
        if found is None:
            assert not kept
            assert min(box[2] - box[0], box[3] - box[1]) < 1.0
        else:
            assert kept or ignored
            np.testing.assert_allclose(found, box, atol=1.0)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("factor", [1, 3])
@pytest.mark.parametrize("size_px", [SIZE, (64, 64), (160, 60)])
def test_boxes_lie_where_the_drawn_rectangles_are(name, factor, size_px):
    augmenter = BoxAugmenter(AUGMENTATIONS[name], size_px)
    augment = tf.function(augmenter.augment, autograph=False)
    picture, boxes = tf.constant(draw_picture(factor)), tf.constant(BOXES * factor)
    for key in compute_keys(3, 1, np.arange(24)):
        image, placed = augment(picture, boxes, tf.constant(key))
        assert image.shape == (*size_px, 3)
        check_against_picture(image.numpy(), placed)


@pytest.mark.parametrize("count", range(4))
def test_quarter_turns_are_numpys_and_points_follow_to_the_pixel(count):
    picture = draw_picture()
    turned = turn_quarters(tf.constant(picture), tf.constant(count)).numpy()
    np.testing.assert_array_equal(turned, np.rot90(picture, count))
    matrix = make_quarter_turns(tf.constant(count), tf.constant([80.0, 100.0])).matrix.numpy()
    for channel, box in enumerate(BOXES):
        corners = np.array([[box[0], box[1], 1.0], [box[2], box[3], 1.0]]) @ matrix.T
        expected = [*corners[:, :2].min(axis=0), *corners[:, :2].max(axis=0)]
        assert find_rectangle(turned, channel) == expected


def test_each_of_the_eight_ways_to_lay_a_square_comes_as_often():
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[0, 1] = 255
    augmenter = BoxAugmenter(AUGMENTATIONS["all"]._replace(scale=(1.0, 1.0)), (8, 8))
    augment = tf.function(augmenter.augment, autograph=False)
    seen = []
    for key in compute_keys(0, 0, np.arange(400)):
        image, _ = augment(picture, tf.zeros([0, 4]), tf.constant(key))
        seen.append(tuple(np.argwhere(image.numpy()[..., 0] > 127)[0]))
    counts = {place: seen.count(place) for place in set(seen)}
    assert set(counts) == {(0, 1), (0, 6), (1, 0), (1, 7), (6, 0), (6, 7), (7, 1), (7, 6)}
    assert min(counts.values()) > 25


@pytest.mark.parametrize(
    ("keys", "ways"),
    [
        ({}, {(0, 1)}),
        ({"flip": True}, {(0, 1), (0, 6)}),
        ({"flip_vertical": True}, {(0, 1), (7, 1)}),
        ({"flip": True, "flip_vertical": True}, {(0, 1), (0, 6), (7, 1), (7, 6)}),
        ({"rotate_90": True}, {(0, 1), (6, 0), (7, 6), (1, 7)}),
    ],
)
def test_pictures_are_laid_only_as_the_config_allows(keys, ways):
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[0, 1] = 255
    augment = tf.function(BoxAugmenter(BoxAugmentation(**keys), (8, 8)).augment, autograph=False)
    seen = set()
    for key in compute_keys(5, 0, np.arange(60)):
        image, _ = augment(picture, tf.zeros([0, 4]), tf.constant(key))
        seen.add(tuple(np.argwhere(image.numpy()[..., 0] > 127)[0].tolist()))
    assert seen == ways


def test_scales_are_those_of_evaluation_times_the_factor():
    augmenter = BoxAugmenter(BoxAugmentation(scale=(0.6, 1.4), rotate_90=True), SIZE)
    draw = tf.function(
        lambda key: compute_matrix(augmenter.draw_geometry(tf.constant([80.0, 100.0]), key), SIZE),
        autograph=False,
    )
    matrices = np.array([draw(tf.constant(key)) for key in compute_keys(0, 0, np.arange(300))])
    factors = np.sqrt(np.abs(np.linalg.det(matrices[:, :2, :2]))) / min(90 / 80, 120 / 100)
    assert 0.6 <= min(factors) < 0.63
    assert 1.33 < max(factors) <= 1.4001
    assert abs(np.median(factors) - np.sqrt(0.6 * 1.4)) < 0.05


def test_a_smaller_picture_lies_wholly_in_the_input_and_a_larger_one_fills_it():
    white = np.full((80, 100, 3), 255, np.uint8)
    whole = tf.constant([[0.0, 0.0, 100.0, 80.0]])
    places = []
    for key in compute_keys(0, 0, np.arange(40)):
        image, placed = BoxAugmenter(BoxAugmentation(scale=(0.5, 0.5)), SIZE).augment(white, whole, key)
        left, top, right, bottom = placed.boxes.numpy()[0]
        np.testing.assert_allclose([right - left, bottom - top], [56.25, 45.0], atol=1e-3)
        np.testing.assert_allclose(find_rectangle(image.numpy(), 0), [left, top, right, bottom], atol=1.0)
        places.append([left / (120 - 56.25), top / (90 - 45.0)])
        image, _ = BoxAugmenter(BoxAugmentation(scale=(1.5, 1.5)), SIZE).augment(white, whole, key)
        np.testing.assert_allclose(image, 255.0, atol=1e-2)
    assert np.min(places) < 0.1
    assert np.max(places) > 0.9


def test_boxes_are_kept_by_the_share_of_them_that_is_left():
    shares = tf.constant([1.0, 0.4, 0.39, 0.05, 0.0, 0.0, 1.0])
    boxes = tf.constant(
        [
            [0.0, 0.0, 9.0, 9.0],
            [0.0, 0.0, 5.0, 9.0],
            [0.0, 0.0, 5.0, 9.0],
            [0.0, 0.0, 0.2, 9.0],
            [9.0, 0.0, 9.0, 9.0],
            [0.0, 0.0, 0.0, 0.0],
            [2.0, 2.0, 9.0, 2.5],
        ]
    )
    placed = judge_boxes(boxes, shares, 0.4)
    assert placed.kept.numpy().tolist() == [True, True, False, False, False, False, False]
    assert placed.ignored.numpy().tolist() == [False, False, True, True, False, False, True]


def test_a_box_cut_in_the_picture_is_kept_or_ignored_by_its_share():
    """The oracle counts pixels: what is left of the rectangle, against all of it."""
    augmenter = BoxAugmenter(BoxAugmentation(scale=(2.0, 2.0)), (60, 60))
    augment = tf.function(augmenter.augment, autograph=False)
    picture = np.zeros((60, 60, 3), np.uint8)
    picture[20:40, 20:40] = 255
    fates = {"kept": 0, "ignored": 0, "gone": 0}
    for key in compute_keys(0, 0, np.arange(200)):
        image, placed = augment(picture, tf.constant([[20.0, 20.0, 40.0, 40.0]]), tf.constant(key))
        share = (image.numpy()[..., 0] > 127.5).sum() / (40 * 40)
        kept, ignored = bool(placed.kept[0]), bool(placed.ignored[0])
        fates["kept" if kept else "ignored" if ignored else "gone"] += 1
        if abs(share - 0.4) > 0.05:
            assert kept == (share > 0.4)
        if share > 0.02:
            assert kept or ignored
    assert min(fates["kept"], fates["ignored"]) > 5


def test_padding_is_neither_kept_nor_ignored_whatever_is_done():
    boxes = tf.constant(np.concatenate([BOXES, np.zeros((2, 4), np.float32)]))
    augment = tf.function(BoxAugmenter(AUGMENTATIONS["all"], SIZE).augment, autograph=False)
    for key in compute_keys(0, 0, np.arange(30)):
        _, placed = augment(draw_picture(), boxes, tf.constant(key))
        assert not placed.kept[3:].numpy().any()
        assert not placed.ignored[3:].numpy().any()
    placed = place_boxes(tf.constant([[BOXES[0], [7.0, 7.0, 7.0, 7.0]]]))
    assert placed.kept.numpy().tolist() == [[True, False]]
    assert placed.ignored.numpy().tolist() == [[False, False]]


def test_colours_change_inside_of_the_picture_and_outside_it_stays_black():
    grey = np.full((40, 100, 3), (120, 90, 60), np.uint8)
    config = BoxAugmentationConfig(policy="medium", contrast=1.0, scale=(0.5, 0.5))
    augment = tf.function(BoxAugmenter(config.resolve(), SIZE).augment, autograph=False)
    colours = []
    for key in compute_keys(0, 0, np.arange(12)):
        image, placed = augment(grey, tf.constant([[0.0, 0.0, 100.0, 40.0]]), tf.constant(key))
        left, top, right, bottom = placed.boxes.numpy()[0].round().astype(int)
        inside = image.numpy()[top + 1 : bottom - 1, left + 1 : right - 1]
        colours.append(inside.mean(axis=(0, 1)))
        outside = image.numpy().copy()
        outside[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = 0
        assert outside.max() == 0.0
    assert np.std(colours, axis=0).min() > 3.0


def save(image: np.ndarray, format: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format)
    return buffer.getvalue()


def augment_all(keys: np.ndarray, order: np.ndarray, threads: int) -> list[np.ndarray]:
    """Three batches of files through a tf.data pipeline, sorted as the keys are."""
    augmenter = build_box_augmenter(BoxAugmentationConfig(rotate_90=True), SIZE)
    rng = np.random.default_rng(0)
    files = np.array(
        [save(rng.integers(0, 256, (50 + 9 * i, 70, 3)).astype(np.uint8), "PNG") for i in range(len(keys))],
        object,
    )
    boxes = rng.uniform(0, 35, (len(keys), 4, 4)).astype(np.float32)
    boxes[..., 2:] += boxes[..., :2]
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    dataset = tf.data.Dataset.from_tensor_slices((files[order], boxes[order], keys[order])).batch(4)
    dataset = dataset.map(augmenter.decode_and_augment, num_parallel_calls=threads).with_options(options)
    batches = [tf.nest.flatten(batch) for batch in dataset]
    return [np.concatenate(parts)[np.argsort(order)] for parts in zip(*batches, strict=True)]


def test_pixels_and_boxes_are_the_same_whatever_the_threads_and_the_order():
    keys = compute_keys(7, 3, np.arange(12))
    once = augment_all(keys, np.arange(12), 1)
    again = augment_all(keys, np.random.default_rng(1).permutation(12), 8)
    assert once[0].shape == (12, *SIZE, 3)
    for one, other in zip(once, again, strict=True):
        np.testing.assert_array_equal(one, other)
    elsewhere = augment_all(compute_keys(7, 4, np.arange(12)), np.arange(12), 2)
    assert (np.abs(elsewhere[0] - once[0]).mean(axis=(1, 2, 3)) > 1.0).all()


def test_large_files_are_decoded_smaller_and_their_boxes_follow():
    augmenter = BoxAugmenter(AUGMENTATIONS["all"], SIZE)
    files = tf.constant([save(draw_picture(factor), "JPEG") for factor in (1, 8, 20)])
    boxes = tf.constant(np.stack([BOXES, BOXES * 8, BOXES * 20]))
    vary = tf.function(augmenter.decode_and_augment, autograph=False)
    for epoch in range(6):
        images, placed = vary(files, boxes, tf.constant(compute_keys(0, epoch, np.arange(3))))
        for number in range(3):
            check_against_picture(images.numpy()[number], PlacedBoxes(*(part[number] for part in placed)))


def test_nothing_done_is_what_evaluation_sees_but_for_the_place():
    # 80 × 100 pixels scaled to 90 high and 112.5 wide: only the place from left to right is drawn
    data = tf.constant([save(draw_picture(), "PNG")])
    images, letterbox = build_letterbox_decoder(SIZE)(data)
    boxes = move_to_input(tf.constant(BOXES[None]), letterbox)
    check_against_picture(images.numpy()[0], PlacedBoxes(*(part[0] for part in place_boxes(boxes))))
    _, placed = BoxAugmenter(BoxAugmentation(), SIZE).augment(draw_picture(), BOXES, tf.constant([1, 2]))
    shift = placed.boxes.numpy() - boxes.numpy()[0]
    np.testing.assert_allclose(shift[:, [1, 3]], 0.0, atol=1e-3)
    np.testing.assert_allclose(shift[:, [0, 2]], shift[0, 0], atol=1e-3)


def test_a_given_key_replaces_what_the_policy_says():
    medium = BoxAugmentationConfig().resolve()
    assert medium == BoxAugmentation(True, False, False, (0.6, 1.4), 0.4, 0.2, 0.2, 0.3, 0.02)
    assert BoxAugmentationConfig(flip=False, rotate_90=True).resolve() == medium._replace(
        flip=False, rotate_90=True
    )
    nothing = BoxAugmentationConfig(policy="none", min_visibility=0.2).resolve()
    assert nothing == BoxAugmentation(min_visibility=0.2)
    assert BoxAugmenter(nothing, SIZE).is_identity
    assert not BoxAugmenter(nothing._replace(flip_vertical=True), SIZE).is_identity


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": [1.4, 0.6]},
        {"scale": [0.0, 1.0]},
        {"scale": [1.0, 11.0]},
        {"min_visibility": 1.5},
        {"crop": [0.5, 1]},
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(pydantic.ValidationError):
        BoxAugmentationConfig(**wrong)


def test_the_fingerprint_tells_what_changes_pixels_or_boxes():
    augmentation = BoxAugmentationConfig().resolve()
    others = [augmentation._replace(scale=(0.6, 1.5)), augmentation._replace(min_visibility=0.5)]
    prints = {BoxAugmenter(one, SIZE).fingerprint for one in (augmentation, *others)}
    assert len(prints | {BoxAugmenter(augmentation, (120, 90)).fingerprint}) == 4
    assert BoxAugmenter(augmentation, SIZE).fingerprint in prints
