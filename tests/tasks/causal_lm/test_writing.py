"""What a trained language model writes: from Python, from the command line and when it is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tiny_causal

import kerasft
from kerasft.cli.main import main
from kerasft.errors import ConfigError, DataError
from kerasft.tasks.causal_lm.encoding import Encoder
from kerasft.tasks.causal_lm.prompts import ConversationPrompts, find_ends, make_prompt_reader
from kerasft.text.chat_templates import ChatTemplate
from kerasft.text.tokenizers.bpe_vocabulary import ByteBpeVocabulary
from kerasft.text.tokenizers.byte_bpe import ByteBpe
from kerasft.text.tokenizers.special import list_special_tokens

SPECIALS = ("<|endoftext|>", "<|start|>", "<|end|>")


@pytest.fixture(scope="module")
def tokenizer() -> ByteBpe:
    """A token for each byte."""
    tokens = [token.encode() for token in SPECIALS] + [bytes([byte]) for byte in range(256)]
    return ByteBpe(ByteBpeVocabulary(tuple(tokens), (), frozenset({0, 1, 2}), begin=0, end=0))


def make_encoder(tokenizer: ByteBpe, kind: str, source: str = tiny_causal.TEMPLATE) -> Encoder:
    template = ChatTemplate(source, list_special_tokens(tokenizer), {}) if kind == "chat" else None
    return Encoder(tokenizer, kind, 200, template)


LLAMA_2 = (
    "{% if messages[0].role == 'system' %}{% set system = '<<SYS>>' + messages[0].content + '<</SYS>> ' %}"
    "{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}{% for m in messages %}"
    "{% if m.role == 'user' %}{{ '<|start|>[INST] ' + (system if loop.first else '') + m.content.strip() }} [/INST]"
    "{% else %}{{ ' ' + m.content.rstrip() + ' <|end|>' }}{% endif %}{% endfor %}"
)
"""A system message and the user's first are one text."""
CONVERSATIONS = [
    [("user", "Hello")],
    [("user", " <|end|> spelled ")],
    [("user", "One?"), ("assistant", "Yes. \u3000"), ("user", "\xa0\x85Two?\u2003\n")],
    [("system", "Be brief."), ("user", "One?")],
    [("system", " Be brief."), ("user", "a\x1db"), ("assistant", "c\x1dd"), ("user", "e")],
]


def join(messages: list[tuple[str, str]]) -> str:
    """The conversation as one text."""
    first, *rest = messages
    if first[0] == "system":
        return f"{first[1]}\x1d{join(rest)}"
    return "\x1e".join(content for _, content in messages)


def list_ids(prompts: Any) -> list[list[int]]:
    pairs = zip(prompts.token_ids.numpy().tolist(), prompts.lengths.numpy().tolist(), strict=True)
    return [ids[:length] for ids, length in pairs]


def test_a_completion_follows_the_token_with_which_a_text_begins(tokenizer: ByteBpe) -> None:
    assert make_prompt_reader(make_encoder(tokenizer, "text")) is None
    reader = make_prompt_reader(make_encoder(tokenizer, "completion"))
    assert reader is not None
    assert list_ids(reader.read_any(["a", ""])) == [[0, 3 + ord("a")], [0]]


@pytest.mark.parametrize("source", [tiny_causal.TEMPLATE, LLAMA_2])
def test_a_conversation_is_put_together_without_its_template_as_with_it(
    tokenizer: ByteBpe, source: str
) -> None:
    encoder = make_encoder(tokenizer, "chat", source)
    reader = make_prompt_reader(encoder)
    assert isinstance(reader, ConversationPrompts)
    assert encoder.template is not None
    expected = [
        encoder.encode_parts(encoder.template.build_prompt(messages))[0].tolist()
        for messages in CONVERSATIONS
    ]
    texts = [join(messages) for messages in CONVERSATIONS]
    lists = [[{"role": role, "content": content} for role, content in messages] for messages in CONVERSATIONS]
    in_graph = reader.read(tf.constant(texts))
    for read in (in_graph, reader.read_any(texts), reader.read_any(lists)):
        assert list_ids(read) == expected
        assert set(read.status.numpy().tolist()) == {b""}
        assert read.kept.numpy().tolist() == in_graph.kept.numpy().tolist()
    assert in_graph.kept.numpy().tolist()[3] > 0
    assert find_ends(encoder) == (0, 2)


