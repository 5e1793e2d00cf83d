"""The typer application that the commands hang from, and their exit codes."""

from __future__ import annotations

import itertools
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kb import __version__
from kb.errors import UsageError

ORDER = (
    "ingest", "generate-qa", "qa-report", "train", "export", "adapters", "eval", "bench", "chat", "search", "serve",
    "status", "doctor", "show", "demo",
)  # fmt: skip
"""The commands as `kb --help` lists them: that of their use."""


OPTIONAL = ("--export-failures", "--for-failures")
"""Options whose value may be left out, and is empty then."""


class _Ordered(TyperGroup):
    """Commands in ORDER, where typer lists those with commands of their own last; and options of OPTIONAL."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the command's name and its arguments, with what is left out of them."""
        filled = []
        for word, following in itertools.zip_longest(args, args[1:], fillvalue="-"):
            filled += [word, ""] if word in OPTIONAL and following.startswith("-") else [word]
        return super().parse_args(ctx, filled)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        return sorted(super().list_commands(ctx), key=lambda name: (*ORDER, name).index(name))


app = typer.Typer(
    cls=_Ordered,
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

INCOMPLETE = 4
INTERRUPTED = 130


def leave(code: int) -> None:
    """End with an exit code other than 0."""
    if code:
        raise typer.Exit(code)


def refuse_options(context: typer.Context) -> None:
    """Raise UsageError for options before the name of a command that would not see them."""
    given = [key for key in context.params if str(context.get_parameter_source(key)).endswith("COMMANDLINE")]
    if given:
        name = f"{context.info_name} {context.invoked_subcommand}"
        raise UsageError(f"put options behind the command: kb {name} ...")


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
