"""Finding near duplicates: planted ones are found, unrelated texts are not, and time grows with the rows alone."""

import random

import numpy as np
import pytest
from data_makers import sentences

from kerasft.data.duplicates import near
from kerasft.data.duplicates.grams import GRAM_WEIGHT, LONG_GRAM_WEIGHT, compute_grams
from kerasft.data.duplicates.minhash import compute_signatures
from kerasft.data.duplicates.near import (
    CORPUS_SIMILARITY,
    SIMILARITY,
    NearPairs,
    SignatureFiles,
    connect,
    find_near_pairs,
)
from kerasft.data.duplicates.normalization import normalize_texts


class Listed:
    """Texts of a list."""

    def __init__(self, texts):
        self.texts = texts
        self.lengths = np.array([len(text.encode()) for text in texts], np.uint32)

    def read_texts(self, indices):
        return [self.texts[i] for i in indices]


def find(texts, boundaries, folder, similarity=SIMILARITY, gram_weight=GRAM_WEIGHT):
    with SignatureFiles(folder) as signatures:
        for start in range(0, len(texts), 700):
            signatures.append(
                *compute_signatures(*compute_grams(normalize_texts(texts[start : start + 700]), gram_weight))
            )
        signatures.flush()
        rows = np.arange(len(texts), dtype=np.uint32)
        return find_near_pairs(
            signatures, rows, boundaries, similarity, Listed(texts), gram_weight=gram_weight
        )


def change(text, random_, kind, changes, words, joint=" "):
    parts = text.split(joint) if joint else [text[i : i + 2] for i in range(0, len(text), 2)]
    for i in sorted(random_.sample(range(len(parts)), changes), reverse=True):
        if kind == "replaced":
            parts[i] = random_.choice(words)
        elif kind == "dropped":
            del parts[i]
        elif kind == "misspelt":
            place = random_.randrange(len(parts[i]))
            parts[i] = parts[i][:place] + random_.choice("etaoin") + parts[i][place + 1 :]
    return joint.join(parts)


@pytest.mark.parametrize("kind", ["replaced", "dropped", "misspelt"])
@pytest.mark.parametrize("changes", [1, 2])
def test_planted_near_duplicates_are_found(tmp_path, kind, changes):
    random_ = random.Random(f"{kind} {changes}")
    train = sentences(random_, 2000)
    words = " ".join(train).split()
    test = [change(text, random_, kind, changes, words) for text in random_.sample(train, 100)] + sentences(
        random_, 100
    )
    pairs = find(train + test, [0, 2000, 2200], tmp_path)
    assert len(set(pairs.second[pairs.second < 2100].tolist())) >= 95
    assert not (pairs.second >= 2100).any()
    assert not (pairs.second < 2000).any()


@pytest.mark.parametrize("changes", [1, 2])
def test_planted_near_duplicates_are_found_in_chinese(tmp_path, changes):
    random_ = random.Random(changes)
    letters = [chr(code) for code in random_.sample(range(0x4E00, 0x9FA5), 2500)]
    words = ["".join(random_.choices(letters, k=2)) for _ in range(3000)]
    train = ["".join(random_.choices(words, k=random_.randint(8, 40))) for _ in range(2000)]
    test = [
        change(text, random_, "replaced", changes, words, joint="") for text in random_.sample(train, 100)
    ]
    pairs = find(train + test, [0, 2000, 2100], tmp_path)
    assert len(set(pairs.second.tolist())) >= 95
    assert (pairs.second >= 2000).all()


def test_pairs_are_exactly_those_of_all_pairs_above_the_similarity(tmp_path):
    random_ = random.Random(3)
    base = sentences(random_, 40, 20, 30)
    words = " ".join(base).split()
    texts = base + [change(text, random_, "replaced", 2, words) for text in base]
    pairs = find(texts, [0, len(texts)], tmp_path, 0.6)
    grams = [{normal[i : i + 5] for i in range(len(normal) - 4)} for normal in texts]
    expected = {}
    for i, mine in enumerate(grams):
        for j in range(i + 1, len(grams)):
            similarity = len(mine & grams[j]) / len(mine | grams[j])
            if similarity >= 0.6:
                expected[i, j] = similarity
    found = dict(
        zip(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True), pairs.similarity, strict=True)
    )
    assert expected
    assert found.keys() == expected.keys()
    for pair, similarity in expected.items():
        assert found[pair] == pytest.approx(similarity, abs=1e-6)


def test_documents_are_compared_by_runs_of_five_words(tmp_path):
    """One word of twenty changed leaves four of five runs; one of six, nearly none."""
    random_ = random.Random(5)
    documents = sentences(random_, 60, 300, 400)
    words = " ".join(documents).split()
    few = [change(text, random_, "replaced", len(text.split()) // 25, words) for text in documents[:20]]
    many = [change(text, random_, "replaced", len(text.split()) // 6, words) for text in documents[20:40]]
    pairs = find([*documents, *few, *many], [0, 100], tmp_path, CORPUS_SIMILARITY, LONG_GRAM_WEIGHT)
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == {
        (i, 60 + i) for i in range(20)
    }


def test_long_documents_are_compared_by_a_sample_of_their_runs(tmp_path, monkeypatch):
    random_ = random.Random(6)
    documents = sentences(random_, 6, 2000, 2000)
    words = " ".join(documents).split()
    texts = documents + [change(text, random_, "replaced", 60, words) for text in documents]
    exact = find(texts, [0, 12], tmp_path, 0.4, LONG_GRAM_WEIGHT)
    monkeypatch.setattr(near, "_MOST_GRAMS", 2000)
    monkeypatch.setattr(near, "_CHUNK_BYTES", 1000)
    sampled = find(texts, [0, 12], tmp_path, 0.4, LONG_GRAM_WEIGHT)
    assert sampled.first.tolist() == exact.first.tolist() == list(range(6))
    assert sampled.second.tolist() == list(range(6, 12))
    assert not np.array_equal(sampled.similarity, exact.similarity)
    np.testing.assert_allclose(sampled.similarity, exact.similarity, atol=0.06)


def test_short_texts_must_be_more_alike(tmp_path):
    pairs = find(
        ["extremely bad", "extremely dumb", "a rather good film", "a rather good films"], [0, 4], tmp_path
    )
    assert list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == [(2, 3)]


def test_every_text_of_a_large_cluster_meets_the_later_split(tmp_path):
    random_ = random.Random(4)
    text = sentences(random_, 1, 30, 30)[0]
    words = text.split()
    train = [change(text, random_, "replaced", 1, words) + f" {i}" for i in range(300)]
    pairs = find([*train, text], [0, 300, 301], tmp_path)
    assert set(pairs.first[pairs.second == 300].tolist()) == set(range(300))


def test_rows_all_of_one_template_cost_linear_work(tmp_path):
    rows = [
        f"the order with the number {i * 7919 % 100_003} has arrived at the warehouse" for i in range(3000)
    ]
    pairs = find(rows, [0, 3000], tmp_path)
    assert len(np.unique(np.concatenate([pairs.first, pairs.second]))) == 3000
    assert len(pairs.first) <= 3000 * 16


def test_rows_are_connected_by_chains_and_by_equal_text():
    groups = np.array([0, 1, 2, 3, 1, 5], np.uint32)
    pairs = NearPairs(np.array([2, 1]), np.array([3, 2]), np.array([0.9, 0.9], np.float32))
    assert connect(groups, pairs).tolist() == [0, 1, 1, 1, 1, 5]
