"""The builders: a structure in a user's words becomes groupings of a specification."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from bayesml.errors import SpecError, listed, quoted
from bayesml.records.argument_checks import (
    grouping_names,
    member_columns,
    plain_value,
    require_flag,
    require_name,
    weight_columns,
)
from bayesml.records.builder_options import (
    Options,
    announced,
    build_model,
    implicit_label_notes,
    nested_order,
    slopes_by_grouping,
    varying_terms,
)
from bayesml.records.modelling import Model, make_model
from bayesml.specs.formulas import parse_formula
from bayesml.specs.groupings import Grouping
from bayesml.specs.modelspec import ModelSpec
from bayesml.tables.checks import require_columns, require_table


def two_level(
    table: Any,
    formula: str,
    *,
    group: str,
    slopes: Sequence[str] | str = (),
    **options: Unpack[Options],
) -> Model:
    """Return a model of rows in one grouping: pupils in schools.

    Parameters
    ----------
    table : DataFrame
    formula : str
        ``outcome ~ predictors``, without bars.
    group : str
        Column of the grouping.
    slopes : sequence of str
        Predictors whose coefficients vary over the units, besides the intercept.
    **options
        See `Options`: family, link, trials, exposure, offset, categories, success, priors,
        baseline, correlated, parametrisation.

    Returns
    -------
    Model

    Raises
    ------
    TableError, SpecError
        The table, the formula or an argument cannot be used; the message says what to do.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> bml.two_level(exam, "normexam ~ standLRT", group="school", slopes=["standLRT"]).spec.text
    'normexam ~ standLRT + (standLRT | school)'
    """
    frame = require_table(table)
    if not isinstance(group, str):
        raise SpecError(
            f"group is {quoted(group)} of type {type(group).__name__}, not a column name. "
            "two_level takes one grouping; use three_level, cross_classified or model for more."
        )
    require_columns(frame, [group], "grouping")
    grouping = Grouping(group, columns=(group,), terms=varying_terms(slopes, frame))
    return build_model("two_level", frame, formula, [grouping], options)


def three_level(
    table: Any,
    formula: str,
    *,
    groups: Sequence[str],
    slopes: Mapping[str, Sequence[str] | str] | None = None,
    **options: Unpack[Options],
) -> Model:
    """Return a model of rows in two nested groupings: occasions in children in schools.

    Parameters
    ----------
    table : DataFrame
    formula : str
        ``outcome ~ predictors``, without bars.
    groups : sequence of two str
        Columns of the groupings, the inner one first; swapped with a note where the data say so.
        The inner labels are made explicit: class 1 of two schools are two classes.
    slopes : mapping of str to sequence of str
        Varying slopes by grouping.
    **options
        See `Options`.

    Returns
    -------
    Model

    Raises
    ------
    TableError, SpecError
        The table, the formula or an argument cannot be used.

    Examples
    --------
    >>> import bayesml as bml
    >>> deaths = bml.load_dataset("mmmec")
    >>> bml.three_level(
    ...     deaths, "deaths ~ uvb", groups=["region", "nation"], family="poisson",
    ...     exposure="expected",
    ... ).facts.groupings[0].units
    78
    """
    frame = require_table(table)
    names = grouping_names(groups, frame)
    if len(names) != 2:
        raise SpecError(
            f"three_level takes two groupings, the inner one first; groups has {len(names)}. "
            "Use two_level for one and model(table, 'y ~ x + (1 | a/b/c)') for more."
        )
    inner, outer, notes = nested_order(names[0], names[1], frame)
    chosen = slopes_by_grouping(slopes, [inner, outer])
    groupings = [
        Grouping(inner, columns=(outer, inner), terms=varying_terms(chosen.get(inner, ()), frame)),
        Grouping(outer, columns=(outer,), terms=varying_terms(chosen.get(outer, ()), frame)),
    ]
    return build_model("three_level", frame, formula, groupings, options, notes)


def cross_classified(
    table: Any,
    formula: str,
    *,
    groups: Sequence[str],
    slopes: Mapping[str, Sequence[str] | str] | None = None,
    **options: Unpack[Options],
) -> Model:
    """Return a model of rows in groupings that cross: pupils by primary and secondary school.

    Parameters
    ----------
    table : DataFrame
    formula : str
        ``outcome ~ predictors``, without bars.
    groups : sequence of str
        Columns of the groupings, labels taken as they are.
    slopes : mapping of str to sequence of str
        Varying slopes by grouping.
    **options
        See `Options`.

    Returns
    -------
    Model

    Raises
    ------
    TableError, SpecError
        The table, the formula or an argument cannot be used.

    Examples
    --------
    >>> import bayesml as bml
    >>> scots = bml.load_dataset("scotssec")
    >>> model = bml.cross_classified(scots, "attain ~ verbal", groups=["primary", "second"])
    >>> len(model.spec.groupings)
    2
    """
    frame = require_table(table)
    names = grouping_names(groups, frame)
    if len(names) < 2:
        raise SpecError(
            f"cross_classified takes two or more groupings; groups has {len(names)}. "
            "Use two_level for one."
        )
    chosen = slopes_by_grouping(slopes, names)
    groupings = [
        Grouping(name, columns=(name,), terms=varying_terms(chosen.get(name, ()), frame))
        for name in names
    ]
    notes = implicit_label_notes(groupings, frame)
    return build_model("cross_classified", frame, formula, groupings, options, notes)


def multiple_membership(
    table: Any,
    formula: str,
    *,
    members: Sequence[str],
    weights: Sequence[str] | str = "equal",
    absent: str | int | float | None = None,
    normalise: bool = False,
    name: str | None = None,
    slopes: Mapping[str, Sequence[str] | str] | Sequence[str] | str = (),
    groups: Sequence[str] = (),
    **options: Unpack[Options],
) -> Model:
    """Return a model whose rows belong to several units: workers and their employers.

    Parameters
    ----------
    table : DataFrame
    formula : str
        ``outcome ~ predictors``, without bars.
    members : sequence of str
        Columns of unit labels, one per slot.
    weights : sequence of str or "equal"
        Columns of weights, one per slot, or equal shares of the slots in use.
    absent : str, int or float
        Label of an unused slot; a missing label is always unused.
    normalise : bool
        Divide the weights of a row by their sum.
    name : str
        Name of the grouping; default the first of `members`.
    slopes : sequence of str, or mapping by grouping
        Varying slopes of the multiple membership, or of each grouping.
    groups : sequence of str
        Further, ordinary groupings.
    **options
        See `Options`.

    Returns
    -------
    Model

    Raises
    ------
    TableError, SpecError
        The table, the formula or an argument cannot be used.

    Examples
    --------
    >>> import bayesml as bml
    >>> wage = bml.load_dataset("wage1")
    >>> model = bml.multiple_membership(
    ...     wage, "logearn ~ age_40", members=["company", "company2", "company3", "company4"],
    ...     weights=["weight1", "weight2", "weight3", "weight4"], absent=0,
    ... )
    >>> model.facts.groupings[0].units
    141
    """
    frame = require_table(table)
    slots = member_columns(members, frame)
    require_flag(normalise, "normalise")
    name = slots[0] if name is None else require_name(name, "name")
    further = grouping_names(groups, frame)
    if not isinstance(slopes, Mapping):
        slopes = {name: slopes}
    chosen = slopes_by_grouping(slopes, [name, *further])
    groupings = [
        Grouping(
            name,
            terms=varying_terms(chosen.get(name, ()), frame),
            members=tuple(slots),
            weights=weight_columns(weights),
            absent=plain_value(absent, "absent"),
            normalise=normalise,
        ),
        *(
            Grouping(item, columns=(item,), terms=varying_terms(chosen.get(item, ()), frame))
            for item in further
        ),
    ]
    return build_model("multiple_membership", frame, formula, groupings, options)


def model(table: Any, formula: str | ModelSpec, **options: Unpack[Options]) -> Model:
    """Return the model that a formula in lme4 notation, or a specification, describes.

    Parameters
    ----------
    table : DataFrame
    formula : str or ModelSpec
        Such as ``"y ~ x + (1 + x | school)"``; see `bayesml.specs.formulas.parse_formula` for
        every kind of bar. A ModelSpec is taken as it is.
    **options
        See `Options`.

    Returns
    -------
    Model

    Raises
    ------
    TableError, SpecError
        The table, the formula or an argument cannot be used.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> bml.model(exam, "normexam ~ standLRT + (standLRT || school)").resolved.groupings[0].blocks
    (1, 1)
    """
    frame = require_table(table)
    if isinstance(formula, ModelSpec):
        if options:
            raise SpecError(
                f"A ModelSpec already says {listed(options)}. Change the specification instead: "
                "dataclasses.replace(spec, ...)."
            )
        return announced(
            make_model(formula, frame, tuple(implicit_label_notes(formula.groupings, frame)))
        )
    parts = parse_formula(formula)
    groupings = list(parts.groupings)
    if "correlated" in options and not options["correlated"]:
        raise SpecError(
            "correlated=False belongs to the other builders. In a formula write (x || g)."
        )
    notes = implicit_label_notes(groupings, frame)
    return build_model("model", frame, parts.text, groupings, options, notes)
