"""Texts that go on from prompts: the same at once and piece by piece, in any batch, with a cache and without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from small_decoders import MeanDecoder, make_table

from kerasft.errors import DataError
from kerasft.text.generation.config import GenerationConfig
from kerasft.text.generation.generator import Generator
from kerasft.text.generation.options import OPTION_SPECS, Options
from kerasft.text.generation.prompts import EMPTY, NO_MESSAGES, PromptReader
from kerasft.text.generation.writer import TextWriter
from kerasft.text.raw import INVALID
from kerasft.text.tokenizers.base import ABSENT
from kerasft.text.tokenizers.characters import Characters, CharacterVocabulary
from kerasft.text.tokenizers.config import TokenizerConfig
from kerasft.text.tokenizers.loading import load_tokenizer
from kerasft.text.tokenizers.training import train_tokenizer

GREEDY = GenerationConfig(temperature=0.0, max_new_tokens=20)
DRAWN = GenerationConfig(temperature=1.0, top_p=0.9, top_k=12, max_new_tokens=40, repetition_penalty=1.1)
LETTERS = "abcdefghijklmnop \n"
PROMPTS = ["a", "go on from here", "plod\nalong", "ping"]


def make_characters(letters: str = LETTERS, *, ends: bool = True) -> Characters:
    tokenizer = Characters(CharacterVocabulary(tuple(letters)))
    if not ends:
        tokenizer._special_ids = tokenizer.special_ids._replace(end=ABSENT)
    return tokenizer


def make_writer(context: int = 64, tokenizer: Any = None, **options: Any) -> TextWriter:
    tokenizer = tokenizer or make_characters()
    return TextWriter(Generator(MeanDecoder(tokenizer.vocabulary_size, context), tokenizer, **options))


@pytest.fixture(scope="module")
def writer() -> TextWriter:
    """Random weights and a token a character."""
    return make_writer()


@pytest.fixture(scope="module")
def bytes_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A token a byte, and the end of a text."""
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(TokenizerConfig(type="byte_bpe", vocabulary_size=257), ["abc"], folder)
    return load_tokenizer(folder)


