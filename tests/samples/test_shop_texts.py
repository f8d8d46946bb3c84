"""Shop texts: as many as promised, of one style, each its own, things apart by split; folders are kept."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from kerasft.cli.main import main
from kerasft.errors import ConfigError
from kerasft.samples import shop_folder
from kerasft.samples.shop_folder import SHOP_FILES, SHOP_SPLITS, write_shop_texts

SOURCE = Path(shop_folder.__file__).with_name("shop_texts")
STYLE = re.compile(r"\n[A-Z][^\n]+[.?!:,)] Fair warning: [^\n]+[.]\nCare: [^\n]+[.]")
THINGS = {
    "validation": "apple corer, bellow, cane topper, candle snuffer, clothes horse, compass, doorstop, eye mask, "
    "globe, lampshade, letter opener, luggage tag, nut cracker, oil can, paperweight, radiator key, rain gauge, "
    "sand timer, spirit level, sprinkler, step stool, storm lantern, toast rack, vase",
    "test": "bicycle bell, bookmark, butter dish, coffee pot, copper ring, darning mushroom, hammock, hole punch, "
    "honey dipper, hot water bottle, mirror, night light, padlock, pepper mill, plug adaptor, plunger, rubber stamp, "
    "sealing wax, shoehorn, soldering iron, sundial, thimble, trug, wheelbarrow",
}
Rows = dict[str, list[dict]]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """By split."""
    return {
        split: [
            json.loads(line) for line in (SOURCE / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        for split in SHOP_SPLITS
    }


@pytest.fixture(scope="module")
def everything(rows: Rows) -> list[dict]:
    return [row for split in SHOP_SPLITS for row in rows[split]]


def list_words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['-][^\W_]+)*", text.lower())


def find_repeated(texts: list[str], length: int) -> list[str]:
    """Runs of so many words that occur in two texts."""
    grams = Counter(
        gram
        for text in texts
        for gram in {
            tuple(list_words(text)[i : i + length]) for i in range(len(list_words(text)) - length + 1)
        }
    )
    return [" ".join(gram) for gram, count in grams.items() if count > 1]


def test_there_are_as_many_as_promised(rows: Rows):
    assert {split: len(found) for split, found in rows.items()} == {
        "train": 200,
        "validation": 24,
        "test": 24,
    }


def test_a_row_has_a_prompt_and_a_completion_in_ascii(everything: list[dict]):
    for row in everything:
        assert list(row) == ["prompt", "completion"]
        assert re.fullmatch(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", row["prompt"])
        assert re.fullmatch(r"[\x20-\x7e\n]+", row["completion"])
        assert "  " not in row["prompt"] + row["completion"]


def test_all_are_of_one_style(everything: list[dict]):
    for row in everything:
        text = row["completion"]
        assert STYLE.fullmatch(text), text
        assert text.count("Fair warning:") == text.count("Care:") == 1
        assert 25 <= len(text.split()) <= 55, text


def test_numbers_are_words(everything: list[dict]):
    found = [re.sub(r"\bA[45]\b", "", row["completion"]) for row in everything]
    assert [text for text in found if re.search(r"\d", text)] == []


def test_no_five_words_in_a_row_occur_in_two_texts(everything: list[dict]):
    texts = [row["completion"] for row in everything]
    assert find_repeated(texts, 5) == []
    assert find_repeated([*texts, f"Oh: {texts[0]}"], 5) != []


def test_no_note_stands_twice_and_none_begins_as_many_do(everything: list[dict]):
    assert len({tuple(list_words(row["prompt"])) for row in everything}) == len(everything)
    heads = Counter(" ".join(list_words(row["prompt"])[:2]) for row in everything)
    assert max(heads.values()) <= 3


@pytest.mark.parametrize("split", list(THINGS))
def test_what_is_measured_is_not_for_sale_elsewhere(rows: Rows, split: str):
    elsewhere = "\n".join(
        f"{row['prompt']} {row['completion']}"
        for other in SHOP_SPLITS
        if other != split
        for row in rows[other]
    )
    things = THINGS[split].split(", ")
    named = {
        thing: [row["prompt"] for row in rows[split] if mentions(row["prompt"], thing)] for thing in things
    }
    assert {thing: len(found) for thing, found in named.items()} == dict.fromkeys(things, 1)
    assert len({prompt for found in named.values() for prompt in found}) == len(rows[split])
    assert [thing for thing in things if mentions(elsewhere, thing)] == []


def mentions(text: str, thing: str) -> bool:
    return re.search(rf"\b{thing}s?\b", text, re.IGNORECASE) is not None


def test_the_readme_counts_what_the_files_hold(rows: Rows):
    readme = (SOURCE / "README.md").read_text(encoding="utf-8")
    for split, found in rows.items():
        words = [len(row["completion"].split()) for row in found]
        assert f"| {split}.jsonl | {len(found)} | {min(words)} to {max(words)} |" in readme


def test_the_command_writes_a_folder_and_says_when_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "deep" / "shop_texts"
    assert main(["samples", "shop-texts", "--to", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    assert {path.name for path in folder.iterdir()} == set(SHOP_FILES)
    assert all((folder / name).read_bytes() == (SOURCE / name).read_bytes() for name in SHOP_FILES)
    assert main(["samples", "shop-texts", "--to", str(folder)]) == 0
    assert "contains exactly these shop texts" in capsys.readouterr().err


def test_a_folder_with_anything_else_is_refused_and_stays(tmp_path: Path):
    assert write_shop_texts(tmp_path)
    (tmp_path / "train.jsonl").write_text("mine")
    with pytest.raises(ConfigError, match="not empty, and does not contain exactly these shop texts"):
        write_shop_texts(tmp_path)
    assert (tmp_path / "train.jsonl").read_text() == "mine"


def test_help_teaches_by_an_example(capsys: pytest.CaptureFixture[str]):
    assert main(["samples", "shop-texts", "--help"]) == 0
    options, _, examples = capsys.readouterr().out.partition("Examples:")
    assert "--to" in options
    assert "  kerasft samples shop-texts --to runs/shop_texts" in examples
