"""From posted chats to the evaluation's requests."""

import pytest

from kb.errors import UsageError
from kb.llm import Message
from kb.llm.fake import FakeLLM
from kb.prompt import Prompts
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.runs import make_current
from kb.serving.asking import Asked, Desk, worded


class Scripted:
    """Answers for every run by its arm's name."""

    concurrency = 1

    def __init__(self):
        self.llm = FakeLLM(lambda request: "well")

    def of(self, arm):
        """The same for all."""
        return self.llm

    def runs(self, runs):
        """All."""
        return list(runs)


@pytest.fixture
def desk(place):
    """A desk over the workspace."""
    return Desk(place.store, Prompts(), open_retriever(place, RetrievalConfig(embedder="none", top_k=1)), Scripted())


def test_the_names_follow_what_there_is(desk, place, train):
    """Without a run no tuned arm, without documents none that reads; each run also by its name."""
    assert desk.names() == ["base", "rag"]
    train("甲")
    train("b")
    runs = ["tuned:甲", "tuned_rag:甲", "tuned:b", "tuned_rag:b"]
    assert desk.names() == ["base", "rag", "tuned", "tuned_rag", *runs]
    make_current(place.store, "甲")
    assert desk.names()[4:] == ["tuned:b", "tuned_rag:b", "tuned:甲", "tuned_rag:甲"]
    place.store.sql("UPDATE documents SET retired = 1")
    empty = open_retriever(place, RetrievalConfig(embedder="none"))
    assert Desk(place.store, Prompts(), empty, Scripted()).names()[:2] == ["base", "tuned"]


def test_an_unknown_model_is_told_which_there_are(desk):
    """A tuned one before the first training, too."""
    for name in ("gpt-4", "tuned", "rag:x"):
        with pytest.raises(UsageError, match=f"no model '{name}'; there is: base, rag"):
            desk.arm(name)


def test_an_arm_that_reads_is_shown_what_was_found(desk):
    """In the language of the question, with the passages as sources; the others are asked without any."""
    told = []
    found = desk.answer(Asked("rag", (Message("user", "图尔沃芯片的售价是多少？"),), 9), told.append)
    assert [hit.chunk.id for hit in found.sources] == ["chk_1"]
    assert found.done.text == "".join(told) == "well"
    asked = desk.served.llm.history[-1]
    assert asked.messages[-1].content.startswith("[1] 产品\n图尔沃芯片的售价是210元。") and asked.max_tokens == 9
    assert desk.answer(Asked("base", (Message("user", "What is it?"),), 9), told.append).sources == ()
    assert desk.served.llm.history[-1].messages[-1].content == "What is it?"


def test_only_the_last_question_is_put_into_a_prompt(desk):
    """Earlier turns stay, and the client's system message takes the place of kb's."""
    turns = (Message("user", "Who?"), Message("assistant", "Ana."), Message("user", "Since when?"))
    chat = worded(Prompts(tag="Book"), turns, ())
    assert chat[0].role == "system" and chat[1:3] == turns[:2]
    assert chat[3].content == "[Book] Since when?"
    given = Message("system", "Answer in verse.")
    chat = worded(Prompts(), (given, *turns), ())
    assert chat[0] == given
    assert [message.role for message in chat] == ["system", "user", "assistant", "user"]
