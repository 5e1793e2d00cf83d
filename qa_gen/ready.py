"""Ready configs beside the rows: QLoRA by SFT, then DPO from what SFT has left, in the form that each tool reads.

The tool is started in the export's folder and writes beside it, since the next export replaces the folder. Each form is
what that tool's own code reads, named beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from kb.qa_gen.recipe import Recipe
from kb.qa_gen.scripts import MERGE, UNSLOTH, UNSLOTH_DPO, UNSLOTH_DPO_TRAIN, UNSLOTH_SFT, UNSLOTH_SFT_TRAIN

Files = dict[str, str]
"""File name to text."""
Values = dict[str, Any]
NEAR, LOGGED = 100, 10
"""Optimiser steps between two checkpoints, and between two lines of the log."""
LLAMA_FACTORY = {
    # model_type: (what its chat template writes, the name with a thinking mode, the name without).
    "qwen2": ("<|im_start|>", "", "qwen"),
    "qwen3": ("<|im_start|>", "qwen3", "qwen3_nothink"),
    "qwen3_moe": ("<|im_start|>", "qwen3", "qwen3_nothink"),
    "qwen3_5": ("<|im_start|>", "qwen3_5", "qwen3_5_nothink"),
    "qwen3_5_text": ("<|im_start|>", "qwen3_5", "qwen3_5_nothink"),
    "llama": ("<|start_header_id|>", "", "llama3"),
    "gemma": ("<start_of_turn>", "", "gemma"),
    "gemma2": ("<start_of_turn>", "", "gemma2"),
    "gemma3_text": ("<start_of_turn>", "", "gemma3"),
    "phi3": ("<|end|>", "", "phi"),
    "glm4": ("[gMASK]<sop>", "", "glm4"),
    "glm4_moe": ("[gMASK]<sop>", "glm4_moe", ""),
}  # fmt: skip
"""LLaMA-Factory's names of templates (data/template.py) that write what these models' own do."""
FIREFLY = {"qwen": "qwen", "qwen3_nothink": "qwen", "llama3": "llama3", "gemma": "gemma"}
"""LLaMA-Factory's name of a template to Firefly's (component/template.py)."""


def template_name(recipe: Recipe) -> str:
    """LLaMA-Factory's name of the model's template; empty where none is known to write the same."""
    mark, thinking, plain = LLAMA_FACTORY.get(recipe.family, ("", "", ""))
    if not mark or mark not in recipe.chat_template:
        return ""
    return thinking if recipe.thinks else plain


def yaml(values: Mapping[str, Any], *comments: str) -> str:
    """A flat YAML file: JSON's scalars and lists are YAML's, but that 1e-05 would be read as a text."""
    return "".join(
        [*(f"# {line}\n" for line in comments), *(f"{key}: {_scalar(one)}\n" for key, one in values.items())]
    )


def _scalar(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text


def _output(tool: str, part: str) -> str:
    """Where a tool writes: sft, sft-merged or dpo."""
    return f"../{tool}-output/{part}"


def _shared(recipe: Recipe) -> Values:
    """What transformers' TrainingArguments take in every tool that is built on them."""
    train = recipe.training
    return {
        "per_device_train_batch_size": train.micro_batch, "gradient_accumulation_steps": recipe.accumulation,
        "lr_scheduler_type": "cosine", "warmup_ratio": train.warmup, "weight_decay": train.weight_decay,
        "max_grad_norm": 1.0, "optim": "adamw_torch", "gradient_checkpointing": train.gradient_checkpointing,
        "bf16": True, "seed": train.seed, "logging_steps": LOGGED, "save_steps": NEAR, "save_total_limit": 2,
        "report_to": "none",
    }  # fmt: skip


def _sft(recipe: Recipe) -> Values:
    """The same of SFT alone."""
    return {"learning_rate": recipe.training.learning_rate} | recipe.long


def _dpo(recipe: Recipe) -> Values:
    """The same of DPO alone."""
    return {"learning_rate": recipe.training.dpo_learning_rate, "num_train_epochs": recipe.training.dpo_epochs}


def _lora(recipe: Recipe) -> Values:
    """LoRA in the names of most tools."""
    return {"lora_rank": recipe.training.rank, "lora_alpha": recipe.training.alpha, "lora_dropout": 0.0}


