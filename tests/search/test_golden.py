"""The search writes the same bytes as when the digests were recorded."""

from __future__ import annotations

import json

import pytest
from golden import CASES, DIGESTS, Case, digest


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=c.name, marks=[pytest.mark.slow] if c.slow else []) for c in CASES]
)
def test_bytes_are_those_recorded(case: Case) -> None:
    assert digest(case) == json.loads(DIGESTS.read_text())[case.name]


def test_every_case_is_recorded_and_no_other() -> None:
    assert sorted(json.loads(DIGESTS.read_text())) == sorted(case.name for case in CASES)
    assert len(CASES) >= 60
