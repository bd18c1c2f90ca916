"""Training: fitting the parameters of a model on a folder of pictures."""
