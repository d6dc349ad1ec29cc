"""The builder of twin models: variance of additive genes, dominance, shared and own environment."""

from typing import Any, Unpack

import numpy as np
import pandas as pd

from bayesml.design.columns import plain_frame
from bayesml.errors import SpecError, TableError, listed, quoted
from bayesml.records.argument_checks import require_name
from bayesml.records.builder_options import Options, build_model
from bayesml.records.modelling import Model
from bayesml.specs.small_groups import TWIN_MODELS, TWIN_PARTS, twin_grouping
from bayesml.tables.checks import require_columns, require_table


def twins(
    table: Any,
    formula: str,
    *,
    pair: str,
    zygosity: str,
    identical: str = "MZ",
    components: str = "ACE",
    **options: Unpack[Options],
) -> Model:
    """Return a twin model: variance of genes, of shared and of own environment (ACE).

    Identical (MZ) twins share all genes, fraternal (DZ) ones half of what acts additively (A) and
    a quarter of dominance (D); both share the environment C and have an own one, E. The covariance
    of a pair is A + C (MZ) or A / 2 + C (DZ), with D in place of C: A + D or A / 2 + D / 4.

    Parameters
    ----------
    table : DataFrame
        One row for each twin. A twin whose other half is missing may stay.
    formula : str
        ``outcome ~ predictors``, without bars.
    pair : str
        Column of the pair's label.
    zygosity : str
        Column that tells identical from fraternal pairs.
    identical : str
        Its value for identical pairs; every other value is fraternal.
    components : {"ACE", "ADE", "AE", "CE"}
        The parts of the variance. C and D cannot be told apart by twins alone.
    **options
        See `Options`. With ``family="binomial", link="probit"`` it is the liability-threshold
        model, where E has the variance 1.

    Returns
    -------
    Model
        The posterior holds `sd_additive` (A), `sd_shared` (C), `sd_dominance` (D), and `sigma` (E);
        `heritability` turns them into shares.

    Raises
    ------
    TableError, SpecError
        A pair has more than two twins or two zygosities, one kind of pair is missing, or an
        argument cannot be used.

    Notes
    -----
    A is a multiple membership: an identical twin belongs to a unit of the pair, a fraternal one
    with the weights sqrt(1/2), sqrt(1/2) to that and to one of its own; `with_relatedness` makes
    these columns, also for a table that a TOML file is fitted to.

    Neale & Cardon (1992), Methodology for Genetic Studies of Twins and Families,
    doi:10.1007/978-94-015-8018-2; Rabe-Hesketh, Skrondal & Gjessing (2008), Biometrical modeling of
    twin and family data using standard mixed model software,
    doi:10.1111/j.1541-0420.2007.00803.x.

    Examples
    --------
    >>> import bayesml as bml, pandas as pd
    >>> table = pd.DataFrame({
    ...     "family": [1, 1, 2, 2, 3, 3, 4, 4], "kind": ["MZ"] * 4 + ["DZ"] * 4,
    ...     "bmi": [21.0, 22.5, 25.0, 24.2, 20.1, 23.4, 22.2, 26.0],
    ... })
    >>> built = bml.twins(table, "bmi ~ 1", pair="family", zygosity="kind", components="AE")
    >>> [grouping.name for grouping in built.spec.groupings]
    ['additive']
    """
    if components not in TWIN_MODELS:
        raise SpecError(
            f"components is {quoted(str(components))}. Allowed: {listed(TWIN_MODELS)}; C and D "
            "cannot be told apart by twins alone."
        )
    frame = with_relatedness(table, pair=pair, zygosity=zygosity, identical=identical)
    alike = _identical(frame, zygosity, identical)
    if alike.all() or not alike.any():
        kinds = frame[zygosity].astype(str).unique().tolist()
        raise TableError(
            f"Every pair is {'identical' if alike.all() else 'fraternal'}: {quoted(zygosity)} has "
            f"the values {listed(kinds)} and identical is {quoted(identical)}. What genes and what "
            "shared environment do is told apart by comparing identical with fraternal pairs: give "
            "both, or use two_level for how alike the twins of a pair are."
        )
    groupings = [twin_grouping(letter) for letter in components.removesuffix("E")]
    return build_model("twins", frame, formula, groupings, options)


def with_relatedness(
    table: Any, *, pair: str, zygosity: str, identical: str = "MZ"
) -> pd.DataFrame:
    """Return the table with the units that twins share by their genes and environment.

    Parameters
    ----------
    table : DataFrame
        One row for each twin.
    pair : str
        Column of the pair's label.
    zygosity : str
        Column that tells identical from fraternal pairs.
    identical : str
        Its value for identical pairs.

    Returns
    -------
    DataFrame
        A copy with `shared` (the pair), and for `additive` and `dominance` the units
        ``additive_pair``, ``additive_own`` and the weights ``additive_pair_weight``,
        ``additive_own_weight``, whose squares add up to 1 in every row.

    Raises
    ------
    TableError, SpecError
        A pair has more than two twins or two zygosities, a label is missing, or a new column
        exists already.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"pair": [1, 1, 2, 2], "kind": ["MZ", "MZ", "DZ", "DZ"]})
    >>> found = with_relatedness(table, pair="pair", zygosity="kind")
    >>> found["additive_pair_weight"].round(3).tolist()
    [1.0, 1.0, 0.707, 0.707]
    """
    frame = require_table(table)
    names = [require_name(pair, "pair"), require_name(zygosity, "zygosity")]
    require_columns(frame, names, "twin")
    labels = plain_frame(frame, {pair: "grouping"})[pair]
    for name in names:
        if frame[name].isna().any():
            raise TableError(
                f"The column {quoted(name)} is missing in {int(frame[name].isna().sum())} rows. "
                "Every twin has a pair and a zygosity: fill it in, or leave these rows out."
            )
    text = labels.astype(str)
    sizes = text.value_counts(sort=False)
    large = sizes[sizes > 2]
    if len(large):
        raise TableError(
            f"{len(large)} of {len(sizes)} pairs of {quoted(pair)} have more than two twins: "
            f"{listed([f'{label} ({size})' for label, size in large.items()])}. Correct the "
            "labels, or leave these pairs out."
        )
    alike = _identical(frame, zygosity, identical)
    mixed = pd.Series(alike, index=text.index).groupby(text, sort=False).nunique()
    torn = mixed[mixed > 1].index.tolist()
    if torn:
        raise TableError(
            f"{len(torn)} pairs of {quoted(pair)} have twins of different {quoted(zygosity)}: "
            f"{listed(torn)}. A pair is identical or fraternal: correct the column."
        )
    number = text.groupby(text, sort=False).cumcount().astype(str)
    added: dict[str, Any] = {"shared": labels}
    for name, correlation in TWIN_PARTS.values():
        if correlation == 1:
            continue
        own = np.where(alike, 0.0, np.sqrt(1 - correlation))
        added |= {
            f"{name}_pair": "pair " + text,
            f"{name}_own": "twin " + text + "/" + number,
            f"{name}_pair_weight": np.where(alike, 1.0, np.sqrt(correlation)),
            f"{name}_own_weight": own,
        }
    present = [name for name in added if name in frame.columns]
    if present:
        raise SpecError(
            f"The table has a column {quoted(present[0])} already, which twin models add. Rename "
            "it."
        )
    return frame.assign(**added)


def _identical(frame: pd.DataFrame, zygosity: str, identical: str) -> np.ndarray:
    values: np.ndarray = (frame[zygosity].astype(str) == str(identical)).to_numpy(dtype=bool)
    return values
