"""Validation and test as parts of train's own files, by bytes and by documents."""

import random

import pytest
from data_makers import FIELDS, sentences
from hypothesis import given
from hypothesis import strategies as st

from kerasft.data.config import DataConfig
from kerasft.data.kinds.base import ReadValue
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.dataset import prepare_dataset
from kerasft.data.prepare.parts import ByteCutter, lay_out
from kerasft.errors import ConfigError

TEXT = (Field("text", "text"),)
BY_BYTES = {"from": "train", "last": 0.1}


def read(dataset, split):
    return [example["text"] for example in dataset.split(split).take(range(len(dataset.split(split))))]


@pytest.fixture
def prepare_text(tmp_path, progress):
    def run(data, fields=TEXT):
        config = DataConfig.model_validate({"validation_share": 0, "test_share": 0, "leaks": "warn", **data})
        return prepare_dataset(config, fields, tmp_path / "out", base=tmp_path, seed=0, progress=progress)

    return run


@pytest.mark.parametrize("alphabet", ["abc \n", "aé字🙂 \n"])
@pytest.mark.parametrize("document", ["file", "line"])
def test_the_last_tenth_of_a_file_is_exact(tmp_path, prepare_text, alphabet, document):
    content = "".join(random.Random(0).choices(alphabet, k=5000)).strip("\n")
    if document == "line":
        content = "".join(
            line for line in content.splitlines(keepends=True) if len(line) > 5 and line.strip()
        )
    (tmp_path / "story.txt").write_bytes(content.encode())
    data = {"train": {"format": "text", "path": "story.txt", "document": document}, "duplicates": "keep"}
    dataset = prepare_text(data | {"validation": BY_BYTES})
    train, validation = "".join(read(dataset, "train")), "".join(read(dataset, "validation"))
    whole = content if document == "file" else content.replace("\n", "")
    assert train + validation == whole
    size = len(whole.encode())
    # a character at the boundary is the later part's
    assert int(size * 0.9) - 3 <= len(train.encode()) <= int(size * 0.9)
    assert dataset.splits == ("train", "validation")
    assert dataset.manifest["splits"]["validation"]["cut_from_train"]


def test_rows_of_the_second_half_are_numbered_by_their_own_line(tmp_path, prepare_text):
    (tmp_path / "story.txt").write_text("".join(f"line {number:04}\n" for number in range(1, 101)))
    dataset = prepare_text({"train": {"format": "text", "path": "story.txt"}, "validation": BY_BYTES})
    assert dataset.split("validation").origin(0) == "story.txt:91"
    assert read(dataset, "validation") == ["".join(f"line {number:04}\n" for number in range(91, 101))]


def test_the_part_goes_over_all_files_in_their_order(tmp_path, prepare_text):
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(name * 100)
    dataset = prepare_text(
        {
            "train": {"format": "text", "path": ["b.txt", "a.txt", "c.txt"]},
            "validation": {"from": "train", "last": 0.5},
        }
    )
    assert read(dataset, "train") == ["b" * 100, "a" * 50]
    assert read(dataset, "validation") == ["a" * 50, "c" * 100]


def test_test_is_outside_of_validation_at_either_end(tmp_path, prepare_text):
    (tmp_path / "x.txt").write_text("0123456789")
    for end, expected in (("last", ("01234567", "8", "9")), ("first", ("23456789", "1", "0"))):
        part = {"from": "train", end: 0.1}
        dataset = prepare_text(
            {"train": {"format": "text", "path": "x.txt"}, "validation": part, "test": part}
        )
        assert tuple("".join(read(dataset, split)) for split in ("train", "validation", "test")) == expected


