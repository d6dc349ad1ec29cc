"""What a model of unordered categories does not take, in words."""

from typing import TYPE_CHECKING

from bayesml.errors import SpecError, quoted

if TYPE_CHECKING:
    from bayesml.specs.modelspec import ModelSpec


def check_nominal(spec: "ModelSpec") -> None:
    """Raise where something is asked for that unordered categories do not have.

    Parameters
    ----------
    spec : ModelSpec
        Of a nominal outcome.

    Raises
    ------
    SpecError
    """
    family = quoted(spec.family)
    if spec.parts.offsets or spec.offset is not None:
        raise SpecError(
            f"An offset shifts one linear predictor, and the family {family} has one for each "
            "category but the baseline. Leave the offset out."
        )
    if spec.outcome_column:
        raise SpecError(
            f"Every category of the family {family} has coefficients of its own already, and "
            "several outcomes, or members of a unit, cannot have them in this version. Fit one "
            "model for each."
        )
    for grouping in spec.groupings:
        for key, given in (("by", grouping.by), ("effects", grouping.effects != "normal")):
            if given:
                raise SpecError(
                    f"Grouping {quoted(grouping.name)} has {key} = "
                    f"{quoted(str(getattr(grouping, key)))}, which effects on the categories of a "
                    "nominal outcome do not take in this version. Leave it out."
                )
