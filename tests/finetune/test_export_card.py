"""What a card says of a model, in both languages, and the script that serves it."""

from dataclasses import replace
from pathlib import Path

import pytest

from kb.errors import ConfigError
from kb.evals import Evaluation, Measured
from kb.finetune.export_card import About, base_licence, card, serve_script
from kb.finetune.export_config import ExportConfig
from kb.finetune.export_gguf_check import Gguf
from kb.finetune.export_parity import Parity
from kb.runs import Lineage, Run

pytestmark = pytest.mark.slow

RUN = Run("my run", {"rank": 8, "name": ""}, Lineage("Qwen/Qwen3-4B", "b1", "/x y/adapter", "a1", "d1", "文件1", 12,
          tag="Handbook"), {}, "2026-01-01")  # fmt: skip
PARITY = Parity(8, 8, 40, 0.00012, 0.005, 1.0, 4, 3, 3, 4)
ABOUT = About(RUN, Path("/nowhere"), True, "bf16", "e1", 5, {"short": 30, "reading": 6}, PARITY, None, (), 0, False, ())


def test_both_languages_say_where_it_comes_from():
    """Base and its licence, documents, facts, rows, hashes, how it was merged and how near it came."""
    text = card(ABOUT)
    english, chinese = text.split("# my run（中文）")
    for part in (english, chinese):
        for said in ("Qwen/Qwen3-4B", "b1", "a1", "d1", "e1", "文件1", "reading 6, short 30", "0.00012", "Handbook"):
            assert said in part
    assert 'base_model: "Qwen/Qwen3-4B"' in english
    assert "`rank=8`" in english
    assert "NF4" in english and "NF4" in chinese
    assert "- kb: `kb serve --model FOLDER` in the workspace" in text


def test_what_is_known_of_the_gguf_file_is_said():
    """Figures of its own where it was compared, the reason where it was not, in both languages."""
    passed = card(replace(ABOUT, gguf=Gguf("a.gguf", replace(PARITY, kl=0.00345))))
    assert passed.count("0.00345 nat") == 2 and "-m a.gguf" in passed
    unread = card(replace(ABOUT, gguf=Gguf("a.gguf", why="nobody reads it")))
    assert "**not** compared: nobody reads it" in unread and "**未**作比较：nobody reads it" in unread
    assert "a.gguf" not in card(ABOUT)


def test_figures_have_intervals_and_what_is_not_known_is_said():
    """Retention, losses, withheld documents and facts never learnt; not evaluated where it was not."""
    assert "Not evaluated" in card(ABOUT) and "未评测" in card(ABOUT)
    share, loss = Measured(0.5, 0.4, 0.6), Measured(-0.01, -0.02, 0.005)
    found = Evaluation("one-a", "2026-01-02", 12, 60, {"tuned": share, "oracle": share}, share, {"known": loss})
    unknown = [f"Fact {number}." for number in range(25)]
    text = card(replace(ABOUT, evaluation=found, unknown=unknown, withheld=2, outdated=True))
    assert "| this model, without documents | 50.0% [40.0, 60.0] |" in text
    assert "| 原有知识 | -1.0% [-2.0, +0.5] |" in text
    assert "25 facts that it answered wrongly" in text and "  - Fact 19.\n  - ..." in text and "Fact 20" not in text
    assert "2 documents that were withheld" in text and "documents have changed since" in text


def test_the_licence_of_the_base_is_read_from_its_card(tmp_path):
    """Only from the head; a base without one says nothing."""
    assert base_licence(tmp_path) == ""
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\nlicense: none", encoding="utf-8")
    assert base_licence(tmp_path) == "apache-2.0"
    (tmp_path / "README.md").write_text("# A model\nlicense: mit\n---\n---", encoding="utf-8")
    assert base_licence(tmp_path) == ""


def test_the_script_serves_the_folder_or_the_adapter_on_its_base():
    """Names and paths are quoted, the base is in 4 bits as in training, and the rank is one that vLLM takes."""
    text = serve_script(RUN, "/models/Qwen 3", 48, True)
    assert 'vllm serve "$HERE" --served-model-name \'my run\' "$@"' in text
    assert "vllm serve '/models/Qwen 3' --quantization bitsandbytes --enable-lora --max-lora-rank 64" in text
    assert "--lora-modules 'my run=/x y/adapter'" in text
    assert "bitsandbytes" not in serve_script(RUN, "/models/Qwen 3", 48, False)


@pytest.mark.parametrize(
    "change", [{"gguf": "q4_k_m"}, {"parity_probes": 0}, {"parity_kl": -1.0}, {"parity_gguf_kl": 11.0}]
)
def test_a_setting_without_a_meaning_is_named(change):
    """With what it may be; a smaller GGUF has its way."""
    with pytest.raises(ConfigError, match=rf"\[export\] {next(iter(change))}"):
        ExportConfig(**change)


def test_a_figure_that_is_no_number_fails():
    """Infinite where the tokens differ, NaN where fp16 overflowed; each failure says figure and limit."""
    config = ExportConfig()
    assert PARITY.failures(config) == []
    assert "KL nan" in replace(PARITY, kl=float("nan")).failures(config)[0]
    assert "KL inf" in replace(PARITY, kl=float("inf")).failures(config)[0]
    assert replace(PARITY, agreement=0.9, exported_right=2).failures(config) == [
        "the same likeliest token at 90.0%, least 97.0%", "2 of 4 probes right, the adapter 3",
    ]  # fmt: skip
