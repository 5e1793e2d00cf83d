"""GGUF files by llama.cpp's own converter, where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from kb.errors import KBError

SCRIPT = "convert_hf_to_gguf.py"
VARIABLE = "LLAMA_CPP"
CURE = (
    "git clone https://github.com/ggml-org/llama.cpp, pip install gguf, and name its folder with --llama-cpp or"
    f" {VARIABLE}"
)
LAST = 6
"""Lines of the converter's output that an error shows."""


def find_converter(folder: str = "") -> Path | None:
    """llama.cpp's converter: in `folder`, in $LLAMA_CPP, or on PATH; None where it is not."""
    given = folder or os.environ.get(VARIABLE, "")
    if given:
        place = Path(given).expanduser()
        script = place if place.is_file() else place / SCRIPT
        return script if script.is_file() else None
    found = shutil.which(SCRIPT)
    return Path(found) if found else None


def convert(converter: Path, model: Path, kind: str, name: str) -> Path:
    """Convert the model in a folder, and put the file into the folder: it is there whole or not at all.

    Runs in this Python and offline. Raises KBError with the converter's last lines when it fails.
    """
    target = model / f"{name}-{kind}.gguf"
    part = target.with_name(f".{target.name}.part")
    command = [sys.executable, str(converter), str(model), "--outfile", str(part), "--outtype", kind]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode or not part.exists():
        part.unlink(missing_ok=True)
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-LAST:])
        raise KBError(f"{converter} failed with exit code {done.returncode}; the export stands without a GGUF:\n{said}")
    part.rename(target)
    return target