def llama_factory(recipe: Recipe) -> Files:
    """LLaMA-Factory's YAML (hparams/parser.py, get_train_args), with the SFT model as the reference of DPO.

    A model with a thinking mode gets the template that opens the answer with empty thoughts, as kb does; they are not
    trained. Without `ref_model_adapters`, the base would be the reference.
    """
    train, name, sft = recipe.training, template_name(recipe), _output("llama-factory", "sft")
    unknown = [] if name else [f"template: which one writes what the chat template of {recipe.model} does?"]
    common: Values = {"model_name_or_path": recipe.model, "trust_remote_code": False}
    if recipe.four_bit:
        common |= {"quantization_method": "bnb", "quantization_bit": 4, "double_quantization": True}
    common |= {"finetuning_type": "lora", "lora_target": "all"} | _lora(recipe) | {"do_train": True, "dataset_dir": "."}
    common |= ({"template": name} if name else {}) | {"cutoff_len": recipe.context}
    common |= ({"enable_thinking": False} if recipe.thinks else {}) | _shared(recipe)
    first: Values = {"stage": "sft", "dataset": "kb_sft", "output_dir": sft} | _sft(recipe)
    then: Values = {"stage": "dpo", "dataset": "kb_preference", "output_dir": _output("llama-factory", "dpo")} | _dpo(
        recipe
    )
    then |= {"pref_beta": train.dpo_beta, "pref_ftx": train.dpo_sft_weight, "adapter_name_or_path": sft}
    then |= {"ref_model": recipe.model, "ref_model_adapters": sft}
    then |= {"ref_model_quantization_bit": 4} if recipe.four_bit else {}
    return {"sft.yaml": yaml(first | common, *unknown), "dpo.yaml": yaml(then | common, *unknown)}


def ms_swift(recipe: Recipe) -> Files:
    """ms-swift's arguments as JSON (cli/main.py, parse_yaml_args); the rows say that thinking is off."""
    train, sft = recipe.training, _output("ms-swift", "sft")
    common: Values = {"model": recipe.model, "torch_dtype": "bfloat16"}
    if recipe.four_bit:
        common |= {"quant_method": "bnb", "quant_bits": 4, "bnb_4bit_use_double_quant": True}
    common |= {"tuner_type": "lora", "target_modules": ["all-linear"]} | _lora(recipe)
    # Without the last two the adapter lies in a folder named after the time.
    common |= {"max_length": recipe.context, "add_version": False, "create_checkpoint_symlink": True} | _shared(recipe)
    first: Values = {"dataset": ["sft-train.jsonl"], "output_dir": sft} | _sft(recipe)
    then: Values = {"rlhf_type": "dpo", "dataset": ["preference-train.jsonl"], "output_dir": _output("ms-swift", "dpo")}
    then |= {"adapters": [f"{sft}/last"], "ref_adapters": [f"{sft}/last"], "beta": train.dpo_beta}
    then |= {"rpo_alpha": train.dpo_sft_weight} | _dpo(recipe)
    return {"sft.json": as_json(first | common), "dpo.json": as_json(then | common)}


def firefly(recipe: Recipe) -> Files:
    """Firefly's arguments as JSON (train_args/sft/qlora, train_args/dpo/qlora); DPO needs the merged SFT model."""
    name = FIREFLY.get("qwen" if recipe.family.startswith("qwen") else template_name(recipe), "default")
    common: Values = {"template_name": name, "train_mode": "qlora" if recipe.four_bit else "lora"} | _lora(recipe)
    common |= {"max_seq_length": recipe.context} | _shared(recipe)
    common |= {"disable_tqdm": False, "dataloader_num_workers": 0, "remove_unused_columns": False}
    first: Values = {"task_type": "sft", "model_name_or_path": recipe.model, "train_file": "sft-train.jsonl"}
    then: Values = {"task_type": "dpo", "model_name_or_path": _output("firefly", "sft-merged")}
    then |= {"train_file": "preference-train.jsonl", "output_dir": _output("firefly", "dpo")} | _dpo(recipe)
    then |= {"beta": recipe.training.dpo_beta, "max_prompt_length": recipe.context}
    return {
        "sft.json": as_json(first | {"output_dir": _output("firefly", "sft")} | _sft(recipe) | common),
        "dpo.json": as_json(then | common),
        "merge.py": _merge(recipe, "firefly"),
    }


def trl(recipe: Recipe) -> Files:
    """TRL's YAML (trl/scripts/sft.py and dpo.py, TrlParser). The rows say that thinking is off."""
    return _trl(recipe, "trl")


def _trl(recipe: Recipe, tool: str) -> Files:
    """From the command line, TRL takes the model before its LoRA for the reference of DPO: that has to be the SFT
    model, so it is merged in between.
    """
    train = recipe.training
    common: Values = {"dtype": "bfloat16", "load_in_4bit": recipe.four_bit, "bnb_4bit_quant_type": "nf4"}
    common |= {"use_bnb_nested_quant": True, "use_peft": True, "lora_r": train.rank, "lora_alpha": train.alpha}
    # Rows are never cut: by default TRL cuts at 1,024 tokens. `datasets` cannot load ".", which has no name.
    common |= {
        "lora_dropout": 0.0,
        "lora_target_modules": "all-linear",
        "dataset_name": f"../{tool}",
        "max_length": None,
    }
    # TRL 1.16 takes a share of the steps and has no warmup_ratio any more.
    common |= {("warmup_steps" if key == "warmup_ratio" else key): one for key, one in _shared(recipe).items()}
    # What is stored in 4 bits can be split over GPUs when its storage has the dtype of the rest.
    common |= {"bnb_4bit_quant_storage": "bfloat16"} if recipe.four_bit and tool == "deepspeed" else {}
    first: Values = {"model_name_or_path": recipe.model, "dataset_config": "sft", "output_dir": _output(tool, "sft")}
    then: Values = {"model_name_or_path": _output(tool, "sft-merged"), "dataset_config": "preference"}
    then |= {"output_dir": _output(tool, "dpo"), "beta": train.dpo_beta}
    then |= {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, train.dpo_sft_weight]} | _dpo(recipe)
    return {
        "sft.yaml": yaml(first | _sft(recipe) | common), "dpo.yaml": yaml(then | common),
        "merge.py": _merge(recipe, tool),
    }  # fmt: skip


