"""Where each thing lies in a run folder, and which of them are there."""

from __future__ import annotations

from pathlib import Path


class RunPaths:
    """The paths of one run.

    Args:
        path: the folder, existing or not.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.logs = self.path / "logs"
        self.history = self.path / "metrics.jsonl"
        self.metrics = self.path / "metrics.json"
        self.environment = self.path / "environment.json"
        self.task = self.path / "task.json"
        self.model = self.path / "model.keras"
        self.start = self.path / "start"
        self.preset = self.path / "preset"
        self.adapter = self.path / "adapter"
        self.predictions = self.path / "predictions"
        self.augmentation = self.path / "augmentation.png"
        self.export = self.path / "export"
        self.checkpoints = self.path / "checkpoints"
        self.report = self.path / "report.html"
        self.stages = self.path / "stages.json"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def list_trained(self) -> list[Path]:
        """What a training has left here: what `clear_training` removes."""
        places = (
            self.checkpoints, self.logs, self.history, self.model, self.preset, self.task, self.predictions,
            self.report, self.augmentation, self.adapter,
        )  # fmt: skip
        return [place for place in places if place.exists()]

    def list_phases(self) -> list[str]:
        """The phases of a training that have checkpoints here, by name."""
        if not self.checkpoints.is_dir():
            return []
        return sorted(
            path.name for path in self.checkpoints.iterdir() if path.is_dir() and "." not in path.name
        )
