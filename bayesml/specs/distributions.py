"""Prior distributions: their arguments, their PyMC text, and their SciPy counterpart."""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite, log
from typing import Any, Literal

import numpy as np
from scipy import stats

from bayesml.errors import PriorError, did_you_mean, quoted

Support = Literal["real", "positive", "share", "correlation", "bounded"]
ArgumentKind = Literal["location", "scale", "shape", "bound"]


@dataclass(frozen=True)
class Argument:
    """One argument of a distribution, with what values it may take."""

    name: str
    kind: ArgumentKind

    def accepts(self, value: float) -> bool:
        """Whether the value is finite and, for scales and shapes, positive."""
        return isfinite(value) and (self.kind in {"location", "bound"} or value > 0)


@dataclass(frozen=True)
class Distribution:
    """A distribution that may serve as a prior.

    Parameters
    ----------
    name : str
        PyMC's name.
    arguments : tuple of Argument
        In the order in which a prior text gives them.
    support : {"real", "positive", "share", "correlation", "bounded"}
        Where the distribution lives; a share lies between 0 and 1, a bounded
        parameter between two numbers of its own.
    text : str
        PyMC code: argument names in braces, NAME for the variable's name, DIMS for its dims.
    frozen : callable or None
        From the arguments to a SciPy distribution of the same density.
    bounded : bool
        Whether it may also be the prior of a parameter between two bounds.
    """

    name: str
    arguments: tuple[Argument, ...]
    support: Support
    text: str
    frozen: Callable[..., Any] | None = None
    bounded: bool = False

    def fits(self, support: Support) -> bool:
        """Whether it may be the prior of a parameter of this support."""
        return self.support == support or (support == "bounded" and self.bounded)

    @property
    def signature(self) -> str:
        """The distribution as a prior text shows it, such as `Normal(mu, sigma)`."""
        return f"{self.name}({', '.join(argument.name for argument in self.arguments)})"


def _mu_sigma() -> tuple[Argument, ...]:
    return Argument("mu", "location"), Argument("sigma", "scale")


_NU = Argument("nu", "shape")

DISTRIBUTIONS = {
    distribution.name: distribution
    for distribution in (
        Distribution(
            "Normal", _mu_sigma(), "real", "pm.Normal(NAME, {mu}, {sigma}DIMS)", stats.norm
        ),
        Distribution(
            "StudentT",
            (_NU, *_mu_sigma()),
            "real",
            "pm.StudentT(NAME, {nu}, mu={mu}, sigma={sigma}DIMS)",
            stats.t,
        ),
        Distribution(
            "Cauchy",
            (Argument("alpha", "location"), Argument("beta", "scale")),
            "real",
            "pm.Cauchy(NAME, {alpha}, {beta}DIMS)",
            stats.cauchy,
        ),
        Distribution(
            "Laplace",
            (Argument("mu", "location"), Argument("b", "scale")),
            "real",
            "pm.Laplace(NAME, {mu}, {b}DIMS)",
            stats.laplace,
        ),
        Distribution(
            "HalfNormal",
            (Argument("sigma", "scale"),),
            "positive",
            "pm.HalfNormal(NAME, {sigma}DIMS)",
            lambda sigma: stats.halfnorm(scale=sigma),
        ),
        Distribution(
            "HalfStudentT",
            (_NU, Argument("sigma", "scale")),
            "positive",
            "pm.HalfStudentT(NAME, {nu}, {sigma}DIMS)",
            # The absolute value of a Student-t: quantile p is the t quantile of (1 + p) / 2.
            lambda nu, sigma: _HalfStudentT(nu, sigma),
        ),
        Distribution(
            "HalfCauchy",
            (Argument("beta", "scale"),),
            "positive",
            "pm.HalfCauchy(NAME, {beta}DIMS)",
            lambda beta: stats.halfcauchy(scale=beta),
        ),
        Distribution(
            "Exponential",
            (Argument("lam", "scale"),),
            "positive",
            "pm.Exponential(NAME, {lam}DIMS)",
            lambda lam: stats.expon(scale=1 / np.asarray(lam)),
        ),
        Distribution(
            "Gamma",
            (Argument("alpha", "scale"), Argument("beta", "scale")),
            "positive",
            "pm.Gamma(NAME, {alpha}, {beta}DIMS)",
            lambda alpha, beta: stats.gamma(alpha, scale=1 / np.asarray(beta)),
        ),
        Distribution(
            "InverseGamma",
            (Argument("alpha", "scale"), Argument("beta", "scale")),
            "positive",
            "pm.InverseGamma(NAME, {alpha}, {beta}DIMS)",
            lambda alpha, beta: stats.invgamma(alpha, scale=beta),
        ),
        Distribution(
            "LogNormal",
            _mu_sigma(),
            "positive",
            "pm.LogNormal(NAME, {mu}, {sigma}DIMS)",
            lambda mu, sigma: stats.lognorm(sigma, scale=np.exp(mu)),
        ),
        Distribution(
            "Uniform",
            (Argument("lower", "bound"), Argument("upper", "bound")),
            "positive",
            "pm.Uniform(NAME, {lower}, {upper}DIMS)",
            lambda lower, upper: stats.uniform(lower, np.asarray(upper) - lower),
            bounded=True,
        ),
        Distribution(
            "TruncatedNormal",
            (*_mu_sigma(), Argument("lower", "bound"), Argument("upper", "bound")),
            "bounded",
            "pm.TruncatedNormal(NAME, {mu}, {sigma}, lower={lower}, upper={upper}DIMS)",
            lambda mu, sigma, lower, upper: stats.truncnorm(
                (lower - mu) / sigma, (upper - mu) / sigma, loc=mu, scale=sigma
            ),
        ),
        # Gamma(.001, .001) on the precision, as in MLwiN's manuals: a prior on the variance.
        Distribution(
            "MLwiN",
            (Argument("alpha", "scale"), Argument("beta", "scale")),
            "positive",
            "pt.sqrt(pm.InverseGamma(NAME, {alpha}, {beta}DIMS))",
            lambda alpha, beta: _RootInverseGamma(alpha, beta),
        ),
        Distribution(
            "Beta",
            (Argument("alpha", "scale"), Argument("beta", "scale")),
            "share",
            "pm.Beta(NAME, {alpha}, {beta}DIMS)",
            stats.beta,
            bounded=True,
        ),
        Distribution("LKJ", (Argument("eta", "shape"),), "correlation", ""),
    )
}


