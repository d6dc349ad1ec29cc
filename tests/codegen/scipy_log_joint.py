"""The log-joint density of every structure and family, written with SciPy and loops over rows.

Nothing here reads bayesml's arrays: the units, terms and weights of a row come from the user's
table, and the parameters are those that the posterior reports (on the user's scale).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from tests.family_rows import FAMILY_ROWS

Row = Any  # a named tuple of DataFrame.itertuples


@dataclass(frozen=True)
class Outcome:
    """A family with a link: the builder's arguments, and the density of one row."""

    formula_left: str
    options: Mapping[str, Any]
    density: Callable[[Row, float, Mapping[str, np.ndarray]], float]
    location: Callable[[pd.DataFrame], float] | None
    scaled: bool = False
    priors: Mapping[str, Callable[[float], Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Members:
    """A grouping of one structure: which units a row has, with weights, and which terms vary."""

    name: str
    units: Callable[[Row], list[tuple[Any, float]]]
    terms: Mapping[str, Callable[[Row], float]]
    correlated: bool = True
    sizes: tuple[int, ...] = field(default=())

    @property
    def blocks(self) -> list[list[int]]:
        """The numbers of the terms of each correlated block."""
        count = len(self.terms)
        sizes = self.sizes or ((count,) if self.correlated else (1,) * count)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        return [list(range(start, start + size)) for start, size in zip(starts, sizes, strict=True)]


def half_student_t(x: float, nu: float, scale: float) -> float:
    return float(np.log(2) + stats.t.logpdf(x, nu, scale=scale)) if x > 0 else -np.inf


def lkj_cholesky(cholesky: np.ndarray, eta: float) -> float:
    """Density of the strictly lower entries of a correlation matrix's Cholesky factor.

    The correlation matrix has density c det(R)^(eta - 1), where c is a product over the vine's
    partial correlations (Lewandowski, Kurowicka & Joe 2009), each of density (1 - p^2)^(b - 1);
    the change of variables multiplies by the i-th diagonal entry to the power n - i.
    """
    size = len(cholesky)
    constant = sum(
        (size - level) * np.log(special.beta(0.5, eta + (size - 1 - level) / 2))
        for level in range(1, size)
    )
    log_diagonal = np.log(np.diag(cholesky))
    jacobian = sum((size - i) * log_diagonal[i - 1] for i in range(1, size + 1))
    return float((eta - 1) * 2 * log_diagonal.sum() + jacobian - constant)


def log_probabilities(eta: float, link: str) -> tuple[float, float]:
    """Log probability of a success and of a failure."""
    if link == "cloglog":
        return float(np.log(-np.expm1(-np.exp(eta)))), -float(np.exp(eta))
    cdf = stats.logistic if link == "logit" else stats.norm
    return float(cdf.logcdf(eta)), float(cdf.logcdf(-eta))


def inverse(share: float, link: str) -> float:
    if link == "logit":
        return float(np.log(share / (1 - share)))
    return float(stats.norm.ppf(share)) if link == "probit" else float(np.log(-np.log(1 - share)))


def _gaussian(row: Row, eta: float, values: Mapping[str, np.ndarray]) -> float:
    return float(stats.norm.logpdf(row.score, eta, values["sigma"]))


def _bernoulli(link: str) -> Callable[..., float]:
    return lambda row, eta, values: log_probabilities(eta, link)[0 if row.passed else 1]


def _binomial(link: str) -> Callable[..., float]:
    def density(row: Row, eta: float, values: Mapping[str, np.ndarray]) -> float:
        success, failure = log_probabilities(eta, link)
        ways = np.log(special.comb(row.items, row.correct))
        return float(ways + row.correct * success + (row.items - row.correct) * failure)

    return density


def _poisson(row: Row, eta: float, values: Mapping[str, np.ndarray]) -> float:
    return float(stats.poisson.logpmf(row.events, row.days * np.exp(eta)))


LATENT = {"logit": stats.logistic, "probit": stats.norm, "cloglog": stats.gumbel_l}


def _ordinal(link: str) -> Callable[..., float]:
    latent = LATENT[link]

    def density(row: Row, eta: float, values: Mapping[str, np.ndarray]) -> float:
        bounds = [-np.inf, *values["cutpoints"], np.inf]
        low, high = bounds[row.grade - 1] - eta, bounds[row.grade] - eta
        if low > 0:  # the upper tail, where the cdf itself is near 1
            return float(np.log(latent.sf(low) - latent.sf(high)))
        return float(np.log(latent.cdf(high) - latent.cdf(low)))

    return density


def _adjacent_category(row: Row, eta: float, values: Mapping[str, np.ndarray]) -> float:
    """Every category has the odds exp(eta - cutpoint) against the one below it."""
    odds = np.cumprod([1.0, *np.exp(eta - values["cutpoints"])])
    return float(np.log(odds[row.grade - 1] / odds.sum()))


def _continuation_ratio(link: str) -> Callable[..., float]:
    latent = LATENT[link]

    def density(row: Row, eta: float, values: Mapping[str, np.ndarray]) -> float:
        total = 0.0
        for place, cutpoint in enumerate(values["cutpoints"], start=1):
            if row.grade > place:
                total += latent.logsf(cutpoint - eta)
            elif row.grade == place:
                total += latent.logcdf(cutpoint - eta)
        return float(total)

    return density


OUTCOMES: dict[str, Outcome] = {
    "gaussian": Outcome("score", {}, _gaussian, lambda t: float(t["score"].mean()), scaled=True)
}
for _link in ("logit", "probit", "cloglog"):
    OUTCOMES[f"bernoulli {_link}"] = Outcome(
        "passed",
        {"family": "binomial", "link": _link},
        _bernoulli(_link),
        lambda t, link=_link: inverse(t["passed"].mean(), link),
    )
    OUTCOMES[f"binomial {_link}"] = Outcome(
        "correct",
        {"family": "binomial", "link": _link, "trials": "items"},
        _binomial(_link),
        lambda t, link=_link: inverse(t["correct"].sum() / t["items"].sum(), link),
    )
OUTCOMES["poisson"] = Outcome(
    "events",
    {"family": "poisson", "exposure": "days"},
    _poisson,
    lambda t: float(np.log(t["events"].sum() / t["days"].sum())),
)
for _link in LATENT:
    OUTCOMES[f"ordinal {_link}"] = Outcome(
        "grade", {"family": "ordinal", "link": _link}, _ordinal(_link), None
    )
    OUTCOMES[f"continuation_ratio {_link}"] = Outcome(
        "grade", {"family": "continuation_ratio", "link": _link}, _continuation_ratio(_link), None
    )
OUTCOMES["adjacent_category logit"] = Outcome(
    "grade", {"family": "adjacent_category"}, _adjacent_category, None
)

for _row in FAMILY_ROWS:
    # The first four families have rows of their own above, with 0/1 outcomes and exposures.
    if _row.family not in ("gaussian", "binomial", "poisson"):
        OUTCOMES[_row.name] = Outcome(
            _row.column,
            {"family": _row.family, "link": _row.link, **_row.options},
            lambda row, eta, values, own=_row: float(
                own.log_probability(getattr(row, own.column), eta, values, row.items)
            ),
            _row.location,
            _row.scaled,
            _row.priors,
        )


def effects_log_density(
    grouping: Members,
    values: Mapping[str, np.ndarray],
    sd_scales: np.ndarray,
    eta: float,
    form: str | np.ndarray,
) -> float:
    """Density of a grouping's SDs, Cholesky factors and effects.

    Non-centred, the density is that of the standardised effects: the effects' own density times
    the Jacobian |Cholesky factor of Sigma|, once per unit. Partly centred, the first effect is
    not standardised, and its SD leaves the Jacobian. An array says for every unit how much of its
    SD an effect keeps: 1 where it is centred, 0 where it is standardised.
    """
    sd, effects = values[f"sd_{grouping.name}"], values[f"u_{grouping.name}"]
    total = 0.0
    for value, scale in zip(sd, sd_scales, strict=True):
        total += half_student_t(value, 4, scale)
    for block in grouping.blocks:
        correlation = np.eye(len(block))
        if len(block) > 1:
            correlation = values[f"corr_{grouping.name}"][np.ix_(block, block)]
            total += lkj_cholesky(np.linalg.cholesky(correlation), eta)
        covariance = np.outer(sd[block], sd[block]) * correlation
        for effect in effects[:, block]:
            total += float(
                stats.multivariate_normal.logpdf(effect, np.zeros(len(block)), covariance)
            )
            if isinstance(form, str) and form != "centred":
                total += 0.5 * float(np.linalg.slogdet(covariance)[1])
            if isinstance(form, str) and form == "partly centred" and 0 in block:
                total -= float(np.log(sd[0]))
    if not isinstance(form, str):
        total += float(((1 - form) * np.log(sd)).sum())
    return total


def linear_predictors(
    table: pd.DataFrame,
    coefficients: Mapping[str, float],
    predictors: Mapping[str, Callable[[Row], float]],
    groupings: list[Members],
    values: Mapping[str, np.ndarray],
    labels: Mapping[str, list[Any]],
    offset: Callable[[Row], float] = lambda row: 0.0,
) -> list[float]:
    """The linear predictor of every row, by loops over its units and terms."""
    predicted = []
    for row in table.itertuples():
        eta = offset(row) + sum(
            coefficients[label] * predictors[label](row) for label in coefficients
        )
        for grouping in groupings:
            for unit, weight in grouping.units(row):
                effect = values[f"u_{grouping.name}"][labels[grouping.name].index(unit)]
                for term, of_row in enumerate(grouping.terms.values()):
                    eta += weight * of_row(row) * effect[term]
        predicted.append(float(eta))
    return predicted


def log_joint(
    outcome: Outcome,
    table: pd.DataFrame,
    predictors: Mapping[str, Callable[[Row], float]],
    groupings: list[Members],
    values: Mapping[str, np.ndarray],
    labels: Mapping[str, list[Any]],
    form: str | Mapping[str, np.ndarray],
    offset: Callable[[Row], float] = lambda row: 0.0,
) -> float:
    """The log-joint density under the default priors, at parameters on the user's scale."""
    spread = 1.0
    if outcome.scaled:
        column = table[outcome.formula_left]
        spread = float((np.log(column) if outcome.options.get("link") == "log" else column).std())
    coefficients = dict(zip(labels.get("coef", ()), values.get("beta", ()), strict=True))
    columns = {
        label: np.array([predictors[label](row) for row in table.itertuples()])
        for label in coefficients
    }
    shift = sum(
        coefficients[label] * columns[label].mean() for label in columns if label != "Intercept"
    )
    total = 0.0
    if "Intercept" in coefficients and outcome.location is not None:
        at_mean = coefficients["Intercept"] + shift
        known = float(np.mean([offset(row) for row in table.itertuples()]))
        total += stats.norm.logpdf(at_mean, outcome.location(table) - known, 2.5 * spread)
    elif outcome.location is None:
        total += stats.t.logpdf(values["cutpoints"] - shift, 3, scale=2.5).sum()
    for label, coefficient in coefficients.items():
        if label != "Intercept":
            total += stats.norm.logpdf(coefficient, 0, 2.5 * spread / columns[label].std(ddof=1))
    if outcome.scaled and not outcome.priors:
        total += half_student_t(float(values["sigma"]), 4, spread)
    for name, prior in outcome.priors.items():
        total += float(prior(spread).logpdf(float(values[name])))
    for grouping in groupings:
        z = np.array(
            [[term(row) for term in grouping.terms.values()] for row in table.itertuples()]
        )
        z_sd = z.std(axis=0, ddof=1)
        scales = np.array(
            [
                spread / (1.0 if name == "Intercept" else sd)
                for name, sd in zip(grouping.terms, z_sd, strict=True)
            ]
        )
        total += effects_log_density(
            grouping, values, scales, 2.0, form if isinstance(form, str) else form[grouping.name]
        )
    eta = linear_predictors(table, coefficients, predictors, groupings, values, labels, offset)
    total += sum(
        outcome.density(row, value, values)
        for row, value in zip(table.itertuples(), eta, strict=True)
    )
    return float(total)
