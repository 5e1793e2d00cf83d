"""The report for the terminal, as JSON and as Markdown: figures, widths, both languages, hostile text."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len

from kb.evaluate.beside import Attribution, Benchmark
from kb.evaluate.markdown import escaped
from kb.evaluate.report import as_html, as_json, as_markdown, as_table, write_report
from kb.evaluate.results import Check, Report, Text
from kb.evaluate.stats import Interval
from kb.evaluate.summary import summarise
from kb.evaluate.wording import APART, KINDS, p_value, points_range
from kb.records import Probe, Score

HALF = Interval(0.5, 0.4, 0.6)
HOSTILE = "<script>alert(1)</script> | `x` **y** [z](http://q) \n# 标题"


@pytest.fixture(scope="module")
def report(sample: Callable[..., object]) -> Report:
    """A full report of 60 facts."""
    made = sample(60, 3)
    return summarise(
        made.probes, made.scores, name="run-1", resamples=500,
        created="2026-08-22T10:00:00+00:00", seed=3, statements=made.statements,
        documents=made.documents, provenance={"model": "lab", "模型": "实验"},
        checks=[Check("no probe is a trained question", True, "0 leaked")],
    )  # fmt: skip


def hostile_report() -> Report:
    probes = [Probe(f"p{n}", f"f{n}", "held_out", HOSTILE, HOSTILE, "text", "zh") for n in range(2)]
    scores = [
        Score(probe.id, arm, HOSTILE, "correct" if arm == "rag" else "wrong", HOSTILE)
        for probe in probes
        for arm in ("rag", "tuned")
    ]
    facts = {"f0": HOSTILE, "f1": HOSTILE}
    return summarise(
        probes, scores, name=HOSTILE, statements=facts, documents=facts,
        provenance={HOSTILE: HOSTILE}, checks=[Check(HOSTILE, False, HOSTILE)],
    )  # fmt: skip


def test_the_terminal_report_fits_and_has_the_figures_of_the_json(report: Report) -> None:
    """No line is wider than 100 columns, nothing but printable text, and each arm's line shows its share."""
    text = as_table(report)
    assert max(cell_len(line) for line in text.splitlines()) <= 100
    assert "\x1b" not in text
    for arm in as_json(report)["arms"]:
        share = f"{100 * arm['correct']['value']:.1f}%"
        assert any(share in line for line in text.splitlines() if line.lower().startswith(arm["arm"].replace("_", "+")))


def test_the_terminal_report_line_by_line() -> None:
    """Forty facts, two arms: the exact lines of the table and the verdict's first words."""
    probes = [Probe(f"p{n:02d}", f"f{n:02d}", "held_out", "?", "1", "number", "en") for n in range(40)]
    scores = [
        Score(p.id, "rag", "1", "correct" if n < 36 else "wrong", "r", (), 700, 0.5) for n, p in enumerate(probes)
    ]
    scores += [
        Score(p.id, "tuned", "1", "correct" if n < 16 else "abstained", "r", (), 60, 0.1) for n, p in enumerate(probes)
    ]
    lines = as_table(summarise(probes, scores, name="demo")).splitlines()
    assert lines[0] == "kb eval demo   40 facts x 1 wordings   en 100%   seed 0"
    assert lines[2] == (
        "arm           correct  95% interval   all right   wrong  abstain  unparsed near miss  tokens     s"
    )
    assert lines[3].split() == ["RAG", "90.0%", "[76.4,", "96.2]", "90.0%", "10.0%", "0.0%", "0.0%", "700", "0.50"]
    assert lines[4].split() == ["tuned", "40.0%", "[26.0,", "55.9]", "40.0%", "0.0%", "60.0%", "0.0%", "60", "0.10"]
    assert lines[6] == "difference              points 95% interval    p       adjusted  detectable"
    assert lines[7].startswith("tuned - RAG              -50.0 [") and lines[7].split()[6:8] == ["p<.001", "p<.001"]
    assert lines[8].startswith("Retention, tuned / RAG: 0.44 [0.")
    assert "both 16   only RAG 20   only tuned 0   neither 4" in lines[9]


def test_long_chinese_names_fold_by_display_width(report: Report) -> None:
    """A Chinese letter takes two columns: the heading is cut and the warning folded by it, and no letter is lost."""
    name = "知识保留评测" * 20
    text = as_table(replace(report, name=name, warnings=(Text(name, name),)))
    assert max(cell_len(line) for line in text.splitlines()) <= 100
    assert text.splitlines()[0].endswith("...")
    assert name in "".join(line.strip() for line in text.splitlines()).replace("warning: ", "")


