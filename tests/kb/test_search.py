"""`kb search`: what is found, where it stands, and who found it."""

import pytest

from kb.records import Chunk, Document
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.search import report, search, snippet
from kb.workspace import Workspace

LONG = "Nothing of interest. " * 20 + "The fine is 84 thousand crowns. " + "More of the same. " * 20


@pytest.fixture
def place(tmp_path):
    """A workspace with an English page, a Chinese slide and a long English section; no embedder."""
    made = Workspace(tmp_path / ".kb", create=True)
    texts = ["Tulvao Core costs 349 crowns.", "图尔沃芯片的售价是210元。", LONG]
    headers = ["Prices > Core", "价格", "Rules"]
    made.store.put([Document("doc_1", "/资料/a.pdf", "s", "pdf", "Prices", "en", "\n\n".join(texts))])
    made.store.put(
        Chunk(f"chk_{n}", "doc_1", n, text, headers[n], "zh" if n == 1 else "en", 0, len(text), page=n)
        for n, text in enumerate(texts)
    )
    yield made
    made.store.close()


def find(place, query, count=0):
    """What is found without an embedder."""
    return search(place.store, open_retriever(place, RetrievalConfig(embedder="none")), query, count)


def test_a_chunk_is_found_with_its_place_and_its_ranks(place):
    """Id, file, page, heading path, and rank by words; the embedder was not asked."""
    first, *_ = find(place, "What does Tulvao Core cost?")
    assert (first.chunk, first.document, first.page, first.header) == ("chk_0", "/资料/a.pdf", 0, "Prices > Core")
    assert (first.bm25_rank, first.dense_rank, first.score) == (1, 0, 1.0)


def test_chinese_is_found_by_chinese(place):
    """The page of a Chinese chunk is said; a missing rank is a dash."""
    found = find(place, "芯片售价", 1)
    assert report(found, "芯片售价") == [
        "1. 价格  [1.00; bm25 1, embedding -]",
        "   图尔沃芯片的售价是210元。",
        "   /资料/a.pdf, page 1 (chk_1)",
    ]


def test_nothing_found_is_said(place):
    """A query without a known word finds nothing without an embedder."""
    assert report(find(place, "zzz"), "zzz") == ["nothing found"]


def test_so_many_as_asked_for(place):
    """Never more than the count."""
    assert len(find(place, "crowns", 1)) == 1
    assert len(find(place, "crowns", 5)) == 2


def test_the_snippet_is_where_the_words_are():
    """Of a long text, a stretch with the query's words, marked where it is cut."""
    cut = snippet(LONG, "What is the fine?")
    assert "The fine is 84 thousand crowns." in cut
    assert cut.startswith("…")
    assert cut.endswith("…")
    assert len(cut) <= 162


def test_a_short_text_is_its_own_snippet():
    """On one line, whole."""
    assert snippet("售价\n210元", "售价") == "售价 210元"
