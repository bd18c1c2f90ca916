"""JPEG as ITU-T T.81 has it: coefficients in, coefficients out, nothing of perception."""
