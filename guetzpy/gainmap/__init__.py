"""Gain maps: the metadata that tells how a map is applied, and the HDR rendition that results."""
