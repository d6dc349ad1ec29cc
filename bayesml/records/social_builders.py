"""The builder of social-relations models of round-robin data: who rates whom in a group."""

from typing import Any, Unpack

import pandas as pd

from bayesml.design.columns import plain_frame
from bayesml.errors import SpecError, TableError, listed, quoted
from bayesml.records.argument_checks import one_family, require_name, tells_rows_apart
from bayesml.records.builder_options import Options, build_model
from bayesml.records.modelling import Model
from bayesml.specs.groupings import Grouping
from bayesml.specs.residual_structures import Residual
from bayesml.specs.small_groups import (
    ACTOR,
    ADDED,
    DYAD,
    PARTNER,
    dyad_grouping,
    person_grouping,
)
from bayesml.tables.checks import require_columns, require_table


def social_relations(
    table: Any,
    formula: str,
    *,
    actor: str,
    partner: str,
    group: str | None = None,
    occasion: str | None = None,
    **options: Unpack[Options],
) -> Model:
    """Return a social-relations model of round-robin data: how everybody rates everybody else.

    y_ij = x_ij beta + a_i + p_j + r_ij: how i rates others in general (actor effect), how others
    rate j (partner effect), and what is left between the two (relationship effect). The two effects
    of one person are correlated (generalised reciprocity), and so are the relationship effects of
    the two directions of a dyad (dyadic reciprocity); both correlations may be negative.

    Parameters
    ----------
    table : DataFrame
        One row for each direction of each dyad: A on B, and B on A. Missing directions may stay
        away.
    formula : str
        ``outcome ~ predictors``, without bars.
    actor, partner : str
        Columns of who rates (perceives, gives) and of who is rated; a person has the same label in
        both.
    group : str or None
        Column of the group (family, team) that both belong to, which gets a varying intercept; a
        person belongs to one group.
    occasion : str or None
        Column that tells several rows of one direction apart: an item, a time. Relationship
        effects are then effects of a grouping, beside the residuals.
    **options
        See `Options`.

    Returns
    -------
    Model
        The posterior holds `sd_person`, `corr_person` and `u_person` with the terms ``actor`` and
        ``partner``. With one row for each direction of a Gaussian outcome `sigma` is the SD of the
        relationship effects, error included, and `corr_residual` their dyadic reciprocity;
        otherwise `sd_dyad` holds the SDs of what the two directions share (``Intercept``)
        and of half their difference (``direction``). `social_relations_shares` turns all of them
        into shares and correlations. `with_dyads` makes the columns that the model reads, also for
        new rows.

    Raises
    ------
    TableError, SpecError
        A person is paired with himself or belongs to two groups, a direction occurs twice, effects
        cannot be told apart in such a table, or an argument cannot be used.

    Notes
    -----
    Kenny & La Voie (1984), The social relations model, doi:10.1016/S0065-2601(08)60144-6; Snijders
    & Kenny (1999), The social relations model for family data: a multilevel approach,
    doi:10.1111/j.1475-6811.1999.tb00204.x. In a formula the effects of a person are
    ``(0 + mmc(1, 0) + mmc(0, 1) | mm(actor, partner, weights="whole", name="person"))``.

    Examples
    --------
    >>> import bayesml as bml, pandas as pd
    >>> table = pd.DataFrame({
    ...     "rater": ["a", "a", "b", "b", "c", "c"], "target": ["b", "c", "a", "c", "a", "b"],
    ...     "liking": [4.0, 2.5, 3.1, 4.4, 1.0, 2.0],
    ... })
    >>> bml.social_relations(
    ...     table, "liking ~ 1", actor="rater", partner="target"
    ... ).spec.residual.text  # doctest: +SKIP
    'compound_symmetric(dyad)'
    """
    frame = with_dyads(table, actor=actor, partner=partner)
    directions = _directions(frame, (actor, partner), group, occasion)
    notes = _check_design(directions, group)
    groupings = [person_grouping()]
    if options.get("residual") is not None:
        raise SpecError(
            "social_relations says itself how the residuals of a dyad are correlated. Leave "
            "residual out."
        )
    record = one_family(options.get("family"), "social_relations")
    if record.response == "nominal":
        raise SpecError(
            f"social_relations has one linear predictor, and the family {quoted(record.name)} has "
            "one for each category. Fit a model of the family 'binomial' for each category, or "
            "use 'ordinal' where the categories have an order."
        )
    if record.correlated_residuals and occasion is None:
        options["residual"] = Residual("compound_symmetric", (DYAD,)).text
    else:
        _check_relationships(options, formula, occasion)
        groupings.append(dyad_grouping())
    if group is not None:
        groupings.append(Grouping(group, columns=(group,)))
    return build_model("social_relations", frame, formula, groupings, options, notes)


