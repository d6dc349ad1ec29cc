"""How much draws would change if a part of the model counted a little more or less."""

import warnings

import numpy as np

# The powers between which the change is measured.
ALPHAS = (0.99, 1.01)


def power_scaling_sensitivity(draws: np.ndarray, log_component: np.ndarray) -> np.ndarray:
    """Return how much each scalar's posterior changes when a component is raised to a power.

    The draws are weighted by the component's density to the power alpha - 1 (Pareto-smoothed), and
    the sensitivity is the derivative, with respect to log2 alpha at 1, of the cumulative
    Jensen-Shannon distance from the posterior: ArviZ's implementation of Kallioinen, Paananen,
    Bürkner & Vehtari (2024), doi:10.1007/s11222-023-10366-5. Above 0.05 a component matters.

    Parameters
    ----------
    draws : array, shape (chains, draws, scalars)
    log_component : array, shape (chains, draws)
        Log density of the component (a prior, or the likelihood), up to a constant.

    Returns
    -------
    array, shape (scalars,)
        0 where the component is constant; NaN for a scalar that is constant or not finite.
    """
    from arviz_stats.base.array import array_stats

    values = np.asarray(draws, dtype=float)
    component = np.asarray(log_component, dtype=float)
    found = np.zeros(values.shape[2])
    spread = np.ptp(values, axis=(0, 1))
    found[~(np.isfinite(spread) & (spread > 0))] = np.nan
    if not np.isfinite(component).all():
        found[:] = np.nan
        return found
    if np.ptp(component) < 1e-12:
        return found
    weights = []
    with warnings.catch_warnings():
        # ArviZ warns where it shortens the tails of few draws.
        warnings.simplefilter("ignore")
        for alpha in ALPHAS:
            log_weights = array_stats.power_scale_lw(component, alpha=alpha, axis=[0, 1])
            weights.append(np.exp(log_weights - log_weights.max()))
    lower, upper = (weight / weight.sum() for weight in weights)
    for number in np.flatnonzero(~np.isnan(found)):
        found[number] = array_stats.power_scale_sense(
            values[:, :, number], lower, upper, *ALPHAS, chain_axis=0, draw_axis=1
        )
    return found
