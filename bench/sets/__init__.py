"""Sets of pictures under a total of bytes."""
