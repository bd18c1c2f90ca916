"""How good a file is: scores, limits, and the weights that follow from gradients."""
