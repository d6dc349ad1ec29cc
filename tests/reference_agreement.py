"""The reference models, and how close a fit of ours is to what other software found.

`python -m tests.reference_agreement [NAME ...] [--conditional]` prints the whole table; with the
last word Gaussian models are drawn by the engine "pymc", too.
"""

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np

import bayesml as bml
from bayesml.errors import BayesmlWarning

HERE = Path(__file__).parent / "reference"
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Comparison:
    """One quantity of a fit beside its reference."""

    quantity: str
    reference: float
    ours: float
    distance: float
    allowed: float

    @property
    def holds(self) -> bool:
        return bool(self.distance <= self.allowed)


@dataclass(frozen=True)
class Entry:
    """A reference model: how we build it, and how its names translate into ours.

    `names` maps the other software's coefficient to ours; `groups` its groupings to ours.
    """

    build: Callable[[], bml.Model]
    names: Mapping[str, str]
    groups: Mapping[str, str]
    source: str = "reference.json"
    fast: bool = False


def _data(name: str) -> Any:
    return bml.load_dataset(name)


_MM = {
    "members": ["company", "company2", "company3", "company4"],
    "weights": ["weight1", "weight2", "weight3", "weight4"],
    "absent": 0,
}
_LIVCH = {"livch1": "livch[1]", "livch2": "livch[2]", "livch3+": "livch[3+]", "urbanY": "urban[Y]"}
_SOCATT = {f"yr{year}": f"year[{year}]" for year in (1984, 1985, 1986)} | {
    f"religion{name}": f"religion[{name}]" for name in ("others", "Protestant", "Roman Catholic")
}
_TICKS = {"YEAR96": "YEAR[96]", "YEAR97": "YEAR[97]"}
_METHODS = ("Modern_reversible_method", "Sterilization", "Traditional_method")
_WAGE = {"sexfemale": "sex[female]", "parttimeParttime": "parttime[Parttime]"}


def _two_level(data: str, formula: str, group: str, **options: Any) -> Callable[[], bml.Model]:
    return lambda: bml.two_level(_data(data), formula, group=group, **options)


def _ticks(**options: Any) -> bml.Model:
    return bml.model(
        _data("grouseticks"),
        "TICKS ~ YEAR + cHEIGHT + (1 | LOCATION) + (1 | BROOD) + (1 | INDEX)",
        family="poisson",
        **options,
    )


def _wage(**options: Any) -> bml.Model:
    return bml.multiple_membership(
        _data("wage1"),
        "logearn ~ age_40 + sex + parttime",
        baseline={"sex": "male", "parttime": "Fulltime"},
        **_MM,
        **options,
    )


def _attitudes(**options: Any) -> bml.Model:
    return bml.three_level(
        _data("socatt"),
        "numpos ~ year + religion",
        groups=["respond", "district"],
        family="ordinal",
        **options,
    )


def _contraception(**options: Any) -> bml.Model:
    return bml.two_level(
        _data("contraception"),
        "use ~ age + livch + urban",
        group="district",
        slopes=["urban"],
        family="binomial",
        success="Y",
        **options,
    )


def _growth(formula: str) -> Callable[[], bml.Model]:
    return lambda: bml.three_level(
        _data("egsingle"),
        formula,
        groups=["childid", "schoolid"],
        slopes={"childid": ["year"], "schoolid": ["year"]},
    )


