"""Boxes on pictures: each is where it should be, in its class's colour, and names cover nothing."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from kerasft.plots import box_canvas
from kerasft.plots.box_canvas import ShownBox, assign_colours
from kerasft.plots.boxes import (
    build_box_sheet,
    build_gold_sheet,
    describe_counts,
    draw_boxes,
    draw_gold_beside,
)
from kerasft.plots.colours import choose_class_colours, choose_text_colour, to_oklab
from kerasft.plots.style import INK, PALETTE, PAPER, figure_to_png

NAMES = ("cell", "nucleus", "other")


def make_picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def find_colour(image: Image.Image, colour: str) -> np.ndarray:
    """bool (height, width): where a picture has exactly this colour."""
    return (np.asarray(image) == np.round(255 * np.array(to_rgb(colour)))).all(axis=-1)


def find_extent(marks: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(marks.any(axis=1)), np.flatnonzero(marks.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


def test_a_box_is_drawn_along_its_sides_in_its_classes_colour():
    image = draw_boxes(
        make_picture(600, 800), [ShownBox(100, 50, 400, 333, "nucleus")], NAMES, named=False, legend=False
    )
    assert image.size == (800, 600)
    marks = find_colour(image, assign_colours(NAMES)["nucleus"])
    assert find_extent(marks) == [100, 50, 400, 333]
    assert marks[50:53, 100:400].all()
    assert not marks[60:320, 110:390].any()
    assert find_colour(image, INK)[49, 99:401].all()


def test_only_what_boxes_names_and_legend_need_is_changed():
    picture = make_picture(500, 640)
    boxes = [ShownBox(100, 150, 200, 250, "cell", 0.9), ShownBox(400, 300, 460, 380, "other", 0.4)]
    image = np.asarray(draw_boxes(picture, boxes, NAMES))
    assert image.shape[1] == 640
    changed = (image[:500] != picture).any(axis=-1)
    assert 0.005 < changed.mean() < 0.05
    assert not changed[:120].any()
    legend = image[500:]
    assert find_colour(Image.fromarray(legend), PAPER).mean() > 0.5


def test_a_small_picture_is_enlarged_and_its_boxes_with_it():
    picture = make_picture(40, 50)
    image = draw_boxes(picture, [ShownBox(10, 5, 30, 25, "cell")], NAMES, named=False, legend=False)
    assert image.size == (500, 400)
    assert find_extent(find_colour(image, PALETTE[0])) == [100, 50, 300, 250]
    np.testing.assert_array_equal(np.asarray(image)[::10, ::10][30:], picture[30:])


def test_boxes_follow_a_picture_that_was_reduced():
    whole = [ShownBox(200, 100, 800, 666, "cell")]
    image = draw_boxes(make_picture(600, 800), whole, NAMES, named=False, legend=False, scale=0.5)
    assert find_extent(find_colour(image, PALETTE[0])) == [100, 50, 400, 333]


def test_boxes_beyond_the_picture_are_drawn_along_its_edge():
    boxes = [ShownBox(-50, -20, 4000, 3000, "cell"), ShownBox(900, 900, 950, 950, "other")]
    image = draw_boxes(make_picture(300, 400), boxes, NAMES, named=False, legend=False)
    assert image.size == (400, 300)
    assert find_extent(find_colour(image, PALETTE[0])) == [0, 0, 400, 300]


def collect_names(monkeypatch, picture: np.ndarray, boxes: list[ShownBox], names=NAMES) -> list[str]:
    written = []
    write = box_canvas.write_text
    monkeypatch.setattr(box_canvas, "write_text", lambda draw, place, text, *rest: written.append(text))
    draw_boxes(picture, boxes, names, legend=False)
    monkeypatch.setattr(box_canvas, "write_text", write)
    return written


def test_names_and_scores_are_written_where_there_is_room(monkeypatch):
    boxes = [ShownBox(50, 50, 250, 250, "cell", 0.934), ShownBox(300, 100, 420, 220, "other")]
    assert collect_names(monkeypatch, make_picture(480, 640), boxes) == ["cell 0.93", "other"]


def test_where_boxes_lie_on_one_another_names_are_shortened_or_left_out(monkeypatch):
    boxes = [ShownBox(100 + n, 100 + n, 160 + n, 160 + n, "nucleus", 1 - n / 50) for n in range(40)]
    written = collect_names(monkeypatch, make_picture(300, 300), boxes)
    assert written[0] == "nucleus 1.00"
    assert len(written) < 40


def test_names_of_crowded_boxes_do_not_lie_on_one_another(monkeypatch):
    random = np.random.default_rng(3)
    corners = random.uniform(0, 900, (80, 2))
    boxes = [
        ShownBox(x, y, x + 60, y + 60, NAMES[n % 3], float(random.random()))
        for n, (x, y) in enumerate(corners)
    ]
    grounds = []
    find_place = box_canvas.BoxCanvas._find_place

    def keep(self, *arguments):
        found = find_place(self, *arguments)
        grounds.extend([found] if found is not None else [])
        return found

    monkeypatch.setattr(box_canvas.BoxCanvas, "_find_place", keep)
    draw_boxes(make_picture(1000, 1000), boxes, NAMES)
    assert len(grounds) > 40
    for place, one in enumerate(grounds):
        assert one.left >= 0
        assert one.right <= 1000
        assert all(one.cross(other) <= 0.13 * one.area for other in grounds[:place])


def test_what_is_wrong_is_filled_and_what_does_not_count_is_dashed():
    grey = np.full((400, 600, 3), 200, np.uint8)
    boxes = [
        ShownBox(50, 50, 250, 350, "cell"),
        ShownBox(300, 50, 400, 350, "cell", filled=True),
        ShownBox(450, 50, 580, 350, "cell", dashed=True),
    ]
    image = draw_boxes(grey, boxes, NAMES, named=False, legend=False)
    pixels = np.asarray(image)
    assert pixels[200, 150].tolist() == [200, 200, 200]
    assert pixels[200, 350].tolist() != [200, 200, 200]
    marks = find_colour(image, PALETTE[0])
    solid, dashed = marks[50, 50:250].mean(), marks[50, 450:580].mean()
    assert solid == 1.0
    assert 0.3 < dashed < 0.8


@pytest.mark.parametrize("size", [(8, 8), (20, 900), (700, 15), (2400, 3200)])
@pytest.mark.parametrize("count", [0, 1, 60])
def test_any_size_and_any_number_can_be_drawn(size, count):
    height, width = size
    boxes = [
        ShownBox(0, 0, width / (n + 1), height / (n + 1), "a long name of a class ( 猫 )" * 3, 0.5)
        for n in range(count)
    ]
    picture = make_picture(*size)
    image = draw_boxes(picture, boxes, ("a long name of a class ( 猫 )" * 3, *NAMES))
    assert image.width >= width
    assert image.height > height
    pair = draw_gold_beside(picture, boxes, boxes[:1], NAMES)
    assert pair.width >= 2 * width


def test_a_picture_without_boxes_says_so():
    blank = np.asarray(draw_boxes(make_picture(300, 300), [], NAMES))[300:]
    assert (blank.min(axis=-1) < 100).sum() > 30
    assert describe_counts([], NAMES) == "no boxes"


def test_counts_are_told_in_the_classes_order():
    boxes = [ShownBox(0, 0, 1, 1, name) for name in ("other", "cell", "other", "stranger")]
    assert describe_counts(boxes, NAMES) == "cell 1, other 2, stranger 1"


def test_gold_stands_on_the_left_and_answers_on_the_right():
    picture = np.full((400, 600, 3), 255, np.uint8)
    gold, found = [ShownBox(100, 100, 200, 300, "cell")], [ShownBox(300, 50, 500, 350, "other", 0.5)]
    image = draw_gold_beside(picture, gold, found, NAMES, named=False)
    top = image.height - 400
    left = find_colour(image, PALETTE[0])[:400]
    right = find_colour(image, PALETTE[2])[:400]
    assert find_extent(left)[0] == 100
    assert find_extent(right)[0] == image.width - 600 + 300
    assert find_extent(left)[1] - find_extent(right)[1] == 50
    assert 0 < top < 100


def test_a_sheet_has_every_picture_and_a_legend_of_the_classes_in_it():
    pictures = [make_picture(60, 80), make_picture(90, 40), make_picture(700, 700)]
    boxes = [[ShownBox(5, 5, 30, 30, "cell")], [], [ShownBox(5, 5, 300, 300, "other", dashed=True)]]
    figure = build_box_sheet(pictures, boxes, ["one", "two", "three"], NAMES, heading="Varied")
    assert len(figure.axes) == 3
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["cell", "other"]
    assert [patch.get_facecolor()[:3] for patch in legend.get_patches()] == [
        to_rgb(PALETTE[0]),
        to_rgb(PALETTE[2]),
    ]
    image = Image.open(io.BytesIO(figure_to_png(figure)))
    assert image.width > image.height
    pairs = [draw_gold_beside(picture, its, its, NAMES) for picture, its in zip(pictures, boxes, strict=True)]
    assert len(build_gold_sheet(pairs, ["one", "two", "three"]).axes) == 3


def test_class_colours_can_be_told_apart_and_keep_when_classes_are_added():
    colours = choose_class_colours(80)
    assert colours[:6] == PALETTE
    assert choose_class_colours(12) == colours[:12]
    assert len(set(colours)) == 80
    places = to_oklab(np.array([to_rgb(colour) for colour in colours]))
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1) + 9 * np.eye(80)
    assert distances[:20, :20].min() > 0.1
    assert distances.min() > 0.05
    assert len(choose_class_colours(5000)) == 5000


def test_oklab_is_as_published():
    # the reference's own values for white, red and blue
    found = to_oklab(np.array([[1.0, 1, 1], [1, 0, 0], [0, 0, 1]]))
    np.testing.assert_allclose(
        found, [[1.0, 0.0, 0.0], [0.628, 0.2249, 0.1258], [0.452, -0.0325, -0.3115]], atol=1e-3
    )


@pytest.mark.parametrize("colour", choose_class_colours(40))
def test_letters_can_be_read_on_every_colour(colour):
    def luminance(name: str) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(name)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted([luminance(colour), luminance(choose_text_colour(colour))])
    assert (lighter + 0.05) / (darker + 0.05) > 3.5
