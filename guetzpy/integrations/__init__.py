"""guetzpy inside other programs and libraries."""
