"""What the XML of Word and PowerPoint files has in common: namespaces, and markup for newer and older programs."""

from __future__ import annotations

from typing import Any

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"

_TEXTS = (f"{W}t", f"{A}t", f"{M}t")


def unfold(root: Any) -> None:
    """Put in place of every mc:AlternateContent the children of its first alternative that has text, else of its first.

    Newer and older programs' alternatives say the same; a reader that takes all of them reads everything twice, and
    one that takes none of them, as python-pptx does, loses shapes with equations.
    """
    for choice in reversed(list(root.iter(f"{_MC}AlternateContent"))):
        parent = choice.getparent()
        if parent is None:
            continue
        alternatives = [child for child in choice if isinstance(child.tag, str)]
        taken = next((each for each in alternatives if _has_text(each)), alternatives[0] if alternatives else ())
        at = parent.index(choice)
        parent[at : at + 1] = list(taken)


def _has_text(node: Any) -> bool:
    return any(text.text and text.text.strip() for text in node.iter(*_TEXTS))
