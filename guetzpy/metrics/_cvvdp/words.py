"""What a quality in JOD means to people."""

from __future__ import annotations

__all__ = ["jod_in_words"]

#: Quality in JOD, from which on the words hold. By the definition of the unit (Mantiuk et al. 2024), of two
#: pictures d JOD apart a share of Phi(0.6745 d) of viewers prefer the better one, where Phi is the normal
#: distribution: 53 % at 0.1, hardly more than by chance, 58 % at 0.3, 63 % at 0.5, 75 % at 1.
_WORDS = (
    (9.9, "no visible difference"),
    (9.7, "hardly a visible difference"),
    (9.5, "a difference that is visible side by side"),
    (9.0, "a visible difference"),
)


def jod_in_words(jod: float) -> str:
    """Return what a quality in JOD (10: equal pictures) means, in a few words."""
    for least, words in _WORDS:
        if jod >= least:
            return words
    return "a difference that three in four viewers mind, or more"