_EXAM = {"sexM": "sex[M]"}
ENTRIES: Mapping[str, Entry] = {
    "exam_null": Entry(_two_level("exam", "normexam ~ 1", "school"), {}, {}, fast=True),
    "exam_intercept": Entry(_two_level("exam", "normexam ~ standLRT", "school"), {}, {}),
    "exam_slope": Entry(
        _two_level("exam", "normexam ~ standLRT", "school", slopes=["standLRT"]),
        {},
        {},
        fast=True,
    ),
    "exam_context": Entry(
        _two_level("exam", "normexam ~ standLRT * schavg + sex", "school", slopes=["standLRT"]),
        _EXAM,
        {},
    ),
    "hsb_null": Entry(_two_level("hsb82", "mAch ~ 1", "school"), {}, {}),
    "hsb_cross_level": Entry(
        _two_level("hsb82", "mAch ~ meanses * cses + sector * cses", "school", slopes=["cses"]),
        {"sectorPublic": "sector[Public]", "cses:sectorPublic": "sector[Public]:cses"},
        {},
    ),
    "scots_null": Entry(
        lambda: bml.cross_classified(_data("scotssec"), "attain ~ 1", groups=["primary", "second"]),
        {},
        {},
    ),
    "scots_verbal": Entry(
        lambda: bml.cross_classified(
            _data("scotssec"), "attain ~ verbal + sex + social", groups=["primary", "second"]
        ),
        _EXAM,
        {},
        fast=True,
    ),
    "egsingle_growth": Entry(_growth("math ~ year"), {}, {}),
    "egsingle_cond": Entry(
        _growth("math ~ year * black + year * hispanic + year * lowinc"),
        {
            "black": "black[1]",
            "hispanic": "hispanic[1]",
            "year:black": "year:black[1]",
            "year:hispanic": "year:hispanic[1]",
        },
        {},
    ),
    "sleep_growth": Entry(
        lambda: bml.longitudinal(
            _data("sleepstudy"), "Reaction ~ 1", unit="Subject", time="Days", growth=1
        ),
        {},
        {},
        fast=True,
    ),
    "sleep_uncorrelated": Entry(
        lambda: bml.longitudinal(
            _data("sleepstudy"), "Reaction ~ 1", unit="Subject", time="Days", correlated=False
        ),
        {},
        {"Subject.1": "Subject"},
    ),
    "gcsemv_bivariate": Entry(
        lambda: bml.multivariate(
            _data("gcsemv"), "gender", outcomes=["written", "course"], group="school"
        ),
        {
            f"{outcome}:{theirs}": f"{outcome}:{ours}"
            for outcome in ("written", "course")
            for theirs, ours in (("(Intercept)", "Intercept"), ("genderM", "gender[M]"))
        },
        {},
    ),
    "orthodont_heteroscedastic": Entry(
        lambda: bml.model(
            _data("orthodont"),
            "distance ~ age * Sex + (1 | Subject)",
            baseline={"Sex": "Male"},
            distributional={"sigma": "~ 0 + Sex"},
        ),
        {"SexFemale": "Sex[Female]", "age:SexFemale": "age:Sex[Female]"},
        # A coefficient of log sigma; the reference is its exponential.
        {"Residual male": "sigma[Sex[Male]]", "Residual female": "sigma[Sex[Female]]"},
        fast=True,
    ),
    "oxboys_quadratic": Entry(
        lambda: bml.longitudinal(
            _data("oxboys"), "height ~ 1", unit="Subject", time="age", growth=2
        ),
        {"I(age^2)": "I(age ** 2)"},
        {},
    ),
    "ovary_ar1": Entry(
        lambda: bml.model(
            _data("ovary"),
            "follicles ~ sin(2*pi*Time) + cos(2*pi*Time) + (1 + sin(2*pi*Time) || Mare)",
            residual="ar1(Mare)",
        ),
        {"sin": "sin(2 * pi * Time)", "cos": "cos(2 * pi * Time)"},
        {},
        fast=True,
    ),
    "orthodont_ar1": Entry(
        _two_level("orthodont", "distance ~ age", "Subject", residual="ar1(Subject)"), {}, {}
    ),
    "contraception_intercept": Entry(
        _two_level(
            "contraception",
            "use ~ age + livch + urban",
            "district",
            family="binomial",
            success="Y",
        ),
        _LIVCH,
        {},
    ),
    "contraception_slope": Entry(_contraception, _LIVCH, {}),
    "cbpp_trials": Entry(
        _two_level(
            "cbpp", "cbind(incidence, size - incidence) ~ period", "herd", family="binomial"
        ),
        {f"period{number}": f"period[{number}]" for number in (2, 3, 4)},
        {},
        fast=True,
    ),
    "mmmec_three_level": Entry(
        lambda: bml.three_level(
            _data("mmmec"),
            "deaths ~ uvb",
            groups=["region", "nation"],
            family="poisson",
            exposure="expected",
        ),
        {},
        {},
        fast=True,
    ),
    "grouseticks_three_level": Entry(_ticks, _TICKS, {}, fast=True),
    "socatt_ordinal": Entry(
        _two_level("socatt", "numpos ~ year + religion", "respond", family="ordinal"),
        _SOCATT,
        {},
    ),
    "socatt_three_level": Entry(_attitudes, _SOCATT, {}),
    "wage1_multiple_membership": Entry(_wage, _WAGE, {}, fast=True),
    "brms_wage1_mm": Entry(
        lambda: _wage(
            priors={
                "beta": "Normal(0, 2.5)",
                "Intercept": "Normal(0, 5)",
                "sd_company": "HalfStudentT(4, 0.6)",
                "sigma": "HalfStudentT(4, 0.6)",
            }
        ),
        {
            "b_Intercept": "beta[Intercept]",
            "b_age_40": "beta[age_40]",
            "b_sexfemale": "beta[sex[female]]",
            "b_parttimeParttime": "beta[parttime[Parttime]]",
            "sd_mmcompanycompany2company3company4__Intercept": "sd_company[Intercept]",
            "sigma": "sigma",
        },
        {},
        source="brms_posteriors.json",
    ),
    "brms_socatt_ordinal": Entry(
        lambda: _attitudes(
            priors={
                "beta": "Normal(0, 2.5)",
                "cutpoints": "Normal(0, 5)",
                "sd": "HalfStudentT(4, 1)",
            }
        ),
        {f"b_Intercept[{k}]": f"cutpoints[{k - 1}|{k}]" for k in range(1, 8)}
        | {f"b_year{year}": f"beta[year[{year}]]" for year in (1984, 1985, 1986)}
        | {
            "b_religionothers": "beta[religion[others]]",
            "b_religionProtestant": "beta[religion[Protestant]]",
            "b_religionRomanCatholic": "beta[religion[Roman Catholic]]",
            "sd_district__Intercept": "sd_district[Intercept]",
            "sd_respond__Intercept": "sd_respond[Intercept]",
        },
        {},
        source="brms_posteriors.json",
        fast=True,
    ),
    "brms_contraception_slope": Entry(
        lambda: _contraception(
            priors={
                "beta": "Normal(0, 2.5)",
                "Intercept": "Normal(0, 2.5)",
                "sd": "HalfStudentT(4, 1)",
            }
        ),
        {
            "b_Intercept": "beta[Intercept]",
            "b_age": "beta[age]",
            "b_livch1": "beta[livch[1]]",
            "b_livch2": "beta[livch[2]]",
            "b_livch3P": "beta[livch[3+]]",
            "b_urbanY": "beta[urban[Y]]",
            "sd_district__Intercept": "sd_district[Intercept]",
            "sd_district__urbanY": "sd_district[urban[Y]]",
            "cor_district__Intercept__urbanY": "corr_district[Intercept, urban[Y]]",
        },
        {},
        source="brms_posteriors.json",
        fast=True,
    ),
    "brms_bang_categorical": Entry(
        lambda: bml.model(
            _data("bang"),
            "use4 ~ urban + hindu + (1 || district)",
            family="categorical",
            categories=["Not_using_contraception", *_METHODS],
            baseline={"urban": "Rural", "hindu": "Hindu"},
            priors={
                "beta": "Normal(0, 2.5)",
                "Intercept": "Normal(0, 5)",
                "sd": "HalfStudentT(4, 1)",
            },
        ),
        {
            f"{kind}mu{ours.replace('_', '')}_{theirs}": f"{name}[{ours}:{label}]"
            for ours in _METHODS
            for kind, name, theirs, label in (
                ("b_", "beta", "Intercept", "Intercept"),
                ("b_", "beta", "urbanUrban", "urban[Urban]"),
                ("b_", "beta", "hinduMuslim", "hindu[Muslim]"),
                ("sd_district__", "sd_district", "Intercept", "Intercept"),
            )
        },
        {},
        source="brms_posteriors.json",
    ),
    "brms_grouseticks_poisson": Entry(
        lambda: _ticks(
            priors={
                "beta": "Normal(0, 2.5)",
                "Intercept": "Normal(0, 5)",
                "sd": "HalfStudentT(4, 1)",
            }
        ),
        {
            "b_Intercept": "beta[Intercept]",
            "b_YEAR96": "beta[YEAR[96]]",
            "b_YEAR97": "beta[YEAR[97]]",
            "b_cHEIGHT": "beta[cHEIGHT]",
            "sd_BROOD__Intercept": "sd_BROOD[Intercept]",
            "sd_INDEX__Intercept": "sd_INDEX[Intercept]",
            "sd_LOCATION__Intercept": "sd_LOCATION[Intercept]",
        },
        {},
        source="brms_posteriors.json",
    ),
    "brms_kidney_weibull": Entry(
        _two_level(
            "kidney",
            "surv(time, status) ~ age + sex",
            "id",
            family="weibull",
            priors={
                "beta": "Normal(0, 2.5)",
                "Intercept": "Normal(0, 5)",
                "sd": "HalfStudentT(4, 1)",
                "shape": "Gamma(2, 1)",
            },
        ),
        {
            "b_Intercept": "beta[Intercept]",
            "b_age": "beta[age]",
            "b_sex": "beta[sex]",
            "sd_id__Intercept": "sd_id[Intercept]",
            "shape": "shape",
        },
        {},
        source="brms_posteriors.json",
        fast=True,
    ),
}


