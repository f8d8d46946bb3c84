"""Text encodings: which ones are supported, and which one some bytes probably have."""

from __future__ import annotations

import codecs
import difflib
import re
from collections.abc import Callable, Sequence

USUAL = "utf-8, cp1252, latin-1, cp1250, cp1251, gb18030, big5, shift_jis, euc_jp, euc_kr"
_NAMES = (*USUAL.split(", "), "ascii", "gbk", "cp932", "koi8-r", "iso-8859-1", "iso-8859-15", "windows-1252")
_NO_ENCODINGS_OF_FILES = frozenset(
    ("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7", "mbcs", "oem")
)
_ASCII = "".join(map(chr, (0x09, 0x0A, 0x0D, *range(0x20, 0x7F)))).translate({0x5C: None, 0x7E: None})
"""What every encoding that can be cut at line ends writes as ASCII does; some have ¥ and ‾ in place of \\ and ~."""


def find_codec(encoding: str) -> str:
    """Python's name of an encoding, `utf-8` also for `utf-8-sig`.

    Raises:
        ValueError: there is no such encoding, or files in it cannot be cut into lines at the byte 0x0A.
    """
    try:
        codec = codecs.lookup(encoding)
    except (LookupError, ValueError, UnicodeError):
        near = difflib.get_close_matches(encoding[:40].lower(), _NAMES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown encoding {encoding[:40]!r}{hint} (usual ones: {USUAL})") from None
    if codec.name in ("utf-8", "utf-8-sig"):
        return "utf-8"
    if not getattr(codec, "_is_text_encoding", True) or codec.name in _NO_ENCODINGS_OF_FILES:
        raise ValueError(f"{encoding!r} is not a text encoding (usual ones: {USUAL})")
    try:
        alike = _ASCII.encode(codec.name) == _ASCII.encode("ascii")
    except (UnicodeError, ValueError):
        alike = False
    if not alike:
        raise ValueError(
            f"files in {encoding} cannot be read line by line: convert them to UTF-8, "
            f"iconv -f {encoding} -t UTF-8 OLD > NEW, and leave encoding out"
        )
    return codec.name


def guess_encoding(samples: Sequence[bytes]) -> str | None:
    """The encoding that lines of bytes look like, which are no UTF-8; None where they look like none.

    A line counts for an encoding that decodes it by how many of its characters beyond ASCII are usual in the
    languages it was made for. It is a guess: cp1252 and latin-1 write the same letters by the same bytes.

    Args:
        samples: lines, or their beginnings.
    """
    shares = {name: _rate(samples, name, usual) for name, usual in _CANDIDATES.items()}
    best = max(shares, key=shares.__getitem__)
    return best if shares[best] >= _LEAST_SHARE else None


def is_cut_utf8(line: bytes) -> bool:
    """Whether a line is UTF-8 but for characters that are cut short, as exports do that count bytes.

    Such a character's first bytes stand before the line's end, a space, a delimiter, a quote or an ellipsis. One byte
    at a word's end that is the letter it would have in cp1252 (`caf\\xe9`) is taken for that letter.
    """
    whole, cuts = _CUT.subn(b"", line)
    if not cuts or _LAST_LETTER.search(line):
        return False
    try:
        whole.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def guess_wide(start: bytes) -> str | None:
    """UTF-16 or UTF-32, where a file's beginning looks like it; else None."""
    for mark, name in (
        (codecs.BOM_UTF32_LE, "UTF-32"),
        (codecs.BOM_UTF16_LE, "UTF-16"),
        (codecs.BOM_UTF16_BE, "UTF-16"),
    ):
        if start.startswith(mark):
            return name
    start = start[: len(start) // 2 * 2]
    even, odd = start[::2].count(0), start[1::2].count(0)
    if len(start) >= 8 and max(even, odd) * 5 >= len(start) * 2 and min(even, odd) * 10 <= max(even, odd):
        return "UTF-16BE" if even > odd else "UTF-16LE"
    return None


_CUT_END = rb"(?=[\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]|\xe2\x80\xa6|\Z)"
_CUT = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})" + _CUT_END)
_LAST_LETTER = re.compile(rb"(?:[a-z][\xe0\xe1\xe3-\xef\xf1-\xf4]|[A-Z][\xc4-\xcd\xd2-\xde])" + _CUT_END)
"""A small letter of cp1252 after a small one, or a capital after a capital; without â, ð, Â, Ã, Î, Ï, Ð and Ñ, by which
the quotes, emoji, Latin, Greek and Cyrillic letters of UTF-8 begin."""
_LEAST_SHARE = 0.7
_MARKS = "‘’“”–—…•€£§°«»©®™´·„‚¡¿"
_WEST = "àâäáãåæçèéêëìíîïñòóôöõøùúûüýÿßœÀÂÄÁÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÖÕØÙÚÛÜŒ"
_EAST = "ąćęłńóśźżĄĆĘŁŃÓŚŹŻáčďéěíňřšťúůýžÁČĎÉĚÍŇŘŠŤÚŮÝŽäöüőűÄÖÜŐŰăâîşţĂÂÎŞŢđĐ"
_SIMPLIFIED = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里好很"
)
_TRADITIONAL = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡好很"
)


