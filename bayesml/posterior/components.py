"""The variance components of a fit: SDs and correlations of every grouping, and of level 1."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, combinations
from typing import Any

import numpy as np
import pandas as pd

from bayesml.posterior.labelled_draws import correlated_pairs, labelled_draws
from bayesml.posterior.residual_fits import labels_of_residuals, residual_record
from bayesml.posterior.summaries import interval_words, summary_table
from bayesml.quantities.correlation_matrices import lkj_marginal
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit
from bayesml.records.prior_rows import ABOVE_2, AT_DISTANCE
from bayesml.specs.distributions import parse_prior

_NUMBERS = ["mean", "median", "sd", "lower", "upper", "ess_bulk", "r_hat"]


def variance_components(fit: Fit, prob: float = 0.89, prior: bool = False) -> pd.DataFrame:
    """Return SDs and correlations of the varying terms, and the residual SD, in a tidy table.

    Parameters
    ----------
    fit : Fit
    prob : float
        Probability of the equal-tailed intervals.
    prior : bool
        Set the prior beside the posterior, which shows how much was learnt.

    Returns
    -------
    DataFrame
        One row per component: `grouping` (``residual`` for level 1, where the family has a
        level-1 SD), `term`, `term2` (the second term of a correlation, else empty), `parameter`
        (``sd`` or ``corr``; ``phi`` of autoregressive residuals, ``nu`` of Student-t effects), and
        `mean`, `median`, `sd`, `lower`, `upper`, `ess_bulk`, `r_hat`.
        SDs are on the scale of the linear predictor, per unit of the term; with varying slopes
        the SD of ``Intercept`` holds where the other terms are 0. Kinds of units have rows of
        their own, ``Public:Intercept``. Terms of a parameter with a
        formula of its own (``sigma:Intercept``) are on its log or logit scale. The attributes
        `prob` and `interval` say what `lower` and `upper` are. With `prior` also `prior` (its
        text), `prior_median`, `prior_lower`, `prior_upper`, and `learnt`:
        1 - (upper - lower) / (prior_upper - prior_lower), which is 0 where the posterior is as
        wide as the prior, below 0 where it is wider, and close to 1 where the data say nearly all.

    Raises
    ------
    FitError
        `prob` is not between 0 and 1.

    Notes
    -----
    A correlation's prior is the marginal of its LKJ distribution: a Beta stretched to (-1, 1);
    Lewandowski, Kurowicka & Joe (2009), doi:10.1016/j.jmva.2009.04.008. The posterior of a
    correlation also moves with the SDs' priors; set others and compare where `learnt` is small.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ 1", group="school").fit()  # doctest: +SKIP
    >>> bml.variance_components(fit)[["grouping", "term", "mean"]]  # doctest: +SKIP
    """
    variables: list[str] = []
    rows: list[tuple[str, str, str, str]] = []
    for grouping in fit.facts.groupings:
        variables.append(f"sd_{grouping.identifier}")
        rows += [(grouping.name, label, "", "sd") for label in grouping.sd_labels]
        if grouping.correlated:
            variables.append(f"corr_{grouping.identifier}")
            rows += [
                (grouping.name, grouping.sd_labels[column], grouping.sd_labels[row], "corr")
                for row, column in zip(*correlated_pairs(grouping), strict=True)
            ]
        if grouping.student:
            variables.append(f"nu_{grouping.identifier}")
            rows.append((grouping.name, "", "", "nu"))
    level1 = fit.spec.level1
    if level1:
        variables.append(level1)
        rows += _residual_rows(fit)
    record = residual_record(fit.spec)
    if record is not None:
        variables.append(record.parameter)
    numbers = summary_table(labelled_draws(fit, variables), prob).reset_index(drop=True)
    labels = pd.DataFrame(rows, columns=["grouping", "term", "term2", "parameter"])
    table = pd.concat([labels, numbers[_NUMBERS]], axis=1)
    if prior:
        table = pd.concat([table, _prior_columns(fit, table, prob)], axis=1)
    table.attrs = {"prob": float(prob), "interval": interval_words(prob)}
    return table


def _prior_columns(fit: Fit, table: pd.DataFrame, prob: float) -> pd.DataFrame:
    """Return the priors of the components, and how much narrower the posteriors are."""
    tails = np.array([(1 - prob) / 2, 0.5, (1 + prob) / 2])
    priors = list(_priors(fit))
    # The upper quantile of a very vague prior may be beyond the largest number.
    with np.errstate(divide="ignore", over="ignore"):
        quantiles = np.array([distribution.ppf(tails) for _, distribution in priors])
    widths = (table["upper"] - table["lower"]).to_numpy()
    return pd.DataFrame(
        {
            "prior": [text for text, _ in priors],
            "prior_median": quantiles[:, 1],
            "prior_lower": quantiles[:, 0],
            "prior_upper": quantiles[:, 2],
            "learnt": 1 - widths / (quantiles[:, 2] - quantiles[:, 0]),
        }
    )


def _priors(fit: Fit) -> Iterator[tuple[str, Any]]:
    """Yield text and SciPy distribution of every component's prior, in the order of the table."""
    texts = {key: text for key, text, _ in fit.facts.priors}
    for grouping in fit.facts.groupings:
        for label in grouping.sd_labels:
            text = texts[f"sd_{grouping.name}[{label}]"]
            yield text, parse_prior(text, "positive").frozen
        if grouping.correlated:
            text = texts[f"corr_{grouping.name}"]
            (eta,) = parse_prior(text, "correlation").values
            for size in _block_sizes(grouping):
                yield text, lkj_marginal(eta, size)
        if grouping.student:
            text = texts[f"nu_{grouping.name}"]
            yield text, _Above2(parse_prior(text.removesuffix(ABOVE_2), "positive").frozen)
    level1 = fit.spec.level1
    if level1:
        own = [f"{level1}[{item}]" for item in labels_of_residuals(fit)]
        keys = [level1] if level1 in texts else own
        for key in keys:
            yield texts[key], parse_prior(texts[key], "positive").frozen
    record = residual_record(fit.spec)
    if record is not None and record.bounds is None:
        labels = labels_of_residuals(fit)
        (eta,) = parse_prior(texts[record.parameter], "correlation").values
        for _ in combinations(labels, 2):
            yield texts[record.parameter], lkj_marginal(eta, len(labels))
    elif record is not None:
        text = texts[record.parameter]
        distribution, _, gap = text.partition(AT_DISTANCE)
        yield text, _AtDistance(parse_prior(distribution, "bounded").frozen, float(gap or 1))


