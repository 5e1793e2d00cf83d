"""kb.db: records in, records out, migrations, whole units only."""

import sqlite3
from dataclasses import replace

import pytest

from kb.errors import WorkspaceError
from kb.records import Chunk, Document, Fact, Question, make_id
from kb.store import Store, histogram

DOCUMENT = Document("doc_1", "/a.txt", "s1", "txt", "手册", "zh", "三千万。", ("read as GB18030",), "doc_1")
CHUNK = Chunk("chk_1", "doc_1", 0, "三千万。", "手册", "zh", 0, 4)
FACT = Fact("fct_1", "chk_1", "资本是三千万。", "三千万", "money", "三千万", 0, 3, "zh", ("3000万",))
QUESTION = Question("qst_1", "chk_1", "fct_1", "answerable", "train", "资本是多少？", "zh", "questions.zh#1")


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "kb.db")
    made.put([DOCUMENT])
    made.put([CHUNK])
    made.put([FACT])
    made.put([QUESTION])
    return made


def test_records_come_back_equal(store):
    """What is stored is what was given, tuples and Chinese included."""
    assert store.get(Document, "doc_1") == DOCUMENT
    assert store.all(Fact) == [FACT]
    assert store.get(Fact, "fct_2") is None


def test_the_same_record_twice_is_one(store):
    """Putting a record again changes nothing, and says so."""
    assert store.put([FACT]) == 0
    assert store.count(Fact) == 1


def test_retired_documents_take_everything_that_hangs_from_them(store):
    """Chunks, facts and questions of a retired document are no longer live, and are still there."""
    store.sql("UPDATE documents SET retired = 1")
    assert [store.count(kind) for kind in (Document, Chunk, Fact, Question)] == [0, 0, 0, 0]
    assert store.all(Fact, live=False) == [FACT]


def test_sync_makes_the_live_rows_exactly_the_given_ones(store):
    """A fact that is no longer made goes, a new one comes, one of a retired document stays."""
    store.put([replace(DOCUMENT, id="doc_2", path="/b.txt")], retired=1)
    store.put([replace(CHUNK, id="chk_2", document_id="doc_2")])
    store.put([replace(FACT, id="fct_old", chunk_id="chk_2")])
    fresh = replace(FACT, id="fct_2", answer="四千万")
    store.sync(Fact, [fresh])
    assert store.all(Fact) == [fresh]
    assert {fact.id for fact in store.all(Fact, live=False)} == {"fct_2", "fct_old"}


def test_a_failed_transaction_leaves_nothing(store):
    """An exception inside a transaction undoes all of it, nested ones too."""
    with pytest.raises(RuntimeError), store.transaction():
        store.put([replace(FACT, id="fct_2")])
        with store.transaction():
            store.put([replace(FACT, id="fct_3")])
        raise RuntimeError
    assert store.count(Fact) == 1


def test_failures_are_kept_until_they_are_done(store):
    """A failed unit of work is listed with its reason, and goes when it succeeds."""
    store.fail("generate: facts", "chk_1", "answer cut off at the token limit")
    store.fail("generate: facts", "chk_2", "HTTP 500")
    store.fail("ingest", "/a.pdf", "CORRUPT")
    assert [item for item, _, _ in store.failures("generate: facts")] == ["chk_1", "chk_2"]
    store.unfail("generate: facts", "chk_1")
    store.clear_failures("generate")
    assert store.failures("generate: facts") == []
    assert len(store.failures("ingest")) == 1


def test_a_database_of_a_newer_kb_is_refused(store, tmp_path):
    """A schema number above the known ones is an error that says to upgrade."""
    store.sql("PRAGMA user_version = 99")
    with pytest.raises(WorkspaceError, match="newer kb"):
        Store(tmp_path / "kb.db")


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path):
    """Garbage in kb.db is named with the cure, not a traceback from SQLite."""
    (tmp_path / "kb.db").write_bytes(b"not a database, not at all" * 100)
    with pytest.raises(WorkspaceError, match="ingest again"):
        Store(tmp_path / "kb.db")


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY])
def test_a_full_disk_is_no_reason_to_throw_the_database_away(code, tmp_path, monkeypatch):
    """What is the machine's is raised as it is, and not as damage of the file."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = code

    def fails(*args, **kwargs):
        raise error

    monkeypatch.setattr(sqlite3, "connect", fails)
    with pytest.raises(sqlite3.OperationalError):
        Store(tmp_path / "kb.db")


def test_readers_see_the_database_while_a_writer_is_in_a_transaction(store, tmp_path):
    """WAL: an open write transaction does not block a reader, which sees the state before it."""
    with store.transaction():
        store.put([replace(FACT, id="fct_2")])
        with sqlite3.connect(tmp_path / "kb.db", timeout=0.1) as other:
            assert other.execute("SELECT COUNT(*) FROM facts").fetchone()[0] == 1


def test_ids_depend_on_every_part_and_on_where_it_ends():
    """An id is a hash of its parts; moving a character from one part to the next gives another id."""
    assert make_id("fct", "ab", "c") == make_id("fct", "ab", "c")
    assert make_id("fct", "ab", "c") != make_id("fct", "a", "bc")
    assert make_id("fct", "ab") != make_id("qst", "ab")


def test_histogram_counts_reasons_most_frequent_first():
    """Reasons are counted; ties go by name."""
    rows = [("a", "y", ""), ("b", "x", ""), ("c", "x", ""), ("d", "w", "")]
    assert list(histogram(rows).items()) == [("x", 2), ("w", 1), ("y", 1)]
