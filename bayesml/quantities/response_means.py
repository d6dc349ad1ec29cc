"""The mean of an outcome at a linear predictor, or over normal effects added to it."""

import numpy as np
from scipy import special

from bayesml.specs.families import FAMILIES
from bayesml.specs.links import LINKS

# Beyond this many SDs lies 7e-9 of a normal distribution.
_FARTHEST = 5.8
# The trapezoidal rule with step h has the error exp(y^2 / 2 - 2 pi y / h), in units of the SD,
# where the inverse link is analytic within y SDs of the real line: within pi on the link scale for
# the logistic function. The complementary log-log is tame up to pi / 2, and needs a margin.
_STRIPS = {"logit": np.pi, "cloglog": 1.25}
_LOG_TOLERANCE = 20.0


def response_mean(link: str, eta: np.ndarray) -> np.ndarray:
    """Return the inverse link of a linear predictor, infinite where it overflows.

    Parameters
    ----------
    link : str
    eta : array

    Returns
    -------
    array, of the same shape
        On the response scale, for one trial or one unit of exposure in the offset's sense.

    Examples
    --------
    >>> float(response_mean("logit", np.array(0.0)))
    0.5
    """
    with np.errstate(over="ignore"):
        return LINKS[link].inverse(eta)


def response_mean_over_normal(link: str, eta: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return E[g^-1(eta + v)], v ~ N(0, variance): the mean of an outcome over normal effects.

    Closed forms: eta (identity), exp(eta + variance / 2) (log), Phi(eta / sqrt(1 + variance))
    (probit; Zeger, Liang & Albert 1988, doi:10.2307/2531734). Logit and complementary log-log are
    integrated by the trapezoidal rule on the real line, whose error falls exponentially for
    analytic functions (Trefethen & Weideman 2014, doi:10.1137/130932132); with steps chosen by
    a row's largest variance the error is about 1e-8.

    Parameters
    ----------
    link : str
    eta : array, shape (..., draws)
    variance : array that broadcasts to the shape of `eta`
        Variance of the effects on the link scale.

    Returns
    -------
    array, of the shape of `eta`

    Examples
    --------
    >>> round(float(response_mean_over_normal("log", np.array(0.0), np.array(2.0))), 4)
    2.7183
    """
    eta, variance = np.asarray(eta, dtype=float), np.asarray(variance, dtype=float)
    if link == "identity":
        return eta.copy()
    if link == "log":
        return response_mean("log", eta + variance / 2)
    if link == "probit":
        return special.ndtr(eta / np.sqrt(1 + variance))
    sd = np.sqrt(variance)
    if eta.ndim < 2:
        return _integrated(link, eta, sd)
    # Row by row: each has steps of its own, and its draws stay in the processor's first cache.
    sd = np.broadcast_to(sd, (*np.broadcast_shapes(sd.shape[:-1], eta.shape[:1]), *sd.shape[-1:]))
    return np.stack([_integrated(link, one, spread) for one, spread in zip(eta, sd, strict=True)])


def _integrated(link: str, eta: np.ndarray, sd: np.ndarray) -> np.ndarray:
    step, weights = _nodes(float(sd.max(initial=0.0)), _STRIPS[link])
    if link == "logit":
        return _logistic_normal(eta, sd, step, weights)
    mean = weights[0] * response_mean(link, eta)
    for number, weight in enumerate(weights[1:], start=1):
        shift = number * step * sd
        mean += weight * (response_mean(link, eta + shift) + response_mean(link, eta - shift))
    return mean


def _nodes(largest: float, width: float) -> tuple[float, np.ndarray]:
    """Return the step between nodes in SDs, and the weights of the nodes 0, 1, 2, ..."""
    # Beyond the square root the normal density itself is what limits the step.
    strip = min(width / max(largest, 1e-12), np.sqrt(2 * _LOG_TOLERANCE))
    step = 2 * np.pi * strip / (_LOG_TOLERANCE + strip**2 / 2)
    z = step * np.arange(int(np.ceil(_FARTHEST / step)) + 1)
    weights = np.exp(-(z**2) / 2)
    # Without variance the mean is exact.
    return step, weights / (weights[0] + 2 * weights[1:].sum())


def _logistic_normal(
    eta: np.ndarray, sd: np.ndarray, step: float, weights: np.ndarray
) -> np.ndarray:
    """Return the mean of the logistic function, with one exponential for all nodes.

    With E = exp(-|eta|) and C_k = 2 cosh(k h sd), the nodes k and -k have together the
    probability (E C_k + 2 E^2) / (1 + E C_k + E^2) of the rarer outcome, and C_k+1 = C_1 C_k -
    C_k-1.
    """
    small = np.exp(-np.abs(eta))
    square = small * small
    rare = weights[0] * small / (1 + small)
    top, bottom = np.empty_like(small), np.empty_like(small)
    with np.errstate(over="ignore", invalid="ignore"):
        first = 2 * np.cosh(step * sd)
        before, pair = np.full_like(first, 2.0), first
        for weight in weights[1:]:
            np.multiply(small, pair, out=top)
            np.add(top, square, out=bottom)
            np.add(bottom, square, out=top)
            bottom += 1
            top /= bottom
            top *= weight
            rare += top
            before, pair = pair, first * pair - before
    return np.where(eta < 0, rare, 1 - rare)


def category_probabilities(
    family: str,
    link: str,
    eta: np.ndarray,
    cutpoints: np.ndarray,
    variance: np.ndarray | None = None,
) -> np.ndarray:
    """Return the probabilities of ordered categories, given normal effects or over them.

    Cumulative models, P(y <= k) = F(c_k - eta): by the mean of F, as for 0/1 outcomes. Others are
    integrated by the same trapezoidal rule.

    Parameters
    ----------
    family : str
        Name of a family of ordered categories.
    link : {"logit", "probit", "cloglog"}
        F is its inverse.
    eta : array, shape (rows, draws)
        Linear predictor, without cutpoints.
    cutpoints : array, shape (draws, categories - 1) or (rows, draws, categories - 1)
        The latter where they differ between rows; not of cumulative models.
    variance : array, shape (rows, draws) or (1, draws), optional
        Variance of normal effects to integrate over.

    Returns
    -------
    array, shape (rows, categories, draws)

    Notes
    -----
    McCullagh (1980), doi:10.1111/j.2517-6161.1980.tb01109.x. Tutz (1991), Computational Statistics
    and Data Analysis 11, 275-295, of sequential models.

    Examples
    --------
    >>> found = category_probabilities("ordinal", "logit", np.zeros((1, 1)), np.zeros((1, 1)))
    >>> found.ravel().tolist()
    [0.5, 0.5]
    """
    record = FAMILIES[family]
    if record.ordered_cutpoints:
        return _cumulative_probabilities(link, eta, cutpoints, variance)
    assert record.category_shares is not None
    found = np.empty((len(eta), cutpoints.shape[-1] + 1, eta.shape[1]))
    for row, centre in enumerate(eta):
        bounds = (cutpoints if cutpoints.ndim == 2 else cutpoints[row]).T
        with np.errstate(over="ignore", under="ignore"):
            if variance is None:
                found[row] = record.category_shares(link, centre, bounds)
                continue
            sd = np.sqrt(variance[min(row, len(variance) - 1)])
            step, weights = _nodes(float(sd.max(initial=0.0)), _strip(link, len(bounds)))
            found[row] = weights[0] * record.category_shares(link, centre, bounds)
            for number, weight in enumerate(weights[1:], start=1):
                shift = number * step * sd
                for at in (centre + shift, centre - shift):
                    found[row] += weight * record.category_shares(link, at, bounds)
    return found


def _strip(link: str, cutpoints: int) -> float:
    """Return how far from the real line the shares of categories are analytic, and tame."""
    # A polynomial in exp(eta) with positive coefficients has no root within this angle of it.
    return min(_STRIPS.get(link, 1.0), np.pi / cutpoints)


def _cumulative_probabilities(
    link: str, eta: np.ndarray, cutpoints: np.ndarray, variance: np.ndarray | None
) -> np.ndarray:
    rows, draws = eta.shape
    bounds = cutpoints.T
    found = np.empty((rows, len(bounds) + 1, draws))
    for row in range(rows):
        gap = bounds - eta[row]
        if variance is None:
            up_to = response_mean(link, gap)
        elif link == "probit":
            up_to = response_mean_over_normal(link, gap, variance[min(row, len(variance) - 1)])
        else:
            up_to = _integrated(link, gap, np.sqrt(variance[min(row, len(variance) - 1)]))
        found[row, 0] = up_to[0]
        # Integrals of ordered functions are ordered but for rounding.
        found[row, 1:-1] = np.maximum(up_to[1:] - up_to[:-1], 0.0)
        found[row, -1] = 1 - up_to[-1]
    return found
