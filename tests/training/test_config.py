"""What the `train` section takes for granted."""

from __future__ import annotations

from typing import Any

import pytest

from kerasft.tasks.token_classification.config import TokenTrainConfig
from kerasft.training.config import TrainConfig

ADAMW = {"type": "adamw", "learning_rate": 1e-4}


@pytest.mark.parametrize(
    ("named", "clip"),
    [
        ({}, 1.0),
        ({"global_clipnorm": 5.0}, 5.0),
        ({"global_clipnorm": None}, None),
        ({"clipvalue": 0.5}, None),
    ],
)
def test_gradients_of_an_entity_model_are_clipped_at_1_unless_a_clip_is_named(
    named: dict[str, Any], clip: float | None
) -> None:
    config = TokenTrainConfig.model_validate({"optimizer": {**ADAMW, **named}})
    assert config.optimizer.global_clipnorm == clip
    again = TokenTrainConfig.model_validate(config.model_dump(mode="json"))
    assert again.optimizer == config.optimizer


def test_gradients_are_else_clipped_on_request_only() -> None:
    assert TokenTrainConfig().optimizer.global_clipnorm == 1.0
    assert TrainConfig().optimizer.global_clipnorm is None
    assert TrainConfig.model_validate({"optimizer": ADAMW}).optimizer.global_clipnorm is None
    keras_own = {"type": "keras", "class_name": "Lion", "learning_rate": 1e-4}
    assert TokenTrainConfig.model_validate({"optimizer": keras_own}).optimizer.arguments == {}
