"""The builders of several outcomes at once, and of pairs whose members are alike."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import pandas as pd

from bayesml.design.columns import plain_frame
from bayesml.errors import SpecError, TableError, listed, quoted
from bayesml.records.argument_checks import (
    one_family,
    require_name,
    require_names,
    tells_rows_apart,
)
from bayesml.records.builder_options import (
    Options,
    build_model,
    implicit_label_notes,
    parts_without_bars,
    slopes_by_grouping,
    varying_terms,
)
from bayesml.records.modelling import Model
from bayesml.specs.family_records import Family
from bayesml.specs.formulas import summand_texts
from bayesml.specs.groupings import Grouping
from bayesml.specs.parsing import name_text
from bayesml.specs.residual_structures import Residual
from bayesml.tables.checks import require_columns, require_table


def multivariate(
    table: Any,
    predictors: str,
    *,
    outcomes: Sequence[str],
    group: str | Sequence[str] | None = None,
    slopes: Mapping[str, Sequence[str] | str] | Sequence[str] | str = (),
    **options: Unpack[Options],
) -> Model:
    """Return a model of several outcomes of each row: the written paper and the course work.

    Every outcome has coefficients and varying terms of its own. Effects of one unit are correlated
    across outcomes, whatever their families, and so are the residuals of Gaussian outcomes of one
    row where all outcomes are Gaussian. An outcome that a row misses is simply absent: the row's
    other outcomes stay.

    Parameters
    ----------
    table : DataFrame
        One row for each person, one column for each outcome.
    predictors : str
        Right-hand side, without bars, the same for all outcomes: ``"gender + age"``, or ``"1"``.
    outcomes : sequence of str
        Columns of the outcomes, two or more.
    group : str, sequence of str, or None
        Columns of the groupings.
    slopes : sequence of str, or mapping by grouping
        Predictors whose coefficients vary over the units, besides the intercepts.
    **options
        See `Options`; `family` and `link` are for all outcomes, or mappings by outcome where they
        differ: ``family={"score": "gaussian", "passed": "binomial"}``. Beside outcomes of other
        families the residuals of Gaussian outcomes are independent given the effects, else
        ``residual_correlation=False`` makes them so. The keys of priors name the outcome:
        ``Intercept[written]``, ``beta[written:gender[M]]``, ``sd_school[written:Intercept]``,
        ``sigma[written]``, ``cutpoints[grade]``; ``corr_school`` and ``corr_residual`` hold across
        outcomes. Ordered outcomes have categories, ``categories={"grade": ["low", "high"]}``, and
        cutpoints in place of an intercept.

    Returns
    -------
    Model
        The formula ``mvbind(written, course) ~ gender + (1 | school)``, which `model` takes too.
        The posterior's `beta` has the dims outcome and coef, `sigma` the dim outcome, where
        families differ ``sigma_outcome``, the outcomes that have one. An ordered outcome has
        ``cutpoints_grade``, dim ``cutpoint_grade``, and its intercept in `beta` is 0.

    Raises
    ------
    TableError, SpecError
        An outcome is neither numeric nor ordered, is named twice or is the only one, or an argument
        cannot be used.

    Notes
    -----
    Goldstein (2011), Multilevel Statistical Models, chapter 6, doi:10.1002/9780470973394.

    Examples
    --------
    >>> import bayesml as bml
    >>> papers = bml.load_dataset("gcsemv")
    >>> bml.multivariate(
    ...     papers, "gender", outcomes=["written", "course"], group="school"
    ... ).spec.text  # doctest: +SKIP
    'mvbind(written, course) ~ gender + (1 | school)'
    """
    frame = require_table(table)
    names = require_names(outcomes, "outcomes", "['written', 'course']")
    require_columns(frame, names, "outcome")
    if not isinstance(predictors, str) or "~" in predictors:
        raise SpecError(
            f"predictors is {quoted(str(predictors))}. Give the right-hand side alone, such as "
            "'gender + age', or '1'; outcomes= names what is left of the tilde."
        )
    left = f"mvbind({', '.join(name_text(name) for name in names)})"
    groups = _groups(group, frame)
    if not isinstance(slopes, Mapping):
        if slopes and len(groups) != 1:
            slopes_by_grouping(slopes, groups or ["group"])
        slopes = {groups[0]: slopes} if groups else {}
    chosen = slopes_by_grouping(slopes, groups)
    groupings = [
        Grouping(name, columns=(name,), terms=varying_terms(chosen.get(name, ()), frame))
        for name in groups
    ]
    return build_model(
        "multivariate",
        frame,
        f"{left} ~ {predictors}",
        groupings,
        options,
        implicit_label_notes(groupings, frame),
    )


def _groups(group: Any, frame: pd.DataFrame) -> list[str]:
    if group is None:
        return []
    names = [group] if isinstance(group, str) else require_names(group, "group", "['school']")
    require_columns(frame, names, "grouping")
    return names


def dyadic(
    table: Any,
    formula: str,
    *,
    dyad: str,
    member: str | None = None,
    actor_partner: Sequence[str] | str = (),
    group: str | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> Model:
    """Return a model of pairs, such as couples or twins, whose members' residuals are correlated.

    The residual correlation may be negative, which a varying intercept of the pair cannot be. With
    `member` the two are told apart (distinguishable: wife and husband), and each role has
    coefficients and a residual SD of its own. Without it they are exchangeable (twins): one set of
    coefficients, one SD.

    Counts and successes out of several trials have no residuals. Their members have effects, which
    are correlated within the pair in the same way, on the scale of the link; this takes `member`.

    Parameters
    ----------
    table : DataFrame
        One row for each person, two for each pair.
    formula : str
        ``outcome ~ predictors``, without bars.
    dyad : str
        Column of the pair's label.
    member : str or None
        Column of the role, with two values, one of each in every pair; None where the members are
        exchangeable.
    actor_partner : sequence of str
        Predictors that get two columns and two coefficients: ``actor_x`` is the person's own value,
        ``partner_x`` that of the other member (actor-partner interdependence); see
        `with_partners`.
    group : str, sequence of str, or None
        Columns of groupings that contain the pairs.
    **options
        See `Options`. The family is gaussian, poisson, or binomial with several trials.

    Returns
    -------
    Model
        The posterior holds `corr_residual`, and with `member` `beta` by member and coef and `sigma`
        by member; of counts `sd_<dyad>` and `corr_<dyad>` of the members' effects.

    Raises
    ------
    TableError, SpecError
        A pair has one member or more than two, or an argument cannot be used.

    Notes
    -----
    Kenny, Kashy & Cook (2006), Dyadic Data Analysis; Kenny (1996), Models of non-independence in
    dyadic research, doi:10.1177/0265407596132007.

    Examples
    --------
    >>> import bayesml as bml, pandas as pd
    >>> couples = pd.DataFrame({
    ...     "couple": [1, 1, 2, 2, 3, 3], "role": ["wife", "husband"] * 3,
    ...     "care": [4.0, 2.5, 3.1, 4.4, 1.0, 2.0], "content": [5.1, 4.2, 3.9, 4.8, 2.2, 2.9],
    ... })
    >>> bml.dyadic(
    ...     couples, "content ~ 1", dyad="couple", member="role", actor_partner=["care"]
    ... ).spec.formula
    'content ~ 1 + actor_care + partner_care'
    """
    frame = require_table(table)
    require_columns(frame, [require_name(dyad, "dyad")], "dyad")
    if member is not None:
        require_columns(frame, [require_name(member, "member")], "member")
    record = one_family(options.get("family"), "dyadic")
    if options.get("residual") is not None:
        raise SpecError(
            "dyadic says itself how the members' residuals are correlated. Leave residual out."
        )
    if not record.correlated_residuals:
        _check_member_effects(record, options, formula, dyad, member)
    _check_dyads(frame, dyad, member)
    parts = parts_without_bars(formula)
    doubled = [actor_partner] if isinstance(actor_partner, str) else list(actor_partner)
    if doubled:
        frame = with_partners(frame, doubled, dyad=dyad)
    present = set(summand_texts(parts.fixed))
    added = [
        text
        for name in doubled
        for kind in ("actor", "partner")
        if (text := name_text(f"{kind}_{name}")) not in present
    ]
    offsets = [f"offset({text})" for text in parts.offsets]
    whole = f"{parts.response} ~ {' + '.join([parts.fixed, *added, *offsets])}"
    groupings = [Grouping(name, columns=(name,)) for name in _groups(group, frame)]
    if not record.correlated_residuals:
        # Of two members, so that the effects of a pair are as free as its residuals would be.
        groupings.insert(0, Grouping(dyad, columns=(dyad,)))
    elif member is None:
        options["residual"] = Residual("compound_symmetric", (dyad,)).text
    else:
        options["residual"] = Residual("unstructured", (dyad,), member).text
    return build_model("dyadic", frame, whole, groupings, options, member=member)


def _check_member_effects(
    record: Family, options: Options, formula: str, dyad: str, member: str | None
) -> None:
    """Raise where members without residuals cannot have an effect of their own each."""
    instead = (
        f"Use two_level(table, formula, group={dyad!r}, family={record.name!r}): its varying "
        "intercept makes the members of a pair alike."
    )
    if not tells_rows_apart(record, options.get("trials"), formula):
        raise SpecError(
            f"dyadic correlates residuals, which the family {quoted(record.name)} does not have, "
            "and effects of single persons are not told from how its outcomes scatter, as they are "
            f"for counts and for several trials. {instead}"
        )
    if member is None:
        raise SpecError(
            f"With the family {quoted(record.name)} dyadic correlates effects of the two members, "
            f"and member does not say which is which. Give member='role', or {instead[0].lower()}"
            f"{instead[1:]}"
        )


def with_partners(table: Any, columns: Sequence[str] | str, *, dyad: str) -> pd.DataFrame:
    """Return the table with each person's own and the partner's value side by side.

    Parameters
    ----------
    table : DataFrame
        One row for each person, two for each pair.
    columns : sequence of str
        Columns to double.
    dyad : str
        Column of the pair's label.

    Returns
    -------
    DataFrame
        A copy with ``actor_x`` and ``partner_x`` for each column ``x``.

    Raises
    ------
    TableError, SpecError
        A pair has one member or more than two, or a new column exists already.

    Examples
    --------
    >>> import pandas as pd
    >>> twins = pd.DataFrame({"pair": [1, 1], "x": [3, 5]})
    >>> with_partners(twins, ["x"], dyad="pair")["partner_x"].tolist()
    [5, 3]
    """
    frame = require_table(table)
    names = [columns] if isinstance(columns, str) else require_names(columns, "columns", "['x']")
    require_columns(frame, [require_name(dyad, "dyad"), *names], "column")
    _check_dyads(frame, dyad, None)
    # Stable: the two rows of a pair stand beside each other, in the order of the table.
    order = frame[dyad].astype(str).argsort(kind="stable").to_numpy()
    other = order.reshape(-1, 2)[:, ::-1].ravel()
    place = order.argsort()
    result = frame.copy()
    for name in names:
        for kind in ("actor", "partner"):
            if f"{kind}_{name}" in frame.columns:
                raise SpecError(
                    f"The table has a column {quoted(f'{kind}_{name}')} already. Rename it, or "
                    f"leave {quoted(name)} out of actor_partner and name both columns in the "
                    "formula."
                )
        result[f"actor_{name}"] = frame[name]
        result[f"partner_{name}"] = frame[name].array[other[place]]
    return result


def _check_dyads(frame: pd.DataFrame, dyad: str, member: str | None) -> None:
    """Raise where a pair has not two rows, or not one of each role."""
    labels = plain_frame(frame, {dyad: "grouping"})[dyad]
    missing = labels.isna()
    if missing.any():
        raise TableError(
            f"The dyad {quoted(dyad)} has no label in {int(missing.sum())} rows. Every person "
            "belongs to a pair: fill the label in, or leave these rows out."
        )
    sizes = labels.astype(str).value_counts(sort=False)
    wrong = sizes[sizes != 2]
    if len(wrong):
        shown = listed([f"{label} ({size})" for label, size in wrong.items()])
        raise TableError(
            f"{len(wrong)} of {len(sizes)} pairs of {quoted(dyad)} have not two members: {shown}. "
            "Leave these pairs out, or use two_level for groups of other sizes."
        )
    if member is None:
        return
    roles = plain_frame(frame, {member: "grouping"})[member]
    kinds = roles.dropna().astype(str).unique().tolist()
    if roles.isna().any() or len(kinds) != 2:
        raise TableError(
            f"The member {quoted(member)} has {len(kinds)} values ({listed(kinds)}) and is missing "
            f"in {int(roles.isna().sum())} rows. It tells two members apart: give two values and "
            "no missing ones, or leave member out for exchangeable members."
        )
    both = pd.DataFrame({"dyad": labels.astype(str), "role": roles.astype(str)})
    twice = both[both.duplicated()]["dyad"].tolist()
    if twice:
        raise TableError(
            f"{len(twice)} pairs of {quoted(dyad)} have two members of the same "
            f"{quoted(member)}: {listed(twice)}. Correct the column, or leave member out for "
            "exchangeable members."
        )
