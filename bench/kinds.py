"""The encoders in tables of results: guetzpy's own kinds and other encoders, in order and in words."""

from __future__ import annotations

from bench import peers

#: guetzpy's kinds in tables, and the effort of each.
OURS = {"guetzpy": "balanced", "guetzpy-fast": "fast", "guetzpy-max": "max"}


def rank(kind: str) -> tuple[int, str]:
    """Return what kinds are sorted by: guetzpy's first, then as ``peers`` lists them, then by name."""
    order = [*OURS, *peers.PEERS]
    return (order.index(kind) if kind in order else len(order), kind)


def title(kind: str) -> str:
    """Return a kind in words."""
    if kind in OURS:
        return "guetzpy" if kind == "guetzpy" else f"guetzpy, effort {OURS[kind]}"
    return peers.PEERS[kind].title if kind in peers.PEERS else kind
