"""Checks TFDS' description of a dataset before TFDS imports the classes that it names."""

from __future__ import annotations

from typing import Any


def check_feature_classes(description: Any) -> None:
    """Refuses a features.json that names classes of other packages than TFDS, which would import them.

    Args:
        description: what the file holds.

    Raises:
        ValueError: it names one.
    """
    if isinstance(description, dict):
        name = description.get("pythonClassName", "tensorflow_datasets.")
        if not str(name).startswith("tensorflow_datasets."):
            raise ValueError(f"features.json names the class {name}")
    children = description.values() if isinstance(description, dict) else description
    for child in children if isinstance(description, dict | list) else ():
        check_feature_classes(child)
