"""Plans of searches, by the size of the picture."""

from __future__ import annotations

from typing import Any

import pytest

from guetzpy.errors import LimitError
from guetzpy.search.plan import Plan, plan_search, search_memory

SMALL, LARGE = 8_000, 3_000_000
SCREEN = 3840, 2160


def spares(width: int, height: int, **options: Any) -> bool:
    return plan_search(width, height, **options).resources.rows is not None


def bounded(width: int, height: int, **options: Any) -> bool:
    return plan_search(width, height, **options).bounded


def test_pixels_of_few_bytes_get_little_memory() -> None:
    assert not spares(1280, 720, file_size=SMALL)
    assert spares(1366, 768, file_size=SMALL)
    assert not bounded(1366, 768, file_size=SMALL)  # keeping no data of the reference is enough
    assert bounded(1600, 1200, file_size=SMALL)
    assert bounded(*SCREEN, file_size=SMALL)
    with pytest.raises(LimitError, match=r"12.0 megapixels .* more than the 9 .* --max-memory"):
        plan_search(4000, 3000, file_size=SMALL)
    with pytest.raises(LimitError):  # so wide that each of Butteraugli's windows holds the whole picture
        plan_search(48_000, 200, file_size=SMALL)


def test_a_ceiling_replaces_the_rule_for_few_bytes() -> None:
    assert not spares(*SCREEN, file_size=LARGE)
    assert not spares(*SCREEN)
    assert not spares(*SCREEN, ceiling=search_memory(3840 * 2160, "balanced"), file_size=SMALL)
    assert bounded(*SCREEN, ceiling=10**9, file_size=LARGE)
    assert bounded(1366, 768, ceiling=250_000_000)


@pytest.mark.parametrize(("ceiling", "size"), [(None, SMALL), (10**9, LARGE)])
def test_too_large_a_picture_is_refused_with_the_option_to_set(ceiling: int | None, size: int) -> None:
    with pytest.raises(LimitError, match=r"--max-memory \(max_memory\)"):
        plan_search(10_000, 10_000, ceiling=ceiling, file_size=size)


def test_coefficients_are_never_bounded() -> None:
    small, large = 400_000, 600_000
    web = 1728, 1157
    assert not spares(1280, 720, file_size=small, coefficients=True)
    assert spares(*web, file_size=small, coefficients=True)
    assert not bounded(*web, file_size=small, coefficients=True)
    assert not spares(*web, file_size=large, coefficients=True)
    assert spares(*web, ceiling=10**9 // 2, file_size=large, coefficients=True)
    for size in ((2448, 1633), (20_000, 120)):
        with pytest.raises(LimitError, match=r"--max-memory \(max_memory\) allows more"):
            plan_search(*size, file_size=small, coefficients=True)


def kind(plan: Plan) -> tuple[Any, ...]:
    """Return the entries of a plan that do not grow with the number of pixels."""
    return (
        plan.resources, plan.side_by_side, plan.choice_tiles, plan.weight_tiles, plan.scouted, plan.bounded,
    )  # fmt: skip


@pytest.mark.parametrize("effort", ["fast", "balanced", "max"])
def test_very_large_pictures_are_so_in_every_respect(effort: str) -> None:
    around_six = [plan_search(width, 2000, effort) for width in (2999, 3000, 3001)]
    assert len({kind(plan) for plan in around_six}) == 1
    usual, large = plan_search(3072, 2047, effort), plan_search(3072, 2048, effort)
    assert kind(usual) == kind(around_six[0])
    assert (usual.scouted, usual.weight_tiles, usual.resources.keep) == (False, None, "all")
    assert (large.scouted, large.resources.keep) == (True, "some")
    assert large.weight_tiles is not None


def test_memory_grows_with_the_picture_and_the_effort() -> None:
    assert search_memory(100_000_000, "fast") < search_memory(100_000_000, "balanced") < 6e9
    assert plan_search(1000, 1000).memory < plan_search(1000, 1000, "max").memory
    assert plan_search(4000, 3000).memory > plan_search(4000, 3000, ceiling=10**9).memory


#: Measured growth of a warm process at its peak, in MB, with two threads, at distance 1, with CVVDP in the
#: weights. OF_PIXELS: PNG files. OF_COEFFICIENTS: JPEG files of quality 92 in 4:4:4, which take more than
#: other JPEG files (at 3.0 MP: 4:2:2 takes 743, 4:2:0 722, gray 633). Each entry is the larger of two
#: measurements, through the API and through the command line.
OF_PIXELS = {
    (1960, 1440, "balanced"): 652,
    (2000, 1500, "balanced"): 711,
    (2400, 1700, "balanced"): 822,
    (4000, 3000, "balanced"): 1298,
    (6000, 4000, "balanced"): 1254,
}
OF_COEFFICIENTS = {
    (600, 500, "fast"): 88,
    (600, 500, "balanced"): 111,
    (1000, 700, "fast"): 156,
    (1400, 1000, "max"): 636,
    (1000, 700, "balanced"): 277,
    (1000, 700, "max"): 297,
    (1200, 900, "balanced"): 381,
    (1400, 1000, "balanced"): 477,
    (1920, 1370, "balanced"): 680,
    (1930, 1400, "balanced"): 742,
    (1930, 1400, "max"): 956,
    (2000, 1500, "fast"): 560,
    (2000, 1500, "balanced"): 816,
    (2000, 1500, "max"): 979,
    (2400, 1700, "balanced"): 1071,
    (3072, 2040, "balanced"): 1580,
    (3072, 2060, "balanced"): 958,
    (4000, 3000, "balanced"): 1692,
    (4100, 3100, "balanced"): 1208,
    (6000, 4000, "balanced"): 2015,
}


@pytest.mark.parametrize("case", OF_PIXELS)
def test_the_estimate_covers_the_peaks_of_pixels(case: tuple[int, int, str]) -> None:
    width, height, effort = case
    assert search_memory(width * height, effort) > 1.03e6 * OF_PIXELS[case]


@pytest.mark.parametrize("case", OF_COEFFICIENTS)
def test_the_estimate_covers_the_peaks_of_coefficients(case: tuple[int, int, str]) -> None:
    width, height, effort = case
    plan = plan_search(width, height, effort, coefficients=True, file_size=LARGE)
    assert plan.memory > 1.02e6 * OF_COEFFICIENTS[case]
