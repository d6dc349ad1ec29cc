"""Models with more than one linear predictor: what is not defined for them, in words."""

from bayesml.errors import FitError, quoted
from bayesml.records.facts import ModelFacts


def require_one_predictor(facts: ModelFacts, wanted_by: str, instead: str) -> None:
    """Raise where a parameter or a category has a linear predictor, or cutpoints coefficients.

    Parameters
    ----------
    facts : ModelFacts
    wanted_by : str
        What takes one level-1 variance, or one likelihood, for granted: ``"bml.r2"``.
    instead : str
        What to do, as a sentence.

    Raises
    ------
    FitError
    """
    refuse_nominal(facts, wanted_by, instead)
    if facts.specific is not None:
        raise FitError(
            f"{wanted_by} takes the same coefficients for all categories, and in this model those "
            f"of cs() differ between the cutpoints. {instead}"
        )
    if facts.parts:
        names = " and ".join(part.parameter for part in facts.parts)
        raise FitError(
            f"{wanted_by} takes the same {names} for all rows, and in this model {names} depends "
            f"on the row (distributional). {instead}"
        )


def refuse_nominal(facts: ModelFacts, wanted_by: str, instead: str) -> None:
    """Raise where the outcome has unordered categories.

    Parameters
    ----------
    facts : ModelFacts
    wanted_by, instead : str
        What is asked for, and what to do, as in `require_one_predictor`.

    Raises
    ------
    FitError
    """
    if facts.nominal:
        raise FitError(
            f"{wanted_by} takes one linear predictor for granted, and the categories of "
            f"{quoted(facts.response)} have no order and a linear predictor each, against "
            f"{quoted(facts.baseline_category)}. {instead}"
        )
