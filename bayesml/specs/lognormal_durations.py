"""Log-normal durations that may be censored: log t is normal with mean eta."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import special

from bayesml.specs.censoring import Durations
from bayesml.specs.link_functions import LOG_NORMAL_CDF
from bayesml.specs.stable_logarithms import bounded_exp

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)

Values = Mapping[str, Any]


def _z(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    return (np.log(t) - eta) / values["sigma"]


def lognormal_log_density(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    """Return the normal log density of log t, less log t."""
    log_scale = np.log(values["sigma"]) + _HALF_LOG_2PI + np.log(t)
    return -0.5 * _z(t, eta, values) ** 2 - log_scale


def _log_survival(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    return special.log_ndtr(-_z(t, eta, values))


def _log_cdf(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    return special.log_ndtr(_z(t, eta, values))


def _time(log_survival: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    return bounded_exp(eta - values["sigma"] * special.ndtri_exp(log_survival))


_CODE = {
    "log_density": f'''{LOG_NORMAL_CDF}

def log_density(t, eta, sigma):
    """Log density of a log-normal duration with median exp(eta)."""
    z = (pt.log(t) - eta) / sigma
    return -0.5 * z**2 - pt.log(sigma * t) - 0.5 * np.log(2 * np.pi)
''',
    "log_survival": '''
def log_survival(t, eta, sigma):
    """Log probability of lasting longer than t."""
    return log_normal_cdf((eta - pt.log(t)) / sigma)
''',
    "log_cdf": '''
def log_cdf(t, eta, sigma):
    """Log probability of having ended by t."""
    return log_normal_cdf((pt.log(t) - eta) / sigma)
''',
}

LOGNORMAL_DURATIONS = Durations(
    log_survival=_log_survival,
    log_cdf=_log_cdf,
    time_at=_time,
    code=_CODE,
    log_hazard=None,
    scale="median",
)
