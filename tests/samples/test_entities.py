"""Sentences with names: spans are sound, splits are apart, no template is behind them, and folders are kept."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kerasft.cli.main import main
from kerasft.data.duplicates.grams import compute_grams
from kerasft.data.duplicates.minhash import compute_signatures
from kerasft.data.duplicates.near import SIMILARITY, NearPairs, SignatureFiles, find_near_pairs
from kerasft.data.duplicates.normalization import normalize_texts
from kerasft.errors import ConfigError
from kerasft.samples import entity_folder
from kerasft.samples.entity_folder import ENTITY_FILES, ENTITY_TYPES, LANGUAGES, SPLITS, write_entities

SOURCE = Path(entity_folder.__file__).with_name("entities")
Rows = dict[str, list[dict]]


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def rows(language: str) -> Rows:
    return read_rows(language)


def read_rows(language: str) -> Rows:
    """By split."""
    return {
        split: [
            json.loads(line)
            for line in (SOURCE / f"{language}.{split}.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        for split in SPLITS
    }


def list_all(rows: Rows) -> list[dict]:
    return [row for split in SPLITS for row in rows[split]]


def iterate_mentions(rows: list[dict]) -> Iterator[tuple[str, str]]:
    """Yields (mention, type)."""
    for row in rows:
        for start, end, kind in row["entities"]:
            yield row["text"][start:end], kind


def count_types(rows: list[dict]) -> Counter[str]:
    return Counter(kind for _, kind in iterate_mentions(rows))


def test_a_row_has_a_text_and_entities_and_nothing_else(rows: Rows):
    for row in list_all(rows):
        assert list(row) == ["text", "entities"]
        assert row["text"] == row["text"].strip() == unicodedata.normalize("NFC", row["text"])
        assert not re.search(r"\s\s|[\[\]\x00-\x1f]", row["text"]), row["text"]


def test_spans_are_in_order_inside_the_text_and_do_not_overlap(rows: Rows):
    for row in list_all(rows):
        ends = [0]
        for start, end, kind in row["entities"]:
            assert ends[-1] <= start < end <= len(row["text"]), row
            assert kind in ENTITY_TYPES, row
            ends.append(end)


def test_spans_are_whole_words_without_what_is_around_them(rows: Rows, language: str):
    for row in list_all(rows):
        text = row["text"]
        for start, end, _ in row["entities"]:
            mention = text[start:end]
            assert mention == mention.strip(" \"“”'()《》,;:!?。，、"), row
            if language == "en":
                around = text[start - 1 : start] + text[end : end + 1]
                assert not any(sign.isalnum() for sign in around), row


def test_a_full_stop_ends_a_mention_only_where_it_belongs_to_it(rows: Rows):
    ending = {mention for mention, _ in iterate_mentions(list_all(rows)) if mention.endswith(".")}
    assert all(re.search(r"([A-Z]\.){2,}$|(Bros|Jr)\.$", mention) for mention in ending), ending


def test_possessives_articles_and_titles_are_outside(rows: Rows):
    titles = re.compile(r"(?:the|an?|Mrs?|Ms|Dr|Prof|Miss|Lady|Captain|President)\b\.? ")
    wrong = {mention for mention, _ in iterate_mentions(list_all(rows)) if titles.match(mention)}
    assert wrong <= {"Dr. Hauff's"}  # a brand
    possessive = {
        mention for mention, _ in iterate_mentions(list_all(rows)) if re.search(r"['’]s?$", mention)
    }
    assert possessive <= {"Dr. Hauff's"}


def test_no_sentence_stands_twice_in_a_split_or_in_two(rows: Rows):
    def normalize(text: str) -> str:
        return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())

    texts = Counter(normalize(row["text"]) for row in list_all(rows))
    assert set(texts.values()) == {1}


def test_there_are_as_many_as_promised(rows: Rows, language: str):
    everything = list_all(rows)
    least_sentences, least_mentions = {"en": (540, 180), "zh": (145, 50)}[language]
    assert len(everything) >= least_sentences
    assert min(count_types(everything).values()) >= least_mentions
    shares = [len(rows[split]) / len(everything) for split in SPLITS]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.01)


def test_every_split_shows_every_type_about_as_often_as_train(rows: Rows):
    train = count_types(rows["train"])
    for split in SPLITS:
        counts = count_types(rows[split])
        assert set(counts) == set(ENTITY_TYPES)
        for kind in ENTITY_TYPES:
            share, of_train = counts[kind] / counts.total(), train[kind] / train.total()
            assert share == pytest.approx(of_train, abs=0.1), (split, kind)


def test_about_every_seventh_sentence_has_no_entity(rows: Rows):
    for split in SPLITS:
        bare = sum(not row["entities"] for row in rows[split])
        assert 0.1 < bare / len(rows[split]) < 0.2, split


def test_the_readme_counts_what_the_files_hold(rows: Rows, language: str):
    readme = (SOURCE / "README.md").read_text(encoding="utf-8")
    for split in SPLITS:
        counts = count_types(rows[split])
        mentions = [counts[kind] for kind in ("person", "place", "organisation", "product")]
        bare = sum(not row["entities"] for row in rows[split])
        cells = [f"{language}.{split}.jsonl", len(rows[split]), *mentions, bare]
        assert f"| {' | '.join(map(str, cells))} |" in readme


def test_no_template_is_behind_them(rows: Rows, language: str):
    everything = list_all(rows)
    if language == "en":
        heads = Counter(" ".join(row["text"].lower().split()[:3]) for row in everything)
        first_words = Counter(row["text"].lower().split()[0] for row in everything)
        assert max(count for word, count in first_words.items() if word != "the") < 0.04 * len(everything)
    else:
        heads = Counter(row["text"][:4] for row in everything)
    assert max(heads.values()) <= 2
    frames = Counter(blank_out(row) for row in everything)
    assert set(frames.values()) == {1}


def blank_out(row: dict) -> str:
    """The text, each mention replaced by its type."""
    text = row["text"]
    for start, end, kind in reversed(row["entities"]):
        text = f"{text[:start]}<{kind}>{text[end:]}"
    return text


def test_mentions_stand_at_the_beginning_in_the_middle_and_at_the_end(rows: Rows):
    places: dict[str, list[float]] = {kind: [] for kind in ENTITY_TYPES}
    for row in list_all(rows):
        for start, end, kind in row["entities"]:
            places[kind].append(start / max(len(row["text"]) - (end - start), 1))
    for kind, found in places.items():
        thirds = np.histogram(found, bins=3, range=(0, 1))[0] / len(found)
        assert thirds.min() > 0.1, (kind, thirds)


def test_most_mentions_of_test_are_unknown_to_train(rows: Rows):
    known = {mention.casefold() for mention, _ in iterate_mentions(rows["train"])}
    found = [mention.casefold() not in known for mention, _ in iterate_mentions(rows["test"])]
    assert np.mean(found) > 0.75


def test_a_name_that_is_marked_once_is_marked_wherever_it_stands(rows: Rows, language: str):
    everything = list_all(rows)
    names = {mention for mention, _ in iterate_mentions(everything)}
    any_name = "|".join(re.escape(name) for name in names)
    pattern = re.compile(rf"\b(?:{any_name})\b" if language == "en" else any_name)
    missed = [(found[0], row["text"]) for row in everything for found in pattern.finditer(cut_out(row))]
    allowed = {"reading", "Grace", "宋词", "小米", "海口"}  # a word in its other sense
    assert [pair for pair in missed if pair[0] not in allowed] == []


def cut_out(row: dict) -> str:
    """The text, each mention replaced by a sign."""
    return re.sub("<[a-z]+>", "<>", blank_out(row))


def test_some_names_have_two_types():
    kinds: dict[str, set[str]] = {}
    for mention, kind in iterate_mentions(list_all(read_rows("en"))):
        kinds.setdefault(mention, set()).add(kind)
    twofold = {mention for mention, found in kinds.items() if len(found) > 1}
    assert {"Jordan", "Chelsea", "Amazon", "Java"} <= twofold


class Listed:
    """Texts of a list."""

    def __init__(self, texts: list[str]):
        self.texts = texts
        self.lengths = np.array([len(text.encode()) for text in texts], np.uint32)

    def read_texts(self, indices: np.ndarray) -> list[str]:
        return [self.texts[index] for index in indices]


def find_near(texts: list[str], boundaries: list[int], folder: Path) -> NearPairs:
    with SignatureFiles(folder) as signatures:
        signatures.append(*compute_signatures(*compute_grams(normalize_texts(texts))))
        signatures.flush()
        numbers = np.arange(len(texts), dtype=np.uint32)
        return find_near_pairs(signatures, numbers, boundaries, SIMILARITY, Listed(texts))


def test_no_two_sentences_are_nearly_the_same(rows: Rows, tmp_path: Path):
    texts = [row["text"] for row in list_all(rows)]
    boundaries = np.cumsum([0, *(len(rows[split]) for split in SPLITS)]).tolist()
    pairs = find_near(texts, boundaries, tmp_path)
    found = [(texts[i], texts[j]) for i, j in zip(pairs.first, pairs.second, strict=True)]
    assert found == []


def test_a_sentence_that_differs_in_a_word_would_have_been_found(rows: Rows, tmp_path: Path):
    texts = [row["text"] for row in list_all(rows)]
    longest = max(texts, key=len)
    pairs = find_near([*texts, longest[:-4] + "?"], [0, len(texts), len(texts) + 1], tmp_path)
    assert pairs.second.tolist() == [len(texts)]


def test_the_command_writes_a_folder_and_says_when_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "deep" / "entities"
    assert main(["samples", "entities", "--to", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    assert {path.name for path in folder.iterdir()} == set(ENTITY_FILES)
    assert all((folder / name).read_bytes() == (SOURCE / name).read_bytes() for name in ENTITY_FILES)
    assert main(["samples", "entities", "--to", str(folder)]) == 0
    again = capsys.readouterr()
    assert again.out == f"{folder}\n"
    assert "contains exactly these sentences" in again.err


def test_an_empty_folder_is_filled(tmp_path: Path):
    assert write_entities(tmp_path)
    assert not write_entities(tmp_path)


@pytest.mark.parametrize("change", ["another", "cut", "missing", "folder"])
def test_a_folder_with_anything_else_is_refused_and_stays(tmp_path: Path, change: str):
    write_entities(tmp_path)
    path = tmp_path / ENTITY_FILES[0]
    if change == "another":
        (tmp_path / "notes.txt").write_text("mine")
    elif change == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
        if change == "folder":
            path.mkdir()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(ConfigError, match="not empty"):
        write_entities(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_file_in_the_way_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "entities"
    path.write_text("mine")
    assert main(["samples", "entities", "--to", str(path)]) == 2
    assert f"error: {path}: is a file." in capsys.readouterr().err
    assert path.read_text() == "mine"


def test_help_teaches_by_an_example(capsys: pytest.CaptureFixture[str]):
    assert main(["samples", "entities", "--help"]) == 0
    options, _, examples = capsys.readouterr().out.partition("Examples:")
    assert "--to" in options
    assert "  kerasft samples entities --to entities" in examples
