"""Fitted parameters of the search, and the code that applies them."""
