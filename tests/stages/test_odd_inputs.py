"""`predict` and the exported model, side by side on what programs stumble over: the same answers, or none from both."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from kerasft.runs.folder import RunFolder
from kerasft.stages.predict import Predictor

sys.path.insert(0, str(Path(__file__).parents[1] / "vision"))
import odd_pictures

PIECES = [
    "word", "Ada Lovelace", "Zürich", "naïve", "Jose\u0301", "彭小军", "ABC2008", "안녕", "שלום", "مرحبا", "👩‍👩‍👧‍👦",
    "👍🏽", " ", "  ", "\t", "\n",
    "\r\n", "\v\f", "\x85", "\xa0", "\u2028", "\u3000", "\u200b", "\u200d", "\u00ad", "\ufeff",
    "\x00", "\x07", "\x7f", "\u202e", "\ue000", "\ufffd", "\uffff", "\U0010ffff", "\ud83d", "\udc00", "ﬁ", "İ", "ß",
    "!", "...", "—", "«»", "[CLS]", "[SEP]", "##ing", "x" * 120, "\u0301" * 5, "क्षि", "=1+1", "<b>", "\\", "'\"",
]  # fmt: skip


def make_strings(count: int) -> list[str]:
    random = np.random.default_rng(0)
    joined = ["".join(random.choice(PIECES, random.integers(0, 12))) for _ in range(count // 2)]
    anywhere = [
        "".join(chr(point) for point in random.integers(0, 0x110000, random.integers(1, 30)))
        for _ in range(count - len(joined))
    ]
    return [*joined, *anywhere]


@pytest.fixture(scope="module")
def whole_and_bad(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    """Files that must have an answer, and files that must have none."""
    folder = tmp_path_factory.mktemp("odd")
    groups = []
    for name, pictures in (("whole", odd_pictures.list_whole()), ("bad", odd_pictures.list_bad())):
        paths = []
        for number, (_, data) in enumerate(pictures):
            paths.append(folder / f"{name} {number}")
            paths[-1].write_bytes(data)
        groups.append(paths)
    return groups[0], groups[1]


def open_served(run: RunFolder) -> Any:
    return tf.saved_model.load(str(run.export / "1")).signatures["serving_default"]


@pytest.mark.slow
def test_every_kind_of_picture_is_answered_alike_or_refused_alike(
    tiny_image_run: RunFolder, whole_and_bad: tuple[list[Path], list[Path]]
) -> None:
    whole, bad = whole_and_bad
    damaged = list(make_damaged([path.read_bytes() for path in whole]))
    paths = [*whole, *bad]
    for data in damaged:
        paths.append(whole[0].with_name(f"damaged {len(paths)}"))
        paths[-1].write_bytes(data)
    assert len(paths) >= 200
    predicted = list(
        Predictor(tiny_image_run).predict([{"image": path} for path in paths], refuse=lambda *_: None)
    )
    answers = open_served(tiny_image_run)(image=tf.constant([path.read_bytes() for path in paths]))
    served = {name: values.numpy() for name, values in answers.items()}
    for index, answer in enumerate(predicted):
        assert ("error" in answer) == bool(served["status"][index]), (answer, served["status"][index])
        if "error" in answer:
            assert served["label"][index] == b""
            assert not served["probabilities"][index].any()
            continue
        difference = np.abs(list(answer["probabilities"].values()) - served["probabilities"][index]).max()
        assert difference < 1e-4, answer["image"]
        assert served["label"][index].decode() == answer["label"]
    assert not any(served["status"][: len(whole)])
    assert all(served["status"][len(whole) : len(whole) + len(bad)])


def make_damaged(files: list[bytes]) -> list[bytes]:
    """Files with bytes changed or taken out, which some readers take and some do not."""
    random = np.random.default_rng(1)
    damaged = []
    for data in files[::4]:
        changed = bytearray(data)
        changed[random.integers(len(data))] ^= 1 << random.integers(8)
        damaged += [bytes(changed), data[: random.integers(len(data))]]
    return damaged


@pytest.mark.slow
@pytest.mark.parametrize("fixture", ["tiny_run", "tiny_entity_run"])
def test_two_thousand_odd_strings_are_answered_alike(request: pytest.FixtureRequest, fixture: str) -> None:
    run = request.getfixturevalue(fixture)
    texts = make_strings(2000)
    predicted = list(Predictor(run).predict([{"text": text} for text in texts]))
    serve = open_served(run)
    for start in range(0, len(texts), 100):
        batch = [text.encode("utf-8", "replace") for text in texts[start : start + 100]]
        served = {name: values.numpy() for name, values in serve(text=tf.constant(batch)).items()}
        assert not any(served["status"])
        for row, answer in enumerate(predicted[start : start + 100]):
            if "entities" not in answer:
                expected = list(answer["probabilities"].values())
                assert np.abs(expected - served["probabilities"][row]).max() < 1e-4
                continue
            entities = answer["entities"]
            assert served["count"][row] == len(entities), answer["text"]
            for name in ("start", "end"):
                assert served[name][row, : len(entities)].tolist() == [one[name] for one in entities]
            scores = served["score"][row, : len(entities)]
            np.testing.assert_allclose(scores, [one["score"] for one in entities], atol=1e-4)


@pytest.mark.parametrize("fixture", ["tiny_run", "tiny_entity_run"])
def test_a_text_without_an_answer_says_why_and_leaves_the_others_theirs(
    request: pytest.FixtureRequest, fixture: str
) -> None:
    serve = open_served(request.getfixturevalue(fixture))
    good = b"Ada Lovelace met a dull film in Lisbon"
    batch = [good, b"\xff\xfe", b"", b"x" * (8 << 20) + b"y", "é".encode()[:1], good]
    served = {name: values.numpy() for name, values in serve(text=tf.constant(batch)).items()}
    told = [status.decode() for status in served["status"]]
    assert told == [
        "",
        "invalid UTF-8",
        "",
        "too long: a text has at most 8,388,608 bytes",
        "invalid UTF-8",
        "",
    ]
    alone = {name: values.numpy() for name, values in serve(text=tf.constant([good])).items()}
    for name, values in alone.items():
        kept = values[0][: served[name].shape[1]] if values.ndim > 1 else values[0]
        found = served[name][0][: len(kept)] if values.ndim > 1 else served[name][0]
        if values.dtype.kind == "f":
            np.testing.assert_allclose(found, kept, atol=1e-5)
        else:
            np.testing.assert_array_equal(found, kept)
    if "label" in served:
        assert served["label"][1] == b""
        assert not served["probabilities"][[1, 3, 4]].any()
    else:
        assert served["count"][[1, 3, 4]].tolist() == [0, 0, 0]
