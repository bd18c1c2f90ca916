"""Metadata segments: what they hold, what is kept, removed or rewritten."""
