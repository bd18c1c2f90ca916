"""IW-SSIM: structural similarity on a Laplacian pyramid, pooled with weights by information content.

Wang and Li, "Information Content Weighting for Perceptual Image Quality Assessment", IEEE Transactions on
Image Processing 20 (5), 2011 (doi 10.1109/TIP.2010.2092435). The scores are those of the package piq.

The public names are ``guetzpy.metrics.iwssim`` and ``guetzpy.metrics.IWSSIMComparator``. The name of this
package has an underscore because a module named ``iwssim`` would hide the function.
"""
