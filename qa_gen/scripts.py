"""The Python scripts among the ready configs, as templates: each runs by itself, in the environment of its tool."""

from __future__ import annotations

import string

MERGE = string.Template('''\
"""python merge.py: the SFT adapter merged into the base, for DPO to start from and to be compared with.

The base is turned back from 4 bits first: these are the weights that the adapter was trained on.
"""

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

MODEL = $model
ADAPTER, TARGET = $places
FOUR_BIT = $four_bit

quantised = BitsAndBytesConfig(
    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
)
base = AutoModelForCausalLM.from_pretrained(
    MODEL, dtype=torch.bfloat16, quantization_config=quantised if FOUR_BIT else None, device_map="auto"
)
if FOUR_BIT:
    base = base.dequantize()
PeftModel.from_pretrained(base, ADAPTER).merge_and_unload().save_pretrained(TARGET)
AutoTokenizer.from_pretrained(MODEL).save_pretrained(TARGET)
''')

UNSLOTH = string.Template('''\
"""python $file"""

from unsloth import FastLanguageModel, is_bfloat16_supported  # Before the others, which it changes.
from unsloth.chat_templates import train_on_responses_only
from datasets import load_dataset
from trl import ${stage}Config, ${stage}Trainer

MODEL = $model
LENGTH = $length
# Nothing is cut: no row is longer.
model, tokenizer = FastLanguageModel.from_pretrained(MODEL, max_seq_length=LENGTH, load_in_4bit=$four_bit)
$prepare
arguments = ${stage}Config(
    max_length=LENGTH, bf16=is_bfloat16_supported(), fp16=not is_bfloat16_supported(),
    # A share of the steps.
    warmup_steps=$warmup,
$options
)
$train
model.save_pretrained($output)
tokenizer.save_pretrained($output)
''')

UNSLOTH_SFT = string.Template('''\
model = FastLanguageModel.get_peft_model(
    model, r=$rank, lora_alpha=$alpha, lora_dropout=0, random_state=$seed, use_gradient_checkpointing="unsloth",
    target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
)


def shown(turns):
    """A chat in the model's template, with thinking off."""
    return tokenizer.apply_chat_template(turns, tokenize=False, enable_thinking=False)


rows = load_dataset("../unsloth", "sft", split="train").map(lambda row: {"text": shown(row["conversations"])})''')

UNSLOTH_SFT_TRAIN = """\
trainer = SFTTrainer(model=model, processing_class=tokenizer, train_dataset=rows, args=arguments)
# What stands before a question and between it and its answer, by the template itself: the loss is on the answers.
before, rest = shown([{"role": "user", "content": "@Q@"}, {"role": "assistant", "content": "@A@"}]).split("@Q@")
trainer = train_on_responses_only(trainer, instruction_part=before, response_part=rest.split("@A@")[0])
trainer.train()"""

UNSLOTH_DPO = """\
# The SFT adapter goes on training; TRL 1.0 and newer compare it with a copy of itself, older ones with the base.
rows = load_dataset("../unsloth", "preference", split="train")"""

UNSLOTH_DPO_TRAIN = """\
trainer = DPOTrainer(model=model, processing_class=tokenizer, train_dataset=rows, args=arguments)
trainer.train()"""
