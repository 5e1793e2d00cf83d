"""A report as one self-contained page: no script, style, font or image from anywhere else, and nothing sent anywhere.

`templates/report.html` is the frame, `report.css` and `report.js` go into it; `sections.py` writes what is fixed, and
the answers travel as JSON (`browser.py`) that the script searches, filters and shows. A content security policy in the
page forbids every connection.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Any

from kb.evaluate.browser import browser_data
from kb.evaluate.markup import escape
from kb.evaluate.results import Report
from kb.evaluate.sections import sections
from kb.evaluate.sources import NO_SOURCES, Sources
from kb.records import Probe, Score


def as_html(report: Report, probes: Sequence[Probe], scores: Sequence[Score], sources: Sources = NO_SOURCES) -> str:
    """The page. Text from documents and models is escaped; it can neither end the script nor become markup."""
    templates = files("kb.evaluate") / "templates"
    frame, style, script = ((templates / f"report.{suffix}").read_text("utf-8") for suffix in ("html", "css", "js"))
    return Template(frame).substitute(
        title=escape(report.name or "kb"),
        style=style,
        body=sections(report),
        data=embedded(browser_data(report, probes, scores, sources)),
        script=script,
    )


def embedded(value: Any) -> str:
    """JSON that can stand in a script element: `<` is written as an escape, so no `</script>` or comment can begin."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
