"""Copies of pictures with answers on them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kerasft.errors import ConfigError
from kerasft.plots.drawn_copies import LONGEST_PX, DrawnCopies
from kerasft.plots.pictures import get_scale
from kerasft.plots.sheets import draw_label

ANSWER = {"label": "teal", "probabilities": {"teal": 0.987, "red": 0.013}}


def put_below(picture: Image.Image, answer: Mapping[str, Any]) -> Image.Image:
    return draw_label(picture, answer["label"])


def draw(width: int = 120, height: int = 80) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, "PNG")
    return file.getvalue()


def test_a_copy_is_the_picture_and_a_bar_below_it(tmp_path: Path) -> None:
    copies = DrawnCopies(tmp_path / "deep" / "out", ["in/a.png"])
    path = copies.write("in/a.png", draw(), ANSWER, put_below)
    assert path == tmp_path / "deep" / "out" / "a.png"
    copy = Image.open(path)
    assert copy.width == 120
    assert copy.height > 90
    np.testing.assert_array_equal(np.asarray(copy)[:80], np.asarray(Image.open(io.BytesIO(draw()))))


def test_a_large_picture_is_bounded(tmp_path: Path) -> None:
    copies = DrawnCopies(tmp_path, ["in/a.jpg"])
    assert Image.open(copies.write("in/a.jpg", draw(4000, 900), ANSWER, put_below)).width == LONGEST_PX


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(3200, 900), (400, 6400), (800, 600)])
def test_who_draws_learns_how_far_the_picture_was_reduced(
    tmp_path: Path, format: str, size: tuple[int, int]
) -> None:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, format)
    scales = []

    def keep(picture: Image.Image, answer: Mapping[str, Any]) -> Image.Image:
        scales.append(get_scale(picture))
        return picture

    DrawnCopies(tmp_path, ["in/a.jpg"]).write("in/a.jpg", file.getvalue(), ANSWER, keep)
    assert scales == [pytest.approx(min(1.0, LONGEST_PX / max(size)), rel=1e-3)]


@pytest.mark.parametrize(
    ("name", "written", "format"),
    [
        ("a.jpg", "a.jpg", "JPEG"),
        ("a.JPEG", "a.JPEG", "JPEG"),
        ("a.webp", "a.webp", "WEBP"),
        ("a.gif", "a.gif.png", "PNG"),
        ("a", "a.png", "PNG"),
    ],
)
def test_a_copy_has_its_sources_name_and_format(tmp_path: Path, name: str, written: str, format: str) -> None:
    path = DrawnCopies(tmp_path, [f"in/{name}"]).write(f"in/{name}", draw(), ANSWER, put_below)
    assert path.name == written
    assert Image.open(path).format == format


def test_sources_of_one_name_do_not_write_over_each_other(tmp_path: Path) -> None:
    sources = ["a/x.png", "b/x.png", "b/X.png", "a/x.png"]
    copies = DrawnCopies(tmp_path, sources)
    names = [copies.write(source, draw(), ANSWER, put_below).name for source in sources]
    assert names == ["x.png", "x (2).png", "X (3).png", "x.png"]


def test_a_folder_that_holds_a_source_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "in" / "a.png"
    source.parent.mkdir()
    source.write_bytes(draw())
    (tmp_path / "link").symlink_to(source.parent)
    for folder in (source.parent, tmp_path / "link", tmp_path / "in" / ".." / "in"):
        with pytest.raises(ConfigError, match=r"a\.png is in that folder"):
            DrawnCopies(folder, ["elsewhere/b.png", str(source)])
    DrawnCopies(source.parent / "out", [str(source)])


def test_other_files_and_changed_copies_are_not_written_over(tmp_path: Path) -> None:
    copy = DrawnCopies(tmp_path, ["in/a.png"]).write("in/a.png", draw(), ANSWER, put_below)
    DrawnCopies(tmp_path, ["in/a.png"]).write("in/a.png", draw(60), ANSWER, put_below)
    DrawnCopies(tmp_path, ["in/a.png"]).write("in/a.png", draw(), ANSWER, put_below)
    (tmp_path / "mine.png").write_bytes(draw())
    with pytest.raises(ConfigError, match=r"mine\.png was not made by kerasft"):
        DrawnCopies(tmp_path, ["in/a.png", "in/mine.png"])
    copy.write_bytes(draw(40))
    with pytest.raises(ConfigError, match=r"a\.png was not made by kerasft, or was changed"):
        DrawnCopies(tmp_path, ["in/a.png"])


def test_a_copy_whose_writing_was_cut_off_is_written_over_and_so_is_the_one_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DrawnCopies(tmp_path, ["in/a.png"]).write("in/a.png", draw(), ANSWER, put_below)

    class Killed(BaseException):
        pass

    def write_and_die(replace: Callable[[Path, Path], None], is_replaced: bool) -> None:
        def die(source: Path, target: Path) -> None:
            if is_replaced:
                replace(source, target)
            raise Killed

        monkeypatch.setattr(os, "replace", die)
        with pytest.raises(Killed):
            DrawnCopies(tmp_path, ["in/a.png"]).write("in/a.png", draw(60), ANSWER, put_below)
        monkeypatch.undo()

    for is_replaced in (False, True):
        write_and_die(os.replace, is_replaced)
        DrawnCopies(tmp_path, ["in/a.png"])


def test_a_copy_whose_name_is_no_utf_8_is_known_again(tmp_path: Path) -> None:
    for width in (120, 60):
        DrawnCopies(tmp_path, ["in/caf\udce9.png"]).write("in/caf\udce9.png", draw(width), ANSWER, put_below)
    os.truncate(tmp_path / "caf\udce9.png", 10)
    with pytest.raises(ConfigError, match="was changed since"):
        DrawnCopies(tmp_path, ["in/caf\udce9.png"])
