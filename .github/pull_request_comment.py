"""Write the table of a pull request as a comment, or update that of an earlier run. Called by action.yml."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: The comment begins with this, which readers do not see. Other workflows comment under the same name.
MARK = "<!-- guetzpy: savings -->\n"

#: Comments that GitHub returns at once.
PAGE = 100


def ask(method: str, path: str, body: dict[str, str] | None = None) -> Any:
    """Return the answer of GitHub's API to a request."""
    request = urllib.request.Request(
        os.environ["GITHUB_API_URL"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def comments(place: str) -> Iterator[dict[str, Any]]:
    """Yield the comments of a pull request."""
    number = 1
    while True:
        found = ask("GET", f"{place}?per_page={PAGE}&page={number}")
        yield from found
        if len(found) < PAGE:
            return
        number += 1


def main(path: str, files: int) -> None:
    """Write the text of a file as the comment of the pull request that started this workflow.

    Without a file that could be smaller, only the comment of an earlier run is updated.
    """
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    issues = f"/repos/{os.environ['GITHUB_REPOSITORY']}/issues"
    place = f"{issues}/{event['pull_request']['number']}/comments"
    body = {"body": MARK + Path(path).read_text(encoding="utf-8")}
    earlier = next((one for one in comments(place) if (one["body"] or "").startswith(MARK)), None)
    if earlier is not None:
        ask("PATCH", f"{issues}/comments/{earlier['id']}", body)
    elif files:
        ask("POST", place, body)


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]))
    except urllib.error.HTTPError as error:
        if error.code not in (401, 403, 404):
            raise
        # A pull request from a fork has a token that may only read.
        print("::warning::the comment needs the permission pull-requests: write")
