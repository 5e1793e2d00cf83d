"""What the paragraph styles of a Word file say: heading level, list, numbering."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kb.ingest.ooxml import W
from kb.ingest.word_numbering import Item, Numbering, value_of

_HEADING = re.compile(r"(?i)(?:heading|标题)\s*([1-9])")
_LISTED = re.compile(r"(?i)(?:list|toc)\s+(?!paragraph)(?:\D*?(\d))?")
"""Word's "List Paragraph" is only indented; its items have numbers or bullets of their own."""


class Styles:
    """Asked for each paragraph in the order of the document, because numbers are counted on the way."""

    def __init__(self, styles: Any, numbering: Any = None) -> None:
        """The roots of styles.xml and numbering.xml."""
        self._styles = {style.get(f"{W}styleId"): style for style in styles.iter(f"{W}style")}
        self._numbering = Numbering(numbering)

    def level(self, paragraph: Any) -> int | None:
        """0 for the title, 1 to 9 for headings, None for other paragraphs."""
        for node, properties in self._chain(paragraph):
            name = value_of(node, "name")
            match = _HEADING.fullmatch(name)
            if match:
                return int(match[1])
            if name.lower() in ("title", "标题"):
                return 0
            outline = "" if properties is None else value_of(properties, "outlineLvl")
            if outline.isdigit() and int(outline) < 9:
                return int(outline) + 1
        unknown = _HEADING.fullmatch(self._style_id(paragraph))
        return int(unknown[1]) if unknown else None

    def item(self, paragraph: Any) -> Item | None:
        """The place of a numbered or listed paragraph, counted on; None for what is neither."""
        number, depth, owner = "", None, ""
        listed = None
        for node, properties in self._chain(paragraph):
            numbered = None if properties is None else properties.find(f"{W}numPr")
            if numbered is not None:
                depth = value_of(numbered, "ilvl") if depth is None else depth
                number = value_of(numbered, "numId")
                owner = str(node.get(f"{W}styleId") or "")
            listed = listed or _LISTED.match(value_of(node, "name"))
            if number:
                break
        if number and number != "0":
            place = int(depth) if depth and depth.isdigit() else None
            return self._numbering.count(number, place, owner)
        return Item(max(int(listed[1] or 1) - 1, 0), "", False) if listed and number != "0" else None

    def _style_id(self, paragraph: Any) -> str:
        own = paragraph.find(f"{W}pPr")
        return "" if own is None else value_of(own, "pStyle")

    def _chain(self, paragraph: Any) -> Iterator[tuple[Any, Any]]:
        """The paragraph, its style, the style that one is based on, and so on, each with its paragraph properties."""
        yield paragraph, paragraph.find(f"{W}pPr")
        name, seen = self._style_id(paragraph), set()
        while name in self._styles and name not in seen:
            seen.add(name)
            yield self._styles[name], self._styles[name].find(f"{W}pPr")
            name = value_of(self._styles[name], "basedOn")
