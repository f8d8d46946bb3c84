"""Marked texts: pieces, HTML that nothing can break out of, text for a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kerasft.plots.highlighting import cut_runs, highlight_html, highlight_text

TYPES = ("person", "place")


def mark(start: int, end: int, kind: str = "person") -> dict:
    return {"start": start, "end": end, "type": kind}


def test_a_text_is_cut_into_entities_and_what_is_between() -> None:
    runs = cut_runs("Ada in Rome.", [mark(0, 3), mark(7, 11, "place")])
    assert runs == [("Ada", "person"), (" in ", ""), ("Rome", "place"), (".", "")]


@given(st.text(max_size=20), st.sets(st.integers(0, 20)))
def test_the_pieces_are_the_text(text: str, cuts: set[int]) -> None:
    edges = sorted(cut for cut in cuts if cut <= len(text))
    entities = [mark(start, end) for start, end in zip(edges[::2], edges[1::2], strict=False)]
    assert "".join(run.text for run in cut_runs(text, entities)) == text


def test_markup_in_a_text_or_a_type_is_escaped() -> None:
    page = highlight_html("<b>&", [mark(0, 3, "<i>")], ["<i>"])
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;" in page


def test_a_terminal_gets_colours_and_a_file_brackets() -> None:
    entities = [mark(7, 11, "place")]
    assert highlight_text("Ada in Rome", entities, TYPES, coloured=False) == "Ada in [Rome](place)"
    coloured = highlight_text("Ada in Rome", entities, TYPES, coloured=True)
    assert coloured.startswith("Ada in \x1b[")
    assert "Rome" in coloured
    assert coloured.endswith("place\x1b[0m")


def test_a_text_cannot_move_the_cursor() -> None:
    assert highlight_text("a\x1b[2Jb", [], TYPES, coloured=True) == r"a\x1b[2Jb"
