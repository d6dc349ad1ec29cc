"""What predictions do with the units of each grouping: the strategies by name."""

from collections.abc import Mapping
from typing import Any

from bayesml.errors import FitError, did_you_mean, listed, quoted
from bayesml.posterior.effect_distributions import require_no_average
from bayesml.records.fits import Fit

STRATEGIES = ("population", "known", "new", "known or new", "marginal")
# Strategies that need to know which rows share a unit.
LABELLED = ("known", "new", "known or new")

Groups = str | Mapping[str, str]


def checked_groups(fit: Fit, groups: Groups | None, *, new_rows: bool) -> dict[str, str]:
    """Return the strategy of each grouping.

    Parameters
    ----------
    fit : Fit
    groups : str, mapping of str to str, or None
        None is "known" for the fit's own rows.
    new_rows : bool
        Whether the rows are new, so that the strategy must be named.

    Raises
    ------
    FitError
        There is no such strategy or grouping, or the strategy is not named.
    """
    names = [item.name for item in fit.facts.groupings]
    if groups is None:
        if new_rows and names:
            raise FitError(
                "groups is not given, and for new rows it must be said what happens to the units "
                f"of {listed(names)}. Choose groups='population' (effects of 0), 'known' (units of "
                "the fit), 'new' (units drawn from the estimated variance), 'known or new', or "
                "'marginal' (averaged over all units)."
            )
        groups = "known"
    if isinstance(groups, Mapping):
        chosen = dict(groups)
        for name in chosen:
            if name not in names:
                raise FitError(
                    f"groups names {quoted(str(name))}, which is not a grouping of this model. "
                    f"{did_you_mean(str(name), names)}"
                )
        absent = [name for name in names if name not in chosen]
        if absent:
            raise FitError(
                f"groups says nothing about {listed(absent)}. Name a strategy for every grouping, "
                "or give one text for all."
            )
    else:
        chosen = dict.fromkeys(names, groups)
        _check_strategy(groups)
    for strategy in chosen.values():
        _check_strategy(strategy)
    require_no_average(fit, chosen)
    return chosen


def _check_strategy(strategy: object) -> None:
    if strategy not in STRATEGIES:
        raise FitError(
            f"groups is {quoted(str(strategy))}. {did_you_mean(str(strategy), STRATEGIES)} "
            f"Allowed: {', '.join(STRATEGIES)}."
        )


def shown_groups(chosen: Mapping[str, str]) -> Any:
    """Return the strategies as results record them: one text where all are the same."""
    kinds = set(chosen.values())
    if not chosen:
        return "population"
    return kinds.pop() if len(kinds) == 1 else dict(chosen)
