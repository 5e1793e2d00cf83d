"""`kb doctor`: every state of every finding, with its cure."""

import functools
import sqlite3
import sys
from importlib import metadata, resources
from types import SimpleNamespace

import pytest

from kb import doctor
from kb.doctor import Finding, as_lines, examine
from kb.llm.base import ModelConfig
from kb.workspace import Workspace

GIB = 2**30

installed = functools.cache(metadata.version)
"""The real versions, read from disk once: every finding of packages asks for all of them."""


def torch_with(available=False, free=24.0):
    """A torch that sees this GPU."""
    cuda = SimpleNamespace(
        is_available=lambda: available, mem_get_info=lambda: (free * GIB, 24 * GIB), get_device_name=lambda: "RTX 4090",
        is_bf16_supported=lambda: True,
    )  # fmt: skip
    return SimpleNamespace(cuda=cuda, __version__="2.13.0")


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine without a GPU and with room on its disk."""
    monkeypatch.setitem(sys.modules, "torch", torch_with())
    monkeypatch.setattr(doctor.metadata, "version", installed)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: SimpleNamespace(free=75 * GIB))


@pytest.fixture
def look(tmp_path):
    """A function that examines and gives the findings by name."""

    def examined(model="lab", embedder="none", root=tmp_path / ".kb", **settings):
        return {one.name: one for one in examine(root, ModelConfig(name=model, **settings), embedder)}

    return examined


@pytest.mark.slow
def test_without_a_workspace_everything_is_looked_at(look):
    """Nothing is there yet: no finding fails, and the next command is the cure."""
    found = look()
    assert next(iter(found)) == "python"
    assert list(found)[-5:] == ["disk", "model", "embedder", "network", "workspace"]
    assert (found["workspace"].state, found["workspace"].cure) == ("note", "kb ingest PATH")
    assert [one.name for one in found.values() if one.state == "bad"] == []


def test_every_bad_finding_has_a_cure(look, monkeypatch):
    """A machine with everything wrong: whatever is in the way says what to do."""
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "0.0.1")
    monkeypatch.setitem(sys.modules, "torch", None)
    found = look(model="./nowhere", embedder="./nowhere")
    bad = [one for one in found.values() if one.state == "bad"]
    assert {"torch", "gpu", "model", "embedder"} <= {one.name for one in bad}
    assert all(one.cure for one in bad)


def test_an_old_python_is_in_the_way(look, monkeypatch):
    """Kb needs 3.11."""
    monkeypatch.setattr(doctor.sys, "version_info", (3, 10, 2))
    assert look()["python"] == Finding("python", "bad", "3.10.2", "install Python 3.11 or newer")


def test_packages_that_are_missing_or_of_another_version(look, monkeypatch):
    """A missing one and an old one come with the pip line; the many that fit are one line."""
    version = metadata.version

    def other(name):
        if name == "trl":
            raise metadata.PackageNotFoundError(name)
        return {"rapidfuzz": "1.0"}.get(name) or version(name)

    monkeypatch.setattr(doctor.metadata, "version", other)
    found = look()
    assert (found["trl"].state, found["trl"].detail) == ("bad", "not installed")
    assert found["trl"].cure.startswith("pip install -c constraints.txt 'trl")
    assert found["rapidfuzz"].detail == "1.0, kb wants >=3.14"
    assert found["torch"].state == "ok"
    assert found["other packages"].detail.endswith(" as kb wants them")
    assert "numpy" not in found


def test_extras_for_documents(look, monkeypatch):
    """Without one, what is lost and the pip line; nothing is in the way."""
    version = metadata.version

    def without(name):
        if name in ("onnxruntime", "pdfplumber"):
            raise metadata.PackageNotFoundError(name)
        return version(name)

    assert look()["kb[ocr]"] == Finding("kb[ocr]", "ok", "installed")
    monkeypatch.setattr(doctor.metadata, "version", without)
    found = look()
    lost = "not installed: scanned pages of PDF files are not read"
    assert found["kb[ocr]"] == Finding("kb[ocr]", "note", lost, "pip install 'kb[ocr]'")
    assert (found["kb[tables]"].state, found["kb[tables]"].cure) == ("note", "pip install 'kb[tables]'")


def test_no_gpu_is_a_note(look):
    """A CPU is enough for the lab model."""
    found = look()["gpu"]
    assert found.state == "note"
    assert found.detail.startswith("none; torch 2.13.0 computes on ")
    assert "lab model" in found.cure


def test_a_driver_that_torch_cannot_use(look, monkeypatch):
    """An NVIDIA card with a CPU build of torch is no machine without a card."""
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    found = look()["gpu"]
    assert (found.state, found.detail) == ("note", "there is an NVIDIA driver, and torch 2.13.0 cannot use it")
    assert "pip install --force-reinstall torch" in found.cure


@pytest.mark.parametrize(("free", "state"), [(23.0, "ok"), (8.0, "note")])
def test_memory_of_the_gpu(free, state, look, monkeypatch):
    """Enough, or too little for a 4 B model."""
    monkeypatch.setitem(sys.modules, "torch", torch_with(True, free))
    found = look()["gpu"]
    assert (found.state, found.detail) == (state, f"RTX 4090, {free} of 24.0 GiB free, bf16 True")
    assert bool(found.cure) == (state == "note")


def test_a_torch_that_cannot_be_imported(look, monkeypatch):
    """A broken installation is a finding, and the rest is looked at all the same."""
    monkeypatch.setitem(sys.modules, "torch", None)
    found = look()
    assert found["gpu"].state == "bad"
    assert found["gpu"].detail.startswith("torch cannot be imported")
    assert found["workspace"].state == "note"


def test_a_full_disk(look, monkeypatch, tmp_path):
    """Measured where the workspace is or will be."""
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: SimpleNamespace(free=3 * GIB))
    found = look(root=tmp_path / "a" / "b" / ".kb")["disk"]
    assert (found.state, found.detail) == ("note", f"3 GiB free at {tmp_path}")
    assert "--workspace" in found.cure


def test_a_model_in_a_folder(look, tmp_path):
    """A folder with weights is fine, one without is not, and neither is no folder at all."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    found = look(model=str(tmp_path / "m"))["model"]
    assert (found.state, found.detail) == ("bad", f"{tmp_path / 'm'} at {tmp_path / 'm'} has no weights")
    (tmp_path / "m" / "model.safetensors").write_text("w")
    assert look(model=str(tmp_path / "m"))["model"].state == "ok"
    found = look(model=str(tmp_path / "n"))["model"]
    assert (found.state, found.cure) == ("bad", "correct [model] name in kb.toml, or give --model")


