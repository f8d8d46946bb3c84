"""The reliability diagram: does 80 % sure mean right 8 times of 10?"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from kerasft.metrics.calibration import compute_reliability_bins
from kerasft.plots.style import (
    BLUE,
    GRID,
    MUTED,
    build_percent_formatter,
    draw_grid,
    in_house_style,
    new_figure,
)


@in_house_style
def build_calibration_figure(
    probabilities: np.ndarray, labels: np.ndarray, *, title: str | None = None
) -> Figure:
    """Accuracy against confidence in 15 bins, with 95 % intervals, above how many examples each bin holds.

    Args:
        probabilities: float (examples, classes), rows sum to 1.
        labels: int (examples,), ids in [0, classes).
        title: a line above; none by default.
    """
    bins = compute_reliability_bins(probabilities, labels)
    filled = bins.counts > 0
    lowest = bins.edges[int(np.flatnonzero(filled)[0])]
    figure = new_figure(5.2, 4.8)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    upper.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, dashes=(4, 3), label="perfectly calibrated")
    spread = np.stack([bins.accuracy - bins.low, bins.high - bins.accuracy])[:, filled]
    # Bins of a few examples swing widely: their points are small.
    sizes = np.clip(bins.counts[filled] / max(bins.counts.max(), 1) * 120, 14, 120)
    x, y = bins.confidence[filled], bins.accuracy[filled]
    upper.errorbar(x, y, yerr=spread, fmt="none", ecolor=BLUE, elinewidth=1.3, alpha=0.55)
    upper.plot(x, y, color=BLUE, linewidth=1.2, alpha=0.7)
    upper.scatter(x, y, s=sizes, color=BLUE, zorder=3, clip_on=False, label="this model, with 95 % intervals")
    upper.set_ylim(-0.02, 1.02)
    upper.set_ylabel("share that is right")
    upper.yaxis.set_major_formatter(build_percent_formatter())
    upper.legend(loc="lower right")
    draw_grid(upper)
    if title:
        upper.set_title(title, parse_math=False)
    lower.bar(
        bins.edges[:-1], bins.counts, width=np.diff(bins.edges), align="edge", color=BLUE, edgecolor=GRID
    )
    lower.set_xlim(lowest, 1.0)
    lower.set_ylabel("examples")
    lower.set_xlabel("how sure the model is (its highest probability)")
    lower.xaxis.set_major_formatter(build_percent_formatter())
    draw_grid(lower)
    return figure
