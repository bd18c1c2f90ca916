"""The fuzzer of formats: a short run for each format, and that it finds a fault that is put in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fuzz import formats, seeds

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals end what takes too long")


@pytest.mark.parametrize("kind", seeds.KINDS)
def test_mutants_end_in_a_result_or_an_error(kind: str) -> None:
    outcomes, findings = formats.run(kind, 200, sample=100)
    assert not findings, findings[0]
    assert sum(outcomes.values()) == 200
    # The test would check little if all mutants were refused, or none.
    assert outcomes["read"] >= 10
    assert outcomes["FormatError"] >= 10


@pytest.mark.parametrize("kind", seeds.KINDS)
def test_seeds_are_what_they_should_be(kind: str) -> None:
    outcomes = [formats.once(data, False) for data in seeds.seeds(kind)]
    assert outcomes.count("read") >= 3
    assert set(outcomes) <= {"read", "kept", "UnsupportedError"}


def test_errors_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(data: bytes, whole: bool) -> str:
        if whole:
            raise IndexError("here")
        return "read"

    monkeypatch.setattr(formats, "once", fail)
    monkeypatch.setattr(formats, "seeds", lambda kind: [b"seed"])
    done = formats.batch("BMP", range(5, 12), 10_000, tmp_path / "number")
    assert done["outcomes"] == {"read": 7}
    assert not done["findings"]
    monkeypatch.setattr(formats, "once", lambda data, whole: "read" if data == b"seed" else fail(data, True))
    ((number, why), *others) = formats.batch("BMP", range(5, 12), 10_000, tmp_path / "number")["findings"]
    assert number == 5
    assert "IndexError: here" in why
    assert len(others) == 6


def test_processes_that_die_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "dies.py"
    script.write_text(
        "import os, sys\n"
        "start, stop, scratch = int(sys.argv[3]), int(sys.argv[4]), sys.argv[-1]\n"
        "if start <= 7 < stop:\n"
        "    open(os.path.join(scratch, 'number'), 'w').write('7')\n"
        "    os.abort()\n"
        'text = \'{"outcomes": {"read": %d}, "findings": []}\' % (stop - start)\n'
        "open(os.path.join(scratch, 'outcome'), 'w').write(text)\n"
    )
    monkeypatch.setattr(formats, "__file__", str(script))
    done = formats.apart("BMP", range(20), 100)
    assert done["outcomes"] == {"read": 19}
    assert [number for number, _ in done["findings"]] == [7]
    assert "exit code -6" in done["findings"][0][1]
