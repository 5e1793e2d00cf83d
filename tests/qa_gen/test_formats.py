"""Every form is read back by the rules of its tool, restated here from the tool's source, to the rows as trained."""

import json

import pytest

from kb.prompt import Prompts
from kb.qa_gen.formats import FORMATS, trl, trl_preference, unsloth
from kb.qa_gen.rows import trained_rows
from kb.qa_gen.trainers import run
from kb.workspace import read_jsonl

TEXTS = ("alpaca", "sharegpt", "messages", "llama-factory", "ms-swift", "firefly")
"""Forms whose files are text; tests/qa_gen/test_loaders.py has the tables."""


@pytest.fixture(scope="module")
def exported(still, tmp_path_factory):
    """The folder with an export in each form that is text."""
    folder = tmp_path_factory.mktemp("exported")
    run(still, TEXTS, folder, Prompts())
    return folder


def as_trained(rows):
    """System message, question, answer and, of a preference pair, rejected answer."""
    return [(row.system, row.asked, row.answer, *filter(None, [row.rejected])) for row in rows]


def alpaca_file(folder, kind):
    """Stanford Alpaca's train.py joins instruction and input; `system` and preference as LLaMA-Factory has them."""
    for row in json.loads((folder / f"{kind}-train.json").read_text(encoding="utf-8")):
        answers = [row["output"]] if kind == "sft" else [row["chosen"], row["rejected"]]
        yield (row["system"], "\n".join(filter(None, [row["instruction"], row["input"]])), *answers)


def sharegpt_file(folder, kind):
    """FastChat's turns: `from` and `value`, human and gpt by turns after the system message."""
    for row in json.loads((folder / f"{kind}-train.json").read_text(encoding="utf-8")):
        turns = row["conversations"] + ([] if kind == "sft" else [row["chosen"]])
        assert [turn["from"] for turn in turns] == ["system", "human", "gpt"]
        yield (*(turn["value"] for turn in turns), *([] if kind == "sft" else [row["rejected"]["value"]]))


def llama_factory(folder, kind):
    """LLaMA-Factory 0.9.5: data/parser.py reads dataset_info.json, data/converter.py SharegptDatasetConverter the rows.

    A column or tag that the index does not name does not exist; a row whose roles do not alternate, or of the wrong
    count, is dropped.
    """
    info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))[f"kb_{kind}"]
    tags, columns = info["tags"], info["columns"]
    assert (info["formatting"], info["ranking"]) == ("sharegpt", kind == "preference")
    role, content = tags["role_tag"], tags["content_tag"]
    for row in json.loads((folder / info["file_name"]).read_text(encoding="utf-8")):
        system, *turns = row[columns["messages"]]
        assert system[role] == tags["system_tag"]
        if info["ranking"]:
            answers = [row[columns["chosen"]], row[columns["rejected"]]]
            assert len(turns) % 2 == 1
        else:
            answers = turns[-1:]
            assert len(turns) % 2 == 0
        assert turns[0][role] == tags["user_tag"]
        assert {answer[role] for answer in answers} == {tags["assistant_tag"]}
        yield (system[content], turns[0][content], *(answer[content] for answer in answers))


def messages_file(folder, kind):
    """Roles and contents, as chat templates want them."""
    for row in read_jsonl(folder / f"{kind}-train.jsonl"):
        turns = row["messages"] if kind == "sft" else row["prompt"] + row["chosen"] + row["rejected"]
        assert [turn["role"] for turn in turns] == ["system", "user"] + ["assistant"] * (len(turns) - 2)
        yield tuple(turn["content"] for turn in turns)


RENAMED = {
    "system", "system_prompt", "query", "prompt", "input", "instruction", "question", "problem", "response", "answer",
    "output", "text", "completion", "content", "conversation", "conversations", "label", "channel", "solution", "tools",
}  # fmt: skip
"""Columns to which ms-swift gives a meaning of its own."""


