"""RoBERTa's net, here with a WordPiece vocabulary: a family that kerasft does not bring, in one file.

Source: Liu et al. 2019, arXiv:1907.11692.
"""

from __future__ import annotations

from kerasft.models.text.distilbert import DistilBertFamily


class RobertaFamily(DistilBertFamily):
    """Presets in keras-hub's form."""

    name, title = "roberta", "RoBERTa"
    hub_class, hub_tokenizer, hub_module = "RobertaBackbone", "BertTokenizer", "roberta"
    model_types = ()
    layer_norm_epsilon = 1e-5

    def find_embeddings(self, backbone):
        both = backbone.get_layer("embeddings")
        return {
            "token": both.token_embedding.embeddings,
            "position": both.position_embedding.position_embeddings,
        }


FAMILY = RobertaFamily()
