"""Which requests a run may send: documents by name, what failed, and what follows from it."""

import pytest

from kb.errors import UsageError
from kb.qa_gen.selection import Choice, Selection, find_document, select
from kb.records import Chunk, Document
from kb.store import Store

PATHS = {
    "doc_1a": "/home/li/docs/handbook.pdf", "doc_1b": "/home/li/docs/old/handbook.pdf",
    "doc_2": "/home/li/docs/员工手册.docx", "doc_3": "/home/li/docs/notes.md",
}  # fmt: skip


@pytest.fixture
def store(tmp_path):
    """Four live documents of one chunk each, and one that is gone."""
    store = Store(tmp_path / "kb.db")
    for id, path in (PATHS | {"doc_9": "/home/li/docs/gone.md"}).items():
        store.put([Document(id, path, id, "md", id, "en", "")], retired=int(id == "doc_9"))
        store.put([Chunk(f"chk_{id}", id, 0, "text", "Title", "en", 0, 4)])
    yield store
    store.close()


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("doc_2", "doc_2"),
        ("/home/li/docs/handbook.pdf", "doc_1a"),
        ("/home/li/docs/../docs/notes.md", "doc_3"),
        ("员工手册.docx", "doc_2"),
        ("员工", "doc_2"),
        ("note", "doc_3"),
        ("old/handbook.pdf", "doc_1b"),
        ("doc_1b", "doc_1b"),
        ("/home/li/docs/old", "doc_1b"),
    ],
)
def test_a_document_by_id_path_name_or_beginning(store, name, id):
    """What is whole goes before what begins so."""
    assert find_document(store, name) == id


def test_a_path_is_taken_from_where_one_stands(store, monkeypatch, tmp_path):
    """As a shell completes it."""
    store.put([Document("doc_4", str(tmp_path / "a" / "b.txt"), "s", "txt", "b", "en", "")])
    monkeypatch.chdir(tmp_path)
    assert find_document(store, "a/b.txt") == "doc_4"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "handbook.pdf",
            "handbook.pdf: 2 documents are called so: /home/li/docs/handbook.pdf, /home/li/docs/old/handb",
        ),
        ("doc_1", "doc_1: 2 documents are called so"),
        ("合同", "合同: no such document in this workspace; there is: /home/li/docs/handbook.pdf, "),
        ("gone.md", "gone.md: no such document"),
        ("", ": no such document"),
    ],
)
def test_a_name_for_none_or_several_is_refused(store, name, said):
    """With the documents that could be meant."""
    with pytest.raises(UsageError) as caught:
        Choice((name,)).documents(store)
    assert str(caught.value).startswith(said)


def test_an_error_names_a_few_documents(store):
    """Not the ten thousand others."""
    store.put([Document(f"doc_x{n}", f"/x/{n}.md", f"s{n}", "md", "x", "en", "") for n in range(9)])
    with pytest.raises(
        UsageError, match=r"9 documents are called so: /x/0.md, /x/1.md, /x/2.md, /x/3.md, /x/4.md, \.\.\."
    ):
        find_document(store, "doc_x")


def test_a_document_without_a_chunk_to_ask_about_is_refused(store):
    """It would be a run that does nothing and looks done."""
    chunks = store.all(Chunk)
    with pytest.raises(UsageError, match=r"notes\.md: nothing to ask about"):
        select(store, Choice(("notes.md",)), chunks[:2], "generate")
    chosen = select(store, Choice(("notes.md", "doc_2")), chunks, "generate")
    assert chosen.chunks == {"chk_doc_2", "chk_doc_3"}


def test_everything_is_allowed_by_default(store):
    """Whatever failed or is missing."""
    selection = select(store, Choice(), store.all(Chunk), "generate")
    assert selection.whole
    assert selection.allows("generate: facts", "chk_1", "chk_1")


def test_what_failed_opens_its_chunk_for_what_follows(store):
    """Before that item nothing of the chunk is asked, after it everything; other chunks stay closed."""
    store.fail("generate: questions", "fct_1", "no lines", "junk")
    store.fail("evaluate: rag", "fct_2", "HTTP 500")
    selection = select(store, Choice(failed=True), store.all(Chunk), "generate")
    assert selection.failed == {("generate: questions", "fct_1"): ("no lines", "junk")}
    assert not selection.allows("generate: facts", "chk_1", "chk_1")
    assert not selection.allows("generate: questions", "fct_2", "chk_1")
    assert selection.allows("generate: questions", "fct_1", "chk_1")
    assert selection.allows("generate: probes", "fct_2", "chk_1")
    assert not selection.allows("generate: probes", "fct_3", "chk_3")


def test_what_failed_outside_the_chosen_documents_stays_closed():
    """Both choices together."""
    failed = {("generate: facts", "chk_1"): ("r", ""), ("generate: facts", "chk_2"): ("r", "")}
    selection = Selection(frozenset({"chk_1"}), True, failed)
    assert selection.allows("generate: facts", "chk_1", "chk_1")
    assert not selection.allows("generate: facts", "chk_2", "chk_2")
    assert not selection.whole
