"""A training run's adapter on the base it was trained on, and on no other."""

from __future__ import annotations

from pathlib import Path

from kb.errors import UsageError
from kb.llm.base import LLM
from kb.llm.identity import combine, folder_identity
from kb.prompt import Prompts
from kb.records import QAPair
from kb.runs import Run
from kb.store import Store

TRAINED = "question_id IN (SELECT id FROM questions WHERE split = 'train')"
"""Which pairs may be trained: those of a question that is held out never are, whatever stands in the tables."""

TAUGHT = "taught != 'never'"
"""Which facts are trained in one way or another; the others are only probed."""


def placebo_documents(store: Store) -> dict[str, str]:
    """Id to path of the live documents that are probed and never trained, in the order they came."""
    rows = store.sql(
        "SELECT id, path FROM documents WHERE retired = 0 AND id IN (SELECT c.document_id FROM chunks c"
        f" JOIN facts f ON f.chunk_id = c.id WHERE NOT {TAUGHT}) ORDER BY rowid"
    )
    return {row["id"]: row["path"] for row in rows}


def open_tuned(base: LLM, run: Run, store: Store) -> LLM:
    """The same weights with the adapter of `run` on.

    Raises UsageError when `base` is not a local model or not the one that the run was trained on, or when the adapter's
    files are not those that were registered. Loading the base in 4 bits or not makes no difference here: the weights
    on disk are compared.
    """
    from kb.llm.local import LocalLLM

    if not isinstance(base, LocalLLM):
        raise UsageError(
            f"{base.label} is not a local model and cannot carry the adapter of run {run.name};"
            f' set name = "{run.lineage.base}" under [model]'
        )
    check_base(base.weights.folder, run, store)
    check_files(run, store)
    return base.with_adapter(run.adapter, store)


def check_base(folder: Path, run: Run, store: Store) -> None:
    """Raise UsageError when the weights in `folder` are not those that the run was trained on."""
    weights = folder_identity(folder, store)
    if run.lineage.base_identity not in [combine([weights, f"nf4={four_bit}"]) for four_bit in (True, False)]:
        raise UsageError(
            f"run {run.name} was trained on {run.lineage.base}, and {folder} holds other weights."
            " Correct [model] name, choose another run, or train again: kb train"
        )


def check_files(run: Run, store: Store) -> None:
    """Raise UsageError when the adapter's files are not those that were registered."""
    if folder_identity(run.adapter, store) != run.lineage.adapter_identity:
        raise UsageError(f"the adapter {run.adapter} has changed since run {run.name} ended. Train again: kb train")


def tag_differs(run: Run, prompts: Prompts) -> str:
    """What to say where the tag before questions is not the one that the run was trained with; empty where it is."""
    if run.lineage.tag == prompts.tag:
        return ""
    trained, asked = (repr(tag) if tag else "no tag" for tag in (run.lineage.tag, prompts.tag))
    return (
        f"run {run.name} was trained with {trained} before its questions and is asked with {asked}. Set [model] tag ="
        f' "{run.lineage.tag}", or train again: kb train'
    )


def questions_hash(store: Store) -> str:
    """Sixteen hex digits over what there is to train on: the ids of the QA pairs, which are hashes of their content."""
    pairs = store.all(QAPair, TRAINED)
    return combine(sorted(pair.id for pair in pairs))


def questions_changed(run: Run, store: Store) -> bool:
    """Whether questions have been made anew since the run was trained: then some of today's may be new to it."""
    return bool(run.lineage.questions) and run.lineage.questions != questions_hash(store)


def documents_changed(run: Run, store: Store) -> bool:
    """Whether the live documents are not those that were there when the run was trained."""
    rows = store.sql("SELECT sha256 FROM documents WHERE retired = 0 ORDER BY sha256")
    return combine(row["sha256"] for row in rows) != run.lineage.documents
