"""Centred or non-centred, per grouping, by how much the data say about each unit.

A crude approximate fit is enough: the effects' variances by a few rounds of expectation and
maximisation on a working response, every term on its own. A unit's reliability is then
information / (information + 1 / variance): near 1 the data fix the effect and the centred form
samples well, near 0 the prior does and the non-centred form samples well (Papaspiliopoulos,
Roberts & Skold 2007, doi:10.1214/088342307000000014).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayesml.design.member_terms import slot_loads
from bayesml.design.units import Units
from bayesml.design.working_responses import Working, residual_spread

ROUNDS = 40
# Above it a round takes a notable time, and variances that have come to rest end the fit.
MANY_ROWS = 50_000
# Above this mean reliability the centred form was the more efficient one on the reference tables.
THRESHOLD = 0.6
# With fewer units the SD's posterior reaches down to zero, where the centred form has a funnel.
FEWEST_UNITS = 5
# Gain in log-likelihood at which an SD of 0 begins to be out of the question.
SETTLED = 5.0


@dataclass(frozen=True)
class Reliability:
    """What the crude fit says about one grouping.

    Parameters
    ----------
    sd : array, shape (terms,)
        Rough SD of each term on the link scale; not an estimate to report.
    by_unit : array, shape (units, terms)
        Information / (information + 1 / variance) of each effect, between 0 and 1.
    kind : array of int, shape (units,), or None
        Number of each unit's kind, where kinds have SDs of their own.
    """

    sd: np.ndarray
    by_unit: np.ndarray
    kind: np.ndarray | None = None

    @property
    def mean(self) -> np.ndarray:
        """Mean over the units, shape (terms,)."""
        return self.by_unit.mean(axis=0)

    @property
    def evidence(self) -> float:
        """Roughly, by how much the first term's SD raises the log-likelihood above an SD of 0.

        With x = information times variance of a unit, the sum of (x - log(1 + x)) / 2; the least
        of it where there are several kinds of units.
        """
        return float(self._evidence.min())

    @property
    def _evidence(self) -> np.ndarray:
        """The evidence of each kind of units."""
        share = np.clip(self.by_unit[:, 0], 0.0, 1 - 1e-9)
        x = share / (1 - share)
        kind = np.zeros(len(x), dtype=int) if self.kind is None else self.kind
        return np.bincount(kind, (x - np.log1p(x)) / 2)

    @property
    def grades(self) -> np.ndarray:
        """Place of each unit between non-centred (0) and centred (1), shape (units, 1).

        The reliability of the unit, less where the SD may be 0 and centred effects have a funnel.
        """
        kind = np.zeros(len(self.by_unit), dtype=int) if self.kind is None else self.kind
        evidence = self._evidence[kind][:, None]
        return self.by_unit[:, :1] * evidence / (evidence + SETTLED)


@dataclass(frozen=True)
class Form:
    """How the effects of a grouping are sampled.

    Parameters
    ----------
    centred_terms : int
        How many terms are centred, from the first: all, one or none.
    graded : bool
        Whether a single term is sampled between centred and non-centred, by unit.
    reason : str
        The form and why, in words.
    """

    centred_terms: int
    graded: bool
    reason: str


def unsettled(results: Sequence[Reliability]) -> bool:
    """Return whether some SD may well be 0, which chains explore slowly."""
    return any(
        replace(result, by_unit=result.by_unit[:, [term]]).evidence < 2 * SETTLED
        for result in results
        for term in range(result.by_unit.shape[1])
    )


def chosen_form(result: Reliability) -> Form:
    """Return the form that suits the reliabilities of a grouping."""
    units, terms = result.by_unit.shape
    first, lowest = float(result.mean[0]), float(result.mean.min())
    if units < FEWEST_UNITS:
        return Form(0, False, f"non-centred: fewer than {FEWEST_UNITS} units")
    if terms == 1:
        # Each unit gets the place that suits it (Papaspiliopoulos, Roberts & Skold 2003): the
        # same source serves every table, and no threshold decides.
        return Form(
            1, True, f"between centred and non-centred by unit: mean reliability {first:.2f}"
        )
    if lowest >= THRESHOLD:
        return Form(terms, False, f"centred: the units' mean reliability is {lowest:.2f}")
    if first >= THRESHOLD:
        words = f"{first:.2f} for the first term, {lowest:.2f} for another"
        return Form(1, False, f"partly centred: the units' mean reliability is {words}")
    return Form(0, False, f"non-centred: the units' mean reliability is {lowest:.2f}")


def reliabilities(
    working: Working,
    predictors: np.ndarray,
    groupings: Sequence[tuple[Units, np.ndarray]],
) -> list[Reliability]:
    """Return the reliability of each grouping from a crude approximate fit.

    Units inside a unit (children in a school) blur what the rows say about the outer one: their
    variance is taken out of the rows' information, w / (1 + variance * information of the inner
    unit). Crossed groupings are fitted in turn, each on what the others leave.

    Parameters
    ----------
    working : Working
        Stand-in for the outcome.
    predictors : array, shape (rows, coefficients)
    groupings : sequence of (Units, array of shape (rows, terms))

    Returns
    -------
    list of Reliability
    """
    parts = [_entries(units, z) for units, z in groupings]
    inside = [
        [o != g and contains(groupings[g][0], groupings[o][0]) for o in range(len(parts))]
        for g in range(len(parts))
    ]
    outcome, weight = working.at(working.start)
    left = outcome - predictors @ _weighted_fit(outcome, weight, predictors)
    spread = residual_spread(np.average(left**2, weights=weight), outcome)
    variances = [
        np.array([0.25 * spread / max(float((z**2).mean()), 1e-300) for z in part.z.T])
        for part in parts
    ]
    fitted = [np.zeros_like(outcome) for _ in parts]
    information = [np.ones((part.units, part.z.shape[1])) for part in parts]
    # Inner groupings first, since the outer ones need what these leave of the rows' information.
    order = sorted(range(len(parts)), key=lambda number: -parts[number].units)
    scale = 1.0
    eta = working.start
    for _ in range(ROUNDS):
        before = [v.copy() for v in variances]
        outcome, weight = working.at(eta)
        effects = sum(fitted, np.zeros_like(outcome))
        fixed = predictors @ _weighted_fit(outcome - effects, weight, predictors)
        residual = outcome - fixed
        blurred: list[np.ndarray] = [weight * scale for _ in parts]
        for number in order:
            information[number] = _information(parts[number], blurred[number])
            taken = 1 / (1 + variances[number][0] * information[number][:, 0])
            for outer in range(len(parts)):
                if inside[outer][number]:
                    blurred[outer] = blurred[outer] * taken[groupings[number][0].index]
        # Outer groupings first: an inner one is fitted to what the outer ones leave.
        for number in reversed(order):
            others = (fitted[o] for o in range(len(parts)) if o != number and not inside[number][o])
            rest = residual - sum(others, np.zeros_like(residual))
            fitted[number], variances[number] = _update(
                parts[number],
                rest,
                blurred[number],
                information[number],
                variances[number],
                kept=_kept(number, inside, groupings, information, variances),
                smallest=1e-12 * spread,
            )
        eta = fixed + sum(fitted, np.zeros_like(residual))
        if not working.residual_known:
            lost = sum(
                float(np.sum(i / (i + 1 / v))) for i, v in zip(information, variances, strict=True)
            )
            degrees = max(len(eta) - lost, 0.1 * len(eta))
            # A weighted sum of squares is about the number of rows; a perfect fit leaves nothing.
            squares = max(float(np.sum(weight * (outcome - eta) ** 2)), 1e-12 * degrees)
            scale = degrees / squares
        steady = all(
            bool((np.abs(v - b) <= 0.02 * b).all()) for v, b in zip(variances, before, strict=True)
        )
        if steady and len(eta) > MANY_ROWS:
            break
    return [
        Reliability(np.sqrt(v), i / (i + 1 / v))
        for i, v in zip(information, variances, strict=True)
    ]


def contains(outer: Units, inner: Units) -> bool:
    """Return whether every unit of `inner` lies in one unit of `outer`."""
    if outer.weights is not None or inner.weights is not None:
        return False
    first = np.full(len(inner.labels), -1)
    first[inner.index] = outer.index
    return bool((first[inner.index] == outer.index).all())


def _weighted_fit(outcome: np.ndarray, weight: np.ndarray, predictors: np.ndarray) -> np.ndarray:
    if not predictors.shape[1]:
        return np.zeros(0)
    root = np.sqrt(weight)
    return np.linalg.lstsq(predictors * root[:, None], outcome * root, rcond=None)[0]


@dataclass(frozen=True)
class _Entries:
    """The non-zero entries of one grouping's part of the design.

    `row` selects the row of each entry: all rows in turn where every row has one unit.
    """

    row: np.ndarray | slice
    unit: np.ndarray
    z: np.ndarray
    units: int
    rows: int

    def by_unit(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self.unit, values, minlength=self.units)

    def by_row(self, values: np.ndarray) -> np.ndarray:
        if isinstance(self.row, slice):
            return values
        return np.bincount(self.row, values, minlength=self.rows)


def _kept(
    number: int,
    inside: Sequence[Sequence[bool]],
    groupings: Sequence[tuple[Units, np.ndarray]],
    information: Sequence[np.ndarray],
    variances: Sequence[np.ndarray],
) -> np.ndarray:
    """Return the share of each unit's effect that the effects of outer units leave to it."""
    inner = groupings[number][0]
    kept = np.ones(len(inner.labels))
    told = information[number][:, 0] / (1 + variances[number][0] * information[number][:, 0])
    for outer in range(len(groupings)):
        if not inside[outer][number]:
            continue
        parent = np.zeros(len(inner.labels), dtype=int)
        parent[inner.index] = groupings[outer][0].index
        known = information[outer][:, 0]
        reliability = known / (known + 1 / variances[outer][0])
        kept *= 1 - np.clip(reliability[parent] * told / np.maximum(known[parent], 1e-300), 0, 1)
    return kept


