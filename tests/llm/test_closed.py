"""What is asked without passages: the form of the answer, and the documents' name."""

import pytest

from kb.errors import ConfigError
from kb.llm import user
from kb.llm.base import ModelConfig
from kb.llm.closed import closed_prompt
from kb.prompt import Prompts, open_pack


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("short", "closed"), ("refusal", "closed"), ("reversed", "closed"), ("full", "closed_full"),
        ("detailed", "closed_detailed"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_form_has_its_prompt(form, name, language):
    """A refusal is the answer to a question like any other."""
    prompt = Prompts().get("kb", name, language)
    assert closed_prompt(Prompts(), "Who?", language, form) == user(prompt.fill(question="Who?"), prompt.system)


@pytest.mark.parametrize("form", ["short", "full", "detailed"])
def test_the_tag_is_in_front_of_the_question_in_its_brackets(form, tmp_path):
    """Where a pack puts the question; not where other knowledge is asked for, and none without a tag."""
    for name in ("closed", "closed_full", "closed_detailed"):
        (tmp_path / f"{name}.en.txt").write_text("Q: $question A:", encoding="utf-8")
    pack = open_pack(str(tmp_path), "Staff $1")
    assert closed_prompt(pack, "Who?", "en", form)[-1].content == "Q: [Staff $1] Who? A:"
    assert closed_prompt(pack, "Who?", "en", form, tagged=False)[-1].content == "Q: Who? A:"
    assert closed_prompt(open_pack("", "员工手册"), "谁？", "zh", form)[-1].content == "【员工手册】谁？"
    assert closed_prompt(open_pack(""), "谁？", "zh", form)[-1].content == "谁？"


@pytest.mark.parametrize("tag", [" Book", "Book\n", "[Book]", "【手册】", "a\nb", "a\tb"])
def test_a_tag_is_a_name(tag):
    """Blanks around it, brackets and line breaks would not look as they are."""
    with pytest.raises(ConfigError, match=r"\[model\] tag"):
        ModelConfig(tag=tag)
    assert ModelConfig(tag="员工手册 2024").tag == "员工手册 2024"
