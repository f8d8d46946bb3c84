"""Which weights are kept: validation figures, best epoch, moving average, early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.metrics.tally import Tally
from kerasft.training.resume.state import name_weights, restore_variables, take_snapshot


class ValidationFigures(keras.callbacks.Callback):
    """After each epoch: the figures of the validation split, put into the logs as `val_<figure>`.

    Stands before the callbacks that read them (early stopping, best weights, TensorBoard).

    Args:
        measure: () → a tally of the split, and the outputs of the examples that are shown.
        names: of the figures that go into the logs.

    Attributes:
        tally: of the epoch that ended last; None before.
        shown: of the same epoch: number of an example → its output.
    """

    def __init__(self, measure: Callable[[], tuple[Tally, dict[int, Any]]], names: Sequence[str]):
        super().__init__()
        self._measure, self._names = measure, names
        self.tally: Tally | None = None
        self.shown: dict[int, Any] = {}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.tally, self.shown = self._measure()
        figures = self.tally.compute_figures()
        if logs is not None:
            logs.update(
                {
                    f"val_{name}": float(figure["value"])
                    for name, figure in figures.items()
                    if name in self._names
                }
            )


class BestWeights(keras.callbacks.Callback):
    """Remembers the weights of the epoch that is kept: the best one, or the latest that is as good but for chance.

    A figure of a small validation split differs between two equally good epochs, and the learning rate of the later
    one is the lower. So with `error` an epoch is kept if its figure is no further from the best so far than that.

    Args:
        monitor: key of the logs.
        higher_is_better: which way is better.
        error: figure → its standard error; None: an epoch must be better.

    Attributes:
        value: the figure of the epoch that is kept.
        epoch: which, from 0.
        best: the best figure so far.

    Source: the rule of one standard error is Breiman et al.'s, 1984, "Classification and Regression Trees", 3.4.3.
    """

    def __init__(self, monitor: str, higher_is_better: bool, error: Callable[[float], float] | None = None):
        super().__init__()
        self.monitor, self.higher_is_better, self._error = monitor, higher_is_better, error
        self.value: float | None = None
        self.epoch: int | None = None
        self.best: float | None = None
        self._weights: dict[str, np.ndarray] | None = None

    def get_state(self) -> dict[str, Any]:
        return {"value": self.value, "epoch": self.epoch, "best": self.best}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """The weights are `set_weights`'."""
        self.value, self.epoch, self.best = state["value"], state["epoch"], state["best"]

    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes up the best epoch's weights, by the names of `kerasft.training.resume.state.name_variables`."""
        self._weights = dict(weights)

    def begin_with(self, value: float, weights: Mapping[str, np.ndarray]) -> None:
        """What is to be bettered: weights from before the first epoch, and their figure."""
        self.value, self.best, self._weights = value, value, dict(weights)

    @property
    def weights(self) -> dict[str, np.ndarray] | None:
        """Of the epoch that is kept, by the names of `kerasft.training.resume.state.name_weights`."""
        return self._weights

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        value = (logs or {}).get(self.monitor)
        if value is None or not math.isfinite(value):
            return
        if self._is_kept(float(value)):
            self.value, self.epoch = float(value), epoch
            self._weights = take_snapshot(name_weights(self.model))

    def _is_kept(self, value: float) -> bool:
        best = self.best
        if best is None or (value > best if self.higher_is_better else value < best):
            self.best = value
            return True
        return self._error is not None and abs(value - best) <= self._error(best)

    def restore(self) -> bool:
        """Gives the model the kept weights; False if no epoch was finished."""
        if self._weights is None:
            return False
        restore_variables(name_weights(self.model), self._weights)
        return True


class AveragedWeights(keras.callbacks.Callback):
    """Puts the optimizer's moving average into the model from the end of an epoch to the beginning of the next, and at
    the end of training.

    What `keras.callbacks.SwapEMAWeights` does, to the bit: that one swaps by adding and subtracting, which rounds.
    """

    def __init__(self) -> None:
        super().__init__()
        self._in_model = False
        self._averages: list[np.ndarray] = []

    def get_state(self) -> dict[str, Any]:
        return {"in_model": self._in_model}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._in_model = state["in_model"]

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        if self._in_model:
            self._averages = _snapshot(self._pairs()[0])

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        if self._in_model:
            self._swap()

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self._swap()
        self._averages = _snapshot(self._pairs()[0])

    def on_train_end(self, logs: Mapping | None = None) -> None:
        # `fit` has put into the model what it takes for the average: the weights that were swapped for it
        if self._in_model:
            for variable, value in zip(self._pairs()[0], self._averages, strict=True):
                variable.assign(value)

    def _pairs(self) -> tuple[list[Any], list[Any]]:
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        return optimizer._trainable_variables, optimizer._model_variables_moving_average

    def _swap(self) -> None:
        for variable, average in zip(*self._pairs(), strict=True):
            value = tf.identity(variable.value)
            variable.assign(average)
            average.assign(value)
        self._in_model = not self._in_model


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras' own, able to go on where a run was cut off."""

    _remembered = ("wait", "stopped_epoch", "best", "best_epoch")
    _state: Mapping[str, Any] = {}

    def get_state(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in self._remembered}
        return {name: None if value is None else float(value) for name, value in state.items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._state = dict(state)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        if self.monitor in (logs or {}):
            super().on_epoch_end(epoch, logs)
            return
        # an epoch that leaves the figure undefined is no improvement; Keras would pass it over
        self.wait += 1
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch, self.model.stop_training = epoch, True

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        super().on_train_begin(logs)
        for name, value in self._state.items():
            whole = value is not None and name != "best"
            setattr(self, name, int(value) if whole else value)


def _snapshot(variables: Sequence[Any]) -> list[np.ndarray]:
    return list(take_snapshot({str(i): variable for i, variable in enumerate(variables)}).values())
