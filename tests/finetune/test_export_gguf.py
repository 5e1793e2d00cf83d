"""The GGUF file of `kb export`: written by a converter, read back, and there only if it is the model that was trained.

The files are real ones, of a tiny Qwen3 with a byte-level BPE, which the lab model's tokenizer is not.
"""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from kb.cli import app
from kb.errors import GateFailed
from kb.finetune import export_gguf_check
from kb.finetune.export import run
from kb.finetune.export_config import ExportConfig
from kb.finetune.export_gguf_check import Unread, view_of_gguf
from kb.llm.base import ModelConfig
from kb.llm.identity import combine, folder_identity
from kb.runs import Lineage, register
from kb.workspace import Workspace

pytestmark = pytest.mark.slow

LLAMA_CPP = str(Path(__file__).parent)
"""Folder of the stand-in for llama.cpp's converter."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory, makers, add, packed):
    """A workspace with a run on that model, whose adapter is drawn."""
    root = tmp_path_factory.mktemp("gguf")
    base, adapter = root / "base", root / "adapter"
    makers.save_model(base, ends="", tokenizer_of=makers.save_byte_level)
    makers.save_adapter(adapter, base, 1)
    place = Workspace(root / "kb", create=True)
    add.document(place.store)
    for number in range(4):
        add.fact(place.store, number)
    lineage = Lineage(str(base), combine([folder_identity(base), "nf4=False"]), str(adapter), folder_identity(adapter),
                      "d", "t", 4)  # fmt: skip
    register(place.store, "drawn", {}, {}, lineage)
    model, prompts = ModelConfig(name=str(base)), packed(root / "pack")
    run(place, ExportConfig(dtype="fp32", parity_probes=4), model, prompts)
    place.store.close()
    return SimpleNamespace(root=root / "kb", base=base, model=model, prompts=prompts)


@pytest.fixture
def export(trained, tmp_path):
    """A function that asks for a GGUF file of a copy of its export; and the export's folder."""
    shutil.copytree(trained.root, tmp_path / "kb")
    place = Workspace(tmp_path / "kb")

    def asked(kind="q8_0", **settings):
        config = ExportConfig(gguf=kind, **{"dtype": "fp32", "parity_probes": 4, "llama_cpp": LLAMA_CPP} | settings)
        return run(place, config, trained.model, trained.prompts)

    yield asked, place.exports / "model-drawn"
    place.store.close()


def swapped(folder):
    """Two matrices of the same shape have changed places."""
    weights = load_file(folder / "model.safetensors")
    one, other = "model.layers.1.mlp.gate_proj.weight", "model.layers.1.mlp.up_proj.weight"
    weights[one], weights[other] = weights[other], weights[one]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def other_tokenizer(folder):
    """Another tokenizer with the same tokens: it knows one merge."""
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:1]
    file.write_text(json.dumps(tokenizer), encoding="utf-8")


def other_template(folder):
    """The answer opens with another word."""
    file = folder / "chat_template.jinja"
    file.write_text(file.read_text(encoding="utf-8").replace("assistant\n", "model\n"), encoding="utf-8")


def a_tensor_short(folder):
    """The last normalisation is not there, which at ones changes little."""
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def converted_of(spoil, monkeypatch):
    """Let the converter be given a copy of the export that `spoil` has changed."""
    genuine = export_gguf_check.convert

    def convert(converter, model, kind, file):
        copy = model.parent / "copy"
        shutil.copytree(model, copy)
        spoil(copy)
        genuine(converter, copy, kind, file)

    monkeypatch.setattr(export_gguf_check, "convert", convert)


def test_a_gguf_file_is_read_back_and_compared(export):
    """In 16 bits next to nothing is lost and in 8 a little; card, Modelfile and terminal give that file's figures."""
    asked, folder = export
    halves, eighths = asked("f16"), asked("q8_0")
    assert halves.gguf_parity.prompts_same == eighths.gguf_parity.prompts_same == 8
    assert halves.gguf_parity.kl < 1e-4 < eighths.gguf_parity.kl < 0.02
    for report, kind in ((halves, "f16"), (eighths, "q8_0")):
        assert report.gguf == str(folder / f"drawn-{kind}.gguf")
        assert report.problems == ()
        assert report.gguf_parity.line("gguf parity") in report.lines()
    assert eighths.gguf_parity.kl != eighths.parity.kl
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.count(f"{eighths.gguf_parity.kl:.5f} nat") == 2
    assert "FROM ./drawn-q8_0.gguf" in (folder / "Modelfile").read_text(encoding="utf-8")
    assert not list(folder.glob(".gguf*"))


