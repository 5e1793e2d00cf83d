"""Prompt files and packs."""

import string
from importlib import resources
from pathlib import Path

import pytest

from kb.errors import ConfigError
from kb.prompt import open_pack

REWRITES = ("rewrite_plain", "rewrite_explanatory", "rewrite_dense")
PACKAGES = {"kb": ("again", "closed", "closed_full", "closed_detailed", "judge", "rag", "rag_full", "refusal", "tell")}
TURNED = ("reversed", "reversed_probes", "cross_lingual")
PACKAGES["kb.qa_gen"] = ("facts", "questions", "probes", "near_miss", "unanswerable", *TURNED, *REWRITES)
PACKAGES["kb.qa_gen"] += ("more_questions", "detailed", "detailed_answer", "json_facts", "json_questions")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_prompt_is_there_in_both_languages_with_the_same_places(package):
    """English and Chinese prompts come in pairs and are filled with the same fields."""
    prompts = open_pack("")
    for name in PACKAGES[package]:
        english, chinese = (prompts.get(package, name, language) for language in ("en", "zh"))
        assert english.places == chinese.places
        assert any("一" <= c <= "鿿" for c in chinese.system + chinese.text)
    folder = Path(str(resources.files(package))) / "prompts"
    assert {file.name.split(".")[0] for file in folder.glob("*.txt")} == set(PACKAGES[package])


def test_filling_leaves_dollars_and_braces_of_the_text_alone():
    """Inserted text is never scanned again, and a missing field raises."""
    prompt = open_pack("").get("kb", "rag", "en")
    filled = prompt.fill(passages="costs $5 {x} $question", question="How much?")
    assert "costs $5 {x} $question" in filled
    with pytest.raises(KeyError):
        prompt.fill(question="How much?")


def test_a_pack_replaces_prompts_by_name_and_changes_their_id(tmp_path):
    """A file of the pack is used instead of kb's own; the rest stays, and keys that hold the id change."""
    (tmp_path / "closed.en.txt").write_text("Be brief.\n===\nQ: $question\n")
    own, pack = open_pack(""), open_pack(str(tmp_path))
    mine = pack.get("kb", "closed", "en")
    assert (mine.system, mine.fill(question="Why?")) == ("Be brief.", "Q: Why?")
    assert mine.id != own.get("kb", "closed", "en").id
    assert pack.get("kb", "closed", "zh") == own.get("kb", "closed", "zh")


def test_a_pack_with_an_unknown_place_is_refused(tmp_path):
    """A place that kb never fills is found when the prompt is read, not after an hour."""
    (tmp_path / "closed.en.txt").write_text("$question from $chapter\n")
    with pytest.raises(ConfigError, match=r"\$chapter"):
        open_pack(str(tmp_path)).get("kb", "closed", "en")


def test_a_folder_without_prompts_is_refused(tmp_path):
    """A wrong --prompts folder is an error, not silently kb's own prompts."""
    with pytest.raises(ConfigError, match="no prompt files"):
        open_pack(str(tmp_path))


def test_the_lab_pack_fills_with_what_kb_gives():
    """Every prompt of the lab model's pack uses only places of the prompt it replaces."""
    pack = open_pack(str(Path(str(resources.files("kb.corpora"))) / "lab" / "prompts"))
    for package, names in PACKAGES.items():
        for name in names:
            for language in ("en", "zh"):
                assert pack.get(package, name, language).places <= open_pack("").get(package, name, language).places


def test_templates_are_valid():
    """No prompt has a stray dollar."""
    for package in PACKAGES:
        for file in (Path(str(resources.files(package))) / "prompts").glob("*.txt"):
            assert string.Template(file.read_text(encoding="utf-8")).is_valid()
