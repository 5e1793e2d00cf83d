"""kill -9 at random instants, then the same command again."""

import random
import subprocess
import sys
import time

import pytest

from kb.ingest.config import IngestConfig
from kb.ingest.run import run
from kb.records import Chunk, Document
from kb.workspace import Workspace

pytestmark = pytest.mark.slow

CHILD = """
import sys
from pathlib import Path
from kb.ingest.config import IngestConfig
from kb.ingest.run import run
from kb.workspace import Workspace
place = Workspace(Path(sys.argv[2]), create=True)
print("begun", flush=True)
with place.lock():
    run([Path(sys.argv[1])], IngestConfig(), place, show=False)
"""


def state(workspace):
    """What is live: the documents' texts, and the chunks with their documents."""
    store = workspace.store
    documents = sorted((document.path, document.text) for document in store.all(Document))
    return documents, sorted((chunk.document_id, chunk.ordinal, chunk.header, chunk.text) for chunk in store.all(Chunk))


def test_killed_runs_end_as_an_undisturbed_one(folder, tmp_path):
    """Ten kills at random instants, a file changed between them: same documents and chunks, none twice, none half."""
    for n in range(60):
        text = f"# Rule {n}\n\n" + "\n\n".join(f"## 第{m}条\n\n规则{n}-{m}规定罚款{m}万元。" for m in range(40))
        (folder / f"{n:02}.md").write_text(text, encoding="utf-8")
    draw = random.Random(7)
    killed = 0
    for attempt in range(10):
        (folder / "00.md").write_text(f"# Changed\n\nversion {attempt // 4}", encoding="utf-8")
        child = subprocess.Popen([sys.executable, "-c", CHILD, folder, tmp_path / "killed"], stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"begun\n"
        time.sleep(draw.uniform(0.0, 0.4))
        killed += child.poll() is None
        child.kill()
        child.wait()
        child.stdout.close()
    disturbed, whole = Workspace(tmp_path / "killed"), Workspace(tmp_path / "whole", create=True)
    (folder / "00.md").write_text("# Changed\n\nversion 0", encoding="utf-8")
    run([folder], IngestConfig(), whole, show=False)
    (folder / "00.md").write_text("# Changed\n\nversion 2", encoding="utf-8")
    for place in (disturbed, whole):
        run([folder], IngestConfig(), place, show=False)
    assert killed > 0
    assert state(disturbed) == state(whole)
    assert len(state(disturbed)[0]) == 60
    for place in (disturbed, whole):
        place.store.close()
