"""What goes wrong in silence with the bare libraries, each shown to be there, and what kb makes of it."""

import json
import shutil

import pytest
import torch
from datasets import Dataset
from huggingface_hub import constants
from peft import PeftModel
from peft.utils import load_peft_weights
from transformers import AutoConfig
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from kb.errors import LLMError, ModelUnavailable
from kb.finetune import dpo, sft, training
from kb.finetune.dpo import dpo_example
from kb.finetune.model import adapter_config, adapters_to_fp32, trainable_adapter, trainable_base
from kb.llm import Request, user, weights
from kb.llm.local import LocalLLM
from kb.llm.weights import load_base

pytestmark = pytest.mark.slow


def bare(lesson, folder, model, trainer=SFTTrainer, arguments=SFTConfig, **options):
    """A trainer of TRL's as its documentation has it, on two rows; nothing of kb's in it."""
    rows = [dpo_example(pair) for pair in lesson.pairs[:2]]
    if trainer is SFTTrainer:
        rows = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in rows]
    options |= {"train_dataset": Dataset.from_list(rows), "processing_class": lesson.tokenizer}
    settings = arguments(str(folder), use_cpu=True, bf16=False, per_device_train_batch_size=2, report_to="none")
    return trainer(model, args=settings, **options)


@pytest.fixture(scope="module")
def tuned(lesson, tmp_path_factory):
    """A folder in which the base was tuned by LoRA in 4 bits, and one in which all its weights were."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("qlora", "full", "prompt")}
    lesson.sft(folders["qlora"], four_bit=True, max_steps=2)
    lesson.sft(folders["full"], tuning="full", learning_rate=1e-3, max_steps=2)
    lesson.sft(folders["prompt"], tuning="prompt", max_steps=2)
    return folders


@pytest.fixture
def caught(monkeypatch):
    """The trainers that kb makes, which are not let train."""
    made = []
    for module in (sft, dpo):
        monkeypatch.setattr(module, "fit", lambda trainer, *_: made.append(trainer))
    return made


def share_moved(lesson, tuned, folder, start):
    """Share of an adapter's weights that two steps of DPO at kb's own rate move; `start` is done to it before."""
    lesson.dpo(folder, tuned["qlora"], four_bit=True, dpo_learning_rate=5e-6)
    before, after = (load_peft_weights(str(place / "adapter")) for place in (tuned["qlora"] / "sft", folder / "dpo"))
    return float(torch.cat([(after[name] != start(before[name])).flatten() for name in before]).float().mean())


def test_adapters_of_a_quantised_model_move(lesson, tuned, tmp_path, monkeypatch):
    """TRL makes them bf16, in which hardly a weight moves at DPO's rate; kb trains them in fp32, where all do."""
    model = trainable_base(lesson.base, True, lesson.config())
    trainer = bare(lesson, tmp_path, model, peft_config=adapter_config(lesson.config()))
    trained = [parameter for parameter in trainer.model.parameters() if parameter.requires_grad]
    assert {parameter.dtype for parameter in trained} == {torch.bfloat16}
    assert adapters_to_fp32(trainer.model) == sum(parameter.numel() for parameter in trained)
    assert {parameter.dtype for parameter in trained} == {torch.float32}
    assert share_moved(lesson, tuned, tmp_path / "kb", torch.Tensor.float) > 0.95
    monkeypatch.setattr(training, "adapters_to_fp32", lambda model: 0)
    assert share_moved(lesson, tuned, tmp_path / "bare", lambda weights: weights.bfloat16().float()) < 0.2


def test_a_model_is_loaded_in_the_dtype_that_is_asked_for(lesson, tmp_path, monkeypatch):
    """TRL loads a model given by name in fp32, whatever it is on disk; kb loads it itself, in its compute dtype."""
    load_base(lesson.base, False, torch.bfloat16).save_pretrained(tmp_path / "half")
    lesson.tokenizer.save_pretrained(tmp_path / "half")
    assert bare(lesson, tmp_path, str(tmp_path / "half")).model.dtype == torch.float32
    monkeypatch.setattr(weights, "compute_dtype", lambda: torch.bfloat16)
    assert load_base(tmp_path / "half", False).dtype == torch.bfloat16
    monkeypatch.undo()
    assert load_base(tmp_path / "half", False).dtype == torch.float32