def _count_in(usual: str) -> Callable[[str], float]:
    """How many letters of a text are usual ones that stand in a word with ASCII's, or usual marks."""
    letters, marks = frozenset(usual), frozenset(_MARKS)
    runs = re.compile(r"[^\x00-\x7f]+")

    def count(text: str) -> float:
        found = 0.0
        for run in runs.findall(text):
            known = sum(character in letters for character in run)
            # three in a row are rare: they are another script's letters
            found += known * (len(run) < 3) + sum(character in marks for character in run)
        return found

    return count


def _count_kana(text: str) -> float:
    kana = sum("\u3041" <= character <= "\u30fe" for character in text)
    others = sum(
        "\u4e00" <= character <= "\u9fff" or character in "、。「」・ー！？（）" for character in text
    )
    return kana + min(others, 3 * kana)


def _count_hangul(text: str) -> float:
    return float(sum("\uac00" <= character <= "\ud7a3" for character in text))


def _count_chinese(usual: str) -> Callable[[str], float]:
    """Any ideograph, where one of eight or more is among the most frequent."""
    frequent = frozenset(usual)

    def count(text: str) -> float:
        known = sum(character in frequent for character in text)
        ideographs = sum(
            "\u4e00" <= character <= "\u9fff" or character in "，。！？：；（）“”、" for character in text
        )
        return min(8 * known, ideographs)

    return count


def _count_cyrillic(text: str) -> float:
    """Small letters, and capitals that begin a word."""
    words = re.findall(r"[А-Яа-яЁё]+", text)
    return float(sum(len(word) for word in words if word[1:] == word[1:].lower() or word.isupper()))


_CANDIDATES: dict[str, Callable[[str], float]] = {
    "cp1252": _count_in(_WEST),
    "cp1250": _count_in(_EAST),
    "shift_jis": _count_kana,
    "euc_jp": _count_kana,
    "euc_kr": _count_hangul,
    "gb18030": _count_chinese(_SIMPLIFIED),
    "big5": _count_chinese(_TRADITIONAL),
    "cp1251": _count_cyrillic,
    "koi8-r": _count_cyrillic,
}
"""Encoding → how many characters of a text are usual in its languages; the first of equals is named."""


def _rate(samples: Sequence[bytes], name: str, usual: Callable[[str], float]) -> float:
    """The share of usual characters among those beyond ASCII; 0 where a tenth of the lines cannot be decoded."""
    texts = []
    for sample in samples:
        try:
            texts.append(sample.decode(name))
        except UnicodeDecodeError:
            continue
    if len(texts) * 10 < len(samples) * 9:
        return 0.0
    beyond = sum(not character.isascii() for text in texts for character in text)
    return sum(map(usual, texts)) / beyond if beyond else 0.0
