"""A fit goes to one file and back, and a damaged or foreign file is said in words."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bayesml as bml
from bayesml.errors import FitError, SamplingError
from bayesml.records.fitting import assemble


@pytest.fixture(scope="module")
def exam_model() -> bml.Model:
    exam = bml.load_dataset("exam")
    return bml.two_level(exam, "normexam ~ standLRT", group="school", slopes=["standLRT"])


@pytest.fixture(scope="module")
def fit(fake_fit: Callable[..., bml.Fit], exam_model: bml.Model) -> bml.Fit:
    return fake_fit(exam_model)


def test_round_trip(fit: bml.Fit, tmp_path: Path) -> None:
    again = bml.load(fit.save(tmp_path / "exam.nc"))
    xr.testing.assert_identical(again.posterior, fit.posterior)
    xr.testing.assert_identical(again.sample_stats, fit.sample_stats)
    assert again.spec == fit.spec
    assert again.facts == fit.facts
    assert again.source == fit.source
    assert (again.seed, again.engine, again.complete) == (fit.seed, fit.engine, fit.complete)
    assert list(tmp_path.iterdir()) == [tmp_path / "exam.nc"]


def test_rows_stay_out_on_request(fit: bml.Fit, tmp_path: Path) -> None:
    with_rows = fit.save(tmp_path / "with.nc")
    without = fit.save(tmp_path / "without.nc", data=False)
    assert {"observed_data", "constant_data"} <= set(bml.load(with_rows).data.children)
    again = bml.load(without)
    assert set(again.data.children) == {"posterior", "sample_stats"}
    assert not bml.variance_components(again).empty


def test_a_file_cut_short_is_an_error(fit: bml.Fit, tmp_path: Path) -> None:
    path = fit.save(tmp_path / "exam.nc")
    whole = path.read_bytes()
    for share in (0.05, 0.5, 0.95):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(FitError, match="cut short"):
            bml.load(path)


def test_other_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(FitError, match="no results file"):
        bml.load(tmp_path / "nothing.nc")
    text = tmp_path / "text.nc"
    text.write_text("not a results file")
    with pytest.raises(FitError, match="cannot be read as a results file"):
        bml.load(text)
    foreign = tmp_path / "foreign.nc"
    xr.Dataset({"x": ("i", [1.0])}).to_netcdf(foreign, engine="h5netcdf")
    with pytest.raises(FitError, match="not a results file of bayesml"):
        bml.load(foreign)


def test_a_newer_format_is_refused(fit: bml.Fit, tmp_path: Path) -> None:
    tree = fit.data.copy()
    tree.attrs["bayesml_format"] = 99
    with pytest.raises(FitError, match="Update bayesml"):
        bml.load(bml.Fit(tree).save(tmp_path / "new.nc"))


def test_labels_are_the_users(fit: bml.Fit) -> None:
    posterior = fit.posterior
    assert list(posterior["coef"].values) == ["Intercept", "standLRT"]
    assert posterior["u_school"].dims == ("chain", "draw", "school", "school_term")
    assert "1" in posterior["school"].values
    assert posterior["sd_school"].attrs["grouping"] == "school"


def test_unequal_chains_keep_as_many_draws_as_possible(fake_fit: Callable[..., bml.Fit]) -> None:
    from bayesml.engines.chains import ChainDraws

    model = bml.two_level(bml.load_dataset("exam"), "normexam ~ 1", group="school")
    full = fake_fit(model, draws=100, chains=4)

    def chain(number: int, draws: int) -> ChainDraws:
        return ChainDraws(
            chain=number,
            seed=number,
            draws=draws,
            tune=10,
            posterior={
                str(name): values.values[number, :draws]
                for name, values in full.posterior.data_vars.items()
            },
            sample_stats={"diverging": np.zeros(draws, dtype=bool)},
            seconds=1.0,
            complete=draws == 100,
        )

    tree = assemble(model, [chain(0, 100), chain(1, 100), chain(2, 30), chain(3, 0)], 100)
    # Two chains of 100 are more draws than three of 30.
    assert dict(tree["posterior"].sizes)["draw"] == 100
    assert list(tree["posterior"]["chain"].values) == [0, 1]
    with pytest.raises(SamplingError, match="before any draw"):
        assemble(model, [chain(0, 0)], 100)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"draws": 0}, "draws is 0"),
        ({"tune": 2}, "tune is 2"),
        ({"chains": 1.5}, "chains is 1.5"),
        ({"seed": -1}, "seed is -1"),
        ({"engine": "stan"}, "Allowed: auto, marginal, pymc"),
        ({"target_accept": 1.0}, "target_accept is 1.0"),
    ],
)
def test_unusable_arguments(arguments: dict[str, object], words: str) -> None:
    model = bml.two_level(bml.load_dataset("exam"), "normexam ~ 1", group="school")
    with pytest.raises(FitError, match=words):
        model.fit(**arguments)


@pytest.mark.parametrize("function", [bml.vpc, bml.summary, bml.diagnose, bml.loo])
def test_a_model_in_place_of_a_fit_is_told(
    function: Callable[[object], object], exam_model: bml.Model
) -> None:
    with pytest.raises(AttributeError, match=r"A Model has no '.*pass what model\.fit\(\) returns"):
        function(exam_model)


@pytest.mark.parametrize("function", [bml.pooling, bml.reml, bml.ml])
def test_a_fit_in_place_of_a_model_is_told(
    function: Callable[[object], object], fit: bml.Fit
) -> None:
    with pytest.raises(AttributeError, match=r"A Fit has no '.*pass the model that was fitted"):
        function(fit)


def test_what_an_attribute_raises_itself_is_not_hidden(
    fit: bml.Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise AttributeError("of its own")

    monkeypatch.setattr(bml.Fit, "facts", property(broken))
    with pytest.raises(AttributeError, match="of its own"):
        _ = copy.copy(fit).facts


def test_records_can_be_copied_and_asked_for_what_they_have(fit: bml.Fit) -> None:
    assert copy.copy(fit).data is fit.data
    assert not hasattr(fit, "nonsense")