def _information(part: _Entries, weight: np.ndarray) -> np.ndarray:
    """Return what the rows say about each effect, shape (units, terms)."""
    w = weight[part.row]
    return np.column_stack([part.by_unit(w * z**2) for z in part.z.T])


def _update(
    part: _Entries,
    rest: np.ndarray,
    weight: np.ndarray,
    information: np.ndarray,
    variances: np.ndarray,
    kept: np.ndarray,
    smallest: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return fitted values and variances of one grouping, one round further."""
    w = weight[part.row]
    effects = np.zeros((part.units, part.z.shape[1]))
    fitted = np.zeros(part.rows)
    updated = variances.copy()
    # Two sweeps: a slope and an intercept share what the rows say.
    for _ in range(2):
        for term, z in enumerate(part.z.T):
            own = part.by_row(z * effects[part.unit, term])
            partial = rest - fitted + own
            score = part.by_unit(w * z * partial[part.row])
            variance = 1 / (information[:, term] + 1 / variances[term])
            effects[:, term] = variance * score
            # MacKay's fixed point: the sum of squares over the effective number of effects. It has
            # the fixed point of expectation and maximisation, and gets there in fewer rounds.
            effective = float(np.sum(kept * information[:, term] * variance))
            updated[term] = max(
                float(np.sum(effects[:, term] ** 2)) / max(effective, 1e-12), smallest
            )
            fitted += part.by_row(z * effects[part.unit, term]) - own
    return fitted, updated


def _entries(units: Units, z: np.ndarray) -> _Entries:
    if units.weights is None:
        return _Entries(slice(None), units.index, z, len(units.labels), len(z))
    row, slot = np.nonzero(units.weights)
    weighted = slot_loads(z, units.weights)[row, slot]
    return _Entries(row, units.index[row, slot], weighted, len(units.labels), len(z))
