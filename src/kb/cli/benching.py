"""Other people's harnesses: bench import, list, run and export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kb.cli.app import app, leave
from kb.session import (
    DEFAULT_WORKSPACE,
    ConfigOption,
    JsonOption,
    ModelOption,
    PromptsOption,
    WorkspaceOption,
    start,
)
from kb.workspace import Workspace

bench = typer.Typer(
    no_args_is_help=True, help="General ability by public benchmarks, before and after; probes for other harnesses."
)
app.add_typer(bench, name="bench")


NAMES = "mmlu, arc, hellaswag, truthfulqa, ceval, cmmlu or gsm8k."


@bench.command("import")
def imported(
    name: Annotated[str, typer.Argument(metavar="NAME", help=NAMES)],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV, JSON, JSONL or parquet.")],
    licence: Annotated[str, typer.Option(help="Its licence, to stand in the report.")] = "unknown",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in a public benchmark from files on this machine. Their names and hashes are kept."""
    session = start(workspace, config, as_json)
    from kb.evaluate.bench.imported import import_files

    with session.writing(create=True) as place:
        done = import_files(place, name, files, licence)
    print(session.text(done, [done.line(), "next: kb bench run"]))


@bench.command("list")
def listed(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the benchmarks that have been imported."""
    session = start(workspace, config, as_json)
    from kb.evaluate.bench.imported import listed

    found = listed(Workspace(session.root))
    print(session.text(found, [one.line() for one in found] or ["none yet; next: kb bench import NAME FILE"]))


@bench.command("run")
def ran(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="[default: all imported]")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Items of each, evenly spaced; 0: all.")] = 0,
    run_name: Annotated[str, typer.Option("--run", help="Training run.  [default: the one in use]")] = "",
    model: ModelOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask base and tuned public benchmarks. Paired by item, with intervals, and what was lost."""
    session = start(workspace, config, as_json)
    from kb.evaluate.bench.run import run

    chosen, _ = session.model(model, None)
    with session.writing() as place:
        done = run(place, chosen, names or [], limit, run_name)
    print(session.text(done.json(), done.lines()))
    leave(done.exit_code)


@bench.command("export")
def exported(
    target: Annotated[str, typer.Argument(metavar="HARNESS", help="lm-eval, inspect or evalscope.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it.")],
    limit: Annotated[int | None, typer.Option(help="Probe this many facts only.")] = None,
    run_name: Annotated[str | None, typer.Option("--run", help="Training run.  [default: the one in use]")] = None,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the probes as a task of another harness. The chats are those of the closed-book arms of kb eval."""
    session = start(workspace, config, as_json)
    from kb.evaluate.bench.export import export
    from kb.evaluate.run import EvalConfig

    _, pack = session.model(model, prompts)
    settings = session.resolve(EvalConfig, "eval", limit=limit, run=run_name)
    done = export(Workspace(session.root).store, settings, pack, target, folder)
    print(session.text(done, done.lines()))
