"""R2 from the variances that a model implies: Nakagawa, Rights & Sterba, Snijders & Bosker."""

from dataclasses import dataclass

import numpy as np

from bayesml.errors import FitError, listed, quoted
from bayesml.posterior.effect_distributions import covariance_draws
from bayesml.posterior.fitted_rows import FittedRows, UnitRows, coefficient_draws
from bayesml.posterior.level1_variances import parameter_draws_of
from bayesml.posterior.share_cases import ShareCase
from bayesml.quantities.cluster_measures import shares_of_rows
from bayesml.quantities.explained_variance import (
    TOLERANCE,
    Membership,
    UnitSplit,
    explained,
    quadratic_forms,
    split_by_units,
    traces,
    unit_means,
)
from bayesml.records.fits import Fit

# Numbers in a block of linear predictors: 16 MB.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class ModelVariances:
    """The variances that a model implies over its rows, on the scale of the linear predictor.

    Parameters
    ----------
    fixed : array, shape (draws,)
        Variance of X beta over the rows, without the offset; divisor n - 1.
    between : array, shape (draws, groupings)
        Mean over the rows of each grouping's variance.
    level1 : array, shape (draws,)
        Level-1 variance; that of groupings with one row a unit is part of it.
    groupings : tuple of UnitRows
        Those of `between`.
    single : tuple of str
        Groupings with one row a unit.
    """

    fixed: np.ndarray
    between: np.ndarray
    level1: np.ndarray
    groupings: tuple[UnitRows, ...]
    single: tuple[str, ...]


@dataclass(frozen=True)
class R2Draws:
    """Draws of the parts of an R2 with labels.

    Parameters
    ----------
    values : array, shape (draws, parts)
    parts : mapping of str to list
        Columns of labels.
    notes : list of str
        What the reader must know.
    note : list of str
        A short remark on each part, for the table; may be empty.
    extra : mapping of str to list
        Further columns of numbers.
    """

    values: np.ndarray
    parts: dict[str, list[str]]
    notes: list[str]
    note: list[str]
    extra: dict[str, list[float]]


def nakagawa_r2(fit: Fit, rows: FittedRows) -> R2Draws:
    """Return the marginal and the conditional R2; see `r2`."""
    found = model_variances(fit, rows)
    random = found.between.sum(axis=1)
    values = np.column_stack(
        [
            explained(found.fixed, random + found.level1),
            explained(found.fixed + random, found.level1),
        ]
    )
    slopes = _slope_notes(found.groupings)
    notes = [*slopes, *_common_notes(fit, rows, found)]
    note = "; ".join(["slopes vary: mean over rows"] * bool(slopes) + _common_remarks(fit, rows))
    return R2Draws(values, {"part": ["marginal", "conditional"]}, notes, [note] * 2, {})


