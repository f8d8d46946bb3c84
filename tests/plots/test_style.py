from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kerasft.plots import style


@style.in_house_style
def build_figure(label: str):
    figure = style.new_figure(4.0, 2.0)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], "o-")
    axes.set_title(style.shorten_label(label), parse_math=False)
    return figure


def test_png_has_the_asked_resolution():
    image = Image.open(io.BytesIO(style.figure_to_png(build_figure("a"), dpi=50)))
    assert (image.format, image.size) == ("PNG", (200, 100))


@pytest.mark.parametrize(
    "label", ["配送和物流问题", "الدفع", "שירות", "🎉 ไทย", "<script>&", "$x^2", "a\x00\x1b\ud800b"]
)
def test_labels_of_any_script_are_well_formed_text_in_svg(label, recwarn):
    text = style.figure_to_svg(build_figure(label))
    root = ElementTree.fromstring(text)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert style.shorten_label(label) in texts
    assert "<script" not in text
    assert style.figure_to_png(build_figure(label)).startswith(b"\x89PNG")
    assert not recwarn.list


def test_svg_is_the_same_each_time_and_carries_no_date():
    first = style.figure_to_svg(build_figure("a"))
    assert first == style.figure_to_svg(build_figure("a"))
    assert "metadata" not in first
    assert first.startswith("<svg ")
    assert "width:384px;max-width:100%;min-width:192px" in style.figure_to_svg(
        build_figure("a"), min_scale=0.5
    )


def test_house_style_does_not_leak_nor_depend_on_settings_elsewhere():
    before = style.figure_to_svg(build_figure("a"))
    with matplotlib.rc_context({"font.size": 30.0, "svg.fonttype": "path", "axes.grid": True}):
        assert style.figure_to_svg(build_figure("a")) == before
        assert matplotlib.rcParams["font.size"] == 30.0


@given(st.text(max_size=60), st.integers(4, 30))
def test_short_labels_are_one_line_within_length(text, length):
    short = style.shorten_label(text, length)
    assert 1 <= len(short) <= length
    assert short == " ".join(short.split())
    short.encode("utf-8")


def test_a_label_without_anything_to_show_is_marked():
    assert style.shorten_label(" \n\x00") == "∅"
    assert style.shorten_label("abcdefgh", 5) == "abcd…"
