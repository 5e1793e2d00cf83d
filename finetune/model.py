"""The base with what is trained of it: the one file here that knows peft and bitsandbytes."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptTuningConfig,
    get_peft_model,
    load_peft_weights,
    set_peft_model_state_dict,
)
from peft.optimizers import create_loraplus_optimizer
from peft.tuners.lora import LoraLayer
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from transformers import AutoConfig, GenerationConfig

from kb.errors import UsageError
from kb.finetune.config import TrainConfig
from kb.finetune.processes import first
from kb.llm.weights import compute_dtype, load_base

TRAINED = "default"
"""Name that peft gives to the adapter that is trained."""
REFERENCE = "ref"
"""Name that TRL gives to DPO's frozen copy of the adapter."""
START = "pissa_start"
"""Folder of a stage with what a PiSSA adapter was before the first step; peft wants the name to begin so."""
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def adapter_config(config: TrainConfig) -> PeftConfig | None:
    """What peft puts on the base, by `tuning`; None where the weights themselves are trained.

    A prompt starts as embeddings of tokens drawn from the vocabulary (random vectors lie far from all of them), a
    prefix as zeros, which take a share of the attention and say nothing.
    """
    if config.tuning == "lora":
        return lora(config)
    if config.tuning == "prompt":
        return PromptTuningConfig(
            num_virtual_tokens=config.virtual_tokens, prompt_tuning_init="SAMPLE_VOCAB", task_type="CAUSAL_LM"
        )
    if config.tuning == "prefix":
        return PrefixTuningConfig(num_virtual_tokens=config.virtual_tokens, init_weights="zero", task_type="CAUSAL_LM")
    return None


def lora(config: TrainConfig) -> LoraConfig:
    """LoRA on every linear layer; attention alone is clearly worse for knowledge (LoRA Without Regret, 2025)."""
    return LoraConfig(
        r=config.rank, lora_alpha=config.alpha, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM",
        use_rslora=config.rslora, use_dora=config.dora,
        init_lora_weights="pissa" if config.init == "pissa" else True,
    )  # fmt: skip


def training_dtype(precision: str) -> torch.dtype:
    """The dtype of frozen weights and of the computation; `auto` is that of an evaluation.

    Raises UsageError for one that this machine cannot train in.
    """
    gpu = torch.cuda.is_available()
    if precision == "fp16" and not gpu:
        raise UsageError('[train] precision = "fp16" needs a GPU, and there is none; set precision = "auto"')
    if precision == "bf16" and gpu and not torch.cuda.is_bf16_supported():
        raise UsageError('[train] precision = "bf16": this GPU does not have it; set precision = "fp16" or "auto"')
    return compute_dtype() if precision == "auto" else DTYPES[precision]


def scoring(config: TrainConfig) -> LoraConfig:
    """The same for a model that scores, with the head that makes the score, which is trained whole."""
    adapter = lora(config)
    adapter.task_type, adapter.modules_to_save = "SEQ_CLS", ["score"]
    return adapter


def model_config(folder: Path) -> Any:
    """The configuration of the text model in a folder, without its weights."""
    return AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config()


def stop_tokens(folder: Path, tokenizer: Any) -> frozenset[int]:
    """Tokens that end an answer when the model in `folder` generates: Gemma's turns, say, end in none of its `eos`."""
    ends = {tokenizer.eos_token_id}
    if (folder / "generation_config.json").exists():
        named = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
        ends |= set(named if isinstance(named, list) else [named])
    return frozenset(ends - {None})


def trainable_base(folder: Path, load_in_4bit: bool, config: TrainConfig) -> Any:
    """The model, still without an adapter, to be trained.

    Weights that are trained themselves are fp32: most updates are narrower than the spacing of bf16.
    """
    dtype = torch.float32 if config.tuning == "full" else training_dtype(config.precision)
    return load_base(folder, load_in_4bit, dtype).train()


