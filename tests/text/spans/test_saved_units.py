"""A saved unit tokenizer holds core TensorFlow ops alone and answers as it did."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tensorflow as tf
from tokenizer_oracle import CORE_OPS, build_vocabulary, list_ops

from kerasft.text.spans.units import UnitTokenizer

TEXTS = ["unaffable the, ÀB é 中国 " * 8, "", "a\u302e\ua953 \x0b", "x" * 200]
SPLIT = pytest.mark.parametrize("split_characters", [False, True], ids=["words", "characters"])


class Served(tf.Module):
    """Windows and units behind a signature, as an export holds them."""

    def __init__(self, tokenizer: UnitTokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve(self, text):
        found = self.tokenizer.encode_windows(text, 16)
        return {
            **found.inputs,
            "windows": found.windows.flat_values,
            "positions": found.positions.flat_values,
            "start": found.units.start.flat_values,
            "end_byte": found.units.end_byte.flat_values,
            "row_splits": found.units.start.row_splits,
        }


def save(folder, split_characters: bool) -> Served:
    vocabulary = build_vocabulary(
        "abcdefghilnutxé中国\u302e\ua953", "the", "un", "##aff", lowercase=True, strip_accents=True
    )
    served = Served(UnitTokenizer(vocabulary, split_characters=split_characters))
    tf.saved_model.save(served, str(folder), signatures={"serving_default": served.serve})
    return served


@SPLIT
def test_saved_units_answer_as_before_and_hold_core_ops_only(tmp_path, split_characters):
    served = save(tmp_path, split_characters)
    assert list_ops(tmp_path) - set(CORE_OPS.split()) == {"UnicodeDecodeWithOffsets"}
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    for texts in (TEXTS, [], TEXTS[1:2]):
        batch = tf.constant(texts, tf.string, shape=[len(texts)])
        expected = served.serve(batch)
        for name, array in loaded(text=batch).items():
            tf.debugging.assert_equal(array, expected[name])


@pytest.mark.slow
def test_saved_units_load_in_a_process_without_kerasft(tmp_path):
    served = save(tmp_path, False)
    answer = served.serve(tf.constant(TEXTS))
    expected = {name: array.numpy().tolist() for name, array in sorted(answer.items())}
    code = (
        "import sys, tensorflow as tf\n"
        f"answer = tf.saved_model.load({str(tmp_path)!r}).signatures['serving_default'](text=tf.constant({TEXTS!r}))\n"
        "assert not {'kerasft', 'keras_hub', 'tensorflow_text'} & set(sys.modules)\n"
        "print({name: array.numpy().tolist() for name, array in sorted(answer.items())})"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(expected)
