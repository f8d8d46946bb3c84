"""`kerasft generate` on prompts of any origin, to JSON lines and as plain text, without a training."""

from __future__ import annotations

import functools
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf
from small_decoders import make_table

from kerasft.cli.main import main
from kerasft.tasks.causal_lm.encoding import Encoder
from kerasft.tasks.causal_lm.prompts import ConversationPrompts
from kerasft.text.chat_templates import ChatTemplate
from kerasft.text.generation.config import GenerationConfig
from kerasft.text.generation.generator import Generator
from kerasft.text.generation.writer import TextWriter
from kerasft.text.tokenizers.characters import Characters, CharacterVocabulary

CONFIG = """
name: x
task: {type: masked_lm}
data: {}
tokenizer: {type: wordpiece}
model: {size: {layers: 1, width: 8, heads: 1}}
"""


@pytest.fixture(scope="module")
def generator() -> Generator:
    """Writes the alphabet on."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokenizer = Characters(CharacterVocabulary((*letters, " ", "\x1b")))
    ids = tokenizer.tokenize(tf.constant([letters])).to_list()[0]
    defaults = GenerationConfig(temperature=0.0, max_new_tokens=4)
    return Generator(make_table(ids, tokenizer.vocabulary_size), tokenizer, defaults=defaults)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generator: Generator) -> Path:
    """The working folder, with a config `c.yaml` whose model that is."""
    from kerasft.tasks.masked_lm.config import MaskedLmConfig

    monkeypatch.setattr(MaskedLmConfig, "writing", generator.defaults)
    give(monkeypatch, generator)
    monkeypatch.setattr("kerasft.text.generation.writer.TextWriter", make_writer)
    monkeypatch.setattr("kerasft.runs.folder.RunFolder.read_task", lambda self: {})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(CONFIG)
    return tmp_path


def give(monkeypatch: pytest.MonkeyPatch, generator: Generator) -> None:
    """What the run's model writes with."""
    task = SimpleNamespace(
        config=SimpleNamespace(type="masked_lm", writing=generator.defaults),
        open_generator=lambda model: generator,
    )
    found = SimpleNamespace(task=task, model=None)
    monkeypatch.setattr("kerasft.training.trained.load_trained", lambda run, config: found)


@pytest.fixture(scope="module")
def chat_generator(generator: Generator) -> Generator:
    """Begins its answer to the first message with b, to the third with d, …"""
    source = "{% for m in messages %}{{ m.content }} {% endfor %}{{ 'abcdefgh'[messages | length] }}"
    encoder = Encoder(generator._tokenizer, "chat", 64, ChatTemplate(source, {}, {}))
    prompts = ConversationPrompts(encoder)
    return Generator(generator._decoder, generator._tokenizer, prompts=prompts, defaults=generator.defaults)


