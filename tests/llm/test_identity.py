"""What makes a local model the model it is."""

import shutil

import pytest

from kb.errors import ModelUnavailable
from kb.llm.identity import file_sha256, folder_identity
from kb.store import Store


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "README.md"):
        (folder / name).write_text(f"the {name}", encoding="utf-8")
    return folder


def test_the_same_files_are_the_same_model_wherever_they_lie(folder, tmp_path):
    """Neither place nor name of the folder is part of the identity, nor are files that decide nothing."""
    first = folder_identity(folder)
    assert first == folder_identity(folder)
    copy = tmp_path / "另一处"
    shutil.copytree(folder, copy)
    (copy / "README.md").write_text("changed", encoding="utf-8")
    (copy / "training_args.bin").write_bytes(b"paths")
    assert folder_identity(copy) == first


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"])
def test_every_file_that_decides_answers_counts(folder, name):
    """Weights, configuration, tokenizer and chat template each change the identity, and so does their absence."""
    first = folder_identity(folder)
    (folder / name).write_text("changed", encoding="utf-8")
    changed = folder_identity(folder)
    (folder / name).unlink()
    assert len({first, changed, folder_identity(folder)}) == 3


def test_a_folder_without_a_model_has_no_identity(tmp_path):
    """Two empty folders are not the same model."""
    with pytest.raises(ModelUnavailable, match="no files of a model"):
        folder_identity(tmp_path)


def test_hashes_are_remembered_until_the_file_changes(folder, tmp_path):
    """With a store a file is hashed once, and again when its size or time is another."""
    store = Store(tmp_path / "kb.db")
    file = folder / "model.safetensors"
    first = file_sha256(file, store)
    store.sql("UPDATE file_hashes SET sha256 = 'remembered'")
    assert file_sha256(file, store) == "remembered"
    file.write_text("longer than before, and other", encoding="utf-8")
    assert file_sha256(file, store) not in (first, "remembered")
    store.close()