def test_the_lab_model_without_weights(look, monkeypatch, tmp_path):
    """A checkout whose weights are missing says how to make them."""
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr("kb.llm.open.lab_folder", lambda: tmp_path)
    assert look()["model"].cure == "make lab-model"


def test_a_model_that_is_not_on_this_disk(look, monkeypatch):
    """A hub id that was never fetched: the command that fetches it, and the other ways out."""
    monkeypatch.setattr("kb.llm.open.local_folder", lambda name: None)
    found = look(model="Qwen/Qwen3-4B-Instruct-2507")["model"]
    assert (found.state, found.detail) == ("bad", "Qwen/Qwen3-4B-Instruct-2507 is not on this disk")
    assert found.cure.startswith("hf download Qwen/Qwen3-4B-Instruct-2507; or ")


def test_scripted_answers(look, tmp_path):
    """A fake's file is read, and missed."""
    (tmp_path / "a.jsonl").write_text('{"contains": "", "answer": "x"}\n')
    assert look(model=f"fake:{tmp_path / 'a.jsonl'}")["model"].state == "ok"
    found = look(model=f"fake:{tmp_path / 'b.jsonl'}")["model"]
    assert found.state == "bad"
    assert found.detail.endswith("b.jsonl: no such file")


@pytest.mark.slow
def test_a_server_that_answers(look, faulty_server):
    """Its models are listed; one that it does not have is in the way."""
    url = faulty_server().url
    found = look(model="openai:m", base_url=url)["model"]
    assert (found.state, found.detail) == ("ok", f"openai:m at {url}, which lists: m; it cannot be trained")
    found = look(model="openai:qwen", base_url=url)["model"]
    assert (found.state, found.detail, found.cure) == (
        "bad", f"{url} has no model qwen", "one of those it has: m",
    )  # fmt: skip


@pytest.mark.slow
def test_whether_a_server_is_asked_for_json(look, tmp_path, faulty_server):
    """As kb.toml says, or as a run has found out for this very server; before that there is nothing to say."""
    from kb.llm.openai_api import OpenAIServer
    from kb.llm.schema import setting_of

    url = faulty_server().url

    def said(**settings):
        return look(model="openai:m", base_url=url, **settings)["model"].detail.partition("lists: m; ")[2]

    assert said(json_schema="on") == "facts and questions in JSON, as kb.toml says; it cannot be trained"
    assert said() == "it cannot be trained"
    store = Workspace(tmp_path / ".kb", create=True).store
    store.set_setting(setting_of(OpenAIServer(ModelConfig(base_url=url), "m").identity), "off")
    store.set_setting(setting_of("another server"), "on")
    store.close()
    assert said() == "no JSON schemas, as a probe showed; it cannot be trained"


