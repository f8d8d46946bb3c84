"""DistilBERT: a BERT of half the layers, without segments and without a pooler.

What stands for a whole text is the last output of its first token, [CLS].

Source: Sanh et al. 2019, arXiv:1910.01108.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kerasft.models.text.encoder_family import EncoderFamily, LayerNames
from kerasft.models.text.families import MaskedHeadNames
from kerasft.models.text.sizes import EncoderSizes


class DistilBertFamily(EncoderFamily):
    """DistilBERT, cased, uncased and of many languages."""

    name, title = "distilbert", "DistilBERT"
    hub_class, hub_tokenizer, hub_module = "DistilBertBackbone", "DistilBertTokenizer", "distil_bert"
    hub_masked_lm = "DistilBertMaskedLM"
    model_types = ("distilbert",)
    inputs = ("token_ids", "padding_mask")
    sizes_class = EncoderSizes
    size_names: ClassVar = {
        "vocabulary_size": "vocab_size",
        "num_layers": "n_layers",
        "num_heads": "n_heads",
        "hidden_dim": "dim",
        "intermediate_dim": "hidden_dim",
        "max_sequence_length": "max_position_embeddings",
    }
    dropout_name = "dropout"
    layer_names = LayerNames(
        folder="transformer.layer",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attention_output="attention.out_lin",
        attention_layer_norm="sa_layer_norm",
        feedforward_intermediate="ffn.lin1",
        feedforward_output="ffn.lin2",
        feedforward_layer_norm="output_layer_norm",
    )
    masked_head_names = MaskedHeadNames(
        dense="vocab_transform",
        layer_norm="vocab_layer_norm",
        bias="vocab_projector.bias",
        decoder="vocab_projector.weight",
    )
    has_pooler = False
    activation_name = "activation"
    activations = ("gelu",)
    exact_gelu = True

    def find_embeddings(self, backbone: Any) -> dict[str, Any]:
        both = backbone.get_layer("token_and_position_embedding")
        return {
            "token": both.token_embedding.embeddings,
            "position": both.position_embedding.position_embeddings,
        }

    def pick_features(self, outputs: Any, *, pooled: bool) -> Any:
        return outputs[:, 0] if pooled else outputs


FAMILY = DistilBertFamily()
