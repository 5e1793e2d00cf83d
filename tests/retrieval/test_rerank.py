"""The reranker: a cross-encoder that puts what was found into a new order."""

import numpy as np
import pytest

from kb.errors import ModelUnavailable
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.retrieval.rerank import Reranker, open_reranker
from kb.search import report, search

TEXTS = ("The price of the lid is 5.", "The price is 7 crowns.", "The lid is red.", "盖子的售价是五元。")


class Longest:
    """In place of a cross-encoder: the longest text answers best."""

    def __init__(self):
        self.seen = []

    def predict(self, pairs, batch_size, show_progress_bar):
        """A score for each pair."""
        self.seen += pairs
        return np.array([float(len(text)) for _, text in pairs], dtype=np.float32)


@pytest.fixture
def reranked(make_chunks, make_workspace, monkeypatch):
    """A workspace, and a function that searches it with a reranker."""
    workspace = make_workspace(make_chunks(*TEXTS))
    model = Longest()
    monkeypatch.setattr("kb.retrieval.hybrid.open_reranker", lambda name, store: Reranker(model, name, "m"))

    def go(query, count=0, **settings):
        retriever = open_retriever(workspace, RetrievalConfig("none", reranker="big", **settings))
        return retriever, search(workspace.store, retriever, query, count)

    go.model = model
    return go


def test_the_reranker_decides_among_the_fused(reranked):
    """The order is its own, the score and the place before are still told."""
    retriever, found = reranked("price lid red")
    assert [(one.text, one.fused_rank) for one in found] == [(TEXTS[0], 2), (TEXTS[1], 3), (TEXTS[2], 1)]
    assert report(found, "price")[0].endswith("bm25 2, embedding -, fused 2, then reranked]")
    assert retriever.description == "BM25 alone, then big"


def test_it_reads_so_many_and_gives_as_many_as_asked(reranked):
    """No more than `reranked` are read, more only when more are asked for."""
    _, found = reranked("price lid red", 1, reranked=2)
    assert len(reranked.model.seen) == 2
    assert [one.fused_rank for one in found] == [2]
    _, found = reranked("price lid red", 3, reranked=2)
    assert len(found) == 3


def test_nothing_found_is_not_read(reranked):
    """A query without known words costs nothing."""
    assert reranked("zzz")[1] == []
    assert reranked.model.seen == []


def test_its_settings_are_part_of_the_retrievers_identity(reranked):
    """An evaluation with it is another one."""
    one, other = reranked("price")[0], reranked("price", reranked=2)[0]
    assert one.identity.endswith("m 30")
    assert other.identity.endswith("m 2")


def test_none_and_missing_ones(tmp_path):
    """`none` is none; what is not there is said with the cure."""
    assert open_reranker("none") is None
    with pytest.raises(ModelUnavailable, match=r"reranker: .*Set `reranker` under"):
        open_reranker(str(tmp_path / "nowhere"))


@pytest.mark.slow
@pytest.mark.parametrize("labels", [1, 3])
def test_a_real_cross_encoder(tmp_path, labels):
    """A tiny BERT, loaded from its folder: one score a passage, whatever it says; with three outputs it is refused."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "price", "is", "5", "售", "价"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        num_labels=labels,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    if labels == 3:
        with pytest.raises(ModelUnavailable, match="gives 3 scores a passage"):
            open_reranker(str(tmp_path))
        return
    reranker = open_reranker(str(tmp_path))
    scores = reranker.scores("the price", ["the price is 5", "售价"])
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()
    assert np.allclose(scores, reranker.scores("the price", ["the price is 5", "售价"]))