def deepspeed(recipe: Recipe) -> Files:
    """TRL's YAML, and accelerate's for DeepSpeed ZeRO-2 and 3; "auto" is filled in by the trainer.

    The batch behind a step is that of one GPU times their number.
    """
    auto: Values = {"train_batch_size": "auto", "train_micro_batch_size_per_gpu": "auto", "gradient_clipping": "auto"}
    auto |= {"gradient_accumulation_steps": "auto", "bf16": {"enabled": "auto"}}
    shared: Values = {"overlap_comm": True, "contiguous_gradients": True}
    whole = {"stage3_gather_16bit_weights_on_model_save": True}
    files = {
        "zero2.json": as_json(auto | {"zero_optimization": {"stage": 2} | shared}),
        "zero3.json": as_json(auto | {"zero_optimization": {"stage": 3} | shared | whole}),
    }
    for name in ("zero2", "zero3"):
        zero: Values = {"deepspeed_config_file": f"{name}.json", "zero3_init_flag": False}
        launch: Values = {"compute_environment": "LOCAL_MACHINE", "distributed_type": "DEEPSPEED"}
        launch |= {"deepspeed_config": zero, "num_machines": 1, "num_processes": 2, "machine_rank": 0}
        files[f"accelerate-{name}.yaml"] = yaml(launch, "num_processes is the number of GPUs.")
    return _trl(recipe, "deepspeed") | files


def unsloth(recipe: Recipe) -> Files:
    """Two short scripts on unsloth's FastLanguageModel; the marks of the answer are taken from the chat template."""
    train, sft = recipe.training, _output("unsloth", "sft")
    prepare = UNSLOTH_SFT.substitute(rank=train.rank, alpha=train.alpha, seed=train.seed)
    first = _sft(recipe) | {"dataset_text_field": "text", "output_dir": sft}
    then = _dpo(recipe) | {"beta": train.dpo_beta, "output_dir": _output("unsloth", "dpo")}
    return {
        "sft.py": _script(recipe, recipe.model, first, prepare, UNSLOTH_SFT_TRAIN),
        "dpo.py": _script(recipe, sft, then, UNSLOTH_DPO, UNSLOTH_DPO_TRAIN),
    }


def _script(recipe: Recipe, model: str, own: Values, prepare: str, train: str) -> str:
    left_out = ("gradient_checkpointing", "warmup_ratio", "bf16")
    options = {key: one for key, one in _shared(recipe).items() if key not in left_out} | own
    stage = "DPO" if "beta" in own else "SFT"
    return UNSLOTH.substitute(
        file=f"{stage.lower()}.py", stage=stage, length=recipe.context, model=repr(model), four_bit=recipe.four_bit,
        output=repr(own["output_dir"]), warmup=recipe.training.warmup, prepare=prepare, train=train,
        options="\n".join(f"    {key}={one!r}," for key, one in options.items()),
    )  # fmt: skip


def _merge(recipe: Recipe, tool: str) -> str:
    """A script that merges the SFT adapter into the base as it was trained on."""
    places = (repr(_output(tool, part)) for part in ("sft", "sft-merged"))
    return MERGE.substitute(model=repr(recipe.model), four_bit=recipe.four_bit, places=", ".join(places))


def as_json(values: Mapping[str, Any]) -> str:
    """A JSON file, readable and not escaped."""
    return json.dumps(values, ensure_ascii=False, indent=2) + "\n"


READY: dict[str, Callable[[Recipe], Files]] = {
    "llama-factory": llama_factory, "ms-swift": ms_swift, "firefly": firefly, "trl": trl, "deepspeed": deepspeed,
    "unsloth": unsloth,
}  # fmt: skip
"""Name of the export to what writes its configs."""
_TRL = {"sft": "trl sft --config sft.yaml", "merge": "python merge.py", "dpo": "trl dpo --config dpo.yaml"}
COMMANDS = {
    "llama-factory": {"sft": "llamafactory-cli train sft.yaml", "dpo": "llamafactory-cli train dpo.yaml"},
    "ms-swift": {"sft": "swift sft sft.json", "dpo": "swift rlhf dpo.json"},
    "firefly": {
        "sft": "python FIREFLY/train.py --train_args_file sft.json", "merge": "python merge.py",
        "dpo": "python FIREFLY/train.py --train_args_file dpo.json",
    },
    "trl": _TRL,
    "deepspeed": {
        name: command + " --accelerate_config accelerate-zero2.yaml" * command.startswith("trl")
        for name, command in _TRL.items()
    },
    "unsloth": {"sft": "python sft.py", "dpo": "python dpo.py"},
}  # fmt: skip
"""Name of the export and of a step to the command, in their order."""
