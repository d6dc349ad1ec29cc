"""What cannot be said of several outcomes of a row, or of the members of a unit."""

from typing import TYPE_CHECKING

from bayesml.errors import SpecError, quoted
from bayesml.specs.formulas import parse_terms
from bayesml.specs.member_terms import has_member_terms
from bayesml.specs.outcome_terms import OUTCOME, ROW, VALUE
from bayesml.specs.parsing import parse
from bayesml.specs.syntax import column_names

if TYPE_CHECKING:
    from bayesml.specs.modelspec import ModelSpec


def check_one_outcome(spec: "ModelSpec") -> None:
    """Raise where further parameters have a formula, and coefficients differ by outcome."""
    if spec.member is not None or spec.outcomes:
        raise SpecError(
            "distributional is for one outcome without member=, and every outcome or member "
            "already has a residual SD of its own. Leave one of the two out."
        )


def check_outcomes(spec: "ModelSpec") -> None:
    """Raise where several outcomes, or the members of a unit, cannot be told apart."""
    column = spec.outcome_column
    if not spec.residual_correlation and not spec.outcomes:
        raise SpecError(
            "residual_correlation belongs to several outcomes, mvbind(y1, y2) ~ x, and this "
            "model has one. Leave it out."
        )
    if not column:
        return
    if not spec.families and not spec.family_record.intercept:
        raise SpecError(
            f"Outcomes of the family {quoted(spec.family)} have cutpoints, which the members of a "
            "unit cannot have each for themselves in this version. Fit one model for each member, "
            "or give every member a column of its own: mvbind(first, second) ~ x."
        )
    for grouping in spec.groupings:
        if grouping.by is not None:
            raise SpecError(
                f"Grouping {quoted(grouping.name)} has by = {quoted(grouping.by)}, which a "
                "model of several outcomes, or of the members of a unit, does not take in "
                "this version. Leave by out, or fit one model for each outcome."
            )
        if has_member_terms(grouping):
            raise SpecError(
                f"Grouping {quoted(grouping.name)} has terms of its members' own, mmc(...), "
                "which a model of several outcomes, or of the members of a unit, does not take "
                "in this version. Fit one model for each outcome."
            )
    used = column_names(parse_terms(spec.fixed))
    for grouping in spec.groupings:
        used += [name for text in grouping.terms for name in column_names(parse(text))]
    if spec.member is not None and spec.member in used:
        raise SpecError(
            f"The formula names {quoted(spec.member)}, which tells the members apart: every "
            "coefficient is one for each member already. Leave it out of the formula."
        )
    if not spec.outcomes:
        return
    both = sorted({*used, *_columns_of(spec)} & set(spec.outcomes))
    if both:
        raise SpecError(
            f"The outcome {quoted(both[0])} is used as a predictor, grouping, weight or offset as "
            "well. Leave it out there, or out of the outcomes."
        )
    for name in (OUTCOME, ROW, VALUE):
        columns = [*used, *spec.outcomes]
        columns += [name for item in spec.groupings for name in (*item.columns, *item.members)]
        if name in columns:
            raise SpecError(
                f"A column of a model with several outcomes is called {quoted(name)}, a name "
                "that the table of rows and outcomes needs itself. Rename the column."
            )
    for key in ("success", "residual", "member"):
        if getattr(spec, key) is not None:
            raise SpecError(
                f"{key} cannot be set for several outcomes, mvbind(...), in this version. "
                "Leave it out, or fit one model for each outcome."
            )


def _columns_of(spec: "ModelSpec") -> list[str]:
    """Return the columns of the groupings, of the offsets and of what belongs to some outcomes."""
    found = [name for text in spec.parts.offsets for name in column_names(parse(text))]
    for item in spec.groupings:
        found += [*item.columns, *item.members, *item.weight_columns]
    given = (spec.offset, spec.exposure, spec.trials)
    return [*found, *(name for name in given if isinstance(name, str))]
