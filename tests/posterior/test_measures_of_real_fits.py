"""Shares, ratios and R2 of real fits: lme4's estimates lie inside the intervals."""

import numpy as np
import pandas as pd
import pytest

import bayesml as bml

pytestmark = pytest.mark.sampling


def row(table: pd.DataFrame, **labels: str) -> pd.Series:
    """Return the only row with these labels."""
    for name, label in labels.items():
        table = table[table[name] == label]
    assert len(table) == 1
    return table.iloc[0]


def holds(found: pd.Series, estimate: float) -> bool:
    return bool(found["lower"] < estimate < found["upper"])


def test_exam_results(exam_fit: bml.Fit) -> None:
    # REML estimates of lme4 1.1.
    sigma = np.array([[0.09211841, 0.0183418], [0.0183418, 0.01496714]])
    residual = 0.55364139
    x = bml.load_dataset("exam")["standLRT"].to_numpy()
    z = np.array([1.0, 1.0])
    between = z @ sigma @ z
    shares = bml.vpc(exam_fit, at={"standLRT": 1})
    assert holds(row(shares, grouping="school"), between / (between + residual))
    terms = np.column_stack([np.ones_like(x), x])
    mean = np.einsum("ni,ij,nj->n", terms, sigma, terms).mean()
    fixed = 0.55653471**2 * x.var(ddof=1)
    found = bml.r2(exam_fit)
    assert holds(row(found, part="marginal"), fixed / (fixed + mean + residual))
    assert holds(row(found, part="conditional"), 1 - residual / (fixed + mean + residual))
    # The variance that known schools and scores explain is close to the correlation of y and fit.
    y = bml.load_dataset("exam")["normexam"].to_numpy()
    rows = exam_fit.data["constant_data"].to_dataset()
    posterior = exam_fit.posterior.mean(("chain", "draw"))
    u = posterior["u_school"].values[rows["unit_school"].values]
    fitted = posterior["beta"].values @ terms.T + (u * terms).sum(axis=1)
    bayes = row(bml.r2(exam_fit, method="bayes"), part="conditional")
    assert bayes["mean"] == pytest.approx(np.corrcoef(y, fitted)[0, 1] ** 2, abs=0.02)
    parts = bml.r2(exam_fit, method="rights_sterba")
    assert parts[parts["of"] == "total"]["mean"].sum() == pytest.approx(1)
    levels = bml.r2(exam_fit, method="gelman_pardoe").set_index(["grouping", "term"])
    # Most schools have many rows: their intercepts are pooled little, their slopes more.
    assert 0 < levels.loc[("school", "Intercept"), "pooling"] < 0.35
    assert levels.loc[("school", "standLRT"), "pooling"] > 0.25
    learnt = bml.variance_components(exam_fit, prior=True)["learnt"]
    assert (learnt > 0.2).all()


def test_contraceptive_use(contraception_fit: bml.Fit) -> None:
    ratios = bml.median_odds_ratio(contraception_fit, at={"urban": "N"}, draws=True)
    sd = contraception_fit.posterior["sd_district"].sel(district_term="Intercept")
    assert ratios.values[..., 0] == pytest.approx(np.exp(0.6744897501960817 * 2**0.5 * sd.values))
    latent = row(bml.vpc(contraception_fit, at={"urban": "N"}), grouping="district")
    response = row(
        bml.vpc(contraception_fit, at={"urban": "N"}, scale="response"), grouping="district"
    )
    # A probability near 0.4 loses about a fifth to a third of the latent share.
    assert 0.6 < response["mean"] / latent["mean"] < 0.9


def test_ticks_and_attitudes(ticks_fit: bml.Fit, attitudes_fit: bml.Fit) -> None:
    ratios = bml.median_rate_ratio(ticks_fit)
    # Laplace estimates of lme4's SDs.
    for name, sd in (("BROOD", 0.75002981), ("LOCATION", 0.52872195)):
        assert holds(row(ratios, grouping=name), np.exp(2**0.5 * 0.6744897501960817 * sd))
    assert "'INDEX' has one row a unit" in " ".join(bml.r2(ticks_fit).attrs["notes"])
    splits = bml.vpc(attitudes_fit, scale="response")
    assert splits["cutpoint"].nunique() == len(attitudes_fit.facts.categories) - 1
    assert splits[["mean", "lower", "upper"]].stack().between(0, 1).all()
