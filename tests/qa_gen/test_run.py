"""`kb generate-qa` as a whole: what it makes, what a killed or failing run leaves, and what the next one does."""

import itertools
import json
from dataclasses import asdict

import pytest

from kb.errors import ConfigError, WorkspaceError
from kb.llm.fake import FakeLLM
from kb.lookup import look_up
from kb.prompt import Prompts
from kb.qa_gen.asking import GenerateConfig
from kb.records import Document, Fact, PreferencePair, QAPair, Question, Rewrite
from kb.text.language import detect
from kb.workspace import read_jsonl

STEPS = ("facts", "questions", "answers", "full answers", "probes", "near misses", "unanswerable", "negatives")
TURNED = ("reversed", "reversed answers", "reversed probes", "cross-lingual", "cross-lingual answers")


@pytest.mark.slow
def test_all_that_is_stated_becomes_facts_with_questions(make_world_in):
    """Each stated fact with its answer and evidence, six wordings on either side; nothing dropped, nothing failed."""
    world = make_world_in()
    report = world.generate(reversed=False, cross_lingual=False)
    store = world.workspace.store
    assert {(fact.statement, fact.answer, fact.evidence) for fact in store.all(Fact)} == {
        (truth.statement, truth.answer, truth.evidence) for truth in world.truths
    }
    assert report.facts == len(world.truths) == 40
    assert report.training_questions == report.probes == 6 * report.facts
    assert report.negatives == store.count(Question, "kind != 'answerable'") > 10
    refused = store.count(Question, "kind != 'answerable' AND split = 'train'")
    assert report.pairs == report.facts * (6 + 2) + refused
    assert (report.rejected, report.notes, report.failed) == ({}, {}, {})
    assert "failed" not in "\n".join(report.lines())


@pytest.mark.slow
def test_a_second_run_asks_nothing_and_changes_nothing(world):
    """Everything is in the store."""
    assert world.generate().calls > 90
    before = world.tables()
    silent = world.llm(lambda request: pytest.fail("asked again"))
    assert world.generate(silent).calls == 0
    assert world.tables() == before


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 40, 90, 120, 150, 180])
def test_a_killed_run_resumed_ends_like_an_undisturbed_one(calm, world, at):
    """Up to the kill nothing of the set is written; after it, exactly the requests that are left are asked."""
    count = itertools.count(1)

    def breaks(request):
        if next(count) == at:
            raise KeyboardInterrupt
        return world.oracle(request)

    assert at < calm.report.calls
    with pytest.raises(KeyboardInterrupt):
        world.generate(world.llm(breaks))
    assert not any(world.tables().values())
    assert world.generate().calls == calm.report.calls - (at - 1)
    assert world.tables() == calm.tables()


@pytest.mark.slow
@pytest.mark.parametrize("step", (*STEPS, *TURNED))
def test_what_failed_in_part_is_listed_and_a_rerun_finishes_it(calm, world, step):
    """Items that never get a usable reply are counted, and listed with chunk and reason; the rest is made."""
    said = calm.workspace.store.sql("SELECT request FROM llm_calls WHERE stage = ? ORDER BY seq", f"generate: {step}")
    doomed = [json.loads(row["request"])["messages"] for row in said[::3]]
    report = world.generate(
        world.llm(lambda request: "" if [asdict(m) for m in request.messages] in doomed else world.oracle(request))
    )
    failed = list(read_jsonl(world.workspace.datasets / "failed.jsonl"))
    assert {row["step"] for row in failed} == {step}
    assert sum(report.failed.values()) == len(failed) == len(doomed)
    assert all(reason.startswith(f"{step}: no ") for reason in report.failed)
    assert {row["chunk"] for row in failed} <= {chunk.id for chunk in world.retriever().chunks}
    assert report.facts > 0
    assert world.generate().failed == {}
    assert list(read_jsonl(world.workspace.datasets / "failed.jsonl")) == []
    assert world.tables() == calm.tables()


def test_failures_of_what_is_gone_are_forgotten(world):
    """A document that is retired takes its failures with it; those of the others stay."""
    facts = {"QUOTE:", "原文："}
    model = world.llm(lambda r: "" if any(tag in r.messages[0].content for tag in facts) else world.oracle(r))
    store = world.workspace.store
    assert world.generate(model).facts == 0
    assert {item for item, _, _ in store.failures("generate: facts")} == {c.id for c in world.retriever().chunks}
    store.sql("UPDATE documents SET retired = 1 WHERE id = (SELECT MIN(id) FROM documents)")
    world.generate(model)
    assert {item for item, _, _ in store.failures("generate: facts")} == {c.id for c in world.retriever().chunks}


