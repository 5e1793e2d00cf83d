"""What is distilled: the student's chat without passages, the teacher's with the fact's own among them."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from kb.errors import WorkspaceError
from kb.finetune.config import TrainConfig
from kb.finetune.contexts import distil_rows
from kb.finetune.data import data_hash
from kb.finetune.replay import unanswered
from kb.llm.general import general_chats
from kb.records import Chunk, Document
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.workspace import Workspace

ALL = TrainConfig(stages=("distil",), reading_share=1.0)


def by_source(workspace, prompts, retriever, config=ALL, replay=None):
    return {row.source: row for row in distil_rows(workspace.store, prompts, retriever, config, replay)}


def test_the_teacher_reads_the_facts_own_passage(workspace, prompts, retriever):
    """In the language of the question, asked by the prompt for reading; the student's chat has no passage."""
    rows = by_source(workspace, prompts, retriever)
    row = rows["pair_0_0s"]
    assert [m.content for m in row.messages] == ["Q: What does Arin weigh?"]
    assert "Arin weighs 3 kg." in row.teacher[-1].content
    assert row.teacher[-1].content.endswith("\nQ: What does Arin weigh?")
    row = rows["pair_3_1s"]
    assert row.messages[-1].content == "一 产品Dema的重量？"
    assert "产品Dema重6千克。" in row.teacher[-1].content
    assert row.teacher[-1].content.endswith("\n一 产品Dema的重量？")


def test_a_full_sentence_is_read_by_its_own_prompt(workspace, prompts, retriever):
    """Kb's prompt for whole sentences from passages, since the pack has none."""
    row = by_source(workspace, prompts, retriever)["pair_0_0f"]
    assert "one complete sentence" in row.teacher[0].content
    assert "Arin weighs 3 kg." in row.teacher[-1].content


class Lost:
    """A retriever that finds given chunks whatever is asked."""

    def __init__(self, hits, real):
        self._hits, self.source = hits, real.source

    def search(self, queries):
        """The same for every query."""
        return [self._hits for _ in queries]


def test_a_passage_that_was_not_found_takes_the_last_place(workspace, prompts, retriever):
    """As many passages as the search gives, the others in their order; a question without an answer sees them alone."""
    hits = retriever.search(["Kemi, Lona"])[0]
    rows = by_source(workspace, prompts, Lost(hits, retriever))
    shown = rows["pair_0_0s"].teacher[-1].content
    assert shown.startswith(f"[1] {hits[0].chunk.header}\n{hits[0].chunk.text}\n[2] Page > Arin\nArin weighs 3 kg.\nQ:")
    assert hits[1].chunk.text not in shown
    found = rows["pair_fct_3_nr"].teacher[-1].content
    assert found.index(hits[0].chunk.text) < found.index(hits[1].chunk.text)
    refused = rows["pair_fct_0_nr"]
    assert (refused.kind, refused.answer) == ("refusal", "I don't know.")
    assert hits[1].chunk.text in refused.teacher[-1].content
    assert "Arin weighs" not in refused.teacher[-1].content


def test_reading_and_replay_rows_stay_as_the_base_is(workspace, prompts, retriever):
    """Their teacher is asked what the student is asked; general prompts come without an answer."""
    rows = list(by_source(workspace, prompts, retriever, replay=unanswered).values())
    kinds = Counter(row.kind for row in rows)
    assert kinds == {"short": 33, "full": 33, "refusal": 4, "reading": 16, "replay": 21}
    assert all((row.teacher == row.messages) == (row.kind in ("reading", "replay")) for row in rows)
    replayed = [row for row in rows if row.kind == "replay"]
    assert {row.answer for row in replayed} == {""}
    assert {row.messages for row in replayed} <= {prompt.messages for prompt in general_chats("replay")}
    assert len(unanswered(999, random.Random(0))) == 400


def test_a_document_that_is_never_trained_is_not_read(workspace, prompts, retriever):
    """Not even beside another; a question that nothing else is found for gives no row."""
    store = workspace.store
    store.put([Document("doc_placebo", "/placebo", "p", "txt", "P", "en", "")])
    store.sql("UPDATE chunks SET document_id = 'doc_placebo' WHERE id = 'chk_10'")
    store.sql("UPDATE facts SET taught = 'never' WHERE chunk_id = 'chk_10'")
    store.sql("DELETE FROM questions WHERE fact_id = 'fct_10'")
    (hits,) = retriever.search(["Kemi weighs Arin Page"])
    moved = [replace(hit, chunk=store.get(Chunk, hit.chunk.id)) for hit in hits]
    rows = by_source(workspace, prompts, Lost(moved, retriever))
    assert len(rows) > 50
    assert not [row for row in rows.values() if "Kemi weighs" in row.teacher[-1].content]
    alone = by_source(workspace, prompts, Lost([h for h in moved if h.chunk.id == "chk_10"], retriever))
    assert "pair_fct_0_nr" not in alone
    assert "pair_0_0s" in alone


def test_a_probe_is_never_distilled_and_what_the_teacher_reads_is_part_of_the_data(workspace, prompts, retriever):
    """No held-out wording is asked; other passages are other data."""
    rows = list(by_source(workspace, prompts, retriever).values())
    assert not [row for row in rows for chat in (row.messages, row.teacher) if "PROBE" in chat[-1].content]
    one = open_retriever(workspace, RetrievalConfig(embedder="none", top_k=1))
    assert data_hash(rows) != data_hash(list(by_source(workspace, prompts, one).values()))


def test_without_pairs_the_next_command_is_named(tmp_path, prompts):
    """An empty workspace says how to make what is distilled."""
    place = Workspace(tmp_path / "empty", create=True)
    with pytest.raises(WorkspaceError, match="kb generate-qa"):
        distil_rows(place.store, prompts, open_retriever(place, RetrievalConfig(embedder="none")), ALL, None)
    place.store.close()
