"""Picture files of every kind that is read, as cameras, editors and careless programs write them, and damaged ones."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from picture_makers import draw_scene
from PIL import Image

WIDTH, HEIGHT = 50, 38


def draw(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    return draw_scene(seed, width, height)


def save(image: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def make_opacity(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    values = np.linspace(0, 255, width).astype(np.uint8)
    return Image.fromarray(np.tile(values, (height, 1)))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def make_png(
    rows: bytes, depth: int, color: int, before: bytes = b"", after: bytes = b"", size=(WIDTH, HEIGHT)
):
    """A PNG put together by hand: `rows` are unpacked, each with its filter."""
    header = struct.pack(">IIBBBBB", *size, depth, color, 0, 0, 0)
    data = zlib.compress(rows)
    parts = chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + after + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def pack_rows(values: np.ndarray, depth: int) -> bytes:
    """Rows of numbers below 2**depth as PNG stores them."""
    if depth == 16:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    bits = np.unpackbits(values.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
    return b"".join(b"\0" + np.packbits(row.reshape(-1)).tobytes() for row in bits)


def make_bmp(image: Image.Image, bits: int, *, top_down: bool = False, masks=(), header: int = 40) -> bytes:
    """BMP files that Pillow does not write."""
    rgb = np.asarray(image.convert("RGB")).astype(int)
    height, width = rgb.shape[:2]
    palette = b""
    if bits <= 8:
        quantized = image.quantize(2**bits)
        colours = np.asarray(quantized.getpalette()[: 3 * 2**bits], np.uint8)
        colours = np.resize(np.pad(colours, (0, 3 * 2**bits - len(colours))), (2**bits, 3))
        palette = b"".join(bytes(c[::-1]) + (b"\0" if header != 12 else b"") for c in colours)
        indices = np.asarray(quantized)
        expanded = np.unpackbits(indices[..., None], axis=-1)[..., 8 - bits :].reshape(height, -1)
        lines = [np.packbits(line).tobytes() for line in expanded]
    elif bits == 16:
        shifts = (11, 5, 0) if masks and masks[0] == 0xF800 else (10, 5, 0)
        depths = (5, 6, 5) if shifts[0] == 11 else (5, 5, 5)
        packed = sum((rgb[..., c] >> (8 - depths[c])) << shifts[c] for c in range(3))
        lines = [line.astype("<u2").tobytes() for line in packed]
    elif bits == 24:
        lines = [line[:, ::-1].astype(np.uint8).tobytes() for line in rgb]
    else:
        alpha = np.asarray(make_opacity(width, height)).astype(int)
        places = [mask.bit_length() // 8 - 1 for mask in masks] if masks else [2, 1, 0]
        full = np.zeros((height, width, 4), np.uint8)
        for channel, place in enumerate(places[:3]):
            full[..., place] = rgb[..., channel]
        full[..., places[3] if len(places) > 3 and masks[3] else ({0, 1, 2, 3} - set(places[:3])).pop()] = (
            alpha
        )
        lines = [line.tobytes() for line in full]
    lines = [line + bytes(-len(line) % 4) for line in lines]
    body = b"".join(lines if top_down else lines[::-1])
    packing = 3 if masks else 0
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        signed = -height if top_down else height
        info = struct.pack("<IiiHHIIiiII", header, width, signed, 1, bits, packing, len(body), 0, 0, 0, 0)
        if masks:
            info += struct.pack("<4I", *masks, *[0] * (4 - len(masks)))[: 12 if header == 40 else 16]
        info += bytes(max(0, header - len(info)))
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + info + palette + body


def drop_adobe(jpeg: bytes) -> bytes:
    at = jpeg.index(b"\xff\xee")
    return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]


def make_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def list_whole() -> Iterator[tuple[str, bytes]]:
    """Files that all readers take."""
    scene, opacity = draw(), make_opacity()
    grey = scene.convert("L")
    clear, grey_clear = scene.copy(), Image.merge("LA", [grey, opacity])
    clear.putalpha(opacity)
    for orientation in range(1, 9):
        exif = make_exif(orientation)
        yield f"jpeg exif {orientation}", save(scene, "JPEG", exif=exif)
        yield f"png exif {orientation}", save(scene, "PNG", exif=exif)
        yield f"webp exif {orientation}", save(scene, "WEBP", lossless=True, exif=exif)
    for subsampling in (0, 1, 2):
        for progressive in (False, True):
            options = {"subsampling": subsampling, "progressive": progressive, "quality": 90}
            yield f"jpeg {options}", save(scene, "JPEG", **options)
    yield "jpeg grey", save(grey, "JPEG")
    yield "jpeg restarts", save(scene, "JPEG", restart_marker_blocks=2)
    yield "jpeg optimized, low", save(scene, "JPEG", quality=5, optimize=True)
    yield "jpeg rgb", save(scene, "JPEG", keep_rgb=True)
    ink = save(scene.convert("CMYK"), "JPEG")
    yield "jpeg cmyk", ink
    yield "jpeg cmyk without adobe", drop_adobe(ink)
    yield (
        "jpeg cmyk without adobe, turned",
        drop_adobe(save(scene.convert("CMYK"), "JPEG", exif=make_exif(6))),
    )
    yield "jpeg and more behind it", save(scene, "JPEG") + b"PK\3\4" + bytes(100)
    yield "jpeg of 900 by 700", save(draw(1, 900, 700), "JPEG")
    for name, image in (("rgb", scene), ("grey", grey), ("rgba", clear), ("grey alpha", grey_clear)):
        yield f"png {name}", save(image, "PNG")
        yield f"webp lossless {name}", save(image, "WEBP", lossless=True)
        yield f"webp lossy {name}", save(image, "WEBP", quality=70)
    for bits in (1, 2, 4, 8):
        palette = scene.quantize(2**bits)
        yield f"png palette {bits}", save(palette, "PNG", bits=bits)
        yield f"png palette {bits} with a hole", save(palette, "PNG", bits=bits, transparency=1)
        yield f"png palette {bits} with opacities", save(palette, "PNG", bits=bits, transparency=b"\x80\xff")
        values = np.asarray(grey) >> (8 - bits)
        rows = pack_rows(values, bits)
        yield f"png grey {bits}", make_png(rows, bits, 0)
        yield f"png grey {bits} with a hole", make_png(rows, bits, 0, chunk(b"tRNS", b"\0\1"))
    wide = np.asarray(scene).astype(np.uint16) * 257 - np.asarray(scene) // 3
    yield "png 16 grey", make_png(pack_rows(wide[..., 0], 16), 16, 0)
    yield "png 16 rgb", make_png(pack_rows(wide.reshape(HEIGHT, -1), 16), 16, 2)
    yield (
        "png 16 rgba",
        make_png(
            pack_rows(np.dstack([wide, np.asarray(opacity) * np.uint16(257)]).reshape(HEIGHT, -1), 16), 16, 6
        ),
    )
    hole = struct.pack(">3H", *(int(value) for value in np.asarray(scene)[3, 4]))
    yield "png rgb with a hole", save(scene, "PNG")[:33] + chunk(b"tRNS", hole) + save(scene, "PNG")[33:]
    yield "png interlaced", make_interlaced(np.asarray(grey))
    yield "png animated", save(scene, "PNG", save_all=True, append_images=[draw(1), draw(2)])
    plain = pack_rows(np.asarray(grey), 8)
    text = chunk(b"zTXt", b"c\0\0" + zlib.compress(bytes(3_000_000)))
    yield "png with a large text", make_png(plain, 8, 0, text * 2)
    yield "png with gamma", make_png(plain, 8, 0, chunk(b"gAMA", struct.pack(">I", 45455)))
    yield "png with exif behind", make_png(plain, 8, 0, after=chunk(b"eXIf", make_exif(6).tobytes()[6:]))
    yield "png and more behind it", save(scene, "PNG") + bytes(1000)
    yield "png of excess data", make_png(plain + bytes(40_000), 8, 0)
    for colours in (2, 16, 256):
        palette = scene.quantize(colours)
        yield f"gif {colours}", save(palette, "GIF")
        yield f"gif {colours} with a hole", save(palette, "GIF", transparency=1)
        yield f"gif {colours} interlaced", save(palette, "GIF", interlace=1)
    frames = [draw(seed).quantize(32) for seed in (3, 4, 5)]
    yield "gif animated", save(scene.quantize(32), "GIF", save_all=True, append_images=frames)
    yield (
        "gif animated with a hole",
        save(scene.quantize(32), "GIF", save_all=True, append_images=frames, transparency=3, disposal=2),
    )
    yield "gif with a comment", save(scene.quantize(64), "GIF", comment=b"x" * 3000)
    small = save(scene.quantize(64), "GIF")
    yield "gif, a frame in a corner", small[:6] + struct.pack("<HH", WIDTH + 9, HEIGHT + 5) + small[10:]
    holed = save(scene.quantize(64), "GIF", transparency=2)
    yield "gif, a holed frame in a corner", holed[:6] + struct.pack("<HH", WIDTH + 9, HEIGHT + 5) + holed[10:]
    for bits in (1, 4, 8, 16, 24, 32):
        for top_down in (False, True):
            yield f"bmp {bits}, top down {top_down}", make_bmp(scene, bits, top_down=top_down)
    for bits in (1, 4, 8, 24):
        yield f"bmp {bits} of os/2", make_bmp(scene, bits, header=12)
    yield "bmp 565", make_bmp(scene, 16, masks=(0xF800, 0x07E0, 0x001F))
    yield "bmp 555", make_bmp(scene, 16, masks=(0x7C00, 0x03E0, 0x001F))
    bgra = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    yield "bmp 32 of masks", make_bmp(scene, 32, masks=bgra[:3])
    yield "bmp 32 with opacity", make_bmp(scene, 32, masks=bgra, header=108)
    yield "bmp 32 without opacity, new header", make_bmp(scene, 32, masks=(*bgra[:3], 0), header=124)
    yield "bmp 32 rgba", make_bmp(scene, 32, masks=(0xFF, 0xFF00, 0xFF0000, 0xFF000000), header=108)
    yield "bmp grey", save(grey, "BMP")
    yield "bmp by pillow, rgba", save(clear, "BMP")
    yield "bmp palette of few", save(scene.quantize(5), "BMP")
    yield "webp animated", save(scene, "WEBP", save_all=True, append_images=[draw(1), draw(2)], lossless=True)
    yield "webp animated, lossy", save(scene, "WEBP", save_all=True, append_images=[draw(1), draw(2)])
    yield (
        "webp animated, clear",
        save(clear, "WEBP", save_all=True, append_images=[draw(1), draw(2)], quality=60),
    )
    yield "webp with a profile", save(scene, "WEBP", icc_profile=bytes(500), lossless=True)


def make_interlaced(values: np.ndarray) -> bytes:
    """Adam7, by hand."""
    passes = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    rows = b"".join(pack_rows(values[y::dy, x::dx], 8) for x, y, dx, dy in passes)
    png = make_png(rows, 8, 0)
    header = png[16:28] + b"\1"
    return png[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + png[33:]


def list_bad() -> Iterator[tuple[str, bytes]]:
    """Files that no reader takes."""
    scene = draw()
    yield "empty", b""
    yield "text", b"hello"
    yield "zeros", bytes(5000)
    yield "garbage", np.random.default_rng(0).bytes(5000)
    yield "svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    yield "tiff", save(scene, "TIFF")
    for format in ("JPEG", "PNG", "GIF", "BMP", "WEBP"):
        data = save(scene.quantize(64) if format == "GIF" else scene, format)
        for size in (3, 8, 20, 60):
            yield f"{format}, {size} bytes", data[:size]
        yield f"{format}, half", data[: len(data) // 2]
        yield f"{format}, tiny", save(scene.convert("RGB").resize((4, 4)), format)
    for width, height in ((10_000, 10_000), (65_535, 65_535), (0, 40), (40, 0), (70_000, 20)):
        yield f"png header {width} {height}", make_png(b"\0" * 99, 8, 2, size=(width, height))
        info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
        yield f"bmp header {width} {height}", b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info
        if max(width, height) < 65_536:
            jpeg = save(scene, "JPEG")
            at = jpeg.index(b"\xff\xc0") + 5
            yield (
                f"jpeg header {width} {height}",
                jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :],
            )
            gif = save(scene.quantize(8), "GIF")
            yield f"gif header {width} {height}", gif[:6] + struct.pack("<HH", width, height) + gif[10:]
    yield (
        "bmp of -2**31",
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, -(2**31), -(2**31), 1, 24, 0, 0, 0, 0, 0, 0),
    )
    packed = bytearray(make_bmp(scene, 8))
    packed[30] = 1
    yield "bmp run lengths", bytes(packed)
    png = save(scene, "PNG")
    yield "png without end", png[:-12]
    yield "png of a wrong checksum", png[:50] + bytes([png[50] ^ 1]) + png[51:]
    yield "gif without end", save(scene.quantize(64), "GIF")[:-200]
