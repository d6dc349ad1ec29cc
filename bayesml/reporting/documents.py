"""A fit as one HTML page that holds everything it shows."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bayesml.errors import FitError, quoted
from bayesml.posterior.summaries import interval_words
from bayesml.quantities.intervals import checked_prob
from bayesml.records.fits import Fit
from bayesml.reporting.check_sections import checks_section
from bayesml.reporting.estimates import FormattedTable
from bayesml.reporting.measure_sections import measures_section
from bayesml.reporting.pictures import equation_picture
from bayesml.reporting.sections import (
    CaptionedTable,
    chains_section,
    coefficients_section,
    data_section,
    key_numbers,
    partition_section,
    units_section,
    variances_section,
    verdict_section,
)
from bayesml.specs.model_files import spec_to_toml

_STRUCTURES = {
    "two_level": "Two-level model",
    "three_level": "Three-level model",
    "cross_classified": "Cross-classified model",
    "multiple_membership": "Multiple-membership model",
    "longitudinal": "Longitudinal model",
    "multivariate": "Multivariate model",
    "dyadic": "Dyadic model",
    "twins": "Twin model",
    "social_relations": "Social-relations model",
}
_CONTENTS = (
    ("diagnostics", "Diagnostics"),
    ("data", "Data"),
    ("coefficients", "Coefficients"),
    ("variances", "Variance components"),
    ("partition", "Shares of the variance"),
    ("measures", "Explained variance"),
    ("units", "Units"),
    ("checks", "Model checks"),
    ("chains", "Chains"),
    ("model", "Model and priors"),
    ("run", "Run and methods text"),
)
_REFERENCES = (
    "PyMC: Abril-Pla et al. (2023), PeerJ Computer Science 9, e1516. doi:10.7717/peerj-cs.1516",
    "NUTS: Hoffman & Gelman (2014), Journal of Machine Learning Research 15, 1593-1623.",
    "R-hat and effective sample size: Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), "
    "Bayesian Analysis 16(2), 667-718. doi:10.1214/20-BA1221",
    "Variance partition: Goldstein, Browne & Rasbash (2002), Understanding Statistics 1(4), "
    "223-231. doi:10.1207/S15328031US0104_02",
    "R2: Nakagawa & Schielzeth (2013), Methods in Ecology and Evolution 4, 133-142. "
    "doi:10.1111/j.2041-210x.2012.00261.x",
    "Posterior predictive checks: Gelman, Meng & Stern (1996), Statistica Sinica 6, 733-760; with "
    "new units: Marshall & Spiegelhalter (2007), Bayesian Analysis 2(2), 409-444. "
    "doi:10.1214/07-BA218",
)


def report(fit: Fit, path: str | Path = "report.html", prob: float = 0.89) -> Path:
    """Write a fit as one HTML page that needs no other file and no network.

    The page says first whether the draws can be trusted; then come the data, the coefficients, the
    variance components, VPC and ICC, R2 and median ratios, plots of units, posterior predictive
    checks, chains, priors, the equation, the PyMC code, and a text for a methods section.
    Everything comes from the fit; no table is needed. Only R2 and the checks need the fit's rows:
    without them (``save(data=False)``) the page says so.

    Parameters
    ----------
    fit : Fit
    path : str or Path
        File to write; an existing file is replaced.
    prob : float
        Posterior probability of the equal-tailed intervals.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FitError
        `prob` is not between 0 and 1, or the file cannot be written.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ 1", group="school").fit()  # doctest: +SKIP
    >>> bml.report(fit, "exam.html")  # doctest: +SKIP
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FitError(
            f"There is no folder {quoted(str(path.parent))} for the report {quoted(path.name)}. "
            "Make it, or choose another."
        )
    text = page(fit, checked_prob(prob))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FitError(
            f"The report {quoted(str(path))} cannot be written: {error.strerror}. "
            "Choose another folder."
        ) from None
    return path


