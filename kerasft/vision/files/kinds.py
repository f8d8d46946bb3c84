"""Recognises a file's type by its first bytes: a supported picture, another picture, or something else."""

from __future__ import annotations

ENDINGS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".apng": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".gif": "GIF",
}
"""What the endings of picture files promise. Others (.tif) that hold a supported picture promise nothing."""

_BEGINNINGS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
}
_UNSUPPORTED = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "BigTIFF",
    b"8BPS": "Photoshop (PSD)",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\1\0": "icon (ICO)",
    b"v/1\1": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"DDS ": "DirectDraw (DDS)",
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"gimp xcf": "GIMP (XCF)",
    b"qoif": "QOI",
    **{b"P%d%c" % (i, space): "portable pixmap (PNM)" for i in range(1, 7) for space in b" \t\r\n"},
}
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    b"crx ": "Canon raw (CR3)",
}
_NO_PICTURES = {
    b"PK\3\4": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a Git LFS pointer: fetch the file itself with git lfs pull",
    b"\0\5\x16\7": "a Mac's resource file, not the picture beside it",
    b"\x93NUMPY": "a NumPy array",
}


def recognize(data: bytes) -> str | None:
    """Pillow's name of a format that is read; None where it is another file."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    for beginning, kind in _BEGINNINGS.items():
        # two letters may begin a text: a BMP goes on with zeros
        if data.startswith(beginning) and (kind != "BMP" or data[6:10] == b"\0\0\0\0"):
            return kind
    return None


def explain_strange(data: bytes) -> tuple[str, str]:
    """Reason and detail for a file that is none of the pictures that are read."""
    advice = "; save it as JPEG or PNG"
    for beginning, kind in _UNSUPPORTED.items():
        if data.startswith(beginning):
            return "unsupported format", kind + advice
    if data[4:8] == b"ftyp":
        if data[8:12] in _BRANDS:
            return "unsupported format", _BRANDS[data[8:12]] + advice
        return "not a picture", "a video or audio file (MP4)"
    for beginning, what in _NO_PICTURES.items():
        if data.startswith(beginning):
            return "not a picture", what
    head = data[:1024]
    lowered = head.lower()
    if b"<svg" in lowered:
        return "unsupported format", "SVG" + advice
    if b"<html" in lowered or b"<!doctype html" in lowered:
        return "not a picture", "a web page"
    if not head.strip(b"\0"):
        return "not a picture", "it begins with zeros only"
    if _is_text(head):
        return "not a picture", "a text file"
    return "not a picture", f"it begins with {data[:8].hex(' ')}"


def _is_text(head: bytes) -> bool:
    try:
        # the last character may be cut
        text = head.decode("utf-8", "ignore" if len(head) == 1024 else "strict")
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n" for character in text.lstrip("\ufeff"))
