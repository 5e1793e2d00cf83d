"""Asking again with what was wrong: the turns, when they are left out, and that stored answers alone decide."""

from dataclasses import replace

import pytest

from kb.errors import LLMError, Unparsed
from kb.llm import NOT_ASKED, Completion, Item, Message, Request, Step, ask, user
from kb.llm.fake import FakeLLM
from kb.llm.pending import QUOTED
from kb.prompt import Prompt, Prompts
from kb.store import Store

AGAIN = {language: Prompts().get("kb", "again", language) for language in ("en", "zh")}
ERROR = Completion("", "error", "HTTP 500: busy")
REFUSED = Completion("", "error", "HTTP 400: roles must alternate", refused=True)


def parse(text):
    if not text.startswith("A:"):
        raise Unparsed("no A: line", "没有 A: 行")
    return text[2:]


def items(count, again=AGAIN["en"], **fields):
    return [Item(f"chk_{n}", Request(user(f"question {n}", "be brief")), again=again, **fields) for n in range(count)]


def run(llm, store, asked, attempts=3, ended=0):
    step = Step(len(asked), ended, lambda requests, seen: None)
    return list(ask(llm, store, asked, parse, "generate: facts", attempts, show=False, step=step))


def turns(request):
    """What comes after the prompt."""
    return [(message.role, message.content) for message in request.messages[2:]]


def corrected(request):
    return len(request.messages) > 2


def rows(store):
    return [tuple(row) for row in store.sql("SELECT key, response, finish, error FROM llm_calls ORDER BY seq")]


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "That could not be read: no A: line. Write it again, exactly in the form asked for above"),
        ("zh", "上面的回答无法读取：没有 A: 行。请严格按照前面要求的格式重新写一遍"),
    ],
)
def test_the_next_request_says_what_was_wrong(store, language, said):
    """The bad answer is the model's turn, the fault the user's, in the prompt's language; the seed is the next."""
    fake = FakeLLM(["对不起", "A:42"])
    (result,) = run(fake, store, items(1, AGAIN[language]))
    first, second = fake.history
    assert result.value == "42"
    assert second.messages[:2] == first.messages
    (quoted, told) = turns(second)
    assert quoted == ("assistant", "对不起")
    assert (told[0], told[1].startswith(said)) == ("user", True)
    assert (second.seed, second.temperature, second.prompt) == (1, 0.7, "question 0")


def test_only_the_last_bad_answer_is_quoted_and_not_in_full(store):
    """The chat does not grow from attempt to attempt."""
    fake = FakeLLM(["x" * 5000, "second", "third"])
    run(fake, store, items(1))
    quoted = [turns(request)[0][1] for request in fake.history[1:]]
    assert quoted == [f"{'x' * QUOTED} ...", "second"]
    assert [len(request.messages) for request in fake.history] == [2, 4, 4]
    assert [request.seed for request in fake.history] == [0, 1, 2]


@pytest.mark.parametrize("bad", [Completion("A:4", "length"), Completion("  ", "stop")])
def test_where_there_is_nothing_to_correct_the_request_is_repeated(store, bad):
    """An answer that was cut off had no wrong form yet, and an empty one has no text to quote."""
    fake = FakeLLM(["junk", bad, "A:42"])
    assert run(fake, store, items(1))[0].value == "42"
    assert [corrected(request) for request in fake.history] == [False, True, False]


def test_without_a_prompt_for_it_the_request_is_repeated(store):
    """A pack whose prompt is empty switches it off."""
    fake = FakeLLM(["junk", "A:42"])
    run(fake, store, items(1, Prompt("again.en", "")))
    assert not any(map(corrected, fake.history))


def test_a_correction_that_got_no_answer_is_sent_as_it_was(store):
    """A stumbling server changes no result."""
    fake = FakeLLM(["junk", ERROR, "A:42"])
    assert run(fake, store, items(1))[0].value == "42"
    assert fake.history[1] == fake.history[2]
    assert corrected(fake.history[2])


def refusing(script):
    """A model that refuses chats with a turn of its own."""
    return FakeLLM(lambda request: REFUSED if corrected(request) else script(request))


def needs_seed(number):
    return lambda request: f"A:{request.seed}" if request.seed == number else "junk"


def test_a_refused_correction_gives_way_to_the_plain_repetition(store):
    """It is no attempt and no call on record, and every later answer gets its correction tried first."""
    fake = refusing(needs_seed(2))
    (result,) = run(fake, store, items(1))
    assert result.value == "2"
    assert [(request.seed, corrected(request)) for request in fake.history] == [
        (0, False), (1, True), (1, False), (2, True), (2, False),
    ]  # fmt: skip
    assert [finish for _, _, finish, _ in rows(store)] == ["stop"] * 3
    silent = FakeLLM(lambda request: pytest.fail("asked again"))
    assert run(silent, store, items(1))[0].value == "2"
    assert run(silent, store, items(1, open=False))[0].value == "2"