class _HalfStudentT:
    """The half-Student-t of SciPy's t; SciPy has no name for it."""

    def __init__(self, nu: Any, sigma: Any):
        self.full = stats.t(nu, scale=sigma)

    def ppf(self, q: Any) -> Any:
        return self.full.ppf((1 + np.asarray(q)) / 2)

    def rvs(self, size: Any = None, random_state: Any = None) -> Any:
        return np.abs(self.full.rvs(size=size, random_state=random_state))

    def logpdf(self, x: Any) -> Any:
        return np.where(np.asarray(x) < 0, -inf, log(2) + self.full.logpdf(x))


class _RootInverseGamma:
    """The square root of an inverse-gamma variable: a prior on the variance, read as an SD."""

    def __init__(self, alpha: Any, beta: Any):
        self.variance = stats.invgamma(alpha, scale=beta)

    def ppf(self, q: Any) -> Any:
        return np.sqrt(self.variance.ppf(q))

    def rvs(self, size: Any = None, random_state: Any = None) -> Any:
        return np.sqrt(self.variance.rvs(size=size, random_state=random_state))

    def logpdf(self, x: Any) -> Any:
        x = np.asarray(x, dtype=float)
        return self.variance.logpdf(x**2) + np.log(2 * x)


@dataclass(frozen=True)
class Prior:
    """A distribution with numbers.

    Examples
    --------
    >>> parse_prior("HalfNormal(0.5)", "positive").text
    'HalfNormal(0.5)'
    """

    distribution: str
    values: tuple[float, ...]

    @property
    def text(self) -> str:
        """The prior as a user writes it."""
        if self.distribution == "MLwiN":
            return "mlwin"
        return f"{self.distribution}({', '.join(f'{value:.6g}' for value in self.values)})"

    @property
    def record(self) -> Distribution:
        """The distribution's record."""
        return DISTRIBUTIONS[self.distribution]

    @property
    def frozen(self) -> Any:
        """A SciPy distribution with `rvs`, `ppf` and `logpdf`."""
        record = self.record
        if record.frozen is None:
            raise PriorError(f"{self.text} has no univariate density.")
        return record.frozen(*self.values)


def names_for(support: Support) -> list[str]:
    """Return the prior texts that a parameter of this support may have."""
    shown = [
        item.signature
        for item in DISTRIBUTIONS.values()
        if item.fits(support) and item.name != "MLwiN"
    ]
    return [*shown, "pc(U, alpha)", "mlwin"] if support == "positive" else shown


