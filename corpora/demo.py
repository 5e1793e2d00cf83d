"""A folder ready for the four commands: the handbook's documents and settings that fit the lab model."""

from __future__ import annotations

import shutil
from pathlib import Path

from kb.corpora.handbook import bundled
from kb.workspace import write_text

SETTINGS = """\
# The lab model reads and writes the fictional world of the handbook only; for your own documents set a real model:
# name = "Qwen/Qwen3-4B-Instruct-2507", and remove the sections below, whose values fit a model of a few million
# parameters.
[model]
name = "lab"

[ingest]
target_tokens = 120
max_tokens = 240

[retrieval]
top_k = 2

[generate]
max_tokens = 400
rewrites = 0
reversed = false
detailed = 0

[train]
rank = 32
alpha = 64
learning_rate = 1.5e-3
epochs = 4.0
batch_size = 32
micro_batch = 32
gradient_checkpointing = false
checkpoints = 5
reading_share = 1.0
reading_wordings = 0
replay_share = 0.4
dpo_learning_rate = 1e-4

[eval]
instructions = 0
"""


def prepare(folder: Path) -> Path:
    """Put documents and kb.toml into `folder`, leaving what is there; returns the documents' folder, relative to it.

    The documents' folder appears whole or not at all.
    """
    docs, part = folder / "docs", folder / ".docs.part"
    if not docs.exists():
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(bundled() / "docs", part)
        part.rename(docs)
    if not (folder / "kb.toml").exists():
        write_text(folder / "kb.toml", SETTINGS)
    return Path("docs")
