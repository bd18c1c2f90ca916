"""Kinds of encoders in tables of results: their order and their titles.

A kind is an encoder with all but one of its settings fixed, such as ``jpegli444`` or ``guetzpy-fast``.
"""

from __future__ import annotations

from bench import peers

#: guetzpy's kinds in tables, and the effort of each.
OURS = {"guetzpy": "balanced", "guetzpy-fast": "fast", "guetzpy-max": "max"}


def rank(kind: str) -> tuple[int, str]:
    """Return a sort key for kinds of encoders: guetzpy's, then in the order of ``PEERS``, then by name."""
    order = [*OURS, *peers.PEERS]
    return (order.index(kind) if kind in order else len(order), kind)


def title(kind: str) -> str:
    """Return the title of a kind."""
    if kind in OURS:
        return "guetzpy" if kind == "guetzpy" else f"guetzpy, effort {OURS[kind]}"
    return peers.PEERS[kind].title if kind in peers.PEERS else kind
