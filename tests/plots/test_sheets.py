"""Contact sheets and drawn labels: every picture is there, nothing is covered, any text fits."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from kerasft.plots import sheets
from kerasft.plots.style import GREEN, VERMILION, figure_to_png


def make_pictures(*sizes: tuple[int, int]) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (height, width, 3)).astype(np.uint8) for height, width in sizes]


def test_a_sheet_holds_every_picture_and_title():
    pictures = make_pictures((20, 30), (30, 20), (8, 8), (100, 10), (16, 16), (16, 16), (16, 16))
    titles = [f"rose → tulip\n{place} %" for place in range(7)]
    figure = sheets.build_picture_sheet(pictures, titles, columns=3, heading="Worst mistakes")
    assert len(figure.axes) == 7
    for axes, picture in zip(figure.axes, pictures, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), picture)
    assert [text.get_text() for text in figure.texts] == ["Worst mistakes", *titles]
    image = Image.open(io.BytesIO(figure_to_png(figure)))
    assert image.width < image.height


@pytest.mark.parametrize("count", [0, 1, 5, 13])
def test_pictures_keep_their_proportions_and_nothing_overlaps(count):
    pictures = make_pictures(*[(20, 10 + 3 * place) for place in range(count)])
    figure = sheets.build_picture_sheet(pictures, ["a long title\n" * 3] * count, columns=4)
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [part.get_window_extent(renderer) for part in [*figure.axes, *figure.texts]]
    for place, box in enumerate(boxes):
        assert min(box.x0, box.y0) >= 0.0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:place])
    for axes, picture in zip(figure.axes, pictures, strict=True):
        box = axes.get_window_extent(renderer)
        assert box.width / box.height == pytest.approx(picture.shape[1] / picture.shape[0], rel=1e-3)


def test_wrong_ones_have_a_frame_of_the_colour_asked_for():
    pictures = make_pictures((9, 9), (9, 9), (9, 9))
    figure = sheets.build_picture_sheet(pictures, "abc", colours=[VERMILION, None, GREEN])
    assert [len(axes.patches) for axes in figure.axes] == [1, 0, 1]
    image = np.asarray(Image.open(io.BytesIO(figure_to_png(figure))).convert("RGB"))
    assert (image == [0xD5, 0x5E, 0x00]).all(axis=-1).sum() > 200


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="2 pictures, 1 titles, 2 colours"):
        sheets.build_picture_sheet(make_pictures((9, 9), (9, 9)), ["a"])


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (40, 300), (300, 40), (500, 400), (2400, 3000)])
@pytest.mark.parametrize("text", ["tulip", "a label much longer than the picture is wide " * 3, "", "$x^2"])
@pytest.mark.parametrize("detail", ["", "97\u202f%"])
def test_a_drawn_label_covers_nothing_and_can_be_read(size, text, detail):
    (picture,) = make_pictures(size)
    labelled = np.asarray(sheets.draw_label(picture, text, detail))
    height, width = labelled.shape[0] - size[0], labelled.shape[1]
    assert height >= 20
    assert width >= size[1]
    left = (width - size[1]) // 2
    np.testing.assert_array_equal(labelled[: size[0], left : left + size[1]], picture)
    bar = labelled[size[0] :].astype(int).sum(axis=-1)
    assert bar.max() > 450
    # letters stay clear of the bar's edges
    assert np.unique(bar[[0, -1]]).size == 1
    assert np.unique(bar[:, [0, -1]]).size == 1


def test_a_long_label_is_cut_and_its_probability_is_not():
    def read_bar(text, detail, width):
        return [
            part.get_text() for part in sheets._build_bar(text, detail, width, 20.0, "black", "white").texts
        ]

    assert read_bar("sunflower", "97 %", 400) == ["sunflower", "97 %"]
    name, detail = read_bar("sunflower " * 9, "97 %", 400)
    assert name.startswith("sunflower")
    assert name.endswith("…")
    assert detail == "97 %"
    assert read_bar("", "", 10) == ["∅", ""]


def test_pictures_of_any_kind_can_be_drawn_on():
    grey = np.linspace(-5.0, 260.0, 100).reshape(10, 10)
    expected = np.clip(np.round(grey), 0, 255).astype(np.uint8)
    assert (np.asarray(sheets.to_picture(grey))[..., 1] == expected).all()
    assert sheets.to_picture(grey[..., None]).size == (10, 10)
    assert sheets.draw_label(Image.new("CMYK", (50, 50)), "a").mode == "RGB"


def test_characters_without_a_font_are_named_once():
    assert sheets.find_missing_glyphs("tulip 97 % → ä Ж\u202f\u200d\n") == ""
    # two places where no character will ever be
    assert sheets.find_missing_glyphs("a\U000fffff b\U0010fffe\U000fffff") == "\U000fffff\U0010fffe"


def test_a_character_that_only_another_font_has_is_drawn_with_it(recwarn):
    script_a = "\U0001d49c"  # in STIX, which comes with matplotlib, and not in DejaVu Sans
    assert sheets.find_missing_glyphs(script_a) == ""
    assert any(name.startswith("STIX") for name in sheets._find_families(script_a))
    picture = Image.new("RGB", (200, 100))
    drawn, box = (np.asarray(sheets.draw_label(picture, text)) for text in (script_a, "\U000fffff"))
    assert not np.array_equal(drawn, box)
    assert not recwarn.list