def test_of_a_long_conversation_the_system_message_stays(tokenizer: ByteBpe) -> None:
    reader = make_prompt_reader(make_encoder(tokenizer, "chat"))
    assert reader is not None
    system = [1, *(3 + byte for byte in b"system\nBe brief."), 2, 3 + ord("\n"), 1]
    for read in (
        reader.read(tf.constant(["Be brief.\x1d" + "word " * 90])),
        reader.read_any(["Be brief.\x1d" + "word " * 90]),
    ):
        (ids,) = list_ids(read)
        assert (len(ids), ids[: len(system)], int(read.kept[0])) == (200, system, len(system))
        assert bytes(byte - 3 for byte in ids[len(system) : -13]).endswith(b"d word word ")
        assert int(read.left_out[0]) == len(system) + len("user\n" + "word " * 90) + 13 - 200


@pytest.mark.parametrize(
    ("prompt", "status"),
    [
        ("", "a message is empty"),
        ("a\x1eb", "none to answer"),
        ("a\0b", "NUL character"),
        ("\x1da", "a message is empty"),
        (b"\xff", "invalid UTF-8"),
        ([], "the list is empty"),
        ([{"role": "user"}], "message 1: no 'content'"),
        ([{"role": "user", "content": " "}], "message 1 is empty"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "nothing to answer"),
        (["a"], "message is not an object"),
    ],
)
def test_what_cannot_be_answered_has_a_status(tokenizer: ByteBpe, prompt: Any, status: str) -> None:
    reader = make_prompt_reader(make_encoder(tokenizer, "chat"))
    assert reader is not None
    read = reader.read_any(["Hi.", prompt])
    first, second = (each.decode() for each in read.status.numpy())
    assert first == ""
    assert status in second
    if isinstance(prompt, str | bytes):
        data = prompt if isinstance(prompt, bytes) else prompt.encode()
        assert reader.read(tf.constant([data])).status.numpy()[0].decode() == second


def test_a_template_that_puts_no_system_message_first_takes_none_as_text(tokenizer: ByteBpe) -> None:
    source = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('none') }}{% endif %}" + tiny_causal.TEMPLATE
    )
    reader = make_prompt_reader(make_encoder(tokenizer, "chat", source))
    assert reader is not None
    for read in (reader.read(tf.constant(["Be brief.\x1dHi."])), reader.read_any(["Be brief.\x1dHi."])):
        assert b"takes no system message" in read.status.numpy()[0]


def test_a_graph_may_be_the_first_to_read_conversations(tokenizer: ByteBpe) -> None:
    reader = make_prompt_reader(make_encoder(tokenizer, "chat"))
    assert reader is not None
    read = tf.function(reader.read)(tf.constant(["Hi."]))
    assert list_ids(read) == list_ids(reader.read_any(["Hi."]))


def test_a_template_that_repeats_messages_is_asked_from_python_alone(tokenizer: ByteBpe) -> None:
    source = tiny_causal.TEMPLATE.replace("message.content", "message.content + message.content")
    reader = make_prompt_reader(make_encoder(tokenizer, "chat", source))
    assert reader is not None
    assert reader.read_any(["Hi."]).status.numpy().tolist() == [b""]
    with pytest.raises(DataError, match="does not put the same around each message"):
        reader.read(tf.constant(["Hi."]))


