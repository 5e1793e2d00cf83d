"""`kb chat`: the same question to several arms, with the passages that were shown."""

import io

import pytest

from kb import chat
from kb.chat import ANSWER_TOKENS, Chat, Reply, of_run, typed, usual_arms
from kb.errors import UsageError, WorkspaceError
from kb.llm import Completion, ModelConfig
from kb.llm.fake import FakeLLM
from kb.prompt import Prompts
from kb.records import Chunk, Document
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.runs import Lineage, register
from kb.workspace import Workspace

LAB = ModelConfig(name="lab")


@pytest.fixture
def place(tmp_path):
    """A workspace with two chunks."""
    place = Workspace(tmp_path / ".kb", create=True)
    place.store.put([Document("doc_1", "/a.md", "s", "md", "Prices", "en", "")])
    place.store.put(
        [
            Chunk("chk_1", "doc_1", 0, "Tulvao Core costs 349 crowns.", "Prices", "en", 0, 29),
            Chunk("chk_2", "doc_1", 1, "图尔沃芯片的售价是210元。", "价格", "zh", 30, 44),
        ]
    )
    return place


@pytest.fixture
def talk(place, monkeypatch):
    """A function that opens a chat of some arms with scripted models."""
    models = {
        "base": FakeLLM(lambda r: "349 crowns" if "[1]" in r.messages[-1].content else "I don't know.", "base"),
        "tuned": FakeLLM(lambda r: "349 crowns, I learnt", "tuned"),
    }
    monkeypatch.setattr(chat, "open_model", lambda model, store: models["base"])
    monkeypatch.setattr(chat, "open_tuned", lambda base, run, store: models["tuned"])

    def opened(*arms, tag=""):
        retriever = open_retriever(place, RetrievalConfig(embedder="none"))
        return Chat(place.store, LAB, Prompts(tag=tag), retriever, arms)

    opened.models = models
    return opened


def trained(place):
    """Register a run."""
    (place.root / "adapter").mkdir()
    register(place.store, "sft", {}, {}, Lineage("lab", "b", str(place.root / "adapter"), "a", "d", "e", 1))


def test_the_arms_answer_in_the_order_asked_for(talk, place):
    """Each once, with its sources where it reads."""
    trained(place)
    replies = list(talk("tuned", "rag", "base", "rag").ask("What does Tulvao Core cost?"))
    assert [(reply.arm, reply.text) for reply in replies] == [
        ("tuned", "349 crowns, I learnt"), ("rag", "349 crowns"), ("base", "I don't know."),
    ]  # fmt: skip
    assert [[hit.chunk.id for hit in reply.sources] for reply in replies] == [[], ["chk_1"], []]
    assert replies[1].lines() == ["rag: 349 crowns", "    [1] Prices (chk_1)"]


def test_a_chinese_question_is_asked_in_chinese(talk):
    """The prompt follows the language of the question."""
    list(talk("rag").ask("图尔沃芯片的售价是多少？"))
    asked = talk.models["base"].history[-1].messages
    assert asked[-1].content == "[1] 价格\n图尔沃芯片的售价是210元。\n\n问题：图尔沃芯片的售价是多少？"
    assert "我不知道" in asked[0].content


def test_where_nothing_is_found_rag_is_asked_closed_book(talk):
    """No passages, no sources."""
    (reply,) = talk("rag").ask("Zzyzx?")
    assert (reply.text, reply.sources) == ("I don't know.", ())


def test_a_tag_stands_before_questions_without_passages(talk, place, caplog):
    """In both languages; before a question with passages it does not, and a run of another tag is warned of."""
    trained(place)
    chat = talk("tuned", "rag", tag="Prices")
    for question in ("What does Tulvao Core cost?", "图尔沃芯片的售价是多少？"):
        list(chat.ask(question))
    assert [request.messages[-1].content for request in talk.models["tuned"].history] == [
        "[Prices] What does Tulvao Core cost?", "【Prices】图尔沃芯片的售价是多少？",
    ]  # fmt: skip
    assert all("[1] " in request.messages[-1].content for request in talk.models["base"].history)
    assert not any("Prices]" in request.messages[-1].content for request in talk.models["base"].history)
    assert "run sft was trained with no tag before its questions and is asked with 'Prices'" in caplog.text


