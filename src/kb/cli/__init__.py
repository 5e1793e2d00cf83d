"""The command line: a command parses, calls one function, and prints what it did and what comes next."""

from __future__ import annotations

import json
import os
import sys

import typer

# Commands are listed in the order in which they are registered: that of their use.
from kb.cli import sets  # isort: split

from kb.cli import models  # isort: split

from kb.cli import adapters  # isort: split

from kb.cli import asking  # isort: split

from kb.cli import benching  # isort: split

from kb.cli import serving  # isort: split

from kb.cli import looking
from kb.cli.app import INTERRUPTED, app
from kb.errors import KBError
from kb.session import misuse, trouble

__all__ = ["adapters", "app", "asking", "benching", "looking", "main", "models", "serving", "sets"]

STOPPED = "stopped; what is done is kept, the same command again goes on from there"


def main() -> None:
    """The `kb` command: errors a user can act on are one line and an exit code, not a traceback."""
    try:
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()
        if code == INTERRUPTED:
            code = _fail(STOPPED, code, "")
    except KBError as error:
        code = _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = _fail(STOPPED, INTERRUPTED, "")
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        # Anything unforeseen is a bug and keeps its traceback.
        if hasattr(error, "format_message"):
            code = _fail(misuse(error), 2, "" if type(error).__name__ == "NoArgsIsHelpError" else "error: ")
        else:
            code = _fail(trouble(error) or f"{type(error).__name__}: {error}", 1)
            if not trouble(error):
                raise
    sys.exit(code)


def _fail(message: str, code: int, prefix: str = "error: ") -> int:
    """Say what is wrong on stderr; under --json also as the one document on stdout."""
    print(f"{prefix}{message}", file=sys.stderr)
    if "--json" in sys.argv:
        print(json.dumps({"error": message, "exit_code": code}, ensure_ascii=False))
    return code
