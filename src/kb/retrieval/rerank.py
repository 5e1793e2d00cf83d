"""An optional second look at what was found: a cross-encoder reads query and passage together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kb.errors import ModelUnavailable
from kb.llm.identity import folder_identity
from kb.llm.open import find_named
from kb.store import Store

CURE = "Set `reranker` under [retrieval] in kb.toml to a folder, or to `none`."
BATCH = 32


@dataclass(frozen=True)
class Reranker:
    """A loaded sentence-transformers CrossEncoder with one output."""

    model: Any
    name: str
    identity: str
    """Hash of the model's files."""

    def scores(self, query: str, texts: Sequence[str]) -> np.ndarray:
        """How well each text answers the query, shape (texts,), higher is better; only their order means anything."""
        scores: np.ndarray = self.model.predict(
            [(query, text) for text in texts], batch_size=BATCH, show_progress_bar=False
        )
        return scores


def find_reranker(name: str) -> Path | None:
    """The folder of a reranker, a folder itself or a hub id; None for `none`. Raises ModelUnavailable when missing."""
    return None if name == "none" else find_named("reranker", name, CURE)


def open_reranker(name: str, store: Store | None = None) -> Reranker | None:
    """The reranker `name`, loaded; see `find_reranker`. With a store the hash of its files is remembered there.

    Raises ModelUnavailable for a model that is none, or that has other than one output.
    """
    folder = find_reranker(name)
    if folder is None:
        return None
    from sentence_transformers import CrossEncoder

    try:
        model = CrossEncoder(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"reranker: {folder} is not a cross-encoder: {error}. {CURE}") from error
    if model.num_labels != 1:
        raise ModelUnavailable(f"reranker: {folder} gives {model.num_labels} scores a passage instead of one. {CURE}")
    return Reranker(model, name, folder_identity(folder, store))
