"""Write a table of the JPEG files of a pull request that could be smaller. Called by action.yml."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

#: Rows of the table; a comment of GitHub has at most 65 536 characters.
MOST_ROWS = 100


def changed(base: str) -> list[str]:
    """Return the JPEG files that were added or changed since the commit ``base``.

    A file that was renamed and changed counts as added; one that was only renamed does not count.
    """
    done = subprocess.run(
        ["git", "diff", "--name-only", "-z", "-M100%", "--diff-filter=AM", f"{base}...HEAD"],
        capture_output=True,
    )
    if done.returncode:
        print(f"::error::git: {os.fsdecode(done.stderr).strip().splitlines()[0]}")
        raise SystemExit(
            "guetzpy: give actions/checkout `fetch-depth: 0`, which also fetches the base commit"
        )
    names = [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
    return [name for name in names if name.lower().endswith((".jpg", ".jpeg"))]


def measure(names: list[str], distance: str) -> list[dict[str, Any]]:
    """Return what guetzpy says of the files, one record each."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "guetzpy", "optimize", "--files-from", "-", "--dry-run", "--json"),
            *("--jpeg-only", "--quiet", "--distance", distance),
        ],
        input=b"\0".join(os.fsencode(f"./{name}") for name in names) + b"\0",
        stdout=subprocess.PIPE,
        check=False,  # a file that failed is a row of the table
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.returncode)
    return [json.loads(line) for line in done.stdout.splitlines()]


def table(records: list[dict[str, Any]], threshold: float, distance: str) -> tuple[str, int, int]:
    """Return the text of the comment, the number of files that could be smaller, and their bytes."""
    # A file whose name ends in .jpg need not be a JPEG.
    records = [one for one in records if not (one["reason"] or "").endswith("skipped")]
    rows, saved, count = [], 0, 0
    for record in sorted(records, key=lambda one: (one["bytes_after"] or 0) - (one["bytes_before"] or 0)):
        name = code(record["input"].removeprefix("./"))
        before, after = record["bytes_before"], record["bytes_after"]
        if record["status"] == "failed":
            rows.append(f"| {name} | | | failed: {code(record['error'] or '')} |")
        elif before and after is not None and 100 * (1 - after / before) > threshold:
            count, saved = count + 1, saved + before - after
            rows.append(f"| {name} | {before:,} | {after:,} | {100 * (1 - after / before):.1f} % |")
    if not records:
        return "guetzpy: this pull request adds and changes no JPEG files.\n", 0, 0
    if not rows:
        return f"guetzpy: none of {len(records)} JPEG files can be {threshold:g} % smaller.\n", 0, 0
    what = f"{count} of {len(records)} JPEG files can be smaller at distance {distance}"
    head = f"guetzpy: {what}, {saved:,} bytes together."
    lines = [head, "", "| file | bytes | possible | saving |", "|---|--:|--:|--:|", *rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        lines.append(f"\n{len(rows) - MOST_ROWS} more files are not listed.")
    lines += ["", f"To make a file smaller: `guetzpy optimize --in-place --distance {distance} FILE`"]
    return "\n".join(lines) + "\n", count, saved


def code(text: str) -> str:
    """Return a text as code in a cell of a table: a name of a file is not Markdown."""
    plain = "".join(sign if sign.isprintable() else "?" for sign in text).replace("`", "'").replace("|", "¦")
    return f"`{plain[:200]}`"


def main() -> None:
    """Write the comment, and the outputs of the action."""
    parser = argparse.ArgumentParser()
    for name in ("base", "distance", "threshold", "output"):
        parser.add_argument(f"--{name}", required=True)
    asked = parser.parse_args()
    names = changed(asked.base)
    records = measure(names, asked.distance) if names else []
    text, count, saved = table(records, float(asked.threshold), asked.distance)
    Path(asked.output).write_text(text, encoding="utf-8")
    if "GITHUB_OUTPUT" in os.environ:
        with open(os.environ["GITHUB_OUTPUT"], "a", encoding="utf-8") as stream:
            stream.write(f"files={count}\nsaved={saved}\n")


if __name__ == "__main__":
    main()
