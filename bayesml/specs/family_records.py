"""The record of a family: everything that the toolkit knows of a likelihood."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from bayesml.errors import SpecError, quoted
from bayesml.specs.censoring import Durations
from bayesml.specs.distributions import Support
from bayesml.specs.links import LINKS, Link

ResponseKind = Literal["real", "positive", "unit", "binary", "count", "ordered", "nominal"]

# Draws of the likelihood's parameters by name; "link" is the name of the link.
Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """A parameter of the likelihood other than its linear predictor.

    Parameters
    ----------
    name : str
        Name in the posterior and prior key.
    support : {"real", "positive", "share"}
        Where it lives; a share lies between 0 and 1.
    default : str
        Default prior; `{s}` stands for the SD of the outcome on the link scale.
    """

    name: str
    support: Support
    default: str


def _unscaled(parameters: Parameters) -> np.ndarray:
    """Return 1: the inverse link of the linear predictor is the outcome's mean."""
    return np.ones(1)


@dataclass(frozen=True)
class Family:
    """A likelihood.

    Parameters
    ----------
    name : str
        Name as users write it.
    description : str
        Its outcomes in a few words, for model files and tables.
    links : tuple of str
        Links that it may have, the default first.
    response : {"real", "positive", "unit", "binary", "count", "ordered", "nominal"}
        What outcomes it takes; "unit" is between 0 and 1, without the ends; "nominal" has a linear
        predictor for each category but the baseline.
    likelihood : str
        Template of the PyMC statement. In double braces `name` is the observed variable's name,
        `eta` the linear predictor, `trials` the trials or nothing, `observed` the outcomes with
        their dim; parameters have their names, and conditions may ask for `link`, `trials` and
        `by_row`. What stands there depends on the model: one of several outcomes has a predictor
        and parameters of its own, and the mean of correlated residuals is given the rows before.
    simulate : callable
        ``simulate(rng, mean, parameters, trials)`` draws outcomes; `mean` is the inverse link of
        the linear predictor, for ordered outcomes the linear predictor itself.
    log_likelihood : callable
        ``log_likelihood(link, y, eta, parameters)``: log density or probability of outcomes. Rows
        stand on the second-last axis and draws on the last one; further axes of `eta` (nodes of a
        quadrature) come first. `parameters` holds ``trials`` where there are some; of ordered
        outcomes ``cutpoints``, shape (cutpoints, 1, draws), and ``lower`` and ``upper``, those
        below and above the outcome's category; of nominal ones every category but the baseline, by
        name, its linear predictor, while `eta` is the baseline's: 0.
    variance : callable
        ``variance(mean, parameters, trials)``: variance of the outcome, of the share of successes
        where there are trials. Not used for ordered and nominal outcomes.
    example : str
        NumPy statement that draws `y` from `eta` in a standalone script; `{mean}` stands for the
        inverse link of `eta`, `{trials}` for the number of trials, `{latent}` for a draw a row of
        the latent error, `{latents}` for one a row and cutpoint, `{categories}` for their number.
    equation : str
        LaTeX of the outcome's distribution; `{mean}` stands for the inverse link of the linear
        predictor, `{trials}` for the number of trials. Of ordered outcomes the probability whose
        link is cutpoint c less the linear predictor; `{outcome}` stands for the outcome. Of nominal
        ones what the linear predictor of category c is, against the `{baseline}`.
    parameters : tuple of Parameter
        Further parameters.
    intercept : bool
        Whether it has an intercept; ordered outcomes have cutpoints instead.
    functions : mapping
        Code that the likelihood calls, a text per link, placed above `build` in the source.
    functions_by_row : mapping
        The same where cutpoints differ between rows, as category-specific effects make them; empty
        where they may not.
    scaled : bool
        Whether default priors scale with the SD of the outcome on the link scale, as the outcome
        is normal there, or nearly so.
    level1 : str
        Name of the parameter that sets the level-1 SD, empty where the level-1 variance is fixed
        by the link or depends on the mean.
    latent : bool
        Whether the outcome is a latent variable cut at thresholds, or log odds, whose level-1
        variance the link fixes.
    mean_factor : callable
        ``mean_factor(parameters)``: the mean of the outcome over the inverse link of the linear
        predictor; below 1 for zero-inflated counts.
    category_shares : callable, optional
        ``category_shares(link, eta, cutpoints)``: probabilities of ordered categories, shape
        (categories, ...), from cutpoints of shape (cutpoints, ...) that broadcast against `eta`.
    category_slopes : callable, optional
        ``category_slopes(link, eta, cutpoints)``: derivatives of the logs of those probabilities
        by what the linear predictor exceeds each cutpoint by, shape (categories, cutpoints, ...).
    cutpoints_of : callable, optional
        ``cutpoints_of(link, shares)``: the cutpoints that give categories these shares where the
        linear predictor is 0.
    ordered_cutpoints : bool
        Whether cutpoints must ascend.
    correlated_residuals : bool
        Whether residuals on the outcome's scale may be correlated within a unit.
    durations : Durations or None
        What it says of censored durations; None where outcomes are always observed.
    needs_trials : bool
        Whether 0/1 outcomes leave a parameter without information, so that there must be trials.
    heavy_tails : bool
        Whether the log-likelihood flattens far from the outcome, so that an effect of one row may
        have two modes, one near 0 and one near the outcome.
    aliases : tuple of str
        Names in other software, for hints.
    """

    name: str
    description: str
    links: tuple[str, ...]
    response: ResponseKind
    likelihood: str
    simulate: Callable[[np.random.Generator, np.ndarray, Parameters, np.ndarray], np.ndarray]
    log_likelihood: Callable[[str, np.ndarray, np.ndarray, Parameters], np.ndarray]
    variance: Callable[[np.ndarray, Parameters, np.ndarray], np.ndarray]
    example: str
    equation: str = ""
    parameters: tuple[Parameter, ...] = ()
    intercept: bool = True
    functions: Mapping[str, str] = field(default_factory=dict)
    functions_by_row: Mapping[str, str] = field(default_factory=dict)
    scaled: bool = False
    level1: str = ""
    latent: bool = False
    mean_factor: Callable[[Parameters], np.ndarray] = _unscaled
    category_shares: Callable[[str, np.ndarray, np.ndarray], np.ndarray] | None = None
    category_slopes: Callable[[str, np.ndarray, np.ndarray], np.ndarray] | None = None
    cutpoints_of: Callable[[str, np.ndarray], np.ndarray] | None = None
    ordered_cutpoints: bool = False
    correlated_residuals: bool = False
    durations: Durations | None = None
    needs_trials: bool = False
    heavy_tails: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def discrete(self) -> bool:
        """Whether outcomes have probabilities; the others have densities."""
        return self.response in ("binary", "count", "ordered", "nominal")

    @property
    def takes_row_effects(self) -> bool:
        """Whether an effect of each row adds scatter that the likelihood has no parameter for.

        It is told from the likelihood for counts, and for successes out of several trials.
        """
        return self.response in ("count", "binary") and not self.parameters

    def link(self, name: str = "") -> Link:
        """Return the link of this name, or the default link.

        Raises
        ------
        SpecError
            The family has no such link.
        """
        if not name:
            return LINKS[self.links[0]]
        if name not in self.links:
            raise SpecError(
                f"The family {quoted(self.name)} has no link {quoted(name)}. "
                f"Allowed: {', '.join(self.links)}."
            )
        return LINKS[name]
