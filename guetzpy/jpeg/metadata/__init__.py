"""Metadata of JPEG files: parse it, keep it, remove parts of it, and update its offsets."""
