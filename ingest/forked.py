"""What the server of the reading processes loads once, before they are forked from it. Imported nowhere else.

BLAS gets one thread there: readers do next to no arithmetic, and on a machine of many cores the buffers of as many
threads alone take up the address space that a process may have.
"""

from __future__ import annotations

import importlib
import os

from kb.ingest.parse import PARSERS

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
for _module in sorted({"kb.ingest.read", "datasketch", *(module for module, _ in PARSERS.values())}):
    importlib.import_module(_module)
