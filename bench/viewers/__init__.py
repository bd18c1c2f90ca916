"""Metrics compared with what people said of JPEG files."""
