"""Texts with entities: from words and tags or from spans, to a prepared dataset."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from data_makers import TAGGED_TEXT_FIELDS as FIELDS
from hypothesis import given
from hypothesis import strategies as st

from kerasft.data.config import ConllSource, DataConfig, JsonLinesSource, TfdsSource
from kerasft.data.kinds.fields import Field, InvalidValue, limit_classes
from kerasft.data.kinds.tagging import parse_spans, parse_words, pick_parts, read_tags
from kerasft.data.prepare.dataset import prepare_dataset
from kerasft.data.sources import SourceFile, read_rows
from kerasft.errors import DataError

CONLL = """-DOCSTART- -X- O

Ada NNP B-person
Brandt NNP I-person
flew VBD O
to TO O
Lisbon NNP B-place
. . O

# text of a comment
Nothing NN O
here RB O
"""


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def prepare(folder: Path, config: DataConfig, labels: tuple[str, ...] | None = None, progress=None):
    fields = FIELDS if labels is None else limit_classes(FIELDS, {"types": labels})
    return prepare_dataset(config, fields, folder / "dataset", base=folder, seed=0, progress=progress)


def alone(source) -> DataConfig:
    return DataConfig(train=source, validation_share=0, test_share=0)


def name_entities(dataset, example) -> list[tuple[str, str]]:
    return [
        (example["text"][start:end], dataset.label_names[kind]) for start, end, kind in example["entities"]
    ]


def test_conll_sentences_become_texts_with_words_and_entities(tmp_path: Path) -> None:
    dataset = prepare(tmp_path, alone(ConllSource(format="conll", path=write(tmp_path / "a.conll", CONLL))))
    assert dataset.label_names == ("person", "place")
    first, second = dataset.split("train").take([0, 1])
    assert first["text"] == "Ada Brandt flew to Lisbon ."
    assert [first["text"][start:end] for start, end in first["words"]] == first["text"].split()
    assert name_entities(dataset, first) == [("Ada Brandt", "person"), ("Lisbon", "place")]
    assert first["types"] == (0, 1)
    assert (second["text"], second["entities"], second["types"]) == ("Nothing here", [], ())
    assert dataset.split("train").origin(1).endswith("a.conll:11")
    assert dataset.manifest["splits"]["train"]["labels"] == {"person": 1, "place": 1}


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("I-a I-a B-a O", [(0, 3, "a"), (4, 5, "a")]),  # IOB1: B parts neighbours
        ("B-a E-a S-b O", [(0, 3, "a"), (4, 5, "b")]),  # BIOES
        ("B-a I-a B-b O", [(0, 3, "a"), (4, 5, "b")]),  # IOB2
    ],
)
def test_the_scheme_is_found_from_all_tags_of_a_split(tmp_path: Path, tags: str, found: list) -> None:
    lines = "".join(f"{word}\t{tag}\n" for word, tag in zip(["x", "y", "z", "w"], tags.split(), strict=True))
    dataset = prepare(tmp_path, alone(ConllSource(format="conll", path=write(tmp_path / "a.txt", lines))))
    example = dataset.split("train")[0]
    assert [(start, end, dataset.label_names[kind]) for start, end, kind in example["entities"]] == found


def test_io_tags_are_found_join_neighbours_and_it_is_said(tmp_path: Path, progress) -> None:
    train = write(
        tmp_path / "a.txt", "Dennis person\nHopper person\nmet O\nAda person\nthere O\n\nhe O\nran O\n"
    )
    test = write(tmp_path / "b.txt", "Ada person\nLind person\n")
    config = DataConfig(
        train=ConllSource(format="conll", path=train),
        test=ConllSource(format="conll", path=test),
        validation_share=0,
    )
    dataset = prepare(tmp_path, config, progress=progress)
    assert name_entities(dataset, dataset.split("train")[0]) == [
        ("Dennis Hopper", "person"),
        ("Ada", "person"),
    ]
    assert name_entities(dataset, dataset.split("test")[0]) == [("Ada Lind", "person")]
    assert progress.notes[0].startswith("a.txt: the tags are IO: no tag has a letter, as person (word 1 of")
    assert "set scheme: plain if each" in progress.notes[0]
    assert progress.notes[1].startswith("b.txt: the tags are IO")


def test_plain_tags_of_parts_of_speech_are_said_to_be_each_its_own(tmp_path: Path, progress) -> None:
    path = write(tmp_path / "a.txt", "Ada NNP\nLind NNP\nran VBD\n, ,\n")
    for scheme, found in (("auto", ["NNP", "NNP", "VBD", ","]), ("IO", ["NNP", "VBD", ","])):
        source = ConllSource(format="conll", path=path, scheme=scheme)
        dataset = prepare(tmp_path, alone(source), progress=progress)
        assert [name for _, name in name_entities(dataset, dataset.split("train")[0])] == found
    (note,) = progress.notes
    assert note.startswith("a.txt: the tags are plain: no tag has a letter and a hyphen")
    assert "set scheme: IO if neighbouring words of one tag are one" in note


def test_no_entity_at_all_is_an_error_while_a_split_is_cut_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "".join(f"word{number} O\n\n" for number in range(40)))
    with pytest.raises(DataError, match=r"No row of train has an entity.*\n.*which columns hold the words"):
        prepare(tmp_path, DataConfig(train=ConllSource(format="conll", path=path)))


def test_tags_of_two_kinds_are_told_with_their_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "Ada B-person\nran VBD\n")
    with pytest.raises(DataError, match="Some tags have a prefix") as error:
        prepare(tmp_path, alone(ConllSource(format="conll", path=path)))
    assert error.value.where == "a.txt"


@pytest.mark.parametrize("tag", ["O", "I-x"])
def test_an_invisible_word_is_left_out_and_it_is_said(tag: str) -> None:
    tagged = parse_words(
        {"words": ["a", "\u200b", "b", "c"], "tags": ["B-x", tag, "I-x", "O"]}, "IOB2", "auto"
    )
    assert (tagged.text, tagged.words) == ("a b c", [(0, 1), (2, 3), (4, 5)])
    assert tagged.entities == [(0, 3, "x")]
    assert (tagged.note, tagged.mended) == (
        "invisible words left out",
        "word 2 has nothing visible in it and is left out",
    )


def test_an_entity_that_begins_at_an_invisible_word_stays_one_of_its_own() -> None:
    parts = {"words": ["a", "\u200b", "b", "\ufeff"], "tags": ["B-x", "B-x", "I-x", "B-y"]}
    assert parse_words(parts, "IOB2", "auto").entities == [(0, 1, "x"), (2, 3, "x")]
    with pytest.raises(InvalidValue, match="anything visible"):
        parse_words({"words": ["\u200b"], "tags": ["B-x"]}, "IOB2", "auto")


def test_broken_tags_are_mended_and_listed_by_row(tmp_path: Path) -> None:
    lines = "a\tO\nb\tI-x\nc\tI-x\n\nd\tB-x\ne\tO\nf\tB-x\n"
    source = ConllSource(format="conll", path=write(tmp_path / "a.txt", lines), scheme="IOB2")
    dataset = prepare(tmp_path, alone(source))
    assert name_entities(dataset, dataset.split("train")[0]) == [("b c", "x")]
    (line,) = [json.loads(line) for line in (dataset.folder / "mended.jsonl").read_text().splitlines()]
    assert (line["split"], line["row"]) == ("train", 1)
    assert "word 2, 'b': I-x after O" in line["what"]
    assert dataset.manifest["splits"]["train"]["notes"] == {"broken tags": 1}


def test_a_sentence_with_a_line_of_other_columns_is_rejected_with_its_line(tmp_path: Path) -> None:
    lines = "a\tB-x\n\n" * 200 + "b\tO\nc\n\n"
    dataset = prepare(tmp_path, alone(ConllSource(format="conll", path=write(tmp_path / "a.txt", lines))))
    (line,) = [json.loads(line) for line in (dataset.folder / "rejected.jsonl").read_text().splitlines()]
    assert (line["row"], line["reason"]) == (401, "wrong column count")
    assert "line 402: expected 2, found 1" in line["detail"]


def test_ideographs_are_joined_without_spaces(tmp_path: Path) -> None:
    lines = "".join(f"{word}\t{tag}\n" for word, tag in (("台", "B-p"), ("湾", "I-p"), ("的", "O")))
    dataset = prepare(tmp_path, alone(ConllSource(format="conll", path=write(tmp_path / "a.txt", lines))))
    example = dataset.split("train")[0]
    assert (example["text"], example["entities"]) == ("台湾的", [(0, 2, 0)])


@pytest.mark.parametrize(
    "row",
    [
        {"text": "Ada in Rome", "entities": [[0, 3, "person"], [7, 11, "place"]]},
        {"text": "Ada in Rome", "entities": [{"start": 7, "end": 11, "label": "place"}, [0, 3, "person"]]},
        {
            "text": "Ada in Rome",
            "entity_list": [
                {"entity_type": "place", "entity": "Rome", "entity_index": {"begin": 7, "end": 11}},
                {"entity_type": "person", "entity": "Ada", "entity_index": {"begin": 0, "end": 3}},
            ],
        },
        {"text": "Ada in Rome", "entities": {"start": [0, 7], "end": [3, 11], "type": ["person", "place"]}},
        {"tokens": ["Ada", "in", "Rome"], "ner_tags": ["B-person", "O", "B-place"]},
        {"text": "Ada in Rome", "words": ["Ada", "in", "Rome"], "tags": ["B-person", "O", "B-place,B-x"]},
    ],
    ids=["lists", "objects", "cluener", "side by side", "tokens", "words in a text"],
)
def test_json_lines_of_every_kind_say_the_same(tmp_path: Path, row: dict) -> None:
    path = write(tmp_path / "a.jsonl", json.dumps(row) + "\n")
    dataset = prepare(tmp_path, alone(JsonLinesSource(format="jsonl", path=path)))
    example = dataset.split("train")[0]
    assert name_entities(dataset, example) == [("Ada", "person"), ("Rome", "place")]


def test_a_row_without_the_parts_is_rejected_while_the_others_tell_the_scheme(tmp_path: Path) -> None:
    rows = [{"words": ["a", "b"], "tags": ["B-x", "E-x"]}] * 150 + [{"title": "no text"}]
    path = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    dataset = prepare(tmp_path, alone(JsonLinesSource(format="jsonl", path=path)))
    assert dataset.manifest["splits"]["train"]["rejected"] == {"missing key": 1}
    assert dataset.split("train")[0]["entities"] == [(0, 3, 0)]


def test_keys_of_ones_own_are_named_by_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", json.dumps({"doc": {"body": "Ada"}, "marks": [[0, 3, "p"]]}) + "\n")
    source = JsonLinesSource(format="jsonl", path=path, columns={"text": "doc.body", "entities": "marks"})
    assert prepare(tmp_path, alone(source)).split("train")[0]["entities"] == [(0, 3, 0)]
    with pytest.raises(DataError, match="does not say which columns hold the entities"):
        prepare(tmp_path, alone(JsonLinesSource(format="jsonl", path=path, columns={"text": "doc.body"})))


def test_what_was_prepared_is_read_again_as_a_tfds_dataset(tmp_path: Path) -> None:
    first = prepare(tmp_path, alone(ConllSource(format="conll", path=write(tmp_path / "a.conll", CONLL))))
    columns = {"text": "text", "entities": "entities"}
    again = TfdsSource(format="tfds", path=str(first.folder), split="train", columns=columns)
    second = prepare_dataset(alone(again), FIELDS, tmp_path / "again", base=tmp_path, seed=0)
    for before, after in zip(
        first.split("train").take([0, 1]), second.split("train").take([0, 1]), strict=True
    ):
        assert name_entities(first, before) == name_entities(second, after)


def test_a_table_cannot_hold_entities(tmp_path: Path) -> None:
    from kerasft.data.config import CsvSource

    path = write(tmp_path / "a.csv", "text,label\na,b\n")
    with pytest.raises(DataError, match="cannot hold texts with entities"):
        prepare(tmp_path, alone(CsvSource(format="csv", path=path)))


def test_types_that_the_config_does_not_name_are_rejected(tmp_path: Path) -> None:
    rows = [{"text": f"Ada {number}", "entities": [[0, 3, "person"]]} for number in range(150)]
    rows.append({"text": "Rome", "entities": [[0, 4, "place"]]})
    path = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    dataset = prepare(tmp_path, alone(JsonLinesSource(format="jsonl", path=path)), labels=("person",))
    assert dataset.manifest["splits"]["train"]["rejected"] == {"unknown label": 1}


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"text": "Ada", "entities": [[0, 4, "p"]]}, "entity outside of the text"),
        ({"text": "Ada", "entities": [[2, 2, "p"]]}, "entity outside of the text"),
        ({"text": "Ada", "entities": [[-1, 2, "p"]]}, "entity outside of the text"),
        ({"text": "Ada", "entities": [["0", 2, "p"]]}, "entity is not a span"),
        ({"text": "Ada", "entities": [[True, 2, "p"]]}, "entity is not a span"),
        ({"text": "Ada", "entities": ["Ada"]}, "entity is not a span"),
        ({"text": "Ada", "entities": {"p": 1}}, "entities are not a list"),
        ({"text": "Ada", "entities": [[0, 3, ""]]}, "missing label"),
        ({"text": "A  b", "entities": [[1, 3, "p"]]}, "empty entity"),
        ({"text": "Ada", "entities": [{"start": 0, "end": 2, "type": "p", "text": "Ada"}]},
         "entity differs from the text"),
    ],
)  # fmt: skip
def test_a_span_that_cannot_be_is_refused(parts: dict, reason: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_spans(parts)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"words": ["a"], "tags": ["O", "O"]}, "words and tags differ in number"),
        ({"words": [], "tags": []}, "no words"),
        ({"words": ["a", " "], "tags": ["O", "O"]}, "empty word"),
        ({"words": ["a"], "tags": [""]}, "missing tag"),
        ({"words": ["a"], "tags": [3]}, "tag is not a string"),
        ({"words": "a", "tags": ["O"]}, "words are not a list of strings"),
        ({"words": ["a", "c"], "tags": ["O", "O"], "text": "a b"}, "word not in the text"),
    ],
)
def test_words_that_cannot_be_are_refused(parts: dict, reason: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_words(parts, "IOB2", "auto")
    assert caught.value.reason == reason


def test_of_entities_that_overlap_the_longest_stays_and_it_is_said() -> None:
    tagged = parse_spans({"text": "University of Rome", "entities": [[14, 18, "place"], [0, 18, "org"]]})
    assert tagged.entities == [(0, 18, "org")]
    assert tagged.note == "entities that overlap"
    assert "'Rome' (place)" in tagged.mended


def test_white_space_around_an_entity_is_not_part_of_it() -> None:
    tagged = parse_spans({"text": "in Rome !", "entities": [[2, 8, "place"]]})
    assert (tagged.entities, tagged.note) == ([(3, 7, "place")], "white space around an entity")


def test_an_object_without_the_parts_says_what_it_has() -> None:
    with pytest.raises(InvalidValue) as caught:
        pick_parts({"text": "x", "label": "y"})
    assert caught.value.reason == "missing key"
    assert "there is text, label" in caught.value.detail


def test_of_several_tags_in_a_cell_the_first_counts() -> None:
    assert read_tags(["B-a,B-b", "O", " I-a , O"]) == ["B-a", "O", "I-a"]
    assert read_tags([",", " , ", ",:"]) == [",", ",", ",:"]


@given(
    st.lists(
        st.tuples(st.text("ab é台", min_size=1), st.sampled_from(["O", "B-x", "I-x", "B-y"])), min_size=1
    )
)
def test_every_word_stands_where_it_is_said_to_stand(pairs: list[tuple[str, str]]) -> None:
    words = [word for word, _ in pairs]
    if any(not word.strip() for word in words):
        return
    tagged = parse_words({"words": words, "tags": [tag for _, tag in pairs]}, "IOB2", "auto")
    assert [tagged.text[start:end] for start, end in tagged.words] == [word.strip() for word in words]
    edges = {edge for place in tagged.words for edge in place}
    assert all(start in edges and end in edges for start, end, _ in tagged.entities)


def test_words_with_tags_are_refused_where_the_task_learns_from_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("one O\n", encoding="utf-8")
    source = ConllSource(format="conll", path=str(path))
    with pytest.raises(DataError, match="learns from text and label") as caught:
        list(
            read_rows(
                SourceFile(path, "a.conll"),
                source,
                [Field("text", "text"), Field("label", "label", "target")],
            )
        )
    assert "token_classification" in str(caught.value.fix)
