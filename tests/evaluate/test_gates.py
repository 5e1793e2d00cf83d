"""Gates on the figures of a report: how they are read, what they are held against, and what a build is told."""

import json
from dataclasses import replace
from xml.etree import ElementTree as xml

import pytest

from kb.errors import UsageError
from kb.evaluate.gates import as_markdown, figures, held_against, read_gate
from kb.evaluate.junit import as_junit
from kb.evaluate.report import as_json
from kb.evaluate.results import Check
from kb.evaluate.run import EvalReport
from kb.evaluate.summary import summarise


@pytest.fixture(scope="module")
def report(sample):
    """A full report of 60 facts, with a check that a model's answer is quoted in."""
    made = sample(60, 3)
    checks = [
        Check("no probe is a trained question", True, "0 leaked"),
        Check("<arms> differ", False, "all say \x07 & 中文"),
    ]
    return summarise(made.probes, made.scores, name="run-1", resamples=200, checks=checks)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("tuned.correct.lower < 0.6", ("tuned.correct.lower", "<", 0.6)),
        ("tuned-rag.difference.lower<=-0.05", ("tuned-rag.difference.lower", "<=", -0.05)),
        ("  rings.known.change.lower  >=  1e-1 ", ("rings.known.change.lower", ">=", 0.1)),
        ("findings.question_defect != 0", ("findings.question_defect", "!=", 0.0)),
        ("facts==30", ("facts", "==", 30.0)),
        ("run:sft-1.correct.value > .5", ("run:sft-1.correct.value", ">", 0.5)),
    ],
)
def test_a_condition_is_a_path_an_operator_and_a_number(text, read):
    """With or without spaces."""
    gate = read_gate(text)
    assert (gate.path, gate.sign, gate.number) == read


@pytest.mark.parametrize(
    "text",
    ["", "tuned", "tuned.correct < ", "< 0.6", "tuned < rag", "tuned < nan", "a < 1 < 2", "a =< 1", "a < 60%",
     "__import__('os') < 1", "a < b(1)", "a b < 1", "1 < 2\nc < 3"],
)  # fmt: skip
def test_what_is_no_condition_is_refused(text):
    """With an example of one; code is no condition, or a path that no report has."""
    if text.startswith("__import__"):
        assert read_gate(text).path == "__import__('os')"
        return
    with pytest.raises(UsageError, match=r"expected PATH OP NUMBER .*, as in 'tuned.correct.lower < 0.6'"):
        read_gate(text)


def test_figures_are_those_of_the_report(report):
    """Each by its path, as report.json has it."""
    found, written = figures(report), as_json(report)
    tuned = next(arm for arm in written["arms"] if arm["arm"] == "tuned")
    against = next(one for one in written["comparisons"] if (one["arm"], one["against"]) == ("tuned", "rag"))
    known = next(ring for ring in written["rings"] if ring["name"] == "known")
    reversed_ = next(one for one in written["apart"] if one["kind"] == "reversed")
    wanted = {
        "facts": 60, "tuned.correct.lower": tuned["correct"]["low"], "tuned.wrong": tuned["wrong"],
        "tuned.near_miss.value": tuned["near_miss"]["value"],
        "tuned-rag.difference.upper": against["difference"]["high"], "tuned-rag.p": against["p"],
        "rings.known.change.lower": known["difference"]["low"],
        "rings.known.tuned.value": known["tuned"]["value"], "retention.value": written["retention"]["value"],
        "apart.reversed.tuned.lower": reversed_["correct"]["tuned"]["low"],
        "findings.learnt": sum("learnt" in row["findings"] for row in written["fact_rows"]),
        "findings.question_defect": sum("question_defect" in row["findings"] for row in written["fact_rows"]),
    }  # fmt: skip
    assert {path: round(found[path], 6) for path in wanted} == wanted


def test_a_gate_fails_where_its_condition_holds(report):
    """And where its figure was not measured, whatever the condition."""
    gates = [read_gate(f"tuned.correct.lower {sign} 0.5") for sign in ("<", ">=")]
    assert [one.failed for one in held_against(gates, report)] == [False, True]
    unmeasured = replace(report, retention=None)
    outcomes = held_against([read_gate(f"retention.lower {sign} 0.5") for sign in ("<", ">=")], unmeasured)
    outcomes += held_against([read_gate("tuned-rag.p_by_document_adjusted < 0.05")], report)
    assert [(one.failed, one.value, one.detail) for one in outcomes] == [(True, None, "it was not measured")] * 3


def test_an_unknown_path_is_told_what_there_is(report):
    """Every group on a line, an interval once."""
    with pytest.raises(UsageError, match=r"there is no figure tuned\.correct\. There is:") as caught:
        held_against([read_gate("tuned.correct < 0.6")], report)
    lines = str(caught.value).splitlines()
    names = {line.partition(":")[0].strip(): line.partition(": ")[2].split(", ") for line in lines}
    assert {"probes", "correct.*", "all_right.*", "wrong", "near_miss.*"} <= set(names["tuned."])
    assert {"probes", "base.*", "tuned.*", "change.*", "p"} <= set(names["rings.known."])
    assert any("retention.*" in line for line in lines)
    assert lines[-1] == "  where .* is one of .value .lower .upper"


def test_what_a_command_says_of_gates(report):
    """A line for each that failed and exit code 3, which a failed check has as well; JSON has all of them."""
    report = replace(report, checks=())
    good, bad = (held_against([read_gate(text)], report) for text in ("facts < 30", "tuned.correct.value < 0.99"))
    assert EvalReport("run-1", report, "/e", {}, good).exit_code == 0
    assert EvalReport("run-1", report, "/e", {"cut off": 1}, good).exit_code == 4
    done = EvalReport("run-1", report, "/e", {"cut off": 1}, (*good, *bad))
    value = report.arm("tuned").correct.value
    assert done.exit_code == 3
    assert [line for line in done.lines() if line.startswith("GATE")] == [
        f"GATE FAILED: tuned.correct.value < 0.99: it is {value:.4g}"
    ]
    assert [one["failed"] for one in json.loads(json.dumps(done.json()))["gates"]] == [False, True]
    assert done.markdown().endswith(f"| tuned.correct.value &lt; 0.99 | it is {value:.4g} | failed |\n")
    assert as_markdown(()) == ""


def test_junit_has_a_test_for_each_check_and_gate(report):
    """What fails has its reason, letters that XML cannot hold are replaced, and missing answers are an error."""
    gates = held_against([read_gate("facts < 30"), read_gate("tuned.wrong >= 0")], report)
    suite = xml.fromstring(as_junit(report, gates, {"timed out": 2})).find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "2", "1")
    told = {case.get("name"): [(one.tag, one.get("message")) for one in case] for case in suite}
    assert told == {
        "no probe is a trained question": [],
        "<arms> differ": [("failure", "all say \ufffd & 中文")],
        "not facts < 30": [],
        "not tuned.wrong >= 0": [("failure", held_against([read_gate("tuned.wrong >= 0")], report)[0].detail)],
        "every question was answered": [("error", "2 x timed out")],
    }
    fine = replace(report, checks=(Check("same", True, ""),))
    assert xml.fromstring(as_junit(fine, (), {})).find("testsuite").get("failures") == "0"
