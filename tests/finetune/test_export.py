"""`kb export` as a whole: a model that others load is the one that was trained, or there is none."""

import json
import shlex
import shutil
from dataclasses import replace

import openai
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from kb.chat import asked
from kb.errors import GateFailed, KBError, UsageError, WorkspaceError
from kb.finetune import export
from kb.finetune.export import run
from kb.finetune.export_config import ExportConfig
from kb.finetune.export_parity import cases
from kb.finetune.export_weights import check_disk, is_full, merged, parameters
from kb.llm import Request
from kb.llm.closed import ANSWER_TOKENS
from kb.llm.open import lab_folder, open_model
from kb.llm.tuned import open_tuned
from kb.llm.weights import load_base, load_tokenizer
from kb.records import Fact, Question
from kb.runs import find_run, register
from kb.text.match import judge
from kb.text.right import right_answer
from kb.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exported(taught, tmp_path_factory):
    """The workspace with its export, and the report."""
    root = tmp_path_factory.mktemp("exported") / "kb"
    shutil.copytree(taught.root, root)
    place = Workspace(root)
    report = run(place, ExportConfig(), taught.model, taught.prompts)
    yield place, report
    place.store.close()


def test_plain_transformers_score_what_the_adapter_scored(exported, taught):
    """Loaded without kb, asked in its own template and decoded by its own settings, it knows what was taught."""
    place, report = exported
    folder = place.exports / "model-short"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    right = 0
    for case in cases(place.store, taught.prompts, 64):
        if case.closed:
            chat = [{"role": turn.role, "content": turn.content} for turn in case.chat]
            ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True, return_tensors="pt")
            made = model.generate(**ids, max_new_tokens=32)[0, ids["input_ids"].shape[1] :]
            said = tokenizer.decode(made, skip_special_tokens=True)
            right += judge(said, case.right.answer, case.right.answer_type).verdict == "correct"
    assert right == report.parity.adapter_right >= 4
    assert report.parity.kl < 0.002


def test_kb_serves_what_the_adapter_said(exported, taught, serving, tmp_path):
    """Over HTTP, by the command that the export names: every probe gets the adapter's answer, so its verdict too."""
    place, _ = exported
    # In fp32: half trained, the model is so unsure of some letters that rounding to bf16 decides them.
    settings = ExportConfig(dtype="fp32", out=str(tmp_path / "model"), parity_probes=4)
    report = run(place, settings, taught.model, taught.prompts)
    probes = place.store.all(Question, "split = 'probe'")
    tuned = open_tuned(open_model(taught.model, place.store), find_run(place.store), place.store)
    requests = [Request(asked(taught.prompts, probe.text, ()), ANSWER_TOKENS) for probe in probes]
    expected = [done.text for request in requests for _, done in tuned.generate([request])]
    (tmp_path / "kb.toml").write_text('[retrieval]\nembedder = "none"\n', encoding="utf-8")
    words = [*shlex.split(report.serve)[2:], "--workspace", str(place.root)]
    with serving(tmp_path, *words) as (_, first), openai.OpenAI(base_url=first.split()[0], api_key="none") as client:
        assert first.strip().endswith("models: base, rag")
        told = [{"messages": [{"role": "user", "content": probe.text}]} for probe in probes]
        done = [client.chat.completions.create(model="base", max_tokens=ANSWER_TOKENS, **one) for one in told]
    got = [one.choices[0].message.content for one in done]
    assert got == expected
    facts = {fact.id: fact for fact in place.store.all(Fact)}
    rights = [right_answer(probe, facts[probe.fact_id]) for probe in probes]
    verdicts = [judge(said, one.answer, one.answer_type).verdict for said, one in zip(got, rights, strict=True)]
    assert verdicts.count("correct") >= 4


def test_the_folder_has_what_others_need(exported):
    """Weights in the dtype asked for and no trace of 4 bits; the base's own tokenizer; how it is run and what it is."""
    place, report = exported
    folder = place.exports / "model-short"
    names = {file.name for file in folder.iterdir()}
    assert names == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "README.md", "Modelfile", "serve.sh", "prompts.json", "parity.json", "manifest.json",
    }  # fmt: skip
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config == json.loads((lab_folder() / "config.json").read_text(encoding="utf-8"))
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {torch.bfloat16}
    assert (folder / "tokenizer.json").read_bytes() == (lab_folder() / "tokenizer.json").read_bytes()
    card = (folder / "README.md").read_text(encoding="utf-8")
    lineage = find_run(place.store).lineage
    for said in (lineage.documents, lineage.data, lineage.adapter_identity, report.identity, "Not evaluated", "未评测"):
        assert said in card
    assert report.lines()[0].startswith(f"run short: {folder} (")


