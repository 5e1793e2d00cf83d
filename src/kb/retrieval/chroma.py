"""chroma's PersistentClient as the vector index: rebuilt from kb.db whenever it does not match, never updated in place.

chroma 1.5.9 is neither crash-safe nor safe for two writers, and answers from a torn index without an error. So an index
lies in a folder named by what is in it, is built aside, checked and renamed, and is checked again when it is opened: a
kill leaves the old index or the new one. chroma writes into an index that it only reads, and crashes on some torn
files: so the bytes are compared with their hashes first, and chroma gets a copy. It holds ids and vectors only; text
stays in kb.db.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import chromadb
import chromadb.errors
import numpy as np
from chromadb.config import Settings

from kb.llm.identity import combine, file_sha256
from kb.retrieval.exact import ExactIndex, VectorIndex
from kb.workspace import write_json

log = logging.getLogger(__name__)

COLLECTION = "chunks"
MANIFEST = "manifest.json"
SAMPLE = 20
"""Vectors that are looked up when an index is opened: each must find itself."""
BEAM = 400
"""Candidates that chroma's graph search keeps (ef_search): high, so that a rebuilt graph gives the same neighbours."""

COPY = "kb-index-"
"""Prefix of the temporary folders that hold copies."""

Load = Callable[[Sequence[str]], np.ndarray]
"""From chunk ids to their vectors, shape (chunks, dimensions)."""


class ChromaIndex:
    """chroma's nearest neighbours, in a copy of the index that lives as long as this."""

    def __init__(self, folder: Path) -> None:
        _sweep()
        self._held = contextlib.ExitStack()
        temporary = self._held.enter_context(tempfile.TemporaryDirectory(prefix=COPY))
        lock = os.open(temporary, os.O_RDONLY)
        self._held.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        client = _client(shutil.copytree(folder, Path(temporary, "index")))
        self._held.callback(client.close)
        self._collection = client.get_collection(COLLECTION, embedding_function=None)

    def nearest(self, vectors: np.ndarray, count: int) -> list[list[tuple[str, float]]]:
        """See `VectorIndex.nearest`."""
        found = self._collection.query(query_embeddings=vectors, n_results=count, include=["distances"])
        return [
            [(id, 1.0 - distance) for id, distance in zip(ids, distances, strict=True)]
            for ids, distances in zip(found["ids"], found["distances"], strict=True)
        ]

    def fault(self, count: int, sample: np.ndarray) -> str:
        """What is wrong with an index that should hold `count` vectors, those of `sample` among them; "" if nothing.

        Equal texts have equal vectors, so a vector is found by its distance and not by its id.
        """
        if self._collection.count() != count:
            return f"{self._collection.count()} vectors instead of {count}"
        lost = sum(not hits or hits[0][1] < 0.99 for hits in self.nearest(sample, 1))
        return f"{lost} of {len(sample)} vectors are not found" if lost else ""

    def close(self) -> None:
        """Let go of the files, and remove the copy."""
        self._held.close()


def _sweep() -> None:
    """Remove the copies of processes that were killed: a copy is locked as long as its process lives."""
    for copy in Path(tempfile.gettempdir()).glob(f"{COPY}*"):
        try:
            # A copy that was made just now may not be locked yet.
            if time.time() - copy.stat().st_mtime < 60:
                continue
            lock = os.open(copy, os.O_RDONLY)
        except OSError:  # another process removes it, or it is another user's
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(copy, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def open_index(root: Path, model: str, ids: Sequence[str], load: Load, build: bool) -> VectorIndex:
    """The index over the vectors of these chunks, which `load` gives, at least one; it lies in a folder under `root`.

    One that is missing, of other chunks or damaged is built again with `build`, which the one writer may; a reader
    searches exactly instead. So does everyone when chroma cannot be used at all, which is logged.
    """
    folder = root / combine([model, *sorted(ids)])
    places = np.linspace(0, len(ids) - 1, min(SAMPLE, len(ids))).astype(int)
    sample = load([ids[place] for place in places])
    index = _open(folder, len(ids), sample)
    if index is None and build:
        try:
            _build(folder, ids, load)
        except (OSError, RuntimeError, ValueError, chromadb.errors.ChromaError) as error:
            log.warning("the vector index cannot be built, searching without it: %s", error)
        else:
            index = _open(folder, len(ids), sample)
    if build:
        _remove_others(folder)
    return index or ExactIndex(ids, load(ids))


def _open(folder: Path, count: int, sample: np.ndarray) -> ChromaIndex | None:
    """The index in a folder if it is whole, else None; damage is logged."""
    try:
        hashes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        whole = hashes == _hashes(folder)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("the vector index in %s is damaged: %s", folder, error)
        return None
    if not whole:
        log.warning("the vector index in %s is damaged: its files are not as they were written", folder)
        return None
    try:
        index = ChromaIndex(folder)
        fault = index.fault(count, sample)
    except (OSError, RuntimeError, ValueError, chromadb.errors.ChromaError) as error:
        log.warning("the vector index in %s is damaged: %s", folder, error)
        return None
    if fault:
        index.close()
        log.warning("the vector index in %s is damaged: %s", folder, fault)
        return None
    return index


def _build(folder: Path, ids: Sequence[str], load: Load) -> None:
    """Build aside, write the manifest last, rename."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    client = _client(part)
    collection = client.create_collection(
        COLLECTION, embedding_function=None, configuration={"hnsw": {"space": "cosine", "ef_search": BEAM}}
    )
    step = min(1000, client.get_max_batch_size())
    for start in range(0, len(ids), step):
        batch = list(ids[start : start + step])
        collection.add(ids=batch, embeddings=load(batch))
    client.close()
    for file in part.rglob("*"):
        if file.is_file():
            _to_disk(file)
    write_json(part / MANIFEST, _hashes(part))
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    log.info("vector index built: %d passages", len(ids))


def _to_disk(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of an index."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    return {str(file.relative_to(folder)): file_sha256(file) for file in files}


def _remove_others(folder: Path) -> None:
    """Remove what else lies beside the index: those of earlier chunks, and what a killed build left."""
    for other in folder.parent.glob("*"):
        if other.is_dir() and other != folder:
            shutil.rmtree(other, ignore_errors=True)


def _client(folder: Path) -> Any:
    return chromadb.PersistentClient(str(folder), Settings(anonymized_telemetry=False))
