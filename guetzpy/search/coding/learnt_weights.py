"""Weights of blocks that a model predicts from the coefficients, without gradients."""

from __future__ import annotations

from guetzpy.model.file import Model
from guetzpy.search.coding.source import CodingSource, PlaneSource
from guetzpy.search.coding.weights import Weights

__all__ = ["predicted_weights"]


def predicted_weights(model: Model, source: CodingSource, distance: float) -> Weights:
    """Return the weights that a model predicts for an encode.

    Parameters
    ----------
    model : Model
        The model.
    source : CodingSource
        The picture.
    distance : float
        Distance of the encode, above 0.

    Returns
    -------
    Weights
        Weights of 1 if the model predicts none, or if the source does not keep its coefficients.
    """
    flat = source.flat_weights()
    if model.weights is None or not isinstance(source, PlaneSource):
        return flat
    return Weights(model.weights.predict(source.coefficients, source.sampling, distance), flat.bands)
