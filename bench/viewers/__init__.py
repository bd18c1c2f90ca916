"""Comparison of metrics with the judgements of people on JPEG files."""
