"""`--shard` and `kb ingest merge`: a corpus read in parts is the corpus read at once."""

import pytest

from kb.errors import UsageError, WorkspaceError
from kb.ingest.config import IngestConfig
from kb.ingest.merge import merge
from kb.records import Chunk, Document, Fact
from kb.store import PASSAGES
from kb.workspace import Workspace

pytestmark = pytest.mark.slow

LONG = "".join(f"第{n}号规定罚款{n}万元，不得减免。" for n in range(60))


@pytest.fixture
def corpus(folder):
    """Twelve texts in two folders, one of them long, one a copy, and a file that cannot be read."""
    (folder / "子目录").mkdir()
    for n in range(12):
        place = folder / ("子目录" if n % 2 else ".") / f"{n}.md"
        place.write_text(f"# 规定{n}\n\n{LONG if n == 3 else f'罚款{n}万元。'}\n", encoding="utf-8")
    (folder / "same.md").write_bytes((folder / "0.md").read_bytes())
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
    return folder


@pytest.fixture
def shards(corpus, tmp_path, ingest):
    """The workspaces of three shards."""
    roots = [tmp_path / f"shard{n}" for n in (1, 2, 3)]
    for n, root in enumerate(roots, 1):
        place = Workspace(root, create=True)
        ingest(corpus, into=place, shard=f"{n}/3")
        place.store.close()
    return roots


def held(workspace):
    """What a workspace holds, without ids that depend on which of two equal files was seen first."""
    store = workspace.store
    documents = sorted((d.id, d.text) for d in store.all(Document))
    chunks = sorted((c.id, c.document_id, c.section, c.ordinal, c.header, c.start, c.end) for c in store.all(Chunk))
    failed = [item for item, _, _ in store.failures("ingest")]
    signatures = sorted(map(tuple, store.sql("SELECT * FROM signatures")))
    return documents, chunks, failed, store.count(Chunk, PASSAGES), signatures


def test_the_parts_together_are_the_whole(workspace, shards, corpus, tmp_path, ingest):
    """Each file is in one shard; merged they are what one run gives, and a later run has nothing to read."""
    with workspace.lock():
        report = merge(shards, workspace, show=False)
    assert (report.workspaces, report.taken, len(report.failed), report.documents) == (3, 12, 1, 12)
    whole = Workspace(tmp_path / "whole", create=True)
    ingest(corpus, into=whole)
    assert held(workspace) == held(whole)
    sizes = [Workspace(root).store.count(Document) for root in shards]
    assert min(sizes) > 0
    again = ingest(corpus)
    assert (again.read, again.unchanged) == (0, 12)


def test_merging_again_takes_nothing(workspace, shards):
    """Documents that are there are known; facts stay."""
    merge(shards, workspace, show=False)
    chunk = workspace.store.all(Chunk)[0]
    workspace.store.put([Fact("fct_1", chunk.id, "s", "1", "number", "1", chunk.start, chunk.start + 1, "zh")])
    report = merge(shards, workspace, show=False)
    assert (report.taken, report.documents) == (0, 12)
    assert workspace.store.count(Fact) == 1


def test_vectors_come_along_and_newer_versions_replace(workspace, corpus, shards, ingest):
    """What was embedded by a shard is not embedded again; a changed file takes its old version's place."""
    ingest(corpus)
    (corpus / "4.md").write_text("# 规定4\n\n罚款四十万元。\n", encoding="utf-8")
    for n, root in enumerate(shards, 1):
        place = Workspace(root)
        ingest(corpus, into=place, shard=f"{n}/3")
        for chunk in place.store.all(Chunk, PASSAGES):
            place.store.sql("INSERT INTO vectors VALUES (?, 'm', ?)", chunk.id, chunk.text.encode())
        place.store.close()
    report = merge(shards, workspace, show=False)
    assert (report.taken, report.replaced, report.documents) == (1, 1, 12)
    store = workspace.store
    (document,) = [document for document in store.all(Document) if document.path.endswith("/4.md")]
    (chunk,) = store.all(Chunk, "document_id = ?", document.id)
    (row,) = store.sql("SELECT vector FROM vectors WHERE chunk_id = ?", chunk.id)
    assert row["vector"].decode() == chunk.text == "罚款四十万元。"


def test_wrong_parts_and_places(workspace, corpus, shards, ingest, tmp_path):
    """Each is said before anything is taken."""
    for wrong in ("0/3", "4/3", "2", "a/b", "1/0"):
        with pytest.raises(UsageError, match="has to be like 2/8"):
            IngestConfig(shard=wrong).check()
    with pytest.raises(UsageError, match="no workspace here"):
        merge([shards[0], tmp_path / "nowhere"], workspace, show=False)
    with pytest.raises(UsageError, match="this is the workspace to merge into"):
        merge([workspace.root], workspace, show=False)
    assert workspace.store.count(Document) == 0
    busy = Workspace(shards[1])
    with busy.lock(), pytest.raises(WorkspaceError, match="is writing to"):
        merge(shards, workspace, show=False)


def test_a_shard_forgets_no_failure_of_another(workspace, corpus, shards, ingest):
    """In the merged workspace a shard has not looked at the other parts' files."""
    merge(shards, workspace, show=False)
    for n in (1, 2, 3):
        ingest(corpus, shard=f"{n}/3")
    assert len(workspace.store.failures("ingest")) == 1
    assert workspace.store.count(Document) == 12
