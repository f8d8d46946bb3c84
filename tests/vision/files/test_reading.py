"""Picture files: what is read, what it becomes, what is refused and why, and how much memory that takes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import picture_makers
import pytest
import tensorflow as tf
from picture_makers import (
    BAD_FILES,
    chunk,
    cut,
    draw_scene,
    drop_segment,
    make_deep_png,
    make_exif,
    make_interlaced_png,
    make_png,
    make_text_bomb,
    save,
    save_animated,
)
from PIL import Image, ImageOps

from kerasft.vision.files.jpeg import ADOBE
from kerasft.vision.files.reading import check_picture, read_picture
from kerasft.vision.pictures import InvalidPicture, Picture


def decode(picture: Picture, channels: int = 3) -> np.ndarray:
    """What TensorFlow makes of it."""
    decoder = tf.io.decode_jpeg if picture.format == "jpeg" else tf.io.decode_png
    return decoder(picture.data, channels=channels).numpy()


def show(data: bytes, mode: str = "RGB") -> np.ndarray:
    """What Pillow makes of a file."""
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode))


def measure_difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(float) - second).max())


@pytest.mark.parametrize(("make", "reason"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused_with_its_reason(make, reason):
    with pytest.raises(InvalidPicture) as caught:
        check_picture(make(), "picture.jpg")
    assert caught.value.reason == reason
    assert reason == "empty file" or caught.value.detail


JPEGS = {
    "plain": lambda: save(draw_scene(1), "JPEG"),
    "grey": lambda: save(draw_scene(1).convert("L"), "JPEG"),
    "progressive": lambda: save(draw_scene(1), "JPEG", progressive=True),
    "with restarts": lambda: save(draw_scene(1), "JPEG", restart_marker_rows=1),
    "CMYK": lambda: save(draw_scene(1).convert("CMYK"), "JPEG"),
    "of one grey": lambda: save(Image.new("RGB", (64, 64), (128, 128, 128)), "JPEG"),
    "of one colour": lambda: save(Image.new("RGB", (64, 64), (255, 255, 255)), "JPEG"),
    "of odd sides": lambda: save(draw_scene(1, 161, 117), "JPEG", subsampling=2),
    "with bytes behind it": lambda: save(draw_scene(1), "JPEG") + b"more" * 99,
    "with another behind it": lambda: save(draw_scene(1), "JPEG") + save(draw_scene(2), "JPEG"),
}


@pytest.mark.parametrize("make", JPEGS.values(), ids=JPEGS.keys())
def test_a_jpeg_is_kept_and_decodes_as_it_should(make):
    data = make()
    picture = check_picture(data, "picture.jpg")
    assert picture.data is data
    assert (picture.format, picture.converted, picture.misnamed) == ("jpeg", None, None)
    expected = show(data)
    assert (picture.height, picture.width, 3) == expected.shape
    assert measure_difference(decode(picture), expected) <= 8


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("side", [57, 64, 65])
def test_a_jpeg_with_much_in_its_last_block_is_accepted(side, subsampling):
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    data = save(Image.fromarray(noise), "JPEG", quality=100, subsampling=subsampling)
    assert check_picture(data, "a.jpg").data is data


def test_a_cmyk_jpeg_without_adobes_mark_gets_one():
    data = drop_segment(save(draw_scene(1).convert("CMYK"), "JPEG"), b"\xff\xee")
    picture = check_picture(data, "picture.jpg")
    assert (picture.format, picture.converted) == ("jpeg", "CMYK without Adobe's mark")
    assert picture.data == data[:2] + ADOBE + data[2:]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_the_one_after_rotation(orientation, order):
    data = save(draw_scene(1, 64, 48), "JPEG", exif=make_exif(orientation, order))
    picture = check_picture(data, "picture.jpg")
    assert picture.data is data
    assert (picture.width, picture.height) == ((64, 48) if orientation < 5 else (48, 64))
    assert picture.orientation == orientation == Image.open(io.BytesIO(data)).getexif()[0x0112]


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", make_exif(9), make_exif(0)])
def test_an_orientation_that_makes_no_sense_is_none(exif):
    picture = check_picture(save(draw_scene(1), "JPEG", exif=exif), "picture.jpg")
    assert picture.orientation == 1


def _with_alpha() -> Image.Image:
    image = draw_scene(1).convert("RGBA")
    image.putalpha(draw_scene(2).convert("L"))
    return image


KEPT_PNGS = {
    "colour": lambda: save(draw_scene(1), "PNG"),
    "grey": lambda: save(draw_scene(1).convert("L"), "PNG"),
    "alpha": lambda: save(_with_alpha(), "PNG"),
    "grey with alpha": lambda: save(_with_alpha().convert("LA"), "PNG"),
    "palette": lambda: save(draw_scene(1).quantize(200), "PNG"),
    "palette with alpha": lambda: save(draw_scene(1).quantize(200), "PNG", transparency=3),
    "interlaced": lambda: make_interlaced_png(draw_scene(1, 61, 43)),
    "16 bits": lambda: make_deep_png(draw_scene(1)),
    "with bytes behind it": lambda: save(draw_scene(1), "PNG") + b"more" * 99,
}


@pytest.mark.parametrize("make", KEPT_PNGS.values(), ids=KEPT_PNGS.keys())
def test_a_png_is_kept_and_decodes_as_it_should(make):
    data = make()
    picture = check_picture(data, "picture.png")
    assert picture.data is data
    assert (picture.format, picture.converted, picture.orientation) == ("png", None, 1)
    assert np.array_equal(decode(picture, 4), show(data, "RGBA"))


def test_16_bits_of_grey_keep_their_upper_half():
    values = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    picture = check_picture(save(Image.fromarray(values), "PNG"), "picture.png")
    assert np.array_equal(decode(picture, 1)[..., 0], values >> 8)


CONVERTED = {
    "1 bit": (lambda: save(draw_scene(1).convert("1"), "PNG"), "PNG of 1 bits a channel"),
    "palette of 4 bits": (lambda: save(draw_scene(1).quantize(16), "PNG", bits=4), "PNG of 4 bits a channel"),
    "GIF": (lambda: save(draw_scene(1), "GIF"), "GIF"),
    "GIF with alpha": (lambda: save(draw_scene(1).quantize(99), "GIF", transparency=5), "GIF"),
    "BMP": (lambda: save(draw_scene(1), "BMP"), "BMP"),
    "grey BMP": (lambda: save(draw_scene(1).convert("L"), "BMP"), "BMP"),
    "WebP": (lambda: save(draw_scene(1), "WEBP"), "WebP"),
    "WebP with alpha": (lambda: save(_with_alpha(), "WEBP", lossless=True), "WebP"),
    "animated GIF": (lambda: save_animated("GIF"), "GIF, first frame"),
    "animated WebP": (lambda: save_animated("WEBP"), "WebP, first frame"),
    "animated PNG": (lambda: save_animated("PNG"), "animated PNG, first frame"),
}


@pytest.mark.parametrize(("make", "why"), CONVERTED.values(), ids=CONVERTED.keys())
def test_other_kinds_become_png_without_loss(make, why):
    data = make()
    picture = check_picture(data, "picture")
    assert (picture.format, picture.converted) == ("png", why)
    expected = show(data, "RGBA")
    assert (picture.height, picture.width, 4) == expected.shape
    assert np.array_equal(decode(picture, 4), expected)


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_rotated_picture_of_other_kinds_is_turned(kind, orientation):
    scene = draw_scene(1, 64, 48)
    data = save(scene, kind, exif=make_exif(orientation), lossless=True)
    upright = save(scene, "JPEG", exif=make_exif(orientation), quality=95)
    jpeg = check_picture(upright, "picture.jpg")
    picture = check_picture(data, "picture")
    assert (picture.width, picture.height, picture.orientation) == (jpeg.width, jpeg.height, 1)
    turned = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert np.array_equal(decode(picture), turned)


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("PNG", "a.jpg", "PNG named .jpg"),
        ("JPEG", "a.PNG", "JPEG named .png"),
        ("WEBP", "a.jpeg", "WebP named .jpeg"),
        ("JPEG", "a.JPG", None),
        ("JPEG", "a.jpe", None),
        ("JPEG", "no ending", None),
        ("PNG", "a.data", None),
    ],
)
def test_a_wrong_name_is_told(kind, name, told):
    assert check_picture(save(draw_scene(1), kind), name).misnamed == told


def test_a_damaged_preview_or_comment_is_nobodys_concern():
    jpeg = save(draw_scene(1), "JPEG", exif=make_exif(1), comment=b"x" * 99)
    at = jpeg.index(b"xxx")
    damaged = jpeg[:at] + b"\0\xff\xda" + jpeg[at + 3 :]
    assert check_picture(damaged, "a.jpg").data is damaged


def test_long_texts_of_a_png_are_left_out():
    data = make_text_bomb()
    picture = check_picture(data, "a.png")
    assert len(picture.data) < 200 < len(data)
    assert picture.converted == "PNG without texts of over 1 MiB"
    assert decode(picture).shape == (16, 16, 3)


def test_a_damaged_second_frame_does_not_matter():
    whole = save_animated("GIF", 4)
    picture = check_picture(cut(whole, 0.8), "a.gif")
    assert picture.converted == "GIF, first frame"
    assert picture.data == check_picture(whole, "a.gif").data


def test_unknown_parts_of_a_png_are_allowed_where_they_may_be_skipped():
    rows = (b"\0" + bytes(48)) * 16
    assert check_picture(make_png(16, 16, rows, before=chunk(b"abCd", b"1")), "a.png").converted is None
    with pytest.raises(InvalidPicture, match="ABCD"):
        check_picture(make_png(16, 16, rows, before=chunk(b"ABCD", b"1")), "a.png")


def test_whatever_is_accepted_tensorflow_decodes():
    """Files with a random change somewhere."""
    random = np.random.default_rng(0)
    scene = draw_scene(5, 48, 40)
    whole = [
        save(scene, "JPEG"),
        save(scene, "JPEG", progressive=True),
        save(scene, "PNG"),
        save(scene, "GIF"),
    ]
    accepted = 0
    for i in range(400):
        data = bytearray(whole[i % len(whole)])
        data[random.integers(len(data))] ^= 1 << random.integers(8)
        try:
            picture = check_picture(bytes(data), "a")
        except InvalidPicture:
            continue
        pixels = decode(picture)
        if picture.orientation < 5:
            assert pixels.shape == (picture.height, picture.width, 3)
        accepted += 1
    assert 40 < accepted < 360


def test_a_file_is_read(tmp_path: Path):
    path = tmp_path / "a.jpg"
    path.write_bytes(save(draw_scene(1), "JPEG"))
    assert read_picture(path) == check_picture(path.read_bytes(), "a.jpg")


def _make_folder(path: Path) -> None:
    path.mkdir()


def _make_link(path: Path) -> None:
    target = path.with_name("target.jpg")
    target.write_bytes(save(draw_scene(1), "JPEG"))
    path.symlink_to(target)


@pytest.mark.parametrize(
    ("make", "reason", "detail"),
    [
        (_make_folder, "not a plain file", "a folder"),
        (_make_link, "not a plain file", "a link"),
        (os.mkfifo, "not a plain file", "a pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "not a plain file", "a link"),
        (lambda path: None, "missing file", "there is no such file"),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 1 << 30), "too large", None),
    ],
    ids=["folder", "link", "pipe", "link to a device", "nothing", "huge"],
)
def test_what_is_no_plain_file_is_refused(make, reason, detail, tmp_path: Path):
    path = tmp_path / "a.jpg"
    make(path)
    with pytest.raises(InvalidPicture) as caught:
        read_picture(path)
    assert caught.value.reason == reason
    assert detail in (caught.value.detail, None)


def test_a_device_is_refused():
    with pytest.raises(InvalidPicture, match="a device"):
        read_picture(Path("/dev/zero"), follow_links=True)


def test_a_link_is_followed_where_that_is_asked_for(tmp_path: Path):
    path = tmp_path / "a.jpg"
    _make_link(path)
    assert read_picture(path, follow_links=True).width == 160


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(InvalidPicture) as caught:
        read_picture(path)
    assert caught.value.reason == "unreadable file"


def test_threads_do_not_disturb_each_other():
    files = [save(draw_scene(i, 64, 48), kind) for i in range(8) for kind in ("JPEG", "PNG", "GIF", "WEBP")]
    expected = [check_picture(data, "a") for data in files]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(check_picture, files * 4, ["a"] * len(files) * 4)) == expected * 4


MEASURE = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import picture_makers
from kerasft.vision.files.reading import InvalidPicture, check_picture
check_picture(picture_makers.save(picture_makers.draw_scene(1), "WEBP"), "a")
for name in sys.argv[2:]:
    data = sys.stdin.buffer.read(int(name))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        check_picture(data, "a")
    except InvalidPicture:
        pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_bombs_take_no_memory():
    bombs = [
        picture_makers.make_png_bomb(),
        picture_makers.make_gif_bomb(),
        picture_makers.make_webp_bomb(),
        picture_makers.make_bmp_bomb(),
        picture_makers.set_jpeg_size(save(draw_scene(1), "JPEG"), 50_000, 50_000),
        picture_makers.set_jpeg_size(save(draw_scene(1), "JPEG"), 8_000, 8_000),
        picture_makers.make_row_bomb(),
        picture_makers.make_text_bomb(),
    ]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(Path(__file__).parents[1]), *(str(len(bomb)) for bomb in bombs)],
        input=b"".join(bombs),
        capture_output=True,
        check=True,
    )
    kilobytes = [int(line) for line in done.stdout.split()]
    scale = 1 if sys.platform == "linux" else 1024
    assert len(kilobytes) == len(bombs)
    assert max(kilobytes) / scale < 20_000, kilobytes