@dataclass(frozen=True)
class _Above2:
    """The prior of degrees of freedom, from that of what they have beyond 2."""

    distribution: Any

    def ppf(self, q: np.ndarray) -> np.ndarray:
        return 2 + self.distribution.ppf(q)


@dataclass(frozen=True)
class _AtDistance:
    """The prior of a correlation at a distance of 1, from that at another distance."""

    distribution: Any
    distance: float

    def ppf(self, q: np.ndarray) -> np.ndarray:
        return self.distribution.ppf(q) ** (1 / self.distance)


def _residual_rows(fit: Fit) -> list[tuple[str, str, str, str]]:
    """Return the labels of the residual SDs, and of the correlations of residuals."""
    record, occasions = residual_record(fit.spec), labels_of_residuals(fit)
    rows = [("residual", label, "", "sd") for label in occasions] or [("residual", "", "", "sd")]
    if record is None:
        return rows
    if record.bounds is None:
        pairs = sorted(combinations(range(len(occasions)), 2), key=lambda pair: pair[::-1])
        return rows + [("residual", occasions[a], occasions[b], "corr") for a, b in pairs]
    return [*rows, ("residual", "", "", "phi" if record.parameter == "phi" else "corr")]


def _block_sizes(grouping: GroupingFacts) -> list[int]:
    """Return the size of the block that each estimated correlation belongs to."""
    ends = list(accumulate(grouping.sd_blocks))
    rows, _ = correlated_pairs(grouping)
    return [
        next(size for size, end in zip(grouping.sd_blocks, ends, strict=True) if row < end)
        for row in rows
    ]
