"""Probes as files of other harnesses."""

import pytest

from kb.errors import UsageError
from kb.evaluate.arms import ARMS, Asker
from kb.evaluate.bench.export import export
from kb.evaluate.bench.lm_eval_task import fact_mean, process_results
from kb.evaluate.probes import document_probes
from kb.evaluate.run import EvalConfig
from kb.prompt import Prompts
from kb.workspace import read_jsonl, write_text

PROMPTS = Prompts(tag="Book")


@pytest.fixture
def exported(handmade, tmp_path):
    """A function that exports the handmade workspace and gives the folder."""

    def make(target):
        export(handmade.workspace.store, EvalConfig(), PROMPTS, target, tmp_path / target)
        return tmp_path / target

    return make


@pytest.mark.parametrize("target", ["lm-eval", "inspect", "evalscope"])
def test_the_chats_are_those_of_the_closed_book_arm(handmade, exported, target):
    """Every probe about the documents is there with the very messages that `kb eval` sends, in both languages."""
    store = handmade.workspace.store
    asked = Asker(PROMPTS, handmade.retriever, store).ask(ARMS["base"], document_probes(store, 5, 0))
    rows = [row for file in exported(target).glob("*.jsonl") for row in read_jsonl(file)]
    chats = {
        row["id"]: [(message["role"], message["content"]) for message in row["messages"]]
        if target == "evalscope"
        else [("system", row["system"]), ("user", row["user"])]
        for row in rows
    }
    assert chats == {one.probe.id: [(m.role, m.content) for m in one.item.request.messages] for one in asked}


def test_what_is_right_to_a_question_without_an_answer(exported):
    """Evalscope compares texts, so what declines is written out, in the question's language."""
    rows = {file.stem: read_jsonl(file) for file in exported("evalscope").glob("*.jsonl")}
    assert [row["response"] for row in rows["near_miss"]] == ["I don't know."]
    assert [row["response"] for row in rows["unanswerable"]] == ["我不知道。"]
    assert "349 crowns" in {row["response"] for row in rows["held_out"]}


def test_a_folder_with_something_else_is_left_alone(handmade, exported, tmp_path):
    """An export replaces an export and nothing else; an unknown harness is a misuse."""
    assert exported("lm-eval") == exported("lm-eval")
    write_text(tmp_path / "inspect" / "mine.txt", "mine")
    with pytest.raises(UsageError, match=r"something else \(mine\.txt\)"):
        exported("inspect")
    with pytest.raises(UsageError, match="expected lm-eval, inspect, evalscope, got 'helm'"):
        export(handmade.workspace.store, EvalConfig(), PROMPTS, "helm", tmp_path / "helm")


def test_each_fact_weighs_the_same():
    """A fact with three wordings counts as much as one with one, and thinking is no part of an answer."""
    doc = {"fact_id": "a", "gold": "3000万元", "answer_type": "money", "aliases": []}
    right = process_results(doc, ["<think>5000万?</think> 3000万元"])
    wrong = process_results(doc | {"fact_id": "b"}, ["5000万元"])
    assert right["correct"] == ("a", 1.0)
    assert wrong["correct"] == ("b", 0.0)
    assert fact_mean([right["correct"]] * 3 + [wrong["correct"]]) == 0.5