def with_dyads(table: Any, *, actor: str, partner: str) -> pd.DataFrame:
    """Return the table with the dyad of each row, and with its direction.

    Parameters
    ----------
    table : DataFrame
        One row for each direction of each dyad.
    actor, partner : str
        Columns of the two persons.

    Returns
    -------
    DataFrame
        A copy with the labels of the two as text in `actor` and `partner`, with `dyad`, the same
        label for both directions, and `direction`, 1 in one of them and -1 in the other.

    Raises
    ------
    TableError, SpecError
        A label is missing, a person is paired with himself, or a new column exists already.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"actor": ["a", "b"], "partner": ["b", "a"]})
    >>> found = with_dyads(table, actor="actor", partner="partner")
    >>> found["dyad"].tolist(), found["direction"].tolist()
    (['a | b', 'a | b'], [1, -1])
    """
    frame = require_table(table)
    names = [require_name(actor, "actor"), require_name(partner, "partner")]
    if actor == partner:
        raise SpecError(
            f"actor and partner are both {quoted(actor)}. Name the column of who rates, and that "
            "of who is rated."
        )
    for name, what in zip(names, ("actor", "partner"), strict=True):
        require_columns(frame, [name], what)
    labels = plain_frame(frame, dict.fromkeys(names, "grouping"))
    for name in names:
        missing = int(labels[name].isna().sum())
        if missing:
            raise TableError(
                f"The column {quoted(name)} names nobody in {missing} rows. Every row is about two "
                "persons: fill the label in, or leave these rows out."
            )
    one, other = (_texts(labels[name]) for name in names)
    alone = (one == other).to_numpy(dtype=bool)
    if alone.any():
        raise TableError(
            f"{int(alone.sum())} rows pair a person with himself: "
            f"{listed(one[alone].unique().tolist())}. A self-rating has no partner: leave these "
            f"rows out with table[table[{actor!r}] != table[{partner!r}]]."
        )
    present = [name for name in ADDED if name in frame.columns and name not in names]
    if present or partner == ACTOR or actor == PARTNER:
        raise SpecError(
            f"The table has a column {quoted(present[0] if present else partner)} already, which "
            "social-relations models add. Rename it."
        )
    forward = (one < other).to_numpy(dtype=bool)
    # Doubled inside a label, a bar parts the two labels in one way only.
    first, second = (labels.str.replace("|", "||") for labels in (one, other))
    dyad = first.where(forward, second) + " | " + second.where(forward, first)
    direction = pd.Series([1 if ahead else -1 for ahead in forward], index=frame.index)
    return frame.assign(actor=one, partner=other, dyad=dyad, direction=direction)


def _texts(labels: pd.Series) -> pd.Series:
    """Return labels as text; whole numbers are the same as numbers and as text."""
    if pd.api.types.is_float_dtype(labels.dtype) and (labels % 1 == 0).all():
        labels = labels.astype("int64")
    return labels.astype(str)


