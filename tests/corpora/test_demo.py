"""The folder of `kb demo`: documents and settings, whole, and never over what is there."""

import shutil

import pytest

from kb.config import read_settings
from kb.corpora import demo
from kb.corpora.handbook import bundled
from kb.evaluate.run import EvalConfig
from kb.finetune.config import TrainConfig
from kb.ingest.config import IngestConfig
from kb.llm.base import ModelConfig
from kb.retrieval.hybrid import RetrievalConfig


def test_a_folder_gets_the_handbook_and_settings(tmp_path):
    """All documents, and a kb.toml that every command accepts and that names the lab model."""
    assert str(demo.prepare(tmp_path / "new")) == "docs"
    copied = {path.name for path in (tmp_path / "new" / "docs" / "zh").iterdir()}
    assert copied == {path.name for path in (bundled() / "docs" / "zh").iterdir()}
    settings = read_settings(tmp_path / "new" / "kb.toml")
    assert settings.resolve(ModelConfig, "model")[0].name == "lab"
    for kind, section in (
        (RetrievalConfig, "retrieval"), (IngestConfig, "ingest"), (TrainConfig, "train"), (EvalConfig, "eval"),
    ):  # fmt: skip
        settings.resolve(kind, section)
    assert settings.resolve(EvalConfig, "eval")[0].instructions == 0, "the lab model follows none"


def test_what_is_there_stays(tmp_path):
    """Documents that were added or taken away, and settings that were changed, are left as they are."""
    demo.prepare(tmp_path)
    (tmp_path / "docs" / "en" / "01.pdf").unlink()
    (tmp_path / "kb.toml").write_text('[model]\nname = "other"\n')
    demo.prepare(tmp_path)
    assert not (tmp_path / "docs" / "en" / "01.pdf").exists()
    assert "other" in (tmp_path / "kb.toml").read_text()


def test_documents_appear_whole_or_not_at_all(tmp_path, monkeypatch):
    """A copy that breaks off leaves no half folder of documents, and the next try makes it whole."""
    copy = shutil.copytree

    def broken(source, target):
        copy(source / "en", target / "en")
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copytree", broken)
    with pytest.raises(KeyboardInterrupt):
        demo.prepare(tmp_path)
    assert not (tmp_path / "docs").exists()
    monkeypatch.setattr(shutil, "copytree", copy)
    demo.prepare(tmp_path)
    assert len(list((tmp_path / "docs").rglob("*.pdf"))) == 8
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
