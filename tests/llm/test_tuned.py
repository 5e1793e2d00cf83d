"""A run's adapter goes on the base it was trained on, and on no other."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from kb.errors import UsageError
from kb.llm.fake import FakeLLM
from kb.llm.identity import combine, folder_identity
from kb.llm.tuned import documents_changed, open_tuned
from kb.records import Document
from kb.runs import Lineage, Run
from kb.store import Store


class Local:
    """Stands in for a loaded local model."""

    def __init__(self, folder):
        self.weights = SimpleNamespace(folder=folder)
        self.label = folder.name

    def with_adapter(self, adapter, store):
        """What was put on."""
        return f"{self.label} with {adapter}"


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A base model in a folder, without torch."""
    monkeypatch.setitem(sys.modules, "kb.llm.local", SimpleNamespace(LocalLLM=Local))
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_model.safetensors").write_text("weights")
    return Local(tmp_path / "base")


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    return Store(tmp_path / "kb.db")


def trained(base, store, four_bit=True):
    """A run as `kb train` registers it."""
    adapter = base.weights.folder.parent / "adapter"
    identity = combine([folder_identity(base.weights.folder), f"nf4={four_bit}"])
    documents = combine(row["sha256"] for row in store.sql("SELECT sha256 FROM documents ORDER BY sha256"))
    lineage = Lineage("my-model", identity, str(adapter), folder_identity(adapter), "d", documents, 3)
    return Run("sft-1", {}, lineage, {}, "2026-01-01")


@pytest.mark.parametrize("four_bit", [True, False])
def test_the_adapter_goes_on_the_base_it_was_trained_on(four_bit, base, store, tmp_path):
    """Whether the base was loaded in 4 bits in training does not matter for what it is."""
    assert open_tuned(base, trained(base, store, four_bit), store) == f"base with {tmp_path / 'adapter'}"


def test_another_base_is_refused(base, store):
    """Other weights under the configured name: the message names both and the ways out."""
    run = trained(base, store)
    (base.weights.folder / "model.safetensors").write_text("other weights")
    with pytest.raises(UsageError, match=r"sft-1 was trained on my-model, and .*base holds other weights.*kb train"):
        open_tuned(base, run, store)


def test_a_changed_adapter_is_refused(base, store):
    """An adapter that is not the one that was registered is not passed off for it."""
    run = trained(base, store)
    Path(run.adapter, "adapter_model.safetensors").write_text("trained further")
    with pytest.raises(UsageError, match="has changed since run sft-1 ended"):
        open_tuned(base, run, store)


def test_a_model_that_is_not_local_is_refused(base, store):
    """A server or a fake cannot carry an adapter; the message names the base to set."""
    with pytest.raises(UsageError, match=r'fake is not a local model.*name = "my-model"'):
        open_tuned(FakeLLM(["x"]), trained(base, store), store)


def test_documents_that_came_or_went_are_seen(base, store):
    """Adding a document, and retiring one that was there, both change the documents."""
    run = trained(base, store)
    assert not documents_changed(run, store)
    store.put([Document("doc_1", "/a.md", "sha1", "md", "A", "en", "a")])
    assert documents_changed(run, store)
    store.sql("UPDATE documents SET retired = 1")
    assert not documents_changed(run, store)
