"""Exports read back by LLaMA-Factory, ms-swift and unsloth themselves.

Their pins exclude kb's own versions of transformers and datasets, so `make peers` installs each in its own environment.
tests/qa_gen/test_formats.py restates what they read.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from kb.llm.base import ModelConfig
from kb.llm.open import lab_folder
from kb.prompt import Prompts
from kb.qa_gen.recipe import Training, recipe
from kb.qa_gen.rows import split, trained_rows
from kb.qa_gen.trainers import run

pytestmark = pytest.mark.peer

SHARE = 0.3
TRAINING = Training(
    seed=7, rank=64, alpha=128, learning_rate=2e-4, epochs=3.0, max_steps=0, batch_size=16, micro_batch=4, warmup=0.03,
    weight_decay=0.01, gradient_checkpointing=True, max_length=0, checkpoints=10, dpo_learning_rate=5e-6,
    dpo_epochs=1.0, dpo_beta=0.1, dpo_sft_weight=0.2,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(still, tmp_path_factory):
    """An export in each of the three forms, with a validation split."""
    place = tmp_path_factory.mktemp("exported")
    made = recipe(ModelConfig(name="lab"), TRAINING)
    run(still, ["llama-factory", "ms-swift", "unsloth"], place, Prompts(), SHARE, made)
    return place


@pytest.fixture(scope="module")
def sides(still):
    """The rows as they are trained, by split."""
    return split(trained_rows(still.store, Prompts()), SHARE)


@pytest.fixture
def soundless(monkeypatch):
    """An empty torchaudio: LLaMA-Factory imports it for sound alone, and wheels on the registry load only with CUDA."""
    module = ModuleType("torchaudio")
    module.__spec__ = ModuleSpec("torchaudio", None)
    monkeypatch.setitem(sys.modules, "torchaudio", module)


@pytest.mark.parametrize("side", ["train", "validation"])
@pytest.mark.parametrize("kind", ["sft", "preference"])
def test_llama_factory(folder, sides, soundless, tmp_path, kind, side):
    """Its loader and converter give system message, question and answers of each row."""
    from llamafactory.data.loader import _get_merged_dataset
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import Seq2SeqTrainingArguments

    name = f"kb_{kind}" if side == "train" else f"kb_{kind}_{side}"
    model = ModelArguments(model_name_or_path=str(lab_folder()), cache_dir=str(tmp_path))
    data = DataArguments(template="qwen", dataset_dir=str(folder / "llama-factory"))
    options = Seq2SeqTrainingArguments(output_dir=str(tmp_path), report_to=[], use_cpu=True)
    stage = "sft" if kind == "sft" else "rm"
    rows = _get_merged_dataset([name], model, data, options, stage).to_list()
    assert [(row["_system"], *(turn["content"] for turn in row["_prompt"] + row["_response"])) for row in rows] == [
        (one.system, one.asked, one.answer, *filter(None, [one.rejected])) for one in getattr(sides[side], kind)
    ]


@pytest.mark.parametrize("side", ["train", "validation"])
@pytest.mark.parametrize("kind", ["sft", "preference"])
def test_ms_swift(folder, sides, tmp_path, monkeypatch, kind, side):
    """Its loader, strict, keeps every row; what its templates are given has the same texts."""
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path))
    from swift.dataset import load_dataset
    from swift.template.template_inputs import TemplateInputs

    found, _ = load_dataset(str(folder / "ms-swift" / f"{kind}-{side}.jsonl"), strict=True)
    expected = getattr(sides[side], kind)
    assert len(found) == len(expected)
    for row, one in zip(found, expected, strict=True):
        inputs = TemplateInputs.from_dict(row)
        chats = [inputs.chosen] if kind == "sft" else [inputs.chosen, inputs.rejected]
        assert inputs.chosen.chat_template_kwargs == {"enable_thinking": False}
        for chat, answer in zip(chats, (one.answer, one.rejected), strict=False):
            assert (chat.system, *(turn["content"] for turn in chat.messages)) == (one.system, one.asked, answer)


@pytest.mark.parametrize("side", ["train", "validation"])
def test_unsloth(folder, sides, tmp_path, monkeypatch, side):
    """Its standardising changes nothing."""
    monkeypatch.setenv("UNSLOTH_ZOO_DISABLE_GPU_INIT", "1")
    from datasets import load_dataset
    from unsloth_zoo.dataset_utils import standardize_data_formats

    rows = load_dataset(str(folder / "unsloth"), "sft", split=side, cache_dir=str(tmp_path))
    found = standardize_data_formats(rows)
    assert [[(turn["role"], turn["content"]) for turn in row["conversations"]] for row in found] == [
        [("system", one.system), ("user", one.asked), ("assistant", one.answer)] for one in sides[side].sft
    ]


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_llama_factory_reads_its_ready_config(folder, soundless, monkeypatch, tmp_path, stage):
    """Its parser takes every name; SFT is the reference of DPO."""
    import yaml
    from llamafactory.hparams import get_train_args

    monkeypatch.chdir(tmp_path)
    given = yaml.safe_load((folder / "llama-factory" / f"{stage}.yaml").read_text(encoding="utf-8"))
    model, data, training, finetuning, _ = get_train_args(given | {"bf16": False, "use_cpu": True})
    assert (data.template, finetuning.stage, finetuning.lora_rank) == ("qwen3_nothink", stage, TRAINING.rank)
    assert (training.warmup_steps, model.quantization_bit) == (TRAINING.warmup, 4)
    assert finetuning.use_ref_model == (stage == "dpo")
    assert finetuning.ref_model_adapters == (given["adapter_name_or_path"] if stage == "dpo" else None)
