"""Comparison of encoders that encode a set of pictures within a total number of bytes."""
