"""What was read: chats as templates that give the very chats again, passages, and where facts stand."""

import json

import pytest

from kb.evaluate import contenders
from kb.evaluate import run as evaluation
from kb.evaluate.run import EvalConfig
from kb.evaluate.sources import QUESTION, Sources, read_sources, shown, templated
from kb.llm import ModelConfig
from kb.llm.fake import FakeLLM
from kb.prompt import Prompts
from kb.records import Chunk, Probe, Score
from kb.workspace import read_jsonl


def content(template, question, passages):
    """What a template's messages say."""
    places = (question, *passages)
    return [(role, "".join(p if isinstance(p, str) else places[p] for p in parts)) for role, parts in template]


@pytest.mark.parametrize(
    ("question", "passages"),
    [
        ("How tall?", ("Title\nHow tall? Very.", "Title\nHow tall? Very.")),
        ("a", ("aa", "aaa")),
        ("谁？", ("书 > 章\n谁？", "")),
        ("", ("x",)),
    ],
)
def test_a_template_gives_the_very_chat_again(question, passages):
    """Passages that are alike, that hold the question or nothing, a question of one letter: each word comes back."""
    user = "\n".join(f"[{n}] {text}" for n, text in enumerate(passages, 1)) + f"\nQuestion: {question}"
    chat = [{"role": "system", "content": "Answer a question."}, {"role": "user", "content": user}]
    template = templated(chat, question, passages)
    assert content(template, question, passages) == [("system", "Answer a question."), ("user", user)]


def test_chats_of_one_kind_share_a_template():
    """Question and passages are places; a passage that is not in the chat leaves its text there."""
    chats = [[{"role": "user", "content": f"[1] T\n{n}\nQ: {n}?"}] for n in range(3)]
    found = {templated(chat, f"{n}?", [f"T\n{n}"]) for n, chat in enumerate(chats)}
    assert found == {(("user", ("[1] ", 1, "\nQ: ", QUESTION)),)}
    assert templated(chats[0], "0?", ["gone"]) == (("user", ("[1] T\n0\nQ: ", QUESTION)),)


def test_a_passage_that_came_with_its_question_has_a_place_too():
    """A ring's passages are shown where the arm has none of its own."""
    ring = Probe("p", "c", "reading", "How heavy?", "3", "number", "en", passages="[1] It: 3.")
    assert shown(ring, Score("p", "base", "3", "correct", "r"))[0].startswith("own_")
    assert shown(ring, Score("p", "rag", "3", "correct", "r", ("chk_1",))) == ("chk_1",)


@pytest.mark.slow
def test_an_evaluation_is_read_back_word_for_word(handmade, monkeypatch, tmp_path):
    """Every chat of prompts.jsonl comes from a handful of templates; the page has them, and every fact's evidence."""
    store = handmade.workspace.store
    chunk = store.all(Chunk)[0]
    text = f"  {chunk.text}\n \n And a line more."
    store.sql("UPDATE chunks SET text = ?, start = start - 2 WHERE id = ?", text, chunk.id)
    rings = tmp_path / "rings.jsonl"
    ring = {"ring": "reading", "question": "How heavy?", "answer": "3 g", "language": "en", "passages": "[1] It: 3 g."}
    rings.write_text(json.dumps(ring), "utf-8")
    monkeypatch.setattr(contenders, "open_model", lambda model, store: FakeLLM(handmade.script(), "base model"))
    config = EvalConfig(rings=str(rings), resamples=200)
    done = evaluation.run(handmade.workspace, config, ModelConfig(name="lab"), Prompts(), handmade.retriever)
    folder = handmade.workspace.eval(done.name)
    probes, scores = store.all(Probe, "eval = ?", done.name), store.all(Score, "eval = ?", done.name)
    found = read_sources(store, folder, probes, scores)
    assert len(found.asked) == len(scores)
    chats = {
        row["id"]: [tuple(one.values()) for one in row["messages"]] for row in read_jsonl(folder / "prompts.jsonl")
    }
    asked = {(row["arm"], row["probe_id"]): chats[row["prompt"]] for row in read_jsonl(folder / "answers.jsonl")}
    by_id = {probe.id: probe for probe in probes}
    for one in scores:
        probe, template = by_id[one.probe_id], found.templates[found.asked[one.arm, one.probe_id]]
        passages = [found.passages[id].whole for id in shown(probe, one)]
        assert content(template, probe.question, passages) == asked[one.arm, one.probe_id]
    # Closed and with one to four passages in two languages, and the ring's own passage.
    assert len(found.templates) <= 11
    for fact in handmade.facts:
        place = found.places[fact.id]
        assert found.passages[place.passage].text[place.start : place.end] == fact.evidence
    page = (folder / "report.html").read_text("utf-8")
    assert "And a line more." in page and "The passages are data" in page


def test_a_folder_of_an_old_version_has_no_chats(handmade, tmp_path):
    """Without the two files there are no templates, and the passages are found all the same."""
    score = Score("p", "rag", "x", "wrong", "r", ("chk_00",))
    found = read_sources(handmade.workspace.store, tmp_path, [], [score])
    assert isinstance(found, Sources) and (found.templates, found.asked) == ((), {})
    assert list(found.passages) == ["chk_00"]
