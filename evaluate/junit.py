"""Checks and gates of an evaluation as JUnit XML, which build servers show as tests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as xml

from kb.evaluate.gates import Outcome
from kb.evaluate.results import Report

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped: answers of models may."""


def as_junit(report: Report, gates: Sequence[Outcome], failed: Mapping[str, int]) -> str:
    """A suite with a test for each check and each gate, and one for whether every question was answered.

    A check or gate that fails is a failure; answers that are missing, by reason in `failed`, are an error, since
    another run may get them.
    """
    suite = xml.Element("testsuite", name=_legal(f"kb eval {report.name}"), timestamp=report.created)
    for check in report.checks:
        _case(suite, "check", check.name, "" if check.ok else check.detail)
    for one in gates:
        _case(suite, "gate", f"not {one.gate}", one.detail if one.failed else "")
    missing = "; ".join(f"{count} x {reason}" for reason, count in failed.items())
    _case(suite, "answers", "every question was answered", missing, "error")
    for count, kind in (("tests", "testcase"), ("failures", ".//failure"), ("errors", ".//error")):
        suite.set(count, str(len(suite.findall(kind))))
    root = xml.Element("testsuites")
    root.append(suite)
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def _case(suite: xml.Element, group: str, name: str, wrong: str, kind: str = "failure") -> None:
    """A test of the suite, which failed where there is something wrong."""
    case = xml.SubElement(suite, "testcase", classname=f"kb.eval.{group}", name=_legal(name))
    if wrong:
        xml.SubElement(case, kind, message=_legal(wrong))


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
