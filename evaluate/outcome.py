"""What `kb eval` came to: the report, where it is, what is missing, and whether the gates hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kb.errors import GateFailed, Incomplete
from kb.evaluate.gates import Outcome
from kb.evaluate.gates import as_markdown as gates_as_markdown
from kb.evaluate.junit import as_junit
from kb.evaluate.report import as_json, as_markdown, as_table
from kb.evaluate.results import Report


@dataclass(frozen=True)
class EvalReport:
    """An evaluation: the report, where its files are, and what could not be answered."""

    name: str
    report: Report
    folder: str
    failed: dict[str, int]
    """Reason to count of the requests without a usable answer; a rerun asks them again."""
    gates: tuple[Outcome, ...] = ()
    """Conditions under which the evaluation fails, and whether they hold."""

    @property
    def exit_code(self) -> int:
        """3 when a check failed or a gate, else 4 when something was not answered, else 0."""
        if not all(check.ok for check in self.report.checks) or any(gate.failed for gate in self.gates):
            return GateFailed.exit_code
        return Incomplete.exit_code if self.failed else 0

    def json(self) -> dict[str, Any]:
        """The report and the rest as plain values."""
        gates = [asdict(gate) for gate in self.gates]
        return as_json(self.report) | {"folder": self.folder, "failed": self.failed, "gates": gates}

    def lines(self) -> list[str]:
        """For the terminal."""
        lines = [as_table(self.report)]
        lines += [f"CHECK FAILED: {check.name}: {check.detail}" for check in self.report.checks if not check.ok]
        lines += [f"GATE FAILED: {gate.gate}: {gate.detail}" for gate in self.gates if gate.failed]
        if self.failed:
            lines.append("not answered, counted as unparsed (the same command again asks only these):")
            lines += [f"  {count:>6}  {reason}" for reason, count in self.failed.items()]
        return [*lines, f"report: {self.folder}/report.html"]

    def markdown(self) -> str:
        """The report and the gates as GitHub Markdown."""
        return as_markdown(self.report) + gates_as_markdown(self.gates)

    def junit(self) -> str:
        """Checks and gates as JUnit XML."""
        return as_junit(self.report, self.gates, self.failed)