def rights_sterba_r2(fit: Fit, rows: FittedRows) -> R2Draws:
    """Return the shares of the variance within and between units; see `r2`."""
    found = model_variances(fit, rows)
    for item in found.groupings:
        if item.weights is not None and item.facts.terms != ("Intercept",):
            raise FitError(
                f"The slopes of {quoted(item.facts.name)} vary over units of a multiple "
                "membership, for which the decomposition of Rights & Sterba is not defined. "
                "Use bml.r2(fit, method='nakagawa')."
            )
    members = [Membership(g.index, g.facts.units, g.weights) for g in found.groupings]
    containing = _containing(found.groupings)
    beta = coefficient_draws(fit)
    split = split_by_units(rows.predictors, members, containing)
    labels: list[tuple[str, str, str]] = []
    columns: list[np.ndarray] = []

    def add(part: str, grouping: str, level: str, values: np.ndarray) -> None:
        labels.append((part, grouping, level))
        columns.append(values)

    add("within", "", "residual", quadratic_forms(beta, _covariance(split.within)))
    for item, piece in zip(found.groupings, split.between, strict=True):
        add("between", "", item.facts.name, quadratic_forms(beta, _covariance(piece)))
    if not split.orthogonal:
        add("between, shared", "", "", found.fixed - sum(columns))
    for place, item in enumerate(found.groupings):
        sigma = covariance_draws(fit, item.facts)
        sigma = sigma.reshape(-1, *sigma.shape[2:])
        name = item.facts.name
        if item.weights is not None:
            add("means", name, name, found.between[:, place])
            continue
        means = unit_means(item.terms, members[place])
        add("means", name, name, traces(sigma, _moments(means)))
        rest = item.terms - means
        inner = sorted(np.flatnonzero(containing[:, place]), key=lambda g: members[g].units)
        for g in inner:
            if members[g].weights is None:
                piece = unit_means(rest, members[g])
                if _varies(piece, item.terms):
                    level = found.groupings[g].facts.name
                    add("slopes", name, level, traces(sigma, _moments(piece)))
                    rest = rest - piece
        if _varies(rest, item.terms):
            add("slopes", name, "residual", traces(sigma, _moments(rest)))
    add("residual", "", "residual", found.level1)
    return _shares_of_levels(
        np.column_stack(columns),
        labels,
        [*_centring_notes(fit, found, split), *_common_notes(fit, rows, found)],
        "; ".join(
            ["not centred within units"] * bool(_mixed(fit, split)) + _common_remarks(fit, rows)
        ),
    )


def _shares_of_levels(
    values: np.ndarray, labels: list[tuple[str, str, str]], notes: list[str], remark: str
) -> R2Draws:
    """Return the shares of the whole variance, and those of the variance of each level."""
    total = values.sum(axis=1)
    columns = [explained(column, total - column) for column in values.T]
    parts: dict[str, list[str]] = {
        "part": [part for part, _, _ in labels],
        "grouping": [grouping for _, grouping, _ in labels],
        "level": [level for _, _, level in labels],
        "of": ["total"] * len(labels),
    }
    for level in dict.fromkeys(level for _, _, level in labels if level):
        chosen = [i for i, (_, _, where) in enumerate(labels) if where == level]
        whole = values[:, chosen].sum(axis=1)
        for i in chosen:
            columns.append(explained(values[:, i], whole - values[:, i]))
            for name, label in zip(("part", "grouping", "level"), labels[i], strict=True):
                parts[name].append(label)
            parts["of"].append("level")
    return R2Draws(np.column_stack(columns), parts, notes, [remark] * len(columns), {})


def snijders_bosker_r2(fit: Fit, rows: FittedRows) -> R2Draws:
    """Return the explained proportions of rows and of units' means; see `r2`."""
    found = model_variances(fit, rows)
    sloped = [item.facts.name for item in rows.groupings if item.facts.terms != ("Intercept",)]
    if sloped:
        raise FitError(
            "The R2 of Snijders & Bosker is for varying intercepts, and here slopes vary over "
            f"{listed(sloped)}. Use bml.r2(fit, method='nakagawa') or method='rights_sterba'."
        )
    if fit.spec.link_record.name == "log":
        raise FitError(
            "The R2 of Snijders & Bosker needs a level-1 variance that is the same for all rows, "
            f"and that of the family {quoted(fit.facts.family)} depends on the mean. Use "
            "bml.r2(fit, method='nakagawa')."
        )
    random = found.between.sum(axis=1)
    labels, columns = ["residual"], [explained(found.fixed, random + found.level1)]
    beta = coefficient_draws(fit)
    left_out = []
    for item in found.groupings:
        if item.weights is not None:
            left_out.append(item.facts.name)
            continue
        sizes = item.sizes
        member = Membership(item.index, item.facts.units)
        first = np.unique(item.index, return_index=True)[1]
        means = unit_means(rows.predictors, member)[first]
        fixed = quadratic_forms(beta, _covariance(means - means.mean(axis=0)))
        rest = found.level1 * (1 / sizes).mean()
        for place, other in enumerate(found.groupings):
            if other.weights is None:
                variance = found.between[:, place]
            else:
                sd = fit.posterior[f"sd_{other.facts.identifier}"]
                variance = sd.transpose("chain", "draw", ...).values.reshape(-1) ** 2
            shared = shares_of_rows(item.index, item.facts.units, other.index, other.weights)
            rest = rest + variance * shared.mean()
        labels.append(item.facts.name)
        columns.append(explained(fixed, rest))
    notes = _common_notes(fit, rows, found)
    if left_out:
        notes.append(
            f"{listed(left_out)}: units of a multiple membership have no rows of their own, so no "
            "mean of theirs is explained."
        )
    remark = "; ".join(_common_remarks(fit, rows))
    return R2Draws(np.column_stack(columns), {"level": labels}, notes, [remark] * len(labels), {})


