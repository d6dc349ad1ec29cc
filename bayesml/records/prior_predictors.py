"""The linear predictors of prior draws."""

from collections.abc import Mapping

import numpy as np

from bayesml.records.modelling import Model


def prior_predictor(
    model: Model,
    parameters: Mapping[str, np.ndarray],
    reported: Mapping[str, np.ndarray],
    block: slice,
    predictor: str = "",
) -> np.ndarray:
    """Return a block of draws of a linear predictor, shape (block, rows), at centred X.

    Parameters
    ----------
    model : Model
    parameters, reported : mapping of str to array, shape (draws, ...)
        Draws as the generated source has them, and as the posterior reports them.
    block : slice
    predictor : str
        Empty for the main one, else the parameter or the category of a nominal outcome.
    """
    suffix = f"_{predictor}" if predictor else ""
    data = model.data
    slopes = parameters["slopes" if model.resolved.nominal else f"slopes{suffix}"][block]
    eta = np.zeros((len(slopes), len(model.design.response.values)))
    if model.resolved.nominal:
        if predictor:
            place = model.resolved.outcomes.index(predictor)
            eta += reported["beta"][block][:, place] @ model.design.fixed.values.T
    elif model.resolved.outcomes:
        eta += reported["beta"][block].reshape(len(eta), -1) @ model.design.fixed.values.T
    elif f"intercept{suffix}" in parameters:
        eta += parameters[f"intercept{suffix}"][block, None]
    x = data.get(f"x{suffix}_centred", data.get(f"x{suffix}"))
    if x is not None and not model.resolved.outcomes:
        eta += slopes @ x.T
    if "offset" in data and not predictor:
        eta += data["offset"]
    for grouping, part in zip(model.resolved.groupings, model.design.varying, strict=True):
        effects = reported[f"u_{grouping.identifier}"][block]
        for term, own in enumerate(part.predictors):
            if own != predictor:
                continue
            shared, z = effects[:, part.units.index, term], part.terms[..., term]
            if part.units.weights is not None and z.ndim == 2:
                eta += (shared * part.units.weights * z).sum(axis=-1)
                continue
            if part.units.weights is not None:
                shared = (shared * part.units.weights).sum(axis=-1)
            eta += z * shared
    return eta
