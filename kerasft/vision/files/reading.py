"""Reads picture files: from a user's file to bytes that TensorFlow's own operations decode, or a reason why not.

What a file is, its content says, not its name. JPEG and PNG stay as they are wherever TensorFlow decodes them rightly;
all else becomes PNG, without loss. A file is decoded or unpacked to its end before it is accepted.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
from pathlib import Path

from PIL import Image, ImageOps

from kerasft.errors import storage_error
from kerasft.vision.files.jpeg import ADOBE, check_coded_data, parse_jpeg
from kerasft.vision.files.kinds import ENDINGS, explain_strange, recognize
from kerasft.vision.files.png import MAX_EXTRA_BYTES, parse_png
from kerasft.vision.files.rotation import rotate
from kerasft.vision.pictures import MAX_FILE_BYTES, MAX_PIXELS_AT_ONCE, InvalidPicture, Picture, check_size

_SPELLING = {"WEBP": "WebP"}
_EXIF_ORIENTATION = 0x0112
_NOT_PLAIN = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link",
}


def read_picture(path: Path, *, follow_links: bool = False) -> Picture:
    """Reads and checks a picture file.

    Args:
        path: the file.
        follow_links: whether a link to a plain file is read; else it is refused.

    Raises:
        InvalidPicture: there is no such file, it is not a plain one, or what `check_picture` says.
        StorageError: the disk fails.
    """
    return check_picture(read_picture_file(path, follow_links=follow_links), path.name)


def read_picture_file(path: Path, *, follow_links: bool = False) -> bytes:
    """The bytes of a plain file that is not too large; see `read_picture`."""
    try:
        # looked at before it is opened: opening a device may do something
        _check_plain(path.stat() if follow_links else path.lstat())
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
        with open(os.open(path, flags), "rb") as file:
            _check_plain(os.fstat(file.fileno()))
            data = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InvalidPicture("missing file", "there is no such file") from error
    except PermissionError as error:
        raise InvalidPicture("unreadable file", os.strerror(error.errno or errno.EACCES)) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InvalidPicture("not a plain file", "a link") from error
        raise storage_error(error, path) or error from error
    return data


def _check_plain(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InvalidPicture("not a plain file", _NOT_PLAIN.get(stat.S_IFMT(status.st_mode), "a device"))
    if status.st_size > MAX_FILE_BYTES:
        raise InvalidPicture("too large", _describe_bytes(status.st_size))


def _describe_bytes(count: int) -> str:
    return f"a file of {count:,} bytes; at most {MAX_FILE_BYTES:,} are read"


def check_picture(data: bytes, name: str) -> Picture:
    """Checks a picture file's bytes, and converts them where TensorFlow would not decode them rightly.

    Args:
        data: the file.
        name: the file's, whose ending may be wrong.

    Raises:
        InvalidPicture: there is nothing, no picture, or one that is damaged, cut short, too large, too small or of
            an unsupported format.
    """
    if not data:
        raise InvalidPicture("empty file")
    if len(data) > MAX_FILE_BYTES:
        raise InvalidPicture("too large", _describe_bytes(len(data)))
    kind = recognize(data)
    if kind is None:
        raise InvalidPicture(*explain_strange(data))
    picture = {"JPEG": _check_jpeg, "PNG": _check_png}.get(kind, _convert)(data)
    ending = Path(name).suffix.lower()
    if ending in ENDINGS and ENDINGS[ending] != kind:
        picture = picture._replace(misnamed=f"{_SPELLING.get(kind, kind)} named {ending}")
    return picture


def _check_jpeg(data: bytes) -> Picture:
    jpeg = parse_jpeg(data)
    check_coded_data(jpeg)
    marked = jpeg.channels == 4 and not jpeg.has_adobe
    if marked:
        # TensorFlow takes such ink amounts as they are; nearly all writers mean them inverted, as Pillow does
        data = data[:2] + ADOBE + data[2:]
    width, height = jpeg.width, jpeg.height
    if jpeg.orientation >= 5:
        width, height = height, width
    why = "CMYK without Adobe's mark" if marked else None
    return Picture(data, "jpeg", width, height, why, orientation=jpeg.orientation, turned=jpeg.orientation)


def _check_png(data: bytes) -> Picture:
    png = parse_png(data)
    if png.depth < 8:
        # TensorFlow makes such pictures all but transparent when it is asked for four channels
        with _open(png.lean, "PNG") as image:
            clear = image.info.get("transparency")
            if image.mode == "L" and isinstance(clear, int):
                # Pillow spreads the greys over 8 bits, but not the one that is transparent
                image.info["transparency"] = clear * 255 // (2**png.depth - 1)
            return _write_png(image, f"PNG of {png.depth} bits a channel", png.orientation)
    if png.orientation != 1:
        with _open(png.lean, "PNG") as image:
            return _write_png(image, "rotated as its EXIF says", png.orientation)
    if png.animated or png.extra_bytes > MAX_EXTRA_BYTES:
        why = (
            "animated PNG, first frame"
            if png.animated
            else f"PNG without texts of over {MAX_EXTRA_BYTES >> 20} MiB"
        )
        return Picture(png.lean, "png", png.width, png.height, why)
    return Picture(data, "png", png.width, png.height)


def _convert(data: bytes) -> Picture:
    """GIF, BMP or WebP to PNG."""
    kind = recognize(data) or ""
    check_size(*_HEADERS[kind](data), MAX_PIXELS_AT_ONCE)
    with _open(data, kind) as image:
        check_size(*image.size, MAX_PIXELS_AT_ONCE)
        _load(image, kind)
        animated = _is_animated(image)
        rotated = ImageOps.exif_transpose(image) if kind == "WEBP" else image
        why = _SPELLING.get(kind, kind) + ", first frame" * animated
        turned = image.getexif().get(_EXIF_ORIENTATION, 1) if kind == "WEBP" else 1
        return _write_png(rotated, why, 1)._replace(turned=turned if turned in range(1, 9) else 1)


def _open(data: bytes, kind: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=[kind])
    except Image.DecompressionBombError as error:
        raise InvalidPicture(
            "too large", f"the {_SPELLING.get(kind, kind)}'s first frame has too many pixels"
        ) from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise InvalidPicture("damaged", f"the {_SPELLING.get(kind, kind)} cannot be opened") from error


def _load(image: Image.Image, kind: str) -> None:
    try:
        image.load()
    except (OSError, SyntaxError, ValueError, IndexError, EOFError, struct.error) as error:
        reason = "cut short" if "truncated" in str(error) or isinstance(error, EOFError) else "damaged"
        raise InvalidPicture(reason, f"the {_SPELLING.get(kind, kind)} cannot be decoded: {error}") from error


def _is_animated(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except (OSError, SyntaxError, ValueError, IndexError, EOFError, struct.error):
        return True  # there is more behind the first frame, and it is damaged


def _write_png(image: Image.Image, why: str, orientation: int) -> Picture:
    """8 bits a channel, grey or colour, with alpha where there is any."""
    _load(image, "picture")
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    image = rotate(image, orientation)
    file = io.BytesIO()
    image.info.clear()
    image.save(file, "PNG")
    return Picture(file.getvalue(), "png", image.width, image.height, why, turned=orientation)


def _measure_gif(data: bytes) -> tuple[int, int]:
    if len(data) < 13:
        raise InvalidPicture("cut short", f"the GIF has {len(data)} bytes")
    width, height = struct.unpack("<HH", data[6:10])
    return width, height


def _measure_bmp(data: bytes) -> tuple[int, int]:
    if len(data) < 54:
        raise InvalidPicture("cut short", f"the BMP has {len(data)} bytes")
    if int.from_bytes(data[14:18], "little") < 40:
        width, height = struct.unpack("<HH", data[18:22])
        return width, height
    width, height, _, _, packing = struct.unpack("<iiHHI", data[18:34])
    if packing in (1, 2):
        raise InvalidPicture("unsupported format", "BMP with run-length coding")
    return width, abs(height)


def _measure_webp(data: bytes) -> tuple[int, int]:
    if len(data) < 30 or int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise InvalidPicture("cut short", f"the WebP has {len(data):,} bytes")
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise InvalidPicture("damaged", "the WebP does not begin as one")


_HEADERS = {"GIF": _measure_gif, "BMP": _measure_bmp, "WEBP": _measure_webp}
