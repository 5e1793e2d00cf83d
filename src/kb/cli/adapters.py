"""What is done with trained adapters: list, show, use, compare, delete, combine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kb.cli.app import app, refuse_options
from kb.errors import UsageError
from kb.session import (
    DEFAULT_WORKSPACE,
    ConfigOption,
    JsonOption,
    ModelOption,
    WorkspaceOption,
    start,
)
from kb.workspace import Workspace

adapters = typer.Typer(invoke_without_command=True, help="List, show, use, compare, delete or combine adapters.")
app.add_typer(adapters, name="adapters")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a run, as kb adapters lists it.")]


@adapters.callback()
def common(
    context: typer.Context,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List, show, use, compare, delete or combine adapters."""
    if context.invoked_subcommand is None:
        listed(workspace, config, as_json)
        return
    refuse_options(context)


@adapters.command("list")
def listed(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List what was trained, with its figures. A star marks the one in use."""
    session = start(workspace, config, as_json)
    from kb.adapters.overview import as_lines, listed

    found = listed(Workspace(session.root))
    print(session.text(found, as_lines(found)))


@adapters.command()
def show(
    name: NameArgument,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where an adapter came from. Documents, data, settings, base, stages and evaluations."""
    session = start(workspace, config, as_json)
    from kb.adapters.lineage import origin

    found = origin(Workspace(session.root), name)
    print(session.text(found, found.lines()))


@adapters.command()
def use(
    name: NameArgument,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose the adapter in use. Eval, chat, export and serve take it, until the next kb train."""
    session = start(workspace, config, as_json)
    from kb.adapters.overview import use

    with session.writing() as place:
        run = use(place.store, name)
    print(session.text({"in_use": run.name}, [f"in use: {run.name}"]))


@adapters.command()
def compare(
    first: NameArgument,
    second: NameArgument,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set two adapters side by side. Settings, documents, figures, and the facts that only one answers."""
    session = start(workspace, config, as_json)
    from kb.adapters.comparison import compare

    found = compare(Workspace(session.root), first, second)
    print(session.text(found, found.lines()))


@adapters.command()
def delete(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Even if it is the one in use.")] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete an adapter. Its folder and entry go; evaluations of it stay readable."""
    session = start(workspace, config, as_json)
    from kb.adapters.overview import check_deletable, delete

    with session.writing() as place:
        run = check_deletable(place.store, name, force)
        if not yes and not sys.stdin.isatty():
            raise UsageError("there is no terminal to ask at; add --yes")
        if not yes:
            typer.confirm(f"Delete {place.run(name)}?", abort=True, err=True)
        lines = delete(place, run)
    print(session.text({"deleted": run.name}, lines))


@adapters.command()
def combine(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the new one.")],
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Two or more runs on the same base.")],
    weights: Annotated[
        str | None, typer.Option(metavar="W,W...", help="How much of each, as in 1,0.5.  [default: 1 of each]")
    ] = None,
    model: ModelOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add adapters up. The new one changes the base by exactly the weighted sum of what they change."""
    session = start(workspace, config, as_json)
    from kb.finetune.combine import run

    chosen, _ = session.model(model, None)
    with session.writing() as place:
        made = run(place, name, runs, _numbers(weights) if weights else [1.0] * len(runs), chosen)
    print(session.text(made, made.lines()))


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--weights: expected numbers with commas between them, got {text!r}") from error
