"""Asking through the store: nothing twice, nothing lost."""

from collections import Counter
from dataclasses import replace

import pytest

from kb.errors import LLMError, Unparsed
from kb.llm import NOT_ASKED, Completion, Item, Request, Step, ask, calls, user
from kb.llm.fake import FakeLLM
from kb.store import Store, histogram

STAGE = "generate: facts"


def items(count, prompt="question {}"):
    return [Item(f"chk_{number}", Request(user(prompt.format(number)))) for number in range(count)]


def parse(text):
    if not text.startswith("A:"):
        raise Unparsed("no A: line")
    return text[2:]


def good(request):
    return f"A:{request.messages[-1].content}"


def run(llm, store, asked, attempts=3, reader=parse):
    return list(ask(llm, store, asked, reader, STAGE, attempts, show=False))


def rows(store, columns="key, error, finish, response"):
    return [tuple(row) for row in store.sql(f"SELECT {columns} FROM llm_calls ORDER BY seq")]


def prompts_of(requests):
    return [request.messages[-1].content for request in requests]


def prompts(fake):
    return prompts_of(fake.history)


def test_results_come_in_the_order_of_the_items(store):
    """However answers land, results are in order, parsed, and each is in the store."""

    class Backwards(FakeLLM):
        def generate(self, requests, skip=()):
            yield from reversed(list(super().generate(requests, skip)))

    results = run(Backwards(good), store, items(5))
    assert [result.value for result in results] == [f"question {number}" for number in range(5)]
    assert [result.item.id for result in results] == [f"chk_{number}" for number in range(5)]
    assert len(rows(store)) == 5


def test_what_was_answered_is_never_asked_again(store):
    """A second run takes everything from the store and gives the same results."""
    first = run(FakeLLM(good), store, items(4))
    silent = FakeLLM(lambda request: pytest.fail("asked again"))
    assert run(silent, store, items(4)) == first
    assert len(rows(store)) == 4


def test_another_model_is_asked_for_itself(store):
    """Answers belong to the model that gave them."""
    run(FakeLLM(good, "one"), store, items(2))
    other = FakeLLM(good, "two")
    run(other, store, items(2))
    assert len(other.history) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, LLMError("the server is gone"), MemoryError])
def test_an_interrupted_run_goes_on_where_it_stopped(store, error):
    """What landed before the interruption stays, and the next run asks exactly the rest."""

    def breaks(request):
        if request.messages[-1].content == "question 3":
            raise error
        return good(request)

    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        run(FakeLLM(breaks), store, items(6))
    assert len(rows(store)) == 3
    after = FakeLLM(good)
    assert [result.value for result in run(after, store, items(6))] == [f"question {number}" for number in range(6)]
    assert prompts(after) == ["question 3", "question 4", "question 5"]


def test_an_answer_of_the_wrong_form_is_asked_again_sampled(store):
    """The second attempt has another seed and a temperature; both answers are on record, the bad one as such."""
    fake = FakeLLM(["对不起", "A:42"])
    (result,) = run(fake, store, items(1))
    assert result.value == "42"
    assert [(request.seed, request.temperature) for request in fake.history] == [(0, 0.0), (1, 0.7)]
    assert rows(store, "error, response") == [("no A: line", "对不起"), ("", "A:42")]
    assert store.failures(STAGE) == []


def test_an_answer_that_was_cut_off_is_asked_again(store):
    """An answer at the token limit is no answer, even if it would parse."""
    fake = FakeLLM([Completion("A:4", "length"), "A:42"])
    (result,) = run(fake, store, items(1))
    assert result.value == "42"
    assert rows(store, "error, finish")[0] == ("answer cut off at the token limit", "length")


def test_a_rerun_asks_nothing_although_the_first_attempt_was_bad(store):
    """An item that needed three attempts is taken from the store like any other."""
    first = run(FakeLLM(["x", "y", "A:3"]), store, items(1))
    after = FakeLLM(good)
    assert run(after, store, items(1)) == first
    assert after.history == []