def page(fit: Fit, prob: float) -> str:
    """Return the page as HTML text."""
    units = units_section(fit, prob)
    attrs = fit.data.attrs
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            title=fit.facts.formula,
            kind=_STRUCTURES.get(fit.facts.structure, "Multilevel model")
            if fit.facts.groupings
            else "Model without groupings",
            lead=f"Family {fit.facts.family}, link {fit.facts.link}. "
            f"Intervals are {interval_words(prob)}s.",
            banner=_banner(fit),
            brief=key_numbers(fit, prob),
            contents=[item for item in _CONTENTS if item[0] != "units" or units.plots],
            verdict=verdict_section(fit),
            data=data_section(fit),
            coefficients=coefficients_section(fit, prob),
            variances=variances_section(fit, prob),
            partition=partition_section(fit, prob),
            measures=measures_section(fit, prob),
            units=units,
            checks=checks_section(fit, prob),
            chains=chains_section(fit),
            equation={
                "latex": attrs.get("equation", ""),
                "source": equation_picture(attrs.get("equation", "")),
            },
            priors=_priors(fit),
            source=fit.source,
            specification=spec_to_toml(fit.spec),
            run=_run(fit),
            methods=methods_text(fit, prob),
            references=(f"bayesml, version {fit.versions.get('bayesml', '')}.", *_REFERENCES),
            version=fit.versions.get("bayesml", ""),
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("bayesml.reporting", "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _banner(fit: Fit) -> str:
    if fit.complete:
        return ""
    sizes = fit.posterior.sizes
    return (
        f"It holds {sizes['chain']} chains of {sizes['draw']:,} draws; {fit.chains_asked} chains "
        f"of {fit.draws_asked:,} draws were asked for. Do not report these numbers: run the "
        "missing chains first."
    )


def _priors(fit: Fit) -> CaptionedTable:
    return CaptionedTable(
        "Priors of all parameters. That of the intercept holds at the mean of the predictors",
        FormattedTable(("parameter", "prior", "origin"), fit.facts.priors, 3),
    )


def _run(fit: Fit) -> list[tuple[str, str]]:
    attrs, sizes = fit.data.attrs, fit.posterior.sizes
    versions = ", ".join(f"{name} {number}" for name, number in fit.versions.items())
    pairs = [
        ("Engine", f"{fit.engine} ({fit.engine_reason})" if fit.engine_reason else fit.engine),
        ("Chains", f"{sizes['chain']} of {fit.chains_asked}"),
        ("Draws per chain", f"{sizes['draw']:,} of {fit.draws_asked:,}"),
        ("Warm-up draws per chain", _known(attrs, "tune")),
        ("Target acceptance", _known(attrs, "target_accept")),
        ("Seed", str(fit.seed)),
        ("Made", _known(attrs, "created_at")),
        ("Versions", versions),
    ]
    return [(name, value) for name, value in pairs if value]


def _known(attrs: Any, name: str) -> str:
    return str(attrs[name]) if name in attrs else ""


def methods_text(fit: Fit, prob: float) -> str:
    """Return a paragraph that says how the fit was made, for a methods section."""
    facts, sizes, versions = fit.facts, fit.posterior.sizes, fit.versions
    tune = fit.data.attrs.get("tune")
    warm_up = f" after {int(tune):,} warm-up draws each" if tune is not None else ""
    chosen = [name for name, _, origin in facts.priors if origin != "default"]
    priors = "weakly informative default priors" + (
        f", except that of {listed_words(chosen)}" if chosen else ""
    )
    left_out = facts.rows_in_table - facts.rows
    rows = f"{facts.rows:,} rows" + (
        f" ({left_out:,} with missing values left out)" if left_out else ""
    )
    return (
        f"We fitted the Bayesian multilevel model {facts.formula} (family {facts.family}, link "
        f"{facts.link}) to {rows} with bayesml {versions.get('bayesml', '')} and PyMC "
        f"{versions.get('pymc', '')}, using {priors}. {_sampler(fit)}: "
        f"{sizes['chain']} chains of {sizes['draw']:,} draws{warm_up} (seed {fit.seed}). "
        f"Convergence was judged by rank-normalised R-hat and effective sample sizes. We report "
        f"posterior means with {interval_words(prob)}s."
    )


def _sampler(fit: Fit) -> str:
    """Return how the posterior was drawn, as a methods section says it."""
    if fit.engine != "marginal":
        return "The posterior was sampled with the No-U-Turn Sampler"
    # An independence sampler has no trees.
    how = "the No-U-Turn Sampler" if "tree_depth" in fit.sample_stats else "an independence sampler"
    return (
        f"The variance parameters were sampled with {how} from their exact marginal posterior, "
        "coefficients and random effects were drawn exactly given them"
    )


def listed_words(names: Sequence[str], most: int = 4) -> str:
    """Return names in words, the last ones as a count where there are more than `most`.

    Examples
    --------
    >>> listed_words(["a"]), listed_words(["a", "b", "c"]), listed_words(list("abcdef"))
    ('a', 'a, b and c', 'a, b, c and 3 others')
    """
    if len(names) == 1:
        return names[0]
    if len(names) <= most:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} others"
