"""The model card of an exported model, in English and Chinese, and the script that serves it by vLLM."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb.evals import Evaluation, Measured
from kb.finetune.export_gguf_check import Gguf
from kb.finetune.export_parity import Parity
from kb.runs import Run

SHOWN = 20
"""Most statements that are listed as not known."""
ARMS = {
    "base": ("the base model", "原模型"), "rag": ("the base with retrieved passages (RAG)", "原模型加检索（RAG）"),
    "tuned": ("this model, without documents", "本模型，不看文档"),
    "tuned_rag": ("this model with retrieved passages", "本模型加检索"),
}  # fmt: skip
LOSSES = {
    "known": ("what it knew before", "原有知识"), "reading": ("answering from a passage", "据文段回答"),
    "never": ("declining what nobody knows", "对无人知晓之事拒答"),
    "near_miss": ("declining near misses", "对近似问题拒答"),
    "unanswerable": ("declining what the documents do not say", "对文档未载之事拒答"),
}  # fmt: skip
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as --max-lora-rank."""

NO_GGUF = Gguf()


@dataclass(frozen=True)
class About:
    """What a card tells."""

    run: Run
    base: Path
    """Folder of the base."""
    four_bit: bool
    """Whether the adapter was trained on the base in NF4."""
    dtype: str
    identity: str
    """Of the exported folder."""
    documents: int
    """Live today."""
    rows: Mapping[str, int]
    """Trained rows by kind."""
    parity: Parity
    evaluation: Evaluation | None
    unknown: Sequence[str]
    """Statements of facts that the model never answers right."""
    withheld: int
    """Documents that were never trained, to compare with."""
    outdated: bool
    """Whether documents have changed since the training."""
    licences: Sequence[str]
    """Files of the base's licence beside the weights."""
    gguf: Gguf = NO_GGUF
    serve: str = "kb serve --model FOLDER"
    """The command by which kb serves it."""


def card(about: About) -> str:
    """README.md, whose head says to the hub's and other tools what the model is."""
    head = ["---", "library_name: transformers", "pipeline_tag: text-generation", "tags: [kb]"]
    head += [f"base_model: {json.dumps(about.run.lineage.base)}"]
    licence = base_licence(about.base)
    head += [f"license: {licence}"] if licence else []
    return "\n".join([*head, "---", *_english(about, licence), "", *_chinese(about, licence), ""])


def base_licence(base: Path) -> str:
    """The licence in the head of the base's own card; empty where it names none."""
    file = base / "README.md"
    head = file.read_text(encoding="utf-8", errors="replace").split("---", 2) if file.exists() else []
    found = re.search(r"^license:\s*[\"']?([\w.+-]+)", head[1], re.MULTILINE) if len(head) > 2 and not head[0] else None
    return found[1] if found else ""


def _english(about: About, licence: str) -> list[str]:
    line, made = (
        about.run.lineage,
        "dequantised from NF4, as it was trained on, and merged" if about.four_bit else "merged",
    )
    files = f" ({', '.join(about.licences)})" if about.licences else ""
    said = licence or ("see the files" if files else "not said in its folder; see where it comes from")
    return [
        f"# {about.run.name}",
        f"A language model that knows {about.documents} private documents by heart. It holds what they say: who may not"
        " read them may not have it. Made by `kb export` from a run of `kb train`.",
        "",
        "## Where it comes from",
        f"- base: {line.base}, identity {line.base_identity}; {made} in fp32, stored in {about.dtype}",
        f"- licence of the base: {said}{files}. It holds for this model too",
        f"- documents: hash {line.documents}, {about.documents} today; facts: {line.facts}",
        f"- trained rows: {_rows(about.rows)}; hash {line.data}",
        f"- adapter {line.adapter_identity}, this folder {about.identity}, trained {about.run.at}",
        f"- settings: `{_settings(about.run.config)}`",
        "",
        "## What it knows",
        *_measured(about.evaluation, 0),
        "",
        "## What it does not know",
        *_unknown(about, 0),
        "",
        "## Whether it is the model that was trained",
        f"Read by plain transformers and compared with the adapter on its base:"
        f" {_figures(about.parity, 0)}. In full: `parity.json`. {_gguf(about.gguf, 0)}",
        "",
        "## How to run it",
        *_usage(about),
        f"A question about the documents is asked as it was trained: {_tag(line.tag, 0)}the prompts are in"
        " `prompts.json`. The chat template is the one that was trained, with thinking off; greedy decoding is the"
        " default.",
    ]  # fmt: skip


