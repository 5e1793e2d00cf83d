"""Chunks, workspaces that hold them, and an embedder whose vectors can be worked out by hand."""

import itertools
import re
from types import SimpleNamespace

import numpy as np
import pytest

from kb.records import Chunk, Document
from kb.retrieval.dense import Embedder
from kb.workspace import Workspace

AXES = {"price": 0, "cost": 0, "售": 0, "colour": 1, "red": 1, "色": 1, "weight": 2, "kilos": 2, "重": 2}
"""What the fake model knows: words of one axis mean the same to it, whatever they look like."""
HAN = re.compile("[一-鿿]")
TOKENS = {"known": [2], "unknown": [0], "bytes": [3, 4, 5]}


class FakeTokenizer:
    """One token for a word; a Han character is a token, an unknown one, or three bytes."""

    def __init__(self, han):
        self.han = han
        self.unk_token_id = None if han == "bytes" else 0

    def __call__(self, text, **options):
        """The tokens of a text: ☃ is one that no tokenizer knows."""
        ids = []
        for word in re.findall(r"[一-鿿]|[^\s一-鿿]+", text):
            ids += TOKENS[self.han] if HAN.match(word) else [0 if word == "☃" else 1]
        return SimpleNamespace(input_ids=ids)


class FakeModel:
    """What kb uses of a sentence-transformers model; `seen` is what it was given, `limit` after how much it dies."""

    def __init__(self, han="unknown", most_tokens=512):
        self.tokenizer = FakeTokenizer(han)
        self.max_seq_length = most_tokens
        self.seen, self.limit = [], None

    def encode(self, texts, **options):
        """Vectors of length 1: how often each axis is named; the last axis where none is."""
        if self.limit is not None and len(self.seen) >= self.limit:
            raise KeyboardInterrupt
        self.seen += texts
        vectors = np.zeros((len(texts), 4), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word, axis in AXES.items():
                vector[axis] += text.lower().count(word)
            vector[3] = not vector.any()
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def make_embedder():
    """A function that makes an embedder of a fake model."""

    def make(identity="model-a", query="", passage="", **options):
        return Embedder(FakeModel(**options), "fake", identity, query, passage)

    return make


@pytest.fixture
def make_chunks():
    """A function from texts to chunks, one document each; what has a Han character is Chinese."""

    def make(*texts, header="Handbook"):
        return [
            Chunk(f"chk_{n}", f"doc_{n}", 0, text, header, "zh" if HAN.search(text) else "en", 0, len(text))
            for n, text in enumerate(texts)
        ]

    return make


@pytest.fixture
def make_workspace(tmp_path):
    """A function from chunks to a workspace with them and their documents."""
    numbers = itertools.count()

    def make(chunks=()):
        made = Workspace(tmp_path / f"workspace{next(numbers)}", create=True)
        for chunk in chunks:
            id = chunk.document_id
            made.store.put([Document(id, f"/{id}", id, "txt", "Handbook", chunk.language, chunk.text, (), id)])
        made.store.put(chunks)
        return made

    return make
