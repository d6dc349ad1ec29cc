"""Equations name every part of a model with its numbers, and can be typeset."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.mathtext import MathTextParser

import bayesml as bml
from bayesml.codegen.effect_notation import latex_text

ODD = ["a_b", "x y", "50%", "$(1)$", "{}", "R&D", "\\alpha", "#1^2~", "größe", 'q"uote`']

pytestmark = pytest.mark.filterwarnings("ignore::bayesml.errors.BayesmlWarning")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    rows = 120
    number = np.arange(rows)
    first = rng.permutation(number % 7)
    return pd.DataFrame(
        {
            "school": number % 6,
            "area": rng.permutation(number % 5),
            "first": first,
            "second": (first + 1) % 7,
            "x": rng.normal(2.0, 1.5, rows),
            "z": rng.normal(0.0, 0.5, rows),
            "sex": rng.choice(["F", "M"], rows),
            "score": rng.normal(10.0, 3.0, rows),
            "passed": rng.integers(0, 2, rows),
            "items": rng.integers(2, 9, rows),
            "correct": rng.integers(0, 3, rows),
            "days": rng.uniform(0.5, 3.0, rows),
            "events": rng.poisson(2.0, rows),
            "grade": rng.integers(1, 5, rows),
        }
    )


def lines_of(model: bml.Model) -> list[str]:
    """Return the lines of the equation, each of which typesets."""
    text = model.equation
    assert text.startswith("\\begin{aligned}\n")
    assert text.endswith("\n\\end{aligned}")
    lines = [line.removesuffix(r" \\") for line in text.splitlines()[1:-1]]
    parser = MathTextParser("path")
    for line in lines:
        assert line.count("&") == 1
        for side in filter(None, (side.strip() for side in line.split("&"))):
            parser.parse(f"${side}$")
    return lines


def test_every_part_of_a_two_level_model(table: pd.DataFrame) -> None:
    priors = {
        "Intercept": "Normal(1, 2)", "beta": "Normal(0, 0.5)", "sd_school": "HalfNormal(0.25)",
        "corr_school": "LKJ(3)", "sigma": "Exponential(2)",
    }  # fmt: skip
    model = bml.two_level(table, "score ~ x", group="school", slopes=["x"], priors=priors)
    assert lines_of(model) == [
        r"\text{score}_{i} &\sim \mathrm{Normal}(\mu_{i},\ \sigma^{2})",
        r"\mu_{i} &= \beta_{0} + \beta_{1}\,\text{x}_{i} + u^{\text{school}}_{0,j[i]}"
        r" + u^{\text{school}}_{1,j[i]}\,\text{x}_{i}",
        r"(u^{\text{school}}_{0,j},\ u^{\text{school}}_{1,j})^{\top} &\sim "
        r"\mathrm{Normal}(0,\ D_{\text{school}}\,R_{\text{school}}\,D_{\text{school}})",
        r"D_{\text{school}} &= \mathrm{diag}(\sigma_{\text{school},0},\ \sigma_{\text{school},1})",
        r"\beta_{0} + \beta_{1}\,\overline{\text{x}} &\sim \mathrm{Normal}(1,\ 2^{2})",
        r"\beta_{1} &\sim \mathrm{Normal}(0,\ 0.5^{2})",
        r"\sigma_{\text{school},0},\ \sigma_{\text{school},1} &\sim \mathrm{HalfNormal}(0.25)",
        r"R_{\text{school}} &\sim \mathrm{LKJ}(3)",
        r"\sigma &\sim \mathrm{Exponential}(2)",
    ]


def test_uncorrelated_terms_have_no_correlation_matrix(table: pd.DataFrame) -> None:
    lines = lines_of(bml.model(table, "score ~ x + (x || school)"))
    assert (
        r"u^{\text{school}}_{1,j} &\sim \mathrm{Normal}(0,\ \sigma_{\text{school},1}^{2})" in lines
    )
    assert not [line for line in lines if "LKJ" in line or "diag" in line]


def test_blocks_are_independent(table: pd.DataFrame) -> None:
    lines = lines_of(bml.model(table, "score ~ x + (x | school) + (0 + z + days | school)"))
    matrices = [line for line in lines if "LKJ" in line]
    assert [line.split(" &")[0] for line in matrices] == [
        r"R_{\text{school},1}", r"R_{\text{school},2}",
    ]  # fmt: skip
    assert sum("mathrm{diag}" in line for line in lines) == 2


def test_a_multiple_membership_is_a_weighted_sum(table: pd.DataFrame) -> None:
    model = bml.multiple_membership(
        table, "events ~ 1", members=["first", "second"], name="firm", family="poisson",
        exposure="days",
    )  # fmt: skip
    lines = lines_of(model)
    assert lines[:2] == [
        r"\text{events}_{i} &\sim \mathrm{Poisson}(\lambda_{i})",
        r"\log(\lambda_{i}) &= \beta_{0} + \sum_{j \in \text{firm}[i]} "
        r"w^{\text{firm}}_{i,j}\,u^{\text{firm}}_{0,j} + \log(\text{days}_{i})",
    ]


def test_groupings_have_indices_of_their_own(table: pd.DataFrame) -> None:
    model = bml.cross_classified(
        table, "correct ~ 1", groups=["school", "area"], family="binomial", trials="items",
        link="cloglog",
    )  # fmt: skip
    lines = lines_of(model)
    assert lines[0] == r"\text{correct}_{i} &\sim \mathrm{Binomial}(\text{items}_{i},\ p_{i})"
    assert lines[1].startswith(r"\log(-\log(1 - p_{i})) &= ")
    assert r"u^{\text{school}}_{0,j[i]} + u^{\text{area}}_{0,k[i]}" in lines[1]


@pytest.mark.parametrize(
    ("options", "first", "left"),
    [
        ({"link": "logit"}, r"\mathrm{Bernoulli}(p_{i})", r"\operatorname{logit}(p_{i})"),
        ({"link": "probit"}, r"\mathrm{Bernoulli}(p_{i})", r"\Phi^{-1}(p_{i})"),
        ({"trials": 4}, r"\mathrm{Binomial}(4,\ p_{i})", r"\operatorname{logit}(p_{i})"),
    ],
)
def test_binary_outcomes(
    options: dict[str, str], first: str, left: str, table: pd.DataFrame
) -> None:
    lines = lines_of(
        bml.two_level(table, "passed ~ x", group="school", family="binomial", **options)
    )
    assert lines[0].endswith(first)
    assert lines[1].startswith(f"{left} &= ")


def test_ordered_outcomes_have_cutpoints(table: pd.DataFrame) -> None:
    lines = lines_of(bml.two_level(table, "grade ~ x", group="school", family="ordinal"))
    assert lines[0] == (
        r"\operatorname{logit}(\Pr(\text{grade}_{i} \leq c)) &= \tau_{c} - \eta_{i},"
        r"\quad c = 1, 2, 3"
    )
    assert lines[1].startswith(r"\eta_{i} &= \beta_{1}\,\text{x}_{i} + u")
    assert lines[-1] == (
        r"\tau_{c} - \beta_{1}\,\overline{\text{x}} &\sim \mathrm{StudentT}(3,\ 0,\ 2.5),"
        r"\quad \tau_{1} < \tau_{2} < \tau_{3}"
    )


def test_a_long_predictor_continues_on_the_next_line(table: pd.DataFrame) -> None:
    lines = lines_of(bml.model(table, "score ~ x * z + sex + log(days) + (1 | school)"))
    assert lines[2].startswith(r"&\quad + ")
    assert "".join(lines[1:3]).count(r"\beta_") == 6
    assert r"\text{log(days)}_{i}" in lines[2] + lines[1]
    (mean,) = [line for line in lines if r"\sum_{p=1}^{5}" in line]
    assert mean.startswith(r"\beta_{0} + \sum_{p=1}^{5} \beta_{p}\,\overline{x}_{p} &\sim")


def test_manuals_priors_are_on_the_variance(table: pd.DataFrame) -> None:
    lines = lines_of(bml.two_level(table, "score ~ x", group="school", priors="mlwin"))
    assert lines[-1] == r"\sigma^{2} &\sim \mathrm{InverseGamma}(0.001,\ 0.001)"


def test_tiny_numbers_are_powers_of_ten(table: pd.DataFrame) -> None:
    priors = {"beta[x]": "Normal(0, 0.000025)"}
    lines = lines_of(bml.two_level(table, "score ~ x", group="school", priors=priors))
    assert r"\beta_{1} &\sim \mathrm{Normal}(0,\ (2.5 \times 10^{-5})^{2})" in lines


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_escaped(name: str, table: pd.DataFrame) -> None:
    odd = table.rename(columns={"school": name})
    lines = lines_of(bml.two_level(odd, "score ~ x", group=name, slopes=["x"]))
    assert latex_text(name) in lines[1]
    # Nothing special is left inside \text{}, and no brace is open.
    for inside in re.findall(r"\\text\{([^}]*)\}", latex_text(name)):
        assert not set(inside) & set("\\{}$&#^_~%")


def test_the_text_of_a_label() -> None:
    assert latex_text("a_b 5%") == r"\text{a}\_\text{b 5}\%"
    assert latex_text("R&D\n") == r"\text{R and D }"


def test_it_is_a_pure_function_of_the_resolved_spec(table: pd.DataFrame) -> None:
    first, again = (bml.two_level(table, "score ~ x", group="school") for _ in range(2))
    assert first.equation == again.equation
