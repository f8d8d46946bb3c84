"""n-grams, signatures and similarities against plain sets of substrings."""

import random

import numpy as np
import pytest

from kerasft.data.duplicates import grams as grams_module
from kerasft.data.duplicates.grams import compute_grams
from kerasft.data.duplicates.minhash import (
    BANDS,
    ROWS_PER_BAND,
    compute_jaccard,
    compute_signatures,
    estimate_similarity,
)
from kerasft.data.duplicates.normalization import normalize_texts


def jaccard(a, b):
    return len(a & b) / len(a | b)


def substrings(text, length):
    return {text[i : i + length] for i in range(max(len(text) - length + 1, 1))}


@pytest.mark.parametrize(
    ("alphabet", "length"),
    [("abcdefg", 5), ("жзийклм", 5), ("がぎぐげござじ", 3), ("가나다라마바", 3), ("天地玄黄宇宙洪荒", 2)],
)
def test_similarity_is_that_of_sets_of_substrings(alphabet, length):
    random_ = random.Random(0)
    texts = ["".join(random_.choices(alphabet, k=random_.randint(1, 40))) for _ in range(60)]
    texts += [text[:-1] or text for text in texts]
    first, second = np.arange(60), np.arange(60, 120)
    found = compute_jaccard(*compute_grams(normalize_texts(texts)), first, second)
    expected = [
        jaccard(substrings(texts[i], length), substrings(texts[j], length))
        for i, j in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("weight", "length"), [(25, 25), (7, 7), (1, 1)])
def test_ngrams_of_any_length_are_the_different_substrings(weight, length):
    random_ = random.Random(2)
    texts = ["".join(random_.choices("abc", k=random_.randint(1, 60))) for _ in range(80)]
    grams, starts = compute_grams(normalize_texts(texts), weight)
    for i, text in enumerate(texts):
        own = grams[starts[i] : starts[i + 1]]
        assert len(own) == max(len(text) - length + 1, 1)
        assert len(set(own.tolist())) == len(substrings(text, length))


def test_ngrams_do_not_depend_on_where_a_long_batch_is_cut(monkeypatch):
    texts = ["the quick brown fox jumps over it", "你好 world 你好", "x", "がが好き", "y" * 40] * 5
    whole = compute_grams(normalize_texts(texts), 9)
    for size in (1, 7, 40):
        monkeypatch.setattr(grams_module, "_CHUNK", size)
        for found, expected in zip(compute_grams(normalize_texts(texts), 9), whole, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [1, 20, 150, 3000])
def test_places_agree_as_often_as_the_similarity_says_at_any_number_of_ngrams(size):
    """Texts of few n-grams need many rounds, texts of many one: the share of equal places is the similarity's."""
    random_ = np.random.default_rng(size)
    pairs, shared = 400 if size < 1000 else 60, size - size // 3
    sets = random_.integers(0, 2**32, (pairs, 2 * size - shared), dtype=np.uint32)
    grams = np.concatenate([sets[:, :size], sets[:, size - shared :]]).reshape(-1)
    bands, sketches = compute_signatures(grams, np.arange(2 * pairs + 1) * size)
    similarity = shared / (2 * size - shared)
    first, second = np.arange(pairs), np.arange(pairs, 2 * pairs)
    estimate = estimate_similarity(sketches, first, second)
    assert estimate.mean() == pytest.approx(similarity, abs=0.015)
    assert estimate.std() < 0.06
    agree = (bands[:, first] == bands[:, second]).mean()
    assert agree == pytest.approx(similarity**ROWS_PER_BAND, abs=0.02)


def test_a_text_too_short_for_an_ngram_is_one():
    grams, starts = compute_grams(normalize_texts(["ab", "a", "abcdef", "好"]))
    assert np.diff(starts).tolist() == [1, 1, 2, 1]
    assert len(set(grams.tolist())) == 5


def test_ngrams_do_not_depend_on_the_batch():
    texts = ["the quick brown fox", "你好 world", "x", "が好き"]
    grams, starts = compute_grams(normalize_texts(texts))
    for i, text in enumerate(texts):
        alone, _ = compute_grams(normalize_texts([text]))
        np.testing.assert_array_equal(grams[starts[i] : starts[i + 1]], alone)


def test_signatures_do_not_depend_on_the_batch():
    texts = ["the quick brown fox jumps", "你好 world 你好", "x"]
    bands, sketches = compute_signatures(*compute_grams(normalize_texts(texts)))
    for i, text in enumerate(texts):
        alone, sketch = compute_signatures(*compute_grams(normalize_texts([text])))
        np.testing.assert_array_equal(bands[:, i], alone[:, 0])
        np.testing.assert_array_equal(sketches[i], sketch[0])


def test_bands_agree_as_often_as_the_similarity_says():
    """P(band agrees) = s^3: 400 pairs of similarity about 0.6, 32 bands each."""
    random_ = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = ["".join(random_.choices(letters, k=120)) for _ in range(400)]
    texts += [text[:90] + "".join(random_.choices(letters, k=30)) for text in texts]
    grams, starts = compute_grams(normalize_texts(texts))
    first, second = np.arange(400), np.arange(400, 800)
    similarity = compute_jaccard(grams, starts, first, second)
    bands, sketches = compute_signatures(grams, starts)
    assert bands.shape == (BANDS, 800)
    agree = (bands[:, first] == bands[:, second]).mean()
    assert agree == pytest.approx((similarity**ROWS_PER_BAND).mean(), abs=0.02)
    estimate = estimate_similarity(sketches, first, second)
    assert estimate.mean() == pytest.approx(similarity.mean(), abs=0.02)
    assert (estimate - similarity).std() < 0.06
