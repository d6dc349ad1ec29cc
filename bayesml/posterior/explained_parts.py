"""R2 from the variances that a model implies: Nakagawa, Rights & Sterba, Snijders & Bosker."""

from dataclasses import dataclass

import numpy as np

from bayesml.errors import FitError, listed, quoted
from bayesml.posterior.effect_distributions import covariance_draws
from bayesml.posterior.fitted_rows import FittedRows, UnitRows, coefficient_draws
from bayesml.posterior.model_variances import (
    ModelVariances,
    covariance_of,
    model_variances,
    moments_of,
)
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

    add("within", "", "residual", quadratic_forms(beta, covariance_of(split.within)))
    for item, piece in zip(found.groupings, split.between, strict=True):
        add("between", "", item.facts.name, quadratic_forms(beta, covariance_of(piece)))
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
        add("means", name, name, traces(sigma, moments_of(means)))
        rest = item.terms - means
        inner = sorted(np.flatnonzero(containing[:, place]), key=lambda g: members[g].units)
        for g in inner:
            if members[g].weights is None:
                piece = unit_means(rest, members[g])
                if _varies(piece, item.terms):
                    level = found.groupings[g].facts.name
                    add("slopes", name, level, traces(sigma, moments_of(piece)))
                    rest = rest - piece
        if _varies(rest, item.terms):
            add("slopes", name, "residual", traces(sigma, moments_of(rest)))
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
        fixed = quadratic_forms(beta, covariance_of(means - means.mean(axis=0)))
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
    return [*notes, *correlation_notes(fit)]


def correlation_notes(fit: Fit) -> list[str]:
    """Return what correlated residuals of one outcome mean for R2, in words."""
    residual = fit.spec.residual
    if residual is None or fit.facts.outcomes:
        return []
    return [
        f"Residuals are correlated ({residual.text}). Level 1 is their whole variance: what rows "
        "of a unit have in common through them is not explained."
    ]


def _common_remarks(fit: Fit, rows: FittedRows) -> list[str]:
    one = fit.spec.family_of(rows.outcome_number)
    if one.latent_variance is not None:
        return ["latent scale"]
    return [] if one.record.level1 else ["log scale"]
