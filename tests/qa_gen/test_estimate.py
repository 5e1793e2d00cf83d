"""What a run says before it asks: how much is left, and what that rests on."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kb.llm import Completion, Message, Request, user
from kb.llm.fake import FakeLLM
from kb.llm.stored import append_call
from kb.qa_gen.config import GenerateConfig
from kb.qa_gen.estimate import KEPT, TOKENS_A_SECOND, Ahead, Estimate, estimate
from kb.store import Store

LLM = FakeLLM([], "m")
FACTS = "QUOTE: a b\nFACT: a is b\nANSWER: b\n" * 4
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "kb.db")
    yield store
    store.close()


def requests(count, tokens=100, first=0):
    """Requests of about so many tokens each, all different."""
    return [Request(user(f"{'word ' * tokens}\n{number}")) for number in range(first, first + count)]


def add_calls(store, step, asked, answer="yes", every=2.0, why="", tokens=(100, 10)):
    """Calls of a step, one every so many seconds."""
    for number, request in enumerate(asked):
        append_call(
            store, request.key("m"), f"generate: {step}", "m", request, Completion(answer, "stop", "", *tokens), why
        )
        at = BEGAN + timedelta(seconds=every * number)
        store.sql("UPDATE llm_calls SET at = ? WHERE seq = (SELECT MAX(seq) FROM llm_calls)", at.isoformat())


def left(store, step, asked, seen=None, total=None, ended=0, whole=True, **settings):
    """The estimate before these requests."""
    ahead = Ahead(step, asked, seen or len(asked), total or seen or len(asked))
    return estimate(store, lambda step: LLM, GenerateConfig(**({"known_samples": 0} | settings)), ahead, ended, whole)


def rounded(found):
    """Calls by step, without those that are none."""
    return {step: round(count) for step, count in found.calls.items() if round(count)}


def test_without_any_call_all_is_a_guess_and_says_so(store):
    """Facts by the length of the passages, the later steps by the defaults, the time by a speed that is named."""
    found = left(store, "facts", requests(10, tokens=600), rewrites=0, detailed=0)
    assert rounded(found) == pytest.approx({
        "facts": 10, "questions": 100, "answers": 90, "full answers": 81, "probes": 81, "reversed": 65,
        "reversed answers": 58, "reversed probes": 52, "near misses": 32, "unanswerable": 9, "negatives": 45,
    }, abs=1)  # fmt: skip
    assert found.line().endswith("(a guess: no call so far; the time is for 200 tokens a second)")
    assert found.seconds == pytest.approx(found.answer_tokens / TOKENS_A_SECOND)
    assert not found.timed


def test_what_another_model_has_written_says_nothing_of_this_one(store):
    """Held-out wordings that the first model wrote are still to come from the one that writes them now."""
    add_calls(store, "facts", requests(10), FACTS)
    add_calls(store, "questions", requests(40, first=100))
    add_calls(store, "probes", requests(40, first=200))
    ahead, config = Ahead("answers", requests(4, first=300), 40, 40), GenerateConfig(known_samples=0)

    own, other = (
        estimate(store, lambda step, of=of: of if step == "probes" else LLM, config, ahead, 0).calls["probes"]
        for of in (LLM, FakeLLM([], "n"))
    )
    assert own == pytest.approx(4 * KEPT, abs=0.5)
    assert other == pytest.approx(40 * KEPT, abs=0.5)


def test_long_answers_are_counted(store):
    """One request a chunk for the questions and one for each answer; then as many as the last run had."""
    found = left(store, "facts", requests(10, tokens=600), rewrites=0)
    assert (rounded(found)["detailed"], rounded(found)["detailed answers"]) == (9, 16)
    add_calls(store, "facts", requests(10), FACTS)
    add_calls(store, "detailed", requests(8, tokens=90))
    add_calls(store, "detailed answers", requests(12, tokens=80))
    ended = store.sql("SELECT MAX(seq) FROM llm_calls")[0][0]
    found = rounded(left(store, "facts", requests(10, first=900), ended=ended, whole=False))
    assert (found["detailed"], found["detailed answers"]) == (8, 12)


def test_an_interrupted_run_counts_the_facts_that_it_found(store):
    """Four in every answer so far; what is in the store is not asked again, and its questions are yet to come."""
    add_calls(store, "facts", requests(30), FACTS)
    found = left(store, "facts", requests(10, first=30), seen=40)
    assert (rounded(found)["facts"], rounded(found)["questions"]) == (10, 144)
    assert "(from 30 calls so far)" in found.line()


def test_passages_twice_as_long_give_twice_the_facts(store):
    """Those that are to be asked; the facts of the others are known."""
    add_calls(store, "facts", requests(20), FACTS)
    add_calls(store, "questions", requests(80, tokens=20))
    found = left(store, "facts", requests(5, tokens=200, first=900), seen=25, ended=100)
    assert rounded(found)["questions"] == pytest.approx(5 * 4 * 2, abs=1)


def test_ratios_are_those_of_runs_that_ended(store):
    """Of a run in progress a step is not over, and would look as if little came of it."""
    add_calls(store, "facts", requests(10), FACTS)
    add_calls(store, "questions", requests(40, tokens=20))
    add_calls(store, "answers", requests(20, tokens=300))
    ended = store.sql("SELECT MAX(seq) FROM llm_calls")[0][0]
    assert rounded(left(store, "questions", requests(10, 20, 900), ended=ended, whole=False))["answers"] == 5
    assert rounded(left(store, "questions", requests(10, 20, 900), ended=0, whole=False))["answers"] == 9


def test_when_only_some_may_be_asked_only_what_follows_from_them_counts(store):
    """What later steps lack of the other documents is not asked in this run."""
    add_calls(store, "facts", requests(20), FACTS)
    asked = requests(1, first=900)
    assert rounded(left(store, "facts", asked, seen=21, whole=False))["questions"] == 4
    assert rounded(left(store, "facts", asked, seen=21))["questions"] == pytest.approx(76, abs=1)


def test_items_that_were_not_looked_at_are_estimated_too(store):
    """As far as the store cannot hold their answers, and at least as many as lack one of those that were seen."""
    assert rounded(left(store, "facts", requests(40), seen=40, total=100))["facts"] == 100
    add_calls(store, "facts", requests(90, first=500), FACTS)
    assert rounded(left(store, "facts", requests(10), seen=40, total=100))["facts"] == 25
    assert rounded(left(store, "facts", requests(1), seen=100, total=100))["facts"] == 1


def test_tokens_time_and_money_of_what_was_measured(store):
    """Means of the last calls, bad ones included, which cost as much; a night in between is no time of work."""
    add_calls(store, "negatives", requests(30), tokens=(1000, 50), every=4.0)
    add_calls(store, "negatives", requests(10, first=100), tokens=(1000, 50), every=4.0, why="no answer in the reply")
    store.sql("UPDATE llm_calls SET at = datetime(at, '+9 hours') WHERE seq > 30")
    store.sql("UPDATE llm_calls SET at = replace(at, ' ', 'T') || '+00:00' WHERE seq > 30")
    found = left(
        store, "negatives", requests(60, first=900), price_in=2.0, price_out=10.0, currency="元", rewrites=0, detailed=0
    )
    assert rounded(found) == {"negatives": 80}
    assert (found.prompt_tokens, found.answer_tokens) == pytest.approx((80_000, 4000))
    assert found.price == pytest.approx(0.16 + 0.04)
    assert found.seconds == pytest.approx(80 * 4, rel=0.06)
    assert found.line() == "about 80 calls, 84 k tokens, 5 min, 0.2 元 (from 30 calls so far)"


def test_a_server_that_counts_no_tokens(store):
    """They are estimated from the texts."""
    add_calls(store, "negatives", requests(20), "word " * 30, tokens=(0, 0))
    found = left(store, "negatives", requests(10, first=900), rewrites=0, detailed=0)
    assert (found.prompt_tokens, found.answer_tokens) == pytest.approx((1000, 300), rel=0.1)


def test_a_correction_is_as_long_as_what_it_is_about(store):
    """A word about a bad answer is the last message, and says nothing of the passage: before and in the past."""
    turns = (Message("assistant", "junk"), Message("user", "Again."))
    plain, corrected = requests(10, tokens=600), requests(10, tokens=600)
    corrected = [replace(request, messages=request.messages + turns) for request in corrected]
    assert rounded(left(store, "facts", corrected)) == rounded(left(store, "facts", plain))
    add_calls(store, "facts", corrected, FACTS)
    assert left(store, "facts", requests(5, 600, first=50)).calls["questions"] == pytest.approx(18, rel=0.05)


def test_another_model_of_the_same_name_is_not_measured(store):
    """Its calls are in the store under other keys."""
    other = [Request(user(f"other {number}")) for number in range(20)]
    add_calls(store, "facts", other, FACTS)
    store.sql("UPDATE llm_calls SET key = 'x' || key")
    assert "a guess" in left(store, "facts", requests(3)).line()


def test_a_step_that_was_never_asked_counts_by_the_defaults(store):
    """It was switched off in the runs so far, or is new; what was asked counts as it was."""
    add_calls(store, "facts", requests(10), FACTS)
    for step, count in (("questions", 40), ("answers", 40), ("full answers", 40), ("probes", 40)):
        add_calls(store, step, requests(count, tokens=20, first=len(step) * 1000))
    ended = store.sql("SELECT MAX(seq) FROM llm_calls")[0][0]
    found = rounded(left(store, "facts", requests(10, first=900), ended=ended, whole=False, cross_lingual=True))
    assert found["probes"] == found["cross-lingual"]
    assert found["cross-lingual answers"] == pytest.approx(0.9 * found["probes"], abs=1)
    assert found["reversed"] == pytest.approx(0.8 * found["probes"], abs=1)
    found = rounded(left(store, "facts", requests(10, first=900), ended=ended, whole=False, reversed=False))
    assert not {"reversed", "reversed answers", "reversed probes", "cross-lingual"} & found.keys()


def test_steps_that_are_switched_off_are_not_counted(store):
    """No near misses, no unanswerable questions, no rewrites, no long answers, nothing asked the other way round."""
    off = {"near_miss_share": 0.0, "unanswerable": 0, "rewrites": 0, "detailed": 0, "reversed": False}
    found = left(store, "facts", requests(10), **off)
    assert rounded(found).keys() == {"facts", "questions", "answers", "full answers", "probes"}


@pytest.mark.parametrize(
    ("calls", "tokens", "seconds", "said"),
    [
        (7, 540, 3, "about 7 calls, 540 tokens, 3 s"),
        (1238, 1_130_000, 2400, "about 1,200 calls, 1.1 M tokens, 40 min"),
        (98_765, 12_345, 90_000, "about 99,000 calls, 12 k tokens, 25.0 h"),
    ],
)
def test_figures_are_rounded(calls, tokens, seconds, said):
    """Two digits are more than the estimate is worth."""
    assert (
        Estimate({"facts": calls}, tokens, 0, seconds, 0.0, "", 200, True).line() == f"{said} (from 200 calls so far)"
    )


@pytest.fixture
def lines(caplog):
    """What was said so far."""
    caplog.set_level(logging.INFO, "kb")
    return lambda: [record.getMessage() for record in caplog.records if "calls" in record.getMessage()]


@pytest.mark.slow
def test_a_run_says_it_once_before_the_first_request(world, lines):
    """When nothing is left to ask it says nothing, and for what is left, only that."""
    said_at_first = []

    def script(request):
        said_at_first.append(len(lines()))
        return world.oracle(request)

    world.generate(world.llm(script))
    assert said_at_first[0] == 1
    assert lines()[0].startswith("from facts on: about ")
    before = len(lines())
    world.generate()
    assert lines()[before:] == []
    rows = world.workspace.store.sql("SELECT request FROM llm_calls WHERE stage = 'generate: negatives'")
    gone = json.loads(rows[0]["request"])
    world.workspace.store.sql("DELETE FROM llm_calls WHERE request = ?", json.dumps(gone, ensure_ascii=False))
    world.generate()
    assert lines()[before:] == [lines()[before]]
    assert lines()[before].startswith("from negatives on: about 1 call, ")