def write_without_cache(
    decoder: MeanDecoder, tokenizer: Any, prompt: str, config: GenerationConfig
) -> tuple[str, int]:
    """The likeliest tokens, each from the scores of all tokens that are in the window; and how many."""
    ids = tokenizer.tokenize(tf.constant([prompt])).to_list()[0]
    written: list[int] = []
    while len(written) < config.max_new_tokens:
        scores = decoder.compute_without_cache(ids)
        known = np.unique(ids)
        factor = np.where(scores[known] > 0, 1 / config.repetition_penalty, config.repetition_penalty)
        scores[known] *= factor
        scores[[0, 1, 3]] = -np.inf  # padding, unknown, mask
        written.append(int(scores.argmax()))
        if written[-1] == tokenizer.special_ids.end:
            return tokenizer.decode([written[:-1]]).numpy()[0].decode(), len(written)
        ids = [*(ids[-(decoder.context // 2) :] if len(ids) == decoder.context else ids), written[-1]]
    return tokenizer.decode([written]).numpy()[0].decode(), len(written)


@pytest.mark.numerical
def test_greedy_texts_are_those_without_a_cache() -> None:
    tokenizer = make_characters()
    decoder = MeanDecoder(tokenizer.vocabulary_size, 24)
    writer, ended = TextWriter(Generator(decoder, tokenizer)), []
    for penalty in (1.0, 1.5):
        config = GREEDY.change({"max_new_tokens": 50, "repetition_penalty": penalty}, "")
        texts = writer.write(PROMPTS, config)
        for prompt, text in zip(PROMPTS, texts, strict=True):
            expected = write_without_cache(decoder, tokenizer, prompt, config)
            assert (text.continuation, text.tokens) == expected
            ended.append(text.ended)
    assert set(ended) == {"end token", "length"}


def test_a_text_depends_on_its_seed_and_its_number_and_on_nothing_beside_it(writer: TextWriter) -> None:
    together = writer.write(PROMPTS, DRAWN)
    assert writer.write(PROMPTS, DRAWN) == together
    assert len({text.continuation for text in together}) == len(PROMPTS)
    for number, prompt in enumerate(PROMPTS):
        assert writer.write([prompt], DRAWN, first_row=number) == [together[number]]
    assert writer.write([*PROMPTS[:2], "other", b"\xff", ""], DRAWN)[:2] == together[:2]
    same = writer.write(["a"] * 3, DRAWN)
    assert len({text.continuation for text in same}) == 3
    assert writer.write(PROMPTS, DRAWN.change({"seed": 1}, "")) != together


def test_pieces_are_the_text(writer: TextWriter) -> None:
    for number, config in enumerate(
        [
            GREEDY,
            DRAWN,
            DRAWN.change({"stop": ("a", "ko", "\n")}, ""),
            DRAWN.change({"max_new_tokens": 1}, ""),
        ]
    ):
        (text,) = writer.write(["go on"], config, first_row=number)
        stream = writer.stream("go on", config, row=number)
        pieces = list(stream)
        assert "".join(pieces) == text.continuation
        assert "" not in pieces
        assert (stream.tokens, stream.ended, stream.left_out) == text[1:4]


def test_nothing_is_traced_again(writer: TextWriter) -> None:
    writer.warm_up()
    writer.warm_up(streams=True)
    assert writer.traces == 3
    for prompts, config in (
        (PROMPTS, GREEDY),
        (["a" * 100], DRAWN),
        ([], GREEDY),
        (["b"] * 9, DRAWN.change({"stop": ("x", "yz"), "max_new_tokens": 100, "seed": 3}, "")),
    ):
        writer.write(prompts, config)
    for prompt, count in (("a", 80), ("b" * 70, 3)):
        list(writer.stream(prompt, DRAWN.change({"max_new_tokens": count, "stop": ("q",)}, "")))
    assert writer.traces == 3


def make_table_writer(tokenizer: Any, text: str | bytes) -> TextWriter:
    """Of a model that repeats a text for ever, whose tokens are all different."""
    ids = tokenizer.tokenize(tf.constant([text])).to_list()[0]
    return TextWriter(Generator(make_table(ids, tokenizer.vocabulary_size), tokenizer))


def write_both(writer: TextWriter, stops: Sequence[str] = (), count: int = 30) -> tuple[Any, list[str]]:
    """What is written at once, and the pieces of the same."""
    config = GREEDY.change({"stop": tuple(stops), "max_new_tokens": count}, "")
    (written,) = writer.write([""], config)
    stream = writer.stream("", config)
    pieces = list(stream)
    assert "".join(pieces) == written.continuation
    assert (stream.tokens, stream.ended) == (written.tokens, written.ended)
    return written, pieces


@pytest.fixture(scope="module")
def letters_writer() -> TextWriter:
    """Writes abcdeabcde…"""
    return make_table_writer(make_characters(), "abcde")


@pytest.mark.parametrize(
    ("stops", "text", "tokens", "pieces"),
    [
        ((), "abcdeabcde", 10, list("abcdeabcde")),
        (("de",), "abc", 5, list("abc")),
        (("bcd", "d"), "a", 4, ["a"]),
        (("ce", "eb", "ea"), "abcd", 6, ["a", "b", "cd"]),
        (("abcdeabcdeb", "x"), "abcdeabcde", 10, ["abcdeabcde"]),
        (("a",), "", 1, []),
        (("abd", "bcdf"), "abcdeabcde", 10, None),
    ],
)
def test_a_stop_string_ends_a_text_wherever_its_tokens_are_cut(
    letters_writer: TextWriter, stops, text, tokens, pieces
) -> None:
    written, shown = write_both(letters_writer, stops, count=10)
    assert (written.continuation, written.tokens) == (text, tokens)
    assert written.ended == ("length" if tokens == 10 else "stop string")
    assert shown == pieces or pieces is None


def test_characters_that_tokens_cut_come_out_whole(bytes_tokenizer: Any) -> None:
    writer = make_table_writer(bytes_tokenizer, "é👍b")
    written, pieces = write_both(writer, count=14)
    assert (written.continuation, written.tokens) == ("é👍bé👍b", 14)
    assert pieces == ["é", "👍", "b", "é", "👍", "b"]
    written, pieces = write_both(writer, count=5)
    assert (written.continuation, written.ended, pieces) == ("é", "length", ["é"])
    written, pieces = write_both(writer, ["👍b"])
    assert (written.continuation, written.ended, pieces) == ("é", "stop string", ["é"])
    # the first bytes of the stop string are those of another character
    written, pieces = write_both(writer, ["👎"], count=7)
    assert pieces == ["é", "👍", "b"]


def test_bytes_that_are_no_text_become_replacements(bytes_tokenizer: Any) -> None:
    ids = [bytes_tokenizer.vocabulary.byte_ids[byte] for byte in b"a\xe5\xf0\x9fz"]
    writer = TextWriter(Generator(make_table(ids, bytes_tokenizer.vocabulary_size), bytes_tokenizer))
    config = GREEDY.change({"max_new_tokens": 9}, "")
    (written,) = writer.write(["z"], config)
    assert written.continuation == "a\ufffd\ufffdza\ufffd"


def test_a_special_token_that_is_spelled_in_a_prompt_is_text(bytes_tokenizer: Any) -> None:
    end = bytes_tokenizer.special_ids.end
    spelled = bytes_tokenizer.vocabulary.tokens[end].decode()
    read = Generator(MeanDecoder(257, 64), bytes_tokenizer).prompts.read(tf.constant([spelled, ""]))
    assert read.lengths.numpy().tolist() == [len(spelled), 1]
    assert end not in read.token_ids[0].numpy()[: len(spelled)]
    assert read.token_ids[1, 0] == end


def test_an_end_token_ends_a_text_and_is_no_part_of_it() -> None:
    tokenizer = make_characters()
    a, b, end = 4, 5, tokenizer.special_ids.end
    decoder = make_table([a, b, end], tokenizer.vocabulary_size)
    (written,) = TextWriter(Generator(decoder, tokenizer)).write(["a"], GREEDY)
    assert written == ("b", 2, "end token", 0, "")


def test_tokens_that_say_nothing_are_never_written() -> None:
    tokenizer = make_characters(ends=False)
    special = tokenizer.special_ids
    ids = [special.mask, special.padding, special.unknown, 2]
    size = tokenizer.vocabulary_size + 2  # more embeddings than tokens
    decoder = make_table([*ids, size - 1, size - 2], size)
    hot = GREEDY.change({"temperature": 1000.0, "top_p": 1.0, "max_new_tokens": 100}, "")
    for config in (GREEDY, hot):
        (written,) = TextWriter(Generator(decoder, tokenizer)).write(["a"], config)
        assert len(written.continuation) == written.tokens == config.max_new_tokens
        assert set(written.continuation) <= set(LETTERS)


def test_an_empty_prompt_begins_with_a_token_or_is_refused(writer: TextWriter) -> None:
    (written,) = writer.write([""], GREEDY)
    assert (written.status, written.tokens > 0) == ("", True)
    reader = PromptReader(make_characters(ends=False), 64)
    assert reader.read(tf.constant(["", "a"])).status.numpy().tolist() == [EMPTY.encode(), b""]
    framed = PromptReader(make_characters(ends=False), 64, [5])
    assert framed.read(tf.constant([""])).status.numpy().tolist() == [b""]


def test_prompts_that_cannot_be_used_have_a_status_and_others_their_text(writer: TextWriter) -> None:
    good = writer.write(["go"], GREEDY)
    written = writer.write(["go", b"\xff\xfe", b"a\xf0\x9f"], GREEDY)
    assert written[:1] == good
    assert [text.status for text in written] == ["", INVALID, INVALID]
    assert written[1] == ("", 0, "", 0, INVALID)
    assert writer.write([], GREEDY) == []
    with pytest.raises(DataError, match=INVALID):
        writer.stream(b"\xff", GREEDY)


def test_of_a_long_prompt_the_end_is_read(writer: TextWriter) -> None:
    long = "abcdefghij" * 30
    cut, short = writer.write([long, long[-64:]], GREEDY)
    assert cut == short._replace(left_out=300 - 64)
    stream = writer.stream(long, GREEDY)
    assert ("".join(stream), stream.left_out) == (cut.continuation, 236)


def read_ids(before: list[int], prompt: str, context: int = 16) -> tuple[list[int], int, int]:
    """A prompt's tokens, how many of them stay, and how many were left out."""
    read = PromptReader(make_characters(), context, before).read(tf.constant([prompt, "abc"]))
    ids = read.token_ids.numpy()[0, : int(read.lengths[0])].tolist()
    return ids, int(read.kept[0]), int(read.left_out[0])


def test_tokens_before_a_prompt_stay_where_it_is_cut() -> None:
    assert read_ids([4, 5], "d") == ([4, 5, 7], 2, 0)
    assert read_ids([4, 5], "") == ([4, 5], 2, 0)
    assert read_ids([4, 5], "abcdefghijklmnop") == ([4, 5, *range(6, 20)], 2, 2)
    # as many as half of the context would leave too little of the text
    assert read_ids([4] * 4, "abcdefgh", 8) == (list(range(4, 12)), 0, 4)
    assert read_ids([4] * 3, "abcdefgh", 8) == ([4, 4, 4, *range(7, 12)], 3, 3)


def test_tokens_before_a_prompt_stay_where_a_text_fills_the_context() -> None:
    tokenizer = make_characters()
    decoder = MeanDecoder(tokenizer.vocabulary_size, 24)
    prompts = PromptReader(tokenizer, 24, [4, 5])
    (written,) = TextWriter(Generator(decoder, tokenizer, prompts=prompts, end_ids=[])).write(
        ["c"], GREEDY.change({"max_new_tokens": 60}, "")
    )
    ids, expected = [4, 5, 6], []
    while len(expected) < 60:
        scores = decoder.compute_without_cache(ids)
        scores[[0, 1, 2, 3]] = -np.inf
        expected.append(int(scores.argmax()))
        # of 24 tokens the first 2 and the last 10 stay
        ids = [*([*ids[:2], *ids[-10:]] if len(ids) == 24 else ids), expected[-1]]
    assert written.continuation == tokenizer.decode([expected]).numpy()[0].decode()


def test_a_model_of_texts_is_given_no_messages(writer: TextWriter) -> None:
    texts = writer.write(["go", [{"role": "user", "content": "go"}]], GREEDY)
    assert [text.status for text in texts] == ["", NO_MESSAGES]
    assert texts[:1] == writer.write(["go"], GREEDY)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_new_tokens", 0),
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("repetition_penalty", 0.0),
    ],
)
def test_options_that_are_none_are_refused_by_name(writer: TextWriter, name: str, value: float) -> None:
    right = dict(zip(Options._fields, (5, 1.0, 0, 1.0, 1.0, 0, []), strict=True))
    told = right | {name: value}
    options = Options(
        *(
            tf.constant(told[spec.name], spec.dtype, [0] if spec.name == "stop" else [])
            for spec in OPTION_SPECS
        )
    )
    answers = writer.ask(["go", "on"], options)
    assert answers["continuation"].tolist() == [b"", b""]
    assert answers["tokens"].tolist() == [0, 0]
    for status in answers["status"]:
        assert status.decode().startswith(f"{name}: expected ")


def test_an_empty_stop_string_of_a_call_is_passed_over(writer: TextWriter) -> None:
    told = (20, 0.0, 0, 1.0, 1.0, 0, ["", "zz"])
    options = Options(
        *(tf.constant(value, spec.dtype) for value, spec in zip(told, OPTION_SPECS, strict=True))
    )
    assert (
        writer.ask(["go"], options)["continuation"][0].decode()
        == writer.write(["go"], GREEDY)[0].continuation
    )


def test_words_that_bring_their_space_follow_a_space_without_it(tmp_path: Path) -> None:
    texts = ["the cat sat on the mat", "the dog sat on the cat", "a cat and a dog sat"] * 4
    train_tokenizer(TokenizerConfig(type="unigram", vocabulary_size=40), texts, tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    cat = tokenizer.tokenize(tf.constant(["cat"])).to_list()[0]
    assert tokenizer.spell(tf.constant(cat[:1])).numpy()[0].startswith(b" ")
    generator = Generator(make_table(cat, tokenizer.vocabulary_size), tokenizer)
    writer, config = TextWriter(generator), GREEDY.change({"max_new_tokens": len(cat)}, "")
    for prompt, text in (("the", " cat"), ("the ", "cat"), ("the\n", "cat")):
        prompted = [*tokenizer.tokenize(tf.constant([prompt])).to_list()[0]]
        assert prompted[-1] not in cat
        (written,) = writer.write([prompt], config)
        assert written.continuation == "".join(writer.stream(prompt, config)) == text


def test_what_is_a_text_of_its_own_begins_without_a_space(tmp_path: Path) -> None:
    train_tokenizer(
        TokenizerConfig(type="unigram", vocabulary_size=40), ["the cat sat", "a cat"] * 9, tmp_path
    )
    tokenizer = load_tokenizer(tmp_path)
    cat = tokenizer.tokenize(tf.constant(["cat"])).to_list()[0]
    decoder, config = (
        make_table(cat, tokenizer.vocabulary_size),
        GREEDY.change({"max_new_tokens": len(cat)}, ""),
    )
    prompts = PromptReader(tokenizer, 64, starts_text=True)
    writer = TextWriter(Generator(decoder, tokenizer, prompts=prompts))
    (written,) = writer.write(["the"], config)
    assert written.continuation == "".join(writer.stream("the", config)) == "cat"


def test_it_is_saved_and_loaded_with_tensorflow_alone(tmp_path: Path, writer: TextWriter) -> None:
    generator = Generator(MeanDecoder(make_characters().vocabulary_size, 64), make_characters())
    tf.saved_model.save(generator, str(tmp_path), signatures=generator.signatures)
    serve = tf.saved_model.load(str(tmp_path)).signatures["generate"]
    options = dict(zip(Options._fields, (40, 1.0, 12, 0.9, 1.1, 0, ["q"]), strict=True))
    config = DRAWN.change({"stop": ("q",)}, "")
    told = {
        name: tf.constant(value, spec.dtype)
        for (name, value), spec in zip(options.items(), OPTION_SPECS, strict=True)
    }
    for prompts in (PROMPTS, [], ["b" * 80, b"\xff"]):
        answers = serve(prompt=tf.constant(prompts, tf.string, [len(prompts)]), **told)
        columns = {name: answer.numpy().tolist() for name, answer in answers.items()}
        for number, text in enumerate(writer.write(prompts, config)):
            assert columns["continuation"][number].decode() == text.continuation
            assert columns["tokens"][number] == text.tokens
            assert columns["ended"][number].decode() == text.ended
            assert columns["left_out"][number] == text.left_out
            assert columns["status"][number].decode() == text.status
        assert len(columns["tokens"]) == len(prompts)