def _directions(
    frame: pd.DataFrame, persons: tuple[str, str], group: str | None, occasion: str | None
) -> pd.DataFrame:
    """Return one row for each direction: actor, partner, dyad, and group where there are some."""
    found = frame[[ACTOR, PARTNER, DYAD]].copy()
    used = list(persons)
    for name, what in ((group, "group"), (occasion, "occasion")):
        if name is None:
            continue
        require_columns(frame, [require_name(name, what)], what)
        if name in used:
            raise SpecError(
                f"{what} is {quoted(name)}, which is already the column of another argument. Name "
                f"the column of the {what}, or leave {what} out."
            )
        used.append(name)
        labels = plain_frame(frame, {name: "grouping"})[name]
        missing = int(labels.isna().sum())
        if missing:
            raise TableError(
                f"The {what} {quoted(name)} has no label in {missing} rows. Fill it in, or leave "
                "these rows out."
            )
        found[what] = _texts(labels)
    keys = ["actor", "partner", *(["occasion"] if occasion else [])]
    twice = found[found.duplicated(keys)]
    if len(twice):
        shown = [f"{a} on {b}" for a, b in zip(twice["actor"], twice["partner"], strict=True)]
        action = (
            "Correct the occasions, or leave rows out."
            if occasion
            else "Name the column that tells these rows apart in occasion=, or leave rows out."
        )
        raise TableError(
            f"{len(twice)} rows repeat a direction{' at one occasion' if occasion else ''}: "
            f"{listed(shown)}. {action}"
        )
    return found.drop_duplicates(["actor", "partner"])


def _check_design(directions: pd.DataFrame, group: str | None) -> list[str]:
    """Raise where effects cannot be told apart; return what the reader must know."""
    notes = []
    if group is not None:
        notes += _check_groups(directions, group)
    actors, partners = set(directions["actor"]), set(directions["partner"])
    if not actors & partners:
        raise TableError(
            "Nobody is both actor and partner, so how the two effects of a person go together "
            "cannot be learnt. Correct the labels, which are the same in both columns for one "
            "person, or use cross_classified for raters and what they rate."
        )
    if _persons(directions, DYAD)["person"].value_counts().max() < 2:
        raise TableError(
            "Everybody has one partner only, as in groups of fewer than three persons: what a "
            "person does with everybody, and what only with this partner, are then the same. Give "
            "groups of three or more, or use dyadic for couples."
        )
    sizes = directions["dyad"].value_counts()
    single = int((sizes == 1).sum())
    if single == len(sizes):
        raise TableError(
            f"No dyad has both directions: of each of the {single} only one person rates the "
            "other, so dyadic reciprocity cannot be learnt. Add the other direction, or use "
            "cross_classified for raters and what they rate."
        )
    if single:
        notes.append(
            f"{single} of {len(sizes)} dyads have one direction only; they stay in the model and "
            "say nothing about dyadic reciprocity."
        )
    return notes


def _persons(directions: pd.DataFrame, within: str) -> pd.DataFrame:
    """Return each person once for every dyad or group that it belongs to."""
    names = ["person", within]
    both = [directions[[role, within]].set_axis(names, axis=1) for role in (ACTOR, PARTNER)]
    return pd.concat(both).drop_duplicates()


def _check_groups(directions: pd.DataFrame, group: str) -> list[str]:
    persons = _persons(directions, "group")
    groups_of = persons["person"].value_counts()
    several = sorted(groups_of[groups_of > 1].index)
    if several:
        raise TableError(
            f"{len(several)} persons belong to several groups of {quoted(group)}: "
            f"{listed(several)}. Where labels begin anew in every group, join them with the "
            "group's, in both columns; else leave group out."
        )
    sizes = persons["group"].value_counts()
    if sizes.max() < 3:
        raise TableError(
            f"Every group of {quoted(group)} has fewer than three persons, so everybody has one "
            "partner only: what a person does with everybody, and what only with this partner, are "
            "then the same. Give groups of three or more, or use dyadic for couples."
        )
    small = int((sizes < 3).sum())
    if not small:
        return []
    return [
        f"{small} of {len(sizes)} groups of {quoted(group)} have fewer than three persons, and do "
        "not tell actor and partner effects from relationship effects; the other groups do."
    ]


def _check_relationships(options: Options, formula: str, occasion: str | None) -> None:
    """Raise where one row for each direction cannot tell relationships from what is left."""
    if occasion is not None:
        return
    record = one_family(options.get("family"), "social_relations")
    if tells_rows_apart(record, options.get("trials"), formula):
        return
    raise SpecError(
        f"With one row for each direction the family {quoted(record.name)} does not tell "
        "relationship effects from how single rows scatter. Give several rows for each direction, "
        "and name what tells them apart in occasion=; or use the family 'gaussian', 'poisson', or "
        "'binomial' with several trials."
    )
