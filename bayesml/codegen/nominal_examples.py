"""What nominal outcomes add to an example: a linear predictor for each category."""

from collections.abc import Sequence
from itertools import cycle, islice

from bayesml.specs.category_feeds import category_feeds
from bayesml.specs.resolved import ResolvedGrouping, ResolvedSpec

_INTERCEPTS = (0.2, -0.4)
_BETA = (0.5, -0.3, 0.1, -0.1)


def nominal_start(resolved: ResolvedSpec) -> list[str]:
    """Return the lines of the fixed part: a column of eta for each category but the baseline."""
    count = len(resolved.outcomes)
    intercepts = [str(value) for value in islice(cycle(_INTERCEPTS), count)]
    parts = [f"np.array([{', '.join(intercepts)}])"] if resolved.intercept else []
    if resolved.slopes:
        values = cycle(_BETA)
        rows = [
            f"[{', '.join(str(value) for value in islice(values, count))}]" for _ in resolved.slopes
        ]
        parts.append(f"x @ np.array([{', '.join(rows)}])")
    else:
        parts.append(f"np.zeros((obs.size, {count}))")
    return [f"eta = {' + '.join(parts)}"]


def nominal_effects(grouping: ResolvedGrouping, effects: str, categories: int) -> list[str]:
    """Return the lines that add a grouping's effects to eta.

    Parameters
    ----------
    grouping : ResolvedGrouping
    effects : str
        Expression of the effects of each row's units, with a column for each term.
    categories : int
        Number of categories but the baseline.
    """
    feeds = category_feeds(grouping)
    lines = []
    for feed in feeds:
        own = f"{effects}[:, {feed.start}:{feed.stop}]" if len(feeds) > 1 else effects
        if feed.constant:
            lines.append(f"eta += {own}")
            continue
        columns = f"[:, None, {feed.first}:{feed.last}]"
        shaped = f"{own}.reshape(-1, {categories}, {feed.last - feed.first})"
        lines.append(f"eta += (terms_{grouping.identifier}{columns} * {shaped}).sum(axis=-1)")
    return lines


def shared_terms(grouping: ResolvedGrouping) -> Sequence[str]:
    """Return the labels of the columns of Z that all categories share; none for intercepts."""
    feeds = category_feeds(grouping)
    if all(feed.constant for feed in feeds):
        return ()
    return [
        grouping.terms[place].removeprefix(f"{grouping.predictors[place]}:")
        for feed in feeds
        for place in range(feed.start, feed.start + feed.last - feed.first)
    ]


def nominal_defaults(resolved: ResolvedSpec) -> dict[str, str]:
    """Return the expressions of the default priors' numbers, by name."""
    count = len(resolved.outcomes)
    found = {
        "intercept_location": f"np.log(np.bincount(y, minlength={count + 1})[1:] / (y == 0).sum())",
        "intercept_scale": f"np.full({count}, 2.5)",
        "slopes_scale": f"np.tile(2.5 / x.std(axis=0), ({count}, 1))",
    }
    for grouping in resolved.groupings:
        entries = []
        for feed in category_feeds(grouping):
            scales = []
            for column in range(feed.first, feed.last):
                place = feed.start + column - feed.first
                intercept = grouping.terms[place] == f"{grouping.predictors[place]}:Intercept"
                spread = f"1.0 / terms_{grouping.identifier}[:, {column}].std()"
                scales.append("1.0" if intercept else spread)
            entries.append(f"np.tile([{', '.join(scales)}], {count})")
        whole = f"np.concatenate([{', '.join(entries)}])" if len(entries) > 1 else entries[0]
        found[f"sd_{grouping.identifier}_scale"] = whole
    return found
