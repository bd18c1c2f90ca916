"""``guetzpy restore``."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from guetzpy.cli.reporting import report_errors, say, usage_error

__all__ = ["restore"]


def restore(
    backup: Annotated[
        str, typer.Argument(metavar="FOLDER", help="The folder that --backup named.", show_default=False)
    ],
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Also replace files that were changed after the run; these are kept in the backup folder.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would be done, but write nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only files that are not restored.")] = False,
) -> None:
    """Undo runs that replaced files with --in-place and --backup.

    A file is replaced only if it is what guetzpy wrote, and only by a backup that is unchanged. The backups
    stay. Exit code 1 means that at least one file was not restored.
    """
    counts: Counter[str] = Counter()
    with report_errors():
        from guetzpy.batch.backup import restore as put_back
        from guetzpy.errors import GuetzpyError

        note = (lambda words: None) if quiet else say
        files = put_back(backup, force=force, write=not dry_run, note=note)
        while True:
            try:
                done = next(files)
            except StopIteration:
                break
            except GuetzpyError as error:
                usage_error(str(error))
            counts[done.status] += 1
            left = done.status in ("changed", "failed")
            if left or not quiet:
                words = ", ".join(word for word in (_WORDS[done.status][dry_run], done.words) if word)
                say(f"{done.path}: {words}")
        if not quiet:
            parts = [f"{counts[key]} {words[dry_run]}" for key, words in _WORDS.items() if counts[key]]
            total = counts.total()
            say(f"{total} file{'' if total == 1 else 's'}: {', '.join(parts)}; the backups are kept")
    if counts["changed"] or counts["failed"]:
        raise typer.Exit(1)


# For each status, its name in the output: after a run, and after a dry run.
_WORDS = {
    "restored": ("restored", "would be restored"),
    "original": ("unchanged", "unchanged"),
    "changed": ("not restored", "would not be restored"),
    "failed": ("failed", "would fail"),
}
