"""Pictures drawn for tests, and files of them: whole, odd, bad and malicious ones."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def draw_scene(seed: int, width: int = 160, height: int = 120) -> Image.Image:
    """A picture like a photograph: a background that changes slowly, things on it, grain. A seed, a picture."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (random.integers(2, 5), random.integers(2, 5), 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(random.integers(5, 14)):
        x, y = random.integers(0, width), random.integers(0, height)
        across, down = random.integers(width // 12, width // 2), random.integers(height // 12, height // 2)
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        shape = [draw.ellipse, draw.rectangle][random.integers(2)]
        shape(
            (int(x - across // 2), int(y - down // 2), int(x + across // 2), int(y + down // 2)), fill=colour
        )
    image = image.filter(ImageFilter.GaussianBlur(1.5))
    grain = random.normal(0, 5, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def save(image: Image.Image, kind: str, **options) -> bytes:
    """A file's bytes; `kind` is Pillow's name of a format."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def save_animated(kind: str, frames: int = 3) -> bytes:
    first, *others = [draw_scene(i, 64, 48) for i in range(frames)]
    return save(first, kind, save_all=True, append_images=others, duration=100)


def make_exif(orientation: int, order: str = "<", text: str = "") -> bytes:
    """An EXIF block, as `save(…, exif=)` takes it."""
    mark = b"II" if order == "<" else b"MM"
    entries = struct.pack(order + "HHII", 0x010E, 2, 1, 0) if text else b""
    entries += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    count = 2 if text else 1
    return b"Exif\0\0" + mark + struct.pack(order + "HIH", 42, 8, count) + entries + bytes(4)


def chunk(kind: bytes, payload: bytes) -> bytes:
    """A part of a PNG file."""
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def make_png(
    width: int,
    height: int,
    rows: bytes,
    *,
    depth: int = 8,
    color: int = 2,
    interlaced: bool = False,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A PNG file of unpacked rows, each with its filter's byte, and chunks before and after them."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    return (
        SIGNATURE
        + chunk(b"IHDR", header)
        + before
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + after
        + chunk(b"IEND", b"")
    )


def make_interlaced_png(image: Image.Image) -> bytes:
    """Adam7, which Pillow reads and does not write."""
    pixels = np.asarray(image.convert("RGB"))
    rows = b""
    for column, row, across, down in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        rows += b"".join(b"\0" + line.tobytes() for line in pixels[row::down, column::across] if line.size)
    return make_png(image.width, image.height, rows, interlaced=True)


def make_deep_png(image: Image.Image) -> bytes:
    """16 bits a channel, in colour."""
    pixels = np.asarray(image.convert("RGB")).astype(">u2") * 257
    rows = b"".join(b"\0" + line.tobytes() for line in pixels.astype(">u2"))
    return make_png(image.width, image.height, rows, depth=16)


def drop_segment(jpeg: bytes, marker: bytes) -> bytes:
    """A JPEG without its first segment of a kind."""
    start = jpeg.index(marker)
    return jpeg[:start] + jpeg[start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big") :]


def set_jpeg_size(jpeg: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header tells another size."""
    start = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:start] + struct.pack(">HH", height, width) + jpeg[start + 4 :]


def make_png_bomb(side: int = 50_000) -> bytes:
    """A few MB that unpack to gigabytes of black."""
    return make_png(side, side, bytes(100_000))


def make_gif_bomb(side: int = 65_000) -> bytes:
    """A GIF whose canvas would take gigabytes."""
    gif = bytearray(save(draw_scene(1, 32, 32), "GIF"))
    gif[6:10] = struct.pack("<HH", side, side)
    return bytes(gif)


def make_gif_frame_bomb() -> bytes:
    """A GIF whose first frame is larger than its canvas, by far."""
    gif = bytearray(save(draw_scene(1, 32, 32), "GIF"))
    start = gif.index(b"," + bytes(4))
    gif[start + 5 : start + 9] = struct.pack("<HH", 65_000, 65_000)
    return bytes(gif)


def make_webp_bomb(side: int = 16_383) -> bytes:
    """A WebP whose canvas would take gigabytes."""
    webp = bytearray(save(draw_scene(1, 32, 32), "WEBP", exif=make_exif(1)))
    assert webp[12:16] == b"VP8X"
    webp[24:30] = (side - 1).to_bytes(3, "little") * 2
    return bytes(webp)


def make_bmp_bomb(side: int = 50_000) -> bytes:
    bmp = bytearray(save(draw_scene(1, 32, 32), "BMP"))
    bmp[18:26] = struct.pack("<ii", side, side)
    return bytes(bmp)


def make_text_bomb() -> bytes:
    """A small PNG with a text and a colour profile of 200 MB each."""
    packed = zlib.compress(bytes(200_000_000), 9)
    extra = chunk(b"zTXt", b"Comment\0\0" + packed) + chunk(b"iCCP", b"profile\0\0" + packed)
    return make_png(16, 16, (b"\0" + bytes(48)) * 16, before=extra)


def make_row_bomb() -> bytes:
    """A PNG that tells 16 × 16 pixels and unpacks to 500 MB."""
    return make_png(16, 16, bytes(500_000_000))


def damage_middle(data: bytes, count: int = 300) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(count) + data[middle + count :]


def repeat_middle(data: bytes, count: int) -> bytes:
    """With `count` bytes before the middle once more; or, where it is negative, without the next ones."""
    middle = len(data) // 2
    return data[:middle] + data[middle - count :]


def cut(data: bytes, part: float = 0.6) -> bytes:
    return data[: int(len(data) * part)]


def _jpeg(**options) -> bytes:
    return save(draw_scene(3), "JPEG", **options)


def _png(**options) -> bytes:
    return save(draw_scene(3), "PNG", **options)


BAD_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "empty file"),
    "text": (lambda: "no picture, só texto\n".encode() * 9, "not a picture"),
    "web page": (lambda: b"<!DOCTYPE html><html><body>404</body></html>", "not a picture"),
    "git lfs": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "not a picture"),
    "zeros": (lambda: bytes(5000), "not a picture"),
    "noise": (lambda: bytes(range(255, 0, -1)) * 9, "not a picture"),
    "zip": (lambda: b"PK\3\4" + bytes(99), "not a picture"),
    "video": (lambda: b"\0\0\0\x18ftypmp42" + bytes(99), "not a picture"),
    "svg": (
        lambda: b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
        "unsupported format",
    ),
    "heic": (lambda: b"\0\0\0\x18ftypheic" + bytes(99), "unsupported format"),
    "psd": (lambda: b"8BPS\0\1" + bytes(99), "unsupported format"),
    "tiff": (lambda: save(draw_scene(3), "TIFF"), "unsupported format"),
    "eps": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "unsupported format"),
    "jpeg 2000": (lambda: save(draw_scene(3), "JPEG2000"), "unsupported format"),
    "jpeg cut": (lambda: cut(_jpeg()), "cut short"),
    "jpeg cut by a byte": (lambda: _jpeg()[:-1], "cut short"),
    "jpeg cut in its header": (lambda: _jpeg()[:200], "cut short"),
    "jpeg, progressive, cut": (lambda: cut(_jpeg(progressive=True)), "cut short"),
    "jpeg filled up with zeros": (lambda: cut(_jpeg()) + bytes(9999), "cut short"),
    "jpeg cut and closed": (lambda: cut(_jpeg()) + b"\xff\xd9", "damaged"),
    "jpeg, progressive, cut and closed": (lambda: cut(_jpeg(progressive=True)) + b"\xff\xd9", "damaged"),
    "jpeg with a piece missing": (lambda: repeat_middle(_jpeg(quality=95), -900), "damaged"),
    "jpeg with a piece too many": (lambda: repeat_middle(_jpeg(quality=95), 3000), "damaged"),
    "jpeg with a marker in the middle": (
        lambda: damage_middle(_jpeg()).replace(bytes(300), b"\xff\xd3" * 150),
        "damaged",
    ),
    "jpeg with a broken table behind it": (
        lambda: _jpeg(progressive=True)[:-2] + b"\xff\xc4\0\5\1\2\3\xff\xd9",
        "damaged",
    ),
    "jpeg with a second beginning": (lambda: _jpeg()[:2] + _jpeg(), "damaged"),
    "jpeg of no height": (lambda: set_jpeg_size(_jpeg(), 160, 0), "no pixels"),
    "jpeg of 50,000 × 50,000": (lambda: set_jpeg_size(_jpeg(), 50_000, 50_000), "too large"),
    "jpeg without a picture": (lambda: b"\xff\xd8\xff\xd9", "damaged"),
    "png cut": (lambda: cut(_png()), "cut short"),
    "png cut by a byte": (lambda: _png()[:-1], "cut short"),
    "png without its end": (lambda: _png()[:-12], "cut short"),
    "png cut in its header": (lambda: _png()[:20], "cut short"),
    "png with a flipped bit": (lambda: damage_middle(_png(), 1), "damaged"),
    "png without its last row": (lambda: make_png(16, 16, (b"\0" + bytes(48)) * 15), "cut short"),
    "png with rows too many": (lambda: make_png(16, 16, (b"\0" + bytes(48)) * 9999), "damaged"),
    "png with a strange filter": (lambda: make_png(16, 16, (b"\7" + bytes(48)) * 16), "damaged"),
    "png without its palette": (lambda: make_png(16, 16, (b"\0" + bytes(16)) * 16, color=3), "damaged"),
    "png of no width": (lambda: make_png(0, 16, b""), "no pixels"),
    "png of one pixel": (lambda: make_png(1, 1, b"\0" + bytes(3)), "too small"),
    "png of 50,000 × 50,000": (make_png_bomb, "too large"),
    "png of 70,000 × 8": (lambda: make_png(70_000, 8, (b"\0" + bytes(210_000)) * 8), "too large"),
    "gif cut": (lambda: cut(save(draw_scene(3), "GIF")), "cut short"),
    "gif of 65,000 × 65,000": (make_gif_bomb, "too large"),
    "gif with a frame of 65,000 × 65,000": (make_gif_frame_bomb, "too large"),
    "webp cut": (lambda: cut(save(draw_scene(3), "WEBP")), "cut short"),
    "webp of 16,383 × 16,383": (make_webp_bomb, "too large"),
    "bmp cut": (lambda: cut(save(draw_scene(3), "BMP")), "cut short"),
    "bmp of 50,000 × 50,000": (make_bmp_bomb, "too large"),
}
"""What is wrong with a file: its maker, and the reason that it is refused for."""