def trainable_adapter(folder: Path, load_in_4bit: bool, config: TrainConfig, adapter: Path) -> Any:
    """What an earlier stage saved in `adapter`, on the base in `folder`, to go on training.

    The DPO reference is TRL's: a frozen copy of the adapter, or where all weights are trained the model in the folder
    that these came from, which is why they are loaded from the stage's own.
    """
    if config.tuning == "full":
        return trainable_base(adapter, load_in_4bit, config)
    base = trainable_base(folder, load_in_4bit, config)
    if config.tuning == "lora":
        return PeftModel.from_pretrained(base, str(adapter), is_trainable=True)
    # `from_pretrained` refuses to load virtual tokens for training.
    saved = PeftConfig.from_pretrained(str(adapter))
    saved.inference_mode, saved.base_model_name_or_path = False, None
    model = get_peft_model(base, saved)
    set_peft_model_state_dict(model, load_peft_weights(str(adapter), device="cpu"))
    return model


def untrained(model: Any) -> AbstractContextManager[Any]:
    """A context in which a model before its first step is its base.

    A fresh LoRA adapter changes nothing, also one that holds a part of the base (PiSSA), which must stay on; virtual
    tokens, by which a prompt or prefix is tuned, do from the start.
    """
    if isinstance(model, PeftModel) and model.active_peft_config.is_prompt_learning:
        return model.disable_adapter()
    return nullcontext()


def restore_adapter(model: Any, folder: Path) -> None:
    """Give a model that carries an adapter the weights of the one saved in `folder`."""
    set_peft_model_state_dict(model, load_peft_weights(str(folder), device="cpu"), adapter_name=TRAINED)


@contextmanager
def scaled(model: Any, factor: float) -> Iterator[None]:
    """What a LoRA adapter adds, times `factor`; after that exactly as it was.

    The factor goes into B and not into alpha, which other programs read as a whole number.
    """
    matrices = [weight for name, weight in model.named_parameters() if f".lora_B.{TRAINED}." in name]
    before = [weight.detach().clone() for weight in matrices]
    with torch.no_grad():
        for weight in matrices:
            weight.mul_(factor)
        yield
        for weight, old in zip(matrices, before, strict=True):
            weight.copy_(old)


def adapters_to_fp32(model: Any) -> int:
    """Cast what is trained to fp32 and return how many parameters that is.

    TRL 1.16 casts the adapters of a quantised model to bf16, whose spacing near a typical weight (6e-5 at 0.008) is
    wider than most updates: at DPO's learning rate fewer than 3% of the weights move at all. What the cast has rounded
    is taken back from DPO's reference copy, which TRL makes before it.
    """
    copied = REFERENCE in getattr(model, "peft_config", {})
    count = 0
    for name, parameter in model.named_parameters():
        if f".{REFERENCE}." in name:
            # peft leaves the copy of virtual tokens trainable.
            parameter.requires_grad = False
        if not parameter.requires_grad:
            continue
        parameter.data = parameter.data.float()
        if copied:
            parameter.data.copy_(model.get_parameter(name.replace(f".{TRAINED}.", f".{REFERENCE}.")).data)
        count += parameter.numel()
    return count


def combined(base: Any, adapters: Sequence[Path], weights: Sequence[float]) -> Any:
    """The base carrying one adapter whose change is the weighted sum of those of plain LoRA adapters, exactly.

    Their matrices stand side by side in it (peft's `cat`): B A + B' A' = [B B'][A; A'], so its rank is the sum of
    theirs. `linear` adds the matrices themselves, which is no sum of the changes, and `svd` rounds to a lower rank.
    """
    names = [f"part{number}" for number in range(len(adapters))]
    model = PeftModel.from_pretrained(base, str(adapters[0]), adapter_name=names[0])
    for name, adapter in zip(names[1:], adapters[1:], strict=True):
        model.load_adapter(str(adapter), adapter_name=name)
    layers: Any = model.base_model
    layers.add_weighted_adapter(names, list(weights), TRAINED, combination_type="cat")
    model.set_adapter(TRAINED)
    return model.eval()


