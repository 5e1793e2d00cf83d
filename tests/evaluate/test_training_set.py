"""What the reports of an evaluation say of the set."""

import json

from kb.evaluate.training_set import read_training_set, rows
from kb.llm.known import KnownMix

SAID = {
    "facts": 9, "drafted": 12,
    "coverage": {"whole": {"share": 0.75, "asked": 6, "units": 8}},
    "quality": {
        "leakage": {"leaked": 1, "probes": 54, "most": 0.61}, "wordings": 6.0, "likeness": 0.4,
        "types": {"money": 5, "place": 4}, "languages": {"zh": 9},
    },
    "faithfulness": None,
}  # fmt: skip
JUDGED = {
    "upheld": {"value": 0.95, "of": 100, "interval": [0.888, 0.978]}, "sensitivity": {"value": 0.99},
    "specificity": {"value": 0.9},
}  # fmt: skip


def test_every_line_is_in_both_languages(tmp_path):
    """Figures are the same in both."""
    said = {label.en: text for label, text in rows(SAID)}
    assert said["Facts"].en == "9 kept of 12 drafted"
    assert said["Facts"].zh == "起草 12 个，保留 9 个"
    assert said["Coverage"].en.startswith("75.0% of the sentences")
    assert said["Leakage"].zh.startswith("54 个留出问法中有 1 个")
    assert said["Answer types"].zh == "金额 5，地点 4"
    assert said["Faithfulness"].en.startswith("not judged")


def test_how_facts_are_taught_is_said_where_it_is_known():
    """A report of before it was counted has no such line."""
    counted = SAID | {"quality": SAID["quality"] | {"taught": {"questions": 7, "text": 1, "never": 1}}}
    said = {label.en: text for label, text in rows(counted)}["Facts taught"]
    assert said.en == "by questions 7, by texts alone 1, never (placebo) 1"
    assert said.zh == "用问题训练 7，仅用文本训练 1，从不训练（安慰剂）1"
    assert "Facts taught" not in {label.en for label, _ in rows(SAID)}


def test_a_judged_set_says_how_good_the_judge_is():
    """A share without its interval and its judge means nothing."""
    said = {label.en: text for label, text in rows(SAID | {"faithfulness": JUDGED})}["Faithfulness"]
    assert said.en.startswith("95.0% [88.8, 97.8] of 100 sampled facts upheld")
    assert "99% of what is true" in said.en
    assert "否定假命题的 90%" in said.zh


def test_a_set_that_was_not_judged_although_another_one_was():
    """The reader is told why there is no figure."""
    said = {label.en: text for label, text in rows(SAID | {"judged_other": True})}["Faithfulness"]
    assert said.en.startswith("judged on another set")
    assert said.zh.startswith("评判的是另一套题目")


def test_what_models_knew_before_is_a_row_for_each(tmp_path):
    """As it is stored by now: `kb train` may have asked the base since the report was written."""
    file = tmp_path / "qa-report.json"
    file.write_text(json.dumps(SAID | {"knownness": []}), encoding="utf-8")
    mixes = [KnownMix("Small One", "abc", 10, 7, 1, 1), KnownMix("openai:big", "def", 10, 1, 1, 7)]
    said = [text for label, text in rows(read_training_set(file, mixes)) if label.en == "Known before training"]
    assert said[0].en == "unknown 7, maybe 1, known 1 (10 closed-book answers a fact, Small One)"
    assert said[1].zh == "未掌握 1，部分掌握 1，已掌握 7（openai:big，每个事实 10 次闭卷回答）"


LIMIT = {
    "embedder": "all-MiniLM", "cosine": 0.831, "caught": {"hits": 276, "of": 288}, "false": {"hits": 2, "of": 288},
    "usable": True,
}  # fmt: skip
NEARNESS = {"limit": LIMIT, "probes": 54, "leaked": 1, "median": 0.6, "most": 0.84, "likeness": 0.7, "unnamed": 0}


def test_leakage_by_embedding_says_how_good_its_limit_is():
    """A row for each language; where nothing reads it, or the embedder cannot tell, that."""
    off = NEARNESS | {"limit": LIMIT | {"usable": False, "caught": {"hits": 0, "of": 288}}}
    by_language = {"en": NEARNESS, "zh": NEARNESS | {"limit": None}, "ja": off}
    quality = SAID["quality"] | {"meaning": by_language, "repeats": 3, "trained": 54}
    said = {label.en: text for label, text in rows(SAID | {"quality": quality})}
    read = said["Leakage by embedding, English"]
    assert read.en.startswith("1 of 54 held-out wordings are nearer than cosine 0.831 to a trained one")
    assert "95.8% of trifling edits so, and 0.7% of real rewordings" in read.en
    assert "识别 95.8% 的细微改动，误判 0.7%" in read.zh
    assert said["Leakage by embedding, Chinese"].en == "not measured: no embedder reads it"
    assert said["Leakage by embedding, ja"].en.startswith("cannot be told: all-MiniLM catches 0.0%")
    assert said["Trained wordings"].en.endswith("; 3 of 54 repeat another one but for trifles")
    assert "54 个中有 3 个" in said["Trained wordings"].zh


def test_nothing_said_is_no_section(tmp_path):
    """An evaluation of probes that nobody reported on."""
    assert rows(read_training_set(tmp_path / "qa-report.json")) == []