def reference(trainer):
    """Log-probabilities of the chosen answers of the first micro-batch by the reference, in the order they come."""
    batch = next(iter(trainer.get_train_dataloader()))
    return trainer.compute_ref_log_probs(trainer.ref_model or trainer.model, batch)[0].tolist()


def chosen(lesson, llm):
    """The same by a model of kb's, for all pairs."""
    asked = [Request(pair.messages) for pair in lesson.pairs]
    return [score for score, _ in llm.logprobs(asked, [f"{pair.chosen}<|im_end|>\n" for pair in lesson.pairs])]


@pytest.mark.parametrize("way", ["qlora", "full", "prompt"])
def test_the_reference_of_dpo_is_what_sft_left(way, lesson, tuned, tmp_path, caught):
    """Not the base, which TRL takes where it makes the adapter itself."""
    settings = {"qlora": {"four_bit": True}, "full": {"tuning": "full"}, "prompt": {"tuning": "prompt"}}[way]
    lesson.dpo(tmp_path, tuned[way], **settings)
    base = lesson.open(way == "qlora")
    left, before = chosen(lesson, base.with_adapter(tuned[way] / "sft" / "adapter")), chosen(lesson, base)
    assert not any(score == pytest.approx(other, abs=0.05) for score, other in zip(left, before, strict=True))
    found = reference(caught[0])
    assert all(any(score == pytest.approx(one, abs=2e-3) for one in left) for score in found)
    if way == "qlora":
        wrong = bare(
            lesson, tmp_path, trainable_base(lesson.base, True, lesson.config()), DPOTrainer, DPOConfig,
            peft_config=adapter_config(lesson.config()),
        )  # fmt: skip
        assert all(any(score == pytest.approx(one, abs=2e-3) for one in before) for score in reference(wrong))


