"""Where the sentences of a text stand, in English and Chinese."""

from __future__ import annotations

import re

from kb.text.characters import UNSPACED, word_set

_TITLES = word_set(
    "dr mr mrs ms prof st gen col capt lt sgt rev hon sen rep gov mt ft jr sr messrs vs cf viz al ca approx resp incl"
)
"""Abbreviations that a name or another word always follows."""
_COUNTED = word_set("no nos fig figs eq eqs sec secs art arts ch vol vols p pp ref refs tab app para par nr ex")
"""Abbreviations that end nothing when a number, a letter or a Roman numeral follows: "Fig. 3", "No. 5"."""

LONGEST = 40
"""Characters in which the last word of a sentence is looked for; no abbreviation is longer."""
_ENDS = re.compile(r"[。！？；｡!?]+|…+|\.+")
_CLOSERS = re.compile(r"[\"'”’」』）)\]】》〉*_~]*")
_OPEN, _CLOSE = "(（[【《〈{", ")）]】》〉}"
_BRACKET = re.compile(f"[{re.escape(_OPEN + _CLOSE)}]")
_UNSPACED = re.compile(f"[{UNSPACED}]")
_LAST_WORD = re.compile(r"[^\W\d_]+(?:\.[^\W\d_]+)*$")
_LIST_NUMBER = re.compile(r"\s*(?:[-*+>#]+\s*)?[(（]?(?:\d{1,3}(?:\.\d{1,3})*|[a-zA-Z]|[ivxIVX]{1,4})$")
_LINE = re.compile(r"[^\n\r\u2028\u2029\f\v]+")


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans `(start, end)` of the sentences, in order, without overlap: everything but the blanks between them.

    A line break ends a sentence. So do 。！？； and their rows, with the closing quotes and brackets that follow; … and
    ... where a new sentence begins after them; and . ! ? before a blank, the end, or Han. A full stop does not end one
    in a number (3.14), a version, a URL, after initials (J. Smith, U.S.), after an abbreviation (Dr., e.g., Fig. 3,
    No. 5), after the number of a list item ("1. Open the lid"), or before a small letter. Nothing ends inside brackets
    that close on the same line, or in a row of a Markdown table. A blank text has no sentences.
    """
    spans: list[tuple[int, int]] = []
    for line in _LINE.finditer(text):
        start = line.start()
        inner = [] if line.group().lstrip().startswith("|") else _ends(line.group(), line.start())
        for end in [*inner, line.end()]:
            span = _trim(text, start, end)
            if span[0] < span[1]:
                spans.append(span)
            start = end
    return spans


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def _ends(line: str, offset: int) -> list[int]:
    """Offsets in the text where sentences of one line end, the line's own end left out."""
    inside = _bracketed(line)
    ends: list[int] = []
    begin = 0
    for match in _ENDS.finditer(line):
        if match.start() < begin or match.start() in inside:
            continue
        closers = _CLOSERS.match(line, match.end())
        end = closers.end() if closers else match.end()
        if _is_end(line, begin, match, end):
            ends.append(offset + end)
            begin = end
    return ends


def _bracketed(line: str) -> set[int]:
    """Positions inside brackets that open and close on this line."""
    inside: set[int] = set()
    opened: list[re.Match[str]] = []
    for bracket in _BRACKET.finditer(line):
        if bracket.group() in _OPEN:
            opened.append(bracket)
        elif opened and _OPEN.index(opened[-1].group()) == _CLOSE.index(bracket.group()):
            inside.update(range(opened.pop().start() + 1, bracket.start()))
    return inside


def _is_end(line: str, begin: int, mark: re.Match[str], end: int) -> bool:
    """Whether the sentence that began at `begin` ends with the mark (its closers reach to `end`)."""
    kind, after, rest = mark.group()[0], line[end : end + 1], line[end:].lstrip()
    if kind in "。！？；｡":
        return True
    if after and not after.isspace() and not _UNSPACED.match(after):
        return bool(kind in "!?" and after in "“「『（(《【" and _UNSPACED.search(line[begin : mark.start()]))
    if kind in "!?":
        return True
    if kind == "…" or len(mark.group()) > 1:
        return not rest[:1].islower() and mark.start() > begin
    return not _is_abbreviation(line[begin : mark.start()], after, rest)


def _is_abbreviation(before: str, after: str, rest: str) -> bool:
    """Whether a full stop between `before` and `rest` belongs to what stands before it."""
    if after and _UNSPACED.match(after):
        return not _UNSPACED.match(before[-1:])
    if not before.strip() or rest[:1].islower() or _LIST_NUMBER.match(before):
        return True
    found = _LAST_WORD.search(before[-LONGEST:])
    if found is None:
        return False
    word = found.group().casefold()
    if word in _TITLES or word in {"e.g", "i.e", "eg", "ie"}:
        return True
    if word in _COUNTED:
        return bool(re.match(r"[(（]?\d" if word in {"no", "nos"} else r"[(（]?\d|[A-Z]\b|[IVXLC]+\b", rest))
    initials = re.fullmatch(r"[a-z](\.[a-z])*", word)
    return bool(initials) and word not in {"a.m", "p.m", "i"}
