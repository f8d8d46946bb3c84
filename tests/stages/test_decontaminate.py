"""`data.decontaminate`: the configs that it names are loaded, and part of what a prepared dataset is known by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_bert

from kerasft.config.loading import InvalidConfig, load_config
from kerasft.experiment import ExperimentConfig
from kerasft.runs.folder import RunFolder
from kerasft.stages.prepare import compute_prepare_fingerprint, prepare


@pytest.fixture
def experiment(tmp_path: Path, tiny_preset: Path) -> Path:
    """A config whose train has two tests of another one in it, and which names that one by a relative path."""
    other = tiny_bert.write_experiment(
        tmp_path / "other", tiny_preset, data={"validation": None, "validation_share": 0.0}
    )
    tests = [json.loads(line) for line in (other.parent / "test.jsonl").read_text().splitlines()]
    for number, test in enumerate(tests):
        test["text"] += f", as someone in the row behind us said for the {number}th time that evening"
    (other.parent / "test.jsonl").write_text("".join(json.dumps(test) + "\n" for test in tests))
    own = tiny_bert.write_experiment(
        tmp_path / "own", tiny_preset, data={"decontaminate": ["../other/experiment.yaml"]}
    )
    with open(own.parent / "train.jsonl", "a", encoding="utf-8") as file:
        for test in tests[:2]:
            file.write(json.dumps({"text": f"Overheard: {test['text']}!", "label": test["label"]}) + "\n")
    return own


def test_tests_of_another_config_are_dropped_from_train(experiment: Path, tmp_path: Path) -> None:
    config = load_config(ExperimentConfig, experiment).config
    dataset = prepare(config, RunFolder(tmp_path / "run"))
    assert len(dataset.split("train")) == 64
    entry = dataset.manifest["decontamination"]
    assert entry["dropped"] == entry["found"] == 2
    assert [each["config"] for each in entry["against"]] == [str(tmp_path / "other" / "experiment.yaml")]
    lines = (dataset.folder / "contaminated.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert [line["row"].rpartition(":")[2] for line in found] == ["65", "66"]
    assert [line["example"].rpartition("/")[2] for line in found] == ["test.jsonl:1", "test.jsonl:2"]


def test_the_stage_is_done_anew_where_the_other_config_or_its_data_changes(experiment: Path) -> None:
    config = load_config(ExperimentConfig, experiment).config
    other = experiment.parent.parent / "other"
    prints = [compute_prepare_fingerprint(config)]
    with open(other / "test.jsonl", "a", encoding="utf-8") as file:
        file.write('{"text": "one more film", "label": "liked"}\n')
    prints.append(compute_prepare_fingerprint(config))
    path = other / "experiment.yaml"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seed": 7}))
    prints.append(compute_prepare_fingerprint(config))
    assert len(set(prints)) == 3
    assert compute_prepare_fingerprint(config) == prints[2]


def test_a_mistake_in_the_other_config_is_told_with_its_line(experiment: Path) -> None:
    path = experiment.parent.parent / "other" / "experiment.yaml"
    path.write_text("name: other\ntask: {type: text_classification}\ndata: {trian: 1}\nmodel: {preset: x}\n")
    with pytest.raises(InvalidConfig, match=r"other/experiment\.yaml:3: data\.trian: unknown key"):
        compute_prepare_fingerprint(load_config(ExperimentConfig, experiment).config)
