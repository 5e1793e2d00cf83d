"""Knownness: how a fact is asked for without passages, and what the answers say of it."""

import pytest

from kb.llm import Completion, Item, Request, Result
from kb.llm.fake import FakeLLM
from kb.llm.known import TEMPERATURE, judged_known, known_items, known_mixes, remember_name, wordings_of
from kb.prompt import Prompts
from kb.records import Chunk, Document, Fact, Knownness, Question
from kb.store import Store


def fact(number=1, answer="3 kg", language="en"):
    return Fact(f"fct_{number}", "chk_1", "s", answer, "number", "s", 0, 1, language)


def question(fact_id, split, text, kind="answerable"):
    return Question(f"qst_{text}", "chk_1", fact_id, kind, split, text, "en", "p")


def results(*answers):
    """Answers as they come back; None where there is none, one in a tuple was cut off."""
    for answer in answers:
        text, finish = (answer[0], "length") if isinstance(answer, tuple) else (answer or "", "stop")
        yield Result(Item("i", Request(())), None if answer is None else text, Completion(text, finish))


def test_each_wording_is_asked_greedily_and_what_is_left_is_drawn():
    """Three wordings and five samples: two are drawn, with seeds of their own that are the same the next time."""
    asked = {"fct_1": ["a?", "b?", "c?"]}
    items = list(known_items(Prompts(), [fact()], asked, 5))
    assert [item.request.messages[-1].content for item in items] == ["a?", "b?", "c?", "a?", "b?"]
    assert [item.request.temperature for item in items] == [0.0, 0.0, 0.0, TEMPERATURE, TEMPERATURE]
    assert len({item.id for item in items}) == 5
    assert len({item.request.seed for item in items[3:]}) == 2
    assert list(known_items(Prompts(), [fact()], asked, 5)) == items


def test_a_fact_is_asked_in_its_own_language():
    """The prompt of the model's instructions goes with the fact."""
    (item,) = known_items(Prompts(), [fact(language="zh")], {"fct_1": ["多重？"]}, 1)
    assert "我不知道" in item.request.messages[0].content


def test_wordings_are_the_trained_ones_or_those_held_out():
    """A fact that is taught without questions has none of the first; other kinds of question ask for something else."""
    questions = [
        question("fct_1", "probe", "p1"), question("fct_1", "train", "t1"), question("fct_1", "train", "t2"),
        question("fct_2", "probe", "p2"), question("fct_1", "train", "near", "near_miss"),
        question("fct_1", "train", "back", "reversed"),
    ]  # fmt: skip
    assert wordings_of(questions) == {"fct_1": ["t1", "t2"], "fct_2": ["p2"]}


@pytest.mark.parametrize(
    ("answers", "correct", "level"),
    [
        (["3 kg", "3.0 kg", "3 kilograms"], 3, "known"),
        (["3 kg", "I don't know.", "8 kg"], 1, "maybe"),
        (["I don't know.", "", "8 kg"], 0, "unknown"),
        ([("3 kg",), "8 kg", "8 kg"], 0, "unknown"),
    ],
)
def test_answers_are_judged_as_every_answer_is(answers, correct, level):
    """Declined, empty or cut off is not right, even where the right answer begins it."""
    (found,) = judged_known([fact()], 3, results(*answers), "m")
    assert (found.samples, found.correct, found.level, found.model) == (3, correct, level, "m")


def test_a_fact_that_was_not_answered_wholly_is_not_measured():
    """The next one has its own answers all the same."""
    facts = [fact(1), fact(2, "6千克", "zh")]
    found = list(judged_known(facts, 2, results("3 kg", None, "6公斤", "6千克"), "m"))
    assert [(one.fact_id, one.level) for one in found] == [("fct_2", "known")]


def test_the_mix_names_the_models(tmp_path):
    """Of live facts alone, each model in its own line; one without a name is called by its identity."""
    store = Store(tmp_path / "kb.db")
    store.put([Document("doc_1", "/d", "s", "txt", "t", "en", ""), Chunk("chk_1", "doc_1", 0, "x", "h", "en", 0, 1)])
    store.put([fact(1), fact(2)])
    rows = (("fct_1", "a", 10), ("fct_2", "a", 0), ("fct_1", "b", 3), ("fct_gone", "a", 0))
    store.put([Knownness(f"kno_{id}{model}", id, model, 10, correct) for id, model, correct in rows])
    remember_name(store, FakeLLM([], "a"))
    store.set_setting("name of model a", "Small One")
    assert [str(mix) for mix in known_mixes(store)] == [
        "unknown 1, maybe 0, known 1 (10 samples of Small One)", "unknown 0, maybe 1, known 0 (10 samples of b)",
    ]  # fmt: skip
    store.close()
