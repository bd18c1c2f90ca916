"""The part ``speed`` of the bench gives figures. No test depends on their values."""

from __future__ import annotations

import sys

import pytest

from bench.timing import speed, speed_turns, speed_worker


def test_a_worker_reports_time_and_memory() -> None:
    order = {"kind": "pillow", "setting": 90, "megapixels": 0.02, "match": "chelsea"}
    found = speed._ask("work", order)
    assert found["seconds"] > 0
    assert found["megapixels"] == pytest.approx(0.02, rel=0.05)
    assert found["bytes"] > 1000
    if sys.platform == "linux":
        assert found["peak_mb"] >= found["loaded_mb"] > 20
    assert "error" in speed._ask("work", order | {"kind": "nonesuch"})


@pytest.mark.slow
def test_encoders_take_turns() -> None:
    where = {"images": None, "match": "chelsea"}
    settings = speed.SETTINGS
    found = speed_turns.turns(0.02, 1, where, settings, lambda words: None, count=2)
    (entry,) = found["rounds"]
    assert {"guetzpy", "guetzpy, 1 thread", "guetzpy, 2 processes", "guetzpy-fast", "folder"} <= set(entry)
    for kind, run in entry.items():
        if kind != "folder":
            assert [len(call) for call in run["calls"]] == [3, 3, 3, 3], run
            wall, user, system = run["calls"][0]
            assert wall > 0
            assert user + system > 0 or not kind.startswith("guetzpy")
    assert all(value > 0 for value in entry["folder"].values())
    lines = list(speed_turns.turns_report(found))
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")
    assert any(line.startswith("| guetzpy, 2 processes |") for line in lines)


def test_ratios_are_taken_within_a_round() -> None:
    def run(seconds: float) -> dict[str, object]:
        return {"calls": [[9 * seconds, 0.1, 0.0], *[[seconds, seconds, 0.0]] * 3], "megapixels": 2.0}

    rounds = [{"moz444": run(1), "guetzpy": run(3)}, {"moz444": run(2), "guetzpy": run(4)}]
    rounds[0]["folder"] = {"guetzpy": 5.0}
    (row,) = [
        line
        for line in speed_turns.turns_report({"rounds": rounds, "missing": [], "files": 2})
        if line.startswith("| guetzpy ")
    ]
    assert row == "| guetzpy | 1.500, 1.750 | 1.750 | 0.000 | 9.00 | 2.00, 2.50 |"


def test_library_time_counts_for_the_module_that_called() -> None:
    own = ("/x/guetzpy/search/trellis.py", 1, "f")
    other = ("/x/guetzpy/jpeg/writer.py", 1, "g")
    library = ("~", 0, "<built-in>")
    callers = {own: (1, 1, 0.0, 3.0), other: (1, 1, 0.0, 1.0)}
    assert speed_worker._owners(library, callers, {own: (1, 1, 0, 0, {}), other: (1, 1, 0, 0, {})}) == {
        "search.trellis": 0.75,
        "jpeg.writer": 0.25,
    }