def keep_start(model: Any, folder: Path) -> None:
    """Save what a PiSSA adapter is before its first step to `folder`/`START`; nothing for any other model.

    PiSSA moves the principal part of each matrix from the base into the adapter, the same part each time. What is saved
    in the end is the difference of the adapter to this, an ordinary one that fits the original base.
    """
    config = model.peft_config[TRAINED] if isinstance(model, PeftModel) else None
    if not isinstance(config, LoraConfig) or config.init_lora_weights != "pissa":
        return
    # From here on it is loaded as any other: else peft would take the principal part out of the base again.
    config.init_lora_weights = True
    model.save_pretrained(
        str(folder / START), selected_adapters=[TRAINED], save_embedding_layers=False, is_main_process=first()
    )


def lora_plus_optimizer(trainer: Any, config: TrainConfig) -> Any:
    """The trainer's own optimiser with B's learning rate `lora_plus` times A's."""
    kind, options = trainer.get_optimizer_cls_and_kwargs(trainer.args, trainer.model)
    return create_loraplus_optimizer(
        trainer.model, kind, loraplus_lr_ratio=config.lora_plus, loraplus_weight_decay=config.weight_decay, **options
    )


def whole_weights(trainer: Any) -> dict[str, Any] | None:
    """What was trained, in the first process and on its CPU, where each of several has a part of it (FSDP); all of them
    call this. None where the model itself has all.
    """
    if not trainer.is_fsdp_enabled:
        return None
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    weights: dict[str, Any] = get_model_state_dict(trainer.model, options=options)
    return weights


def save_adapter(model: Any, tokenizer: Any, folder: Path, weights: dict[str, Any] | None = None) -> None:
    """Save what was trained, with the tokenizer and chat template: the adapter alone (not DPO's frozen reference copy),
    or the whole model in fp32 where that was trained.

    The folder appears whole or not at all; what a killed attempt left is removed. The same weights give the same files,
    wherever the base lies. They are the model's own unless `weights` has them by name.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    if isinstance(model, PeftModel):
        _save_peft(model, part, folder.with_name(START), weights)
    else:
        _save_whole(model, part, weights)
    tokenizer.save_pretrained(str(part))
    # A form to be filled in, which would pass for a description.
    (part / "README.md").unlink(missing_ok=True)
    part.rename(folder)


def _save_peft(model: PeftModel, folder: Path, start: Path, weights: dict[str, Any] | None) -> None:
    config = model.peft_config[TRAINED]
    if isinstance(config, LoraConfig):
        # A set, whose order differs between processes, would be written as it comes.
        config.target_modules = sorted(config.target_modules or ())
    # The base's place on this machine says nothing elsewhere, and peft would ask the hub for it. What it is stands in
    # the run's lineage.
    config.base_model_name_or_path = ""
    model.save_pretrained(
        str(folder), selected_adapters=[TRAINED], save_embedding_layers=False,
        path_initial_model_for_weight_conversion=str(start) if start.exists() else None, state_dict=weights,
    )  # fmt: skip


def _save_whole(model: Any, folder: Path, weights: dict[str, Any] | None) -> None:
    """The model with the settings that it was loaded with: the trainer switches the cache off and adds end tokens."""
    origin = Path(model.name_or_path)
    model.config.use_cache = model_config(origin).use_cache
    if (origin / "generation_config.json").exists():
        model.generation_config = GenerationConfig.from_pretrained(origin, local_files_only=True)
    model.save_pretrained(str(folder), state_dict=weights)


def merge(base: Any, adapter: Path, dtype: Any) -> Any:
    """The base, which is not quantised and is used up, with the adapter merged into its weights, in a torch `dtype`.

    Each matrix is merged in fp32 and rounded once, so that only one at a time takes four bytes a weight. Raises
    ValueError where a merged weight is not a number.
    """
    model = PeftModel.from_pretrained(base, str(adapter))
    for layer in [module for module in model.modules() if isinstance(module, LoraLayer)]:
        matrix = layer.get_base_layer().float()
        layer.merge(safe_merge=True)
        matrix.to(dtype)
    with warnings.catch_warnings():
        # It says of every matrix that it is merged already.
        warnings.simplefilter("ignore", UserWarning)
        return model.merge_and_unload().to(dtype)
