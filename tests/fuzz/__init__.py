"""Fuzzing: mutation of JPEG files by their structure, and a coverage-guided run."""