@pytest.mark.slow
def test_it_writes_from_python_and_on_the_command_line(
    tiny_causal_run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run = kerasft.load_run(tiny_causal_run.path)
    options = {"temperature": 0, "max_new_tokens": 12, "stop": "zzz"}
    one = run.generate("the film", **options)
    assert (one["prompt"], one["tokens"], one["ended"]) == ("the film", 12, "length")
    assert "".join(run.stream("the film", **options)) == one["continuation"]
    two = run.generate(["the film", ""], seed=5, max_new_tokens=12)
    assert two == run.generate(["the film", ""], seed=5, max_new_tokens=12, batch_size=1)
    words = ["the film", "-t", "0", "task.generation.max_new_tokens=12", "--no-stream", "-q"]
    assert main(["generate", str(tiny_causal_run.path), *words]) == 0
    assert json.loads(capsys.readouterr().out) == one
    with pytest.raises(ConfigError, match="there is no option top_q"):
        run.generate("a", top_q=1)
    for nan in (float("nan"), np.float32("nan")):
        with pytest.raises(ConfigError, match="top_p: expected a number"):
            run.generate("a", top_p=nan)
    with pytest.raises(ConfigError, match="batch_size is 0"):
        run.generate(["a"], batch_size=0)
    (refused,) = run.generate([[{"role": "user", "content": "a"}]])
    assert "has not learned from conversations" in refused["error"]


@pytest.mark.slow
def test_the_export_writes_what_the_run_writes(tiny_causal_run: Any) -> None:
    version = Path(tiny_causal_run.export, "1")
    parity = json.loads((version / "parity.json").read_text())
    assert parity["further"]["generate"]["calls"] == 5
    card = (version / "assets.extra" / "model_card.md").read_text()
    request = json.loads(
        card.partition('    {"signature_name"')[2].partition("\n")[0].join(['{"signature_name"', ""])
    )
    inputs = request["inputs"] | {"prompt": ["the film", "a meal"], "seed": 3, "max_new_tokens": 20}
    serve = tf.saved_model.load(str(version)).signatures["generate"]
    takes = serve.structured_input_signature[1]
    answers = serve(
        **{
            name: tf.constant(value, takes[name].dtype, [len(value)] if isinstance(value, list) else [])
            for name, value in inputs.items()
        }
    )
    written = kerasft.load_run(tiny_causal_run.path).generate(
        ["the film", "a meal"], seed=3, max_new_tokens=20
    )
    assert [text.decode() for text in answers["continuation"].numpy()] == [
        text["continuation"] for text in written
    ]


@pytest.mark.slow
def test_the_export_answers_conversations_as_the_run_does(run_once: Any, load_chat_experiment: Any) -> None:
    # the contract's run
    name = "causal_lm-LoRA-on-conversations"
    path = run_once(name, load_chat_experiment("model.adaptation=lora")).path
    run, serve = (
        kerasft.load_run(path),
        tf.saved_model.load(str(path / "export" / "1")).signatures["generate"],
    )
    turns = [
        *(("system", "Be brief."), ("user", "the film was good")),
        *(("assistant", "pos"), ("user", "a bad meal")),
    ]
    messages = [{"role": role, "content": content} for role, content in turns]
    options = {"temperature": 0.9, "top_k": 20, "top_p": 0.9, "max_new_tokens": 8, "seed": 3}
    written = run.generate([messages, "the film", messages[:2]], **options)
    assert "".join(run.stream(messages, **options)) == written[0]["continuation"]
    assert run.generate(messages, **options) == written[0]
    assert (written[0]["messages"], written[1]["prompt"]) == (messages, "the film")
    takes = serve.structured_input_signature[1]
    options |= {"repetition_penalty": 1.0, "stop": [], "prompt": [join(turns), "the film", join(turns[:2])]}
    answers = serve(
        **{
            name: tf.constant(value, takes[name].dtype, [len(value)] if isinstance(value, list) else [])
            for name, value in options.items()
        }
    )
    assert [text.decode() for text in answers["continuation"].numpy()] == [
        text["continuation"] for text in written
    ]
