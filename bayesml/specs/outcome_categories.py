"""The categories of ordered outcomes among several, by outcome."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bayesml.errors import SpecError, did_you_mean, listed, quoted

if TYPE_CHECKING:
    from bayesml.specs.outcome_families import OutcomeFamily

Categories = tuple[str | int | float, ...]
CategoriesByOutcome = tuple[tuple[str, Categories], ...]


def settled_categories(
    found: Sequence["OutcomeFamily"], categories: Categories, by_outcome: CategoriesByOutcome
) -> CategoriesByOutcome:
    """Return the categories of every ordered outcome whose order was given, by outcome.

    Parameters
    ----------
    found : sequence of OutcomeFamily
    categories : tuple
        Of every ordered outcome that `by_outcome` does not name.
    by_outcome : tuple of (outcome, tuple)

    Returns
    -------
    tuple of (outcome, tuple)
        In the order of the outcomes.

    Raises
    ------
    SpecError
        A name is no ordered outcome, or a category stands twice.

    Examples
    --------
    >>> from bayesml.specs.outcome_families import families_by_outcome
    >>> found = families_by_outcome(["a", "b"], {"a": "gaussian", "b": "ordinal"}, {})
    >>> settled_categories(found, ("low", "high"), ())
    (('b', ('low', 'high')),)
    """
    ordered = [item.outcome for item in found if item.record.response == "ordered"]
    for name, _ in by_outcome:
        if name not in ordered:
            known = f"{did_you_mean(name, ordered)} " if any(ordered) else ""
            raise SpecError(
                f"categories names {quoted(name)}, which is not an ordered outcome among several. "
                f"{known}Name outcomes of the family 'ordinal', "
                "categories={'grade': ['low', 'high']}, or give one list."
            )
    given = {**dict.fromkeys(ordered, categories), **dict(by_outcome)}
    for name, own in given.items():
        check_distinct(own, f" for {quoted(name)}")
    return tuple((name, given[name]) for name in ordered if given[name])


def check_distinct(categories: Categories, of: str = "") -> None:
    """Raise where a category stands twice.

    Raises
    ------
    SpecError
    """
    if len(set(map(str, categories))) != len(categories):
        raise SpecError(f"categories lists a value twice{of}: {listed(categories)}.")
