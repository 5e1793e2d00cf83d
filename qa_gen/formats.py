"""The forms in which other trainers read rows. Each is what that tool's own code reads, named beside it.

Rows carry `id`, `fact`, `language` and `form` (of a preference pair `source`) as well: no tool minds further columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kb.qa_gen.folders import Part
from kb.qa_gen.rows import Row

Shape = Callable[[Row], dict[str, Any]]

NO_THINKING = {"chat_template_kwargs": {"enable_thinking": False}}
"""For tools that read it from a row: kb trains and asks with thinking mode off where the chat template has one."""


@dataclass(frozen=True)
class Format:
    """How one tool wants its rows."""

    name: str
    sft: Shape
    preference: Shape
    file: str
    """Name of a file, with {} for kind and split."""
    use: str
    """For the README of the folder: what to give to the tool."""
    indexed: bool = False
    """Whether the folder has LLaMA-Factory's dataset_info.json."""


def ids(row: Row) -> dict[str, Any]:
    """What leads back to the documents by `kb show`."""
    kind = "source" if row.rejected else "form"
    return {"id": row.id, "fact": row.fact, kind: row.kind, "language": row.language}


def turns(row: Row, *answers: str) -> list[dict[str, str]]:
    """The chat, with answers, as messages with role and content."""
    return [*map(asdict, row.chat), *(_says(answer) for answer in answers)]


def _says(answer: str) -> dict[str, str]:
    return {"role": "assistant", "content": answer}


def alpaca(row: Row) -> dict[str, Any]:
    """Stanford Alpaca's three fields (alpaca_data.json), with LLaMA-Factory's `system`."""
    return {"instruction": row.asked, "input": "", "output": row.answer, "system": row.system} | ids(row)


def alpaca_preference(row: Row) -> dict[str, Any]:
    """LLaMA-Factory's form of it."""
    return {
        "instruction": row.asked, "input": "", "system": row.system, "chosen": row.answer, "rejected": row.rejected,
    } | ids(row)  # fmt: skip


ROLES = {"system": "system", "user": "human", "assistant": "gpt"}
"""Role to the name that ShareGPT has for it."""


def _from(turn: Mapping[str, str]) -> dict[str, str]:
    return {"from": ROLES[turn["role"]], "value": turn["content"]}


def sharegpt(row: Row) -> dict[str, Any]:
    """Vicuna's conversations, the system message as the first turn."""
    return {"conversations": [_from(turn) for turn in turns(row, row.answer)]} | ids(row)


def sharegpt_preference(row: Row) -> dict[str, Any]:
    """LLaMA-Factory's form of it (data/converter.py, SharegptDatasetConverter)."""
    return {
        "conversations": [_from(turn) for turn in turns(row)],
        "chosen": _from(_says(row.answer)), "rejected": _from(_says(row.rejected)),
    } | ids(row)  # fmt: skip


def messages(row: Row) -> dict[str, Any]:
    """Chat messages as OpenAI and transformers' chat templates have them."""
    return {"messages": turns(row, row.answer)} | ids(row)


def preference(row: Row) -> dict[str, Any]:
    """The prompt's messages, and one message for each answer: TRL's conversational preference form."""
    return {"prompt": turns(row), "chosen": [_says(row.answer)], "rejected": [_says(row.rejected)]} | ids(row)


def trl(row: Row) -> dict[str, Any]:
    """TRL's conversational prompt-completion form: the loss is on the completion."""
    return {"prompt": turns(row), "completion": [_says(row.answer)]} | NO_THINKING | ids(row)


def trl_preference(row: Row) -> dict[str, Any]:
    """TRL's conversational preference form with an explicit prompt, as `kb train` uses it."""
    return preference(row) | NO_THINKING


def swift(row: Row) -> dict[str, Any]:
    """ms-swift's standard columns (swift/dataset/preprocessor/core.py, MessagesPreprocessor)."""
    return messages(row) | NO_THINKING


