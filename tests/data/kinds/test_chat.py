"""Conversations: their spellings, what is refused, and what a dataset then holds."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kerasft.data.config import DataConfig
from kerasft.data.kinds import load_kind
from kerasft.data.kinds.chat import parse_messages
from kerasft.data.kinds.fields import Field, InvalidValue
from kerasft.data.prepare.dataset import prepare_dataset
from kerasft.errors import DataError

FIELD = Field("messages", "chat")
TURNS = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello! \u4f60\u597d"}]
READ = [("user", "Hi."), ("assistant", "Hello! \u4f60\u597d")]


@pytest.mark.parametrize(
    "value",
    [
        TURNS,
        [{**turn, "name": "x"} for turn in TURNS],
        {"role": ["user", "assistant"], "content": ["Hi.", "Hello! \u4f60\u597d"]},
        json.dumps(TURNS),
    ],
)
def test_the_usual_spellings_mean_the_same_conversation(value):
    assert parse_messages(value) == READ


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (None, "missing messages", "found null"),
        (3, "messages are not a list", "found a number"),
        ("Hi.", "messages are not a list", "nor JSON of one"),
        (["Hi."], "message is not an object", "message 1: found text"),
        ([{"role": "user"}], "message without a content", "message 1: no 'content'; there is role"),
        ([TURNS[0], {"from": "gpt"}], "message without a role", "message 2: no 'role'; there is from"),
        ([{"role": "user", "content": None}], "message without a content", "content is null"),
        ([{"role": "", "content": "x"}], "message without a role", "role is ''"),
        ([{"role": "user", "content": "a\0b"}], "NUL character", "message 1: at character 1"),
        (
            '[{"role": "assistant", "content": "a", "content": "b"}]',
            "duplicate key",
            "'content' has several values",
        ),
        ([], "no message of the assistant", "there are none"),
        ([TURNS[0]], "no message of the assistant", "there are user"),
        ([{"role": "assistant", "content": " "}], "no message of the assistant", "there are assistant"),
    ],
)
def test_what_is_no_conversation_is_refused_by_its_message(value, reason, detail):
    with pytest.raises(InvalidValue) as caught:
        parse_messages(value)
    assert caught.value.reason == reason
    assert detail in caught.value.detail


def test_what_predict_is_asked_about_is_read_alike():
    kind = load_kind(FIELD)
    assert kind.read_input(TURNS) == kind.read_input(json.dumps(TURNS)) == READ
    assert kind.read_served(b"Hi.\x1eHello!") == "Hi.\x1eHello!"
    with pytest.raises(DataError, match="invalid UTF-8"):
        kind.read_served(b"\xff")
    with pytest.raises(DataError, match="message is not an object: message 1") as caught:
        kind.read_input(["x"])
    assert '"role": "user"' in caught.value.fix


@pytest.mark.parametrize("format_", ["jsonl", "parquet"])
def test_a_dataset_of_conversations(tmp_path: Path, format_: str):
    rows = [
        [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "a " * n}]
        for n in range(1, 9)
    ]
    bad = [{"role": "user", "content": "alone"}]
    if format_ == "jsonl":
        lines = [json.dumps({"chat": row}) for row in [*rows, bad, rows[3]]]
        (tmp_path / "train.jsonl").write_text("\n".join(lines))
    else:
        pq.write_table(pa.table({"chat": [*rows, bad, rows[3]]}), tmp_path / "train.parquet")
    source = {"format": format_, "path": f"train.{format_}", "columns": {"messages": "chat"}}
    shares = {"validation_share": 0.0, "test_share": 0.0, "max_rejected": 0.5, "near_duplicates": False}
    config = DataConfig.model_validate({"train": source, **shares})
    split = prepare_dataset(config, (FIELD,), tmp_path / "dataset", base=tmp_path, seed=0).split("train")
    assert [example["messages"] for example in split.take(range(len(split)))] == [
        [(message["role"], message["content"]) for message in row] for row in rows
    ]
    assert [split.origin(number) for number in (0, 7)] == [f"train.{format_}:1", f"train.{format_}:8"]
    (reject,) = (tmp_path / "dataset" / "rejected.jsonl").read_text().splitlines()
    assert json.loads(reject) | {"content": ""} == {
        "split": "train", "file": f"train.{format_}", "row": 9, "reason": "no message of the assistant",
        "detail": "there are user", "content": "",
    }  # fmt: skip


def test_what_was_prepared_can_be_read_again_as_a_tfds_dataset(tmp_path: Path):
    (tmp_path / "train.jsonl").write_text(
        "".join(json.dumps({"messages": TURNS[:1] * n + TURNS}) + "\n" for n in (0, 1))
    )
    shares = {"validation_share": 0.0, "test_share": 0.0, "near_duplicates": False}
    for source, folder in (
        ({"format": "jsonl", "path": "train.jsonl"}, "one"),
        ({"format": "tfds", "path": "one", "split": "train"}, "two"),
    ):
        config = DataConfig.model_validate({"train": source, **shares})
        split = prepare_dataset(config, (FIELD,), tmp_path / folder, base=tmp_path, seed=0).split("train")
    assert [example["messages"] for example in split.take(range(len(split)))] == [READ, [READ[0], *READ]]
