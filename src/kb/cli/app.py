"""The typer application that the commands hang from, and their exit codes."""

from __future__ import annotations

from typing import Annotated

import typer

from kb import __version__

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

INCOMPLETE = 4
INTERRUPTED = 130


def leave(code: int) -> None:
    """End with an exit code other than 0."""
    if code:
        raise typer.Exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"kb {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Turn private documents into a model that knows them, and prove what the model kept."""
