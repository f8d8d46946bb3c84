from __future__ import annotations

import numpy as np

from kerasft.report import sections
from kerasft.report.content import ExportedModel
from kerasft.report.page import render_report
from kerasft.report.training import build_training_section
from kerasft.tasks.labels_display import SplitPredictions


def find_data(content, heading):
    """What the task's own section of the test split shows."""
    (data,) = [section.data for section in content.shown["test"].sections if section.heading == heading]
    return data


def test_mistakes_are_the_surest_wrong_answers(build_content):
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.01, 0.99], [0.4, 0.6]])
    found = SplitPredictions(
        probabilities=probabilities,
        labels=np.array([0, 0, 0, 0]),
        texts=["right", "second", "first", "third"],
        origins=["f:1", "f:2", "f:3", "f:4"],
    )
    data = find_data(build_content(predictions={"test": found}, mistakes=2), "The worst mistakes")
    shown = [(m["start"], m["label"], m["predicted"], m["sure"], m["origin"]) for m in data["mistakes"]]
    assert shown == [
        ("first", "no", "yes", "99.0\u202f%", "f:3"),
        ("second", "no", "yes", "80.0\u202f%", "f:2"),
    ]
    assert (data["total"], data["examples"]) == (3, 4)
    assert data["mistakes"][0]["label_probability"] == "1.0\u202f%"


def test_names_that_are_numbers_stand_in_quotes_beside_numbers(build_content):
    found = SplitPredictions(probabilities=np.array([[0.1, 0.9]]), labels=np.array([0]), texts=["x"])
    for names, shown in (
        (("5", "1990s"), ("“\u20685\u2069”", "1990s")),
        (("−1.5 %", "a 5"), ("“\u2068−1.5 %\u2069”", "a 5")),
    ):
        content = build_content(names, predictions={"test": found})
        (mistake,) = find_data(content, "The worst mistakes")["mistakes"]
        assert (mistake["label"], mistake["predicted"]) == shown


def test_the_kept_epoch_is_named_as_its_phase_counts_it(build_content):
    def tell(epoch, **figures):
        figures = {"epochs": 55, "best_epoch": epoch, "seconds": 9.0, "examples_per_second": 5.0} | figures
        training = {name: {"value": value} for name, value in figures.items()}
        facts = build_training_section(build_content(training=training), "test").data["facts"]
        assert "Best epoch" not in dict(facts)
        return dict(facts)["Kept epoch"]

    head = {"head_epochs": 30, "head_seconds": 4.0, "head_examples_per_second": 50.0}
    assert tell(47, **head) == "17"
    assert tell(3, **head) == "3 of the head alone"
    assert tell(47) == "47"


def test_nothing_is_said_of_a_thin_line_that_is_not_drawn(build_content):
    history = [{"step": step, "epoch": 1, "loss": 1.0 / step} for step in range(1, 20)]
    page = render_report(build_content(history=history))
    assert "thin line" not in page
    assert "The dotted line marks" in page
    assert "thin line" in render_report(build_content())


def test_bars_of_a_row_share_a_scale(build_content):
    data = sections.build_figures_section(build_content(), "test").data
    accuracy = next(row for row in data["rows"] if row["name"] == "Accuracy")
    figures = build_content().figures
    places = [cell["bar"]["value"] for cell in accuracy["cells"]]
    values = [figures[split]["accuracy"]["value"] for split in data["splits"]]
    assert np.argsort(places).tolist() == np.argsort(values).tolist()
    for cell in accuracy["cells"]:
        assert (
            0
            <= cell["bar"]["low"]
            <= cell["bar"]["value"]
            <= cell["bar"]["low"] + cell["bar"]["width"]
            <= 100
        )


def test_many_labels_are_listed_worst_first(build_content):
    names = [f"label {index}" for index in range(8)]
    content = build_content(names)
    rows = find_data(content, "Label by label")["rows"]
    scores = [content.figures["test"][f"f1/{row['name']}"]["value"] for row in rows]
    assert scores == sorted(scores)


def test_paths_are_quoted_in_commands(build_content):
    content = build_content(title="a b/ü", export=ExportedModel(path="/srv/my models/it's/1"))
    commands = [command for _, command in sections.build_usage_section(content, "test").data["commands"]]
    assert any("'/srv/my models/it'\"'\"'s':/models/a-b-" in command for command in commands)


def test_environment_is_flattened_and_empty_values_left_out(build_content):
    rows = sections.build_settings_section(build_content(), "test").data["environment"]
    assert rows == [("versions.tensorflow", "2.21.0"), ("devices", "cpu, cpu")]
