from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

from kerasft.metrics.classification import compute_classification_figures
from kerasft.metrics.figures import LANGUAGE
from kerasft.report import page
from kerasft.report.content import ReportContent
from kerasft.tasks.display import Section, Shown
from kerasft.tasks.labels_display import SplitPredictions

VOID = {"meta", "br", "img", "link", "hr", "input"}
HOSTILE = (
    '<script>alert(1)</script><img src=x onerror=alert(2)><a href="https://example.org">x</a></section></main>'
    "<style>*{display:none}</style><svg onload=alert(3)> \" ' & {{ 7*7 }} {% raw %} \x00\x1b[31m \ud800 \u202eback"
)


HEADINGS = (
    "Verdict",
    "Figures",
    "Training",
    "Confusion matrix",
    "Confidence",
    "Label by label",
    "The worst mistakes",
    "Data checks",
    "Using the model",
    "Settings",
)


class Page(HTMLParser):
    """Tags, attributes and text of a page; unbalanced tags fail."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text, self._open = [], [], [], []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def assert_harmless(html):
    found = Page(html)
    assert not {"script", "iframe", "object", "embed", "form", "base"} & set(found.tags)
    assert found.tags.count("style") == 1 + sum(
        tag == "svg" for tag in found.tags
    )  # a page's, and each figure's
    for tag, name, value in found.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("src", "href", "xlink:href", "action", "data"):
            embedded = ("#", "data:image/png;base64,", "data:image/jpeg;base64,")
            assert value.startswith(embedded), (tag, name, value)
    return found


def test_page_has_every_part_and_stands_alone(build_content, tmp_path):
    path = tmp_path / "deep" / "report.html"
    page.write_report(path, build_content())
    html = path.read_text(encoding="utf-8")
    found = assert_harmless(html)
    places = [html.index(f">{heading}</h2>") for heading in HEADINGS]
    assert places == sorted(places)
    assert html.count("</h2>") == len(HEADINGS)
    text = " ".join(found.text)
    for expected in ("On 300 test examples", "3 min 04 s", "tensorflow/serving", "name: example"):
        assert expected in text
    assert "default-src 'none'" in html
    anchors = {value for _, name, value in found.attributes if name == "href" and value.startswith("#")}
    ids = [value for _, name, value in found.attributes if name == "id"]
    for tag, name, value in found.attributes:
        if tag == "a" and name == "href":
            assert value[1:] in ids
    assert anchors


def test_hostile_texts_labels_and_names_stay_text(build_content, predict):
    labels = [HOSTILE, "<b>bold</b>", "配送", "الدفع"]
    manifest = {
        "splits": {
            HOSTILE: {"rows": 1, "labels": {HOSTILE: 3, "<b>bold</b>": 1}, "rejected": {HOSTILE: 2}},
        },
        "leaks": {
            f"train → {HOSTILE}": {"exact": 1, "examples": [{"row": HOSTILE, "text": HOSTILE, "as": "y"}]}
        },
        "sources": [{"split": "train", "file": HOSTILE, "rows": 3, "sha256": HOSTILE}],
    }
    content = build_content(
        labels,
        {"test": predict(60, 4, skill=0.5, text=HOSTILE.replace("{", "{{").replace("}", "}}"))},
        title=HOSTILE,
        manifest=manifest,
        config_text=HOSTILE,
        environment={HOSTILE: {HOSTILE: HOSTILE}},
        usage=[(HOSTILE, HOSTILE)],
    )
    found = assert_harmless(page.render_report(content))
    text = "".join(found.text)
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text
    assert "49" not in "".join(part for part in found.text if "raw" in part)


def test_control_characters_are_shown_and_not_sent(build_content):
    odd = "a\x1b[31m\x9b\x00\u202eb\ud800"
    html = page.render_report(build_content(title=odd, usage=[(odd, odd)], config_text=odd))
    assert r"a\x1b[31m\x9b\x00\u202eb\ud800" in html
    assert not set(odd) - set("a[31mb") & set(html)


def test_only_the_first_four_fields_are_needed():
    content = ReportContent(
        title="bare",
        task="text classification",
        label_names=["a", "b"],
        figures={"test": {"accuracy": {"value": 0.5}}},
    )
    assert_harmless(page.render_report(content))
    assert [section.heading for section in page.build_sections(content)] == ["Verdict", "Figures"]


def test_no_figures_at_all_says_so():
    content = ReportContent(title="none", task="text classification", label_names=["a", "b"], figures={})
    assert "There is nothing to report" in page.render_report(content)


@pytest.mark.parametrize(("num_examples", "num_classes"), [(1, 2), (3, 40), (80, 60)])
def test_odd_sizes_render(build_content, predict, num_examples, num_classes):
    names = [f"label {index}" for index in range(num_classes)]
    content = build_content(names, {"test": predict(num_examples, num_classes, skill=0.0)}, **SLIM)
    assert "nan" not in " ".join(assert_harmless(page.render_report(content)).text).lower().split()


# Fewer plots, where a test is about something else: they take the time.
SLIM = {"history": (), "manifest": None}


def test_no_mistakes_say_so(build_content):
    labels = np.array([0, 1] * 10)
    perfect = SplitPredictions(probabilities=np.eye(2)[labels], labels=labels, texts=["x"] * 20)
    html = page.render_report(build_content(predictions={"test": perfect}, **SLIM))
    assert "There are none on test." in html
    assert "It makes no mistakes on these examples." in html


def test_long_texts_are_folded_and_very_long_ones_cut(build_content, predict):
    long = build_content(predictions={"test": predict(50, skill=0.0, text="word " * 1000 + "end {}")}, **SLIM)
    html = page.render_report(long)
    assert "all 5,0" in html
    assert html.count('<details><summary><span class="text"') == 20
    huge = build_content(
        predictions={"test": predict(50, skill=0.0, text="長" * 1_000_000 + "{}")}, mistakes=2
    )
    html = page.render_report(huge)
    assert "990,00" in html
    assert len(html) < 400_000


def test_sections_of_a_task_stand_before_the_data_checks(build_content, tmp_path):
    template = "{% for span in spans %}<p>{{ span }} of {{ content.title }}</p>{% endfor %}"
    (tmp_path / "spans.html").write_text(template)
    section = Section(
        heading="Spans & more", template="spans.html", data={"spans": ["<i>a</i>"]}, folder=tmp_path
    )
    content = build_content(shown={"test": Shown(sections=[section])}, **SLIM)
    html = page.render_report(content)
    assert "<p>&lt;i&gt;a&lt;/i&gt; of example</p>" in html
    assert 'id="spans-more"' in html
    assert html.index('id="figures"') < html.index('id="spans-more"') < html.index('id="using-the-model"')


def test_a_task_without_a_display_is_shown_by_its_figures():
    content = ReportContent(
        title="x", task="two texts", label_names=(), figures={"test": {"error": {"value": 0.25}}}
    )
    html = page.render_report(content)
    assert "two texts" in html
    assert "0.25" in html
    assert "0 labels" not in html


def test_the_same_content_gives_the_same_page(build_content):
    content = build_content(**SLIM)
    assert page.render_report(content) == page.render_report(content)


def test_main_split_is_test_unless_said_otherwise(build_content):
    assert build_content().choose_main_split() == "test"
    assert "On 200 validation examples" in page.render_report(build_content(main_split="validation", **SLIM))


def test_figures_without_intervals_render(predict):
    found = predict(100)
    figures = compute_classification_figures(
        found.probabilities, found.labels, ["a", "b"], bootstrap_samples=0
    )
    content = ReportContent(
        title="x", task="text classification", label_names=["a", "b"], figures={"test": figures}
    )
    html = page.render_report(content)
    assert "95" not in html.split("</nav>")[1].split("Figures")[0]


def test_only_figures_from_0_to_1_are_drawn_as_bars():
    figure = {"value": 0.4, "low": 0.3, "high": 0.5}
    for name, drawn in (("bits_per_byte", False), ("accuracy", True)):
        html = page.render_report(
            ReportContent(
                title="x", task="texts", label_names=(), figures={"test": {name: figure}}, kinds=LANGUAGE
            )
        )
        assert ('class="bar"' in html) == drawn


def test_a_corpus_is_described_and_what_was_dropped_is_counted():
    profile = {
        "documents": 1234,
        "bytes": 56789,
        "characters": 45678,
        "words": 3456,
        "lengths": {"min": 1, "p5": 2, "p25": 3, "median": 40, "p75": 50, "p95": 60, "max": 700},
        "scripts": {"Latin": 0.9, "Han": 0.0996, "Thai": 0.0004},
    }
    duplicates = {"exact": 0, "near": 0, "dropped_exact": 3, "dropped_near": 4}
    manifest = {
        "splits": {"train": {"rows": 1234, "profile": {"text": profile}, "duplicates": duplicates}},
        "decontamination": {
            "against": [{"config": "<b>.yaml", "compared": 99, "too_short": 5}], "dropped": 17, "found": 16
        },
    }  # fmt: skip
    html = page.render_report(
        ReportContent(
            title="x",
            task="texts",
            label_names=(),
            figures={"test": {"accuracy": {"value": 0.4}}},
            manifest=manifest,
        )
    )
    for shown in ("56,789", "40 (p5 2, p95 60, max 700)", "Latin 90.0%  Han 10.0%", "&lt;b&gt;.yaml"):
        assert shown in html
    assert '<td class="number">7</td>' in html
    assert "17 examples of train shared a passage with 16" in html
    assert "Thai" not in html
    assert "with another label" not in html
