"""n-grams, signatures and similarities against plain sets of substrings."""

import random

import numpy as np
import pytest

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
