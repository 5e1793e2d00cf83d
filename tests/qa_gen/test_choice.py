"""`kb generate-qa --only` and `--retry-failed`: what is asked, and what becomes of everything else."""

import json

import pytest
from typer.testing import CliRunner

from kb.cli import app
from kb.errors import UsageError
from kb.llm.fake import FakeLLM
from kb.qa_gen.asking import STAGE
from kb.qa_gen.selection import Choice
from kb.records import Chunk, Document, Fact
from kb.workspace import read_jsonl

pytestmark = pytest.mark.slow

MADE = (
    "facts", "questions", "probes", "reversed", "reversed probes", "cross-lingual", "near misses", "unanswerable",
    "rewrites",
)  # fmt: skip
"""Steps that make something of a document; the others check it against whatever retrieval shows."""


def documents(world):
    """Ids of the live documents, in order."""
    return [row["id"] for row in world.workspace.store.sql("SELECT id FROM documents WHERE retired = 0 ORDER BY rowid")]


def chunks_of(world, document):
    """Ids of a document's chunks."""
    return {chunk.id for chunk in world.workspace.store.all(Chunk, "document_id = ?", document)}


def rows_of(world, chunks):
    """Facts and questions of some chunks."""
    store = world.workspace.store
    return {
        table: {tuple(row) for row in store.sql(f"SELECT * FROM {table}") if row["chunk_id"] in chunks}
        for table in ("facts", "questions")
    }


def asked_since(world, seq, steps=MADE):
    """The prompts of these steps after a call."""
    rows = world.workspace.store.sql("SELECT stage, request FROM llm_calls WHERE seq > ?", seq)
    return [
        json.loads(row["request"])["messages"][-1]["content"]
        for row in rows
        if row["stage"].removeprefix(f"{STAGE}: ") in steps
    ]


def is_about(request, chunks):
    """Whether a request of the facts step is about one of these chunks."""
    system, prompt = (message.content for message in request.messages)
    return ("QUOTE:" in system or "原文：" in system) and any(f"{chunk.header}\n" in prompt for chunk in chunks)


def failing(world, chunks):
    """A model that never finds a fact in these chunks."""
    return world.llm(lambda request: "" if is_about(request, chunks) else world.oracle(request))


def ids(world):
    """Ids of everything in the set."""
    return {table: {row[0] for row in rows} for table, rows in world.tables().items()}


def last(world):
    """The number of the last call."""
    return world.workspace.store.sql("SELECT COALESCE(MAX(seq), 0) FROM llm_calls")[0][0]


def test_one_document_after_the_other_makes_the_same_set(calm, world):
    """By id and by the beginning of the file's name; nothing is asked twice, and the first one's rows stay."""
    first, second = documents(world)
    report = world.generate(choice=Choice((first,)))
    assert {fact.chunk_id for fact in world.workspace.store.all(Fact)} <= chunks_of(world, first)
    assert [document.id for document in report.documents] == [first]
    again = world.generate(choice=Choice((second[:12],)))
    assert world.tables() == calm.tables()
    assert report.calls + again.calls == calm.report.calls
    assert world.generate(world.llm(lambda request: pytest.fail("asked again"))).facts == calm.report.facts


def test_another_model_for_one_document_leaves_the_others_as_they_are(world):
    """What the other model may not be asked about keeps its rows and its failures."""
    first, second = documents(world)
    store = world.workspace.store
    world.generate(failing(world, store.all(Chunk, "document_id = ?", second)[:1]))
    before, failed = rows_of(world, chunks_of(world, second)), store.failures("generate: facts")
    assert failed
    assert len(before["facts"]) > 0
    other = FakeLLM(world.oracle, "another model")
    report = world.generate(other, Choice((first,)))
    assert rows_of(world, chunks_of(world, second)) == before
    assert store.failures("generate: facts") == failed
    assert len(rows_of(world, chunks_of(world, first))["facts"]) > 0
    asked = store.sql("SELECT model FROM llm_calls WHERE seq > ?", last(world) - report.calls)
    assert {row["model"] for row in asked} == {"another model"}
    assert report.failed == {}


def test_nothing_that_is_probed_elsewhere_is_trained(world):
    """A new training wording that is a probe in rows that were kept is dropped with all that hangs on it."""
    first, second = documents(world)
    world.generate()
    store = world.workspace.store
    probe = store.sql(
        "SELECT q.id, q.text FROM questions q JOIN chunks c ON c.id = q.chunk_id WHERE c.document_id = ?"
        " AND split = 'train' AND kind = 'answerable' ORDER BY q.rowid", first
    )[0]["text"]  # fmt: skip
    taken = store.sql(
        "SELECT q.id FROM questions q JOIN chunks c ON c.id = q.chunk_id WHERE c.document_id = ? AND split = 'probe'",
        second,
    )[0]["id"]
    store.sql("UPDATE questions SET text = ? WHERE id = ?", probe, taken)
    report = world.generate(FakeLLM(world.oracle, "another model"), Choice((first,)))
    splits = {row["split"] for row in store.sql("SELECT split FROM questions WHERE text = ?", probe)}
    assert splits == {"probe"}
    assert store.sql("SELECT COUNT(*) FROM qa_pairs WHERE question = ?", probe)[0][0] == 0
    assert report.rejected["answerable: asked already"] == 1


