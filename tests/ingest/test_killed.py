"""kill -9 at random instants of reading, storing, embedding and indexing, then the same command again."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from kb.records import Chunk, Document
from kb.retrieval.dense import load_vectors
from kb.store import PASSAGES
from kb.workspace import Workspace

pytestmark = pytest.mark.slow

KILLS = 50

SERVER = """
import os, sys
from pathlib import Path
import sentence_transformers
import kb.ingest.parse, kb.ingest.markdown, kb.retrieval.chroma
from kb.ingest.config import IngestConfig
from kb.ingest.run import run
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.workspace import Workspace

def ingest(folder, root, jobs):
    place = Workspace(root, create=True)
    with place.lock():
        run([folder], IngestConfig(jobs=jobs), place, show=False)
        open_retriever(place, RetrievalConfig(exact_up_to=0))
    place.store.close()

print("ready", flush=True)
for line in sys.stdin:
    folder, root, jobs = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if not child:
        ingest(Path(folder), Path(root), int(jobs))
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""
"""Forks a process for every line, so that fifty runs do not import torch fifty times."""


class Ingests:
    """Runs of `kb ingest` with embeddings and index, each in a process that can be killed."""

    def __init__(self, folder):
        self._folder = folder
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._server.stdout.readline() == "ready\n"

    def go(self, root, seconds=None, jobs=0):
        """Run to the end, or kill after so many seconds. Returns whether it was killed, and how long it took."""
        begun = time.monotonic()
        self._server.stdin.write(f"{self._folder}\t{root}\t{jobs}\n")
        self._server.stdin.flush()
        child = int(self._server.stdout.readline())
        if seconds is not None:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        status = int(self._server.stdout.readline())
        assert status == 0 or seconds is not None
        return os.WIFSIGNALED(status), time.monotonic() - begun

    def close(self):
        """End the server."""
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()


def state(root):
    """What is live: the documents' texts, the chunks with their documents, the passages with their vectors.

    No ids of chunks: they hang from the first version of a file that a workspace has seen.
    """
    workspace = Workspace(root)
    store = workspace.store
    documents = sorted((document.path, document.text) for document in store.all(Document))
    chunks = sorted((c.document_id, c.start, c.end, c.header, c.text) for c in store.all(Chunk))
    passages = sorted(store.all(Chunk, PASSAGES), key=lambda passage: (passage.document_id, passage.start))
    (model,) = [row["model"] for row in store.sql("SELECT DISTINCT model FROM vectors")]
    vectors = load_vectors(store, model, [passage.id for passage in passages])
    store.close()
    return documents, chunks, [passage.text for passage in passages], vectors.tobytes()


def write(folder, number, version):
    """A document in its version, long enough to have passages."""
    rules = [f"Rule {number}-{m} of version {version} sets a fine of {m} crowns. " * 9 for m in range(4)]
    (folder / f"{number:02}.md").write_text(f"# Rules {number}\n\n" + "\n\n".join(rules), encoding="utf-8")


def change(folder, draw, version):
    """Five documents in a new version."""
    for number in draw.sample(range(20), 5):
        write(folder, number, version)


def test_killed_runs_end_as_an_undisturbed_one(folder, tmp_path):
    """Fifty kills, files changed between them: same documents, chunks and vectors, none twice, none half."""
    for number in range(20):
        write(folder, number, 0)
    ingests = Ingests(folder)
    try:
        ingests.go(tmp_path / "timed")
        draw = random.Random(7)
        change(folder, draw, -1)
        _, seconds = ingests.go(tmp_path / "timed")
        killed = attempt = 0
        while killed < KILLS:
            change(folder, draw, attempt)
            jobs = 2 if attempt % 10 == 0 else 0
            killed += ingests.go(tmp_path / "killed", draw.uniform(0.0, seconds), jobs)[0]
            attempt += 1
            assert attempt < 3 * KILLS
        ingests.go(tmp_path / "killed")
        ingests.go(tmp_path / "whole")
    finally:
        ingests.close()
    disturbed, whole = state(tmp_path / "killed"), state(tmp_path / "whole")
    assert (len(disturbed[0]), len(disturbed[2])) == (20, 80)
    assert disturbed == whole
