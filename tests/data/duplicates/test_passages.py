"""Passages of protected texts in others: against plain substrings of the normalised texts."""

import random

import numpy as np
import pytest
from data_makers import WORDS, sentences

from kerasft.data.duplicates.normalization import normalize_texts
from kerasft.data.duplicates.passages import ANCHOR_WEIGHT, PASSAGE_WEIGHT, PassageIndex


@pytest.fixture
def find(tmp_path):
    def find(protected, texts):
        index = PassageIndex(tmp_path / "passages")
        for start in range(0, len(protected), 7):
            index.add(protected[start : start + 7])
        index.close()
        return {match.text: match for match in index.find(texts)}

    return find


def normalize(text):
    return "".join(map(chr, normalize_texts([text]).codes))


def share_passage(text, protected):
    """Whether they have a run of 50 characters in common, or the text has the protected one whole."""
    text, protected = normalize(text), normalize(protected)
    if len(protected) < ANCHOR_WEIGHT:
        return False
    runs = {protected[i : i + PASSAGE_WEIGHT] for i in range(max(len(protected) - PASSAGE_WEIGHT, 0) + 1)}
    return any(run in text for run in runs)


def test_every_passage_of_fifty_letters_is_found_and_none_of_forty_nine(find):
    random_ = random.Random(0)
    letters = "".join(random_.choices("abcdefghijklmnopqrstuvwxyz", k=400))
    others = ["".join(random_.choices("abcdefghijklmnopqrstuvwxyz", k=80)) for _ in range(200)]
    fifty = [f"{other}{letters[i : i + 50]}{other}" for i, other in enumerate(others)]
    shorter = [f"{other}{letters[i : i + 49]}!{other}" for i, other in enumerate(others)]
    found = find([letters], fifty)
    assert set(found) == set(range(200))
    expected = {i for i, text in enumerate(shorter) if share_passage(text, letters)}
    assert len(expected) < 20
    assert set(find([letters], shorter)) == expected


def test_texts_are_found_as_their_substrings_say(find):
    random_ = random.Random(1)
    protected = sentences(random_, 40, 2, 25)
    texts = []
    for number in range(120):
        words = random_.choices(WORDS, k=30)
        taken = protected[number % 40].split()
        start = random_.randrange(len(taken))
        words[10:10] = taken[start : start + random_.randint(1, 20)]
        texts.append(" ".join(words))
    expected = {
        i: {j for j, other in enumerate(protected) if share_passage(text, other)}
        for i, text in enumerate(texts)
    }
    found = find(protected, texts)
    assert set(found) == {i for i, others in expected.items() if others}
    assert all(match.protected in expected[i] for i, match in found.items())
    assert 20 < len(found) < 100


def test_case_punctuation_and_spaces_do_not_count(find):
    protected = "The quick brown fox jumps over the lazy dog, and then it sleeps for a very long time."
    shown = find([protected], [f"Once:  {protected.upper().replace(' ', ' - ')} End."])[0].passage
    assert shown.startswith("the quick brown fox jumps over the lazy dog and then it sleeps")


def test_a_text_shorter_than_a_passage_must_stand_there_whole(find):
    short = "a film of wit and of great warmth"
    assert ANCHOR_WEIGHT <= len(short) < PASSAGE_WEIGHT
    found = find([short], [f"they said it is {short} indeed", f"they said it is {short[:-1]}y indeed", short])
    assert set(found) == {0, 2}


def test_chinese_passages_are_seventeen_characters(find):
    random_ = random.Random(2)
    letters = "".join(chr(code) for code in random_.sample(range(0x4E00, 0x9FA5), 400))
    protected, other = letters[:200], letters[200:260]
    texts = [f"{other}{protected[i : i + 17]}{other}" for i in range(180)]
    assert set(find([protected], texts)) == set(range(180))
    assert not find([protected], [f"{other}{protected[i : i + 9]}{other}" for i in range(180)])


@pytest.mark.parametrize("scripts", ["aあ", "a字", "あ字", "aあ字"])
@pytest.mark.parametrize("share", [1 / 6, 1 / 3])
def test_passages_in_mixed_scripts_are_all_found_from_a_weight_of_fifty(find, scripts, share):
    random_ = random.Random(5)
    alphabets = {
        "a": "abcdefghijklmnopqrstuvwxyz",
        "あ": [chr(code) for code in range(0xAC00, 0xD7A0)],
        "字": [chr(code) for code in range(0x4E00, 0x9FA5)],
    }
    first, *others = scripts

    def draw(count):
        kinds = [random_.choice(others) if random_.random() < share else first for _ in range(count)]
        return "".join(random_.choice(alphabets[kind]) for kind in kinds)

    protected = draw(400)
    weights = np.concatenate(([0], np.cumsum(normalize_texts([protected]).kinds, dtype=np.int64)))
    stops = np.searchsorted(weights, weights[:300] + PASSAGE_WEIGHT)
    passages = [protected[start:stop] for start, stop in enumerate(stops)]
    around = draw(40)
    assert set(find([protected], [f"{around}{passage}{around}" for passage in passages])) == set(range(300))


def test_anchors_of_letters_alone_stand_as_far_apart_as_passages_allow(tmp_path):
    index = PassageIndex(tmp_path / "passages")
    index.add(["ab" * 210 + "c", "字" * 147])
    index.close()
    places = sorted(index._sorted_places.tolist())
    assert places == [*range(0, 421 - 30 + 1, 21), *range(421, 421 + 147 - 10 + 1, 7)]


def test_texts_that_are_too_short_are_counted(tmp_path):
    index = PassageIndex(tmp_path / "passages")
    index.add(["too short", "this one is long enough to be looked for"])
    index.close()
    assert (index.count, index.too_short) == (2, 1)
    assert not index.find(["it is too short"])


def test_nothing_protected_finds_nothing(find):
    assert find([], ["a text of any words"]) == {}
