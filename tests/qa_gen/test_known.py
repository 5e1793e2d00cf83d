"""The step that asks the model what it knew: once for each fact, resumable, and kept where nothing may be asked."""

import itertools
import json

import pytest

from kb.llm import Completion, Request, user
from kb.prompt import Prompts
from kb.qa_gen.config import GenerateConfig
from kb.qa_gen.estimate import Ahead, estimate
from kb.qa_gen.report import measure
from kb.qa_gen.selection import Choice
from kb.records import Fact, Knownness

pytestmark = pytest.mark.slow

CLOSED = {Prompts().get("kb", "closed", language).system for language in ("en", "zh")}


def knows(world, share=2, closed=None):
    """A model that knows every so many facts by heart."""
    by_heart = {text: truth.answer for truth in world.truths[::share] for text in truth.trained}

    def script(request):
        asked = request.messages[-1].content
        if request.messages[0].content not in CLOSED:
            return world.oracle(request)
        return closed(request) if closed else by_heart.get(asked) or world.oracle(request)

    return world.llm(script)


def rows(world):
    return {one.fact_id: one for one in world.workspace.store.all(Knownness)}


def test_each_fact_is_stored_with_what_the_model_knew(world):
    """In both languages; the report beside the set says the mix and the model."""
    world.generate(knows(world), known_samples=8)
    found, facts = rows(world), world.workspace.store.all(Fact)
    right = {truth.statement for truth in world.truths[::2]}
    assert {fact.id: found[fact.id].level for fact in facts} == {
        fact.id: "known" if fact.statement in right else "unknown" for fact in facts
    }
    assert {one.model for one in found.values()} == {"oracle"}
    assert {one.samples for one in found.values()} == {8}
    known = sum(one.level == "known" for one in found.values())
    said = f"knownness: unknown {len(facts) - known}, maybe 0, known {known} (8 samples of oracle)"
    assert said in measure(world.workspace.store).lines()
    (mix,) = json.loads(world.workspace.qa_report.read_text(encoding="utf-8"))["knownness"]
    assert (mix["model"], mix["known"], mix["maybe"], mix["samples"]) == ("oracle", known, 0, 8)


def test_not_measured_is_said_and_a_cut_off_answer_is_no_failure(world):
    """Neither waits for a rerun."""
    world.generate(known_samples=0)
    assert "knownness: not measured" in "\n".join(measure(world.workspace.store).lines())
    report = world.generate(knows(world, closed=lambda r: Completion("and so on", "length")), known_samples=2)
    assert report.failed == {}
    assert {one.level for one in rows(world).values()} == {"unknown"}


def test_what_could_not_be_had_is_a_failure_and_the_next_run_asks_it(world):
    """The fact is not measured until then."""
    doomed = world.truths[0].trained[0]

    def closed(request):
        return Completion("", "error", "busy") if request.messages[-1].content == doomed else "I don't know."

    report = world.generate(knows(world, closed=closed), known_samples=2, attempts=1)
    assert report.failed == {"knownness: busy": 1}
    assert len(rows(world)) == report.facts - 1
    assert world.generate(known_samples=2).failed == {}
    assert len(rows(world)) == report.facts


def test_a_killed_run_resumed_asks_what_is_left_and_gives_the_same(world, make_world_in):
    """Drawn answers included: each has its seed."""
    first, second = make_world_in("first", world.compositions), make_world_in("second", world.compositions)
    by_heart = {text: truth.answer for truth in world.truths for text in truth.trained}
    count, ends = itertools.count(1), []

    def closed(request):
        if next(count) in ends:
            raise KeyboardInterrupt
        return by_heart[request.messages[-1].content] if request.seed % 3 else "I don't know."

    facts = first.generate(knows(first, closed=closed), known_samples=10).facts
    ends.append(2 * 10 * facts - 7)
    with pytest.raises(KeyboardInterrupt):
        second.generate(knows(second, closed=closed), known_samples=10)
    assert rows(second) == {}
    assert second.generate(knows(second, closed=closed), known_samples=10).calls == 8
    assert list(rows(second).values()) == list(rows(first).values())
    assert len({one.correct for one in rows(first).values()}) > 1


def test_chunks_that_are_not_asked_keep_what_was_known(world, other_document):
    """`--only` another document: what was measured stays, and what is new is measured."""
    world.generate(knows(world), known_samples=4)
    before = rows(world)
    new = world.add(other_document)
    world.generate(choice=Choice(only=(new,)), known_samples=4)
    after = rows(world)
    assert {id: after[id] for id in before} == before
    assert len(after) > len(before)
    # Another number of samples would need to ask about the others, too.
    world.generate(choice=Choice(only=(new,)), known_samples=12)
    assert {id: rows(world)[id] for id in before} == before
    assert {one.samples for id, one in rows(world).items() if id not in before} == {12}


def test_what_is_stored_of_other_models_stays_with_the_facts(world):
    """`kb train` may have asked the base that it trains; a run with that model renews its own rows."""
    world.generate(known_samples=2)
    store, fact = world.workspace.store, world.workspace.store.all(Fact)[0]
    store.put([Knownness("kno_b", fact.id, "base", 2, 1), Knownness("kno_c", "fct_gone", "base", 2, 1)])
    world.generate(known_samples=2)
    assert [one.id for one in store.all(Knownness) if one.model == "base"] == ["kno_b"]
    world.generate(known_samples=0)
    assert [one.id for one in store.all(Knownness)] == ["kno_b"]


def test_the_estimate_before_the_first_request_counts_the_step(world):
    """As many requests a fact as there are samples; none where it is not measured."""
    store, llm = world.workspace.store, world.llm()
    asked = [Request(user(f"passage {number}")) for number in range(10)]

    def calls(**settings):
        ahead = Ahead("facts", asked, 10, 10)
        return estimate(store, lambda step: llm, GenerateConfig(**settings), ahead, 0).calls

    assert calls()["knownness"] == pytest.approx(9 * calls()["probes"])
    assert calls(known_samples=0)["knownness"] == 0
    world.generate(known_samples=0)
    assert calls()["knownness"] > 0
