"""Outcomes of one row drawn together: their residuals are correlated."""

import numpy as np

from bayesml.posterior.linear_predictors import PredictorBlock, flat_draws
from bayesml.posterior.prediction_rows import PredictionRows
from bayesml.quantities.correlation_matrices import covariance_factor
from bayesml.records.fits import Fit


def outcomes_of_block(
    fit: Fit, block: PredictorBlock, rows: PredictionRows, seed: int
) -> np.ndarray:
    """Return Gaussian outcomes drawn for a block of rows, correlated within a row of the table.

    The residuals of a row of the table follow from the seed and the row's place alone, so that a
    block may end within it.

    Parameters
    ----------
    fit : Fit
    block : PredictorBlock
        Effects that are averaged over are drawn anew for every row.
    rows : PredictionRows
        Stacked rows: those of one row of the table stand beside each other.
    seed : int

    Returns
    -------
    array, shape (rows, draws)
    """
    assert rows.outcome is not None
    values = block.eta.copy()
    if block.variance is not None:
        rng = np.random.default_rng([seed, block.rows.start])
        values += np.sqrt(block.variance) * rng.standard_normal(values.shape)
    sigma, correlation = flat_draws(fit, "sigma"), flat_draws(fit, "corr_residual")
    factor = covariance_factor(sigma, correlation)
    outcome = rows.outcome
    # A row of the table begins where the outcome's number does not rise.
    starts = np.concatenate([[0], np.cumsum(_begins(rows)[1:])])
    for number in np.unique(starts[block.rows]):
        places = np.flatnonzero(starts[block.rows] == number)
        rng = np.random.default_rng([seed, 1, int(number)])
        residuals = np.einsum("dij,dj->id", factor, rng.standard_normal(sigma.shape))
        values[places] += residuals[outcome[block.rows][places]]
    return values


def _begins(rows: PredictionRows) -> np.ndarray:
    """Return where another row of the table begins."""
    assert rows.outcome is not None
    label = rows.index.to_numpy()
    begins = np.ones(len(label), dtype=bool)
    begins[1:] = (label[1:] != label[:-1]) | (np.diff(rows.outcome) <= 0)
    return begins
