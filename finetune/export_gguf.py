"""GGUF files by llama.cpp's own converter, where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from kb.errors import KBError
from kb.workspace import write_text

SCRIPT = "convert_hf_to_gguf.py"
VARIABLE = "LLAMA_CPP"
CURE = (
    "git clone https://github.com/ggml-org/llama.cpp, pip install gguf sentencepiece, and name its folder with"
    f" --llama-cpp or {VARIABLE}"
)
LOG = "gguf.log"
"""What a converter that failed has said, or why the file that it wrote is refused."""


def find_converter(folder: str = "") -> Path | None:
    """llama.cpp's converter: in `folder`, in $LLAMA_CPP, or on PATH; None where it is not."""
    given = folder or os.environ.get(VARIABLE, "")
    if given:
        place = Path(given).expanduser()
        script = place if place.is_file() else place / SCRIPT
        return script if script.is_file() else None
    found = shutil.which(SCRIPT)
    return Path(found) if found else None


def convert(converter: Path, model: Path, kind: str, file: Path) -> None:
    """Convert the model in a folder into a GGUF file of a type.

    Runs in this Python. Raises KBError when the converter fails; what it said is then in the model's gguf.log.
    """
    command = [sys.executable, str(converter), str(model), "--outfile", str(file), "--outtype", kind]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode or not file.exists():
        said = (done.stdout + done.stderr).strip()
        write_text(model / LOG, said + "\n")
        last = said.splitlines()[-1] if said else f"exit code {done.returncode}"
        raise KBError(f"{converter} failed: {last} ({model / LOG})")
    (model / LOG).unlink(missing_ok=True)
