"""Perceptually optimised JPEG re-encoding."""

__version__ = "0.1.0"
