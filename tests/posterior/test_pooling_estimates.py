"""Complete, no and partial pooling and the macro regression, against whole regressions."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]


def regression(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and standard errors of ordinary least squares."""
    found, _, rank, _ = np.linalg.lstsq(x, y, rcond=None)
    residuals = y - x @ found
    variance = residuals @ residuals / (len(y) - rank)
    return found, np.sqrt(variance * np.diag(np.linalg.pinv(x.T @ x)))


def by_coef(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index("coef")


@pytest.mark.parametrize(
    ("dataset", "outcome", "predictor"),
    [("exam", "normexam", "standLRT"), ("hsb82", "mAch", "ses")],
)
def test_varying_intercepts_of_real_tables(
    fake_fit: MakeFit, dataset: str, outcome: str, predictor: str
) -> None:
    table = bml.load_dataset(dataset)
    model = bml.two_level(table, f"{outcome} ~ {predictor}", group="school")
    fit = fake_fit(model, draws=20)
    found = bml.pooling(model, fit, prob=0.8)
    coefficients, units = by_coef(found.coefficients), found.units
    y, x = table[outcome].to_numpy(), table[predictor].to_numpy()
    school = table["school"].astype(str).to_numpy()
    labels = [str(label) for label in model.coords["school"]]
    assert units["unit"].astype(str).tolist() == labels
    # complete pooling
    estimate, error = regression(y, np.column_stack([np.ones(len(y)), x]))
    assert coefficients["complete_pooling"].to_numpy() == pytest.approx(estimate)
    assert coefficients["complete_pooling_se"].to_numpy() == pytest.approx(error)
    assert units["complete_pooling"].to_numpy() == pytest.approx(np.full(len(units), estimate[0]))
    # no pooling: dummies
    dummies = (school[:, None] == np.array(labels)).astype(float)
    estimate, error = regression(y, np.column_stack([dummies, x]))
    assert units["no_pooling"].to_numpy() == pytest.approx(estimate[:-1])
    assert units["no_pooling_se"].to_numpy() == pytest.approx(error[:-1])
    assert coefficients.loc[predictor, "no_pooling"] == pytest.approx(estimate[-1])
    assert coefficients.loc[predictor, "no_pooling_se"] == pytest.approx(error[-1])
    assert np.isnan(coefficients.loc["Intercept", "no_pooling"])
    assert coefficients.loc["Intercept", "note"] == "no pooling: one for every unit"
    # macro regression
    means = pd.DataFrame({"y": y, "x": x, "g": school}).groupby("g").mean().loc[labels]
    estimate, error = regression(
        means["y"].to_numpy(), np.column_stack([np.ones(len(means)), means["x"]])
    )
    assert coefficients["macro"].to_numpy() == pytest.approx(estimate)
    assert coefficients["macro_se"].to_numpy() == pytest.approx(error)
    # partial pooling
    beta = fit.posterior["beta"].values.reshape(-1, 2)
    assert coefficients["partial_pooling"].to_numpy() == pytest.approx(beta.mean(axis=0))
    assert coefficients["partial_pooling_se"].to_numpy() == pytest.approx(beta.std(0, ddof=1))
    draws = fit.posterior["u_school"].values.reshape(len(beta), -1) + beta[:, :1]
    assert units["partial_pooling"].to_numpy() == pytest.approx(draws.mean(axis=0))
    assert units["sd"].to_numpy() == pytest.approx(draws.std(axis=0, ddof=1))
    assert units["lower"].to_numpy() == pytest.approx(np.quantile(draws, 0.1, axis=0))
    assert found.source == "posterior means and SDs"


def test_predictors_of_schools_are_part_of_their_coefficients(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("exam")
    formula = "normexam ~ standLRT * schavg + sex"
    model = bml.two_level(table, formula, group="school", slopes=["standLRT"])
    fit = fake_fit(model, draws=10)
    found = bml.pooling(model, fit)
    coefficients = by_coef(found.coefficients)
    assert coefficients.index.tolist() == [
        "Intercept",
        "standLRT",
        "schavg",
        "sex[M]",
        "standLRT:schavg",
    ]
    assert coefficients["no_pooling"].isna().tolist() == [True, True, True, False, True]
    assert "no pooling: absorbed by the units" in coefficients.loc["schavg", "note"]
    # schavg is the schools' mean of standLRT, but for rounding.
    assert coefficients.loc["schavg", "note"].endswith("macro: the means do not determine it")
    school = table["school"].astype(str)
    average = table["schavg"].groupby(school).first()
    beta = fit.posterior["beta"].values.reshape(-1, 5)
    effects = fit.posterior["u_school"]
    male = (table["sex"].astype(str) == "M").to_numpy(dtype=float)
    x = np.column_stack(
        [
            np.ones(len(table)),
            table["standLRT"],
            table["schavg"],
            male,
            table["standLRT"] * table["schavg"],
        ]
    )
    line = regression(table["normexam"].to_numpy(), x)[0]
    # One matrix of dummies and slopes, and the common coefficient of sex.
    labels = [str(label) for label in model.coords["school"]]
    own = (school.to_numpy()[:, None] == np.array(labels)).astype(float)
    whole = np.column_stack([own, own * x[:, 1:2], male])
    separate, errors = regression(table["normexam"].to_numpy(), whole)
    assert coefficients.loc["sex[M]", "no_pooling"] == pytest.approx(separate[-1])
    assert coefficients.loc["sex[M]", "no_pooling_se"] == pytest.approx(errors[-1])
    for place, label in enumerate(labels):
        part = found.units[found.units["unit"].astype(str) == label].set_index("term")
        draws = effects.sel(school=label).values.reshape(-1, 2)
        intercept = draws[:, 0] + beta[:, 0] + beta[:, 2] * average[label]
        slope = draws[:, 1] + beta[:, 1] + beta[:, 4] * average[label]
        assert part.loc["Intercept", "partial_pooling"] == pytest.approx(intercept.mean())
        assert part.loc["standLRT", "partial_pooling"] == pytest.approx(slope.mean())
        assert part.loc["standLRT", "sd"] == pytest.approx(slope.std(ddof=1))
        assert part.loc["Intercept", "complete_pooling"] == pytest.approx(
            line[0] + line[2] * average[label]
        )
        assert part.loc["standLRT", "no_pooling"] == pytest.approx(separate[65 + place])
        assert part.loc["standLRT", "no_pooling_se"] == pytest.approx(errors[65 + place])


def test_the_school_is_part_of_its_children(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("egsingle").head(600)
    slopes = {"childid": ["year"], "schoolid": ["year"]}
    model = bml.three_level(table, "math ~ year", groups=["childid", "schoolid"], slopes=slopes)
    fit = fake_fit(model, draws=4)
    with pytest.raises(FitError, match=r"groupings 'childid', 'schoolid'.*grouping='childid'"):
        bml.pooling(model, fit)
    found = bml.pooling(model, fit, grouping="childid")
    posterior = fit.posterior.mean(("chain", "draw"))
    school = table.assign(unit=table["childid"].astype(str)).groupby("unit")["schoolid"].first()
    for unit, label in zip(found.units["unit"][::2], found.units["unit"][::2], strict=True):
        above = posterior["u_schoolid"].sel(schoolid=_label(posterior, school[str(label)]))
        own = posterior["u_childid"].sel(childid=unit)
        expected = posterior["beta"].values + own.values + above.values
        part = found.units[found.units["unit"] == unit]
        assert part["partial_pooling"].to_numpy() == pytest.approx(expected)
    assert any("leave 'schoolid' out" in note for note in found.notes)
    schools = bml.pooling(model, fit, grouping="schoolid").units
    expected = posterior["beta"].values + posterior["u_schoolid"].values
    assert schools["partial_pooling"].to_numpy() == pytest.approx(expected.ravel())


def _label(posterior: object, school: object) -> object:
    """Return a school's label as the fit holds it."""
    labels = posterior["schoolid"].values
    return next(label for label in labels if str(label) == str(school))


def test_members_by_one_regression(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(4)
    number = 120
    first = rng.integers(0, 9, number)
    second = (first + rng.integers(1, 9, number)) % 9
    share, x = rng.uniform(0.1, 0.9, number), rng.normal(size=number)
    table = pd.DataFrame(
        {"y": rng.normal(size=number), "x": x, "a": first, "b": second, "w": share, "v": 1 - share}
    )
    model = bml.multiple_membership(
        table, "y ~ x", members=["a", "b"], weights=["w", "v"], name="team"
    )
    fit = fake_fit(model, draws=4)
    found = bml.pooling(model, fit)
    matrix = np.zeros((number, 9))
    matrix[np.arange(number), first] += share
    matrix[np.arange(number), second] += 1 - share
    estimate, error = regression(table["y"].to_numpy(), np.column_stack([matrix, x]))
    assert found.units["no_pooling"].to_numpy() == pytest.approx(estimate[:-1])
    assert found.units["no_pooling_se"].to_numpy() == pytest.approx(error[:-1])
    coefficients = by_coef(found.coefficients)
    assert coefficients.loc["x", "no_pooling"] == pytest.approx(estimate[-1])
    total = matrix.sum(axis=0)
    means = np.column_stack([np.ones(9), matrix.T @ x / total])
    macro = regression(matrix.T @ table["y"].to_numpy() / total, means)[0]
    assert coefficients["macro"].to_numpy() == pytest.approx(macro)
    partial = fit.posterior["u_team"].values + fit.posterior["beta"].values[:, :, None, :1]
    assert found.units["partial_pooling"].to_numpy() == pytest.approx(partial.mean((0, 1)).ravel())


def test_binary_outcomes_with_units_at_one_end(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("contraception")
    model = bml.two_level(table, "use ~ 1", group="district", family="binomial", success="Y")
    found = bml.pooling(model, fake_fit(model, draws=4))
    used = (table["use"].astype(str) == "Y").groupby(table["district"].astype(str))
    share = used.mean()[found.units["unit"].astype(str)].to_numpy()
    assert found.units["no_pooling"].to_numpy() == pytest.approx(special.logit(share))
    assert set(share[[0.0 in (value, 1 - value) for value in share]]) == {0.0, 1.0}
    infinite = np.isin(share, [0.0, 1.0])
    assert (found.units["note"] != "").tolist() == infinite.tolist()
    assert any(
        note.startswith(f"{infinite.sum()} estimates without pooling are infinite")
        for note in found.notes
    )
    whole = (table["use"].astype(str) == "Y").mean()
    row = by_coef(found.coefficients).loc["Intercept"]
    assert row["complete_pooling"] == pytest.approx(special.logit(whole))
    # The macro regression of shares without predictors weighs units by their rows.
    assert row["macro"] == pytest.approx(special.logit(whole))


def test_counts_with_exposure_by_the_closed_form(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {"n": rng.poisson(4, 60), "days": rng.uniform(1, 3, 60), "g": np.repeat(range(6), 10)}
    )
    model = bml.two_level(table, "n ~ 1", group="g", family="poisson", exposure="days")
    found = bml.pooling(model, fake_fit(model, draws=4))
    total = table.groupby("g")[["n", "days"]].sum()
    assert found.units["no_pooling"].to_numpy() == pytest.approx(np.log(total["n"] / total["days"]))
    assert found.units["no_pooling_se"].to_numpy() == pytest.approx(1 / np.sqrt(total["n"]))
    row = by_coef(found.coefficients).loc["Intercept"]
    rate = np.log(table["n"].sum() / table["days"].sum())
    assert row["complete_pooling"] == pytest.approx(rate)
    assert row["macro"] == pytest.approx(rate)


def test_models_without_an_intercept_or_any_coefficient(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("sleepstudy")
    days, y = table["Days"].to_numpy(dtype=float), table["Reaction"].to_numpy()
    model = bml.model(table, "Reaction ~ 0 + Days + (1 | Subject)")
    found = bml.pooling(model, fake_fit(model, draws=4))
    row = by_coef(found.coefficients).loc["Days"]
    assert row["complete_pooling"] == pytest.approx(days @ y / (days @ days))
    means = table.groupby("Subject", observed=True)[["Days", "Reaction"]].mean()
    assert row["macro"] == pytest.approx(
        (means["Days"] @ means["Reaction"]) / (means["Days"] @ means["Days"])
    )
    bare = bml.model(table, "Reaction ~ 0 + (0 + Days | Subject)")
    fit = fake_fit(bare, draws=4)
    found = bml.pooling(bare, fit)
    assert len(found.coefficients) == 0
    assert (found.units["complete_pooling"] == 0).all()
    effects = fit.posterior["u_Subject"].values.mean(axis=(0, 1)).ravel()
    assert found.units["partial_pooling"].to_numpy() == pytest.approx(effects)
    slopes = [
        part["Days"] @ part["Reaction"] / (part["Days"] @ part["Days"])
        for _, part in table.groupby("Subject", observed=True)
    ]
    assert found.units["no_pooling"].to_numpy() == pytest.approx(np.array(slopes, dtype=float))


def test_means_that_are_zero_but_for_rounding_determine_nothing(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("hsb82")  # cses is ses centred within schools, rounded
    model = bml.two_level(table, "mAch ~ meanses + cses", group="school")
    coefficients = by_coef(bml.pooling(model, fake_fit(model, draws=2)).coefficients)
    assert np.isnan(coefficients.loc["cses", "macro"])
    means = table.groupby("school", observed=True)[["mAch", "meanses"]].mean()
    estimate, error = regression(
        means["mAch"].to_numpy(), np.column_stack([np.ones(len(means)), means["meanses"]])
    )
    both = coefficients.loc[["Intercept", "meanses"]]
    assert both["macro"].to_numpy() == pytest.approx(estimate)
    assert both["macro_se"].to_numpy() == pytest.approx(error)


def test_without_a_fit_partial_pooling_is_reml() -> None:
    table = bml.load_dataset("exam")
    model = bml.two_level(table, "normexam ~ standLRT", group="school")
    found = bml.pooling(model)
    assert found.source == "REML estimates"
    # By lme4, whose random effects are the units' mean residuals times their reliabilities.
    coefficients = by_coef(found.coefficients)
    assert coefficients["partial_pooling"].to_numpy() == pytest.approx(
        [0.00232282, 0.56330691], abs=1e-6
    )
    assert coefficients["partial_pooling_se"].to_numpy() == pytest.approx(
        [0.04035436, 0.01246796], abs=1e-6
    )
    residuals = table["normexam"] - 0.00232282 - 0.56330691 * table["standLRT"]
    own = residuals.groupby(table["school"].astype(str)).agg(["mean", "size"])
    own = own.loc[found.units["unit"].astype(str)]
    reliability = 0.09383899 / (0.09383899 + 0.56586531 / own["size"])
    expected = 0.00232282 + reliability * own["mean"]
    assert found.units["partial_pooling"].to_numpy() == pytest.approx(expected, abs=1e-6)
    assert found.units[["sd", "lower", "upper"]].isna().all(axis=None)
    assert any(note.startswith("REML gives the units' coefficients") for note in found.notes)


def test_the_result_prints(fake_fit: MakeFit) -> None:
    model = bml.two_level(bml.load_dataset("exam"), "normexam ~ standLRT", group="school")
    found = bml.pooling(model, fake_fit(model, draws=4))
    text = str(found)
    assert text.startswith("Pooling over school; partial pooling: posterior means and SDs")
    assert "Units (20 of 65 rows)" in text
    assert "note: The standard errors of complete pooling take rows of one unit" in text
    assert "<li>The standard errors" in found._repr_html_()
    assert repr(found) == "<bayesml PoolingComparison: school, 65 rows of units>"


def test_wrong_use_is_refused(fake_fit: MakeFit) -> None:
    exam = bml.load_dataset("exam")
    model = bml.two_level(exam, "normexam ~ standLRT", group="school")
    other = bml.two_level(exam, "normexam ~ 1", group="school")
    with pytest.raises(FitError, match=r"fit is one of another model: its formula is normexam ~ 1"):
        bml.pooling(model, fake_fit(other, draws=2))
    fewer = bml.two_level(exam.head(2000), "normexam ~ standLRT", group="school")
    with pytest.raises(FitError, match=r"its number of rows is 2000.*4059.*model\.fit\(\)"):
        bml.pooling(model, fake_fit(fewer, draws=2))
    renamed = exam.assign(school="s" + exam["school"].astype(str))
    units = bml.two_level(renamed, "normexam ~ standLRT", group="school")
    with pytest.raises(FitError, match=r"other units of school than the model"):
        bml.pooling(model, fake_fit(units, draws=2))
    with pytest.raises(FitError, match=r"'shcool' is not a grouping.*Did you mean 'school'\?"):
        bml.pooling(model, fake_fit(model, draws=2), grouping="shcool")
    with pytest.raises(FitError, match=r"no grouping, so nothing is pooled"):
        bml.pooling(bml.model(exam, "normexam ~ standLRT"))
    women = bml.load_dataset("contraception")
    binary = bml.two_level(women, "use ~ 1", group="district", family="binomial", success="Y")
    with pytest.raises(FitError, match=r"Without a fit.*'binomial'\. Pass a fit: bml\.pooling\(mo"):
        bml.pooling(binary)


LATENT = {"logit": stats.logistic, "probit": stats.norm, "cloglog": stats.gumbel_l}


def category_shares(family: str, link: str, steps: np.ndarray) -> np.ndarray:
    """Probabilities of categories, (rows, categories), by what eta exceeds each cutpoint by."""
    if family == "adjacent_category":
        odds = np.exp(np.column_stack([0 * steps[:, 0], steps.cumsum(axis=1)]))
        return odds / odds.sum(axis=1, keepdims=True)
    below = LATENT[link].cdf(-steps)
    if family == "ordinal":
        return np.diff(below, axis=1, prepend=0.0, append=1.0)
    left = np.cumprod(1 - below, axis=1)
    stopped = below * np.column_stack([np.ones(len(below)), left[:, :-1]])
    return np.column_stack([stopped, left[:, -1]])


def ordered_regression(
    y: np.ndarray, x: np.ndarray, family: str, link: str, middle: int
) -> np.ndarray:
    """Return coefficients and cutpoints but the middle one, 0, by SciPy's optimiser."""
    gaps = np.arange(int(y.max())) - middle

    def minus_log_likelihood(at: np.ndarray) -> float:
        cutpoints = np.insert(at[x.shape[1] :], middle, 0.0)
        shares = category_shares(family, link, (x @ at[: x.shape[1]])[:, None] - cutpoints)
        return -float(np.log(np.maximum(shares[np.arange(len(y)), y], 1e-300)).sum())

    start = np.concatenate([np.zeros(x.shape[1]), np.delete(gaps, middle)])
    options = {"gtol": 1e-6, "maxiter": 2000}
    return optimize.minimize(minus_log_likelihood, start, method="BFGS", options=options).x


@pytest.mark.parametrize(
    ("family", "link"),
    [
        ("ordinal", "logit"),
        ("ordinal", "probit"),
        ("ordinal", "cloglog"),
        ("adjacent_category", "logit"),
        ("continuation_ratio", "probit"),
    ],
)
def test_ordered_outcomes_by_whole_regressions(fake_fit: MakeFit, family: str, link: str) -> None:
    rng = np.random.default_rng(6)
    unit, x = np.arange(5).repeat(60), rng.normal(size=300)
    size = rng.normal(size=5)[unit]
    eta = rng.normal(0, 0.7, 5)[unit] + 0.5 * x + 0.3 * size
    shares = category_shares(family, link, eta[:, None] - np.array([-0.8, 0.0, 0.9]))
    y = (rng.uniform(size=300)[:, None] > shares.cumsum(axis=1)[:, :-1]).sum(axis=1)
    labels = ["a|b", "b|c", "c|d"]
    middle = int(np.argmin([abs((y > place).mean() - 0.5) for place in range(3)]))
    others = [place for place in range(3) if place != middle]
    table = pd.DataFrame({"y": np.array(list("abcd"))[y], "x": x, "size": size, "g": unit})
    model = bml.two_level(
        table,
        "y ~ x + size",
        group="g",
        family=family,
        link=link,
        categories=["a", "b", "c", "d"],
    )
    fit = fake_fit(model, draws=20)
    found = bml.pooling(model, fit)
    coefficients = by_coef(found.coefficients)
    assert coefficients.index.tolist() == [
        "Intercept",
        "x",
        "size",
        *(f"cutpoints[{labels[place]}]" for place in others),
    ]
    # The other optimiser ends where its numerical gradient does.
    whole = ordered_regression(y, np.column_stack([np.ones(300), x, size]), family, link, middle)
    assert coefficients["complete_pooling"].to_numpy() == pytest.approx(whole, abs=1e-4)
    line = whole[0] + whole[2] * size[::60]
    assert found.units["complete_pooling"].to_numpy() == pytest.approx(line, abs=2e-4)
    dummies = (unit[:, None] == np.arange(5)).astype(float)
    separate = ordered_regression(y, np.column_stack([dummies, x]), family, link, middle)
    assert found.units["no_pooling"].to_numpy() == pytest.approx(separate[:5], abs=1e-4)
    rest = coefficients["no_pooling"].drop(["Intercept", "size"])
    assert rest.to_numpy() == pytest.approx(separate[5:], abs=1e-4)
    assert coefficients.loc["Intercept", "note"].startswith(
        f"minus the cutpoint {labels[middle]}; no pooling"
    )
    assert coefficients["note"].iloc[-1] == f"above the cutpoint {labels[middle]}"
    means = np.column_stack([np.ones(5), np.bincount(unit, x) / 60, size[::60]])[unit]
    macro = ordered_regression(y, means, family, link, middle)
    assert coefficients["macro"].to_numpy() == pytest.approx(macro, abs=5e-4)
    posterior = fit.posterior
    cutpoints = posterior["cutpoints"].values.reshape(-1, 3)
    beta = posterior["beta"].values.reshape(-1, 2)
    effects = posterior["u_g"].values.reshape(-1, 5)
    own = cutpoints[:, [middle]]
    partial = effects - own + beta[:, 1:] * size[::60]
    assert found.units["partial_pooling"].to_numpy() == pytest.approx(partial.mean(axis=0))
    assert found.units["sd"].to_numpy() == pytest.approx(partial.std(axis=0, ddof=1))
    expected = np.column_stack([-own, beta, cutpoints[:, others] - own])
    assert coefficients["partial_pooling"].to_numpy() == pytest.approx(expected.mean(axis=0))
    assert coefficients["partial_pooling_se"].to_numpy() == pytest.approx(expected.std(0, ddof=1))


def test_two_ordered_categories_are_a_binomial_outcome(fake_fit: MakeFit) -> None:
    women = bml.load_dataset("contraception")
    two = bml.two_level(
        women, "use ~ age", group="district", family="ordinal", categories=["N", "Y"]
    )
    binary = bml.two_level(women, "use ~ age", group="district", family="binomial", success="Y")
    found = bml.pooling(two, fake_fit(two, draws=4))
    expected = bml.pooling(binary, fake_fit(binary, draws=4))
    for name in ("complete_pooling", "no_pooling", "macro"):
        for column in (name, f"{name}_se"):
            assert found.coefficients[column].to_numpy() == pytest.approx(
                expected.coefficients[column].to_numpy(), abs=1e-6, nan_ok=True
            )
    assert found.units["no_pooling"].to_numpy() == pytest.approx(
        expected.units["no_pooling"].to_numpy(), abs=1e-6
    )
    assert np.isinf(found.units["no_pooling"]).sum() == 3
    assert found.units["note"].tolist() == expected.units["note"].tolist()


def test_cutpoints_without_estimates_are_said(fake_fit: MakeFit) -> None:
    # All that is low lies in a unit of its own: its cutpoint may fall without end.
    table = pd.DataFrame({"y": ["middle", "high"] * 15, "g": np.repeat(range(5), 6)})
    table.loc[table["g"] == 3, "y"] = "low"
    model = bml.two_level(
        table, "y ~ 1", group="g", family="ordinal", categories=["low", "middle", "high"]
    )
    with pytest.raises(FitError, match=r"units, separate the categories 'low', 'middle', 'high'"):
        bml.pooling(model, fake_fit(model))


def test_families_with_further_parameters_have_no_estimates_without_pooling(
    fake_fit: MakeFit,
) -> None:
    rng = np.random.default_rng(7)
    table = pd.DataFrame({"y": rng.poisson(3, 30), "g": np.repeat(range(6), 5)})
    model = bml.two_level(table, "y ~ 1", group="g", family="negative_binomial")
    with pytest.raises(
        FitError, match=r"'negative_binomial'.*none in this version.*random_effects"
    ):
        bml.pooling(model, fake_fit(model))
