"""The variance components of a fit: SDs and correlations of every grouping, and of level 1."""

import pandas as pd

from bayesml.posterior.labelled_draws import correlated_pairs, labelled_draws
from bayesml.posterior.summaries import interval_words, summary_table
from bayesml.records.fits import Fit

_NUMBERS = ["mean", "median", "sd", "lower", "upper", "ess_bulk", "r_hat"]


def variance_components(fit: Fit, prob: float = 0.89) -> pd.DataFrame:
    """Return SDs and correlations of the varying terms, and the residual SD, in a tidy table.

    Parameters
    ----------
    fit : Fit
    prob : float
        Posterior probability of the equal-tailed interval.

    Returns
    -------
    DataFrame
        One row per component: `grouping` (``residual`` for level 1, where the family has a
        level-1 SD), `term`, `term2` (the second term of a correlation, else empty), `parameter`
        (``sd`` or ``corr``), and `mean`, `median`, `sd`, `lower`, `upper`, `ess_bulk`, `r_hat`.
        SDs are on the scale of the linear predictor, per unit of the term; with varying slopes
        the SD of ``Intercept`` holds where the other terms are 0. The attributes `prob` and
        `interval` say what `lower` and `upper` are.

    Raises
    ------
    FitError
        `prob` is not between 0 and 1.

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
        rows += [(grouping.name, term, "", "sd") for term in grouping.terms]
        if grouping.correlated:
            variables.append(f"corr_{grouping.identifier}")
            rows += [
                (grouping.name, grouping.terms[column], grouping.terms[row], "corr")
                for row, column in zip(*correlated_pairs(grouping), strict=True)
            ]
    level1 = fit.spec.family_record.level1
    if level1:
        variables.append(level1)
        rows.append(("residual", "", "", "sd"))
    numbers = summary_table(labelled_draws(fit, variables), prob).reset_index(drop=True)
    labels = pd.DataFrame(rows, columns=["grouping", "term", "term2", "parameter"])
    table = pd.concat([labels, numbers[_NUMBERS]], axis=1)
    table.attrs = {"prob": float(prob), "interval": interval_words(prob)}
    return table
