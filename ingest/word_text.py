"""The visible text of a Word paragraph, and what hangs from it: text boxes, notes, charts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kb.ingest.equations import linear
from kb.ingest.graphics import CHART, DIAGRAM
from kb.ingest.ooxml import A, M, W

_WP = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
BOX = f"{W}txbxContent"
SHAPE_TEXT = f"{A}txBody"
NOTES = {f"{W}footnoteReference": "footnotes", f"{W}endnoteReference": "endnotes"}
_SKIPPED = "del moveFrom rt pPr rPr tblPr sdtPr instrText delText delInstrText sectPr"
SKIPPED = frozenset(f"{W}{name}" for name in _SKIPPED.split())
EQUATIONS = (f"{M}oMath", f"{M}oMathPara")
_HANGING = frozenset((CHART, DIAGRAM, BOX, SHAPE_TEXT, *NOTES))
_MARKS = {f"{W}tab": " ", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-", f"{W}ptab": " "}
_WORD_ART = "{urn:schemas-microsoft-com:vml}textpath"

_GREEK = (
    "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ",
    "αβχδεφγηιϕκλμνοπθρστυϖωξψζ",
)
_SYMBOL = dict(enumerate(_GREEK[0], 0x41)) | dict(enumerate(_GREEK[1], 0x61))
_SYMBOL |= {code: chr(code) for code in b"!#%&()+,./0123456789:;<=>?[]_{|}"}
_SYMBOL |= dict(zip(b'"$*-\\^~', "∀∃∗−∴⊥∼", strict=True))
for _first, _signs in ((0xA2, "′≤⁄∞"), (0xAB, "↔←↑→↓°±″≥×∝∂•÷≠≡≈…"), (0xC4, "⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒")):
    _SYMBOL |= dict(enumerate(_signs, _first))
_SYMBOL |= {0xE5: "∑", 0xF2: "∫"}
_WINGDINGS = dict(enumerate("①②③④⑤⑥⑦⑧⑨⑩", 0x81))
_WINGDINGS |= {0x28: "☎", 0x2A: "✉", 0x6C: "●", 0x6E: "■", 0x6F: "☐", 0x71: "❑", 0x75: "◆", 0x76: "❖", 0xA7: "▪"}
_WINGDINGS |= {0xA8: "☐", 0xAB: "★", 0xD8: "➢", 0xDF: "←", 0xE0: "→", 0xE1: "↑", 0xE2: "↓"}
_WINGDINGS |= {0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑"}
_FONTS = {
    "symbol": _SYMBOL,
    "wingdings": _WINGDINGS,
    "wingdings 2": {0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0xA3: "☐"},
}
"""Font -> code -> the character that its picture shows."""


def visible(node: Any, hanging: list[Any]) -> Iterator[str]:
    """The text under a paragraph, piece by piece; what hangs from it is put into `hanging` instead.

    An equation becomes a line of text, a text box of one paragraph that stands in the line is part of it.
    """
    for child in node:
        if child.tag == f"{W}t":
            yield child.text or ""
        elif child.tag in _MARKS:
            yield _MARKS[child.tag]
        elif child.tag == f"{W}sym":
            yield _symbol(child)
        elif child.tag in EQUATIONS:
            yield linear(child)
        elif child.tag == _WORD_ART:
            yield child.get("string") or ""
        elif child.tag == f"{W}checkBox":
            yield _check_box(child)
        elif child.tag in _HANGING:
            hanging.append(child)
        elif child.tag not in SKIPPED:
            yield from visible(_in_line(child), hanging)


def _in_line(node: Any) -> Any:
    """The only paragraph of a text box that stands in the line, else the node itself."""
    boxes = list(node.iter(BOX)) if node.tag == f"{_WP}inline" else []
    alone = len(boxes) == 1 and len(boxes[0]) == 1 and boxes[0][0].tag == f"{W}p"
    return boxes[0][0] if alone else node


def _symbol(node: Any) -> str:
    """The character of a w:sym; "" for pictures that no character stands for."""
    try:
        code = int(node.get(f"{W}char") or "", 16)
    except ValueError:
        return ""
    font = str(node.get(f"{W}font") or "").lower()
    if font in _FONTS or 0xF000 <= code <= 0xF0FF:
        return _FONTS.get(font, {}).get(code & 0xFF, "")
    return chr(code) if code < 0x110000 and chr(code).isprintable() else ""


def _check_box(node: Any) -> str:
    """A box of an old form, as it is now."""
    state = node.find(f"{W}checked")
    state = node.find(f"{W}default") if state is None else state
    return "☑" if state is not None and state.get(f"{W}val", "1") in ("1", "true", "on") else "☐"


def take_hidden(root: Any) -> list[str]:
    """Take the runs that are formatted as hidden out of the tree; gives the texts they had."""
    taken = []
    for run in list(root.iter(f"{W}r")):
        mark = run.find(f"{W}rPr/{W}vanish")
        if mark is not None and mark.get(f"{W}val", "1").lower() not in ("0", "false", "off"):
            taken.append("".join(visible(run, [])))
            run.getparent().remove(run)
    return [text for text in taken if text.strip()]


def drop_field_codes(root: Any) -> None:
    """Empty the text in the codes of fields, such as a field within the condition of another.

    A code that has no end is left as it is, so that nothing is lost after it.
    """
    fields: list[bool] = []
    codes, texts = 0, []
    for node in root.iter(f"{W}fldChar", f"{W}t"):
        kind = node.get(f"{W}fldCharType")
        if node.tag == f"{W}t":
            texts += [node] if codes else []
        elif kind == "begin":
            fields.append(True)
            codes += 1
        elif kind in ("separate", "end") and fields:
            codes -= fields.pop()
            fields += [False] if kind == "separate" else []
        if texts and not codes:
            for text in texts:
                text.text = ""
            texts.clear()
