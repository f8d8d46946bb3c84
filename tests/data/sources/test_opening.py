"""Compressed files: read like plain ones, in flat memory, with damage and bombs told."""

import gzip
import lzma
import tracemalloc
from collections import deque

import pyarrow as pa
import pytest
from data_makers import FIELDS, collect

from kerasft.data.config import CsvSource, JsonLinesSource
from kerasft.data.sources import opening, read_rows
from kerasft.data.sources.lines import read_lines
from kerasft.data.sources.opening import open_bytes
from kerasft.data.sources.paths import SourceFile
from kerasft.errors import DataError


def compress_zstandard(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


COMPRESS = {"gz": gzip.compress, "xz": lzma.compress, "zst": compress_zstandard}
TABLE = "text,label\n" + "".join(f"Sentence number {number},{number % 2}\n" for number in range(40_000))


def read_all(path, size=1 << 16):
    with open_bytes(SourceFile(path, path.name)) as stream:
        return b"".join(iter(lambda: stream.read(size), b"")), stream.take_size()


@pytest.mark.parametrize("ending", COMPRESS)
def test_several_streams_end_to_end_are_one_file(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(COMPRESS[ending](TABLE.encode()) + COMPRESS[ending](b"more"))
    content, size = read_all(path)
    assert content == TABLE.encode() + b"more"
    assert size == path.stat().st_size


@pytest.mark.parametrize("ending", COMPRESS)
@pytest.mark.parametrize("source", [CsvSource, JsonLinesSource])
def test_tables_read_the_same_compressed_and_plain(tmp_path, ending, source):
    content = TABLE if source is CsvSource else '{"text": "A", "label": 1}\n{"text": "B", "label": 0}\n'
    name = {CsvSource: "csv", JsonLinesSource: "jsonl"}[source]
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_text(content)
    packed.write_bytes(COMPRESS[ending](content.encode()))
    settings = source.model_validate({"format": name, "path": "x"})
    rows, rejects = collect(read_rows(SourceFile(packed, "packed"), settings, FIELDS))
    assert rows == collect(read_rows(SourceFile(plain, "plain"), settings, FIELDS))[0]
    assert len(rows) > 1
    assert not rejects


def test_the_bytes_of_blocks_add_up_to_the_file(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(TABLE.encode()))
    sizes = [size for _, size in read_lines(SourceFile(path, "x"), "utf-8")]
    assert len(sizes) > 1
    assert sum(sizes) == path.stat().st_size


@pytest.mark.parametrize(
    ("ending", "damage"),
    # Zstandard's check sum is optional, and pyarrow writes none
    [("gz", "cut"), ("xz", "cut"), ("zst", "cut"), ("gz", "changed"), ("xz", "changed")],
)
def test_damage_is_told(tmp_path, ending, damage):
    data = bytearray(COMPRESS[ending](TABLE.encode()))
    if damage == "cut":
        del data[-20:]
    else:
        data[len(data) // 2] ^= 0xFF
        data[len(data) // 2 + 1] ^= 0xFF
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"data is cut short or damaged \(.+\)"):
        read_all(path)


@pytest.mark.parametrize("ending", COMPRESS)
def test_a_bomb_is_told_in_flat_memory(tmp_path, ending, monkeypatch):
    monkeypatch.setattr(opening, "_SURE_AFTER_BYTES", 1 << 20)
    path = tmp_path / "x"
    path.write_bytes(COMPRESS[ending](bytes(16 << 20)))
    with open_bytes(SourceFile(path, "x")) as stream:
        tracemalloc.start()
        with pytest.raises(DataError, match="more than 250 times"):
            deque(iter(lambda: stream.read(1 << 16), b""), maxlen=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20, "xz has a dictionary of 8 MiB"