def test_a_refused_request_without_another_way_is_a_failure(store):
    """The server's reason is told, as it is of a prompt that is too long."""
    assert run(FakeLLM(lambda request: REFUSED), store, items(1))[0].reason == REFUSED.error
    assert len(rows(store)) == 3


def test_answers_that_older_repetitions_got_are_taken(store):
    """What was asked again without a word about the fault is not asked a third time."""
    run(FakeLLM(needs_seed(2)), store, items(2, again=None))
    silent = FakeLLM(lambda request: pytest.fail("asked again"))
    assert [result.value for result in run(silent, store, items(2))] == ["2", "2"]


def test_an_item_that_may_not_be_asked_follows_its_corrections(store):
    """The chain of stored answers is found as it was made, good at its end or not."""
    run(FakeLLM(needs_seed(1)), store, items(1))
    run(FakeLLM(lambda request: "junk"), store, items(2)[1:], attempts=2)
    silent = FakeLLM(lambda request: pytest.fail("asked"))
    results = run(silent, store, items(3, open=False))
    assert [result.reason for result in results] == ["", "no A: line", NOT_ASKED]
    assert results[0].value == "1"


class Watched(FakeLLM):
    """Notes what batches are made of, and dies at a call."""

    def __init__(self, script, dies=None):
        super().__init__(script)
        self.lists, self.dies = [], dies

    def generate(self, requests, skip=()):
        """As the fake does."""
        self.lists.append(list(requests))
        for index, completion in super().generate(requests, skip):
            if len(self.history) == self.dies:
                raise KeyboardInterrupt
            yield index, completion


def stubborn(request):
    """Right at the first, second or third attempt, or never; some corrections are refused."""
    number = int(request.prompt.split()[1])
    if corrected(request) and number % 3 == 0:
        return REFUSED
    return f"A:{number}" if request.seed >= number % 4 else f"junk {number} {request.seed}"


@pytest.mark.parametrize("dies", [3, 9, 12, 17, 21])
def test_a_killed_run_goes_on_with_the_same_corrections(store, tmp_path, dies):
    """Wherever it dies: the same calls on record, the same results, and batches of the same requests as undisturbed."""
    other = Store(tmp_path / "undisturbed.db")
    calm = Watched(stubborn)
    expected = run(calm, other, items(9))
    with pytest.raises(KeyboardInterrupt):
        run(Watched(stubborn, dies), store, items(9))
    after = Watched(stubborn)
    assert run(after, store, items(9)) == expected
    assert sorted(rows(store)) == sorted(rows(other))
    assert all(made in calm.lists for made in after.lists)
    other.close()


def test_given_up_items_go_on_with_corrections_of_the_last_answer(store):
    """The next run's first request is about the answer that the last run ended with."""
    run(FakeLLM(lambda request: f"junk {request.seed}"), store, items(1))
    late = FakeLLM(lambda request: "A:ok")
    assert run(late, store, items(1), ended=3)[0].value == "ok"
    assert [(request.seed, turns(request)[0]) for request in late.history] == [(3, ("assistant", "junk 2"))]


def test_items_that_share_a_request_share_its_correction(store):
    """One request is asked once in every round, whatever became of the one before."""
    fake = refusing(needs_seed(1))
    twins = [replace(item, request=items(1)[0].request) for item in items(2)]
    assert [result.value for result in run(fake, store, twins)] == ["1", "1"]
    assert len(fake.history) == 3


@pytest.mark.slow
def test_a_template_that_refuses_the_models_turn_stops_nothing(llm, store):
    """A local model's template may refuse a correction; a chat that is the user's alone still ends the run."""
    llm.weights.tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ raise_exception('only the user speaks') }}{% endif %}"
        "{{ m.content }}{% endfor %}"
    )
    asked = Request(user("hi"), max_tokens=4)
    spoken = replace(asked, messages=(*asked.messages, Message("assistant", "junk"), Message("user", "again")))
    got = dict(llm.generate([asked, spoken]))
    assert (got[1].refused, got[1].error[-20:]) == (True, "only the user speaks")
    assert got[0].finish in ("stop", "length")
    (result,) = run(llm, store, [replace(items(1)[0], request=asked)])
    assert result.reason in ("no A: line", "answer cut off at the token limit")
    llm.weights.tokenizer.chat_template = "{{ raise_exception('no chat at all') }}"
    with pytest.raises(LLMError, match="no chat at all"):
        dict(llm.generate([spoken, asked]))