def test_a_gguf_file_that_passed_is_not_made_again(export, monkeypatch):
    """Its figures are kept; under stricter limits it is refused like a new one, until one passes."""
    asked, folder = export
    first = asked()
    monkeypatch.setattr(export_gguf_check, "convert", lambda *_: 1 / 0)
    assert asked().gguf_parity == first.gguf_parity
    with pytest.raises(GateFailed, match="KL"):
        asked(parity_gguf_kl=1e-6)
    assert sorted(one.name for one in folder.glob("drawn*")) == ["drawn-q8_0.gguf.failed"]
    monkeypatch.undo()
    asked()
    assert sorted(one.name for one in folder.glob("drawn*")) == ["drawn-q8_0.gguf", "drawn-q8_0.parity.json"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (swapped, "KL"), (other_tokenizer, r"\d of 8 prompts differ"), (other_template, "8 of 8 prompts differ"),
        (a_tensor_short, r"1 weights are missing.*model\.norm"),
    ],
)  # fmt: skip
def test_a_gguf_file_of_another_model_is_refused(export, monkeypatch, spoil, said):
    """Exit code 3; the file is called failed, the log says why, and the rest of the export stands without it."""
    asked, folder = export
    converted_of(spoil, monkeypatch)
    with pytest.raises(GateFailed, match=said) as raised:
        asked()
    assert raised.value.exit_code == 3
    assert sorted(one.name for one in folder.glob("*gguf*")) == ["drawn-q8_0.gguf.failed", "gguf.log"]
    assert "is not the model that was trained" in (folder / "gguf.log").read_text(encoding="utf-8")
    assert "FROM .\n" in (folder / "Modelfile").read_text(encoding="utf-8")
    assert "q8_0" not in (folder / "README.md").read_text(encoding="utf-8")


def test_what_cannot_be_read_is_not_counted_as_checked(export, monkeypatch):
    """The file is there; that it was not compared stands in card and terminal; Ollama gets the weights that were."""
    asked, folder = export
    monkeypatch.setattr(export_gguf_check, "SPLITS", ("gpt-2",))
    report = asked("f16")
    assert report.gguf_parity is None
    assert report.problems == (
        "the GGUF file drawn-f16.gguf was not compared: transformers do not know the pre-tokenizer 'qwen2'",
    )
    assert "`drawn-f16.gguf` was **not** compared" in (folder / "README.md").read_text(encoding="utf-8")
    assert "FROM .\n" in (folder / "Modelfile").read_text(encoding="utf-8")
    monkeypatch.setattr(export_gguf_check, "SPLITS", ("qwen2",))
    assert asked("f16").gguf_parity is not None


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("add_tokenizer_model", "rwkv", "a tokenizer of the kind rwkv"), ("add_tokenizer_model", "bert", "kind bert")],
)
def test_an_unknown_kind_of_file_is_told_from_a_bad_one(tmp_path, key, value, said):
    """Tokenizers and architectures that transformers do not read are neither good nor bad."""
    import gguf

    def written(name, architecture):
        writer = gguf.GGUFWriter(tmp_path / name, architecture)
        getattr(writer, key)(value)
        writer.add_tensor("token_embd.weight", torch.zeros(2, 2).numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return tmp_path / name

    with pytest.raises(Unread, match=said):
        view_of_gguf(written("a.gguf", "qwen3"), tmp_path, [])
    with pytest.raises(Unread, match="architecture plamo2"):
        view_of_gguf(written("b.gguf", "plamo2"), tmp_path, [])


def test_without_a_gguf_file_the_command_says_what_to_do(export, trained, tmp_path, monkeypatch):
    """No converter, one that fails, one that writes no GGUF, no package to read it with: exit code, reason, cure."""
    _, folder = export
    words = ["export", "--gguf", "q8_0", "--dtype", "fp32", "--workspace", str(tmp_path / "kb"), "--llama-cpp",
             str(tmp_path), "--model", str(trained.base), "--prompts", str(trained.prompts.pack)]  # fmt: skip
    (tmp_path / "kb.toml").write_text("[export]\nparity_probes = 4\n", encoding="utf-8")
    words += ["--config", str(tmp_path / "kb.toml")]
    missing = CliRunner().invoke(app, words)
    assert missing.exit_code == 4
    assert "git clone https://github.com/ggml-org/llama.cpp" in missing.output
    script = tmp_path / "convert_hf_to_gguf.py"
    script.write_text("raise SystemExit('Model Nobody is not supported')", encoding="utf-8")
    failed = CliRunner().invoke(app, words)
    assert failed.exit_code == 4
    assert "no GGUF" in failed.output and "Model Nobody is not supported" in failed.output
    assert [one.name for one in folder.glob("*gguf*")] == ["gguf.log"]
    script.write_text("import sys; open(sys.argv[3], 'w').write('no GGUF')", encoding="utf-8")
    broken = CliRunner().invoke(app, words)
    assert broken.exception.exit_code == 3
    assert "no whole GGUF file" in str(broken.exception)
    monkeypatch.setattr(export_gguf_check, "is_gguf_available", lambda: False)
    unread = CliRunner().invoke(app, words)
    assert unread.exit_code == 4
    assert "pip install gguf" in unread.output
    assert json.loads((folder / "parity.json").read_text(encoding="utf-8"))["prompts"] == 8
