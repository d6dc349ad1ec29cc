"""Equations as pictures, and as source where they cannot be set."""

import base64

import pytest

from bayesml.reporting.pictures import equation_picture


def test_an_aligned_environment_becomes_a_picture() -> None:
    lines = r"y_i &\sim \mathrm{Normal}(\mu_i, \sigma) \\ \mu_i &= \beta_0"
    latex = rf"\begin{{aligned}}{lines}\end{{aligned}}"
    head, _, body = equation_picture(latex).partition(",")
    assert head == "data:image/svg+xml;base64"
    assert b"<svg" in base64.b64decode(body)


@pytest.mark.parametrize(
    "latex",
    [
        "",
        r"\begin{aligned}\end{aligned}",
        r"\begin{aligned} u &\sim N(0, \begin{bmatrix} a & b \\ c & d \end{bmatrix}) \end{aligned}",
        r"\begin{aligned} x &= \frac{1 \end{aligned}",
        r"\begin{aligned} x &= \unknowncommand{y} \end{aligned}",
    ],
)
def test_what_cannot_be_set_is_left_to_the_source(latex: str) -> None:
    assert equation_picture(latex) == ""