def test_a_bad_answer_before_an_interruption_is_not_asked_for_again(store):
    """A resumed run goes on with the next seed where the interrupted one would have."""

    def second_breaks(request):
        if request.seed == 1:
            raise KeyboardInterrupt
        return "junk"

    with pytest.raises(KeyboardInterrupt):
        run(FakeLLM(second_breaks), store, items(2))
    after = FakeLLM(good)
    assert [result.value for result in run(after, store, items(2))] == ["question 0", "question 1"]
    assert [request.seed for request in after.history] == [1, 1]


def test_no_answer_is_asked_again_as_it_was(store):
    """A transport failure changes neither seed nor temperature, so it changes no result."""
    fake = FakeLLM([Completion("", "error", "HTTP 500: busy"), "A:42"])
    (result,) = run(fake, store, items(1))
    assert result.value == "42"
    assert [(request.seed, request.temperature) for request in fake.history] == [(0, 0.0), (0, 0.0)]
    assert rows(store, "error, finish") == [("HTTP 500: busy", "error"), ("", "stop")]


def test_what_fails_to_the_end_is_recorded_and_a_rerun_clears_it(store):
    """Reason and text of the last attempt are listed; when the same item succeeds later the record is gone."""
    bad = FakeLLM(lambda request: good(request) if "1" in request.messages[-1].content else "抱歉")
    results = run(bad, store, items(3))
    assert [result.reason for result in results] == ["no A: line", "", "no A: line"]
    assert store.failures(STAGE) == [("chk_0", "no A: line", "抱歉"), ("chk_2", "no A: line", "抱歉")]
    assert len(bad.history) == 7
    after = FakeLLM(good)
    assert [result.value for result in run(after, store, items(3))] == ["question 0", "question 1", "question 2"]
    assert prompts(after) == ["question 0", "question 2"]
    assert store.failures(STAGE) == []


def stubborn(request):
    """Answers like a deterministic model that needs the seed 4 to get it right."""
    return good(request) if request.seed == 4 else "junk"


def test_what_was_given_up_is_asked_with_new_seeds(store):
    """A model that gives the same bad answer to the same request is not asked the same requests for ever."""
    fakes = [FakeLLM(stubborn), FakeLLM(stubborn), FakeLLM(stubborn)]
    results = [run(fake, store, items(1))[0] for fake in fakes]
    assert [[request.seed for request in fake.history] for fake in fakes] == [[0, 1, 2], [3, 4], []]
    assert [result.value for result in results] == [None, "question 0", "question 0"]
    assert store.failures(STAGE) == []


def test_without_any_answer_the_same_request_is_asked_again_in_the_next_run(store):
    """Two bad answers and no third one: the third seed was never tried."""
    fake = FakeLLM(["junk", "junk", Completion("", "error", "HTTP 500: busy")])
    run(fake, store, items(1))
    after = FakeLLM(good)
    assert run(after, store, items(1))[0].value == "question 0"
    assert [request.seed for request in after.history] == [2]


def asked_in_step(llm, store, asked, ended, begin=lambda requests, seen: None):
    """One step of a run that keeps account of failures itself; `ended` is the last call of the run before."""
    step = Step(len(asked), ended, begin)
    return list(ask(llm, store, iter(asked), parse, STAGE, show=False, step=step))


