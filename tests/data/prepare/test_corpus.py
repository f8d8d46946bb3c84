"""A corpus: duplicates dropped, passages of other experiments' tests dropped, what it holds counted."""

import json
import random

import pytest
from data_makers import FIELDS, WORDS, sentences

from kerasft.data.config import DataConfig
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.dataset import Protected, prepare_dataset
from kerasft.errors import DataError

TEXT = (Field("text", "text"),)
WHOLE = {"validation_share": 0, "test_share": 0}


@pytest.fixture
def prepare_corpus(tmp_path, progress):
    def run(texts, data=WHOLE, fields=TEXT, **settings):
        path = tmp_path / "corpus.jsonl"
        path.write_text(
            "".join(json.dumps({"text": text, "label": i % 2}) + "\n" for i, text in enumerate(texts))
        )
        config = DataConfig.model_validate({"train": {"format": "jsonl", "path": "corpus.jsonl"}, **data})
        return prepare_dataset(
            config, fields, tmp_path / "out", base=tmp_path, seed=0, progress=progress, **settings
        )

    return run


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def take(dataset, split="train"):
    return [example["text"] for example in dataset.split(split).take(range(len(dataset.split(split))))]


def change_words(text, random_, every):
    words = text.split()
    for place in range(random_.randrange(every), len(words), every):
        words[place] = random_.choice(WORDS)
    return " ".join(words)


@pytest.fixture
def texts():
    return sentences(random.Random(0), 30, 80, 120)


def test_of_the_same_and_nearly_the_same_the_first_stays(prepare_corpus, texts, progress):
    random_ = random.Random(1)
    nearly = [change_words(text, random_, 25) for text in texts[:10]]
    same = [text.upper() for text in texts[5:15]]
    dataset = prepare_corpus([*texts, *nearly, *same])
    assert take(dataset) == texts
    duplicates = dataset.manifest["splits"]["train"]["duplicates"]
    assert (duplicates["dropped_exact"], duplicates["dropped_near"]) == (10, 10)
    assert (duplicates["exact"], duplicates["near"]) == (0, 0)
    listed = read_lines(dataset.folder / "duplicates.jsonl")
    assert listed == [
        *(
            {"row": f"corpus.jsonl:{31 + i}", "kept": f"corpus.jsonl:{1 + i}", "same": "nearly"}
            for i in range(10)
        ),
        *(
            {"row": f"corpus.jsonl:{41 + i}", "kept": f"corpus.jsonl:{6 + i}", "same": "exactly"}
            for i in range(10)
        ),
    ]
    columns, row = progress.tables["Prepared dataset"]
    assert row[columns.index("duplicates dropped")] == 20


def test_documents_with_other_words_here_and_there_are_no_duplicates(prepare_corpus, texts):
    random_ = random.Random(2)
    others = [change_words(text, random_, 6) for text in texts]
    assert take(prepare_corpus([*texts, *others])) == [*texts, *others]


def test_long_documents_of_one_language_are_no_duplicates(prepare_corpus):
    """Of 20,000 words of a small vocabulary two texts have most runs of five letters in common."""
    documents = sentences(random.Random(3), 4, 20_000, 20_000)
    assert take(prepare_corpus(documents)) == documents


def test_duplicates_stay_where_they_are_to_and_where_there_are_labels(prepare_corpus, texts):
    corpus = [*texts, *texts[:3]]
    assert len(take(prepare_corpus(corpus, WHOLE | {"duplicates": "keep"}))) == 33
    labelled = prepare_corpus(corpus, fields=FIELDS)
    assert len(take(labelled)) == 33
    assert not (labelled.folder / "duplicates.jsonl").exists()
    dropped = prepare_corpus(corpus, WHOLE | {"duplicates": "drop"}, fields=FIELDS)
    assert take(dropped) == texts
    assert dropped.fingerprint != labelled.fingerprint


def test_duplicates_are_dropped_before_validation_is_split_off(prepare_corpus):
    texts = sentences(random.Random(4), 100, 20, 30)
    dataset = prepare_corpus([*texts, *texts], {"validation_share": 0.1, "test_share": 0.1})
    assert [len(dataset.split(name)) for name in ("train", "validation", "test")] == [80, 10, 10]
    assert sorted(take(dataset) + take(dataset, "validation") + take(dataset, "test")) == sorted(texts)


def test_a_near_duplicate_in_validation_joins_no_rows_of_train(prepare_corpus, tmp_path, texts):
    """Two halves of a validation text are no duplicates of each other."""
    first, second = texts[0], texts[1]
    (tmp_path / "validation.txt").write_text(f"{first} {second}")
    data = WHOLE | {
        "validation": {"format": "text", "path": "validation.txt"},
        "near_duplicate_similarity": 0.4,
    }
    dataset = prepare_corpus([first, second, *texts[2:]], data)
    assert take(dataset) == texts
    assert dataset.manifest["leaks"]["train → validation"]["near"] == 1


@pytest.fixture
def protect(tmp_path):
    def protect(name, texts, **settings):
        path = tmp_path / f"{name}.csv"
        path.write_text("text,label\n" + "".join(f"{text},{i % 2}\n" for i, text in enumerate(texts)))
        data = {"test": {"format": "csv", "path": str(path)}} | settings
        return Protected(f"{name}.yaml", DataConfig.model_validate(data), FIELDS, 0)

    return protect


