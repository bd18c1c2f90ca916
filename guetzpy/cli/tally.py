"""The summary of a run over several files: counts, bytes, warnings by kind, and what to do next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import typer

from guetzpy._runtime.text import counted
from guetzpy.cli.reporting import quoted, say, thousands, would_change
from guetzpy.result import Result

__all__ = ["Tally", "bytes_text"]

# Largest number of lines of warnings at the end of a run.
_MOST_KINDS = 20

# Name of each outcome in the summary, in its order.
_OUTCOMES = {
    "optimized": "optimised", "lossless": "repacked", "kept": "kept", "copied": "copied", "failed": "failed",
}  # fmt: skip


@dataclass
class Tally:
    """Counts of a run so far."""

    files: int = 0
    before: int = 0
    after: int = 0
    would_change: bool = False
    outcomes: Counter[str] = field(default_factory=Counter)
    warnings: list[tuple[str, str]] = field(default_factory=list)  # name of the file, text

    def add(self, result: Result, threshold: float | None = None) -> None:
        """Count a result. ``threshold`` is that of ``--check`` in percent."""
        self.files += 1
        self.would_change |= threshold is not None and would_change(result, threshold)
        copied = result.status == "kept" and (result.reason or "").endswith("; copied")
        self.outcomes["copied" if copied else result.status] += 1
        self.warnings += [(result.input or "", warning) for warning in result.warnings]
        if result.bytes_before and result.bytes_after is not None:
            self.before += result.bytes_before
            self.after += result.bytes_after

    @property
    def failed(self) -> int:
        """Number of files that failed."""
        return self.outcomes["failed"]

    def end(self) -> None:
        """Exit with the code that follows from the results, if that is not 0."""
        if self.failed:
            raise typer.Exit(1)
        if self.would_change:
            raise typer.Exit(3)

    def words(self) -> str:
        """Return the summary in one line."""
        text = f"{self.files} file{'' if self.files == 1 else 's'}"
        if self.before:
            change = 100 * (self.after / self.before - 1)
            text += f", {thousands(self.before)} -> {thousands(self.after)} bytes ({change:+.1f} %)"
        if self.before > self.after:
            text += f", {bytes_text(self.before - self.after)} saved"
        outcomes = [f"{self.outcomes[key]} {word}" for key, word in _OUTCOMES.items() if self.outcomes[key]]
        return text + (f": {', '.join(outcomes)}" if outcomes else "")

    def tell_warnings(self) -> None:
        """Print the warnings, a line for each kind."""
        kinds = counted(self.warnings)
        for line in kinds[:_MOST_KINDS]:
            say(f"warning: {line}")
        if len(kinds) > _MOST_KINDS:
            say(f"warning: {len(kinds) - _MOST_KINDS} more kinds; --json and the manifest have all warnings")

    def next_step(
        self,
        *,
        written: bool,
        checked: bool = False,
        placed: bool = True,
        resumable: bool,
        backup: str | None,
        report: bool,
    ) -> str | None:
        """Return a proposal for the user's next command.

        Parameters
        ----------
        written : bool
            Whether the run wrote its outputs.
        checked : bool, optional
            Whether the run had ``--check``.
        placed : bool, optional
            Whether the command says where outputs go.
        resumable : bool
            Whether ``--resume`` would process only what failed.
        backup : str, optional
            Folder that holds the originals.
        report : bool
            Whether the run wrote a report.
        """
        if not self.files:
            return None
        if not written:
            changed = self.outcomes["optimized"] + self.outcomes["lossless"]
            if not (changed if checked else self.files - self.failed):
                return None  # without --dry-run or --check, nothing would be written either
            instead = "without --dry-run" if placed else "with -o FOLDER/ instead of --dry-run"
            if checked:
                instead = "with --in-place instead of --check"
            return f"nothing was written; the same command {instead} writes the files"
        if self.failed and resumable:
            return "the same command with --resume processes only the files that failed"
        if backup is not None and self.before > self.after:
            return f"{quoted(['guetzpy', 'restore', backup])} puts the originals back"
        if not report and self.outcomes["optimized"] > 1:
            return "--report report.html shows the pictures before and after"
        return None


def bytes_text(count: float) -> str:
    """Return a number of bytes with a decimal unit and three digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
