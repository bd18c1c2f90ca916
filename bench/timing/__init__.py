"""Time, start and compilation of guetzpy, beside other encoders."""
