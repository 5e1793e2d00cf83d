"""What is in a workspace, and which command comes next."""

import json
from dataclasses import replace

import pytest

from kb.llm.identity import combine
from kb.records import Chunk, Document, Fact, PreferencePair, QAPair, Question, Score
from kb.runs import STRENGTHENED, Lineage, last_weak, note_weak, register, strengthened
from kb.status import status
from kb.workspace import Workspace


@pytest.fixture
def place(tmp_path):
    """An empty workspace."""
    return Workspace(tmp_path, create=True)


def ingested(place, chunks=1):
    """A document with chunks."""
    place.store.put([Document("doc_1", "/a.md", "sha1", "md", "A", "en", "a b")])
    place.store.put(Chunk(f"chk_{n}", "doc_1", n, "a", "A", "en", 0, 1) for n in range(chunks))


def generated(place, chunks=1):
    """Facts, questions and pairs as well."""
    ingested(place, chunks)
    place.store.put([Fact("fct_1", "chk_0", "a", "a", "text", "a", 0, 1, "en")])
    for split in ("train", "probe"):
        place.store.put([Question(f"qst_{split}", "chk_0", "fct_1", "answerable", split, split, "en", "p")])
    place.store.put([QAPair("pair_1", "qst_train", "fct_1", "short", "q", "a", "en")])
    place.store.put([PreferencePair("pref_1", "qst_train", "fct_1", "swap", "q", "a", "b", "en")])


def trained(place, name="sft"):
    """A run on the documents and facts as they are."""
    rows = place.store.sql("SELECT sha256 FROM documents WHERE retired = 0 ORDER BY sha256")
    documents = combine(row["sha256"] for row in rows)
    register(place.store, name, {}, {}, Lineage("lab", "b", "/adapter", "a", "d", documents, 1))


def evaluated(place, name):
    """One score of an evaluation."""
    place.store.put([Score("prb_1", "base", "a", "correct", "exact")], eval=name)


def test_an_empty_workspace_wants_documents(place):
    """Nothing there: the first command, with its argument."""
    found = status(place)
    assert (found.documents, found.chunks, found.next_command) == (0, 0, "kb ingest PATH")
    assert "runs: none" in found.lines()


def test_each_step_leads_to_the_next(place):
    """Ingest, generate-qa, train, eval, chat: what is missing comes next."""
    ingested(place)
    assert status(place).next_command == "kb generate-qa"
    generated(place)
    assert status(place).next_command == "kb train"
    trained(place)
    assert status(place).next_command == "kb eval --compare rag"
    evaluated(place, "sft-0a1b2c")
    assert status(place).next_command == "kb chat"


def test_everything_live_is_counted(place):
    """What hangs from a retired document is left out, and the document is mentioned."""
    generated(place, chunks=3)
    place.store.put([Document("doc_2", "/b.md", "sha2", "md", "B", "en", "b")], retired=1)
    place.store.put([Chunk("chk_b", "doc_2", 0, "b", "B", "en", 0, 1)])
    found = status(place)
    assert (found.documents, found.retired, found.chunks, found.facts) == (1, 1, 3, 1)
    assert (found.training_questions, found.probes, found.qa_pairs, found.preference_pairs) == (1, 1, 1, 1)
    assert "       1  documents (1 more retired)" in found.lines()


def test_an_evaluation_of_another_run_does_not_count(place):
    """`sft` is not evaluated because `sft-dpo` is, and an untrained evaluation is nobody's."""
    generated(place)
    trained(place, "sft-dpo")
    trained(place, "sft")
    evaluated(place, "sft-dpo-0a1b2c")
    evaluated(place, "untrained-0a1b2c")
    found = status(place)
    assert found.evals == ("sft-dpo-0a1b2c", "untrained-0a1b2c")
    assert found.runs == ("sft-dpo", "sft")
    assert "runs: sft-dpo, sft (in use: sft)" in found.lines()
    assert found.next_command == "kb eval --compare rag"


def test_changed_documents_call_for_new_questions_then_for_training(place):
    """A document that came after the run: first its facts, and once they are there, training."""
    generated(place)
    trained(place)
    evaluated(place, "sft-0a1b2c")
    place.store.put([Document("doc_2", "/b.md", "sha2", "md", "B", "en", "b")])
    place.store.put([Chunk("chk_b", "doc_2", 0, "b", "B", "en", 0, 1)])
    found = status(place)
    assert (found.outdated, found.next_command) == (True, "kb generate-qa")
    assert "documents have changed since run sft was trained" in found.lines()
    place.store.put([Fact("fct_2", "chk_b", "b", "b", "text", "b", 0, 1, "en")])
    assert status(place).next_command == "kb train"


def test_failures_are_listed_with_the_command_that_does_them_again(place):
    """Each stage with its count and its command."""
    ingested(place)
    place.store.fail("ingest", "/x.pdf", "CORRUPT")
    place.store.fail("eval: rag", "rag:prb_1", "the server answers 500")
    lines = status(place).lines()
    assert "       1  ingest (again: kb ingest PATH)" in lines
    assert "       1  eval: rag (again: kb eval)" in lines


def test_many_failed_chunks_come_first_and_a_few_do_not_hold_up_the_rest(place):
    """More than one failure for twenty chunks: the questions again before training; after it they are only listed."""
    generated(place, chunks=20)
    place.store.fail("generate: facts", "chk_1", "no lines")
    assert status(place).next_command == "kb train"
    place.store.fail("generate: questions", "fct_1", "no lines")
    assert status(place).next_command == "kb generate-qa"
    trained(place)
    assert status(place).next_command == "kb eval --compare rag"
    assert status(place).failures == {"generate: facts": 1, "generate: questions": 1}


def test_facts_that_no_question_teaches_are_counted(place):
    """Those in texts alone and those that are never trained, beside all of them; nothing where there are none."""
    generated(place)
    assert "       1  facts" in status(place).lines()
    fact = place.store.all(Fact)[0]
    place.store.put([replace(fact, id=f"fct_{how}", taught=how) for how in ("text", "never")])
    found = status(place)
    assert (found.facts, found.text_only, found.never_taught) == (3, 1, 1)
    assert "       3  facts (1 in texts alone, 1 never trained)" in found.lines()


def test_facts_that_a_run_never_answers_right_are_named_with_the_command(place):
    """Until more questions are written for them; those of facts that are gone do not count."""
    generated(place)
    trained(place)
    assert status(place).weak == 0
    note_weak(place.store, "sft", ["fct_1", "fct_gone"])
    found = status(place)
    assert found.weak == 1
    assert "1 fact that run sft never answers right: kb generate-qa --strengthen, then kb train" in found.lines()
    place.store.set_setting(STRENGTHENED, json.dumps(strengthened(place.store, last_weak(place.store))))
    assert status(place).weak == 0
    trained(place, "again")
    assert status(place).weak == 0
