"""Weight decay takes hold of what mixes features, and of nothing else, in every net that can be named."""

from __future__ import annotations

import keras
import pytest

from kerasft.models.image import backbones
from kerasft.models.image_nets import IMAGE_ARCHITECTURES, ImageArchitecture
from kerasft.optimizers.groups import resolve_settings

FAST = ("convnext_tiny",)
# Nets of one family have the same layers, more of them or wider ones.
FIRST_OF_FAMILY = {each.family.mark: each for each in reversed(IMAGE_ARCHITECTURES.values())}
MIXING = (keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def find_mixing(model: keras.Model) -> set[str]:
    """Paths of kernels and tables, by the types of the layers that hold them."""
    paths = set()
    for layer in model._flatten_layers():
        if "layer_scale" in layer.name:
            continue
        if isinstance(layer, MIXING):
            paths.add(layer.kernel.path)
        elif isinstance(layer, keras.layers.SeparableConv2D):
            paths |= {layer.depthwise_kernel.path, layer.pointwise_kernel.path}
        elif "Embedding" in type(layer).__name__:
            paths |= {variable.path for variable in layer._trainable_variables}
    return paths & {variable.path for variable in model.trainable_variables}


def find_decayed(model: keras.Model) -> set[str]:
    settled = {v.path: resolve_settings(v, (), ("bias", "norm"), 0.05) for v in model.trainable_variables}
    return {path for path, each in settled.items() if each.weight_decay}


@pytest.mark.parametrize(
    "net",
    [
        pytest.param(each, id=each.name, marks=[] if each.name in FAST else pytest.mark.slow)
        for each in FIRST_OF_FAMILY.values()
    ],
)
def test_of_nets_for_pictures_kernels_alone_are_decayed(net: ImageArchitecture, monkeypatch) -> None:
    monkeypatch.setattr(backbones, "_set_efficientnet_statistics", lambda backbone: None)
    # no variable gets a value in this scope, so that the largest net takes no memory
    with keras.StatelessScope(initialize_variables=False):
        model = backbones.build_image_backbone(net.name, size_px=net.image_size_px, weights="none")
        decayed = find_decayed(model)
        assert decayed == find_mixing(model)
        assert 0 < len(decayed) < len(model.trainable_variables)


def test_of_text_encoders_kernels_and_tables_alone_are_decayed(tiny_preset) -> None:
    from kerasft.models.text.presets import load_text_backbone

    model = load_text_backbone(tiny_preset, random_weights=True)
    decayed = find_decayed(model)
    assert decayed == find_mixing(model)
    assert any("embedding" in path for path in decayed)
    assert not any(path.endswith(("bias", "gamma", "beta")) for path in decayed)
