"""What a trained language model writes: from Python, from the command line and when it is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tiny_causal

import kerasft
from kerasft.cli.main import main
from kerasft.errors import ConfigError, DataError
from kerasft.tasks.causal_lm.encoding import Encoder
from kerasft.tasks.causal_lm.prompts import find_ends, find_frame
from kerasft.text.chat_templates import ChatTemplate
from kerasft.text.generation.prompts import Frame, PromptReader
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


def test_a_prompt_stands_where_prompts_stood_in_the_training(tokenizer: ByteBpe) -> None:
    assert find_frame(make_encoder(tokenizer, "text")) is None
    assert find_frame(make_encoder(tokenizer, "completion")) == Frame(before=(0,))
    encoder = make_encoder(tokenizer, "chat")
    frame = find_frame(encoder)
    assert frame is not None
    for text in ("Hello", "", " <|end|> spelled "):
        read = PromptReader(tokenizer, 200, frame).read(tf.constant([text]))
        assert encoder.template is not None
        expected, _ = encoder.encode_parts(encoder.template.build_prompt([("user", text)]))
        assert read.token_ids.numpy()[0].tolist() == expected.tolist()
    assert find_ends(encoder) == (0, 2)
    assert find_ends(make_encoder(tokenizer, "text")) == (0,)


def test_a_template_that_trims_messages_trims_prompts(tokenizer: ByteBpe) -> None:
    source = tiny_causal.TEMPLATE.replace("message.content", "message.content.strip()")
    frame = find_frame(make_encoder(tokenizer, "chat", source))
    assert frame is not None
    assert frame.trims


def test_a_template_that_repeats_messages_is_refused(tokenizer: ByteBpe) -> None:
    source = tiny_causal.TEMPLATE.replace("message.content", "message.content + message.content")
    with pytest.raises(DataError, match="repeats a message"):
        find_frame(make_encoder(tokenizer, "chat", source))


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
