"""Files that are ZIP packages (Office, EPUB): what is looked at before any library unpacks them."""

from __future__ import annotations

import codecs
import io
import zipfile
import zlib
from pathlib import Path
from xml.parsers import expat

from kb.errors import DocumentError

MIB = 1 << 20
MOST_PARTS = 20_000
MOST_BYTES = 1024 * MIB
"""Of all parts, unpacked."""
MOST_XML = 256 * MIB
"""Of one XML part, unpacked: a tree of it needs ten times as much memory."""
RATIO = 100
"""Unpacked to packed size above which a part is a bomb, if it is also larger than `HARMLESS`."""
HARMLESS = 16 * MIB
_MARKUP = (".xml", ".rels", ".xhtml", ".html", ".htm", ".opf", ".ncx")
_CARRIED = (".svg", ".html", ".htm", ".xhtml", ".mht", ".mhtml")
"""Parts that Office embeds and never parses; in these a document type is normal."""
_KINDS = (
    ("word/document", ".docx"), ("ppt/presentation", ".pptx"), ("xl/workbook", ".xlsx"),
    ("meta-inf/container", ".epub"),
)  # fmt: skip
_DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, EOFError)
"""What zipfile raises on a damaged file; NotImplementedError is a RuntimeError."""
_PROLOG = 1 * MIB
"""So far into a part its root element has to begin."""


def open_package(path: Path, data: bytes, office: bool = True) -> zipfile.ZipFile:
    """The package, looked over: its sizes, and for an Office file that no part declares a document type.

    Only what the directory says is believed: `zipfile` reads no more of a part than that.
    Raises DocumentError TOO_LARGE for what would not fit into memory, CORRUPT for a damaged package, UNSUPPORTED for a
    document type.
    """
    try:
        package = zipfile.ZipFile(io.BytesIO(data))
    except _DAMAGED as error:
        raise DocumentError("CORRUPT", f"{path}: is damaged ({error}). {_CURE}") from error
    parts = package.infolist()
    reason = next(filter(None, map(_excess, parts)), "") or _excess_of_all(parts)
    if reason:
        raise DocumentError("TOO_LARGE", f"{path}: {reason}. Save it in smaller parts, or as text.")
    for part in parts if office else ():
        if not part.filename.lower().endswith(_CARRIED) and _declares_type(package, part):
            raise DocumentError(
                "UNSUPPORTED",
                f"{path}: its part {part.filename} declares a document type (DOCTYPE), which may hide entities from"
                f" outside and which no Office program writes. {_CURE}",
            )
    return package


def kind_of(data: bytes) -> str:
    """.docx, .pptx, .xlsx or .epub by the names of a zip's parts; "" for what is none of them.

    An embedded file's names stand in the bytes too, so these are only looked at where the directory is damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            names = [name.replace("\\", "/").lstrip("/").lower() for name in package.namelist()]
    except _DAMAGED:
        return next((kind for start, kind in _KINDS if start.encode() in data.lower()), "")
    return next((kind for start, kind in _KINDS if any(name.startswith(start) for name in names)), "")


_CURE = "Open it in its program and save it again."


def _excess(part: zipfile.ZipInfo) -> str:
    """What is too much about a part, or ""."""
    size = part.file_size
    if size > HARMLESS and size > RATIO * part.compress_size:
        return f"its part {part.filename} unpacks to {size // MIB} MiB, more than {RATIO} times its packed size"
    if size > MOST_XML and part.filename.lower().endswith(_MARKUP):
        return f"its part {part.filename} has {size // MIB} MiB, more than {MOST_XML // MIB}"
    return ""


def _excess_of_all(parts: list[zipfile.ZipInfo]) -> str:
    """What is too much about the parts together, or ""."""
    total = sum(part.file_size for part in parts)
    if total > MOST_BYTES:
        return f"it unpacks to {total // MIB} MiB, more than {MOST_BYTES // MIB}"
    return f"it has {len(parts)} parts, more than {MOST_PARTS}" if len(parts) > MOST_PARTS else ""


class _Seen(Exception):
    """The root element began, which ends the look; `declared` is whether a document type came before it."""

    def __init__(self, declared: bool) -> None:
        self.declared = declared


def _declares_type(package: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    """Whether an XML part has a DOCTYPE, which alone can declare entities. Expat knows all encodings but UTF-32.

    What is no XML, or cannot be unpacked, is left to the library that reads the format.
    """

    def see(declared: bool) -> None:
        raise _Seen(declared)

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = lambda *_: see(True)
    parser.StartElementHandler = lambda *_: see(False)
    try:
        with package.open(part) as stream:
            piece = stream.read(4096)
            if piece.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
                return "<!DOCTYPE" in (piece + stream.read(_PROLOG)).decode("utf-32", errors="ignore")
            for _ in range(0, _PROLOG, 4096):
                parser.Parse(piece)
                piece = stream.read(4096)
    except _Seen as seen:
        return seen.declared
    except (expat.ExpatError, *_DAMAGED):
        return False
    return True
