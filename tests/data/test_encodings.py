"""Encodings: which names are refused before any file is read, and which one bytes look like."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_makers import FIELDS, collect
from pydantic import ValidationError

from kerasft.data.config import CsvSource, DataConfig
from kerasft.data.encodings import find_codec, guess_encoding, guess_wide, is_cut_utf8
from kerasft.data.sources import SourceFile, read_rows
from kerasft.errors import DataError

SPOKEN = {
    "cp1252": ["Le café était très agréable", "schöne Grüße", "C’est déjà l’été", "el niño comió"],
    "cp1250": ["Příliš žluťoučký kůň", "dobrze że jesteś", "wszystko się zmieniło"],
    "cp1251": ["Привет, как дела", "Очень хороший фильм", "Мне понравилось"],
    "koi8-r": ["Привет, как дела", "Очень хороший фильм", "Мне понравилось"],
    "gb18030": ["这部电影非常好看，我很喜欢", "服务不好，再也不来了"],
    "big5": ["這部電影非常好看，我很喜歡", "服務不好，再也不來了"],
    "shift_jis": ["この映画はとても面白かったです", "サービスが悪い"],
    "euc_jp": ["この映画はとても面白かったです", "サービスが悪い"],
    "euc_kr": ["이 영화는 정말 재미있어요", "서비스가 나빠요"],
}


@pytest.fixture
def read(tmp_path: Path):
    def run(content: bytes, **settings):
        path = tmp_path / "a.csv"
        path.write_bytes(content)
        source = CsvSource(format="csv", path="a.csv", **settings)
        return collect(read_rows(SourceFile(path, "a.csv"), source, FIELDS))

    return run


def write_rows(encoding: str, texts: list[str], plain: int = 300) -> bytes:
    rows = [f"nothing but ascii {i},a" for i in range(plain)] + [f'"{text}",b' for text in texts]
    return ("text,label\n" + "\n".join(rows) + "\n").encode(encoding)


@pytest.mark.parametrize(
    "name",
    ["idna", "rot13", "zip", "punycode", "undefined", "hex", "unicode_escape", "utf-7", "utf-9", "", "a\0b",
     "x" * 3000, "utf-16", "utf-32", "cp037"],
)  # fmt: skip
def test_names_that_are_no_encodings_of_files_are_refused_with_the_config(name):
    with pytest.raises(ValidationError) as error:
        DataConfig.model_validate({"train": {"format": "csv", "path": "a.csv", "encoding": name}})
    (problem,) = error.value.errors()
    assert problem["loc"][-1] == "encoding"
    assert "usual ones: utf-8, cp1252" in problem["msg"] or "iconv -f" in problem["msg"]


def test_other_names_of_one_encoding_are_known():
    names = ("UTF8", "utf-8-sig", "Latin1", "gbk", "sjis")
    assert [find_codec(name) for name in names] == ["utf-8", "utf-8", "iso8859-1", "gbk", "shift_jis"]
    with pytest.raises(ValueError, match="did you mean 'cp125"):
        find_codec("cp1225")


@pytest.mark.parametrize("encoding", SPOKEN)
def test_an_encoding_is_guessed_from_a_few_lines(encoding):
    assert guess_encoding([text.encode(encoding) for text in SPOKEN[encoding]]) == encoding


def test_damage_looks_like_no_encoding():
    assert guess_encoding([bytes(range(128, 256))]) is None
    assert guess_encoding([b"\x80\x81\x82"]) is None


def test_wide_encodings_are_told_with_and_without_a_mark():
    text = "text,label\nfine,a\n"
    told = [guess_wide(text.encode(name)) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8")]
    assert told == ["UTF-16", "UTF-16LE", "UTF-16BE", "UTF-32", None]


@pytest.mark.parametrize("encoding", SPOKEN)
def test_a_file_that_would_lose_its_accented_rows_is_an_error_that_names_the_encoding(read, encoding):
    content = write_rows(encoding, SPOKEN[encoding])
    with pytest.raises(
        DataError, match=f"looks like {encoding}, not utf-8: [234] lines cannot be utf-8"
    ) as error:
        read(content)
    assert SPOKEN[encoding][0] in error.value.what
    assert error.value.where == "a.csv:302"
    assert error.value.fix == f"Set encoding: {encoding}, next to path: a.csv."
    assert read(content, encoding=encoding)[0][-1][1] == SPOKEN[encoding][-1]


def test_a_header_in_another_encoding_does_not_hide_it(read):
    with pytest.raises(DataError, match="looks like cp1252"):
        read("text,label,prénom\nété,a,é\nx,b,y\n".encode("cp1252"))


def test_many_lines_that_fit_no_encoding_are_an_error_too(read):
    content = b"text,label\n" + b"".join(b"\x81\x8d\xff\xfe%d,a\n" % i for i in range(12))
    with pytest.raises(DataError, match="is not in utf-8: 12 lines cannot be read"):
        read(content)


def test_a_utf8_file_read_as_another_encoding_is_told(read):
    content = write_rows("utf-8", SPOKEN["cp1252"])
    with pytest.raises(DataError, match="looks like utf-8, not cp1252") as error:
        read(content, encoding="cp1252")
    assert error.value.fix == "Set encoding: utf-8, or leave it out."


def test_damaged_rows_of_a_utf8_file_cost_themselves_alone(read):
    content = write_rows("utf-8", ["grün"] * 3) + b"caf\xe9 noir,b\ncaf\xe9,b\n"
    rows, rejects = read(content)
    assert len(rows) == 303
    assert [reason for _, reason, _ in rejects] == ["invalid UTF-8"] * 2
    assert "'é' in cp1252" in rejects[0][2]


@pytest.mark.parametrize(
    "line",
    [
        b"said it\xe2\x80", b"said it\xe2\x80,a\n", b"caf\xc3\r\n", b'"caf\xc3",b\n', b"JOS\xc3\t1\n", b"it\xe2 a\n",
        b"fine \xf0\x9f\x98...\n", "Straße gr".encode() + b"\xc3\n", "при".encode() + b"\xd0\n",
        b"caf\xc3" + "…,b\n".encode(),
    ],
)  # fmt: skip
def test_a_character_cut_short_is_no_sign_of_another_encoding(line):
    assert is_cut_utf8(line)


@pytest.mark.parametrize(
    "text", ["très bon", "café", "le café, noir", "CAFÉ", "irmã", "città", "“so”", "été é", "a – b"]
)
def test_letters_of_another_encoding_are_no_cut_characters(text):
    assert not is_cut_utf8(text.encode("cp1252"))


def test_rows_cut_inside_a_character_cost_themselves_alone(read):
    content = write_rows("utf-8", [], plain=1000) + b"and so he said it\xe2\x80,a\nun caf\xc3,b\n"
    rows, rejects = read(content)
    assert len(rows) == 1000
    assert [reason for _, reason, _ in rejects] == ["invalid UTF-8"] * 2
    assert "a character is incomplete there, or it is" in rejects[1][2]


@pytest.mark.parametrize("text", ["très bon", "un café"])
def test_five_accented_rows_among_a_thousand_are_not_lost(read, text):
    content = write_rows("latin-1", [text] * 5, plain=1000) + b"un caf\xc3,b\n"
    with pytest.raises(DataError, match="looks like cp1252, not utf-8: 5 lines cannot be utf-8"):
        read(content)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_utf_16_is_told_with_the_command_that_converts_it(read, encoding):
    with pytest.raises(
        DataError, match=r"looks like UTF-16(LE)?, not UTF-8\.\n  Convert it: iconv -f UTF-16"
    ):
        read(write_rows(encoding, []))