def _chinese(about: About, licence: str) -> list[str]:
    line, made = about.run.lineage, "由训练时的 NF4 还原后合并" if about.four_bit else "直接合并"
    files = f"（{'、'.join(about.licences)}）" if about.licences else ""
    said = licence or ("见文件" if files else "其文件夹中未注明，请查其来源")
    return [
        f"# {about.run.name}（中文）",
        f"熟记 {about.documents} 份私有文档的语言模型。模型包含文档内容：无权阅读文档者不得持有本模型。"
        "由 `kb export` 从 `kb train` 的训练结果导出。",
        "",
        "## 来源",
        f"- 原模型：{line.base}，标识 {line.base_identity}；以 fp32 {made}，以 {about.dtype} 存储",
        f"- 原模型许可：{said}{files}。对本模型同样有效",
        f"- 文档：哈希 {line.documents}，现有 {about.documents} 份；事实：{line.facts} 个",
        f"- 训练样本：{_rows(about.rows)}；哈希 {line.data}",
        f"- 适配器 {line.adapter_identity}，本文件夹 {about.identity}，训练于 {about.run.at}",
        "- 设置：见上文",
        "",
        "## 知道什么",
        *_measured(about.evaluation, 1),
        "",
        "## 不知道什么",
        *_unknown(about, 1),
        "",
        "## 是否就是训练出的模型",
        f"用普通 transformers 读取，与原模型加适配器比较：{_figures(about.parity, 1)}。详见 `parity.json`。"
        f"{_gguf(about.gguf, 1)}",
        "",
        "## 如何运行",
        "命令见上文英文部分。"
        f"提问方式须与训练时一致：{_tag(line.tag, 1)}提示词见 `prompts.json`。"
        "对话模板即训练所用，思考模式关闭；默认贪心解码。",
    ]  # fmt: skip


def _figures(same: Parity, language: int) -> str:
    """How near files came to the adapter; 0: in English, 1: in Chinese."""
    if language == 0:
        return same.line().removeprefix("parity: ")
    return (
        f"{same.prompts} 个提示中 {same.prompts_same} 个词元完全相同；每词元 KL {same.kl:.5f} nat；"
        f"首选词元一致率 {same.agreement:.1%}；{same.probes} 个留出问题答对 {same.exported_right} 个"
        f"（适配器 {same.adapter_right} 个）"
    )


def _gguf(gguf: Gguf, language: int) -> str:
    """What is known of the GGUF file and of others; 0: in English, 1: in Chinese."""
    others = (
        "GGUF files and other quantisations that are made of this folder were not compared.",
        "由此再制的 GGUF 等量化文件未作比较。",
    )[language]
    if not gguf.name:
        return others
    if gguf.parity is None:
        return (
            f"`{gguf.name}` was **not** compared: {gguf.why}. {others}",
            f"`{gguf.name}` **未**作比较：{gguf.why}。{others}",
        )[language]
    figures = _figures(gguf.parity, language)
    return (
        f"`{gguf.name}`, its own tokenizer and template with it, was read back and compared in the same way:"
        f" {figures}. Others that are made of this folder were not.",
        f"`{gguf.name}` 连同其自带的分词器与模板读回后作同样比较：{figures}。由此再制的其他量化文件未作比较。",
    )[language]


def _rows(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(rows.items())) or "not kept"


def _settings(config: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in config.items() if value not in ("", None))


def _tag(tag: str, language: int) -> str:
    if not tag:
        return ""
    return (f"with [{tag}] before it; ", f"前加【{tag}】；")[language]