@pytest.mark.slow
def test_a_document_that_went_takes_its_rows_from_the_exports(world):
    """The facts of the others stay as they were, without being asked for again."""
    before = world.generate().facts
    store = world.workspace.store
    store.sql("UPDATE documents SET retired = 1 WHERE id = (SELECT MIN(id) FROM documents)")
    left = [fact.id for fact in store.all(Fact)]
    llm = world.llm(lambda request: "" if request.messages[0].content.startswith("You extract") else "I don't know.")
    assert world.generate(llm).facts == len(left)
    assert 0 < len(left) < before
    for name in ("facts.jsonl", "messages.jsonl", "probes.jsonl"):
        rows = list(read_jsonl(world.workspace.datasets / name))
        assert {row.get("fact", row["id"]) for row in rows} - {""} == set(left)


@pytest.mark.slow
def test_a_limit_makes_the_set_of_the_first_chunks(calm, world):
    """What is left out is said, and none of it is in the set; without the limit all of it is."""
    report = world.generate(limit=1)
    chunks = world.retriever().chunks
    assert (report.chunks, report.left_out) == (1, len(chunks) - 1)
    assert f"{len(chunks) - 1} chunks left out by the limit" in report.lines()[0]
    assert {fact.chunk_id for fact in world.workspace.store.all(Fact)} == {chunks[0].id}
    world.generate()
    assert world.tables() == calm.tables()


def test_nothing_to_ask_about(make_world_in):
    """An empty workspace says which command comes first."""
    with pytest.raises(WorkspaceError, match="kb ingest"):
        make_world_in(documents=()).generate()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"attempts": 0}, "attempts: expected 1 or more, got 0"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"limit": -1}, "limit: expected 0 or more"),
        ({"near_miss_share": 1.5}, "near_miss_share"),
        ({"min_yield": -0.1}, "min_yield: expected a share from 0 to 1, got -0.1"),
        ({"price_out": -1.0}, "price_out: expected 0 or more"),
        ({"wordings": 4}, "min_wordings"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, named):
    """Before the first request, not after hours."""
    with pytest.raises(ConfigError, match=named):
        GenerateConfig(**settings)


HELD_OUT = ("probes", "reversed_probes", "cross_lingual")
"""Prompts of what is only asked in an evaluation."""


@pytest.mark.slow
def test_another_model_writes_the_held_out_wordings(calm, world):
    """It is asked for them alone and the first model for all else; a second run asks neither."""
    prober = FakeLLM(world.oracle, "prober")
    report = world.generate(prober=prober)
    families = {Prompts().get("kb.qa_gen", name, language).system for name in HELD_OUT for language in ("en", "zh")}
    assert {request.messages[0].content for request in prober.history} == families
    rows = world.workspace.store.sql("SELECT DISTINCT stage FROM llm_calls WHERE model = 'prober'")
    assert len(rows) == len(HELD_OUT)
    assert (report.probes, report.calls) == (calm.report.probes, calm.report.calls)
    assert world.generate(prober=prober).calls == 0


@pytest.mark.slow
def test_only_the_model_that_is_held_to_schemas_is_asked_for_json(world):
    """Of two models each is asked in the form that it can be held to."""
    writer, prober = world.llm(), FakeLLM(world.oracle, "prober", "on")
    world.generate(writer, prober=prober, reversed=False, cross_lingual=False)
    assert {bool(request.schema) for request in writer.history} == {False}
    assert {bool(request.schema) for request in prober.history} == {True}


@pytest.mark.slow
def test_every_row_leads_to_a_span_of_its_document(world):
    """Each pair, preference and text in other words is followed to the fact's evidence or the chunk, word for word."""
    world.generate(rewrites=1, detailed=1, text_only_share=0.0)
    store = world.workspace.store
    texts = {document.id: document.text for document in store.all(Document)}
    rows = [*store.all(QAPair), *store.all(PreferencePair), *store.all(Rewrite)]
    forms = {pair.form for pair in store.all(QAPair)}
    assert {"short", "full", "reversed", "refusal", "detailed"} <= forms
    for row in rows:
        found = look_up(store, row.id)
        assert found.span, row
        document = next(link.id for link in found.up if link.kind == "document")
        assert found.before + found.span + found.after in texts[document], row


@pytest.mark.slow
def test_a_chinese_set_goes_through_without_a_word_of_english(make_world_in):
    """Every prompt, question, text and refusal is Chinese, nothing is lost, and the files hold it unescaped."""
    world = make_world_in(per_kind=2, languages=("zh",))
    llm = world.llm()
    report = world.generate(llm, rewrites=1, detailed=1, text_only_share=0.0, cross_lingual=False)
    store = world.workspace.store
    assert (report.facts, report.failed, report.rejected) == (len(world.truths), {}, {})
    assert {detect(request.messages[0].content) for request in llm.history} == {"zh"}
    for kind in (Fact, Question, QAPair, PreferencePair, Rewrite):
        assert {one.language for one in store.all(kind)} == {"zh"}
    assert {detect(question.text) for question in store.all(Question)} == {"zh"}
    assert {detect(text.text) for text in store.all(Rewrite)} == {"zh"}
    assert {pair.answer for pair in store.all(QAPair) if pair.form == "refusal"} == {"我不知道。"}
    for file in world.workspace.datasets.glob("*.jsonl"):
        assert "\\u" not in file.read_text(encoding="utf-8")