@pytest.fixture
def chat(trained: Path, chat_generator: Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`trained` on conversations."""
    monkeypatch.setattr("kerasft.tasks.config.TaskConfig.answers_conversations", True)
    give(monkeypatch, chat_generator)
    return trained


@functools.cache
def make_writer(generator: Generator) -> TextWriter:
    """One for all tests: what it traces takes seconds."""
    return TextWriter(generator)


def read(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_prompts_become_json_lines_in_their_order(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "c.yaml", "ab", "x", "--batch-size", "1"]) == 0
    shown = capsys.readouterr()
    assert read(shown.out) == [
        {"prompt": "ab", "continuation": "cdef", "tokens": 4, "ended": "length"},
        {"prompt": "x", "continuation": "yzab", "tokens": 4, "ended": "length"},
    ]
    assert "Wrote 8 tokens in " in shown.err
    assert "tokens/s" in shown.err


def test_options_change_the_runs_own(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--max-new-tokens", "9", "--stop", "hi", "--stop", "m", "-q"]
    assert main(["generate", "c.yaml", "d", *words]) == 0
    shown = capsys.readouterr()
    (answer,) = read(shown.out)
    assert (answer["continuation"], answer["ended"], answer["tokens"]) == ("efg", "stop string", 5)
    assert shown.err == ""
    assert main(["generate", "c.yaml", "d", "--temperature", "1000", "--top-k", "1", "--seed", "3"]) == 0
    assert read(capsys.readouterr().out)[0]["continuation"] == "efgh"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--top-p", "1.5"], "--top-p: expected a number > 0.0 and ≤ 1.0, got 1.5"),
        (["--max-new-tokens", "0"], "--max-new-tokens: expected a whole number ≥ 1"),
        (["--stop", ""], "--stop: expected a list"),
        (["seed=3"], "the model is trained already"),
    ],
)
def test_an_option_that_is_none_is_told_before_the_model_is_loaded(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, option, message: str
) -> None:
    monkeypatch.setattr("kerasft.stages.generate.Writer", None)
    assert main(["generate", "c.yaml", "d", *option]) == 2
    assert message in capsys.readouterr().err


def test_a_task_that_writes_nothing_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(CONFIG)
    assert main(["generate", "c.yaml", "d"]) == 2
    assert "a model of the task masked_lm writes no texts" in capsys.readouterr().err


def test_prompts_are_read_from_files_and_rows_that_are_none_are_told(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (trained / "p.jsonl").write_text(
        '{"prompt": "k", "id": 7}\n{"prompt": 5}\n{"prompt": "m", "tokens": 1}\n'
    )
    assert main(["generate", "c.yaml", "--input", "p.jsonl", "--to", "out.jsonl"]) == 10
    first, second, third = read((trained / "out.jsonl").read_text())
    assert first == {"prompt": "k", "continuation": "lmno", "tokens": 4, "ended": "length", "id": 7}
    assert second == {"prompt": None, "error": "not a string but 5"}
    assert third["input_tokens"] == 1
    assert "error: generate: 1 of 3 texts could not be used" in capsys.readouterr().err
    (trained / "p.csv").write_text("opening,prompt\nb,c\n")
    assert main(["generate", "c.yaml", "--input", "p.csv", "--column", "opening", "-q"]) == 0
    assert read(capsys.readouterr().out)[0]["continuation"] == "cdef"


def test_a_long_prompt_has_a_note(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "c.yaml", "y" * 70]) == 0
    shown = capsys.readouterr()
    (answer,) = read(shown.out)
    assert (answer["left_out"], answer["continuation"]) == (6, "zabc")
    assert "its beginning was left out" in answer["note"]
    assert "1 text answered with a note" in shown.err


def test_texts_are_shown_as_they_are_written(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "c.yaml", "ab", "\x1b[31mx", "--stream", "-n", "3"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "abcde\n\n\\x1b[31mxyza\n"
    assert "Wrote 6 tokens" in shown.err


def test_a_terminal_is_shown_plain_text(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["generate", "c.yaml", "ab", "-q"]) == 0
    assert capsys.readouterr().out == "abcdef\n"
    assert main(["generate", "c.yaml", "ab", "-q", "--no-stream"]) == 0
    assert read(capsys.readouterr().out)[0]["continuation"] == "cdef"


TURNS = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "yes"},
    {"role": "user", "content": "and so"},
]


def test_a_conversation_of_several_messages_is_answered(
    chat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (chat / "turns.json").write_text(json.dumps(TURNS, indent=2))
    assert main(["generate", "c.yaml", "--messages", "turns.json", "-q"]) == 0
    assert read(capsys.readouterr().out) == [
        {"messages": TURNS, "continuation": "efgh", "tokens": 4, "ended": "length"}
    ]
    (chat / "long.json").write_text(json.dumps([{**TURNS[0], "content": "y" * 99}]))
    assert main(["generate", "c.yaml", "--messages", "long.json", "-q"]) == 0
    assert "what follows its system message was left out" in read(capsys.readouterr().out)[0]["note"]
    assert main(["generate", "c.yaml", "hi", "-q"]) == 0
    assert read(capsys.readouterr().out)[0]["continuation"] == "cdef"
    assert main(["generate", "c.yaml", "--messages", "turns.json", "-q", "--stream"]) == 0
    assert capsys.readouterr().out == "and so\nefgh\n"


def test_conversations_are_read_line_by_line_from_standard_input(
    chat: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [json.dumps({"id": 7, "messages": TURNS[:1]}), json.dumps(TURNS), "", "[{", json.dumps(TURNS[:2])]
    data = "\n".join(lines).encode()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: False))
    assert main(["generate", "c.yaml", "--messages", "-"]) == 10
    shown = capsys.readouterr()
    first, second, third, fourth = read(shown.out)
    assert (first["id"], first["continuation"], second["continuation"]) == (7, "cdef", "efgh")
    assert third["error"].startswith("not JSON: ")
    assert fourth["error"] == "nothing to answer: the last message is the assistant's"
    assert "standard input:4: not JSON" in shown.err
    assert "2 of 4 conversations could not be used" in shown.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[\n  {'role': 'user'}\n]", "The file is not JSON: "),
        ("[" * 100_000, "The file is not JSON: "),
        ("", "The file is not JSON: "),
        (
            '[{"role": "user", "content": "a", "content": "b"}]',
            "The file is not JSON: duplicate key, 'content' has several values",
        ),
        (None, "The file cannot be read: No such file or directory."),
    ],
)
def test_a_file_without_a_conversation_is_told(
    chat: Path, capsys: pytest.CaptureFixture[str], text: str | None, message: str
) -> None:
    if text is not None:
        (chat / "turns.json").write_text(text)
    assert main(["generate", "c.yaml", "--messages", "turns.json"]) == 3
    shown = capsys.readouterr().err
    assert message in shown
    assert "turns.json" in shown


def test_a_model_of_texts_takes_no_messages(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "c.yaml", "--messages", "turns.json"]) == 2
    assert "has not learned from conversations" in capsys.readouterr().err
    assert main(["generate", "c.yaml", "hi", "--messages", "turns.json"]) == 2
    assert "Give one or the other" in capsys.readouterr().err