def test_documents_stay_whole(tmp_path, prepare_text):
    texts = sentences(random.Random(1), 20)
    (tmp_path / "x.csv").write_text(
        "text,label\n" + "".join(f"{text},{i % 2}\n" for i, text in enumerate(texts))
    )
    part = {"from": "train", "last": 0.25, "documents": True}
    dataset = prepare_text({"train": {"format": "csv", "path": "x.csv"}, "validation": part}, FIELDS)
    assert read(dataset, "validation") == texts[15:]
    assert read(dataset, "train") == texts[:15]
    assert dataset.manifest["splits"]["train"]["labels"] == {"0": 8, "1": 7}


def test_a_test_split_can_be_drawn_from_what_is_left(tmp_path, prepare_text):
    texts = sentences(random.Random(2), 100)
    (tmp_path / "x.txt").write_text("\n".join(texts))
    for end in ("last", "first"):
        part = {"from": "train", end: 0.2, "documents": True}
        train = {"format": "text", "path": "x.txt", "document": "line"}
        dataset = prepare_text({"train": train, "validation": part, "test_share": 0.1})
        expected = texts[80:] if end == "last" else texts[:20]
        assert read(dataset, "validation") == expected
        assert len(dataset.split("test")) == 8
        assert sorted(read(dataset, "train") + read(dataset, "test")) == sorted(set(texts) - set(expected))


def test_examples_with_labels_are_not_cut_by_bytes(tmp_path, prepare_text):
    (tmp_path / "x.csv").write_text("text,label\na,b\n")
    with pytest.raises(ConfigError, match="Only texts without labels") as error:
        prepare_text({"train": {"format": "csv", "path": "x.csv"}, "validation": BY_BYTES}, FIELDS)
    assert error.value.fix == "Set documents: true."


@given(
    texts=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=12),
    shares=st.tuples(st.floats(0.01, 0.49), st.floats(0.01, 0.49)),
    ends=st.tuples(st.sampled_from(["first", "last"]), st.sampled_from(["first", "last"])),
)
def test_nothing_is_lost_and_parts_are_as_large_as_they_should_be(texts, shares, ends):
    texts = [text.encode("utf-8", "replace") for text in texts]
    config = DataConfig.model_validate(
        {
            "train": {"format": "text", "path": "x"},
            "validation": {"from": "train", ends[0]: shares[0]},
            "test": {"from": "train", ends[1]: shares[1]},
        }
    )
    total = sum(map(len, texts))
    layout = lay_out(config.parts, total)
    cutter = ByteCutter(layout, counts_lines=False)
    pieces = []
    for text in texts:
        values, _ = cutter.cut([ReadValue(text)], [1])
        pieces += [value.payload for value in values]
    assert b"".join(pieces) == b"".join(texts)
    assert all(piece and piece.decode("utf-8") for piece in pieces)
    assert sum(cutter.rows) == len(pieces)
    taken = 0
    for (_, end), segment in zip(layout, cutter.segments, strict=True):
        taken += segment.rows
        assert end - 3 <= sum(map(len, pieces[:taken])) <= end


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"validation": {"from": "train"}}, "give last or first"),
        (
            {"validation": {"from": "train", "last": 0.6}, "test": {"from": "train", "first": 0.4}},
            "leave nothing",
        ),
        (
            {
                "validation": {"from": "train", "last": 0.1},
                "test": {"from": "train", "first": 0.1, "documents": True},
            },
            "documents must be the same",
        ),
        ({"train": None, "test": {"from": "train", "first": 0.1}}, "no train to take a part from"),
        ({"validation": {"from": "test", "last": 0.1}}, "'train'"),
        ({"validation": {"form": "train", "last": 0.1}}, "form"),
    ],
)
def test_what_cannot_be_is_told(data, message):
    with pytest.raises(ValueError, match=message):
        DataConfig.model_validate({"train": {"format": "text", "path": "x"}, **data})


def test_a_part_reads_back_as_it_was_written():
    config = DataConfig.model_validate({"train": {"format": "text", "path": "x"}, "validation": BY_BYTES})
    assert DataConfig.model_validate(config.model_dump(mode="json")) == config
