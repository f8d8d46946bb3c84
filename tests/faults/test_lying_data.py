"""Data files that lie: cut, full of NULs, endless, or no files; each costs its row, by name, and little memory."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from lying_makers import list_tree, make_sparse, run_kerasft

from kerasft.data.config import DataConfig
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.dataset import prepare_dataset
from kerasft.data.prepared import PreparedDataset
from kerasft.data.sources.lines import MAX_LINE_BYTES
from kerasft.errors import DataError

FIELDS = (Field("text", "text"), Field("label", "label", "target"))
WORDS = ["river", "garden", "letter", "engine", "silver", "market", "island", "winter", "bridge", "coal"]


def make_rows(count: int) -> list[tuple[str, str]]:
    """Texts that are no near duplicates of each other, and labels in turn."""
    return [
        (f"{WORDS[i % 10]} {i * 7919} {WORDS[i // 10 % 10]} {i * 104729} ü", ("bad", "good")[i % 2])
        for i in range(count)
    ]


def make_jsonl(count: int) -> list[bytes]:
    rows = [{"text": text, "label": label} for text, label in make_rows(count)]
    return [json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows]


def make_csv(count: int) -> list[bytes]:
    return [b"text,label\n"] + [f'"{text}",{label}\n'.encode() for text, label in make_rows(count)]


def prepare(folder: Path, content: bytes, format: str, **settings: Any) -> PreparedDataset:
    path = folder / f"train.{format}"
    path.write_bytes(content)
    data = {
        "train": {"format": format, "path": path.name, **settings},
        "validation_share": 0,
        "test_share": 0,
        "max_rejected": 0.5,
    }
    return prepare_dataset(
        DataConfig.model_validate(data), FIELDS, folder / "run" / "dataset", base=folder, seed=0
    )


def read_rejects(dataset: PreparedDataset) -> list[tuple[str, int, str]]:
    lines = (dataset.folder / "rejected.jsonl").read_text().splitlines()
    return [(row["file"], row["row"], row["reason"]) for row in map(json.loads, lines)]


def join(lines: list[bytes]) -> bytes:
    return b"".join(lines)


JSONL, CSV = make_jsonl(20), make_csv(20)
PAGES = bytes(8192)
LONG = b"x" * (MAX_LINE_BYTES + 1)
CUTS = {
    "jsonl, the last line": ("jsonl", join(JSONL)[:-20], 20, "broken JSON"),
    "jsonl, within a character": ("jsonl", join(JSONL).rpartition(b"\xbc")[0], 20, "invalid UTF-8"),
    "jsonl, a NUL in the text": ("jsonl", join(JSONL).replace(b"winter", b"win\\u0000er", 1), 8, "NUL character"),
    "jsonl, a raw NUL": ("jsonl", join(JSONL).replace(b"winter", b"win\0er", 1), 8, "NUL character"),
    "jsonl, a NUL in the label": (
        "jsonl", join(JSONL).replace(b'"good"', b'"go\\u0000d"', 1), 2, "control character in the label",
    ),
    "jsonl, NUL pages at the end": ("jsonl", join(JSONL) + PAGES, 21, "NUL character"),
    "jsonl, NUL pages for its last line": ("jsonl", join(JSONL[:-1]) + JSONL[-1][:9] + PAGES, 20, "NUL character"),
    "jsonl, NUL pages within": ("jsonl", join(JSONL[:9]) + PAGES + join(JSONL[9:]), 10, "NUL character"),
    "jsonl, a long line": ("jsonl", join(JSONL[:9]) + LONG + b"\n" + join(JSONL[9:]), 10, "line too long"),
    "jsonl, a long last line": ("jsonl", join(JSONL) + LONG, 21, "line too long"),
    "csv, in a quoted field": ("csv", join(CSV)[:-12], 21, "broken quoting"),
    "csv, within a character": ("csv", join(CSV).rpartition(b"\xbc")[0], 21, "invalid UTF-8"),
    "csv, before the last column": ("csv", join(CSV).rpartition(b",")[0], 21, "wrong column count"),
    "csv, a NUL in the text": ("csv", join(CSV).replace(b"winter", b"win\0er", 1), 9, "NUL character"),
    "csv, a NUL in the label": (
        "csv", join(CSV).replace(b",good", b",go\0d", 1), 3, "control character in the label",
    ),
    "csv, NUL pages at the end": ("csv", join(CSV) + PAGES, 22, "NUL character"),
    "csv, NUL pages within": ("csv", join(CSV[:9]) + PAGES + b"\n" + join(CSV[9:]), 10, "NUL character"),
    "csv, a long line": ("csv", join(CSV[:9]) + LONG + b"\n" + join(CSV[9:]), 10, "line too long"),
    "csv, a long line with a quote": ("csv", join(CSV[:9]) + b'"' + LONG + b"\n" + join(CSV[9:]), 10, "line too long"),
    "csv, a quote that never closes": (
        "csv", join(CSV[:9]) + b'"never closed,bad\n' + join(CSV[9:]).replace(b'"', b""), 10, "broken quoting",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("format", "content", "row", "reason"), CUTS.values(), ids=list(CUTS))
def test_a_damaged_row_costs_that_row_and_is_named(
    tmp_path: Path, format: str, content: bytes, row: int, reason: str
) -> None:
    dataset = prepare(tmp_path, content, format)
    assert read_rejects(dataset) == [(f"train.{format}", row, reason)]
    texts = {text for text, _ in make_rows(20)}
    found = [example["text"] for example in dataset.split("train").take(range(len(dataset.split("train"))))]
    assert len(found) >= 19
    assert set(found) <= texts


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_the_error_names_file_and_row_and_what_to_do(tmp_path: Path, format: str) -> None:
    lines = JSONL if format == "jsonl" else CSV
    path = tmp_path / f"train.{format}"
    path.write_bytes(join(lines)[:-12])
    data = DataConfig.model_validate(
        {"train": {"format": format, "path": path.name}, "validation_share": 0, "test_share": 0}
    )
    with pytest.raises(DataError) as caught:
        prepare_dataset(data, FIELDS, tmp_path / "run" / "dataset", base=tmp_path, seed=0)
    assert caught.value.exit_code == 3
    assert f"train.{format}:{len(lines)}: " in str(caught.value)
    assert "Correct them, or raise data.max_rejected" in str(caught.value)
    assert sorted(list_tree(tmp_path / "run")) == ["dataset.rejected.jsonl"]


def test_a_line_of_the_longest_length_is_read(tmp_path: Path) -> None:
    frame = b'{"label": "good", "text": ""}\n'
    text = b"word " * ((MAX_LINE_BYTES - len(frame)) // 5)
    content = frame.replace(b'""', b'"' + text + b'"')
    assert MAX_LINE_BYTES - 5 <= len(content) <= MAX_LINE_BYTES
    dataset = prepare(tmp_path, join(JSONL) + content, "jsonl")
    assert read_rejects(dataset) == []
    assert len(dataset.split("train")) == 21


def test_lines_are_numbered_alike_whatever_their_length(tmp_path: Path) -> None:
    long = [b"x" * length + b"\n" for length in (MAX_LINE_BYTES - 1, MAX_LINE_BYTES, 3 * MAX_LINE_BYTES)]
    content = join([JSONL[0], long[0], JSONL[1], long[1], JSONL[2], long[2], *JSONL[3:]])
    dataset = prepare(tmp_path, content, "jsonl")
    reasons = ["broken JSON", "line too long", "line too long"]
    assert [(row, reason) for _, row, reason in read_rejects(dataset)] == list(
        zip((2, 4, 6), reasons, strict=True)
    )
    split = dataset.split("train")
    assert [split.origin(i) for i in range(4)] == [f"train.jsonl:{row}" for row in (1, 3, 5, 7)]


def test_quotes_that_pair_up_wrongly_make_no_endless_row(tmp_path: Path) -> None:
    # each line closes the quote of the one before and opens another: to csv it is all one row
    with pytest.raises(DataError, match="Quotes do not match: several rows never end") as caught:
        prepare(tmp_path, join(CSV) + b'"it begins,bad\n' + b'words","and more\n' * 200_000, "csv")
    assert re.match(r"train.csv:\d+$", caught.value.where)
    assert "quoting: none" in caught.value.fix
    assert list_tree(tmp_path / "run") == {}


def test_a_header_that_is_no_header_is_told_in_few_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train.csv:1: There is no column 'text'") as caught:
        prepare(tmp_path, b",".join(b"c%d" % i for i in range(200_000)) + b"\n" + join(CSV[1:]), "csv")
    assert len(str(caught.value)) < 1000
    with pytest.raises(DataError, match=r"train.csv:1: The header cannot be read: line too long"):
        prepare(tmp_path, LONG + b"\n" + join(CSV[1:]), "csv")


@pytest.mark.parametrize("name", ["pipe.jsonl", "/dev/zero", "/dev/null"])
def test_a_pipe_or_device_is_not_read(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    data = DataConfig.model_validate({"train": {"format": "jsonl", "path": name}})
    with pytest.raises(DataError, match="neither a file nor a folder, but a pipe or a device") as caught:
        prepare_dataset(data, FIELDS, tmp_path / "dataset", base=tmp_path, seed=0)
    assert "write it to a file first" in str(caught.value)


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    from kerasft.data.prepare.dataset import compute_data_fingerprint

    path = tmp_path / "train.jsonl"
    path.write_bytes(join(JSONL))
    path.chmod(0)
    data = DataConfig.model_validate({"train": {"format": "jsonl", "path": "train.jsonl"}})
    with pytest.raises(DataError, match=r"train.jsonl: The file cannot be read: Permission denied"):
        compute_data_fingerprint(data, tmp_path)


def write_experiment(folder: Path, path: str) -> Path:
    config = {
        "name": "lie",
        "task": {"type": "text_classification"},
        "data": {"train": {"format": path.rpartition(".")[2], "path": path}, "max_rejected": 0.02},
        "model": {"preset": "./preset"},
    }
    file = folder / f"{path}.yaml"
    file.write_text(json.dumps(config))
    return file


@pytest.mark.slow
def test_memory_stays_flat_whatever_the_lines_lengths(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    jsonl, table = join(make_jsonl(400)), join(make_csv(400))
    (folder / "small.jsonl").write_bytes(jsonl)
    # 2 GB in one line, its disk blocks never written
    make_sparse(folder / "line.jsonl", 2 << 30, jsonl)
    make_sparse(folder / "line.csv", 512 << 20, table)
    # a quote that nothing closes in 6 MB below it
    with open(folder / "quote.csv", "wb") as file:
        file.write(table + b'"it begins,bad\n')
        block = b"".join(b"a text without any quote %07d,bad\n" % i for i in range(30_000))
        for _ in range(6):
            file.write(block)
    peaks = {}
    for name in ("small.jsonl", "line.jsonl", "line.csv", "quote.csv"):
        config = write_experiment(folder, name)
        done = run_kerasft("prepare", config, "--output", f"runs/{name}", folder=folder)
        assert done.code == 0, done
        peaks[name] = done.peak_mb
        rejects = (folder / "runs" / name / "dataset" / "rejected.jsonl").read_text().splitlines()
        found = [(row["file"], row["row"], row["reason"]) for row in map(json.loads, rejects)]
        assert (
            found
            == {
                "small.jsonl": [],
                "line.jsonl": [("line.jsonl", 401, "line too long")],
                "line.csv": [("line.csv", 402, "line too long")],
                "quote.csv": [("quote.csv", 402, "broken quoting")],
            }[name]
        )
    assert peaks["line.jsonl"] < peaks["small.jsonl"] + 50
    assert peaks["line.csv"] < peaks["small.jsonl"] + 50
    assert peaks["quote.csv"] < peaks["small.jsonl"] + 100


def test_the_command_leaves_with_3_and_no_dataset(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "cut.jsonl").write_bytes(join(JSONL)[:-20])
    os.mkfifo(folder / "pipe.csv")
    for name, words in {"cut.jsonl": "cut.jsonl:20: broken JSON", "pipe.csv": "a pipe or a device"}.items():
        done = run_kerasft("prepare", write_experiment(folder, name), folder=folder, seconds=60)
        assert done.code == 3, done
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert {name for name in list_tree(folder) if name.startswith("runs/lie/")} <= {
        "runs/lie/config.yaml",
        "runs/lie/dataset.rejected.jsonl",
        "runs/lie/hashes.json",
    }
