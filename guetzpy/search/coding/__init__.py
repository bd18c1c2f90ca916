"""Quantisation: makes quantised coefficients from pixels or coefficients, under given settings."""
