"""One picture from source to verified result."""
