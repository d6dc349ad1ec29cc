"""Hypotheses against NumPy on the stored draws, and expressions that cannot be read."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import FitError, FormulaError
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]


@pytest.fixture(scope="module")
def fit(fake_fit: MakeFit) -> Fit:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "y": rng.normal(size=120),
            "x": rng.normal(size=120),
            "x2": rng.normal(size=120),
            "age": rng.uniform(1, 3, size=120),
            "sex": rng.choice(["F", "M"], 120),
            "a - b": rng.normal(size=120),
            "my school": np.repeat([f"s{i}" for i in range(12)], 10),
        }
    )
    formula = "y ~ x + x2 + sex + I(age ** 2) + `a - b` + (x | `my school`)"
    return fake_fit(bml.model(table, formula), draws=200)


def draws_of(fit: Fit) -> dict[str, np.ndarray]:
    """Draws by label, straight from the posterior."""
    posterior = fit.posterior
    found = {
        f"beta[{label}]": posterior["beta"].sel(coef=label).values
        for label in posterior["coef"].values
    }
    found["sigma"] = posterior["sigma"].values
    found["sd"] = posterior["sd_my_school"].values[..., 0]
    found["corr"] = posterior["corr_my_school"].values[..., 1, 0]
    found["u"] = posterior["u_my_school"].values[:, :, 3, 1]
    return found


@pytest.mark.parametrize(
    ("text", "left_minus_right"),
    [
        ("beta[x] > 0", lambda d: d["beta[x]"]),
        ("beta[x]-beta[x2]>0", lambda d: d["beta[x]"] - d["beta[x2]"]),
        ("beta[x2] >= 2 * beta[x]", lambda d: d["beta[x2]"] - 2 * d["beta[x]"]),
        ("beta[sex[M]] < .5", lambda d: d["beta[sex[M]]"] - 0.5),
        ("beta[I(age ** 2)] <= 5e-1", lambda d: d["beta[I(age ** 2)]"] - 0.5),
        ("beta[a - b] - beta[x] > 0", lambda d: d["beta[a - b]"] - d["beta[x]"]),
        ("2^3^2 * beta[x] > 256", lambda d: 512 * d["beta[x]"] - 256),
        ("-beta[x] ** 2 < 0", lambda d: -(d["beta[x]"] ** 2)),
        ("2 ** -1 > beta[x]", lambda d: 0.5 - d["beta[x]"]),
        ("beta[x] - beta[x2] - 1 > 0", lambda d: d["beta[x]"] - d["beta[x2]"] - 1),
        ("8 / 2 / 2 > beta[x]", lambda d: 2 - d["beta[x]"]),
        ("(beta[x] + 1) * 2 > 3", lambda d: (d["beta[x]"] + 1) * 2 - 3),
        ("exp(beta[x]) + abs(-sigma) > sqrt( 2 )+log(3)",
         lambda d: np.exp(d["beta[x]"]) + d["sigma"] - np.sqrt(2) - np.log(3)),
        ("sd_my school[Intercept]**2 / (sd_my school[Intercept]**2 + sigma**2) > 0.5",
         lambda d: d["sd"] ** 2 / (d["sd"] ** 2 + d["sigma"] ** 2) - 0.5),
        ("corr_my school[Intercept, x] < 0", lambda d: d["corr"]),
        ("u_my school[s11, x] > 0", lambda d: d["u"]),
        ("1 > 0", lambda d: np.ones_like(d["sigma"])),
    ],
)  # fmt: skip
def test_expressions_are_computed_draw_by_draw(
    text: str, left_minus_right: Callable[[Any], np.ndarray], fit: Fit
) -> None:
    wanted = left_minus_right(draws_of(fit))
    found = bml.hypothesis(fit, text, draws=True)
    assert found.dims == ("chain", "draw", "hypothesis")
    np.testing.assert_allclose(found.sel(hypothesis=text), wanted, rtol=1e-12, atol=1e-15)
    row = bml.hypothesis(fit, text).iloc[0]
    assert row["mean"] == pytest.approx(wanted.mean())
    holds = wanted > 0 if ">" in text else wanted < 0
    assert row["probability"] == holds.mean()


def test_units_stand_in_the_order_of_the_posterior(fit: Fit) -> None:
    """`s11` is the fourth unit: labels are sorted as text."""
    assert fit.posterior["my_school"].values.tolist()[3] == "s11"


def test_a_region_of_practical_equivalence(fit: Fit) -> None:
    values = draws_of(fit)["beta[x]"] - 0.5
    found = bml.hypothesis(fit, ["beta[x] > 0.5", "beta[x] = 0.5"], rope=0.05, prob=0.5)
    below, above = (values < -0.05).mean(), (values > 0.05).mean()
    assert found["below"].tolist() == [below, below]
    assert found["above"].tolist() == [above, above]
    assert found["inside"].tolist() == pytest.approx([1 - below - above] * 2)
    assert found["probability"].tolist() == pytest.approx([(values > 0).mean(), 1 - below - above])
    assert found["lower"].iloc[0] == pytest.approx(np.quantile(values, 0.25))
    assert found.attrs == {
        "prob": 0.5,
        "interval": "50 % equal-tailed interval",
        "rope": [-0.05, 0.05],
    }
    uneven = bml.hypothesis(fit, "beta[x] > 0.5", rope=(-0.1, 0.02)).iloc[0]
    assert uneven["above"] == (values > 0.02).mean()
    assert uneven["below"] == (values < -0.1).mean()


def test_the_error_of_a_probability(fit: Fit) -> None:
    """Of nearly independent draws it is that of a proportion."""
    found = bml.hypothesis(fit, ["beta[x] > 0.5", "sigma > 0"])
    share = found["probability"].iloc[0]
    assert found["mcse_probability"].iloc[0] == pytest.approx(
        np.sqrt(share * (1 - share) / 400), rel=0.25
    )
    assert np.isnan(found["mcse_probability"].iloc[1])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("beta[x]", r"A comparison is missing here"),
        ("beta[y] > 0", r"'beta\[y\]' is not a parameter of this fit\. Did you mean 'beta\[x\]'\?"),
        ("beta > 0", r"'beta' is not a parameter"),
        ("betas[x] > 0", r"Did you mean 'beta\[x\]'"),
        ("beta[x] > 0 > 1", r"The hypothesis should end here: it has one comparison"),
        ("beta[x] > ", r"Expected a parameter or a number here"),
        ("(beta[x] > 0", r"Expected '\)' here"),
        ("sin(beta[x]) > 0", r"'sin' is not a parameter of this fit.*functions: abs, exp, log"),
        ("__import__('os') > 0", r"'__import__' is not a parameter"),
        ("sigma_2 > 0", r"'sigma_2' is not a parameter of this fit\. Did you mean 'sigma'\?"),
        ("(" * 60 + "1" + ")" * 60 + " > 0", r"More than 50 parentheses or signs"),
        ("-" * 60 + "1 > 0", r"More than 50 parentheses or signs"),
        ("", r"Expected a parameter or a number here"),
    ],
)
def test_what_cannot_be_read_is_marked(text: str, words: str, fit: Fit) -> None:
    with pytest.raises(FormulaError, match=words) as caught:
        bml.hypothesis(fit, text)
    assert str(caught.value).splitlines()[-1].strip() == "^"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f: bml.hypothesis(f, "beta[x] = 0"),
         r"'beta\[x\] = 0' says that two sides are equal.*rope=0\.1"),
        (lambda f: bml.hypothesis(f, "beta[x] == 0"), r"says that two sides are equal"),
        (lambda f: bml.hypothesis(f, []), r"expressions is empty"),
        (lambda f: bml.hypothesis(f, [3]), r"A hypothesis is text such as .*, not int"),
        (lambda f: bml.hypothesis(f, "log(-sigma) > 0"),
         r"not a finite number in 400 of 400 draws\. Rewrite it"),
        (lambda f: bml.hypothesis(f, "1 / (sigma - sigma) > 0"), r"not a finite number in 400"),
        (lambda f: bml.hypothesis(f, "sigma > 0", rope=-1), r"rope is '-1'\. Give a positive"),
        (lambda f: bml.hypothesis(f, "sigma > 0", rope=(1, 0)), r"rope is '\(1, 0\)'.*in order"),
        (lambda f: bml.hypothesis(f, "sigma > 0", rope="wide"), r"rope is 'wide'"),
        (lambda f: bml.hypothesis(f, "sigma > 0", prob=0), r"prob is 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said(call: Callable[[Fit], Any], words: str, fit: Fit) -> None:
    with pytest.raises(FitError, match=words):
        call(fit)