def parse_prior(
    text: str,
    support: Support,
    key: str = "prior",
    bounds: tuple[float, float] = (-inf, inf),
) -> Prior:
    """Return the prior that a text such as `"HalfStudentT(4, 0.5)"` names.

    Parameters
    ----------
    text : str
        A distribution in PyMC's name with numbers in the documented order, or by name;
        ``"pc(U, alpha)"`` is the exponential prior with P(sd > U) = alpha (Simpson et al. 2017,
        doi:10.1214/16-STS576); ``"mlwin"`` is Gamma^-1(0.001, 0.001) on the variance.
    support : {"real", "positive", "share", "correlation", "bounded"}
        What the parameter needs.
    key : str
        Prior key, for messages.
    bounds : (float, float)
        Of a bounded parameter: the range in which the prior must lie.

    Raises
    ------
    PriorError
        The text is not a call with numbers, the distribution is unknown or has another support,
        or an argument is missing, unknown, or out of range.

    Examples
    --------
    >>> parse_prior("pc(1, 0.05)", "positive").text
    'Exponential(2.99573)'
    """
    allowed = f"Allowed for {quoted(key)}: {', '.join(names_for(support))}."
    if not isinstance(text, str):
        raise PriorError(f"The prior of {quoted(key)} is {quoted(text)}, not a text. {allowed}")
    if text.strip() == "mlwin" and support == "positive":
        return Prior("MLwiN", (0.001, 0.001))
    name, positional, named = _read_call(text, key, allowed)
    if name == "pc" and support == "positive":
        upper, alpha = _arguments(
            (Argument("U", "scale"), Argument("alpha", "scale")), positional, named, text, key
        )
        if alpha >= 1:
            raise PriorError(
                f"The prior {quoted(text)} of {quoted(key)} has alpha = {alpha:g}; it is the "
                "probability P(sd > U). Give a number between 0 and 1, such as pc(1, 0.05)."
            )
        return Prior("Exponential", (-log(alpha) / upper,))
    distribution = DISTRIBUTIONS.get(name)
    if distribution is None or not distribution.fits(support) or name == "MLwiN":
        hint = did_you_mean(name, [n.split("(")[0] for n in names_for(support)])
        what = "is unknown" if distribution is None else f"does not fit a {support} parameter"
        raise PriorError(
            f"The distribution {quoted(name)} in the prior of {quoted(key)} {what}. {hint} "
            f"{allowed}"
        )
    values = _arguments(distribution.arguments, positional, named, text, key)
    if support == "bounded":
        _check_range(text, key, Prior(name, values), bounds)
    elif name == "Uniform" and not 0 <= values[0] < values[1]:
        raise PriorError(
            f"The prior {quoted(text)} of {quoted(key)} needs 0 <= lower < upper. Give such bounds."
        )
    return Prior(name, values)


def _check_range(text: str, key: str, prior: Prior, bounds: tuple[float, float]) -> None:
    lower, upper = (0.0, 1.0) if prior.distribution == "Beta" else prior.values[-2:]
    if not bounds[0] <= lower < upper <= bounds[1]:
        raise PriorError(
            f"The prior {quoted(text)} of {quoted(key)} lies between {lower:g} and {upper:g}, and "
            f"the parameter lies between {bounds[0]:.6g} and {bounds[1]:g}. Give such bounds."
        )


def _read_call(text: str, key: str, allowed: str) -> tuple[str, list[float], dict[str, float]]:
    """Return the function name and the numbers of a call, reading only literals."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("not a call")
        positional = [_number(node) for node in call.args]
        named = {str(item.arg): _number(item.value) for item in call.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise PriorError(
            f"The prior {quoted(text)} of {quoted(key)} cannot be read. Write a distribution with "
            f"numbers, such as 'HalfNormal(0.5)'. {allowed}"
        ) from None
    return call.func.id, positional, named


def _number(node: ast.expr) -> float:
    value = ast.literal_eval(node)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    return float(value)


def _arguments(
    expected: tuple[Argument, ...],
    positional: list[float],
    named: dict[str, float],
    text: str,
    key: str,
) -> tuple[float, ...]:
    names = [argument.name for argument in expected]
    values = dict(zip(names, positional, strict=False))
    wrong = [name for name in named if name not in names or name in values]
    values |= named
    if len(positional) > len(names) or wrong or len(values) != len(names):
        raise PriorError(
            f"The prior {quoted(text)} of {quoted(key)} does not have the arguments "
            f"({', '.join(names)}). Give each of them once, in this order or by name."
        )
    for argument in expected:
        if not argument.accepts(values[argument.name]):
            raise PriorError(
                f"The prior {quoted(text)} of {quoted(key)} has {argument.name} = "
                f"{values[argument.name]:g}. It must be "
                f"{'finite' if argument.kind in {'location', 'bound'} else 'positive and finite'}."
            )
    return tuple(values[name] for name in names)
