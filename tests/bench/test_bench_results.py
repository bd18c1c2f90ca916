"""The results of the bench: their tables, the README, and runs that are resumed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.bench_runs import photo, saved

from bench import (
    curves,
    jpeg_inputs,
    readme_tables,
    source_quality,
)
from bench import rate_distortion as rd
from bench.__main__ import PARTS, main
from bench.journal import Journal
from bench.provenance import provenance, write

# Results and the README


def test_results_say_where_they_come_from(tmp_path: Path) -> None:
    path = write("x", provenance(part="x", rows=[1]), tmp_path)
    found = json.loads(path.read_text())
    assert found["rows"] == [1]
    assert found["machine"]["cores"] >= 1
    assert found["versions"]["numpy"] == np.__version__


def test_committed_results_are_complete(repository: Path) -> None:
    for path in (repository / "bench" / "results").glob("*.json"):
        found = json.loads(path.read_text())
        for key in ("date", "machine", "versions", "part"):
            assert found.get(key), f"{path.name}: {key}"


def test_readme_is_in_step_with_the_results(repository: Path) -> None:
    readme = (repository / "README.md").read_text()
    assert readme == readme_tables.updated(readme), "run python -m bench readme_tables"


def test_the_readme_is_short_and_has_five_encoders(repository: Path) -> None:
    lines = (repository / "README.md").read_text().splitlines()
    assert len(lines) <= 100
    rows = [line.split("|")[1].strip(" *") for line in lines if line.startswith("| ")][1:]
    assert rows == ["guetzpy", "jpegli", "mozjpeg", "WebP", "JPEG XL"]


def test_the_overview_takes_the_best_sampling_and_the_most_pictures(tmp_path: Path) -> None:
    names = ["SSIMULACRA 2, 50-92", "PSNR", "HaarPSI"]

    def figures(mean: float, count: int) -> dict[str, Any]:
        return {"mean": mean, "pictures": dict.fromkeys(map(str, range(count)), mean)}

    first = {
        "guetzpy": {names[0]: figures(-9.0, 2), names[1]: figures(-1.0, 2)},
        "jpegli444": {names[0]: figures(5.0, 2)},
        "jpegli420": {names[0]: figures(4.0, 2)},
        "webp": {names[0]: figures(-8.0, 1)},
    }
    other = {
        "guetzpy": {names[1]: figures(1.0, 2), names[2]: figures(3.0, 2)},
        "webp": {names[0]: figures(-2.0, 2), names[1]: figures(-20.0, 2)},
        "avif": {names[0]: figures(-30.0, 2)},
    }
    baseline = list(curves.BEST_OF_FOUR)
    for name, summary in (("photos", first), ("independent", other)):
        result = provenance(part="rate_distortion", images=2, baseline=baseline, summary=summary)
        write(f"rate_distortion-{name}", result, tmp_path)
    text = readme_tables.overview(tmp_path)
    assert "| **guetzpy** | -9.0 % |" in text
    assert "| jpegli | +4.0 % |" in text
    assert "| WebP | -2.0 % |" in text
    assert "AVIF by 30 % at equal SSIMULACRA 2" in text
    assert "At equal PSNR, WebP is 20 % smaller" in text
    assert text.endswith("ahead of guetzpy: HaarPSI (+3.0 %).\n")  # not PSNR, by the first result
    assert readme_tables.overview(tmp_path / "none") == ""


def test_the_readme_says_where_others_are_better() -> None:
    figures = {"mean": -3.0, "pictures": {"a": -3.0}}
    names = ["SSIMULACRA 2, 50-92", "PSNR"]
    summary = {
        "guetzpy": {names[0]: figures, names[1]: figures | {"mean": 4.0}},
        "webp": {names[0]: figures},
    }
    result = {"summary": summary, "images": 2, "baseline": list(curves.BEST_OF_FOUR), "name": "none"}
    text = "\n".join(readme_tables.rate_distortion_table(result))
    assert "By PSNR (+4.0 %) the best of jpegli and mozjpeg stays ahead" in text
    assert "| WebP, method 6, sharp YUV (1 photos) | -3.0 % |" in text
    summary["guetzpy"][names[1]] = figures
    assert "stays ahead" not in "\n".join(readme_tables.rate_distortion_table(result))


def test_tables_are_made_from_results(tmp_path: Path, table: Path) -> None:
    result = json.loads((table / "points.json").read_text())
    write("rate_distortion", result, tmp_path)
    encoder = {"seconds": 1.0, "seconds_per_mp": 0.5, "megapixels": 2.0, "peak_mb": 300, "loaded_mb": 100}
    slow = encoder | {"seconds_per_mp": 50.0}
    encoders = {"guetzpy": encoder, "guetzli": slow, "moz444": {"error": "gone"}}
    write("speed", provenance(part="speed", encode={"encoders": encoders, "missing": []}), tmp_path)
    text = readme_tables.rendered(tmp_path)
    mean = result["summary"]["guetzpy"]["SSIMULACRA 2, 50-92"]["mean"]
    assert f"| **guetzpy** | {mean:+.1f} %" in text
    assert "| guetzli, repacked | 50.00 | 1e+02 x | 300 |" in text
    assert "gone" not in text
    readme = f"a\n{readme_tables.BEGIN}\nold\n{readme_tables.END}\nb"
    once = readme_tables.inserted(readme, text)
    assert once == readme_tables.inserted(once, text)
    assert "old" not in once
    with pytest.raises(ValueError):
        readme_tables.inserted("no markers", text)


# The command


def test_the_bench_lists_its_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr().out
    for part in PARTS:
        assert part in said
    assert main(["nonesuch"]) == 2


PARTS_THAT_RESUME = ["rate_distortion", "source_quality", "jpeg_inputs", "clic", "speed"]


@pytest.mark.parametrize("part", ["corpus", "peers", *PARTS_THAT_RESUME])
def test_every_part_has_help(
    part: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", sys.argv)
    with pytest.raises(SystemExit) as exit_:
        main([part, "--help"])
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert f"python -m bench {part}" in said
    assert ("--resume" in said) == (part in PARTS_THAT_RESUME)


def test_a_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = tmp_path / "images"
    images.mkdir()
    saved(images, photo(64, 72), photo(72, 64))
    common = ["--images", str(images), "--output", str(tmp_path)]
    commands = {
        rd: [*common, "--no-plots", "--distances", "1,2", "--peers", "turbo444", "--baseline", "turbo444"],
        source_quality: [*common, "--kinds", "turbo444,turbo420"],
        jpeg_inputs: [*common, "--qualities", "95", "--samplings", "420", "--distances", "1"],
    }
    for part, arguments in commands.items():
        measure, calls = part.measure, []

        def counted(unit: Any, measure: Any = measure, calls: list[Any] = calls) -> Any:
            calls.append(unit)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return measure(unit)

        monkeypatch.setattr(part, "measure", counted)
        with pytest.raises(KeyboardInterrupt):
            part.main(arguments)
        name = part.__name__.removeprefix("bench.")
        partial = tmp_path / f"{name}.partial.jsonl"
        assert len(partial.read_text().splitlines()) == 1
        part.main([*arguments, "--resume"])
        units = len(calls) - 1  # one was interrupted
        assert calls[0] not in calls[1:]
        assert not partial.exists()
        resumed = json.loads((tmp_path / f"{name}.json").read_text())
        monkeypatch.setattr(part, "measure", measure)
        part.main([*arguments, "--jobs", "2"])
        whole = json.loads((tmp_path / f"{name}.json").read_text())
        assert whole == resumed
        assert units == {"rate_distortion": 4, "source_quality": 4, "jpeg_inputs": 2}[name]


def test_a_journal_takes_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.partial.jsonl"
    first = Journal(path)
    first.put({"a": 1}, "one", (2, 3.5), None)
    first.put([None, 1.5], "two")
    with path.open("a") as file:
        file.write('[["three"], {"cut')
    again = Journal(path, resume=True)
    assert again.get("one", (2, 3.5), None) == {"a": 1}
    assert again.get("two") == [None, 1.5]
    assert again.get("three") is None
    assert Journal(path).get("two") is None, "begun anew"
    again.finish()
    assert not path.exists()
