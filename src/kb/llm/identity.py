"""What a local model is: a hash of its files, never its name, so that a cached answer can only be its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from kb.errors import ModelUnavailable
from kb.store import Store

WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "adapter_model.bin")
"""Not every *.bin: training_args.bin lies beside the weights and holds paths and names."""
SMALL = (
    "config.json", "generation_config.json", "adapter_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model",
    "chat_template.jinja", "chat_template.json",
)  # fmt: skip


def file_sha256(path: Path, store: Store | None = None) -> str:
    """SHA-256 of a file; with a store, remembered by path, size and modification time."""
    stat = path.stat()
    if store:
        rows = store.sql(
            "SELECT sha256 FROM file_hashes WHERE path = ? AND size = ? AND mtime_ns = ?",
            str(path), stat.st_size, stat.st_mtime_ns,
        )  # fmt: skip
        if rows:
            return str(rows[0]["sha256"])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if store:
        with store.transaction():
            store.sql(
                "INSERT OR REPLACE INTO file_hashes VALUES (?, ?, ?, ?)",
                str(path), stat.st_size, stat.st_mtime_ns, digest,
            )  # fmt: skip
    return digest


def folder_identity(folder: Path, store: Store | None = None) -> str:
    """Sixteen hex digits over the weights, configuration, tokenizer and chat template in a model or adapter folder.

    Raises ModelUnavailable when the folder has none of them.
    """
    files = sorted({file for pattern in (*WEIGHTS, *SMALL) for file in folder.glob(pattern)})
    if not files:
        raise ModelUnavailable(f"{folder}: no files of a model or an adapter there")
    return combine(f"{file.name}={file_sha256(file.resolve(), store)}" for file in files)


def combine(parts: Iterable[str]) -> str:
    """Sixteen hex digits over strings."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
