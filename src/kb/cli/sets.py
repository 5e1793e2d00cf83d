"""From documents to a training set: ingest, generate-qa, qa-report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb.cli.app import INCOMPLETE, app, leave
from kb.errors import UsageError
from kb.session import (
    DEFAULT_WORKSPACE,
    ConfigOption,
    JsonOption,
    ModelOption,
    PromptsOption,
    Session,
    WorkspaceOption,
    counted,
    lines_of,
    start,
)

if TYPE_CHECKING:
    from kb.ingest.config import IngestConfig


@app.command()
def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Files and folders: PDF, DOCX, PPTX, XLSX, EPUB, HTML, CSV, TXT, MD."),
    ],
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of text files, when kb guesses wrong; kb remembers it.")
    ] = None,
    password: Annotated[list[str] | None, typer.Option(help="For PDF files that need one; may be repeated.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File of passwords, one a line: unlike flags, no other user can see them.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes that read files; -1: one a core, the default.")] = None,
    shard: Annotated[
        str | None, typer.Option(help="2/8: only the second of eight parts; later: kb ingest merge WORKSPACE...")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Then wait, and run again whenever files change.")] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read documents, cut them into chunks, index them. Unchanged files cost nothing.

    kb ingest merge WORKSPACE... puts together what shards have read.
    """
    session = start(workspace, config, as_json)
    if paths[0] == Path("merge") and not paths[0].exists():
        return leave(_merge(session, paths[1:]))
    from kb.ingest.config import IngestConfig
    from kb.ingest.files import changes
    from kb.ingest.plan import plan
    from kb.retrieval.dense import find_embedder
    from kb.retrieval.hybrid import RetrievalConfig
    from kb.retrieval.rerank import find_reranker

    missing = [path for path in paths if not path.exists()]
    if missing and not (workspace.expanduser() / "kb.db").exists():
        raise UsageError(f"{missing[0]}: no such file or folder")
    settings = session.resolve(IngestConfig, "ingest", encoding=encoding, jobs=jobs, shard=shard)
    if dry_run:
        with session.reading() as place:
            planned = plan(paths, settings, place)
        print(session.text(planned, planned.lines()))
        return leave(INCOMPLETE if planned.failed else 0)
    # An embedder that is not there comes to light before hours of reading, not after.
    wanted = session.settings.resolve(RetrievalConfig, "retrieval")[0]
    find_embedder(wanted.embedder)
    find_reranker(wanted.reranker)
    secrets = [*(password or []), *lines_of(password_file)]
    code = _ingest(session, paths, settings, secrets)
    if watch:
        print("watching; Ctrl-C ends", file=sys.stderr)
        for _ in changes(paths, session.root, settings.recursive):
            code = _ingest(session, paths, settings, secrets)
    leave(code)


def _ingest(session: Session, paths: list[Path], settings: IngestConfig, passwords: list[str]) -> int:
    """One run of `kb ingest`; the exit code."""
    from kb.ingest.run import run

    with session.writing(create=True) as place:
        report = run(paths, settings, place, passwords=passwords)
        searching = session.retriever(place).description
    lines = [*report.lines(), *(["mend or remove what failed, then the same command again"] if report.failed else [])]
    lines += [f"search: {searching}", "next: kb generate-qa"] if report.chunks else ["next: kb ingest PATH"]
    print(session.text(report, lines), flush=True)
    return INCOMPLETE if report.failed else 0


def _merge(session: Session, sources: list[Path]) -> int:
    """`kb ingest merge`; the exit code."""
    from kb.ingest.merge import merge

    if not sources:
        raise UsageError("kb ingest merge: name the workspaces to take documents from")
    with session.writing(create=True) as place:
        report = merge(sources, place)
        searching = session.retriever(place).description
    print(session.text(report, [*report.lines(), f"search: {searching}", "next: kb generate-qa"]))
    return INCOMPLETE if report.failed else 0


@app.command("generate-qa")
def generate_qa(
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="DOC", help="Ask about this document only: path, file name or id; may be repeated."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask only what failed, and what follows from it.")
    ] = False,
    strengthen: Annotated[
        bool, typer.Option("--strengthen", help="More training questions for what the last run never answers right.")
    ] = False,
    for_failures: Annotated[
        str | None,
        typer.Option(
            metavar="[FILE]",
            help="More rows for the facts that kb eval found something wrong with.  [default: the last evaluation]",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Make the set of this many chunks only.")] = None,
    dose: Annotated[
        int | None, typer.Option(metavar="5|10|40", help="Tell every fact so often, in questions and prose.")
    ] = None,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write questions and answers with a local model. Facts, training questions, held-out probes, negatives and
    preference pairs, checked against retrieved passages.
    """
    session = start(workspace, config, as_json)
    from kb.llm import open_model
    from kb.qa_gen.config import GenerateConfig
    from kb.qa_gen.run import run
    from kb.qa_gen.selection import Choice

    chosen, pack = session.model(model, prompts)
    other = session.prober()
    choice = Choice(tuple(only or ()), retry_failed, strengthen, for_failures)
    with session.writing() as place:
        settings = session.resolve(GenerateConfig, "generate", limit=limit, dose=dose)
        # A misspelt document comes to light before a model is loaded.
        choice.documents(place.store)
        writer, prober = open_model(chosen, place.store), open_model(other, place.store) if other else None
        report = run(place, settings, writer, pack, session.retriever(place), choice, prober)
    lines = [
        *report.lines(), *counted(report.rejected, "rejected"), *counted(report.notes, "mended"),
        *counted(report.failed, "failed (see failed.jsonl; run the same command again to retry)"),
        f"datasets: {place.datasets}", "next: kb qa-report, then kb train",
    ]  # fmt: skip
    print(session.text(report, lines))
    leave(0 if report.complete else INCOMPLETE)


@app.command("qa-report")
def qa_report(
    judge: Annotated[int, typer.Option(min=0, help="Have the model judge so many facts.")] = 0,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the set is worth. Coverage of the documents, mix, leakage and, judged by the model, faithfulness."""
    session = start(workspace, config, as_json)
    from kb.qa_gen.meaning import Meaning
    from kb.qa_gen.report import judged, run
    from kb.retrieval.dense import open_embedder
    from kb.retrieval.hybrid import RetrievalConfig

    with session.writing() as place:
        embedder = open_embedder(session.resolve(RetrievalConfig, "retrieval").embedder, place.store)
        report = run(place, Meaning(embedder, place.store))
        if judge:
            from kb.corpora.judging import known_cases
            from kb.llm import open_model

            chosen, pack = session.model(model, prompts)
            report = judged(place, report, open_model(chosen, place.store), pack, judge, known_cases())
    print(session.text(report.json(), report.lines()))
