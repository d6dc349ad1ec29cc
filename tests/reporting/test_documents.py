"""The page: whole, self-contained, escaped, honest about an incomplete fit."""

import base64
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model
from bayesml.reporting.documents import methods_text, page

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """A page taken apart: elements with their attributes, text by element, ids."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", " ".join(data.split())))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(text for tag, text in self.texts if tag != "style")


@pytest.fixture(scope="module")
def model() -> Model:
    exam = bml.load_dataset("exam")
    return bml.model(exam, "normexam ~ standLRT + (standLRT | school)")


@pytest.fixture(scope="module")
def fit(model: Model, fake_fit: Callable[..., Fit]) -> Fit:
    return fake_fit(model, draws=400, chains=4)


@pytest.fixture(scope="module")
def text(fit: Fit) -> str:
    return page(fit, 0.89)


@pytest.fixture(scope="module")
def whole(text: str) -> Page:
    return Page(text)


def assert_self_contained(found: Page, text: str) -> None:
    assert not {tag for tag, _ in found.elements} & {"script", "link", "iframe", "object", "base"}
    for tag, attributes in found.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in {"src", "href", "data", "action", "srcset"}:
                assert str(value).startswith(("data:image/", "#")), (tag, value)
    assert not re.search(r"https?://|url\(|@import", text)
    for attributes in found.all("img"):
        source = str(attributes["src"])
        for element in ElementTree.fromstring(base64.b64decode(source.partition(",")[2])).iter():
            assert "script" not in element.tag.lower()
            for name, value in element.attrib.items():
                if name.endswith("href"):
                    assert value.startswith(("#", "data:image/png"))
                assert not re.search(r"url\((?!#)", value)


def test_the_page_is_self_contained(text: str, whole: Page) -> None:
    assert_self_contained(whole, text)


def test_the_page_is_accessible(whole: Page) -> None:
    assert whole.all("html") == [{"lang": "en"}]
    assert all(str(image["alt"]).strip() for image in whole.all("img"))
    assert {cell.get("scope") for cell in whole.all("th")} == {"col", "row"}
    tables = len(whole.all("table"))
    assert tables >= 7
    assert len(whole.all("caption")) == tables
    anchors = {str(link["href"]) for link in whole.all("a")}
    assert anchors == {f"#{section['id']}" for section in whole.all("section")}
    assert len(whole.all("h1")) == 1


def test_the_verdict_comes_before_every_number(whole: Page) -> None:
    sections = [section["id"] for section in whole.all("section")]
    assert sections[:2] == ["diagnostics", "data"]
    assert "incomplete" not in whole.words


def test_the_numbers_are_those_of_the_draws(model: Model, fake_fit) -> None:
    beta = np.broadcast_to([0.25, 0.5], (2, 100, 2)).copy()
    beta[..., 1] += np.linspace(-0.1, 0.1, 100)
    fit = fake_fit(model, draws=100, values={"beta": beta, "sd_school": [3.0, 0.0], "sigma": 4.0})
    words = Page(page(fit, 0.5)).words
    # Equally spaced draws from 0.4 to 0.6: SD 0.0583, quartiles 0.45 and 0.55.
    assert "standLRT 0.500 0.500 0.058 0.450 0.550" in words
    assert "50 % equal-tailed interval" in words
    # 3^2 / (3^2 + 4^2), at every value of the covariate.
    assert "VPC of school 0.36" in words


def test_what_is_behind_the_fit_is_there(fit: Fit, whole: Page, model: Model) -> None:
    words = whole.words
    assert "normexam ~ standLRT + (standLRT | school)" in words
    assert "4,059 rows were used; none was left out." in words
    assert "def build(data, coords):" in words
    assert '[[groupings]] name = "school"' in words
    assert f"Seed {fit.seed}" in words
    assert all(f"{name} {text}" in words for name, text, _ in fit.facts.priors)
    assert all(f"{name} {number}" in words for name, number in fit.versions.items())
    assert " ".join(model.equation.split()) in words


@pytest.mark.filterwarnings("ignore:.*left out:bayesml.errors.BayesmlWarning")
def test_rows_left_out_are_counted_by_column(fake_fit) -> None:
    exam = bml.load_dataset("exam")
    exam.loc[:20, "standLRT"] = np.nan
    fit = fake_fit(bml.model(exam, "normexam ~ standLRT + (1 | school)"))
    words = Page(page(fit, 0.89)).words
    assert "4,038 rows were used of the 4,059 rows of the table; 21 were left out" in words
    assert "column missing values standLRT 21" in words
    assert "(21 with missing values left out)" in methods_text(fit, 0.89)


@pytest.mark.parametrize(("draws", "asked", "loud"), [(20, 50, True), (50, 50, False)])
def test_an_incomplete_fit_has_a_loud_banner(model, fake_fit, draws, asked, loud) -> None:
    text = page(fake_fit(model, draws=draws, asked=asked), 0.89)
    assert ('class="banner"' in text) == loud
    assert ("2 chains of 50 draws were asked for" in Page(text).words) == loud


def test_draws_that_failed_a_check_are_marked_with_what_to_do(model: Model, fake_fit) -> None:
    levels = np.array([[1.0], [2.0]])
    sigma = np.random.default_rng(3).normal(levels, 0.01, size=(2, 50))
    text = page(fake_fit(model, values={"sigma": sigma}), 0.89)
    assert 'class="verdict bad"' in text
    found = Page(text)
    problems = [words for tag, words in found.texts if tag == "li"]
    assert any(
        "R-hat is above 1.01" in words and "Fit with more draws" in words for words in problems
    )


ODD = {
    "outcome": "</title><script>alert(1)</script>",
    "predictor": "x & \"y\" 'z' {{ 7*7 }} {% raw %}",
    "grouping": "<img src=x onerror=alert(2)>",
    "unit": "--></style><b onmouseover='alert(3)'>\u202e{number}",
}


def odd_model() -> Model:
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            ODD["outcome"]: rng.normal(size=60),
            ODD["predictor"]: rng.normal(size=60),
            ODD["grouping"]: [
                ODD["unit"].replace("{number}", str(number % 10)) for number in range(60)
            ],
        }
    )
    return bml.model(
        table,
        f"`{ODD['outcome']}` ~ `{ODD['predictor']}` + (`{ODD['predictor']}` | `{ODD['grouping']}`)",
    )


def test_names_from_the_table_are_text_and_nothing_else(fake_fit) -> None:
    text = page(fake_fit(odd_model()), 0.89)
    found = Page(text)
    assert_self_contained(found, text)
    assert not found.all("b")
    assert len(found.all("style")) == len(found.all("title")) == 1
    words = found.words
    for name in (ODD["outcome"], ODD["predictor"], ODD["grouping"]):
        assert name in words
    assert "49" not in re.findall(r"\b49\b", next(t for tag, t in found.texts if tag == "h1"))
    # Every image is a picture of ours: none came in through a name.
    assert all(str(image["src"]).startswith("data:image/svg") for image in found.all("img"))


KINDS = {
    "no grouping": ("exam", "normexam ~ standLRT", {}, "This model has no grouping"),
    "no coefficients": ("exam", "normexam ~ 0 + (1 | school)", {}, "The model has no coefficients"),
    "poisson": (
        "mmmec",
        "deaths ~ uvb + (1 | nation/region)",
        {"family": "poisson", "exposure": "expected"},
        "log scale",
    ),
    "binomial": (
        "contraception",
        "use ~ age + urban + (urban | district)",
        {"family": "binomial", "success": "Y"},
        "latent scale",
    ),
    "ordinal": (
        "socatt",
        "numpos ~ gender + (1 | respond)",
        {"family": "ordinal"},
        "Posterior of the cutpoints",
    ),
    "censored durations": (
        "kidney",
        "surv(time, status) ~ age + (1 | id)",
        {"family": "weibull"},
        "18 right-censored",
    ),
    "crossed": (
        "scotssec",
        "attain ~ verbal + (1 | primary) + (1 | second)",
        {},
        "units of second",
    ),
}


@pytest.mark.parametrize(("dataset", "formula", "options", "said"), KINDS.values(), ids=KINDS)
@pytest.mark.filterwarnings("ignore::bayesml.errors.BayesmlWarning")
def test_every_kind_of_model_has_a_page(fake_fit, dataset, formula, options, said) -> None:
    built = bml.model(bml.load_dataset(dataset), formula, **options)
    text = page(fake_fit(built, draws=20), 0.89)
    found = Page(text)
    assert_self_contained(found, text)
    assert said in found.words


def test_a_fit_loaded_without_its_rows_gives_the_same_page_but_for_the_checks(
    fit: Fit, text: str, tmp_path: Path
) -> None:
    fit.save(tmp_path / "fit.nc", data=False)
    path = bml.report(bml.load(tmp_path / "fit.nc"), str(tmp_path / "a b.html"))
    assert path == tmp_path / "a b.html"
    written = path.read_text(encoding="utf-8")
    section = re.compile(r'<section id="(?:checks|measures)">.*?</section>', re.DOTALL)
    assert all("saved without its rows" in found for found in section.findall(written))
    assert len(section.findall(written)) == 2
    assert section.sub("", written) == section.sub("", text)
    # With its rows it is the same to the last letter: the replications have a seed.
    fit.save(tmp_path / "whole.nc")
    bml.report(bml.load(tmp_path / "whole.nc"), tmp_path / "whole.html")
    assert (tmp_path / "whole.html").read_text(encoding="utf-8") == text


def test_what_the_data_could_not_tell_stands_below_the_verdict(model: Model, fake_fit) -> None:
    rng = np.random.default_rng(3)
    spreads = np.abs(rng.normal(size=(4, 400, 2))) * [0.02, 0.02]
    words = Page(
        page(fake_fit(model, draws=400, chains=4, values={"sd_school": spreads}), 0.89)
    ).words
    assert "What the data could not tell" in words
    assert "sd_school[standLRT] cannot be told from 0" in words
    assert "Drop the slope of standLRT over school" in words


@pytest.mark.parametrize("prob", [0, 1, -0.5, 89, float("nan")])
def test_a_probability_is_between_0_and_1(fit: Fit, tmp_path: Path, prob: float) -> None:
    with pytest.raises(FitError, match="prob"):
        bml.report(fit, tmp_path / "a.html", prob)
    assert not (tmp_path / "a.html").exists()


def test_a_folder_that_is_not_there_is_said(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(FitError, match=r"There is no folder '.* for the report 'a\.html'"):
        bml.report(fit, tmp_path / "nowhere" / "a.html")
    (tmp_path / "b.html").mkdir()
    with pytest.raises(FitError, match="cannot be written: Is a directory"):
        bml.report(fit, tmp_path / "b.html")


def test_the_methods_text_names_what_was_set_by_hand(fake_fit) -> None:
    exam = bml.load_dataset("exam")
    own = bml.model(exam, "normexam ~ 1 + (1 | school)", priors={"sigma": "HalfNormal(2)"})
    text = methods_text(fake_fit(own, draws=30, chains=2, seed=7), 0.9)
    assert "weakly informative default priors, except that of sigma." in text
    assert "2 chains of 30 draws after 30 warm-up draws each (seed 7)" in text
    assert "90 % equal-tailed intervals" in text
