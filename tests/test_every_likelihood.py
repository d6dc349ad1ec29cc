"""Every likelihood from the model file to the posterior checks, on draws that are made up."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import bayesml as bml
from bayesml.cli import main
from bayesml.specs.families import FAMILIES
from bayesml.specs.model_files import spec_from_toml, spec_to_toml
from tests.test_support_table import build, table_for


@pytest.mark.filterwarnings("ignore::bayesml.errors.BayesmlWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_likelihood_goes_from_the_model_file_to_the_checks(
    family: str,
    fake_fit: Callable[..., bml.Fit],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = build(family, "two_level")
    text = spec_to_toml(model.spec)
    assert spec_from_toml(text) == model.spec

    (tmp_path / "model.toml").write_text(text, encoding="utf-8")
    table_for(family).to_csv(tmp_path / "table.csv", index=False)
    files = [str(tmp_path / "model.toml"), str(tmp_path / "table.csv")]
    assert main(["check", *files]) == 0
    assert family in capsys.readouterr().out
    assert main(["code", *files]) == 0
    assert "def build(data, coords)" in capsys.readouterr().out

    shapes = {name: 6.0 for name in model.resolved.posterior_names if name == "shape"}
    fit = fake_fit(model, values=shapes)
    fit.save(tmp_path / "fit.nc")
    again = bml.load(tmp_path / "fit.nc")
    assert again.spec == model.spec
    assert fit.source == again.source
    estimates = bml.summary(again)
    assert estimates.index.tolist() == bml.summary(fit).index.tolist()
    assert np.isfinite(estimates[["mean", "lower", "upper"]].to_numpy()).all()
    assert str(bml.diagnose(again))
    assert "\\beta" in model.equation
    checks = bml.posterior_checks(again)
    assert len(checks) > 0
