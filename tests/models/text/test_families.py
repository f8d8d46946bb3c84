"""Families: what they say of keras-hub is so, presets find theirs, and another one is a file and a line."""

from __future__ import annotations

import ast
import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest
import tiny_bert
import tiny_distilbert
import tiny_roberta
from tolerances import TINY_BERT

import kerasft
from kerasft.errors import PresetError
from kerasft.models.text.families import (
    FAMILIES,
    TextFamily,
    family_of,
    find_family,
    list_families,
    name_families,
    recognise_family,
)
from kerasft.models.text.heads import accelerate_classifier, build_fast_classifier, publish_classifier
from kerasft.models.text.presets import load_text_backbone
from kerasft.models.text.sizes import EncoderSizes

SIZES = (len(tiny_bert.PIECES), 2, 2, 32, 64, 64)


@pytest.mark.parametrize("family", list_families(), ids=list(FAMILIES))
def test_a_family_is_what_keras_hub_has(family) -> None:
    backbone = family.build_backbone(family.sizes_class(*SIZES))
    assert type(backbone) is getattr(keras_hub.models, family.hub_class)
    assert set(backbone.input) == set(family.inputs)
    assert family_of(backbone) is family
    assert backbone.count_params() == family.sizes_class(*SIZES).count_parameters()
    variables = family.find_hub_variables(backbone)
    assert {variable.path for variable in variables.values()} == {each.path for each in backbone.weights}
    stored = family.list_stored(family.sizes_class(*SIZES), {}, needs_pooler=True)
    shapes = {key: (each.shape[0] - each.skipped_rows, *each.shape[1:]) for key, each in stored.items()}
    assert {key: np.prod(shape) for key, shape in shapes.items()} == {
        key: np.prod(variable.shape) for key, variable in variables.items()
    }


def test_presets_find_their_family(tiny_preset: Path, tmp_path: Path) -> None:
    assert find_family(tiny_preset).name == "bert"
    assert find_family(tiny_distilbert.write_preset(tmp_path / "distilbert")).name == "distilbert"
    for name in ("roberta", "xlm_roberta"):
        assert find_family(tiny_roberta.write_preset(tmp_path / name, name)).name == name


@pytest.mark.parametrize(
    "config", [{"model_type": "gpt2"}, {"registered_name": "keras_hub>GPT2Backbone"}, {}]
)
def test_a_preset_of_no_known_family_is_refused_by_name(tmp_path: Path, config: dict) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert recognise_family(tmp_path) is None
    with pytest.raises(PresetError, match="text tasks train BERT, DistilBERT, RoBERTa and XLM-RoBERTa"):
        find_family(tmp_path)


def read_example() -> str:
    """The family that docs/extending.md writes out."""
    guide = (Path(__file__).parents[3] / "docs" / "extending.md").read_text(encoding="utf-8")
    section = guide.split("## A new text family")[1].split("\n## ")[0]
    return section.split("```python\n")[1].split("```")[0]


@pytest.mark.numerical
def test_another_family_is_a_file_and_a_line(
    tiny_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras.utils.set_random_seed(0)
    (tmp_path / "your_family.py").write_text(read_example())
    monkeypatch.syspath_prepend(str(tmp_path))
    family: TextFamily = importlib.import_module("your_family").FAMILY
    folder = tmp_path / "yours"
    monkeypatch.delitem(FAMILIES, "xlm_roberta")
    original = family.build_backbone(family.sizes_class(*SIZES))
    for number, variable in enumerate(original.weights):
        noise = np.random.default_rng(number).standard_normal(variable.shape)
        variable.assign(variable.numpy() + 0.1 * noise)
    family.save_preset(original, family.load_tokenizer(tiny_preset), folder)
    with pytest.raises(PresetError, match="The preset is a XLMRobertaBackbone"):
        load_text_backbone(folder)
    monkeypatch.setitem(FAMILIES, "yours", "your_family")
    assert name_families() == "BERT, DistilBERT, RoBERTa and XLM-RoBERTa with WordPiece"
    assert find_family(folder).load_tokenizer(folder).vocabulary_size == SIZES[0]
    backbone, batch = load_text_backbone(folder), tiny_bert.make_inputs(5, 12)
    inputs = {name: batch[name] for name in family.inputs}
    expected = original(inputs).numpy()
    atol = TINY_BERT * max(1.0, float(np.abs(expected).max()))
    pooled = family.build_fast_encoder(backbone, pooled=True)(inputs)
    np.testing.assert_allclose(pooled, expected[:, 0], atol=atol)
    fast = build_fast_classifier(backbone, 3, pooling="cls", dropout=0.0, seed=0)
    public = publish_classifier(fast, load_text_backbone(folder), pooling="cls", dropout=0.0)
    logits = fast(inputs, training=False)
    np.testing.assert_allclose(public(inputs, training=False), logits, atol=4 * atol)
    np.testing.assert_array_equal(
        accelerate_classifier(public, pooling="cls")(inputs, training=False), logits
    )


FAMILY_FREE = [
    "models/text/heads.py",
    "models/text/presets.py",
    "models/adaptation",
    "models/hubs/folders.py",
]
"""Where no family is named, beside the tasks."""
FAMILYS_OWN = ("bert", "wordpiece", "word_piece", "segment_ids")


def list_words(path: Path) -> Iterator[str]:
    """The names and texts in a module's code, docstrings aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if isinstance(value, str) and name != "type_comment" and id(node) not in docstrings:
                yield value


def test_tasks_heads_and_adapters_name_no_family() -> None:
    package = Path(kerasft.__file__).parent
    places = [package / place for place in [*FAMILY_FREE, "tasks"]]
    modules = [path for place in places for path in ([place] if place.is_file() else place.rglob("*.py"))]
    assert len(modules) > 25
    named = [(path.name, word) for path in modules for word in list_words(path)]
    assert ("task.py", "TextEncoder") in named
    assert [(file, word) for file, word in named if any(own in word.lower() for own in FAMILYS_OWN)] == []


def test_sizes_count_what_an_encoder_has() -> None:
    assert EncoderSizes(10, 1, 1, 2, 3, 4).count_parameters() == 28 + 4 + 24 + (12 + 5) + 8
