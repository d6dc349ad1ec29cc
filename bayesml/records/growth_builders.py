"""The builder of growth models: occasions in units that are measured repeatedly."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

from bayesml.design.columns import plain_frame
from bayesml.design.rows import numeric_column
from bayesml.errors import SpecError, quoted
from bayesml.records.argument_checks import check_growth, require_name
from bayesml.records.builder_options import (
    Options,
    build_model,
    parts_without_bars,
    repeated_occasion_notes,
    unit_residual,
    varying_terms,
)
from bayesml.records.modelling import Model
from bayesml.specs.formulas import summand_texts
from bayesml.specs.groupings import Grouping
from bayesml.specs.parsing import name_text
from bayesml.specs.residual_structures import SATURATED
from bayesml.tables.checks import require_columns, require_table


def longitudinal(
    table: Any,
    formula: str,
    *,
    unit: str,
    time: str,
    growth: int = 1,
    slopes: Sequence[str] | str = (),
    **options: Unpack[Options],
) -> Model:
    """Return a growth model of occasions in units: children measured repeatedly.

    Parameters
    ----------
    table : DataFrame
    formula : str
        ``outcome ~ predictors``, without bars; time is added by `growth`.
    unit : str
        Column of the units that are measured repeatedly.
    time : str
        Column of time, in any unit; its zero is where the intercept's SD holds.
    growth : int
        Degree of the growth curve: time ... time^growth are added to the fixed and to the varying
        part unless they are there already; 0 is a varying intercept only.
    slopes : sequence of str
        Further predictors whose coefficients vary over the units.
    **options
        See `Options`. Here `residual` may also be the name of a structure, ``"ar1"``,
        ``"continuous_ar"``, ``"compound_symmetric"`` or ``"unstructured"``, which is then that of
        `unit` over `time`; ``"ar1(Subject)"`` takes the order of the rows in place of `time`.
        Compound-symmetric and unstructured residuals take the place of everything that varies
        over the unit, so the growth curve is then in the fixed part only.

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
    >>> sleep = bml.load_dataset("sleepstudy")
    >>> bml.longitudinal(sleep, "Reaction ~ 1", unit="Subject", time="Days").spec.text
    'Reaction ~ 1 + Days + (Days | Subject)'
    """
    frame = require_table(table)
    require_columns(frame, [require_name(unit, "unit")], "unit")
    require_columns(frame, [require_name(time, "time")], "time")
    numeric_column(plain_frame(frame, {time: "time"}), time, "The time")
    check_growth(growth)
    structure = unit_residual(options.get("residual"), unit, time)
    name = name_text(time)
    curve = [name, *(f"I({name} ** {degree})" for degree in range(2, growth + 1))][:growth]
    parts = parts_without_bars(formula)
    present = {text for terms in (parts.fixed, parts.specific) for text in summand_texts(terms)}
    added = [term for term in curve if term not in present]
    fixed = " + ".join([parts.fixed, *added])
    extra = varying_terms(slopes, frame)[0].removeprefix("1").removeprefix(" + ")
    varying = " + ".join(["1", *curve, *([extra] if extra and extra not in curve else [])])
    groupings = [Grouping(unit, columns=(unit,), terms=(varying,))]
    if structure is not None:
        options["residual"] = structure.text
        if structure.structure in SATURATED:
            if extra:
                raise SpecError(
                    f"slopes names {quoted(extra)}, and {structure.structure} residuals take the "
                    f"place of everything that varies over {quoted(unit)}. Leave slopes out, or "
                    "use residual='ar1'."
                )
            groupings = []
    notes = repeated_occasion_notes(frame, unit, time)
    whole = replace(parts, fixed=fixed).text
    return build_model("longitudinal", frame, whole, groupings, options, notes)
