"""Butteraugli."""
