"""What a served model computes grows with a text's length and no faster: numbers are counted, not seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import tensorflow as tf

from kerasft.runs.folder import RunFolder

BYTES = 24_000
"""Of the shorter text: most of what is computed for it is no longer that which any text needs."""
KINDS = {
    "words with entities": "the film was very good and the staff rude . ",
    "one word": "x",
    "long words": "unbelievable" * 8 + " ",
    "punctuation": "!?",
    "characters": "国",
    "marks": "a" + "\u0301\u0323" * 20,
    "blanks": "  \n\t",
    "nothing but control characters": "\x07",
}
HANDED_ON = {"Enter", "Exit", "Identity", "Merge", "NextIteration", "Reshape", "Squeeze", "Switch"}
"""Ops whose output is their input: in a loop they stand for every tensor, in every round."""


@pytest.fixture(scope="module")
def count_numbers(tiny_entity_run: RunFolder) -> Iterator[Callable[[list[str]], int]]:
    """Texts → how many numbers all ops of an export of entities write while they are answered, each round of a loop
    counted."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        served = v1.saved_model.load(session, ["serve"], str(tiny_entity_run.export / "1"))
        signature = served.signature_def["serving_default"]
        outputs = [output.name for output in signature.outputs.values()]

        def count(texts: list[str]) -> int:
            told = v1.RunMetadata()
            session.run(
                outputs,
                {signature.inputs["text"].name: [text.encode() for text in texts]},
                options=v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE),
                run_metadata=told,
            )
            shapes = [
                output.tensor_description.shape
                for device in told.step_stats.dev_stats
                for node in device.node_stats
                if node.timeline_label.split(" = ")[-1].split("(")[0] not in HANDED_ON
                for output in node.output
            ]
            return sum(tf.TensorShape(shape).num_elements() for shape in shapes)

        yield count


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_twice_as_long_takes_twice_the_numbers(
    count_numbers: Callable[[list[str]], int], kind: str
) -> None:
    piece = KINDS[kind]
    text = piece * (BYTES // len(piece.encode()))
    once, twice = count_numbers([text]), count_numbers([text * 2])
    assert BYTES < once < twice < 2.1 * once


def test_many_short_texts_and_a_long_one_take_the_numbers_of_both(
    count_numbers: Callable[[list[str]], int],
) -> None:
    piece = KINDS["words with entities"]
    short, long = [piece] * 50, [piece * (BYTES // len(piece))]
    # entities are laid out side by side: their places alone are padded to the longest text's
    assert count_numbers(short + long) < 2 * (count_numbers(short) + count_numbers(long))
