"""From a file to blocks: the parser its suffix names, after a look whether the content is of that kind."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kb.errors import DocumentError
from kb.ingest.blocks import Parsed
from kb.ingest.package import kind_of, open_package
from kb.ingest.text import has_mark, wide_encoding
from kb.text.language import detect

PARSERS = {
    ".pdf": ("kb.ingest.pdf", "parse_pdf"),
    ".docx": ("kb.ingest.word", "parse_docx"),
    ".pptx": ("kb.ingest.slides", "parse_pptx"),
    ".xlsx": ("kb.ingest.sheets", "parse_xlsx"),
    ".txt": ("kb.ingest.text", "parse_text"),
    ".text": ("kb.ingest.text", "parse_text"),
    ".md": ("kb.ingest.markdown", "parse_markdown"),
    ".markdown": ("kb.ingest.markdown", "parse_markdown"),
    ".html": ("kb.ingest.web", "parse_html"),
    ".htm": ("kb.ingest.web", "parse_html"),
    ".epub": ("kb.ingest.epub", "parse_epub"),
    ".csv": ("kb.ingest.delimited", "parse_csv"),
    ".tsv": ("kb.ingest.delimited", "parse_csv"),
}
"""Suffix in lower case -> module and function, imported when the first such file comes."""

TEXT = (".txt", ".text", ".md", ".markdown", ".html", ".htm", ".csv", ".tsv")
"""Those of them whose files are text in some encoding."""

OFFICE = (".docx", ".pptx", ".xlsx")
"""Those that are packages of XML parts."""

LEGACY = (
    dict.fromkeys((".doc", ".dot", ".wps", ".rtf", ".odt"), ".docx")
    | dict.fromkeys((".ppt", ".pps", ".odp"), ".pptx")
    | dict.fromkeys((".xls", ".xlsb", ".xlsm", ".et", ".ods"), ".xlsx")
)
"""What kb does not read -> what to save it as."""

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STREAMS = (("EncryptedPackage", "encrypted"), ("Workbook", ".xls"), ("PowerPoint Document", ".ppt"))
"""What an OLE file's directory names -> the kind of file."""


def parse(path: Path, encoding: str = "", passwords: Sequence[str] = (), ocr: bool = False) -> Parsed:
    """Read one file into blocks. `encoding` is for the formats in `TEXT`, "" finds out; `passwords` and `ocr` for PDF.

    Raises DocumentError whose status is UNSUPPORTED (a kind kb does not read, not the kind the suffix says, or an
    Office file with a DOCTYPE), UNREADABLE (no permission, vanished, wrong encoding), EMPTY, PASSWORD_NEEDED,
    NEEDS_OCR, GARBLED (its text is garbage), TOO_LARGE or CORRUPT, and whose message names the file and the cure.
    """
    suffix = path.suffix.lower()
    if suffix in LEGACY:
        raise DocumentError("UNSUPPORTED", f"{path}: kb does not read {suffix} files. Save it as {LEGACY[suffix]}.")
    if suffix not in PARSERS:
        raise DocumentError(
            "UNSUPPORTED", f"{path}: kb does not read {suffix or 'such'} files; it reads {', '.join(PARSERS)}."
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DocumentError("UNREADABLE", f"{path}: {error.strerror}. Check that it is there and readable.") from error
    module, function = PARSERS[suffix]
    options = {"passwords": passwords, "ocr": ocr} if suffix == ".pdf" else {}
    try:
        _check_kind(path, suffix, data)
        if suffix in OFFICE:
            open_package(path, data)
        parsed: Parsed = getattr(importlib.import_module(module), function)(path, data, encoding, **options)
    except (DocumentError, MemoryError):
        raise
    except Exception as error:
        # A damaged file can make the format's library fail in any way; this file is reported and the next one read.
        detail = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise DocumentError(
            "CORRUPT", f"{path}: is damaged ({detail}). Open it in its program and save it again."
        ) from error
    if not parsed.blocks:
        raise DocumentError("EMPTY", f"{path}: has no text.")
    return replace(parsed, sha256=hashlib.sha256(data).hexdigest(), language=detect(parsed.text))


def _check_kind(path: Path, suffix: str, data: bytes) -> None:
    """Raise DocumentError when the bytes are not of the kind that the suffix says."""
    if not data.strip(b"\0\t\n\r\x0c "):
        raise DocumentError("EMPTY", f"{path}: the file is empty.")
    kind = _kind(data, suffix)
    if kind == suffix or (kind == "text" and suffix in TEXT):
        return
    if kind == "encrypted":
        raise DocumentError("PASSWORD_NEEDED", f"{path}: needs a password. Save a copy without one.")
    if kind in PARSERS or kind in LEGACY:
        raise DocumentError(
            "UNSUPPORTED", f"{path}: is a {kind} file by its content, not {suffix}. Rename it to {kind}."
        )
    if kind == "text":
        raise DocumentError("UNSUPPORTED", f"{path}: is plain text by its content, not {suffix}. Rename it to .txt.")
    raise DocumentError(
        "CORRUPT", f"{path}: is not a {suffix} file, or a damaged one. Open it in its program and save it again."
    )


def _kind(data: bytes, suffix: str) -> str:
    """The suffix that fits the content; "text" for what may be text, "encrypted" for Office files, else "".

    Junk before the head of a PDF is common; in other files the head is only looked for at the very start.
    """
    if b"%PDF-" in (data[:1024] if suffix == ".pdf" else data[:5]):
        return ".pdf"
    if data.startswith(_ZIP):
        return kind_of(data)
    if data.startswith(_OLE):
        return next((kind for stream, kind in _STREAMS if stream.encode("utf-16-le") in data), ".doc")
    if data.startswith(b"{\\rtf"):
        return ".rtf"
    if has_mark(data) or wide_encoding(data):
        return "text"
    controls = sum(byte < 9 or 13 < byte < 27 for byte in data[:4096])
    zeros = data[:4096].count(0)
    return "text" if controls - zeros <= len(data[:4096]) // 100 else ""
