"""JPEG (ITU-T T.81): read, transform and write coefficients, without any perceptual model."""