def model_variances(fit: Fit, rows: FittedRows) -> ModelVariances:
    """Return the variances that the model implies over its rows.

    Parameters
    ----------
    fit : Fit
    rows : FittedRows

    Returns
    -------
    ModelVariances
    """
    beta = coefficient_draws(fit)
    centred = rows.predictors - rows.predictors.mean(axis=0)
    several = tuple(item for item in rows.groupings if not _single(item))
    single = tuple(item for item in rows.groupings if _single(item))
    level1 = _level1(fit, rows)
    for item in single:
        level1 = level1 + _mean_variance(fit, item)
    between = [_mean_variance(fit, item) for item in several]
    return ModelVariances(
        fixed=quadratic_forms(beta, _covariance(centred)),
        between=np.array(between).reshape(len(several), len(beta)).T,
        level1=level1,
        groupings=several,
        single=tuple(item.facts.name for item in single),
    )


def _single(item: UnitRows) -> bool:
    """Whether each row is a unit of its own, so that its effect is part of level 1."""
    return item.weights is None and len(np.unique(item.index)) == len(item.index)


def _mean_variance(fit: Fit, item: UnitRows) -> np.ndarray:
    sigma = covariance_draws(fit, item.facts)
    weighted = item.terms * np.sqrt(item.squared_weights)[:, None]
    return traces(sigma, _moments(weighted)).reshape(-1)


def _moments(columns: np.ndarray) -> np.ndarray:
    """Return the second moments of columns, with the number of rows as the divisor."""
    return columns.T @ columns / len(columns)


def _covariance(centred: np.ndarray) -> np.ndarray:
    """Return the covariance of columns of mean 0, with the divisor n - 1 that software uses."""
    return centred.T @ centred / max(1, len(centred) - 1)


def _level1(fit: Fit, rows: FittedRows) -> np.ndarray:
    """Return the level-1 variance on the scale of the linear predictor, shape (draws,)."""
    one = fit.spec.family_of(rows.outcome_number)
    family = one.record
    own = parameter_draws_of(fit, case=ShareCase(rows.outcome_number))
    draws = {name: values.reshape(-1) for name, values in own.items()}
    sizes = fit.posterior.sizes
    number = sizes["chain"] * sizes["draw"]
    if family.level1:
        return family.variance(np.zeros(number), draws, np.ones(1))
    if one.latent_variance is not None:
        return np.full(number, one.latent_variance)
    if one.link.name != "log":
        ordered = family.response == "ordered"
        instead = "bml.variance_components(fit)" if ordered else "bml.r2(fit, method='bayes')"
        raise FitError(
            f"The family {quoted(family.name)} with link {quoted(one.link.name)} has no level-1 "
            f"variance on the scale of the linear predictor. Use {instead}."
        )
    # Lognormal: an outcome of mean m and variance v has the variance log(1 + v / m^2) on the log
    # scale, log(1 + 1 / m) of Poisson counts.
    mean = _mean_counts(fit, rows)
    variance = family.variance(mean, draws, np.ones(1))
    return np.log1p(variance / (mean * family.mean_factor(draws)) ** 2)