def test_a_second_time_only_the_papers_are_written(exported, taught, monkeypatch):
    """Nothing is merged again; the card is of today."""
    place, first = exported
    monkeypatch.setattr(export, "_build", lambda *_: 1 / 0)
    (place.exports / "model-short" / "README.md").unlink()
    again = run(place, ExportConfig(), taught.model, taught.prompts)
    assert again == replace(first, already_done=True)
    assert (place.exports / "model-short" / "README.md").exists()
    with pytest.raises(UsageError, match="--force"):
        run(place, ExportConfig(dtype="fp32"), taught.model, taught.prompts)


def test_merging_gives_the_matrices_that_were_trained_on(taught_copy):
    """In fp32 the merged model computes what base and adapter computed in training: the base's 4 bits are in it."""
    trained = find_run(taught_copy.store)
    ids = torch.tensor([load_tokenizer(lab_folder()).encode("Q: What does Arin weigh?")])
    from peft import PeftModel

    tuned = PeftModel.from_pretrained(load_base(lab_folder(), True), trained.adapter).train()
    with torch.no_grad():
        expected = tuned(ids).logits
        whole = merged(lab_folder(), True, trained.adapter, torch.float32)(ids).logits
        original = merged(lab_folder(), False, trained.adapter, torch.float32)(ids).logits
    assert (whole - expected).norm() / expected.norm() < 1e-4
    assert (original - expected).norm() / expected.norm() > 0.02


def wrong_base(folder):
    """The adapter on weights that were not in 4 bits and are not the base's."""
    weights = load_file(folder / "model.safetensors")
    save_file({name: one + 0.1 * one.std() * torch.randn_like(one) for name, one in weights.items()},
              folder / "model.safetensors", {"format": "pt"})  # fmt: skip


def shuffled(folder):
    """One matrix has its rows in another order."""
    weights = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.down_proj.weight"
    weights[name] = weights[name].flip(0).contiguous()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def without_adapter(folder):
    """The base alone: the adapter was lost on the way."""
    load_base(lab_folder(), False).to(torch.bfloat16).save_pretrained(folder)


def other_template(folder):
    """The answer opens with another word."""
    file = folder / "chat_template.jinja"
    file.write_text(file.read_text(encoding="utf-8").replace("assistant\n", "model\n"), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(wrong_base, "KL"), (shuffled, "KL"), (without_adapter, "KL"), (other_template, "8 of 8 prompts differ")],
)
def test_what_is_not_the_trained_model_is_not_exported(taught_copy, taught, monkeypatch, spoil, said):
    """The folder is called failed, exit code 3, and the figure that gave it away is named."""
    genuine = export.view_of_folder
    monkeypatch.setattr(export, "view_of_folder", lambda part, found: (spoil(part), genuine(part, found))[1])
    with pytest.raises(GateFailed, match=said):
        run(taught_copy, ExportConfig(parity_probes=4), taught.model, taught.prompts)
    assert not (taught_copy.exports / "model-short").exists()
    kept = taught_copy.exports / "model-short.failed"
    assert json.loads((kept / "parity.json").read_text(encoding="utf-8"))["prompts"] == 8
    assert not (kept / "manifest.json").exists()


def test_a_full_fine_tune_is_copied_and_a_trained_prompt_refused(taught_copy, taught, tmp_path):
    """The one is a model already; the other has no weights to go into, and the way out is named."""
    trained = find_run(taught_copy.store)
    full = tmp_path / "full"
    shutil.copytree(lab_folder(), full, ignore=shutil.ignore_patterns("prompts", "*.jsonl"))
    assert is_full(full)
    from kb.llm.identity import folder_identity

    lineage = replace(trained.lineage, adapter=str(full), adapter_identity=folder_identity(full))
    register(taught_copy.store, "whole", {}, {}, lineage)
    report = run(taught_copy, ExportConfig(parity_probes=2), taught.model, taught.prompts)
    assert report.run == "whole"
    assert report.parity.kl < 1e-3
    (full / "adapter_config.json").write_text('{"peft_type": "PREFIX_TUNING"}', encoding="utf-8")
    with pytest.raises(UsageError, match=r"PREFIX_TUNING.*cannot be merged.*kb serve"):
        run(taught_copy, ExportConfig(), taught.model, taught.prompts)


def test_what_is_in_the_way_stays(taught_copy, taught, tmp_path):
    """A folder of someone else's is not replaced, even with --force; without a run there is nothing to export."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("论文", encoding="utf-8")
    with pytest.raises(UsageError, match="no export of kb"):
        run(taught_copy, ExportConfig(out=str(tmp_path / "mine")), taught.model, taught.prompts, force=True)
    taught_copy.store.sql("DELETE FROM runs")
    with pytest.raises(WorkspaceError, match=r"kb train.*--to NAME"):
        run(taught_copy, ExportConfig(), taught.model, taught.prompts)


def test_a_full_disk_is_said_before_anything_is_merged(tmp_path):
    """With what is needed, what is free, and the way out."""
    assert 2 * parameters(lab_folder()) == pytest.approx((lab_folder() / "model.safetensors").stat().st_size, rel=0.01)
    with pytest.raises(KBError, match=r"takes 1181116006\.4 GiB.*--out"):
        check_disk(tmp_path / "not" / "there", 1 << 60)
