"""Outcomes of different families: which family and link each has, and what cannot be mixed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bayesml.errors import SpecError, did_you_mean, listed, quoted
from bayesml.specs.families import family_named
from bayesml.specs.family_records import Family, Parameter
from bayesml.specs.links import Link
from bayesml.specs.outcome_categories import (
    Categories,
    CategoriesByOutcome,
    settled_categories,
)

# Kinds of outcomes that may stand beside others: a row has one linear predictor.
_MIXABLE = ("real", "positive", "unit", "binary", "count", "ordered")

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class OutcomeFamily:
    """The likelihood of one outcome.

    Parameters
    ----------
    outcome : str
        Its column; empty where one family serves every outcome.
    record : Family
    link : Link
    """

    outcome: str
    record: Family
    link: Link

    @property
    def latent_variance(self) -> float | None:
        """Level-1 variance of the latent outcome, None for families that are not latent."""
        return self.link.latent_variance if self.record.latent else None


def families_by_outcome(
    outcomes: Sequence[str], families: Mapping[str, str], links: Mapping[str, str]
) -> tuple[OutcomeFamily, ...]:
    """Return the family and the link of every outcome, in the order of the outcomes.

    Parameters
    ----------
    outcomes : sequence of str
        Columns of the outcomes.
    families : mapping of str to str
        Family by outcome, one for each.
    links : mapping of str to str
        Link by outcome; the family's default where there is none.

    Raises
    ------
    SpecError
        An outcome has no family, a name is no outcome, or a family or link does not exist.

    Examples
    --------
    >>> found = families_by_outcome(["a", "b"], {"a": "gaussian", "b": "poisson"}, {})
    >>> [item.link.name for item in found]
    ['identity', 'log']
    """
    for argument, given in (("family", families), ("link", links)):
        for name in given:
            if name not in outcomes:
                raise SpecError(
                    f"{argument} names {quoted(name)}, which is not an outcome of this model. "
                    f"{did_you_mean(name, list(outcomes))}"
                )
    absent = [name for name in outcomes if name not in families]
    if absent:
        raise SpecError(
            f"family says nothing about the outcome {listed(absent)}. Name a family for every "
            f"outcome: family={{{absent[0]!r}: 'gaussian', ...}}, or give one for all."
        )
    found = []
    for name in outcomes:
        try:
            record = family_named(families[name])
            link = record.link(links.get(name, ""))
        except SpecError as error:
            raise SpecError(f"Outcome {quoted(name)}: {error}") from None
        found.append(OutcomeFamily(name, record, link))
    return tuple(found)


def settled_families(
    outcomes: Sequence[str],
    response: str,
    family: str,
    link: str,
    families: Pairs,
    links: Pairs,
    categories: Categories = (),
    by_outcome: CategoriesByOutcome = (),
) -> dict[str, Any]:
    """Return family, link and categories of a specification, by outcome where they may differ.

    Parameters
    ----------
    outcomes : sequence of str
        Columns of several outcomes; empty where there is one.
    response : str
        Text of the outcome, for messages.
    family, link : str
        Of all outcomes that `families` and `links` do not name.
    families, links : tuple of (outcome, name)
    categories : tuple
        Of every outcome that `by_outcome` does not name.
    by_outcome : tuple of (outcome, tuple)
        Categories of ordered outcomes among several.

    Returns
    -------
    dict
        The entries `family`, `link`, `families`, `links`. With families by outcome the first two
        are words; where all outcomes have the same, which is not an ordered one, the last two are
        empty. `categories` and `categories_by_outcome` where ordered outcomes have theirs.

    Raises
    ------
    SpecError
    """
    if outcomes and not families and family_named(family).response == "ordered":
        # Each has cutpoints, and so a likelihood, of its own.
        families = tuple((name, family) for name in outcomes)
        links = links or tuple((name, link) for name in outcomes if link)
    if not families and not links:
        settled_categories((), categories, by_outcome)
        return {"link": family_named(family).link(link).name}
    if not outcomes:
        raise SpecError(
            f"family or link names outcomes, and this model has one, {quoted(response)}. Give one "
            "name: family='gaussian'."
        )
    by_name = dict(families) or dict.fromkeys(outcomes, family)
    found = families_by_outcome(outcomes, by_name, dict(links))
    one = found[0]
    alike = len({(item.record.name, item.link.name) for item in found}) == 1
    own = settled_categories(found, categories, by_outcome)
    if alike and one.record.response != "ordered":
        return {"family": one.record.name, "link": one.link.name, "families": (), "links": ()}
    words = family_words(found)
    return {
        "family": words[0],
        "link": words[1],
        "families": tuple((item.outcome, item.record.name) for item in found),
        "links": tuple((item.outcome, item.link.name) for item in found),
        "categories_by_outcome": own,
        "categories": () if own else categories,
    }


# The kind of outcome that an argument is about.
_ABOUT = {"trials": ("binary", "binomial"), "exposure": ("count", "poisson")}


def check_mixed(
    found: Sequence[OutcomeFamily], given: Mapping[str, object], used: Mapping[str, object]
) -> None:
    """Raise where outcomes of these families cannot be fitted together.

    Parameters
    ----------
    found : sequence of OutcomeFamily
    given : mapping of str to object
        Arguments that are for one family, by name; empty where they were not given.
    used : mapping of str to object
        `trials` and `exposure`, which the outcomes of one kind have; None where not given.

    Raises
    ------
    SpecError
    """
    for item in found:
        if item.record.response not in _MIXABLE:
            raise SpecError(
                f"The outcome {quoted(item.outcome)} of the family {quoted(item.record.name)} has "
                "categories without an order, and cannot be fitted together with other outcomes in "
                "this version. Fit a model of its own for it."
            )
    for key, (kind, family) in _ABOUT.items():
        if used[key] is not None and all(item.record.response != kind for item in found):
            raise SpecError(
                f"{key}= belongs to outcomes of the family {quoted(family)}, and there is none "
                f"among {listed([item.outcome for item in found])}. Leave it out."
            )
    for key, value in given.items():
        if value:
            raise SpecError(
                f"{key} cannot be set for outcomes of different families in this version: it "
                f"would be the same for {listed([item.outcome for item in found])}. Leave it out, "
                "or fit one model for each outcome."
            )


def family_words(found: Sequence[OutcomeFamily]) -> tuple[str, str]:
    """Return the families and the links as texts show them: ``gaussian (a), poisson (b)``."""
    return (
        ", ".join(f"{item.record.name} ({item.outcome})" for item in found),
        ", ".join(f"{item.link.name} ({item.outcome})" for item in found),
    )


def union_of_parameters(found: Sequence[OutcomeFamily]) -> tuple[Parameter, ...]:
    """Return the parameters of several families, each name once, in the order of the outcomes."""
    by_name: dict[str, Parameter] = {}
    for family in found:
        for item in family.record.parameters:
            by_name.setdefault(item.name, item)
    return tuple(by_name.values())


def outcomes_with(found: Sequence[OutcomeFamily], parameter: str) -> tuple[int, ...]:
    """Return the numbers of the outcomes whose family has a parameter."""
    return tuple(
        number
        for number, family in enumerate(found)
        if any(item.name == parameter for item in family.record.parameters)
    )