def test_a_retry_asks_what_failed_and_what_follows_and_nothing_new(world, make_world_in, other_document):
    """A document that came meanwhile waits for a plain run; after that the set is that of a run without any failure."""
    doomed = world.workspace.store.all(Chunk)[0]
    assert sum(world.generate(failing(world, [doomed])).failed.values()) == 1
    new = world.add(other_document)
    before = last(world)
    report = world.generate(choice=Choice(failed=True))
    assert report.failed == {}
    own = [truth.name for truth in world.truths if truth.evidence in doomed.text]
    asked = asked_since(world, before)
    assert len(asked) > 5
    assert [prompt for prompt in asked if not any(name in prompt for name in own)] == []
    facts = {fact.chunk_id for fact in world.workspace.store.all(Fact)}
    assert doomed.id in facts
    assert not facts & chunks_of(world, new)
    assert new not in {document.id for document in report.documents}

    world.generate()
    smooth = make_world_in("smooth", world.compositions)
    smooth.generate()
    assert ids(world) == ids(smooth)


def test_a_killed_retry_is_gone_on_with(calm, world):
    """What it had got at the kill is no failure any more, and what follows from it is still asked."""
    world.generate(failing(world, world.workspace.store.all(Chunk)[:1]))

    def dies(request):
        if not is_about(request, world.workspace.store.all(Chunk)):
            raise KeyboardInterrupt
        return world.oracle(request)

    with pytest.raises(KeyboardInterrupt):
        world.generate(world.llm(dies), Choice(failed=True))
    assert world.generate(choice=Choice(failed=True)).failed == {}
    assert ids(world) == ids(calm)


def test_a_retry_of_nothing_asks_nothing_and_changes_nothing(world, other_document):
    """Not even what is missing."""
    world.generate()
    before = world.tables()
    world.add(other_document)
    silent = world.llm(lambda request: pytest.fail("asked"))
    assert world.generate(silent, Choice(failed=True)).calls == 0
    assert {table: sorted(rows) for table, rows in world.tables().items()} == {
        table: sorted(rows) for table, rows in before.items()
    }


def test_failures_elsewhere_are_listed_and_do_not_make_a_chosen_document_incomplete(world):
    """The same command again could not mend them."""
    first, second = documents(world)
    assert not world.generate(failing(world, world.workspace.store.all(Chunk, "document_id = ?", second))).complete
    report = world.generate(choice=Choice((first,)), min_yield=0.0)
    assert (report.failed, report.complete) == ({}, True)
    listed = list(read_jsonl(world.workspace.datasets / "failed.jsonl"))
    assert {row["chunk"] for row in listed} == chunks_of(world, second)


def test_a_changed_document_has_only_its_own_things_made_anew(make_world_in, other_document):
    """Facts, questions, probes and negatives of the others stand; their checks follow what retrieval shows now."""
    world = make_world_in()
    world.generate()
    store, before = world.workspace.store, last(world)
    store.sql("UPDATE documents SET retired = 1 WHERE id = ?", documents(world)[0])
    fresh = store.get(Document, world.add(other_document))
    own = [truth.name for truth in world.truths if truth.evidence in fresh.text]
    own += [chunk.header for chunk in store.all(Chunk, "document_id = ?", fresh.id)]
    world.generate()
    asked = asked_since(world, before)
    assert len(asked) > 10
    assert [prompt for prompt in asked if not any(name in prompt for name in own)] == []


def test_a_misspelt_document_comes_to_light_before_a_model_is_loaded(world):
    """Loading takes minutes; here it would fail."""
    words = ["generate-qa", "--only", "员工手册", "--model", "/no/such/model", "--workspace", str(world.workspace.root)]
    found = CliRunner().invoke(app, words)
    assert isinstance(found.exception, UsageError)
    assert "员工手册: no such document" in str(found.exception)


@pytest.mark.parametrize(
    ("flags", "reply", "code"),
    [
        ([], "NONE", 0),
        ([], "junk", 4),
        ([], "QUOTE: said by nobody\nFACT: Nobody says this today.\nANSWER: nobody", 4),
        (["--retry-failed"], "junk", 0),
    ],
)
def test_the_exit_code_tells_whether_enough_was_found(world, tmp_path, flags, reply, code):
    """Nothing to find is fine, failures and drops alone are not; and what is not asked for cannot fail."""
    script = tmp_path / "fake.jsonl"
    script.write_text(json.dumps({"contains": "", "answer": reply}) + "\n", encoding="utf-8")
    words = ["generate-qa", *flags, "--model", f"fake:{script}", "--workspace", str(world.workspace.root), "--json"]
    found = CliRunner().invoke(app, words)
    assert found.exit_code == code
    report = json.loads(found.stdout)
    assert report["share"] == (0.0 if code else 1.0)
    assert sum(report["without"].values()) == report["chunks"]
