"""Descriptions in words of a quality in JOD."""

from __future__ import annotations

__all__ = ["jod_in_words"]

#: Smallest quality in JOD for each description. By the definition of the unit (Mantiuk et al. 2024), if two
#: pictures differ by d JOD, a share Phi(0.6745 d) of viewers prefers the better one, where Phi is the normal
#: distribution: 53 % at 0.1, hardly more than by chance, 58 % at 0.3, 63 % at 0.5, 75 % at 1.
_WORDS = (
    (9.9, "no visible difference"),
    (9.7, "hardly a visible difference"),
    (9.5, "a difference that is visible side by side"),
    (9.0, "a visible difference"),
)


def jod_in_words(jod: float) -> str:
    """Return a short description of a quality in JOD (10: identical pictures)."""
    for least, words in _WORDS:
        if jod >= least:
            return words
    return "a clearly visible difference"
