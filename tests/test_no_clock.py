"""No test asks the clock: how long something takes says what else the machine does. Times belong in benchmarks/."""

from __future__ import annotations

import ast
from pathlib import Path

CLOCKS = {"time", "monotonic", "perf_counter", "process_time", "thread_time", "getrusage"}
CLOCKS |= {f"{name}_ns" for name in CLOCKS}


def reads_clock(node: ast.AST) -> bool:
    """Whether an expression calls `time.monotonic()` or one of its like."""
    return any(
        isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr in CLOCKS
        and isinstance(each.func.value, ast.Name)
        and each.func.value.id in ("time", "resource")
        for each in ast.walk(node)
    )


def find_clock_readings(source: str) -> list[int]:
    """The lines that assert something of a clock's reading, or of a name in the same function that holds one."""
    found = set()
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        holding: set[str] = set()
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and reads_clock(node.value):
                holding |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        for node in ast.walk(function):
            if isinstance(node, ast.Assert):
                names = {each.id for each in ast.walk(node.test) if isinstance(each, ast.Name)}
                if reads_clock(node.test) or names & holding:
                    found.add(node.lineno)
    return sorted(found)


def test_no_test_asks_the_clock() -> None:
    found = []
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        found += [f"{path.name}:{line}" for line in find_clock_readings(path.read_text(encoding="utf-8"))]
    assert not found


def test_readings_are_found_directly_and_by_name() -> None:
    source = "\n".join(
        [
            "def test():",
            "    start = time.monotonic()",
            "    assert work()",
            "    assert time.monotonic() - start < 1",
            "    spent = time.perf_counter() - start",
            "    assert spent < 1",
        ]
    )
    assert find_clock_readings(source) == [4, 6]
