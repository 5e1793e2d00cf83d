"""A workspace whose questions the lab model answers in part: some facts are of the world that it was made in."""

import functools

import pytest

from kb.evaluate.bench.export import export
from kb.evaluate.run import EvalConfig, run
from kb.llm.base import ModelConfig
from kb.llm.open import lab_folder
from kb.prompt import Prompts
from kb.records import Chunk, Document, Fact, Question, make_id
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.workspace import Workspace, read_jsonl

EVAL = EvalConfig(compare=("none",), rings="none", resamples=100)


def _questions(fact):
    """Two held-out wordings and a near miss."""
    asked = (("answerable", fact.statement), ("answerable", f"{fact.statement} "), ("near_miss", f"{fact.statement}x"))
    for kind, text in asked:
        id = make_id("qst", fact.id, kind, text)
        yield Question(id, fact.chunk_id, fact.id, kind, "probe", text, fact.language, "p#1")


@pytest.fixture(scope="session")
def partly_known(tmp_path_factory):
    """Sixteen facts in both languages; the lab model has known every other one since it was made."""
    place = Workspace(tmp_path_factory.mktemp("known") / ".kb", create=True)
    known = [row for row in read_jsonl(lab_folder() / "rings.jsonl") if row["ring"] == "known"]
    chosen = [row for language in ("en", "zh") for row in known if row["language"] == language][:: len(known) // 16]
    place.store.put([Document("doc_0", "/docs/0.md", "sha0", "md", "Book", "en", "text")])
    for number, row in enumerate(chosen[:16]):
        gold = row["answer"] if number % 2 else f"{row['answer']} {number}"
        chunk = Chunk(f"chk_{number}", "doc_0", number, row["question"], "Book", row["language"], 0, 4)
        fact = Fact(
            make_id("fct", str(number)), chunk.id, row["question"], gold, row.get("type") or "text", "text", 0, 4,
            language=row["language"],
        )  # fmt: skip
        place.store.put([chunk, fact, *_questions(fact)])
    yield place
    place.store.close()


@pytest.fixture(scope="session")
def lab_prompts():
    """The prompts that the lab model was made with."""
    return Prompts(lab_folder() / "prompts")


@pytest.fixture(scope="session")
def own(partly_known, lab_prompts):
    """What `kb eval` says of the lab model there: the answers by probe, and the arm."""
    retriever = functools.partial(open_retriever, partly_known, RetrievalConfig(embedder="none"))
    done = run(partly_known, EVAL, ModelConfig(name="lab", load_in_4bit=False), lab_prompts, retriever)
    rows = read_jsonl(partly_known.eval(done.name) / "answers.jsonl")
    arm = next(arm for arm in done.report.arms if arm.arm == "base")
    assert 0.2 < arm.correct.value < 0.8
    return {row["probe_id"]: row for row in rows}, arm


@pytest.fixture
def known(partly_known, lab_prompts, tmp_path):
    """A function that exports that workspace for a harness and gives the folder."""

    def make(target):
        export(partly_known.store, EVAL, lab_prompts, target, tmp_path / "made")
        return tmp_path / "made"

    return make