def swift_preference(row: Row) -> dict[str, Any]:
    """Two whole chats; ms-swift makes the same of the shorter `rejected_response`."""
    return swift(row) | {"rejected_messages": turns(row, row.rejected)}


def firefly(row: Row) -> dict[str, Any]:
    """Firefly's rounds (component/dataset.py, UnifiedSFTDataset); without `system` its template's own is used."""
    system = {"system": row.system} if row.system else {}
    rounds = [{"human": row.asked, "assistant": row.answer}]
    return {"conversation_id": row.id, "category": row.kind, **system, "conversation": rounds} | ids(row)


def firefly_preference(row: Row) -> dict[str, Any]:
    """Two whole chats of equal length (component/dataset.py, UnifiedDPODataset)."""
    return {"prompt": row.asked, "chosen": turns(row, row.answer), "rejected": turns(row, row.rejected)} | ids(row)


def unsloth(row: Row) -> dict[str, Any]:
    """What unsloth_zoo/dataset_utils.py, standardize_data_formats, makes of ShareGPT and its notebooks train on."""
    return {"conversations": turns(row, row.answer)} | ids(row)


ARRAY, LINES, TABLE = "{}.json", "{}.jsonl", "data/{}.parquet"

FORMATS = {
    form.name: form
    for form in (
        Format("alpaca", alpaca, alpaca_preference, ARRAY, "For trainers that know the Alpaca form."),
        Format("sharegpt", sharegpt, sharegpt_preference, ARRAY, "For trainers that know the ShareGPT form."),
        Format("messages", messages, preference, LINES, "For trainers that put a chat template on messages."),
        Format("datasets", messages, preference, TABLE, 'datasets.load_dataset(FOLDER, "sft"), or "preference".'),
        Format(
            "trl", trl, trl_preference, TABLE,
            'datasets.load_dataset(FOLDER, "sft") for SFTTrainer, "preference" for DPOTrainer.',
        ),
        Format(
            "deepspeed", trl, trl_preference, TABLE,
            "TRL on several GPUs by DeepSpeed ZeRO: the data are TRL's.",
        ),
        Format(
            "llama-factory", sharegpt, sharegpt_preference, ARRAY,
            "In a training YAML of your own: `dataset_dir: FOLDER`, and `dataset: kb_sft` (stage sft) or"
            " `dataset: kb_preference` (stage dpo); a validation split is `eval_dataset: kb_sft_validation`.",
            indexed=True,
        ),
        Format(
            "ms-swift", swift, swift_preference, LINES,
            "swift sft --dataset FOLDER/sft-train.jsonl, or swift rlhf --rlhf_type dpo --dataset"
            " FOLDER/preference-train.jsonl; a validation split is `--val_dataset`.",
        ),
        Format(
            "firefly", firefly, firefly_preference, LINES,
            "In the training arguments, `train_file` is sft-train.jsonl (task_type sft) or preference-train.jsonl"
            " (task_type dpo). Templates without a place for a system message leave it out.",
        ),
        Format(
            "unsloth", unsloth, trl_preference, TABLE,
            'datasets.load_dataset(FOLDER, "sft"), then apply_chat_template on `conversations`; "preference" is for'
            " TRL's DPOTrainer.",
        ),
    )
}  # fmt: skip


def dataset_info(parts: Sequence[Part]) -> dict[str, Any]:
    """LLaMA-Factory's dataset_info.json (data/parser.py, DatasetAttr) for files in its form."""
    tags = {"role_tag": "from", "content_tag": "value"} | {f"{role}_tag": name for role, name in ROLES.items()}
    info = {}
    for part in parts:
        columns = {"messages": "conversations"}
        ranking = part.kind == "preference"
        if ranking:
            columns |= {"chosen": "chosen", "rejected": "rejected"}
        name = f"kb_{part.kind}" if part.split == "train" else f"kb_{part.kind}_{part.split}"
        info[name] = {
            "file_name": part.file, "formatting": "sharegpt", "ranking": ranking, "columns": columns, "tags": tags,
        }  # fmt: skip
    return info
