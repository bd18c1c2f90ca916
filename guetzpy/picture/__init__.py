"""Pixels and their colour: reading of files that are no JPEG, profiles and transforms."""