def test_a_killed_rerun_of_what_was_given_up_ends_like_an_undisturbed_one(store, tmp_path):
    """Attempts of the killed run count, those of the run that ended do not: the same seeds, the same end."""
    other = Store(tmp_path / "undisturbed.db")
    for place in (store, other):
        asked_in_step(FakeLLM(lambda request: "junk"), place, items(1), ended=0)

    def dies(request):
        if request.seed == 4:
            raise KeyboardInterrupt
        return "junk"

    with pytest.raises(KeyboardInterrupt):
        asked_in_step(FakeLLM(dies), store, items(1), ended=3)
    late = FakeLLM(lambda request: good(request) if request.seed == 6 else "junk")
    assert [r.reason for r in asked_in_step(late, store, items(1), ended=3)] == ["no A: line"]
    assert [r.reason for r in asked_in_step(late, other, items(1), ended=3)] == ["no A: line"]
    assert rows(store, "key, response") == rows(other, "key, response")
    assert asked_in_step(late, store, items(1), ended=6)[0].value == "question 0"
    other.close()


def test_a_step_records_no_failures(store):
    """The run that it is a part of does, when it comes to its end."""
    asked_in_step(FakeLLM(["junk"]), store, items(1), ended=0)
    assert store.failures(STAGE) == []


def test_an_item_that_may_not_be_asked_gets_what_the_store_has(store):
    """A good answer, the reason against a bad one, or that it was not asked; the model sees nothing of it."""
    run(FakeLLM(["A:1", "junk"]), store, items(2), attempts=1)
    closed = [replace(item, open=False) for item in items(3)]
    seen = []

    class Sees(FakeLLM):
        def generate(self, requests, skip=()):
            seen.extend(requests)
            return super().generate(requests, skip)

    llm = Sees(good)
    results = asked_in_step(llm, store, [*closed, *items(5)[3:]], ended=0)
    assert [result.reason for result in results] == ["", "no A: line", NOT_ASKED, "", ""]
    assert [request.messages[-1].content for request in seen] == ["question 3", "question 4"]


def test_a_step_says_what_it_is_about_to_ask_once(store):
    """The requests without an answer, each once, and how many items were looked at; nothing when all are answered."""
    run(FakeLLM(good), store, items(2))
    said = []
    asked = [*items(4), *items(4)]
    bad_once = FakeLLM(lambda request: good(request) if request.seed else "junk")
    asked_in_step(bad_once, store, asked, 0, lambda requests, seen: said.append((prompts_of(requests), seen)))
    assert said == [(["question 2", "question 3"], 8)]
    asked_in_step(FakeLLM(good), store, asked, 0, lambda requests, seen: pytest.fail("nothing is asked"))


def test_items_are_made_as_they_are_asked(store, monkeypatch):
    """Not more than a slice of them is in memory, and all have their results in order."""
    monkeypatch.setattr(calls, "SLICE", 4)
    made = []

    def making():
        for item in items(10):
            made.append(item.id)
            yield item

    results = ask(FakeLLM(good), store, making(), parse, STAGE, show=False, step=Step(10, 0, lambda *_: None))
    assert next(results).value == "question 0"
    assert len(made) == 4
    assert [result.value for result in results] == [f"question {number}" for number in range(1, 10)]


def test_why_an_answer_was_cut_off_is_still_known_in_the_next_run(store):
    """The server's own reason, not only that it was cut off."""
    run(FakeLLM([Completion("", "length", "cut off while thinking")]), store, items(1), attempts=1)
    closed = [replace(item, open=False) for item in items(1)]
    assert [result.reason for result in asked_in_step(FakeLLM([]), store, closed, 0)] == ["cut off while thinking"]


def test_failures_of_other_items_and_stages_stay(store):
    """A run clears the failures of its own items and no others."""
    store.fail(STAGE, "chk_9", "no A: line")
    store.fail("evaluate: base", "chk_0", "timeout")
    run(FakeLLM(good), store, items(1))
    assert [item for item, _, _ in store.failures(STAGE)] == ["chk_9"]
    assert [item for item, _, _ in store.failures("evaluate: base")] == ["chk_0"]


def test_one_id_with_a_good_and_a_failed_request_counts_as_failed(store):
    """Several requests may stand under one id; it is done when all of them are."""
    store.fail(STAGE, "chk", "no A: line")
    asked = [Item("chk", Request(user("one"))), Item("chk", Request(user("two")))]
    run(FakeLLM(lambda r: good(r) if r.messages[-1].content == "two" else "junk"), store, asked, attempts=1)
    assert store.failures(STAGE) == [("chk", "no A: line", "junk")]


