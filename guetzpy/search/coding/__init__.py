"""From pixels or coefficients to quantised coefficients under given settings."""