@pytest.mark.slow
def test_a_server_that_lists_nothing_is_fine(look, faulty_server):
    """Some servers have no list of models; that is no reason to refuse them."""
    assert look(model="openai:m", base_url=faulty_server(models=False).url)["model"].state == "ok"


@pytest.mark.slow
def test_a_server_that_does_not_answer(look):
    """Nothing listens there: the cure says what to start."""
    found = look(model="openai:m", base_url="http://127.0.0.1:9/v1", retries=1)["model"]
    assert (found.state, found.detail) == ("bad", "openai:m cannot be asked at http://127.0.0.1:9/v1")
    assert "vllm serve" in found.cure


def test_a_base_url_that_is_no_url(look):
    """A slip in kb.toml is found without asking anyone."""
    found = look(model="openai:m", base_url="localhost:8000")["model"]
    assert found.state == "bad"
    assert "is not a URL" in found.cure


def test_the_embedder(look, monkeypatch, tmp_path):
    """Switched off, found, missing of its own accord, missing though named; a named one is never fetched."""
    assert look()["embedder"] == Finding("embedder", "ok", "none, as kb.toml says: retrieval is BM25 alone")
    monkeypatch.setattr("kb.retrieval.dense.find_embedder", lambda name: (tmp_path, "e5"))
    assert look(embedder="auto")["embedder"].detail == f"e5 at {tmp_path}"
    monkeypatch.setattr("kb.retrieval.dense.find_embedder", lambda name: None)
    found = look(embedder="auto")["embedder"]
    assert (found.state, found.cure) == (
        "note", "hf download intfloat/multilingual-e5-small, for search by meaning in both languages",
    )  # fmt: skip
    monkeypatch.setattr("kb.retrieval.dense.find_embedder", lambda name: pytest.fail("would be fetched"))
    monkeypatch.setattr("kb.llm.open.local_folder", lambda name: None)
    found = look(model="fake:x", embedder="owner/name")["embedder"]
    assert (found.state, found.detail) == ("bad", "owner/name is not on this disk")
    assert found.cure.startswith("hf download owner/name; or ")


def test_the_network(look, monkeypatch):
    """Offline is said; telemetry that the user switched on is a note."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert look()["network"].detail == "hub: offline (HF_HUB_OFFLINE); telemetry of all libraries off"
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    found = look()["network"]
    assert (found.state, found.cure) == ("note", "unset HF_HUB_DISABLE_TELEMETRY")
    assert "asked only for models that are not on this disk" in found.detail


def test_a_sound_workspace(look, tmp_path):
    """Its place and schema; a folder whose name holds signs of a URL is no trouble."""
    root = tmp_path / "a?b#c 库"
    Workspace(root, create=True)
    found = look(root=root)["workspace"]
    schema = len(list(resources.files("kb").joinpath("migrations").iterdir()))
    assert (found.state, found.detail) == ("ok", f"{root}, schema {schema}, database whole")


def test_a_broken_database(look, tmp_path):
    """A file that is no database is in the way, and the cure loses nothing."""
    (tmp_path / ".kb").mkdir()
    (tmp_path / ".kb" / "kb.db").write_text("garbage " * 100)
    found = look()["workspace"]
    assert (found.state, found.detail) == ("bad", f"{tmp_path / '.kb' / 'kb.db'}: file is not a database")
    assert found.cure.startswith(f"move {tmp_path / '.kb' / 'kb.db'} away")


def test_a_workspace_of_a_newer_kb(look, tmp_path):
    """Its database is whole, and this kb cannot use it."""
    Workspace(tmp_path / ".kb", create=True)
    with sqlite3.connect(tmp_path / ".kb" / "kb.db") as db:
        db.execute("PRAGMA user_version = 99")
    found = look()["workspace"]
    assert (found.state, found.cure) == ("bad", "upgrade kb")
    assert "schema 99" in found.detail


def test_the_lines_end_with_what_is_in_the_way():
    """A cure stands below its finding; the last line names what is bad, or says that nothing is."""
    fine, note = Finding("python", "ok", "3.11"), Finding("gpu", "note", "none", "buy one")
    assert as_lines([fine]) == ["ok    python                 3.11", "nothing in the way"]
    lines = as_lines([fine, note, Finding("model", "bad", "gone", "get it")])
    assert lines[2] == "                             cure: buy one"
    assert lines[-1] == "in the way: model; 1 worth knowing"