def test_the_reference_is_not_saved_with_the_adapter(lesson, tuned, tmp_path):
    """TRL's trainer writes its frozen copy into a folder of its own, which loaders take for a second adapter."""
    model = trainable_adapter(lesson.base, True, lesson.config(), tuned["qlora"] / "sft" / "adapter")
    bare(lesson, tmp_path, model, DPOTrainer, DPOConfig).save_model(str(tmp_path / "bare"))
    assert (tmp_path / "bare" / "ref" / "adapter_model.safetensors").exists()
    lesson.dpo(tmp_path, tuned["qlora"], four_bit=True, max_steps=1)
    assert not [file for file in (tmp_path / "dpo" / "adapter").iterdir() if file.is_dir()]
    config = json.loads((tmp_path / "dpo" / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == ""


def test_4_bits_of_an_odd_width_are_wrong_on_a_cpu(lesson, odd):
    """Bitsandbytes' AVX-512 kernel reads rows that are no multiple of its 64 weights from the wrong places.

    The error of NF4 on normally distributed weights is 0.073, and more than twice that there. Other CPUs take another
    kernel; the model is refused on all.
    """
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    def error(width):
        weights = torch.randn(64, width, generator=torch.Generator().manual_seed(0))
        return float((dequantize_4bit(*quantize_4bit(weights, blocksize=64, quant_type="nf4")) - weights).abs().mean())

    assert error(128) == pytest.approx(0.073, abs=0.002)
    if torch.backends.cpu.get_cpu_capability() == "AVX512":
        assert error(96) > 2 * error(128)
    with pytest.raises(ModelUnavailable, match=r"has a width that is not a multiple of 64.*load_in_4bit = false"):
        trainable_base(odd, True, lesson.config())


def test_a_model_in_4_bits_answers_the_same_whatever_was_asked_before(lesson, tuned):
    """On a CPU that knows bf16, bitsandbytes rounds the weights' scales when it is asked, and again for an adapter."""
    fresh = lesson.open(True).with_adapter(tuned["qlora"] / "sft" / "adapter")
    base = lesson.open(True)
    before = lesson.answers(base)
    after = base.with_adapter(tuned["qlora"] / "sft" / "adapter")
    assert lesson.answers(after) == lesson.answers(fresh)
    assert lesson.answers(base) == before


def test_padding_does_not_come_between_a_tuned_prompt_and_the_rest(lesson, tuned, monkeypatch):
    """Each answer alone is as likely as in a batch with longer ones; as other models are asked, it would not be."""
    llm = lesson.open().with_adapter(tuned["prompt"] / "sft" / "adapter")
    asked = [Request(user("Q:" + " Arin" * count), max_tokens=6) for count in (1, 3, 3, 9)]
    alone = [llm.logprobs([request], ["3 kg"])[0][0] for request in asked]
    assert [score for score, _ in llm.logprobs(asked, ["3 kg"] * 4)] == pytest.approx(alone, abs=1e-4)
    said = [next(iter(llm.generate([request])))[1].text for request in asked]
    assert [done.text for _, done in sorted(llm.generate(asked))] == said
    monkeypatch.setattr(LocalLLM, "_unpadded", False)
    assert [score for score, _ in llm.logprobs(asked, ["3 kg"] * 4)] != pytest.approx(alone, abs=1e-2)


@pytest.mark.parametrize("settings", [{}, {"dora": True}, {"tuning": "prefix"}, {"tuning": "full"}])
def test_what_was_not_trained_is_refused(settings, lesson, tmp_path):
    """An adapter of zeros, and a model that is its own base: either would pass for a tuned model that knows nothing."""
    # The one step is the first of the warm-up, whose rate is 0.
    lesson.sft(tmp_path, max_steps=1, warmup=0.9, **settings)
    with pytest.raises(LLMError, match=r"changes nothing in this model|was not trained at all"):
        lesson.open().with_adapter(tmp_path / "sft" / "adapter")


def test_an_adapter_that_fits_in_part_is_refused(lesson, tuned, tmp_path):
    """One of a model with fewer layers: peft puts it on the lower ones, and says so in a warning at most."""
    for file in (tuned["qlora"] / "sft" / "adapter").iterdir():
        shutil.copy2(file, tmp_path)
    from safetensors.torch import load_file, save_file

    weights = load_file(tmp_path / "adapter_model.safetensors")
    lower = {name: value for name, value in weights.items() if ".layers.0." in name}
    save_file(lower, tmp_path / "adapter_model.safetensors", {"format": "pt"})
    with pytest.warns(UserWarning, match="missing adapter keys"):
        PeftModel.from_pretrained(load_base(lesson.base, False), str(tmp_path))
    with pytest.raises(LLMError, match=r"does not fit this model: \d+ of its tensors are in one and not in the other"):
        lesson.open().with_adapter(tmp_path)


def test_a_pissa_adapter_fits_the_original_base(lesson, tmp_path, monkeypatch):
    """Saved as it was trained it fits what PiSSA left of the base alone; on the base itself it is another model."""
    whole = lesson.answers(lesson.of(lesson.sft(tmp_path / "kb", init="pissa")))
    saved = tmp_path / "kb" / "sft" / "adapter"
    assert lesson.answers(lesson.open().with_adapter(saved)) == pytest.approx(whole, abs=2e-3)
    monkeypatch.setattr(training, "keep_start", lambda *_: None)
    lesson.sft(tmp_path / "bare", init="pissa")
    saved = tmp_path / "bare" / "sft" / "adapter"
    config = json.loads((saved / "adapter_config.json").read_text())
    (saved / "adapter_config.json").write_text(json.dumps(config | {"init_lora_weights": True}))
    assert lesson.answers(lesson.open().with_adapter(saved)) != pytest.approx(whole, abs=1.0)


def test_a_whole_model_keeps_its_settings_for_generation(lesson, tuned):
    """The trainer switches the cache off for good, which would make every answer of the saved model slow."""
    saved = tuned["full"] / "sft" / "adapter"
    last = max((tuned["full"] / "sft").glob("checkpoint-*"))
    assert AutoConfig.from_pretrained(last).use_cache is False
    assert AutoConfig.from_pretrained(saved).use_cache is True
    files = [place / "generation_config.json" for place in (saved, lesson.base)]
    ends = [json.loads(file.read_text())["eos_token_id"] for file in files]
    assert ends[0] == ends[1]


def test_making_a_trainer_opens_no_connection(lesson, tuned, tmp_path, caught, monkeypatch, left_machine):
    """TRL reports each trainer to its makers, with the model's architecture; with kb's switches none does."""
    from huggingface_hub.utils import _telemetry

    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    lesson.sft(tmp_path / "new")
    lesson.dpo(tmp_path / "new", tuned["qlora"], four_bit=True)
    _telemetry._TELEMETRY_QUEUE.join()
    assert [type(trainer) for trainer in caught] == [SFTTrainer, DPOTrainer]
    assert left_machine() == []
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    bare(lesson, tmp_path, load_base(lesson.base, False))
    _telemetry._TELEMETRY_QUEUE.join()
    assert any("getaddrinfo" in attempt for attempt in left_machine())
