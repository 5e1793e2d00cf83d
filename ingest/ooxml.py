"""What Word and PowerPoint files have in common: a zip of XML parts, and markup for newer and older programs."""

from __future__ import annotations

import re
import zipfile
import zlib
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from kb.errors import DocumentError

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"

_TEXTS = (f"{W}t", f"{A}t", f"{M}t")
_CARRIED = frozenset((".svg", ".html", ".htm", ".xhtml", ".mht", ".mhtml"))
"""Parts that are embedded and never parsed; in these a document type is normal."""
_MARK = b"<!DOCTYPE"
_CODES = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_DECLARATION = re.compile(b"|".join(_MARK.decode().encode(code) for code in _CODES))


def check_parts(path: Path, data: bytes) -> None:
    """Raise DocumentError UNSUPPORTED when an XML part declares a document type, and so perhaps entities.

    No Office program writes one; what an entity stands for would be lost without a word, or fetched. What is no zip
    at all, or a damaged one, passes: the format's library says what is wrong with it.
    """
    try:
        with zipfile.ZipFile(BytesIO(data)) as package:
            declaring = [info.filename for info in package.infolist() if _declares(package, info)]
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        return
    if declaring:
        raise DocumentError(
            "UNSUPPORTED",
            f"{path}: its part {declaring[0]} declares a document type (DOCTYPE), which may hide entities from outside"
            " and which no Office program writes. Open it in its program and save it again.",
        )


def _declares(package: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    """Whether this part is XML with a document type; read piece by piece, for a part may be of any size."""
    if PurePosixPath(info.filename.lower()).suffix in _CARRIED:
        return False
    with package.open(info) as part:
        piece = part.read(1 << 12)
        if not piece.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0").startswith(b"<"):
            return False
        while piece:
            if _DECLARATION.search(piece):
                return True
            further = part.read(1 << 20)
            piece = piece[-4 * len(_MARK) :] + further if further else b""
    return False


def kind_of(data: bytes) -> str:
    """.docx or .pptx by the names of the zip's parts; "" for what is neither.

    An embedded file's names stand in the bytes too, so these are only looked at where the directory is damaged.
    """
    starts = (("word/document", ".docx"), ("ppt/presentation", ".pptx"))
    try:
        with zipfile.ZipFile(BytesIO(data)) as package:
            names = [name.replace("\\", "/").lstrip("/").lower() for name in package.namelist()]
    except zipfile.BadZipFile:
        return next((suffix for start, suffix in starts if start.encode() in data), "")
    return next((suffix for start, suffix in starts if any(name.startswith(start) for name in names)), "")


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