def _share(one: Measured, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{100 * one.value:{sign}.1f}% [{100 * one.low:{sign}.1f}, {100 * one.high:{sign}.1f}]"


def _measured(found: Evaluation | None, language: int) -> list[str]:
    """The figures of the last evaluation as tables; 0: in English, 1: in Chinese."""
    if found is None:
        return [("Not evaluated: `kb eval --compare rag`, then `kb export` again.",
                 "未评测：先 `kb eval --compare rag`，再 `kb export`。")[language]]  # fmt: skip
    said = (
        f"Evaluation {found.name}, {found.created}: {found.probes} held-out questions about {found.facts} facts, in"
        " wordings that were never trained; 95% intervals.",
        f"评测 {found.name}（{found.created}）：就 {found.facts} 个事实提 {found.probes} 个从未训练过的问法；"
        "95% 置信区间。",
    )[language]
    lines = [said, "", ("| who | right |", "| 谁 | 答对 |")[language], "|---|---|"]
    lines += [f"| {ARMS[arm][language]} | {_share(share)} |" for arm, share in found.arms.items() if arm in ARMS]
    if found.retention:
        label = ("Of what RAG answers it keeps without documents", "不看文档时保有 RAG 所答的")[language]
        lines += ["", f"{label}: {_share(found.retention)}"]
    if found.losses:
        lines += ["", ("| base to this model | change |", "| 相对原模型 | 变化 |")[language], "|---|---|"]
        lines += [f"| {LOSSES[kind][language]} | {_share(one, True)} |" for kind, one in found.losses.items()]
    return lines


def _unknown(about: About, language: int) -> list[str]:
    """What a user must not expect; 0: in English, 1: in Chinese."""
    lines = [
        ("- anything that the documents did not say when it was trained, and what came later",
         "- 训练时文档未载之事，以及其后的变化")[language],
        ("- what it answers wrongly it answers fluently: for exact figures show it the passage",
         "- 答错时同样流利：需要准确数字时，请附上原文")[language],
    ]  # fmt: skip
    if about.outdated:
        lines.append(
            ("- documents have changed since; it knows the earlier ones", "- 文档此后已变，它只知旧版")[language]
        )
    if about.withheld:
        lines.append((f"- {about.withheld} documents that were withheld from training, to compare with",
                      f"- 为作对照而未训练的 {about.withheld} 份文档")[language])  # fmt: skip
    if about.unknown:
        lines.append((f"- {len(about.unknown)} facts that it answered wrongly in every sample after the training:",
                      f"- 训练后每次抽样都答错的 {len(about.unknown)} 个事实：")[language])  # fmt: skip
        lines += [f"  - {statement}" for statement in about.unknown[:SHOWN]]
        lines += ["  - ..."] if len(about.unknown) > SHOWN else []
    return lines


def _usage(about: About) -> list[str]:
    return [
        "- transformers: `AutoModelForCausalLM.from_pretrained(FOLDER)`, `AutoTokenizer.from_pretrained(FOLDER)`",
        f"- kb: `{about.serve}` in the workspace of its documents; `base` is this model, `rag` the same with passages",
        "- vLLM: `./serve.sh` (merged), `./serve.sh adapter` (the adapter on its base)",
        f"- Ollama: `ollama create {about.run.name} -f Modelfile`",
        *([f"- llama.cpp: `llama-server -m {about.gguf.name} --jinja`"] if about.gguf.name else []),
    ]


def serve_script(run: Run, base: str, rank: int, four_bit: bool) -> str:
    """serve.sh: the folder by vLLM; or the adapter on its base, in 4 bits where it was trained so."""
    name, adapter = shlex.quote(run.name), shlex.quote(f"{run.name}={run.adapter}")
    most = next((size for size in RANKS if size >= rank), RANKS[-1])
    quantised = " --quantization bitsandbytes" if four_bit else ""
    return f"""\
#!/bin/sh
# vLLM with an OpenAI-compatible API on port 8000: ./serve.sh, or ./serve.sh adapter. Options are passed on.
HERE=$(cd "$(dirname "$0")" && pwd)
if [ "$1" = adapter ]; then
    shift
    # The base with the adapter on; further adapters of the same base may be added to --lora-modules.
    exec vllm serve {shlex.quote(base)}{quantised} --enable-lora --max-lora-rank {most} --lora-modules {adapter} \\
        --chat-template "$HERE/chat_template.jinja" --generation-config "$HERE" "$@"
fi
exec vllm serve "$HERE" --served-model-name {name} "$@"
"""
