"""Ollama's template from the chat template: the same prompt character by character, or none."""

from pathlib import Path

import pytest
import trl
from transformers import AutoTokenizer

from kb.finetune.export_files import trained_template
from kb.finetune.export_ollama import NotDerived, derive, modelfile, rendered
from kb.llm.base import user
from kb.llm.open import lab_folder

pytestmark = pytest.mark.slow

TEMPLATES = Path(trl.__file__).parent / "chat_templates"
REAL = [user('Wann? "q" \\n'), user("何时？\n  第二行", "按文档回答")]
CHATS = [
    (("user", "你好"),),
    (("system", "系统\nrules"), ("user", "a\n\nb")),
    (("user", "u1"), ("assistant", "a1"), ("user", "u2"), ("assistant", "a2"), ("user", "u3")),
]


@pytest.fixture
def tokenizer():
    """The lab model's, to be given other templates."""
    return AutoTokenizer.from_pretrained(lab_folder())


def chat(turns):
    return [{"role": role, "content": content} for role, content in turns]


def execute(template, turns):
    """The Go template as Ollama executes it, as far as kb writes Go: the parts of text/template that appear in it."""
    import json
    import re

    system = any(role == "system" for role, _ in turns)
    out, rest = "", template
    alone = re.match(r"{{ if not \.System }}{{ (\".*?[^\\]\") }}{{ end }}", rest)
    if alone:
        out, rest = "" if system else json.loads(alone[1]), rest[alone.end() :]
    body, end = re.fullmatch(r"{{ range \.Messages }}{{ if (.*){{ end }}{{ end }}(.*)", rest, re.DOTALL).groups()
    branches = dict(re.fullmatch(r'eq \.Role "(\w+)" }}(.*)', one, re.DOTALL).groups()
                    for one in body.split("{{ else if "))  # fmt: skip

    def written(text, content=""):
        pieces = re.split(r"{{ (\.Content|\"(?:[^\"\\]|\\.)*\") }}", text)
        return "".join(content if one == ".Content" else json.loads(one) if one else "" for one in pieces)

    return out + "".join(written(branches[role], content) for role, content in turns) + written(end)


@pytest.mark.parametrize("name", ["qwen3", "qwen2_5", "qwen3_instruct_2507", "llama3_1", "phi3", "glm4moe", "gemma3"])
def test_real_templates_give_the_same_prompts(tokenizer, name):
    """With and without a system message, over several turns, thinking off; quotes and backslashes are safe."""
    tokenizer.chat_template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
    tokenizer.bos_token = "<|endoftext|>"
    template = trained_template(tokenizer)
    go = derive(tokenizer, template, REAL).go()
    for turns in CHATS:
        assert execute(go, turns) == rendered(tokenizer, tokenizer.chat_template, chat(turns), off=True)


def test_thinking_is_off_without_being_told(tokenizer):
    """Qwen3's template opens with empty thoughts, as in training; one without a thinking mode is left as it is."""
    tokenizer.chat_template = (TEMPLATES / "qwen3.jinja").read_text(encoding="utf-8")
    shown = rendered(tokenizer, trained_template(tokenizer), chat(CHATS[0]))
    assert shown.endswith("<think>\n\n</think>\n\n")
    tokenizer.chat_template = (TEMPLATES / "qwen2_5.jinja").read_text(encoding="utf-8")
    assert trained_template(tokenizer) == tokenizer.chat_template


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ strftime_now('%d') }}{{ messages[0].content }}", "today's date"),
        ("{{ messages[-1].content | upper }}", "changes or leaves out"),
        ("{{ messages[0].content }}", "changes or leaves out"),
        ("{% for m in messages %}{{ loop.index }}{{ m.role }}:{{ m.content }};{% endfor %}", "what comes before it"),
        ("{{ raise_exception('no') }}", "refuses plain turns"),
    ],
)
def test_what_cannot_be_derived_is_said_and_not_guessed(tokenizer, template, why):
    """The Modelfile then has no TEMPLATE, and says why."""
    with pytest.raises(NotDerived, match=why):
        derive(tokenizer, template, REAL[:1])
    text = modelfile(".", why, ["<|im_end|>"])
    assert f"# TEMPLATE is left out: {why}." in text
    assert '\nTEMPLATE """' not in text


def test_a_template_that_knows_no_system_message_gives_one_without(tokenizer):
    """Gemma's first; a chat with a system message could not have been trained."""
    tokenizer.chat_template = (TEMPLATES / "gemma.jinja").read_text(encoding="utf-8")
    tokenizer.bos_token = "<|endoftext|>"
    pieces = derive(tokenizer, tokenizer.chat_template, REAL[:1])
    assert "system" not in pieces.around
    assert execute(pieces.go(), CHATS[2]) == rendered(tokenizer, tokenizer.chat_template, chat(CHATS[2]))


def test_the_first_token_is_not_put_twice(tokenizer, monkeypatch):
    """Ollama adds it where the tokenizer does, so the template must not; where only Ollama would, there is none."""
    monkeypatch.setattr("kb.finetune.export_ollama._added_bos", lambda _: "<|endoftext|>")
    tokenizer.bos_token = "<|endoftext|>"
    tokenizer.chat_template = (TEMPLATES / "llama3_1.jinja").read_text(encoding="utf-8")
    go = derive(tokenizer, tokenizer.chat_template, REAL).go()
    for turns in CHATS:
        assert "<|endoftext|>" + execute(go, turns) == rendered(tokenizer, tokenizer.chat_template, chat(turns))
    tokenizer.chat_template = (TEMPLATES / "qwen2_5.jinja").read_text(encoding="utf-8")
    with pytest.raises(NotDerived, match="first token"):
        derive(tokenizer, tokenizer.chat_template, REAL)


def test_a_modelfile_is_greedy_and_stops_where_the_model_does():
    """Every stop token, quoted."""
    text = modelfile("./x-q8_0.gguf", "no reason", ["<|im_end|>", 'a"b'])
    assert text.splitlines()[1] == "FROM ./x-q8_0.gguf"
    assert text.endswith('PARAMETER stop "<|im_end|>"\nPARAMETER stop "a\\"b"\nPARAMETER temperature 0\n')
