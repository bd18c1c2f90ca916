"""Graphics that are drawn by programs, for training and measurements."""
