"""Perceptual metrics: arrays in, numbers and maps out, nothing of JPEG."""
