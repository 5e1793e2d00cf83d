"""`kb train --plan` and `--preview` as commands: what they print, their exit codes, and that nothing is begun."""

import json

import pytest
from typer.testing import CliRunner

from kb.cli import app
from kb.errors import UsageError
from kb.llm.general import general_chats

pytestmark = pytest.mark.slow


@pytest.fixture
def command(workspace, prompts, retriever, tiny, tmp_path):
    """A function that runs `kb train` with options over the filled workspace."""
    settings = tmp_path / "kb.toml"
    common = (
        f'[model]\nname = "{tiny}"\nprompts = "{tmp_path / "pack"}"\nload_in_4bit = false\n'
        '[retrieval]\nembedder = "none"\n[train]\nstages = ["sft"]\n'
    )

    def run(*words, more='replay = "none"\n'):
        settings.write_text(common + more, encoding="utf-8")
        places = ("--workspace", str(workspace.root), "--config", str(settings))
        found = CliRunner().invoke(app, ["train", *words, *places])
        assert not (workspace.root / "runs").exists()
        return found

    return run


def test_a_plan_is_printed_and_nothing_is_begun(command):
    """For the device that is here and for a card of the table, with the rules of thumb; the same as JSON."""
    said = command("--plan").stdout
    assert said.startswith("model: ")
    assert "QLoRA r 64" in said
    made = json.loads(command("--plan", "--gpu", "4090", "--json").stdout)
    assert made["card"]["name"] == "4090"
    assert (made["fits"], made["warnings"], sum(made["rows"].values())) == (True, [], 74)
    assert made["seconds"] > 0


def test_a_plan_counts_the_replay_that_is_still_to_be_written(command, monkeypatch):
    """By the share that is asked for, without answers, which it says; nothing is generated for it."""
    # The tiny model reads letter by letter.
    short = [chat for chat in general_chats("replay") if len(chat.messages[-1].content) < 200]
    monkeypatch.setattr("kb.finetune.replay.general_chats", lambda _: list(short))
    found = command("--plan", more='replay = "auto"\n')
    said = found.stdout
    assert "replay: 18 rows at most, which the model writes itself" in said, found.exception
    assert "92 rows (33 full, 4 reading, 4 refusal, 18 replay, 33 short)" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--plan", "--gpu", "409"), "409' is not in kb's table"), (("--gpu", "4090"), "goes with --plan")],
)
def test_a_card_that_means_nothing_is_misuse(command, words, said):
    """An unknown one, or one to train on: exit code 2."""
    error = command(*words).exception
    assert isinstance(error, UsageError)
    assert said in str(error)


def test_a_preview_shows_both_languages_and_names_what_is_too_long(command):
    """Trained spans in brackets; with rows over the limit the exit code is that of a failed check."""
    found = command("--preview")
    assert found.exit_code == 0
    assert "[[3 kg<|im_end|>]]" in command("--preview", "--rows", "20").stdout
    assert "(zh)" in found.stdout
    assert json.loads(command("--preview", "--rows", "0", "--json").stdout)["samples"] == []
    short = command("--preview", more='replay = "none"\nmax_length = 60\n')
    assert short.exit_code == 3
    assert "over the limit of 60 tokens" in short.stdout
