"""What asks a model or the index: eval, chat, search."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from kb.cli.app import app, leave, refuse_options
from kb.errors import UsageError
from kb.session import (
    DEFAULT_WORKSPACE,
    ConfigOption,
    JsonOption,
    ModelOption,
    PromptsOption,
    Session,
    WorkspaceOption,
    start,
)
from kb.workspace import Workspace, write_text

evals = typer.Typer(invoke_without_command=True)
app.add_typer(evals, name="eval")


@evals.callback()
def evaluate(
    context: typer.Context,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="What to set the tuned model against: rag (all that reads passages), none, run:NAME (another training"
            " run), model:NAME (another model), control:WORKSPACE (the run in use there, trained on other documents);"
            " may be repeated.  [default: rag]",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Probe this many facts only.")] = None,
    run_name: Annotated[str | None, typer.Option("--run", help="Training run.  [default: the one in use]")] = None,
    judge: Annotated[str | None, typer.Option(help="Model that judges what no rule can, if it is good enough.")] = None,
    again: Annotated[
        bool, typer.Option("--rescore", help="Score the answers of the last evaluation, or of --run, again; no model.")
    ] = False,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="End with exit code 3 if this holds, as in 'tuned.correct.lower < 0.6'; may be repeated.",
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write checks and gates as JUnit XML, too.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write the report as Markdown, too.")
    ] = None,
    export_failures: Annotated[
        str | None,
        typer.Option(
            metavar="[FILE]",
            help="Write the facts to act on as JSONL, for kb generate-qa --for-failures.  [default: in .kb/evals]",
        ),
    ] = None,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask base, RAG, tuned and tuned+RAG the same questions. Held-out wordings of every fact, scored; the report says
    what was kept and what was lost, with intervals.
    """
    if context.invoked_subcommand is not None:
        return refuse_options(context)
    session = start(workspace, config, as_json)
    from kb.evaluate.gates import held_against, read_gate

    if again:
        if any(
            given is not None
            for given in (compare, limit, judge, fail_if, junit, markdown, export_failures, model, prompts)
        ):
            raise UsageError("--rescore takes the answers as they are: only --run goes with it")
        return rescored(session, run_name or "")
    from kb.evaluate.run import EvalConfig, run

    gates = [read_gate(text) for text in fail_if or ()]
    chosen, pack = session.model(model, prompts)
    with session.writing() as place:
        settings = session.resolve(EvalConfig, "eval", compare=compare, limit=limit, run=run_name, judge=judge)
        done = run(place, settings, chosen, pack, session.retrieval(place))
    done = replace(done, gates=held_against(gates, done.report))
    if junit:
        write_text(junit, done.junit())
    if markdown:
        write_text(markdown, done.markdown())
    lines = done.lines()
    if export_failures is not None:
        lines.append(_failures(Path(done.folder), export_failures))
    print(session.text(done.json(), lines))
    leave(done.exit_code)


def rescored(session: Session, of: str) -> None:
    """Score stored answers again and say what changed."""
    from kb.evaluate.rescore import rescore

    with session.writing() as place:
        done = rescore(place, of)
    print(session.text(done.json(), done.lines()))


def _failures(folder: Path, wanted: str) -> str:
    """Write what the evaluation in a folder found to a file that is wanted; says where it is."""
    from kb.evaluate.failures import FILE

    found = (folder / FILE).read_text(encoding="utf-8")
    file = Path(wanted).expanduser() if wanted else folder / FILE
    if wanted:
        write_text(file, found)
    return (
        f"facts to act on: {len(found.splitlines())}, in {file}; next: kb generate-qa --for-failures {wanted}".rstrip()
    )


@evals.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="Name of an evaluation, as kb status lists it.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Name of another one.")],
    markdown: Annotated[bool, typer.Option("--md", help="Print Markdown instead of text.")] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set two evaluations side by side. What was gained, lost and flipped, fact by fact, with a paired test."""
    session = start(workspace, config, as_json)
    from kb.evaluate.diff import diff
    from kb.evaluate.diff_text import as_lines, as_markdown

    if markdown and as_json:
        raise UsageError("--md and --json are two forms: choose one")
    found = diff(Workspace(session.root), first, second)
    print(session.text(found, [as_markdown(found)] if markdown else as_lines(found)))


@app.command()
def chat(
    question: Annotated[
        str | None, typer.Argument(metavar="[QUESTION]", help="One question; without it, a dialogue.")
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARM",
            help="base, rag, tuned, tuned_rag, or tuned:RUN; repeat to compare.  [default: the best there is]",
        ),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="Training run of the tuned arms.  [default: the one in use]")
    ] = None,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask base, RAG, tuned or tuned+RAG side by side, with sources."""
    session = start(workspace, config, as_json)
    from kb.chat import Chat, of_run, typed, usual_arms

    chosen, pack = session.model(model, prompts)
    place = Workspace(session.root)
    arms = of_run(arm or usual_arms(place.store, chosen), run or "")
    talk = Chat(place.store, chosen, pack, session.retriever(place, write=False), arms)
    replies = []
    for reply in (reply for asked in ([question] if question else typed(sys.stdin)) for reply in talk.ask(asked)):
        replies.append(reply)
        if not as_json:
            print("\n".join(reply.lines()), flush=True)
    if as_json:
        print(session.text(replies, ()))
    leave(1 if any(reply.error and not reply.text for reply in replies) else 0)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="A question or some words.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Chunks to show.")] = 5,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find chunks for a query, with the rank that each ranker gives them."""
    session = start(workspace, config, as_json)
    from kb.search import report, search

    place = Workspace(session.root)
    found = search(place.store, session.retriever(place, write=False), query, count)
    print(session.text(found, report(found, query)))
