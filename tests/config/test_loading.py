"""Configs from files: what is read, what is said about mistakes, and what is written back."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.config.base import Config
from kerasft.config.document import Document, parse_yaml
from kerasft.config.loading import InvalidConfig, dump_config, format_config, load_config
from kerasft.data.kinds.fields import INVISIBLE
from kerasft.errors import ConfigError
from kerasft.experiment import ExperimentConfig, build_json_schema, experiment_schema
from kerasft.printable import make_printable

Write = Callable[..., Path]
NAME = "text of letters, digits, . _ - (beginning with a letter or digit)"


def find_mistakes(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        load_config(ExperimentConfig, path, overrides)
    return [str(problem).replace(str(path), "sst2.yaml") for problem in caught.value.problems]


def test_a_good_config_is_read_whole(write_config: Write, tmp_path: Path):
    loaded = load_config(ExperimentConfig, write_config())
    config = loaded.config
    assert config.name == "sst2"
    assert config.data.train.delimiter == "\t"
    assert config.data.train.columns == {"text": 0, "label": 1}
    assert config.train.optimizer.learning_rate == 5e-5
    assert config.train.schedule.warmup == 0.1
    assert config.export.formats == ("saved_model",)
    assert config.data.test.path == str(tmp_path / "test.tsv")
    assert loaded.run_folder is None


MISTAKES = [
    # what stands there, what is written instead, where, and what is said
    ("seed: 0", "seed: true", "sst2.yaml:2: seed: expected a whole number ≥ 0 and < 4294967296, got true"),
    ("seed: 0", "seed: -1", "sst2.yaml:2: seed: expected a whole number ≥ 0 and < 4294967296, got -1"),
    ("seed: 0", "sead: 0", "sst2.yaml:2: sead: unknown key; did you mean seed?"),
    ("name: sst2", "name: 5", 'sst2.yaml:1: name: expected NAME, got 5; '
        'for a text, use quotes: "5"'),
    ("name: sst2", "name: a/b",
        'sst2.yaml:1: name: expected NAME, got "a/b"; did you mean a_b?'),
    ("name: sst2", "name: my run", 'sst2.yaml:1: name: expected NAME, got '
        '"my run"; did you mean my_run?'),
    ("name: sst2", "name: _Été 1.", 'sst2.yaml:1: name: expected NAME, got '
        '"_Été 1."; did you mean Ete_1?'),
    ("name: sst2", "name: 人", 'sst2.yaml:1: name: expected NAME, got "人"'),
    ("text_classification}", "text_classification, labels: [a, b, \" a\"]}",
        "sst2.yaml:3: task.labels: 'a' and ' a' are the same label"),
    ("text_classification}", 'text_classification, labels: [a, "\\ud800"]}',
        "sst2.yaml:3: task.labels: '\\ud800' is not a label: unpaired surrogate"),
    ("text_classification}", 'text_classification, labels: [a, "\\e[31m"]}',
        "sst2.yaml:3: task.labels: '\\x1b[31m' is not a label: control character in the label"),
    ("text_classification}", "text_classification, labels: [0, b]}",
        'sst2.yaml:3: task.labels[0]: expected text, got 0; for a text, use quotes: "0"'),
    ("epochs: 3", "epochs: 1e3", "sst2.yaml:10: train.epochs: expected a whole number ≥ 1, got 1000.0; "
        "did you mean 1000?"),
    ("learning_rate: 5.0e-5", "learning_rate: '1e-4'", 'sst2.yaml:12: train.optimizer.learning_rate: expected a '
        'number > 0.0, got "1e-4"; did you mean 1e-4?'),
    ("{type: text_classification}", "text_clasification", 'sst2.yaml:3: task: expected a section with type: '
        'causal_lm | image_classification | masked_lm | object_detection | '
        'text_classification | token_classification, got '
        '"text_clasification"; did you mean {type: text_classification}?'),
    ("{type: adamw, learning_rate: 5.0e-5, weight_decay: 0.01}",
        "{type: keras, class_name: Lion, learning_rate: 1.0, arguments: {beta_1: .nan}}",
        "sst2.yaml:12: train.optimizer.arguments: every number must be finite"),
    ("export:", "evaluate: {splits: [tst]}\nexport:", 'sst2.yaml:14: evaluate.splits[0]: expected one of "train", '
        '"validation", "test", got "tst"; did you mean test?'),
    ("epochs: 3", "epoch: 3", "sst2.yaml:10: train.epoch: unknown key; did you mean train.epochs?"),
    ("epochs: 3", "epochs: three", 'sst2.yaml:10: train.epochs: expected a whole number ≥ 1, got "three"'),
    ("epochs: 3", "epochs: 3.0", "sst2.yaml:10: train.epochs: expected a whole number ≥ 1, got 3.0; "
        "did you mean 3?"),
    ("epochs: 3", "epochs: null", "sst2.yaml:10: train.epochs: expected a whole number ≥ 1, got null (nothing)"),
    ("epochs: 3", "learning_rate: 3",
        "sst2.yaml:10: train.learning_rate: unknown key; did you mean train.optimizer.learning_rate?"),
    ("epochs: 3", "group_lengths: yes",
        'sst2.yaml:10: train.group_lengths: expected true or false, got "yes"; did you mean true?'),
    ("epochs: 3", "precision: bfloat16", 'sst2.yaml:10: train.precision: expected one of "auto", "float32", '
        '"mixed_bfloat16", "mixed_float16", got "bfloat16"; did you mean mixed_bfloat16?'),
    ("epochs: 3", "early_stopping: 3", "sst2.yaml:10: train.early_stopping: expected a section with the keys patience, "
        "min_delta, or null, got 3"),
    ("epochs: 3", "early_stopping: {}",
        "sst2.yaml:10: train.early_stopping.patience: missing; expected a whole number ≥ 1 "
        "(Epochs without improvement before training stops; with `validate_every_steps`, validations)"),
    ("5.0e-5", "fast", 'sst2.yaml:12: train.optimizer.learning_rate: expected a number > 0.0, got "fast"'),
    ("5.0e-5", ".inf", "sst2.yaml:12: train.optimizer.learning_rate: expected a number > 0.0, got Infinity"),
    ("type: adamw", "type: adamv", 'sst2.yaml:12: train.optimizer.type: expected one of adamw, gradient_descent, '
        'keras, muon; got "adamv"; did you mean adamw?'),
    ("weight_decay: 0.01", "momentum: 0.9", "sst2.yaml:12: train.optimizer.momentum: unknown key for type: adamw; its "
        "keys: learning_rate, weight_decay, no_decay, layer_decay, groups, clipnorm, global_clipnorm, clipvalue, "
        "gradient_accumulation_steps, use_ema, ema_momentum, type, beta_1, beta_2, epsilon"),
    ("weight_decay: 0.01", "no_decay: [bias, nrom]", 'sst2.yaml:12: train.optimizer.no_decay[1]: expected one of '
        '"bias", "norm", "embedding", got "nrom"; did you mean norm?'),
    ("weight_decay: 0.01", 'groups: [{match: "(x"}]', "sst2.yaml:12: train.optimizer.groups[0].match: '(x' is not a "
        "regular expression: missing ), unterminated subpattern at position 0; escape literal characters: "
        r"`\(`, `\.`"),
    ("weight_decay: 0.01", "groups: [{match: x, learning_rate_scale: -1}]", "sst2.yaml:12: "
        "train.optimizer.groups[0].learning_rate_scale: expected a number ≥ 0.0, or null, got -1"),
    ("warmup: 0.1", "warmup: 0.1, warmup_steps: 5",
        "sst2.yaml:13: train.schedule: name warmup (a share) or warmup_steps, not both"),
    ("format: csv, path: dev.tsv", "format: excel, path: dev.tsv",
        "sst2.yaml:6: data.validation.format: expected one of auto, box_csv, coco, conll, csv, image_folder, jsonl, "
        'label_studio, parquet, part, text, tfds, voc, yolo; got "excel"'),
    ("path: dev.tsv", "path: [a, 1]", 'sst2.yaml:6: data.validation.path[1]: expected text, got 1; '
        'for a text, use quotes: "1"'),
    ("path: dev.tsv", "path: 1", "sst2.yaml:6: data.validation.path: expected text or a list (text), got 1; "
        'for a text, use quotes: "1"'),
    ('delimiter: "\\t"', 'delimiter: "\\\\t"',
        'sst2.yaml:5: data.train.delimiter: expected text of 1 character, got "\\\\t"'),
    ("columns: {text: 0, label: 1}", "columns: {text: 0.5, label: 1}",
        "sst2.yaml:5: data.train.columns.text: expected a whole number or text, got 0.5"),
    ("columns: {text: 0, label: 1}", "columns: {0: text, label: 1}",
        "sst2.yaml:5: data.train.columns[0]: expected a key that is text, got 0; put it in quotes"),
    ("max_length: 128", "max_length: 4",
        "sst2.yaml:8: model.max_length: expected a whole number ≥ 8 and ≤ 8192, got 4"),
    ("[saved_model]", "saved_model",
        'sst2.yaml:14: export.formats: expected a list ("saved_model"), got "saved_model"'),
    ("[saved_model]", "[]", "sst2.yaml:14: export.formats: names no format: to export nothing, set the whole "
        "section to null (export: null)"),
    ("type: text_classification", "type: text_clasification", 'sst2.yaml:3: task.type: expected one of '
        'causal_lm, image_classification, masked_lm, object_detection, text_classification, token_classification; got '
        '"text_clasification"; did you mean text_classification?'),
    ("{type: text_classification}", "{type: text_classification, labels: [a]}",
        "sst2.yaml:3: task.labels: expected a list of at least 2 (text), or null, got a list of 1"),
    ("epochs: 3", "monitor: acuracy", "sst2.yaml:10: train.monitor: text_classification has no figure 'acuracy' to "
        "choose the best epoch by; did you mean accuracy? it has accuracy, macro_f1, weighted_f1, mcc, roc_auc, "
        "log_loss, brier, ece, loss"),
    ("epochs: 3", "monitor: f1", "sst2.yaml:10: train.monitor: text_classification has no figure 'f1' to choose the "
        "best epoch by; did you mean macro_f1? it has accuracy, macro_f1, weighted_f1, mcc, roc_auc, log_loss, brier, "
        "ece, loss"),
    ("{type: adamw, learning_rate: 5.0e-5, weight_decay: 0.01}", "{lr: 0.1}",
        "sst2.yaml:12: train.optimizer.lr: unknown key; did you mean train.optimizer.learning_rate?"),
    ("epochs: 3", "bs: 3", "sst2.yaml:10: train.bs: unknown key; did you mean train.batch_size?"),
    ("type: text_classification", "type: ner", 'sst2.yaml:3: task.type: expected one of causal_lm, '
        'image_classification, masked_lm, object_detection, text_classification, token_classification; got "ner"; '
        'did you mean token_classification?'),
    ("type: text_classification", "type: sentiment", 'sst2.yaml:3: task.type: expected one of causal_lm, '
        'image_classification, masked_lm, object_detection, '
        'text_classification, token_classification; got "sentiment"; '
        'did you mean text_classification?'),
    ("task: {type: text_classification}\n", "", "sst2.yaml:1: task: missing; expected a section with type: "
        "causal_lm | image_classification | masked_lm | object_detection | "
        "text_classification | token_classification (What is learned, "
        "by `type`)"),
    ("{type: text_classification}", "{labels: [a, b]}", "sst2.yaml:3: task.type: missing; expected one of "
        "causal_lm, image_classification, masked_lm, object_detection, text_classification, token_classification"),
    ("{type: text_classification}", "{type: [ner]}", "sst2.yaml:3: task.type: expected one of causal_lm, "
        'image_classification, masked_lm, object_detection, text_classification, token_classification; got ["ner"]'),
    ("text_classification}", "text_classification, multi_label: true}", "sst2.yaml:3: task.multi_label: unknown key "
        "for type: text_classification; its keys: type, labels, label_smoothing, pooling"),
    ("model: {", "mdoel: {", None),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), [m for m in MISTAKES if m[2]])
def test_a_mistake_is_named_with_its_line_and_what_was_expected(
    write_config: Write, old: str, new: str, said: str
):
    assert find_mistakes(write_config((old, new))) == [said.replace("NAME", NAME)]


def test_a_misspelt_section_is_both_unknown_and_missing(write_config: Write):
    missing, unknown = find_mistakes(write_config(("model: {", "mdoel: {")))
    assert missing.startswith(
        "sst2.yaml:1: model: missing; expected a section with the keys preset, adaptation, max_length"
    )
    assert unknown == "sst2.yaml:8: mdoel: unknown key; did you mean model?"


def test_all_mistakes_are_told_at_once_in_the_files_order(write_config: Write):
    path = write_config(
        ("seed: 0", "seed: true"),
        ("path: train.tsv", "paths: train.tsv"),
        ("epochs: 3", "epochs: 0"),
        ("warmup: 0.1", "warmup: 1.5"),
    )
    keys = [mistake.split(": ")[:2] for mistake in find_mistakes(path)]
    assert keys == [
        ["sst2.yaml:2", "seed"],
        ["sst2.yaml:5", "data.train.path"],
        ["sst2.yaml:5", "data.train.paths"],
        ["sst2.yaml:10", "train.epochs"],
        ["sst2.yaml:13", "train.schedule.warmup"],
    ]


def test_a_wrong_tag_hides_nothing_else(write_config: Write):
    path = write_config(
        ("type: adamw, learning_rate: 5.0e-5", "type: adamv, learning_rate: 0"), ("epochs: 3", "epochs: 0")
    )
    keys = [mistake.split(": ")[1] for mistake in find_mistakes(path)]
    assert keys == ["train.epochs", "train.optimizer.type", "train.optimizer.learning_rate"]


@pytest.mark.parametrize("named", ["classification", "sentiment", "image_clasification", "", "5"])
def test_a_wrong_task_brings_no_mistake_that_another_task_would_not_have(write_config: Write, named: str):
    path = write_config(
        ("text_classification", f"'{named}'"),
        ("epochs: 3", "epochs: 0\n  head: null\n  workers: 0"),
        ("seed: 0", "sead: 0"),
    )
    told = [line.split(":", 2)[2].split(":")[0].strip() for line in find_mistakes(path)]
    assert told == ["sead", "task.type", "train.workers"]


def test_a_task_of_a_package_that_is_missing_brings_no_figures_of_other_tasks(write_config: Write):
    monitored = ("epochs: 3", "epochs: 3\n  monitor: mean_squared_error")
    (unknown,) = find_mistakes(write_config(("text_classification", "pair_score"), monitored))
    assert unknown.endswith('got "pair_score"; if another package has it, install that package')
    near, figure = find_mistakes(write_config(("text_classification", "text_clasification"), monitored))
    assert near.endswith("did you mean text_classification?")
    assert "text_classification has no figure 'mean_squared_error'" in figure


def test_a_wrong_tag_brings_no_mistake_of_the_kind_that_was_guessed(write_config: Write):
    path = write_config(("type: adamw", "type: adam"), ("weight_decay: 0.01", "momentum: 0.9, nonsense: 1"))
    told = find_mistakes(path)
    assert len(told) == 2
    assert told[0].endswith('got "adam"; did you mean adamw?')
    assert told[1].startswith("sst2.yaml:12: train.optimizer.nonsense: unknown key")


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("{learning_rate: 2e-4}", {"learning_rate": 2e-4, "weight_decay": 0.01}),
        ("{beta_1: 0.8}", {"learning_rate": 5e-5, "weight_decay": 0.01, "beta_1": 0.8}),
        ("{}", {"learning_rate": 5e-5, "weight_decay": 0.01}),
    ],
)
def test_a_section_without_its_type_is_the_default_with_changes(
    write_config: Write, section: str, settings: dict[str, Any]
):
    path = write_config(("{type: adamw, learning_rate: 5.0e-5, weight_decay: 0.01}", section))
    optimizer = load_config(ExperimentConfig, path).config.train.optimizer
    assert optimizer.model_dump(exclude_unset=True) == {"type": "adamw", **settings}


def test_keys_that_the_default_type_lacks_need_a_type(write_config: Write):
    path = write_config(("{type: adamw, learning_rate: 5.0e-5, weight_decay: 0.01}", "{momentum: 0.9}"))
    assert find_mistakes(path) == [
        "sst2.yaml:12: train.optimizer.type: missing; expected one of adamw, gradient_descent, keras, muon"
    ]
    path = write_config(("max_length: 128}", "max_length: 128, adaptation: {rank: 4}}"))
    (told,) = find_mistakes(path)
    assert told.startswith("sst2.yaml:8: model.adaptation.type: missing; expected one of bitfit, ")


@pytest.mark.parametrize(
    "override",
    ["train.schedule.warmup_steps=3", "train.optimizer.clipnorm=3.0", "train.optimizer={clipvalue: 1.0}"],
)
def test_what_is_named_takes_the_place_of_a_default_that_excludes_it(write_config: Write, override: str):
    path = write_config(
        ("  optimizer: {type: adamw, learning_rate: 5.0e-5, weight_decay: 0.01}\n", ""),
        ("  schedule: {type: linear, warmup: 0.1}\n", ""),
        ("text_classification", "token_classification"),
    )
    train = load_config(ExperimentConfig, path, [override]).config.train
    assert train.schedule.warmup == (0.0 if "warmup" in override else 0.1)
    assert train.optimizer.global_clipnorm == (1.0 if "warmup" in override else None)


def test_a_sections_own_rule_is_checked_even_where_a_field_is_wrong(write_config: Write):
    path = write_config(("warmup: 0.1", "warmup: 0.1, warmup_steps: 5, power: 0"))
    mistakes = find_mistakes(path)
    assert any("train.schedule.power" in mistake for mistake in mistakes)
    assert any("not both" in mistake for mistake in mistakes)


def test_yaml_mistakes_and_schema_mistakes_come_together(write_config: Write):
    path = write_config(("seed: 0", "seed: 0\nseed: 1"), ("epochs: 3", "epochs: 0"))
    assert [mistake.split(": ")[1] for mistake in find_mistakes(path)] == ["seed", "train.epochs"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.epoch=3", "override train.epoch=3: unknown key; did you mean train.epochs?"),
        ("trian.epochs=3", "override trian.epochs=3: trian: unknown key; did you mean train?"),
        ("train.epochs=x", 'override train.epochs=x: expected a whole number ≥ 1, got "x"'),
        ("model=", "override model=: expected a section with the keys preset, adaptation, max_length, "
         "dropout, random_weights, adapter, got null (nothing)"),
    ],
)  # fmt: skip
def test_a_wrong_override_names_itself(write_config: Write, override: str, said: str):
    assert find_mistakes(write_config(), override) == [said]


def test_overrides_change_the_config(write_config: Write, tmp_path: Path):
    overrides = [
        "train.epochs=1",
        "model.preset=bert_tiny_en_uncased",
        "evaluate.splits=[test]",
        "train.optimizer.learning_rate=1e-4",
        "data.train.path=[a.tsv, b.tsv]",
        "data.train.path[0]=../other.tsv",
        "export=",
    ]
    config = load_config(ExperimentConfig, write_config(), overrides).config
    assert config.train.epochs == 1
    assert config.model.preset == "bert_tiny_en_uncased"
    assert config.evaluate.splits == ("test",)
    assert config.train.optimizer.learning_rate == 1e-4
    assert config.data.train.path == (str(tmp_path.parent / "other.tsv"), str(tmp_path / "b.tsv"))
    assert config.export is None


def test_a_new_type_keeps_the_keys_both_types_know(write_config: Write):
    optimizer = load_config(
        ExperimentConfig, write_config(), ["train.optimizer.type=gradient_descent"]
    ).config.train.optimizer
    assert (optimizer.type, optimizer.learning_rate, optimizer.weight_decay) == (
        "gradient_descent",
        5e-5,
        0.01,
    )


def test_a_key_that_the_new_type_lacks_is_explained(write_config: Write):
    path = write_config(("weight_decay: 0.01", "beta_1: 0.8"))
    (mistake,) = find_mistakes(path, "train.optimizer.type=gradient_descent")
    assert mistake == (
        "sst2.yaml:12: train.optimizer.beta_1: unknown key for type: gradient_descent "
        "(override train.optimizer.type=gradient_descent); replace the whole section: "
        "'train.optimizer={type: gradient_descent, …}'"
    )
    whole = "train.optimizer={type: gradient_descent, learning_rate: 0.05}"
    assert load_config(ExperimentConfig, path, [whole]).config.train.optimizer.learning_rate == 0.05


def test_a_key_that_the_new_task_lacks_is_explained(write_config: Write):
    path = write_config(("text_classification", "text_classification, pooling: cls"))
    assert find_mistakes(path, "task.type=token_classification") == [
        "sst2.yaml:3: task.pooling: unknown key for type: token_classification (override "
        "task.type=token_classification); replace the whole section: 'task={type: token_classification, …}'"
    ]


def test_an_override_changes_its_key_alone_of_the_tasks_own_default(tmp_path: Path):
    path = tmp_path / "pictures.yaml"
    path.write_text("name: p\ntask: {type: image_classification}\ndata: {}\nmodel: {preset: mobilenet}\n")
    default = load_config(ExperimentConfig, path).config.train.optimizer
    assert (default.weight_decay, default.layer_decay) == (0.05, 0.7)
    changed = load_config(ExperimentConfig, path, ["train.optimizer.learning_rate=0.01"]).config.train
    assert changed.optimizer == default.model_copy(update={"learning_rate": 0.01})


@pytest.mark.parametrize("text", ["", "# nothing\n", "- 1\n", "just words\n", "7\n"])
def test_a_file_that_is_no_section_of_keys_is_one_mistake(tmp_path: Path, text: str):
    path = tmp_path / "sst2.yaml"
    path.write_text(text)
    (mistake,) = find_mistakes(path)
    assert mistake.startswith("sst2.yaml:1: expected a section with the keys name, seed, task")


def test_a_missing_file_is_told_with_those_that_are_there(write_config: Write, tmp_path: Path):
    write_config()
    with pytest.raises(ConfigError) as caught:
        load_config(ExperimentConfig, tmp_path / "sst.yaml")
    assert "sst2.yaml" in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_run_folder_stands_for_its_config(write_config: Write, tmp_path: Path):
    config = load_config(ExperimentConfig, write_config()).config
    folder = tmp_path / "runs" / "x"
    dump_config(config, folder / "config.yaml")
    loaded = load_config(ExperimentConfig, folder)
    assert loaded.config == config
    assert loaded.run_folder == folder


def test_a_folder_without_config_is_no_run_folder(tmp_path: Path):
    with pytest.raises(ConfigError, match="not a run folder"):
        load_config(ExperimentConfig, tmp_path)


def test_the_error_survives_a_process_boundary(write_config: Write):
    with pytest.raises(InvalidConfig) as caught:
        load_config(ExperimentConfig, write_config(("epochs: 3", "epochs: 0")))
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.problems == caught.value.problems
    assert str(again) == str(caught.value)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)
LABEL = TEXT.map(lambda text: normalize("NFC", text)).filter(
    lambda text: text.isprintable() and text.strip(INVISIBLE) == text != ""
)
SHARE = st.floats(0, 0.99)
RATE = st.floats(1e-300, 1e300)
OPTIMIZERS = (
    st.fixed_dictionaries({"type": st.just("adamw"), "learning_rate": RATE, "beta_1": SHARE})
    | st.fixed_dictionaries(
        {
            "type": st.just("gradient_descent"),
            "learning_rate": RATE,
            "momentum": SHARE,
            "nesterov": st.booleans(),
        }
    )
    | st.fixed_dictionaries(
        {
            "type": st.just("keras"),
            "class_name": TEXT,
            "learning_rate": RATE,
            "arguments": st.dictionaries(TEXT, TEXT | st.integers() | st.booleans() | st.none(), max_size=3),
        }
    )
)
SOURCES = st.fixed_dictionaries(
    {
        "format": st.just("csv"),
        "path": TEXT.map(lambda t: os.path.abspath("/data/x" + t.strip("\0")))
        | st.lists(st.just("/a/b.csv"), max_size=2),
        "delimiter": st.characters(codec="utf-8", exclude_categories=("Cs",)),
        "columns": st.dictionaries(TEXT, st.integers() | TEXT, max_size=2),
    }
) | st.fixed_dictionaries({"format": st.just("jsonl"), "path": st.just("/a.jsonl")})
CONFIGS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z"),
        "seed": st.integers(0, 2**32 - 1),
        "task": st.fixed_dictionaries(
            {
                "type": st.just("text_classification"),
                "labels": st.none() | st.lists(LABEL, min_size=2, max_size=4, unique=True),
            }
        ),
        "data": st.fixed_dictionaries({"train": st.none() | SOURCES, "max_rejected": SHARE}),
        "model": st.fixed_dictionaries({"preset": TEXT}),
        "train": st.fixed_dictionaries({"optimizer": OPTIMIZERS}),
    }
)


@settings(max_examples=100, deadline=None)
@given(CONFIGS)
def test_what_is_written_is_read_back_equal(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]):
    config = experiment_schema("text_classification").model_validate(values)
    path = tmp_path_factory.getbasetemp() / "round-trip.yaml"
    path.write_text(format_config(config), encoding="utf-8")
    # Paths are left as they are here: the preset's text may look like one.
    with_paths = load_config(ExperimentConfig, path).config
    preset = config.model.preset
    assert with_paths.model_copy(update={"model": config.model}) == config
    assert (
        with_paths.model.preset == preset
        or preset.startswith((".", "/", "~"))
        or (path.parent / preset).exists()
    )


def test_what_is_written_is_complete(write_config: Write, tmp_path: Path):
    config = load_config(ExperimentConfig, write_config()).config
    dump_config(config, tmp_path / "out.yaml")
    again = load_config(ExperimentConfig, tmp_path / "out.yaml").config
    assert again.train.optimizer.model_fields_set == set(type(again.train.optimizer).model_fields)
    assert again == config


class Anything(Config):
    """A section for any value."""

    value: Any


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(exclude_categories=("Cs",)))
    | st.text("0123456789.eE+-_xob:~#'\"\\ \n\t=,[]{}&*!|>%@`ynul")
)
def test_any_text_is_written_so_that_it_comes_back(text: str):
    document = Document(origins={(): ""})
    parse_yaml(format_config(Anything(value=text)), document, lambda line: "")
    assert document.problems == []
    assert document.data == {"value": text}


def test_a_mistake_between_sections_stands_at_the_key_that_it_names(write_config: Write):
    config = write_config(("epochs: 3", "epochs: 1"))
    told = find_mistakes(config, "model.adaptation=gradual")
    assert told == [
        "override model.adaptation=gradual: model.adaptation: gradual unfreezes the first block after 1 epochs, and "
        "train.epochs is 1: only the head would be trained. Train longer, or set adaptation: head"
    ]


def list_keys(schema: dict[str, Any]) -> list[str]:
    return sorted(
        {key for section in [schema, *schema["$defs"].values()] for key in section.get("properties", {})}
    )


WORDS = st.sampled_from(list_keys(build_json_schema())) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)
ODD_CONFIGS = (
    st.binary(max_size=60)
    | st.text("aseed:1 -[]{}&*!|>'\"%@`#,?\n\t~.é\x85\u2028", max_size=60).map(lambda text: text.encode())
    | st.dictionaries(WORDS, VALUES, max_size=6).map(lambda values: json.dumps(values).encode())
)


@settings(max_examples=200, deadline=None)
@given(ODD_CONFIGS)
def test_anything_is_a_config_or_told_as_mistakes(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    path = tmp_path_factory.getbasetemp() / "anything.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(ExperimentConfig, path)
    assert "anything.yaml" in str(caught.value)
    assert make_printable(str(caught.value)) == str(caught.value)
