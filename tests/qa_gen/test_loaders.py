"""Exports read back by the loaders that are installed: Hugging Face `datasets` and TRL, with the lab model."""

from datetime import datetime

import pytest
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
from trl.data_utils import apply_chat_template, is_conversational

from kb.llm.open import lab_folder
from kb.prompt import Prompts
from kb.qa_gen.formats import FORMATS
from kb.qa_gen.rows import split, trained_rows
from kb.qa_gen.trainers import run

pytestmark = pytest.mark.slow

SHARE = 0.4
"""Leaves nothing but dates among the preferred answers of one side."""
KINDS = ("sft", "preference")


@pytest.fixture(scope="module")
def read(still, tmp_path_factory):
    """A function from format and kind to what `load_dataset` finds in the folder; by split."""
    whole, parts, cache = (tmp_path_factory.mktemp(name) for name in ("whole", "parts", "cache"))
    run(still, ["all"], whole, Prompts())
    run(still, ["datasets", "trl", "unsloth"], parts, Prompts(), SHARE)

    def read(name, kind, apart=False):
        return load_dataset(str((parts if apart else whole) / name), kind, cache_dir=str(cache))

    return read


@pytest.fixture(scope="module")
def lab():
    """The lab model's tokenizer and weights."""
    return AutoTokenizer.from_pretrained(lab_folder()), AutoModelForCausalLM.from_pretrained(lab_folder())


def shaped(rows, name, kind):
    """The rows in a form."""
    return [getattr(FORMATS[name], kind)(row) for row in getattr(rows, kind)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*FORMATS])
def test_datasets_reads_every_folder_by_its_readme(still, read, name, kind):
    """Configuration sft or preference, split train: the rows as they were made, none of a held-out question."""
    found = read(name, kind)
    assert [*found] == ["train"]
    rows = found["train"].to_list()
    assert rows == shaped(trained_rows(still.store, Prompts()), name, kind)
    assert "PROBE" not in str(rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["datasets", "trl", "unsloth"])
def test_tables_keep_splits_and_dates(still, read, name, kind):
    """Both splits; an answer 2024-05-06 is text though all answers beside it are dates too."""
    sides = split(trained_rows(still.store, Prompts()), SHARE)
    assert any(all(row.answer[:2] == "20" for row in rows.preference) for rows in sides.values())
    found = read(name, kind, apart=True)
    assert {side: rows.to_list() for side, rows in found.items()} == {
        side: shaped(rows, name, kind) for side, rows in sides.items()
    }


def test_datasets_takes_a_column_of_dates_for_moments(tmp_path):
    """Why three forms are tables and the others' columns of dates are said; once this fails, neither is needed."""
    file = tmp_path / "rows.jsonl"
    file.write_text('{"chosen": "2024-05-06"}\n{"chosen": "2023-01-02"}\n', encoding="utf-8")
    found = load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert found[0] == {"chosen": datetime(2024, 5, 6)}


@pytest.mark.parametrize("kind", KINDS)
def test_trl_fills_the_template_as_kb_does(still, read, lab, kind):
    """The prompt is the one that kb's chat gives, with the opening of the answer, and the answer follows it."""
    tokenizer = lab[0]
    for row, one in zip(read("trl", kind)["train"], getattr(trained_rows(still.store, Prompts()), kind), strict=True):
        assert is_conversational(row)
        texts = apply_chat_template(row, tokenizer)
        chat = [{"role": message.role, "content": message.content} for message in one.chat]
        assert texts["prompt"] == tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        answers = {"completion": one.answer} if kind == "sft" else {"chosen": one.answer, "rejected": one.rejected}
        for key, answer in answers.items():
            assert texts[key] == f"{answer}<|im_end|>\n"


def test_trl_trains_on_the_answers(still, read, lab, tmp_path):
    """SFTTrainer and DPOTrainer take the data sets as they are; what is trained of a row is the answer."""
    tokenizer, model = lab
    options = {"output_dir": str(tmp_path), "report_to": [], "use_cpu": True}
    rows = trained_rows(still.store, Prompts())
    sft = SFTTrainer(
        model=model, args=SFTConfig(**options), train_dataset=read("trl", "sft")["train"], processing_class=tokenizer
    )
    batch = sft.data_collator([sft.train_dataset[place] for place in range(len(rows.sft))])
    for row, labels in zip(rows.sft, batch["labels"], strict=True):
        end = tokenizer(f"{row.answer}<|im_end|>\n", add_special_tokens=False)["input_ids"]
        assert labels[labels != -100].tolist() == end
    dpo = DPOTrainer(
        model=model, args=DPOConfig(**options), train_dataset=read("trl", "preference")["train"],
        processing_class=tokenizer,
    )  # fmt: skip
    assert len(dpo.train_dataset) == len(rows.preference)
    for row, ids in zip(rows.preference, dpo.train_dataset["rejected_ids"], strict=True):
        assert ids == tokenizer(f"{row.rejected}<|im_end|>\n", add_special_tokens=False)["input_ids"]
