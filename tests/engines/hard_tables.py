"""Small tables on which doubles lose digits, each with a model; the truth is known."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from tests.engines.exact_gaussian import HardTable, Part

UNITS = np.repeat(np.arange(8), 6)
ROWS = len(UNITS)


def simulated(
    seed: int,
    *,
    units: np.ndarray = UNITS,
    mean: float = 0.0,
    slope: float = 0.5,
    x: Callable[[np.random.Generator], np.ndarray] | None = None,
    sds: tuple[float, float] = (0.8, 0.5),
    corr: float = 0.3,
    sigma: float = 1.0,
) -> pd.DataFrame:
    """Return `school`, `x` and `y1` of y1 = mean + slope x + u0 + u1 x + e."""
    random = np.random.default_rng(seed)
    values = random.normal(0, 1, len(units)) if x is None else x(random)
    covariance = np.outer(sds, sds) * np.array([[1, corr], [corr, 1]])
    effects = random.multivariate_normal([0, 0], covariance, units.max() + 1, method="eigh")[units]
    noise = random.normal(0, sigma, len(units))
    outcome = mean + (slope + effects[:, 1]) * values + effects[:, 0] + noise
    return pd.DataFrame({"school": units, "x": values, "y1": outcome})


def _slopes(table: pd.DataFrame, scale: float = 1.0, **options: object) -> HardTable:
    """A model of correlated slopes, with priors for an x of size `scale`."""
    return HardTable(
        table,
        [Part("school", ("1", "x"), (2.0, 2.0 / scale))],
        slopes={"x": 2.0 / scale},
        **{"sigma": 2.0, "intercept": (0.0, 10.0), **options},
    )


def _scaled(scale: float) -> HardTable:
    table = simulated(
        2,
        x=lambda random: scale * random.normal(0, 1, ROWS),
        slope=0.5 / scale,
        sds=(0.8, 0.5 / scale),
    )
    return _slopes(table, scale)


def _years(first: int) -> pd.DataFrame:
    """Occasions in calendar years; the SD of the intercept is that at the year 0."""
    return simulated(
        3,
        x=lambda random: first + random.integers(0, 21, ROWS).astype(float),
        mean=-0.1 * first,
        slope=0.1,
        sds=(0.2 * first, 0.2),
        corr=-0.99995,
    )


# One unit has nine of ten rows; half of the units have one.
_UNEVEN = np.concatenate([np.zeros(54, int), np.arange(1, 7)])
_SINGLE = np.concatenate(
    [np.arange(10), np.repeat(np.arange(10), 4)[np.repeat(np.arange(10), 4) < 5]]
)

HARD: dict[str, HardTable] = {
    "ordinary": _slopes(simulated(1)),
    "outcome of mean 1e6": _slopes(simulated(1, mean=1e6), intercept=(1e6, 10.0)),
    "outcome of mean 1e6, wide prior": _slopes(simulated(1, mean=1e6), intercept=(0.0, 1e6)),
    "outcome of mean 1e9": _slopes(simulated(1, mean=1e9), intercept=(1e9, 10.0)),
    "x of size 1e-6": _scaled(1e-6),
    "x of size 1e6": _scaled(1e6),
    "x of mean 1e6, fixed only": HardTable(
        simulated(4, x=lambda random: 1e6 + random.normal(0, 1, ROWS), sds=(0.8, 0.0)),
        [Part("school", ("1",), (2.0,))],
        sigma=2.0,
        intercept=(5e5, 10.0),
        slopes={"x": 2.0},
    ),
    "x of mean 1e6, varying": HardTable(
        simulated(
            4,
            x=lambda random: 1e6 + random.normal(0, 1, ROWS),
            sds=(5e5, 0.5),
            corr=-1 + 1e-12,
        ),
        [Part("school", ("1", "x"), (1e6, 2.0))],
        sigma=2.0,
        intercept=(5e5, 1e6),
        slopes={"x": 2.0},
    ),
    "one unit with 90 % of the rows": _slopes(simulated(5, units=_UNEVEN)),
    "half the units singletons": _slopes(simulated(6, units=_SINGLE)),
    "an SD that is 0": _slopes(simulated(7, sds=(0.8, 0.0))),
    "both SDs 0": _slopes(simulated(8, sds=(0.0, 0.0))),
    "a correlation of -1": _slopes(simulated(9, sds=(0.8, 0.5), corr=-1.0)),
    "group SD 1e4 times the residual's": HardTable(
        simulated(10, sds=(1e4, 1e4)),
        [Part("school", ("1", "x"), (2e4, 2e4))],
        sigma=2.0,
        intercept=(0.0, 1e5),
        slopes={"x": 1e5},
    ),
    "group SD 1e-4 of the residual's": _slopes(simulated(11, sds=(1e-4, 1e-4))),
    "no intercept": _slopes(simulated(12), intercept=None),
    "no intercept, outcome of mean 1e3": _slopes(simulated(12, mean=1e3), intercept=None),
    "no intercept, outcome of mean 1e6": HardTable(
        simulated(12, mean=1e6),
        [Part("school", ("1", "x"), (1e6, 2.0))],
        sigma=2.0,
        intercept=None,
        slopes={"x": 2.0},
    ),
    "no intercept, x of mean 1e6": HardTable(
        simulated(
            13,
            x=lambda random: 1e6 + random.normal(0, 1, ROWS),
            sds=(0.8, 0.0),
            mean=0.0,
        ),
        [Part("school", ("1",), (2.0,))],
        sigma=2.0,
        intercept=None,
        slopes={"x": 2.0},
    ),
    "years from 2000 to 2020": HardTable(
        _years(2000),
        [Part("school", ("1", "x"), (1000.0, 1.0))],
        sigma=2.0,
        intercept=(0.0, 10.0),
        slopes={"x": 1.0},
    ),
    "two crossed groupings of one scale each": HardTable(
        simulated(14).assign(
            area=np.arange(ROWS) % 5,
            y1=lambda t: t["y1"] + 1e3 * np.array([0.3, -1.2, 0.8, 1.5, -0.6])[t["area"]],
        ),
        [Part("school", ("1", "x"), (2.0, 2.0)), Part("area", ("1",), (2e3,))],
        sigma=2.0,
        slopes={"x": 2.0},
    ),
}
