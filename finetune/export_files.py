"""What goes with the weights of an exported model: its tokenizer, chat template, stop tokens and licence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from kb.finetune.model import stop_tokens
from kb.llm.closed import closed_prompt
from kb.prompt import Prompts
from kb.workspace import write_json, write_text

TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "vocab.txt", "merges.txt", "tokenizer.model", "chat_template.jinja", "chat_template.json",
)  # fmt: skip
LICENCES = ("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*")
NO_THINKING = "{%- if enable_thinking is not defined %}{%- set enable_thinking = false %}{%- endif %}"
"""In front of a template that thinks unless it is told not to: kb trains and asks with thinking off."""
PROBE = [{"role": "user", "content": "kb"}]


def write_tokenizer(base: Path, tokenizer: Any, folder: Path) -> None:
    """Copy the base's tokenizer, file by file, as its authors wrote it, with the chat template that was trained.

    That is the base's own; one with a thinking mode has it off unless a caller asks for it, as in training.
    """
    for name in TOKENIZER:
        if (base / name).exists():
            shutil.copyfile(base / name, folder / name)
    template = trained_template(tokenizer)
    if template == tokenizer.chat_template:
        return
    write_text(folder / "chat_template.jinja", template)
    # An older form of it would be read first by some.
    (folder / "chat_template.json").unlink(missing_ok=True)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    if "chat_template" in settings:
        write_json(folder / "tokenizer_config.json", settings | {"chat_template": template})


def trained_template(tokenizer: Any) -> str:
    """The chat template that asks as kb does without being told to: with thinking off."""
    template: str = tokenizer.chat_template
    as_it_is, off = (rendered(tokenizer, template, PROBE, told) for told in (False, True))
    return template if as_it_is == off else NO_THINKING + template


def rendered(tokenizer: Any, template: str, chat: list[dict[str, str]], off: bool = False) -> str:
    """The prompt that a template makes of a chat, as text; `off`: told to switch thinking off, as kb tells it."""
    options = {"enable_thinking": False} if off else {}
    text: str = tokenizer.apply_chat_template(
        chat, chat_template=template, add_generation_prompt=True, tokenize=False, **options
    )
    return text


def write_generation(base: Path, tokenizer: Any, folder: Path) -> None:
    """Write a generation config of the base's stop tokens and nothing else of its own: the likeliest answer is given.

    What a base brings for chatting, such as Qwen2.5's repetition penalty, punishes what question and passages say.
    """
    config = GenerationConfig(
        do_sample=False, eos_token_id=sorted(stop_tokens(base, tokenizer)), pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )  # fmt: skip
    config.save_pretrained(str(folder))


def write_prompts(prompts: Prompts, folder: Path) -> None:
    """Write the prompts that the model was trained to answer, in both languages; $question and $passages are places."""
    asked: dict[str, Any] = {"closed": {}, "rag": {}}
    for language in ("en", "zh"):
        chat = closed_prompt(prompts, "$question", language)
        asked["closed"][language] = {turn.role: turn.content for turn in chat}
        rag = prompts.get("kb", "rag", language)
        asked["rag"][language] = ({"system": rag.system} if rag.system else {}) | {"user": rag.text}
    write_json(folder / "prompts.json", asked)


def copy_licence(base: Path, folder: Path) -> list[str]:
    """Copy what the base's folder says of its licence; the names of the files."""
    files = sorted({file for pattern in LICENCES for file in base.glob(pattern) if file.is_file()})
    for file in files:
        shutil.copyfile(file, folder / file.name)
    return [file.name for file in files]
