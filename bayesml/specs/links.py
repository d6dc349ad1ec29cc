"""Link functions: from the response scale to the linear predictor, and the latent variance."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class Link:
    """A link function with its inverse.

    Parameters
    ----------
    name : str
        Name as users write it.
    forward, inverse : callable
        Response scale to link scale and back, elementwise.
    latent_variance : float or None
        Variance of the level-1 error on the latent scale (Goldstein, Browne & Rasbash 2002,
        doi:10.1207/S15328031US0104_02), None where the link has no latent formulation.
    """

    name: str
    forward: Callable[[np.ndarray], np.ndarray]
    inverse: Callable[[np.ndarray], np.ndarray]
    latent_variance: float | None = None


LINKS = {
    link.name: link
    for link in (
        Link("identity", lambda x: np.asarray(x, dtype=float), lambda x: np.asarray(x, float)),
        Link("log", np.log, np.exp),
        Link("logit", special.logit, special.expit, np.pi**2 / 3),
        Link("probit", special.ndtri, special.ndtr, 1.0),
        Link(
            "cloglog",
            lambda p: np.log(-np.log1p(-p)),
            lambda eta: -np.expm1(-np.exp(eta)),
            np.pi**2 / 6,
        ),
    )
}
