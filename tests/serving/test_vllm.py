"""The command line of the vLLM server, and its chat template."""

from pathlib import Path

import jinja2

from kb.llm.base import ModelConfig
from kb.runs import all_runs
from kb.serving.vllm import command, shown, template


def test_the_command_line_has_base_and_adapters_by_name(place, train):
    """The rank is the next that vLLM takes, and the model's own decoding settings are left out."""
    first, second = train("one", rank=8), train("第二", rank=48)
    words = command(Path("/m"), all_runs(place.store), ModelConfig(), Path("/t.jinja"), "127.0.0.1", 9)
    assert shown(words) == (
        "vllm serve /m --served-model-name base --host 127.0.0.1 --port 9 --chat-template /t.jinja"
        " --generation-config vllm --quantization bitsandbytes --enable-lora --max-lora-rank 64 --max-loras 2"
        f" --lora-modules one={first} '第二={second}'"
    )


def test_without_adapters_and_without_4_bit_the_base_alone():
    """Nothing of LoRA or quantisation."""
    words = command(Path("/m"), [], ModelConfig(load_in_4bit=False), Path("/t"), "::1", 9)
    assert words[-4:] == ["--chat-template", "/t", "--generation-config", "vllm"]


def test_thinking_is_off_in_the_template():
    """What a server renders without knowing of thinking is what kb renders with thinking off."""
    own = (
        "{% for m in messages %}{{ m.content }}{% if enable_thinking is not defined or enable_thinking %}?{% endif %}"
        "{% endfor %}"
    )
    messages = [{"content": "a"}, {"content": "b"}]
    rendered = jinja2.Template(template(own)).render(messages=messages)
    assert rendered == jinja2.Template(own).render(messages=messages, enable_thinking=False) == "ab"
    assert jinja2.Template(own).render(messages=messages) == "a?b?"
