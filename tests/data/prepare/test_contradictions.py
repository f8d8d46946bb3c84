"""Splits whose labels contradict each other are told, and splits that agree are not."""

from __future__ import annotations

import random

import pytest
from data_makers import TAGGED_TEXT_FIELDS as TAGGED
from data_makers import csv_source, sentences

from kerasft.data.config import DataConfig
from kerasft.data.prepare.checks import _describe_contradiction, _explain_one
from kerasft.data.prepare.contradictions import find_swapped
from kerasft.data.prepare.dataset import prepare_dataset

FEELINGS = {
    "good": ["lovely", "superb", "warm"],
    "bad": ["dull", "awful", "cold"],
    "none": ["table", "paper", "list"],
}
TEXTS = sentences(random.Random(11), 200)


def write(path, rows):
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")


def speak(seed: int, count: int, names=("good", "bad")) -> list[tuple[str, str]]:
    """Sentences that hold a word of their label's."""
    chooser = random.Random(seed)
    labels = [names[i % len(names)] for i in range(count)]
    texts = sentences(chooser, count, 4, 8)
    return [
        (f"{text} {chooser.choice(FEELINGS[label])}", label)
        for text, label in zip(texts, labels, strict=True)
    ]


def contradictions(progress) -> list[str]:
    return [message for message in progress.warnings if "contradict" in message]


@pytest.mark.parametrize("near", [False, True])
def test_texts_of_two_splits_with_other_labels_contradict(tmp_path, prepare, progress, near):
    write(tmp_path / "train.csv", [(text, "ab"[i % 2]) for i, text in enumerate(TEXTS)])
    changed = [f"{text} indeed" if near else text for text in TEXTS[:40]]
    write(tmp_path / "test.csv", [(text, "ba"[i % 2]) for i, text in enumerate(changed)])
    dataset = prepare(
        {"train": csv_source("train.csv"), "test": csv_source("test.csv"), "validation_share": 0}
    )
    assert dataset.manifest["leaks"]["train → test"]["contradicting"] == 40
    (message,) = contradictions(progress)[:1]
    assert message.startswith(
        "train and test have contradicting labels: "
        f"of 40 texts that are {'nearly the same ' * near}in both, 40 have another"
    )
    assert ("'a' in train and 'b' in test" in message) is not near
    assert "whether the labels of one are swapped" in message


def test_one_text_of_a_split_that_was_cut_is_told_in_the_singular():
    entry = {"contradicting": 1, "exact": 1, "near": 5}
    message = _describe_contradiction("train → test", entry, [(0, 1)], "text", "ab".__getitem__, own=False)
    assert message == (
        "train and test have contradicting labels: of 6 texts that are exactly or nearly the same in both, 1 has "
        "another label in test; 1 is 'a' in train and 'b' in test. Check the labels of these texts."
    )


@pytest.mark.parametrize(
    ("exact", "near", "told"),
    [
        (1, 0, "1 text of test is also in train:"),
        (0, 2, "2 texts of test are near duplicates of texts in train:"),
        (2, 1, "2 texts of test are also in train, and 1 is a near duplicate:"),
    ],
)
def test_leaks_are_counted_in_words_that_agree(exact, near, told):
    entry = {"exact": exact, "near": near, "examples": []}
    assert _explain_one("train → test", entry, "text", 3) == (told, [])


def test_splits_that_agree_do_not_contradict(tmp_path, prepare, progress):
    write(tmp_path / "train.csv", [(text, "ab"[i % 2]) for i, text in enumerate(TEXTS)])
    write(tmp_path / "test.csv", [(text, "ab"[i % 2]) for i, text in enumerate(TEXTS[:40])])
    prepare({"train": csv_source("train.csv"), "test": csv_source("test.csv"), "validation_share": 0})
    assert contradictions(progress) == []


def test_labels_that_mean_each_other_are_told_without_a_text_in_common(tmp_path, prepare, progress):
    swap = {"good": "bad", "bad": "good", "none": "none"}
    names = ("good", "bad", "none")
    write(tmp_path / "train.csv", speak(1, 300, names))
    write(tmp_path / "validation.csv", speak(2, 120, names))
    write(tmp_path / "test.csv", [(text, swap[label]) for text, label in speak(3, 120, names)])
    config = {name: csv_source(f"{name}.csv") for name in ("train", "validation", "test")}
    prepare({**config, "near_duplicates": False})
    (message,) = contradictions(progress)
    assert message.startswith(
        "train and test have contradicting labels: 'bad' and 'good' seem to be swapped in one of"
    )


def test_types_of_entities_that_mean_each_other_are_told(tmp_path, progress):
    names = {"person": ["Ada Brandt", "Otto Lind", "Iris Vale"], "place": ["Malmo", "Cork", "Ghent"]}
    swap = {"person": "place", "place": "person"}
    for split, kinds in (("train", {}), ("test", swap)):
        lines = []
        for number in range(90):
            kind = ("person", "place")[number % 2]
            words = names[kind][number % 3].split()
            told = kinds.get(kind, kind)
            lines += [f"{word} {'BI'[place > 0]}-{told}" for place, word in enumerate(words)]
            lines += [f"{split}{number} O", ""]
        (tmp_path / f"{split}.conll").write_text("\n".join(lines))
    config = DataConfig.model_validate(
        {
            "train": {"format": "conll", "path": "train.conll"},
            "test": {"format": "conll", "path": "test.conll"},
            "validation_share": 0,
            "near_duplicates": False,
        }
    )
    prepare_dataset(config, TAGGED, tmp_path / "dataset", base=tmp_path, seed=0, progress=progress)
    (message,) = contradictions(progress)
    assert "'person' and 'place' seem to be swapped in one of them" in message


def test_labels_that_words_do_not_tell_are_never_called_swapped():
    chooser = random.Random(0)
    for classes in (2, 5):
        pairs = [(text, chooser.randrange(classes)) for text in TEXTS]
        assert find_swapped(pairs[:100], pairs[100:], classes) == []
    assert find_swapped([(text, 0) for text in TEXTS], [(text, 0) for text in TEXTS], 1) == []