def test_trouble_is_said_and_no_answer_is_not_an_empty_line(talk):
    """An error, an answer that was cut off, and an empty one."""
    said = iter((Completion("", "error", "status 500"), Completion("Well", "length"), Completion("", "stop")))
    talk.models["base"]._script = lambda request: next(said)
    lines = [reply.lines() for _ in range(3) for reply in talk("base").ask("?")]
    assert lines == [["base: [status 500]"], [f"base: Well [cut off at {ANSWER_TOKENS} tokens]"], ["base: (empty)"]]


def test_an_arm_that_is_none(talk):
    """A slip is answered with the arms that there are."""
    with pytest.raises(UsageError, match="no arm 'rga'; there is: base, rag, tuned, tuned_rag, and tuned:RUN"):
        talk("base", "rga")


def test_a_tuned_arm_needs_a_run(talk):
    """Before the first training the command that trains is named."""
    with pytest.raises(UsageError, match="kb train"):
        talk("tuned_rag")


def test_a_run_is_named_with_the_arm_or_for_all(talk, place, caplog):
    """tuned:RUN, or --run for the tuned arms that name none; a run that no arm would use is an error."""
    trained(place)
    caplog.set_level("INFO")
    assert of_run(["base", "tuned", "tuned_rag:x"], "sft") == ["base", "tuned:sft", "tuned_rag:x"]
    assert of_run(["base", "tuned"], "") == ["base", "tuned"]
    assert [reply.arm for reply in talk("tuned:sft", "tuned").ask("?")] == ["tuned:sft", "tuned"]
    assert "tuned: run sft" in caplog.text
    with pytest.raises(UsageError, match="--run sft changes nothing: none of base, rag is a tuned arm"):
        of_run(["base", "rag"], "sft")
    with pytest.raises(UsageError, match="no training run called x; there is: sft"):
        talk("tuned:x")
    with pytest.raises(UsageError, match="no arm 'rag:sft'"):
        talk("rag:sft")


def test_reading_needs_documents(talk, place):
    """An empty workspace cannot be read in; the base can still be asked."""
    place.store.sql("UPDATE documents SET retired = 1")
    with pytest.raises(WorkspaceError, match="kb ingest PATH"):
        talk("rag")
    assert [reply.text for reply in talk("base").ask("?")] == ["I don't know."]


def test_whom_to_talk_to_when_nothing_is_said(place):
    """RAG; with a run tuned+RAG, unless the model cannot carry the adapter."""
    assert usual_arms(place.store, LAB) == ("rag",)
    trained(place)
    assert usual_arms(place.store, LAB) == ("tuned_rag",)
    assert usual_arms(place.store, ModelConfig(name="openai:m")) == ("rag",)


class Terminal(io.StringIO):
    """Typed lines."""

    def isatty(self):
        """A terminal."""
        return True


def test_typed_questions_end_with_an_empty_line(capsys):
    """On a terminal a prompt on stderr, none on stdout."""
    assert list(typed(Terminal("谁？\n what \n\nnever\n"))) == ["谁？", "what"]
    assert capsys.readouterr() == ("", "? ? ? ")


def test_questions_from_a_pipe_end_with_it(capsys):
    """A file of questions may have empty lines, and gets no prompt."""
    assert list(typed(io.StringIO("a\n\nb"))) == ["a", "b"]
    assert capsys.readouterr() == ("", "")


def test_a_reply_holds_its_question():
    """Several questions in one document can be told apart."""
    assert Reply("Who?", "base", "Ana", ()).question == "Who?"
