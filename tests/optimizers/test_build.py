"""From config sections to optimizers."""

from __future__ import annotations

import subprocess
import sys

import keras
import pydantic
import pytest
from pydantic import TypeAdapter

from kerasft.errors import ConfigError
from kerasft.optimizers import AdamW, GradientDescent, ParameterGroup, Warmup, build_optimizer, build_schedule
from kerasft.optimizers.config import OptimizerConfig, ScheduleConfig


def read(**values):
    return TypeAdapter(OptimizerConfig).validate_python(values)


def test_every_setting_reaches_the_optimizer():
    config = read(
        type="gradient_descent",
        learning_rate=0.1,
        momentum=0.9,
        nesterov=True,
        weight_decay=0.01,
        no_decay=["bias"],
        layer_decay=0.5,
        groups=[{"match": "head", "learning_rate_scale": 4.0}],
        global_clipnorm=1.0,
        gradient_accumulation_steps=4,
        use_ema=True,
        ema_momentum=0.9,
    )
    optimizer = build_optimizer(config, ScheduleConfig(type="cosine", warmup=0.1), 1000, {"layer_1": 2})
    assert isinstance(optimizer, GradientDescent)
    assert isinstance(optimizer._learning_rate, Warmup)
    settings = optimizer.get_config()
    expected = {
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 0.01,
        "no_decay": ["bias"],
        "global_clipnorm": 1.0,
        "gradient_accumulation_steps": 4,
        "use_ema": True,
        "ema_momentum": 0.9,
        "measure_gradient_norm": True,
    }
    assert {name: settings[name] for name in expected} == expected
    assert optimizer.groups[0] == ParameterGroup("head", 4.0)
    assert optimizer.groups[1].learning_rate_scale == 0.25


def test_adamw_without_a_schedule_keeps_a_rate_that_can_be_set():
    optimizer = build_optimizer(
        read(type="adamw", learning_rate=0.1, beta_1=0.8, beta_2=0.95, epsilon=1e-6), None, 10
    )
    assert isinstance(optimizer, AdamW)
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.8, 0.95, 1e-6)
    optimizer.learning_rate = 0.5
    assert float(optimizer.learning_rate) == 0.5


def test_warm_up_as_a_share_and_in_steps():
    assert build_schedule(ScheduleConfig(warmup=0.1), 1.0, 651).warmup_steps == 65
    assert build_schedule(ScheduleConfig(warmup_steps=7), 1.0, 651).warmup_steps == 7
    with pytest.raises(ConfigError, match="only 5 steps"):
        build_schedule(ScheduleConfig(warmup_steps=7), 1.0, 5)


def test_the_decay_of_wsd_is_a_share_of_all_steps():
    schedule = build_schedule(ScheduleConfig(type="wsd", warmup=0.1, decay=0.3, decay_shape="sqrt"), 1.0, 50)
    assert (schedule.warmup_steps, schedule.decay_steps, schedule.decay_shape) == (5, 15, "sqrt")
    # 2.5 and 22.5 steps, rounded
    assert build_schedule(ScheduleConfig(type="wsd", warmup=0.1, decay=0.9), 1.0, 25).decay_steps == 22
    assert build_schedule(ScheduleConfig(type="wsd", warmup=0.5, decay=0.5), 1.0, 7).decay_steps == 3
    assert build_schedule(ScheduleConfig(type="wsd", decay=0.01), 1.0, 10).decay_steps == 1
    with pytest.raises(ConfigError, match="8 of the 10 steps are for the decay"):
        build_schedule(ScheduleConfig(type="wsd", warmup_steps=4, decay=0.8), 1.0, 10)
    # a warm-up in steps is not rounded, and one step cannot be given up
    for settings, steps in (({"warmup_steps": 8, "decay": 0.3}, 10), ({"warmup": 0.6, "decay": 0.4}, 1)):
        with pytest.raises(ConfigError, match=f"of the {steps} steps are for the decay"):
            build_schedule(ScheduleConfig(type="wsd", **settings), 1.0, steps)
    with pytest.raises(pydantic.ValidationError, match="come to more than 1"):
        ScheduleConfig(type="wsd", warmup=0.5, decay=0.6)


def test_keras_optimizers_by_their_class_name():
    config = read(type="keras", class_name="Lion", learning_rate=0.1, arguments={"beta_1": 0.8})
    optimizer = build_optimizer(config, None, 10)
    assert isinstance(optimizer, keras.optimizers.Lion)
    assert optimizer.beta_1 == 0.8


def test_accumulation_needs_enough_batches_and_an_optimizer_of_ours():
    config = read(type="gradient_descent", learning_rate=0.1, gradient_accumulation_steps=10)
    assert build_optimizer(config, None, 10).gradient_accumulation_steps == 10
    with pytest.raises(ConfigError, match="only 9 batches") as error:
        build_optimizer(config, None, 9)
    assert error.value.where == "train.optimizer.gradient_accumulation_steps"
    with pytest.raises(pydantic.ValidationError, match="average batches of unequal sizes"):
        read(type="keras", class_name="Lion", learning_rate=0.1, arguments={"gradient_accumulation_steps": 2})


def test_unknown_keras_optimizer_names_the_nearest():
    with pytest.raises(ConfigError, match="Adafactor") as error:
        build_optimizer(read(type="keras", class_name="AdaFacter", learning_rate=0.1), None, 10)
    assert error.value.where == "train.optimizer.class_name"
    with pytest.raises(ConfigError, match=r"it has .*SGD"):
        build_optimizer(read(type="keras", class_name="Zzz", learning_rate=0.1), None, 10)


def test_arguments_that_keras_refuses_name_the_ones_it_takes():
    config = read(type="keras", class_name="Lion", learning_rate=0.1, arguments={"betta": 0.8})
    with pytest.raises(ConfigError, match="beta_1"):
        build_optimizer(config, None, 10)


def test_layer_decay_needs_the_depths_of_the_layers():
    with pytest.raises(ConfigError, match="the depth of its layers"):
        build_optimizer(read(type="adamw", learning_rate=0.1, layer_decay=0.9), None, 10)


def test_package_and_its_config_import_no_tensorflow():
    code = (
        "import sys, kerasft.optimizers, kerasft.optimizers.config; dir(kerasft.optimizers);"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