def reference(name: str) -> Mapping[str, Any]:
    """Return what the other software found; a missing file fails."""
    entry = ENTRIES[name]
    key = name.removeprefix("brms_")
    return json.loads((HERE / entry.source).read_text(encoding="utf-8"))[key]


def gaussian(name: str) -> bool:
    """Return whether the outcome of an entry is Gaussian."""
    return str(reference(name).get("family", "gaussian")) == "gaussian"


def build(name: str) -> bml.Model:
    """Return the model of an entry; that the mmmec table has few nations is no news here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesmlWarning)
        return ENTRIES[name].build()


def scalar_draws(fit: bml.Fit) -> dict[str, np.ndarray]:
    """Return the draws of every reported scalar, shape (chain, draw), by the label of summary()."""
    posterior = fit.posterior
    labels: dict[str, np.ndarray] = {}
    nominal = bool(fit.facts.nominal)
    if fit.facts.outcomes and not nominal:
        return _of_outcomes(fit)
    for dim, variable in (("coef", "beta"), ("cutpoint", "cutpoints")):
        if variable in posterior and not nominal:
            for item in posterior[dim].values:
                labels[f"{variable}[{item}]"] = posterior[variable].sel({dim: item}).values
    for part in fit.facts.parts:
        for item in part.coefficients if nominal else ():
            place = {"category": part.parameter, "coef": item}
            labels[f"beta[{part.parameter}:{item}]"] = posterior["beta"].sel(place).values
    for part in fit.facts.parts if not nominal else ():
        variable = f"beta_{part.parameter}"
        for item in part.coefficients:
            values = posterior[variable].sel({f"coef_{part.parameter}": item}).values
            labels[f"{part.parameter}[{item}]"] = np.exp(values)
    for name in ("sigma", "shape", "phi"):
        if name in posterior:
            labels[name] = posterior[name].values
    for grouping in fit.facts.groupings:
        sd, corr = (posterior.get(f"{kind}_{grouping.identifier}") for kind in ("sd", "corr"))
        for i, term in enumerate(grouping.terms):
            labels[f"sd_{grouping.name}[{term}]"] = sd.values[..., i]
            for j in range(i) if corr is not None else ():
                other = grouping.terms[j]
                labels[f"corr_{grouping.name}[{other}, {term}]"] = corr.values[..., i, j]
    return labels


def _of_outcomes(fit: bml.Fit) -> dict[str, np.ndarray]:
    """Return the draws of every reported scalar of a model of several outcomes."""
    posterior, labels = fit.posterior, {}
    names = [str(name) for name in posterior["outcome"].values]
    for i, name in enumerate(names):
        for j, coefficient in enumerate(posterior["coef"].values):
            labels[f"beta[{name}:{coefficient}]"] = posterior["beta"].values[..., i, j]
        labels[f"sigma[{name}]"] = posterior["sigma"].values[..., i]
        labels[f"sd_school[{name}]"] = posterior["sd_school"].values[..., i]
    labels["corr_school"] = posterior["corr_school"].values[..., 0, 1]
    labels["corr_residual"] = posterior["corr_residual"].values[..., 0, 1]
    return labels


def compare(name: str, fit: bml.Fit) -> list[Comparison]:
    """Return every quantity of an entry beside its reference, with the distance allowed."""
    draws = scalar_draws(fit)
    if ENTRIES[name].source == "brms_posteriors.json":
        return list(_against_brms(name, draws))
    return list(_against_estimates(name, draws, fit))


def _against_brms(name: str, draws: Mapping[str, np.ndarray]) -> Iterator[Comparison]:
    for row in reference(name)["posterior"]:
        label = ENTRIES[name].names[row["variable"]]
        values = draws[label]
        theirs = row["sd"] / np.sqrt(row["ess_bulk"])
        ours = float(az.mcse(values))
        mean, sd = float(values.mean()), float(values.std(ddof=1))
        yield Comparison(
            f"mean {label}",
            row["mean"],
            mean,
            abs(mean - row["mean"]),
            4 * float(np.hypot(theirs, ours)) + 0.02 * row["sd"],
        )
        yield Comparison(f"sd {label}", row["sd"], sd, abs(sd / row["sd"] - 1), 0.10)


def _against_estimates(
    name: str, draws: Mapping[str, np.ndarray], fit: bml.Fit
) -> Iterator[Comparison]:
    entry, found = ENTRIES[name], reference(name)
    # With 73 schools REML and ML agree to a small part of a posterior SD.
    exact = "REML" in found["engine"] or found["engine"].startswith("glmmTMB")
    exact = exact and gaussian(name)
    for their_name, estimate in found["fixed"].items():
        label = _coefficient(their_name, entry)
        values = draws[label]
        mean, sd = float(values.mean()), float(values.std(ddof=1))
        allowed = (0.15 if exact else 0.3) * sd + 3 * float(az.mcse(values))
        yield Comparison(label, estimate, mean, abs(mean - estimate), allowed)
    for row in found["random"]:
        if "covariance" in row:
            yield from _joint_components(row, draws)
            continue
        yield _component(row, entry, draws, fit, exact)
    if "phi" in found:
        yield _inside("phi", found["phi"], draws["phi"])


def _joint_components(
    row: Mapping[str, Any], draws: Mapping[str, np.ndarray]
) -> Iterator[Comparison]:
    """Return the SDs and the correlation of two outcomes, of schools or within pupils."""
    stem, corr = {
        "school": ("sd_school", "corr_school"),
        "student": ("sigma", "corr_residual"),
    }[row["group"]]
    for outcome in ("written", "course"):
        estimate, values = float(np.sqrt(row[f"{outcome}_var"])), draws[f"{stem}[{outcome}]"]
        allowed = max(0.05 * estimate, 0.3 * float(values.std(ddof=1)))
        median = float(np.median(values))
        label = f"{stem}[{outcome}]"
        yield Comparison(label, estimate, median, abs(median - estimate), allowed)
    lower, upper = np.quantile(draws[corr], [0.055, 0.945])
    outside = max(lower - row["corr"], row["corr"] - upper, 0.0)
    median = float(np.median(draws[corr]))
    yield Comparison(f"{corr} inside 89 %", row["corr"], median, float(outside), 0.0)


def _coefficient(their_name: str, entry: Entry) -> str:
    if "|" in their_name:
        return f"cutpoints[{their_name}]"
    ours = "Intercept" if their_name == "(Intercept)" else entry.names.get(their_name, their_name)
    return f"beta[{ours}]"


def _component(
    row: Mapping[str, Any],
    entry: Entry,
    draws: Mapping[str, np.ndarray],
    fit: bml.Fit,
    exact: bool,
) -> Comparison:
    def term(text: str) -> str:
        return _coefficient(text, entry).removeprefix("beta[").removesuffix("]")

    estimate = row.get("sdcor", np.sqrt(row.get("vcov", np.nan)))
    group = entry.groups.get(row["group"], row["group"])
    if group == "Residual":
        label, many = "sigma", True
    elif row["group"].startswith("Residual "):
        label, many = group, True
    elif "term2" in row:
        label = f"corr_{group}[{term(row['term1'])}, {term(row['term2'])}]"
        many = False
    else:
        label = f"sd_{group}[{term(row['term1'])}]"
        facts = fit.facts.grouping(group)
        assert facts is not None
        many = facts.units >= 20
    values = draws[label]
    median = float(np.median(values))
    if many:
        allowed = max(0.05 * estimate, (0.3 if exact else 0.5) * float(values.std(ddof=1)))
        return Comparison(label, estimate, median, abs(median - estimate), allowed)
    return _inside(label, estimate, values)


def _inside(label: str, estimate: float, values: np.ndarray) -> Comparison:
    lower, upper = np.quantile(values, [0.055, 0.945])
    # Distance outside the 89 % interval: 0 where the estimate lies inside.
    outside = max(lower - estimate, estimate - upper, 0.0)
    median = float(np.median(values))
    return Comparison(f"{label} inside 89 %", estimate, median, float(outside), 0.0)


def worst_r_hat(fit: bml.Fit) -> float:
    """Return the largest R-hat of beta, sd, corr, sigma and cutpoints."""
    return max(float(az.rhat(values)) for values in scalar_draws(fit).values())


def divergences(fit: bml.Fit) -> int:
    """Return the number of divergences; an independence sampler has none."""
    stats = fit.sample_stats
    return int(stats["diverging"].sum()) if "diverging" in stats else 0


def main(names: list[str], engine: str = "auto") -> None:
    """Print the whole table."""
    print(
        "| model | seed | worst R-hat | divergences | quantities | outside | nearest to its bound |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in names or list(ENTRIES):
        model = build(name)
        for seed in SEEDS:
            fit = model.fit(seed=seed, progress=False, engine=engine)
            rows = compare(name, fit)
            failed = [row for row in rows if not row.holds]
            nearest = max(rows, key=lambda row: row.distance / row.allowed if row.allowed else 0.0)
            words = "; ".join(
                f"{row.quantity} {row.ours:.4g} vs {row.reference:.4g}"
                for row in (failed or [nearest])
            )
            print(
                f"| {name} | {seed} | {worst_r_hat(fit):.4f} | {divergences(fit)} | {len(rows)} | "
                f"{len(failed)} | {words} ({max(1, len(failed))} shown, "
                f"{nearest.distance / nearest.allowed if nearest.allowed else 0:.2f} of bound) |",
                flush=True,
            )


if __name__ == "__main__":
    words = sys.argv[1:]
    conditional = "--conditional" in words
    main([word for word in words if word != "--conditional"], "pymc" if conditional else "auto")