def test_columns_are_straight_with_arms_of_any_name() -> None:
    """Runs with Chinese names and long ones: figures of a table end or begin in one column, within 100 of them."""
    kinds = ("held_out", "trained", "placebo")
    probes = [
        Probe(f"{kind}{n}", f"{kind[0] == 'p'}{n}", kind, "?", "1", "number", "zh") for kind in kinds for n in "ab"
    ]
    arms = (
        "base",
        "rag",
        "tuned",
        "tuned_oracle",
        "run:渔场噪声条例",
        "run:渔场噪声条例+rag",
        "run:an-extremely-long-name",
    )
    scores = [Score(probe.id, arm, "1", "correct", "r", ("c",)) for probe in probes for arm in arms]
    report = summarise(probes, scores, resamples=100)
    report = replace(report, attributions=tuple(Attribution(arm, 2, HALF, HALF, HALF) for arm in arms))
    lines = as_table(report).splitlines()
    assert max(map(cell_len, lines)) <= 100

    def columns(of: str, figure: str) -> set[int]:
        return {cell_len(line[: line.index(figure)]) for line in lines if of in line and figure in line}

    assert len(columns(": trained wording", "100.0%")) == 1
    assert len(columns(": right ", "50.0%")) == 1
    heads = [line for line in lines if line.startswith("apart, in %")]
    assert [len(head[20:].split()) for head in heads] == [4, 3]
    for head in heads:
        starts = [cell_len(head[: head.index(name)]) for name in head[20:].split()]
        middles = [start + cell_len(name) / 2 for start, name in zip(starts, head[20:].split(), strict=True)]
        assert all(abs(middle - 30 - 20 * at) <= 1 for at, middle in enumerate(middles)), middles


def test_json_goes_round_and_holds_no_nan(report: Report) -> None:
    """What is written is what is read, strictly: no NaN, no infinity, Chinese unescaped keys included."""
    value = as_json(report)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    assert json.loads(text) == value
    assert value["provenance"]["模型"] == "实验"
    assert value["verdict"].keys() == {"en", "zh"}
    assert value["arms"][0]["correct"].keys() == {"value", "low", "high"}
    assert len(value["fact_rows"]) == 60


def test_json_of_a_report_without_arms_is_valid() -> None:
    """Nothing measured: still valid JSON, text and Markdown that say so."""
    empty = summarise([], [])
    assert json.loads(json.dumps(as_json(empty), allow_nan=False))["arms"] == []
    assert "Nothing was measured" in as_table(empty)
    assert "Nothing was measured" in as_markdown(empty)


def test_markdown_tables_are_rectangular(report: Report) -> None:
    """Every line of every table has as many unescaped pipes as its header, Chinese statements included."""
    text = as_markdown(report)
    assert text.startswith("# Retention report: run-1\n")
    widths: list[int] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            widths = []
            continue
        widths.append(line.replace("\\|", "").count("|"))
        assert len(set(widths)) == 1, line
    assert "微调模型" in text and "。** " in text


def test_hostile_text_is_inert_in_markdown() -> None:
    """No tag, link, heading, emphasis or table cell comes out of a question, rule, check or name."""
    text = as_markdown(hostile_report())
    assert "<script" not in text
    assert "](http" not in text.replace("\\]", "")
    assert "\n# 标题" not in text
    assert "&lt;script>alert(1)&lt;/script> \\| \\`x\\` \\*\\*y\\*\\* \\[z\\](http://q) \\# 标题" in text


def test_markdown_lists_what_only_one_arm_knows() -> None:
    """Facts that RAG knows and the tuned model does not are listed with their answers."""
    text = as_markdown(hostile_report())
    assert "## Facts that only RAG knows" in text
    assert "## Facts that only the tuned model knows" not in text


def test_a_report_without_tuned_arms_has_no_empty_sections(sample: Callable[..., object]) -> None:
    """Base and RAG alone: no heading about tuning, in any form."""
    made = sample(30, 2, ("base", "rag"), rings=False)
    bare = summarise(made.probes, made.scores)
    assert "What tuning cost" not in as_markdown(bare)
    assert "base -> tuned" not in as_table(bare)
    assert "trained wording" not in as_table(bare)


def test_writing_makes_three_files(report: Report, tmp_path) -> None:
    """report.json, report.md and report.html appear in a folder that did not exist, in UTF-8."""
    paths = write_report(report, [], [], tmp_path / "评测")
    assert {suffix: path.name for suffix, path in paths.items()} == {
        "json": "report.json", "md": "report.md", "html": "report.html",
    }  # fmt: skip
    assert json.loads(paths["json"].read_text("utf-8")) == as_json(report)
    assert "微调模型" in paths["md"].read_text("utf-8")
    assert paths["html"].read_text("utf-8").startswith("<!DOCTYPE html>")


def test_what_is_measured_apart_is_in_every_form(report: Report) -> None:
    """A line in the terminal and a row in Markdown for each kind, with facts, share and interval; in Markdown also what
    the kind means, in both languages; and all of it in the JSON.
    """
    made = as_json(report)["apart"]
    assert [one["kind"] for one in made] == ["text_only", "placebo", "reversed", "cross_lingual"]
    lines, text = as_table(report).splitlines(), as_markdown(report)
    start = next(number for number, line in enumerate(lines) if line.startswith("apart, in % (facts)"))
    assert lines[start].split()[4:] == ["base", "RAG", "tuned", "tuned+RAG"]
    section = text.partition("## Measured apart")[2].partition("##")[0]
    for one, line in zip(made, lines[start + 1 :], strict=False):
        name = KINDS[one["kind"]]
        tuned = one["correct"]["tuned"]
        assert line.startswith(f"{name.en} (20) ")
        assert f" {100 * tuned['value']:.1f} [{100 * tuned['low']:4.1f}, {100 * tuned['high']:4.1f}]" in line
        assert f"| {name.en} | 20 |" in section
        assert f"{100 * tuned['value']:.1f}% \\[{100 * tuned['low']:.1f}, {100 * tuned['high']:.1f}\\]" in section
        assert f"- {name.en}: {escaped(APART[one['kind']].en)} {escaped(APART[one['kind']].zh)}" in section