def test_planted_passages_of_a_test_are_found(prepare_corpus, protect, progress):
    random_ = random.Random(5)
    tests = sentences(random_, 300, 8, 40)
    corpus = sentences(random_, 400, 100, 200)
    clean = list(corpus)
    for number in range(100):
        words = tests[number].split()
        size = max(8, len(words) // 2)
        start = random_.randrange(len(words) - size + 1)
        passage = ", ".join(words[start : start + size]).title()
        corpus[number] = f"{corpus[number]}. {passage}! {corpus[number + 100]}"
    dataset = prepare_corpus(corpus, WHOLE | {"near_duplicates": False}, protected=[protect("films", tests)])
    assert set(take(dataset)) <= {*clean, *corpus[:5]}
    entry = dataset.manifest["decontamination"]
    assert 95 <= entry["dropped"] <= 100
    assert entry["against"][0]["config"] == "films.yaml"
    listed = read_lines(dataset.folder / "contaminated.jsonl")
    assert len(listed) == entry["dropped"]
    for line in listed:
        row, example = (int(line[key].rpartition(":")[2]) for key in ("row", "example"))
        assert example == row + 1
        assert line["split"] == "test"
        assert line["passage"][:40] in tests[row - 1]
    assert any("shared a passage with" in note for note in progress.notes)


def test_only_validation_and_test_are_protected_also_those_drawn_from_train(prepare_corpus, protect):
    texts = sentences(random.Random(6), 60, 20, 30)
    protected = protect("films", texts)
    drawn = protected._replace(
        config=DataConfig.model_validate(
            {"train": protected.config.test, "validation_share": 0.2, "test_share": 0.2}
        )
    )
    dataset = prepare_corpus(texts, protected=[drawn])
    assert len(take(dataset)) == 36
    assert dataset.manifest["decontamination"]["dropped"] == 24
    against = dataset.manifest["decontamination"]["against"]
    assert [each["compared"] for each in against] == [24]


def test_validation_of_the_corpus_stays_as_it_is(prepare_corpus, protect, texts):
    data = {"validation": {"from": "train", "last": 0.5, "documents": True}, "test_share": 0}
    dataset = prepare_corpus(texts, data, protected=[protect("films", [*texts[:10], *texts[20:]])])
    assert take(dataset) == texts[10:15]
    assert take(dataset, "validation") == texts[15:]


def test_a_train_of_which_nothing_is_left_is_told(prepare_corpus, protect, texts):
    with pytest.raises(DataError, match="Nothing is left of train: all of its 30 rows were dropped"):
        prepare_corpus(texts, protected=[protect("films", texts)])
    part = {"from": "train", "last": 0.01, "documents": True}
    assert len(take(prepare_corpus(texts, {"validation": part, "test_share": 0}), "validation")) == 1
    with pytest.raises(DataError, match=r"data\.validation: The part of train's 30 rows .* holds none"):
        prepare_corpus(texts, {"validation": part | {"last": None, "first": 0.01}, "test_share": 0})


def test_the_fingerprint_knows_what_was_protected(prepare_corpus, protect, texts):
    others = sentences(random.Random(7), 30, 20, 30)
    prints = {
        prepare_corpus(texts, protected=given).fingerprint
        for given in ([], [protect("a", others)], [protect("b", others[:20])])
    }
    assert len(prints) == 3


def test_a_config_without_validation_and_test_says_so(prepare_corpus, protect, texts):
    protected = protect("films", texts)
    only_train = DataConfig.model_validate({"train": protected.config.test, **WHOLE})
    with pytest.raises(DataError, match=r"films\.yaml has no validation or test examples"):
        prepare_corpus(texts, protected=[protected._replace(config=only_train)])


def test_a_protected_file_that_is_not_there_is_told_with_its_config(prepare_corpus, protect, tmp_path, texts):
    protected = protect("films", texts)
    (tmp_path / "films.csv").unlink()
    with pytest.raises(DataError, match=r"data\.decontaminate: films\.yaml: No file matches"):
        prepare_corpus(texts, protected=[protected])


def test_what_a_corpus_holds_is_counted(prepare_corpus, progress):
    documents = ["Two words.", "Ещё два слова здесь", "汉字 and かな", "x" * 50]
    dataset = prepare_corpus(documents)
    profile = dataset.manifest["splits"]["train"]["profile"]["text"]
    assert profile["documents"] == 4
    assert profile["characters"] == sum(map(len, documents))
    assert profile["bytes"] == sum(len(text.encode()) for text in documents)
    assert profile["words"] == 2 + 4 + 2 + 1 + 1 + 1
    assert profile["lengths"] == {"min": 9, "p5": 9, "p25": 9, "median": 10, "p75": 19, "p95": 50, "max": 50}
    letters = {"Latin": 8 + 3 + 50, "Cyrillic": 16, "Han": 2, "Kana": 2}
    assert profile["scripts"] == pytest.approx({name: n / 81 for name, n in letters.items()})
    columns, row = progress.tables["Corpus"]
    assert row[columns.index("documents")] == 4
    assert row[columns.index("scripts")].startswith("Latin 75.3%  Cyrillic 19.8%")


def test_examples_with_labels_have_no_profile(prepare_corpus, texts):
    assert "profile" not in prepare_corpus(texts, fields=FIELDS).manifest["splits"]["train"]
