"""`kerasft compare`: the figures of two runs on the same examples, and which differences are more than chance."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerasft.cli.tables import print_table
from kerasft.errors import ConfigError

if TYPE_CHECKING:
    from kerasft.metrics.figures import FigureKind
    from kerasft.metrics.paired import Comparison
    from kerasft.stages.compare import Compared

EPILOG = """\b
Examples:
  kerasft compare runs/sst2 runs/sst2-seed-1
  kerasft compare runs/sst2 runs/distilled --split validation --samples 10000
  kerasft compare runs/sst2 runs/distilled --json | jq .figures.accuracy

\b
A row of the table:
  figure     first  second  difference  95 % interval     second is
  accuracy  0.9220  0.9083  -0.0137     -0.0236, -0.0044  worse

The difference is the second run's figure minus the first's. Its interval comes from the paired bootstrap: both runs are
measured on the same resamples of the examples, so an example that is hard for both does not count as a difference. The
last column says `better` or `worse` if the interval does not contain 0, and otherwise `no difference shown`: the
examples are too few to tell, or the runs are alike.

Both runs must have measured the same examples, in the same order. The command reads their saved predictions
(predictions/<split>.jsonl), loads no model and writes nothing. Figures that cannot be computed from these files are
named below the table. To compare on other test data, run `kerasft evaluate RUN data.test.path=...` for both runs; then
--split takes the name under which evaluate saved the figures.

If the runs' task comes from another package, name it: kerasft compare RUN RUN task.type=NAME.

Exit codes: 0 compared, whatever the difference is; 2 arguments, or runs of different tasks or labels; 3 different
examples; 9 a damaged file."""

_ALIKE = "no difference shown"
_TASK = "task.type="


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of an evaluated run.")],
    second: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="The folder of another run, which measured the same examples."),
    ],
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="task.type=NAME", help="The runs' task; only needed for a task of another package."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="Which examples: validation, test, …")
    ] = "test",
    samples: Annotated[
        int, typer.Option("--samples", min=100, max=1_000_000, help="Number of bootstrap resamples.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The random seed of the resamples.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Prints one JSON object, with p-values, instead of the table.")
    ] = False,
) -> None:
    """Compares the figures of two runs on the same examples, with 95 % intervals of the differences."""
    if task is not None:
        _import_task(task)
    from kerasft.runs.folder import RunFolder
    from kerasft.stages.compare import compare as compare_runs

    compared = compare_runs(RunFolder(first), RunFolder(second), split, samples=samples, seed=seed)
    if as_json:
        from kerasft.printable import format_json

        names = {"first": str(first), "second": str(second), "split": split}
        print(format_json({**names, **_build_record(compared)}, indent=2))
        return
    print_table(
        sys.stdout,
        f"{second} (second) compared with {first} (first): {split}, {compared.examples:,} examples",
        ["figure", "first", "second", "difference", "95 % interval", "second is"],
        [_build_row(name, one, compared) for name, one in compared.figures.items()],
    )
    if compared.missing:
        print(f"Not compared, since predictions do not hold what they need: {', '.join(compared.missing)}.")
    if compared.undefined:
        print(f"Not compared, since one of the runs leaves them undefined: {', '.join(compared.undefined)}.")
    if any(_judge(compared.kinds.find(name), one) != _ALIKE for name, one in compared.figures.items()):
        print("Of twenty figures that do not differ, chance alone makes one look better or worse.")


def _import_task(argument: str) -> None:
    """Imports the task of another package that the user names.

    Raises:
        ConfigError: the argument is something else, or there is no such task.
    """
    if not argument.startswith(_TASK):
        raise ConfigError(
            "compare takes two run folders; of a config's keys, only task.type can be given.",
            where=argument,
            fix="kerasft compare RUN RUN",
        )
    from kerasft.tasks import load_sections

    load_sections(argument.removeprefix(_TASK), is_asked_for=True)


def _build_row(name: str, one: Comparison, compared: Compared) -> list[Any]:
    interval = "-" if one.low is None or one.high is None else f"{one.low:+.4f}, {one.high:+.4f}"
    difference = f"{one.difference:+.4f}" if one.difference else "0.0000"
    return [name, one.first, one.second, difference, interval, _judge(compared.kinds.find(name), one)]


def _judge(kind: FigureKind, one: Comparison) -> str:
    """What a difference means: of figures whose better direction is not known, only where the second lies."""
    # without an interval all resamples agree
    low, high = (one.difference,) * 2 if one.low is None or one.high is None else (one.low, one.high)
    if low <= 0 <= high:
        return _ALIKE
    if kind.form == "other":
        return "higher" if low > 0 else "lower"
    return "better" if (low > 0) == kind.higher_is_better else "worse"


def _build_record(compared: Compared) -> dict[str, Any]:
    """What --json prints besides the runs' names."""
    figures = {
        name: {**one._asdict(), "verdict": _judge(compared.kinds.find(name), one)}
        for name, one in compared.figures.items()
    }
    missing, undefined = list(compared.missing), list(compared.undefined)
    return {"examples": compared.examples, "missing": missing, "undefined": undefined, "figures": figures}
