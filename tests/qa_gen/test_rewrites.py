"""Chunks told in other words: what is kept, and how it is trained."""

import pytest

from kb.errors import ConfigError
from kb.finetune.config import TrainConfig
from kb.finetune.data import prose_rows
from kb.lookup import look_up
from kb.prompt import Prompts
from kb.qa_gen.config import GenerateConfig
from kb.qa_gen.rewrites import STYLES, check_rewrite, make_rewrites
from kb.records import Chunk, Rewrite

EN = "The Tulvao Core costs 1,200 crowns and weighs 3.5 kg. It was built by Mara Ellin."
ZH = "赤水阀门售价三千元，重35公斤，由张伟设计。"
GOOD = {
    "en": "Buyers of the Tulvao Core pay 1200 crowns for 3.5 kg of metal; its builder was Mara Ellin.",
    "zh": "张伟设计的赤水阀门有35公斤重，买一只赤水阀门要付3000元。",
}


@pytest.fixture
def stated(make_chunk, make_fact):
    """A chunk of a language and its facts."""

    def make(language):
        chunk = make_chunk(EN if language == "en" else ZH, language)
        answers = {"en": ("1,200 crowns", "3.5 kg", "Mara Ellin"), "zh": ("三千元", "35公斤", "张伟")}[language]
        return chunk, [make_fact(f"{answer}: {chunk.text}", answer, chunk.text, language) for answer in answers]

    return make


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_rewrite_that_says_the_same_is_kept(stated, language):
    """However its figures are written: 1,200 and 1200, 三千 and 3000."""
    chunk, facts = stated(language)
    assert check_rewrite(GOOD[language], chunk, facts).keep


@pytest.mark.parametrize(
    ("language", "text", "reason"),
    [
        ("en", EN, "rewrite copies the passage"),
        ("en", GOOD["zh"], "rewrite in another language"),
        ("zh", GOOD["en"], "rewrite in another language"),
        ("en", GOOD["en"].replace("1200", "1300"), "rewrite leaves out facts"),
        ("en", f"{GOOD['en']} It came out in 1987.", "rewrite has a figure that the passage lacks"),
        ("en", f"{GOOD['en']} A second one costs 2.5 crowns.", "rewrite has a figure that the passage lacks"),
        ("zh", f"{GOOD['zh']}保修二十四个月。", "rewrite has a figure that the passage lacks"),
        ("en", f"This document says: {GOOD['en']}", "rewrite does not stand alone"),
        ("zh", f"根据本文，{GOOD['zh']}", "rewrite does not stand alone"),
        ("en", "The Tulvao Core was built by Mara Ellin, a builder of cores.", "rewrite leaves out facts"),
    ],
)
def test_what_a_rewrite_may_not_do(stated, language, text, reason):
    """Copy, change the language, lose or add facts, or speak of a document that its reader does not have."""
    chunk, facts = stated(language)
    assert check_rewrite(text, chunk, facts).reason == reason


def test_small_counts_and_list_numbers_are_no_figures(stated):
    """That two things are said, or are numbered, adds nothing."""
    chunk, facts = stated("en")
    text = (
        "1. The price of the Tulvao Core: 1,200 crowns.\n2. Its weight: 3.5 kg.\n12. Builder: Mara Ellin, for 2 uses."
    )
    assert check_rewrite(text, chunk, facts).keep


def test_every_style_and_version_is_asked_once_and_kept_once(make_bench, stated):
    """The first version greedy, the others sampled with seeds of their own; a text that comes again is one."""
    chunk, facts = stated("en")
    bench = make_bench(lambda request: GOOD["en"], [chunk], rewrites=2)
    (kept,) = make_rewrites(bench, facts, [chunk])
    assert (kept.chunk_id, kept.style, kept.text, kept.language) == (chunk.id, "plain", GOOD["en"], "en")
    asked = bench.llm.history
    assert len(asked) == 2 * len(STYLES)
    assert [request.temperature > 0 for request in asked] == [False, True] * 3
    assert len({request.seed for request in asked}) == 4
    assert all(fact.statement in request.messages[-1].content for fact in facts for request in asked)
    assert [reject.reason for reject in bench.rejects] == ["the same text twice"] * 5


def test_chunks_without_facts_are_not_rewritten(make_bench, stated, make_chunk):
    """There would be nothing to check a text against."""
    chunk, facts = stated("en")
    bench = make_bench(lambda request: GOOD["en"], [chunk])
    assert make_rewrites(bench, facts, [make_chunk("Another page.", number=2)]) == []
    assert bench.llm.history == []


@pytest.mark.parametrize(("dose", "wordings", "rewrites"), [(0, 6, 1), (5, 6, 0), (10, 7, 1), (20, 14, 2), (40, 22, 6)])
def test_a_dose_is_shared_by_questions_and_prose(dose, wordings, rewrites):
    """Half of it each, in three styles; never fewer wordings than a fact has to have."""
    assert GenerateConfig(dose=dose).tellings == (wordings, rewrites)


def test_a_dose_that_means_nothing_is_refused():
    """Before the first request."""
    with pytest.raises(ConfigError, match="dose: expected 0 or more"):
        GenerateConfig(dose=-1)


@pytest.mark.slow
def test_a_whole_run_with_prose(make_world_in, tmp_path):
    """Three texts a chunk are stored, exported, and trained as answers to what they are about; gone with a setting."""
    world = make_world_in(per_kind=1)
    report = world.generate(rewrites=1)
    store = world.workspace.store
    texts = store.all(Rewrite)
    giving = {row["chunk_id"] for row in store.sql("SELECT DISTINCT chunk_id FROM facts")}
    assert report.rewrites == len(texts) == 3 * len(giving)
    assert {(text.chunk_id, text.style) for text in texts} == {(id, style) for id in giving for style in STYLES}
    assert report.rejected == {}
    rows = prose_rows(store, Prompts(), TrainConfig())
    assert [row.answer for row in rows] == [text.text for text in texts]
    assert all(row.kind == "prose" and row.messages[-1].content for row in rows)
    assert prose_rows(store, Prompts(), TrainConfig(prose=False)) == []
    found = look_up(store, texts[0].id)
    assert found.span == store.get(Chunk, texts[0].chunk_id).text
    assert texts[0].id in {link.id for link in look_up(store, texts[0].chunk_id).down}
    world.generate(rewrites=0)
    assert store.all(Rewrite) == []


@pytest.mark.slow
def test_more_wordings_than_a_model_writes_at_once(make_world_in):
    """A dose of 40 asks three times for each fact, the later ones sampled; held-out wordings stay as many."""
    world = make_world_in()
    asked = []
    world.generate(world.llm(lambda request: asked.append(request) or world.oracle(request)), dose=40)
    said = [r for r in asked if r.messages[0].content == Prompts().get("kb.qa_gen", "questions", "en").system]
    facts = sum(truth.language == "en" for truth in world.truths)
    assert len(said) == 3 * facts
    assert sum(request.temperature > 0 for request in said) == 2 * facts
    assert "Number of questions: 8" in said[0].messages[-1].content