def _mean_counts(fit: Fit, rows: FittedRows) -> np.ndarray:
    """Return the mean count over the rows and over the distribution of the effects."""
    beta = coefficient_draws(fit)
    # One linear function of known numbers per row: X beta, and half of each variance.
    columns, numbers = [rows.predictors], [beta]
    for item in rows.groupings:
        sigma = covariance_draws(fit, item.facts)
        sigma = sigma.reshape(len(beta), *sigma.shape[2:])
        first, second = np.triu_indices(item.terms.shape[1])
        twice = np.where(first == second, 0.5, 1.0)
        products = item.terms[:, first] * item.terms[:, second] * twice
        columns.append(products * item.squared_weights[:, None])
        numbers.append(sigma[:, first, second])
    design = np.ascontiguousarray(np.column_stack(columns).T)
    draws = np.column_stack(numbers)
    size = max(1, _BLOCK // len(rows.outcome))
    means = []
    with np.errstate(over="ignore"):
        for start in range(0, len(draws), size):
            eta = draws[start : start + size] @ design
            eta += rows.offset
            means.append(np.exp(eta, out=eta).mean(axis=1))
    return np.concatenate(means)


def _containing(groupings: tuple[UnitRows, ...]) -> np.ndarray:
    return np.array(
        [[outer.facts.name in inner.facts.within for outer in groupings] for inner in groupings],
        dtype=bool,
    ).reshape(len(groupings), len(groupings))


def _varies(piece: np.ndarray, terms: np.ndarray) -> bool:
    """Whether any column of a piece is more than rounding."""
    scale = np.abs(terms).max(axis=0)
    return bool((np.abs(piece).max(axis=0) > TOLERANCE * np.maximum(scale, 1e-300)).any())


def _mixed(fit: Fit, split: UnitSplit) -> list[str]:
    """Return the predictors that vary both within and between units."""
    pieces = [*split.between, split.within]
    variances = np.array([(piece**2).mean(axis=0) for piece in pieces])
    places = (variances > 1e-6 * np.maximum(variances.sum(axis=0), 1e-300)).sum(axis=0)
    return [label for label, count in zip(fit.facts.coefficients, places, strict=True) if count > 1]


def _centring_notes(fit: Fit, found: ModelVariances, split: UnitSplit) -> list[str]:
    notes = []
    mixed = _mixed(fit, split)
    if mixed:
        names = listed([item.facts.name for item in found.groupings])
        notes.append(
            f"Not centred within units of {names}: {listed(mixed)}. Each has one coefficient for "
            "differences within units and for those between them, and X beta is split by its "
            "means in units. Centre the predictors within units, and add the means as predictors, "
            "to let the two differ."
        )
    if not split.orthogonal:
        notes.append(
            "Crossed groupings: what their parts of X beta have in common is the part 'between, "
            "shared', which may be negative."
        )
    return notes


def _slope_notes(groupings: tuple[UnitRows, ...]) -> list[str]:
    names = [item.facts.name for item in groupings if (item.terms != item.terms[0]).any()]
    if not names:
        return []
    return [
        f"Slopes vary over {listed(names)}, so the variance between units depends on covariates: "
        "its mean over the rows is taken (Johnson 2014)."
    ]


def _common_notes(fit: Fit, rows: FittedRows, found: ModelVariances) -> list[str]:
    notes = []
    one = fit.spec.family_of(rows.outcome_number)
    if one.latent_variance is not None:
        trials = ", for one trial" if fit.facts.trials else ""
        notes.append(
            f"On the latent scale: the level-1 variance is that of the link "
            f"{one.link.name}{trials}."
        )
    elif not one.record.level1:
        notes.append(
            "On the log scale: the level-1 variance is log(1 + variance / mean^2) of the outcome "
            "at the mean over the rows; of Poisson counts log(1 + 1 / mean count)."
        )
    if found.single:
        notes.append(f"{listed(found.single)} has one row a unit: its variance counts as level 1.")
    if rows.offset.any():
        notes.append("The offset is known, so its variance is left out.")
    return notes


def _common_remarks(fit: Fit, rows: FittedRows) -> list[str]:
    one = fit.spec.family_of(rows.outcome_number)
    if one.latent_variance is not None:
        return ["latent scale"]
    return [] if one.record.level1 else ["log scale"]
