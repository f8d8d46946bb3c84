"""Gradient descent of our own, AdamW and Muon on the same base, their parameter groups, and learning rate schedules.

Usable in any Keras script:

    model.compile(optimizer=kerasft.optimizers.GradientDescent(1e-2, momentum=0.9), loss=...)

The names are imported on first use, so that importing this package costs nothing and loads no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasft.optimizers.adamw import AdamW as AdamW
    from kerasft.optimizers.base import GroupedOptimizer as GroupedOptimizer
    from kerasft.optimizers.build import build_optimizer as build_optimizer
    from kerasft.optimizers.build import build_schedule as build_schedule
    from kerasft.optimizers.gradient_descent import GradientDescent as GradientDescent
    from kerasft.optimizers.groups import ParameterGroup as ParameterGroup
    from kerasft.optimizers.groups import describe_groups as describe_groups
    from kerasft.optimizers.groups import layer_decay_groups as layer_decay_groups
    from kerasft.optimizers.muon import Muon as Muon
    from kerasft.optimizers.schedules import Warmup as Warmup

_MODULES = {
    "AdamW": "adamw",
    "GradientDescent": "gradient_descent",
    "GroupedOptimizer": "base",
    "Muon": "muon",
    "ParameterGroup": "groups",
    "Warmup": "schedules",
    "build_optimizer": "build",
    "build_schedule": "build",
    "describe_groups": "groups",
    "layer_decay_groups": "groups",
}

__all__ = [
    "AdamW",
    "GradientDescent",
    "GroupedOptimizer",
    "Muon",
    "ParameterGroup",
    "Warmup",
    "build_optimizer",
    "build_schedule",
    "describe_groups",
    "layer_decay_groups",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
