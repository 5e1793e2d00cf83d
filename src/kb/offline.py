"""Switches off every call home of the libraries kb uses; must be imported before them."""

from __future__ import annotations

import logging
import os
import sys

QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "CHROMA_OTEL_COLLECTION_ENDPOINT": "",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def switch_off_telemetry() -> None:
    """Set the libraries' own switches; a value that the user has set stays."""
    for key, value in QUIET.items():
        os.environ.setdefault(key, value)
    if not sys.stderr.isatty():
        # On a terminal a download of gigabytes shows how far it is.
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for name in CHATTY:
        logging.getLogger(name).addFilter(_warnings_only)


CHATTY = ("bm25s", "bitsandbytes.backends.cpu.ops", "httpx")
"""Loggers that set their own level to DEBUG, or warn of an optional kernel that would be fetched from a hub."""


def _warnings_only(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING and "kernels-community" not in record.getMessage()


def hub_is_offline() -> bool:
    """Whether the user (or a test) has told the Hugging Face libraries to stay offline."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}
