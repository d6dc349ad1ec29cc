"""How priors stand in the source: one statement for a vector, numbers in the data."""

import numpy as np

from bayesml.specs.distributions import Prior
from bayesml.specs.prior_arrays import prior_statements


def test_equal_distributions_are_one_statement_with_an_array_of_scales() -> None:
    priors = [Prior("Normal", (0.0, 1.0)), Prior("Normal", (0.0, 2.5))]
    (statement,) = prior_statements("slopes", priors)
    assert statement.code("predictor") == (
        'pm.Normal("slopes", 0, d["slopes_scale"], dims="predictor")'
    )
    assert list(statement.arrays()) == ["slopes_scale"]
    np.testing.assert_array_equal(statement.arrays()["slopes_scale"], [1.0, 2.5])


def test_locations_that_differ_are_data() -> None:
    priors = [Prior("Normal", (0.0, 1.0)), Prior("Normal", (3.0, 1.0))]
    (statement,) = prior_statements("slopes", priors)
    assert statement.code() == 'pm.Normal("slopes", d["slopes_location"], d["slopes_scale"])'
    np.testing.assert_array_equal(statement.arrays()["slopes_location"], [0.0, 3.0])


def test_shape_arguments_stand_in_the_source_where_they_are_equal() -> None:
    (same,) = prior_statements("sd_g", [Prior("HalfStudentT", (4.0, 1.0))] * 2)
    assert same.code() == 'pm.HalfStudentT("sd_g", 4, d["sd_g_scale"])'
    differ = [Prior("HalfStudentT", (4.0, 1.0)), Prior("HalfStudentT", (7.5, 1.0))]
    (statement,) = prior_statements("sd_g", differ)
    assert statement.code() == 'pm.HalfStudentT("sd_g", d["sd_g_nu"], d["sd_g_scale"])'
    np.testing.assert_array_equal(statement.arrays()["sd_g_nu"], [4.0, 7.5])


def test_a_shape_with_many_digits_is_written_in_full() -> None:
    nu = 4.123456789012345
    (statement,) = prior_statements("sigma", [Prior("HalfStudentT", (nu, 1.0))], scalar=True)
    assert f"{nu!r}" in statement.code()


def test_different_distributions_are_components() -> None:
    priors = [Prior("HalfNormal", (2.0,)), Prior("Exponential", (3.0,))]
    first, second = prior_statements("sd_g", priors)
    assert first.code() == 'pm.HalfNormal("component_sd_g_1", d["component_sd_g_1_scale"])'
    assert second.code() == 'pm.Exponential("component_sd_g_2", d["component_sd_g_2_lam"])'
    assert second.arrays()["component_sd_g_2_lam"] == 3.0


def test_mlwin_is_the_root_of_a_variance() -> None:
    (statement,) = prior_statements("sigma", [Prior("MLwiN", (0.001, 0.001))], scalar=True)
    assert statement.derived
    assert statement.code() == (
        'pt.sqrt(pm.InverseGamma("variance_sigma", d["sigma_alpha"], d["sigma_beta"]))'
    )
