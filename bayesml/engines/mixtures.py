"""Proposals of the independence sampler: Student-t distributions around one mode or several."""

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

from bayesml.engines.independence_kernels import Mixture
from bayesml.engines.posterior_modes import PosteriorMode

# Share, degrees of freedom and scale of the components around a mode.
_AROUND = ((0.8, 6.0, 1.1), (0.2, 3.0, 2.2))
# The mass around a mode is a guess; of several modes each gets at least this share.
_LEAST = 0.1


def mixture_around(modes: Sequence[PosteriorMode]) -> Mixture:
    """Return a mixture in the coordinates z of the first mode, theta = centre + spread z."""
    first = modes[0]
    size = len(first.centre)
    masses = np.array([mode.log_mass for mode in modes])
    shares = np.exp(masses - masses.max())
    shares = np.maximum(shares / shares.sum(), _LEAST)
    shares /= shares.sum()
    rows, centres, whitenings = [], [], []
    for mode, mass in zip(modes, shares, strict=True):
        spread = np.linalg.solve(first.spread, mode.spread)
        for share, degrees, scale in _AROUND:
            constant = gammaln((degrees + size) / 2) - gammaln(degrees / 2)
            constant -= size * (np.log(degrees * np.pi) / 2 + np.log(scale))
            constant -= np.linalg.slogdet(spread)[1]
            rows.append((np.log(mass * share) + constant, degrees, scale, mass * share))
            centres.append(np.linalg.solve(first.spread, mode.centre - first.centre))
            whitenings.append(np.linalg.inv(spread))
    return Mixture(np.array(rows), np.array(centres), np.array(whitenings))


def drawn(random: np.random.Generator, count: int, mixture: Mixture) -> np.ndarray:
    """Return draws of a mixture, shape (count, dimensions)."""
    _, degrees, scale, share = mixture.components.T
    component = random.choice(len(share), size=count, p=share)
    normal = random.standard_normal((count, mixture.centre.shape[1]))
    chi = np.sqrt(random.chisquare(degrees[component]) / degrees[component])
    apart = (scale[component] / chi)[:, None] * normal
    spreads = np.linalg.inv(mixture.whitening)
    return mixture.centre[component] + np.einsum("nij,nj->ni", spreads[component], apart)
