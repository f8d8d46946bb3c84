"""Lines given in any order stand in the file in theirs; a file that failed is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.runs.ordered_lines import OrderedLines

LINES = st.dictionaries(
    st.integers(0, 50), st.text().filter(lambda text: "\n" not in text and "\r" not in text)
)


@settings(max_examples=25, deadline=None)
@given(lines=LINES, data=st.data())
def test_lines_stand_by_their_numbers(
    tmp_path_factory: pytest.TempPathFactory, lines: dict[int, str], data
) -> None:
    path = tmp_path_factory.mktemp("lines") / "out.jsonl"
    lines = {number: line.encode("utf-8", "replace").decode() for number, line in lines.items()}
    with OrderedLines(path) as file:
        for number in data.draw(st.permutations(list(lines))):
            file.write(number, lines[number])
    expected = "".join(f"{lines[number]}\n" for number in sorted(lines))
    assert path.read_bytes().decode() == expected
    assert os.listdir(path.parent) == [path.name]


def test_an_error_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("before\n")

    def write() -> None:
        with OrderedLines(path) as file:
            file.write(0, "after")
            raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        write()
    assert path.read_text() == "before\n"
    assert os.listdir(tmp_path) == [path.name]