def test_reasons_are_counted(store):
    """The histogram of reasons lists the most frequent first."""
    answers = {0: "junk", 1: Completion("A:", "length"), 2: Completion("A:", "length"), 3: "A:ok"}
    answers[4] = Completion("", "error", "HTTP 400: 太长")
    fake = FakeLLM(lambda request: answers[int(request.messages[-1].content[-1])])
    run(fake, store, items(5))
    assert histogram(store.failures(STAGE)) == {
        "answer cut off at the token limit": 2, "HTTP 400: 太长": 1, "no A: line": 1,
    }  # fmt: skip
    asked = Counter(prompts(fake))
    assert [asked[f"question {number}"] for number in range(5)] == [3, 3, 3, 1, 3]


def test_the_same_request_under_two_ids_is_asked_once(store):
    """Two items that ask the same share the answer, and each has its result."""
    fake = FakeLLM(good)
    asked = [
        Item("one", Request(user("同样"))),
        Item("other", Request(user("别的"))),
        Item("two", Request(user("同样"))),
    ]
    results = run(fake, store, asked)
    assert [(result.item.id, result.value) for result in results] == [
        ("one", "同样"),
        ("other", "别的"),
        ("two", "同样"),
    ]
    assert prompts(fake) == ["同样", "别的"]


def test_old_answers_are_read_by_the_new_parser(store):
    """An answer that was of the wrong form is used without asking when a later version can read it."""
    run(FakeLLM(["答：42"]), store, items(1), attempts=1)
    assert len(store.failures(STAGE)) == 1
    silent = FakeLLM(lambda request: pytest.fail("asked again"))
    (result,) = run(silent, store, items(1), reader=lambda text: text.removeprefix("答："))
    assert result.value == "42"
    assert store.failures(STAGE) == []


def test_old_answers_that_a_new_parser_rejects_are_asked_for_again(store):
    """With another seed, as an answer of the wrong form is; what was good once stays on record."""

    def strict(text):
        if text != "四十二":
            raise Unparsed("not a number")
        return text

    run(FakeLLM(["A:42"]), store, items(1))
    assert run(FakeLLM(["A:42"]), store, items(1), 2, strict)[0].reason == "not a number"
    assert run(FakeLLM(["四十二"]), store, items(1), 2, strict)[0].value == "四十二"
    silent = FakeLLM(lambda request: pytest.fail("asked again"))
    assert run(silent, store, items(1), 2, strict)[0].value == "四十二"
    assert [error for _, error, _, _ in rows(store)] == ["", "not a number", ""]


def test_a_model_that_leaves_a_request_out_is_found_out(store):
    """A model that yields no result for a request stops the run instead of losing the item."""

    class Forgetful(FakeLLM):
        def generate(self, requests, skip=()):
            yield from list(super().generate(requests, skip))[:-1]

    with pytest.raises(LLMError, match="to 1 of 3 requests"):
        run(Forgetful(good), store, items(3))


def test_nothing_to_ask(store):
    """No items are no results, and the model is left alone."""
    assert run(FakeLLM(good), store, []) == []


def test_the_whole_request_is_on_record(store):
    """The row of a call holds what was asked, of which model, at which stage and what it cost."""
    run(FakeLLM([Completion("A:1", "stop", "", 12, 3, 0.5)], "fake:x"), store, items(1))
    ((stage, model, request, prompt_tokens, tokens, seconds),) = rows(
        store, "stage, model, request, prompt_tokens, completion_tokens, seconds"
    )
    assert (stage, model, prompt_tokens, tokens, seconds) == (STAGE, "fake:x", 12, 3, 0.5)
    assert '"content": "question 0"' in request
