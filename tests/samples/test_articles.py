"""Articles: varied English without labels, of the promised size, with no passage twice; folders are kept."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from kerasft.cli.main import main
from kerasft.data.duplicates.passages import PassageIndex
from kerasft.errors import ConfigError
from kerasft.samples import article_folder
from kerasft.samples.article_folder import write_articles

SOURCE = Path(article_folder.__file__).with_name("articles")


@pytest.fixture(scope="module")
def articles() -> dict[str, str]:
    return {path.name: path.read_bytes().decode("utf-8") for path in sorted(SOURCE.iterdir())}


def list_words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", text.lower())


def test_there_are_as_many_as_promised(articles: dict[str, str]):
    assert len(articles) >= 60
    assert 100_000 <= sum(len(text.encode()) for text in articles.values()) <= 130_000
    assert all(re.fullmatch(r"[a-z_]+\.txt", name) for name in articles)


def test_each_has_200_to_500_words_in_several_paragraphs(articles: dict[str, str]):
    for name, text in articles.items():
        assert 200 <= len(text.split()) <= 500, name
        assert text.count("\n\n") >= 3, name


def test_they_are_clean_text(articles: dict[str, str]):
    for name, text in articles.items():
        assert text == unicodedata.normalize("NFC", text), name
        assert text == text.strip() + "\n", name
        assert not re.search(r"\n{3}|[ \t]\n|[^\S\n ]|  |[\x00-\x09\x0b-\x1f\ufffd\ufeff]", text), name


def test_other_scripts_occur_and_are_rare(articles: dict[str, str]):
    letters = [letter for text in articles.values() for letter in text if letter.isalpha()]
    scripts = Counter(unicodedata.name(letter).split()[0] for letter in letters)
    assert set(scripts) == {"LATIN", "GREEK", "CYRILLIC", "CJK", "HIRAGANA"}
    assert 0.999 < scripts["LATIN"] / len(letters) < 1


def test_no_two_share_a_passage_of_50_letters(articles: dict[str, str], tmp_path: Path):
    names = list(articles)
    for i, name in enumerate(names[1:], start=1):
        assert find_passages(articles[name], [articles[other] for other in names[:i]], tmp_path) == []


def find_passages(text: str, others: list[str], folder: Path) -> list[str]:
    index = PassageIndex(folder / "passages")
    index.add(others)
    index.close()
    return [match.passage for match in index.find([text])]


def test_a_shared_passage_would_have_been_found(articles: dict[str, str], tmp_path: Path):
    first, second, *_ = articles.values()
    sentence = max(re.findall(r"[^.\n]+\.", first), key=len)
    assert find_passages(f"{second}{sentence}\n", [first], tmp_path) != []


def test_no_template_is_behind_them(articles: dict[str, str]):
    def count(length: int) -> Counter[tuple[str, ...]]:
        words = {name: list_words(text) for name, text in articles.items()}
        # once an article: a refrain in one of them is its own affair
        return Counter(
            gram
            for row in words.values()
            for gram in set(zip(*(row[i:] for i in range(length)), strict=False))
        )

    assert count(5).most_common(1)[0][1] <= 3
    assert count(7).most_common(1)[0][1] <= 2
    openings = Counter(tuple(list_words(text)[:2]) for text in articles.values())
    assert max(openings.values()) <= 2


def test_the_words_are_many(articles: dict[str, str]):
    words = Counter(word for text in articles.values() for word in list_words(text))
    assert len(words) > 3000


def test_the_command_writes_a_folder_and_says_when_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], articles: dict[str, str]
):
    folder = tmp_path / "deep" / "articles"
    assert main(["samples", "articles", "--to", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    assert {path.name: path.read_bytes().decode() for path in folder.iterdir()} == articles
    assert main(["samples", "articles", "--to", str(folder)]) == 0
    again = capsys.readouterr()
    assert again.out == f"{folder}\n"
    assert "contains exactly these articles" in again.err


@pytest.mark.parametrize("change", ["another", "edited"])
def test_a_folder_with_anything_else_is_refused_and_stays(tmp_path: Path, change: str):
    assert write_articles(tmp_path)
    path = tmp_path / ("notes.txt" if change == "another" else "bread.txt")
    path.write_text("mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match="not empty, and does not contain exactly these articles"):
        write_articles(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_help_teaches_by_an_example(capsys: pytest.CaptureFixture[str]):
    assert main(["samples", "articles", "--help"]) == 0
    options, _, examples = capsys.readouterr().out.partition("Examples:")
    assert "--to" in options
    assert "  kerasft samples articles --to runs/articles" in examples