def swift_file(folder, kind):
    """ms-swift 4.6.0: swift/dataset/preprocessor/core.py, MessagesPreprocessor and _check_messages.

    `rejected_messages` is what template/template_inputs.py makes of `rejected_response`.
    """
    for row in read_jsonl(folder / f"{kind}-train.jsonl"):
        assert not RENAMED & set(row)
        assert row["chat_template_kwargs"] == {"enable_thinking": False}
        chats = [row["messages"]] if kind == "sft" else [row["messages"], row["rejected_messages"]]
        for chat in chats:
            assert [set(turn) for turn in chat] == [{"role", "content"}] * 3
            assert [turn["role"] for turn in chat] == ["system", "user", "assistant"]
        system, asked, _ = (turn["content"] for turn in chats[-1])
        yield (system, asked, *(chat[-1]["content"] for chat in chats))


def firefly_file(folder, kind):
    """Firefly's component/dataset.py of 2024: UnifiedSFTDataset and UnifiedDPODataset, line by line."""
    for line in (folder / f"{kind}-train.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
        row = json.loads(line)
        if kind == "sft":
            (turn,) = row["conversation"]
            yield row["system"], turn["human"], turn["assistant"]
        else:
            *chat, chosen = row["chosen"]
            *same, rejected = row["rejected"]
            assert chat == same
            assert [turn["role"] for turn in chat] == ["system", "user"]
            yield chat[0]["content"], chat[1]["content"], chosen["content"], rejected["content"]


READERS = {
    "alpaca": alpaca_file, "sharegpt": sharegpt_file, "messages": messages_file, "llama-factory": llama_factory,
    "ms-swift": swift_file, "firefly": firefly_file,
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_rows_come_back_as_they_are_trained(still, exported, name):
    """System message, question and answers of every row in order: quotes, tables, $, emoji and line separators too."""
    rows = trained_rows(still.store, Prompts())
    assert list(READERS[name](exported / name, "sft")) == as_trained(rows.sft)
    assert list(READERS[name](exported / name, "preference")) == as_trained(rows.preference)


@pytest.mark.parametrize("name", TEXTS)
def test_files_are_readable_as_they_are(exported, name):
    """Chinese, emoji and accents as themselves in UTF-8, no word of a held-out question in any file."""
    files = {path.name: path.read_bytes().decode("utf-8") for path in (exported / name).iterdir()}
    assert "“星河”的价格\u2028是多少？" in files[next(file for file in files if file.startswith("sft-"))]
    for text in files.values():
        assert "\\u" not in text
        assert "PROBE" not in text


@pytest.mark.parametrize("name", [*FORMATS])
def test_every_row_leads_back_to_its_fact(still, name):
    """Id, fact, form or source, and language, whatever the form."""
    rows = trained_rows(still.store, Prompts())
    row, pair = rows.sft[1], rows.preference[-1]
    ids = {"id": "pair_0f", "fact": "fct_0", "form": "full", "language": "en"}
    assert FORMATS[name].sft(row).items() >= ids.items()
    ids = {"id": "pref_near", "fact": "fct_0", "source": "refusal", "language": "en"}
    assert FORMATS[name].preference(pair).items() >= ids.items()


def test_a_prompt_without_a_system_message_leaves_no_empty_one(still, tmp_path):
    """A turn without words would be trained; Firefly leaves the key out and takes its template's own message."""
    for language in ("en", "zh"):
        (tmp_path / f"closed.{language}.txt").write_text("$question", encoding="utf-8")
    row = trained_rows(still.store, Prompts(tmp_path)).sft[0]
    assert row.system == ""
    assert [turn["from"] for turn in FORMATS["sharegpt"].sft(row)["conversations"]] == ["human", "gpt"]
    assert [turn["role"] for turn in FORMATS["messages"].sft(row)["messages"]] == ["user", "assistant"]
    assert "system" not in FORMATS["firefly"].sft(row)
    assert FORMATS["alpaca"].sft(row)["system"] == ""


def test_tables_hold_prompt_and_answer_apart(still):
    """TRL trains on the completion alone and needs the prompt to end with the user; unsloth takes the whole chat."""
    rows = trained_rows(still.store, Prompts())
    for row in rows.sft:
        one = trl(row)
        assert [turn["role"] for turn in one["prompt"] + one["completion"]] == ["system", "user", "assistant"]
        assert unsloth(row)["conversations"] == one["prompt"] + one["completion"]
    for row in rows.preference:
        one = trl_preference(row)
        assert one["prompt"][-1] == {"role": "user", "content": row.asked}
        assert [turn["content"] for turn in one["chosen"] + one["rejected"]] == [row.answer, row.rejected]