def test_nothing_measured_apart_has_no_section() -> None:
    """As in an evaluation of a set without controls."""
    text = hostile_report()
    assert "Measured apart" not in as_markdown(text)
    assert "apart" not in as_table(text)


def test_the_widest_shares_fit(report: Report) -> None:
    """100% of four arms, on thousands of facts."""
    all_right = Interval(1.0, 0.995, 1.0)
    wide = [replace(one, facts=9999, correct=dict.fromkeys(one.correct, all_right)) for one in report.apart]
    lines = as_table(replace(report, apart=tuple(wide))).splitlines()
    (line,) = [line for line in lines if line.startswith("cross-lingual (9999)")]
    assert line.count(" 100.0 [99.5, 100.0]") == 4
    assert cell_len(line) == 100


def test_wordings_ratios_and_documents_are_in_terminal_and_markdown(sample: Callable[..., object]) -> None:
    """Nine arms on twelve documents: a line for each arm's wordings, the ratios, adjusted p and intervals by document,
    in 100 columns; and what was refused says so.
    """
    made = sample(
        120, 2, ("base", "rag", "tuned", "tuned_rag", "oracle", "tuned_oracle", "tuned_wrong", "wrong", "control")
    )
    titles = {fact: f"Book {at % 12}" for at, fact in enumerate(made.documents)}
    whole = summarise(made.probes, made.scores, documents=titles)
    lines, text = as_table(whole).splitlines(), as_markdown(whole)
    assert max(cell_len(line) for line in lines) <= 100
    start = next(number for number, line in enumerate(lines) if line.startswith("wordings, in %"))
    for arm, line in zip(whole.arms, lines[start + 1 :], strict=False):
        assert arm.same_answer is not None
        assert f"{100 * arm.worst_wrong.value:.1f} [" in line and f"{100 * arm.same_answer.value:.1f} [" in line
    assert any(line.startswith("correct, by document: base [") for line in lines)
    assert next(line for line in lines if line.startswith("difference ")).endswith("by document, p adjusted")
    wide = [one for one in whole.comparisons if one.by_document]
    assert len(wide) == len(whole.comparisons)
    for one in wide:
        assert one.p_by_document_adjusted is not None
        said = f"{points_range(one.by_document)} {p_value(one.p_by_document_adjusted)}"
        assert any(line.endswith(said) for line in lines) and escaped(said) in text
    assert as_json(whole)["comparisons"][0]["p_by_document"] == round(whole.comparisons[0].p_by_document, 6)
    gain = whole.gain_retention
    assert gain is not None and f"120 facts new to the base: {gain.value:.2f} [" in "\n".join(lines)
    assert "## Over the wordings of a fact" in text and "Retention, tuned / oracle: " in text
    assert "| p adjusted |" in text and "已向全部文档的比例收缩" in text
    low = [replace(one, verdict="wrong") if one.arm == "rag" else one for one in made.scores]
    assert "Retention, tuned / RAG: not given" in as_table(summarise(made.probes, low))


def test_public_benchmarks_stand_in_every_form(report: Report) -> None:
    """Shares, paired difference and adjusted p, the right choice below it, and a mark where something was lost."""
    shares = Interval(0.62, 0.6, 0.64), Interval(0.58, 0.56, 0.6)
    arc = Benchmark(
        "arc", "bench-run-1", "2026", 1172, *shares, Interval(-0.04, -0.06, -0.02), 0.001, 0.002, 0.031,
        Interval(-0.12, -0.2, -0.04),
    )  # fmt: skip
    gsm8k = replace(arc, name="gsm8k", difference=Interval(-0.04, -0.09, 0.01), p_adjusted=0.2, shift=None)
    full = replace(report, benchmarks=(arc, gsm8k))
    table = as_table(full)
    assert "  arc, 1,172 questions (smallest detectable 3.1)" in table
    assert "62.0% -> 58.0% -4.0 [-6.0, -2.0]! p=.002" in table and "-4.0 [-9.0, +1.0] p=.200" in table
    assert max(map(cell_len, table.splitlines())) <= 100
    assert "## Public benchmarks" in as_markdown(full) and "-0.12 \\[-0.20, -0.04\\] nats" in as_markdown(full)
    assert as_json(full)["benchmarks"][0]["difference"]["low"] == -0.06
    page = as_html(full, [], [])
    assert all(text in page for text in ("公开基准", "bench-run-1", "正确选项的对数概率", "1,172 题"))
    assert "benchmarks" not in as_table(report) + as_markdown(report) and "公开基准" not in as_html(report, [], [])
