from collections.abc import Iterator

import keras
import numpy as np
import pytest
from lent_nets import lend_image_backbone

from kerasft.errors import ConfigError
from kerasft.models.image.fast import accelerate_image_model
from kerasft.models.image.stochastic_depth import set_stochastic_depth


def list_rates(net: keras.Model) -> list[float]:
    return [layer.rate for layer in net.layers if isinstance(layer, keras.layers.Dropout)]


@pytest.fixture(scope="module")
def built() -> keras.Model:
    return lend_image_backbone("efficientnet_b0")


@pytest.fixture
def efficientnet(built: keras.Model) -> Iterator[keras.Model]:
    """A net whose rates are as they were built; what a test sets is taken back."""
    rates = list_rates(built)
    yield built
    dropouts = [layer for layer in built.layers if isinstance(layer, keras.layers.Dropout)]
    for layer, rate in zip(dropouts, rates, strict=True):
        layer.rate = rate


def test_rates_keep_their_proportions(efficientnet: keras.Model) -> None:
    before = np.array(list_rates(efficientnet))
    set_stochastic_depth(efficientnet, 0.5)
    after = np.array(list_rates(efficientnet))
    assert after.max() == 0.5
    np.testing.assert_allclose(after, before * 0.5 / before.max())
    assert len(set(after)) > 5


@pytest.mark.parametrize("fast", [False, True])
def test_without_it_training_is_the_same_each_time(efficientnet: keras.Model, fast: bool) -> None:
    # what is random in the net is nothing else
    efficientnet.trainable = True
    for layer in efficientnet.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    model = accelerate_image_model(efficientnet) if fast else efficientnet
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")

    def run() -> np.ndarray:
        return np.asarray(model(pixels, training=True))

    set_stochastic_depth(efficientnet, 0.5)
    assert np.abs(run() - run()).max() > 0
    set_stochastic_depth(efficientnet, 0.0)
    np.testing.assert_array_equal(run(), run())


def test_a_net_without_such_branches_refuses_a_rate() -> None:
    net = lend_image_backbone("mobilenet", alpha=0.25)
    set_stochastic_depth(net, 0.0)
    with pytest.raises(ConfigError, match="no stochastic depth") as caught:
        set_stochastic_depth(net, 0.1)
    assert caught.value.where == "model.stochastic_depth"
