"""A PyTorch state dict under a whole training: its top blocks learn one after another, and what is published opens."""

from __future__ import annotations

import pytest
from lite_makers import draw_arrays
from torch_makers import make_tensors, write_archive

from kerasft.models.image.presets import load_image_backbone, resolve_image_preset


@pytest.mark.slow
def test_the_top_blocks_learn_and_batch_normalisation_and_the_rest_stay(
    tmp_path, load_image_experiment, run_once
) -> None:
    weights = write_archive(tmp_path / "net.pth", make_tensors(draw_arrays()))
    config = load_image_experiment(
        "model.preset=efficientnet_lite0",
        "model.arguments={}",
        f"model.weights={weights}",
        "model.adaptation={type: gradual, every_epochs: 1}",
        "train.optimizer={type: adamw, learning_rate: 1.0e-3, layer_decay: 0.9}",
        "export=null",
    )
    run = run_once("lite-gradual", config)
    start = load_image_backbone(resolve_image_preset("efficientnet_lite0"), weights=str(weights))
    learned = load_image_backbone(resolve_image_preset(str(run.path)))
    changed = {
        ours.path
        for ours, theirs in zip(learned.weights, start.weights, strict=True)
        if (ours.numpy() != theirs.numpy()).any()
    }
    # the first epoch unfreezes what stands on the last block, the second the last block too: one of them is kept
    block = {f"block7a_{part}/kernel" for part in ("expand_conv", "dwconv", "project_conv")}
    assert "top_conv/kernel" in changed
    assert changed <= {"top_conv/kernel", *block}
    # three classes, of which the head tells most apart by drawn features
    assert run.read_metrics()["evaluate"]["test"]["accuracy"]["value"] > 0.5
