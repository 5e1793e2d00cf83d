"""`kb train --plan` and `--preview` as commands: what they print, their exit codes, and that nothing is begun."""

import json

import pytest
from typer.testing import CliRunner

from kb.cli import app
from kb.errors import UsageError

pytestmark = pytest.mark.slow


@pytest.fixture
def command(workspace, prompts, retriever, tiny, tmp_path):
    """A function that runs `kb train` with options over the filled workspace."""
    settings = tmp_path / "kb.toml"
    settings.write_text(
        f'[model]\nname = "{tiny}"\nprompts = "{tmp_path / "pack"}"\nload_in_4bit = false\n'
        '[retrieval]\nembedder = "none"\n[train]\nreplay = "none"\nstages = ["sft"]\n',
        encoding="utf-8",
    )

    def run(*words, more=""):
        settings.write_text(settings.read_text(encoding="utf-8") + more, encoding="utf-8")
        common = ("--workspace", str(workspace.root), "--config", str(settings))
        found = CliRunner().invoke(app, ["train", *words, *common])
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
    short = command("--preview", more="max_length = 60\n")
    assert short.exit_code == 3
    assert "over the limit of 60 tokens" in short.stdout
