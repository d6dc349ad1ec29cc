"""The command line: what it prints, where, its exit codes, and its promises about interruptions."""

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesml
import bayesml as bml
from bayesml.cli import COMMANDS, main
from bayesml.errors import BayesmlWarning
from bayesml.records.fits import Fit
from bayesml.specs.model_files import spec_from_toml

MODEL = """\
format = 1
formula = "score ~ hours"
[[groupings]]
columns = ["school"]
terms = ["1"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with a table and a model, and work in it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    school = np.repeat(np.arange(8), 6)
    hours = rng.normal(size=48)
    score = 1 + 0.5 * hours + rng.normal(size=8)[school] + rng.normal(size=48)
    pd.DataFrame({"school": school, "hours": hours, "score": score}).to_csv(
        "pupils.csv", index=False
    )
    Path("m.toml").write_text(MODEL)
    return tmp_path


def run(*words: str) -> int:
    return main(list(words))


# Help


def test_no_command_and_help_show_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    first = capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        run("--help")
    assert stop.value.code == 0
    assert capsys.readouterr().out == first
    assert all(f"\n    {name}" in first for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        run(name, "--help")
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert f"example:\n  bayesml {name} " in shown
    assert COMMANDS[name].explanation.partition("\n")[0] in shown


def test_the_version(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        run("--version")
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"bayesml {bayesml.__version__}\n"


def test_python_m_bayesml_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bayesml", "ft"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "bayesml: There is no command 'ft'. Did you mean 'fit'?\n"


@pytest.mark.parametrize(
    "words", [["--help"], ["fit", "--help"], ["--version"], ["frob"]], ids=" ".join
)
def test_help_loads_nothing_slow(words: list[str]) -> None:
    program = (
        "import sys\nfrom bayesml.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        "slow = {'pymc', 'pytensor', 'numba', 'arviz', 'nutpie', 'matplotlib', 'pandas', 'numpy'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


# Errors: on stderr, without a traceback, with exit code 2

FOLDER_ERRORS = {
    "no such table": (["describe", "pupil.csv"], ["no file 'pupil.csv'", "'pupils.csv'"]),
    "no such shipped table": (["describe", "dataset:exm"], ["'exm'", "'exam'"]),
    "no such column": (
        ["describe", "pupils.csv", "--groups", "shcool"],
        ["no column 'shcool'", "'school'"],
    ),
    "no such model": (["check", "n.toml", "pupils.csv"], ["'n.toml' cannot be read"]),
    "not TOML": (["check", "bad.toml", "pupils.csv"], ["bad.toml is not valid TOML", "line 1"]),
    "unknown key": (["check", "key.toml", "pupils.csv"], ["'famly'", "'family'"]),
    "typo in a column": (["check", "typo.toml", "pupils.csv"], ["no column 'huors'", "'hours'"]),
    "no such structure": (["new", "two_levl"], ["'two_levl'", "'two_level'"]),
    "no such family": (["new", "two_level", "--family", "poison"], ["'poison'", "'poisson'"]),
    "no such template": (["templates", "two_levels"], ["'two_levels'", "two_level"]),
    "arrays of nothing": (["code", "m.toml", "--arrays", "a.npz"], ["--arrays needs a TABLE"]),
    "nowhere to write": (["code", "m.toml", "-o", "no/such.py"], ["'no/such.py' cannot be"]),
    "no such fit": (["report", "fit.nc"], ["no results file 'fit.nc'"]),
    "not a fit": (["report", "pupils.csv"], ["'pupils.csv' cannot be read as a results file"]),
    "no draws": (["fit", "m.toml", "pupils.csv", "--draws", "0"], ["draws is 0"]),
    "bad acceptance": (
        ["fit", "m.toml", "pupils.csv", "--target-accept", "1.5"],
        ["target_accept is 1.5"],
    ),
    "force and resume": (
        ["fit", "m.toml", "pupils.csv", "--force", "--resume"],
        ["--force starts anew and --resume goes on"],
    ),
}


@pytest.mark.parametrize(("words", "said"), FOLDER_ERRORS.values(), ids=FOLDER_ERRORS)
def test_an_error_says_what_to_do(folder: Path, capsys, words, said) -> None:
    (folder / "bad.toml").write_text("formula = y ~ x\n")
    (folder / "key.toml").write_text('format = 1\nformula = "score ~ 1"\nfamly = "poisson"\n')
    (folder / "typo.toml").write_text(MODEL.replace("hours", "huors"))
    before = sorted(folder.iterdir())
    assert run(*words) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("bayesml: ")
    assert "Traceback" not in shown.err
    for part in said:
        assert part in shown.err
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("words", [["fit"], ["check", "m.toml"], ["demo", "--draws", "many"]])
def test_missing_and_wrong_arguments_show_the_usage(words, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        run(*words)
    assert stop.value.code == 2
    assert f"usage: bayesml {words[0]}" in capsys.readouterr().err


def test_ctrl_c_is_one_line_and_130(folder: Path, capsys, monkeypatch) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bayesml.commands.looking.open_table", interrupted)
    assert run("describe", "pupils.csv") == 130
    assert capsys.readouterr().err == "bayesml: stopped.\n"


def test_a_reader_that_stops_early_is_no_error() -> None:
    # More text than a pipe's buffer holds, so that printing meets the closed end.
    program = (
        "import sys\nfrom bayesml import cli\nfrom bayesml.commands import looking\n"
        "looking.run_new = lambda arguments: print('x' * 1_000_000)\n"
        "sys.exit(cli.main(['new', 'two_level']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(bayesml.__file__).parent.parent,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(10) == b"x" * 10
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


# Notes


def test_notes_of_the_table_are_shown_once_and_plainly(folder: Path, capsys) -> None:
    pd.DataFrame({"school": ["a", "b", "b"], "score": [1, -9, 3]}).to_csv("codes.csv", index=False)
    assert run("describe", "codes.csv", "--groups", "school") == 0
    shown = capsys.readouterr()
    notes = [line for line in shown.err.splitlines() if line.startswith("note: ")]
    assert len(notes) == len(shown.err.splitlines()) == 1
    assert "-9" in notes[0]
    assert ".py" not in shown.err
    assert run("describe", "codes.csv", "--groups", "school", "--na", "-9") == 0
    assert "looks like" not in capsys.readouterr().err


def test_other_warnings_keep_pythons_words(capsys, monkeypatch) -> None:
    def noisy(arguments: object) -> int:
        for _ in range(2):
            warnings.warn("ours", BayesmlWarning, stacklevel=1)
        warnings.warn("theirs", UserWarning, stacklevel=1)
        return 0

    monkeypatch.setattr("bayesml.commands.looking.run_new", noisy)
    with pytest.warns(UserWarning, match="theirs"):
        assert run("new", "two_level") == 0
    assert capsys.readouterr().err == "note: ours\n"


# Looking at tables and models


def test_describe_prints_the_structure(capsys) -> None:
    assert run("describe", "dataset:egsingle", "--groups", "childid", "schoolid") == 0
    shown = capsys.readouterr().out
    assert shown == f"{bml.describe(bml.load_dataset('egsingle'), ['childid', 'schoolid'])}\n"
    assert "childid is nested in schoolid" in shown


@pytest.mark.parametrize("kind", ["int", "float", "str"])
def test_describe_knows_memberships(folder: Path, capsys, kind: str) -> None:
    slots = pd.DataFrame({"first": [1, 2, 3, 1], "second": [2, 0, 0, 0]})
    if kind == "str":
        slots = slots.replace({0: "none"})
    slots.astype(kind).to_csv("workers.csv", index=False)
    absent = "none" if kind == "str" else "0"
    assert run("describe", "workers.csv", "--members", "first", "second", "--absent", absent) == 0
    shown = capsys.readouterr().out
    assert "3 rows belong to 1 unit, 1 rows belong to 2 units" in shown


def test_templates_are_listed_and_printed(capsys) -> None:
    assert run("templates") == 0
    listing = capsys.readouterr().out.splitlines()
    assert len(listing) >= 10
    names = [line.split()[0] for line in listing]
    assert {"two_level.toml", "two_level_gaussian.py"} <= set(names)
    assert all(len(line.split()) > 3 for line in listing)
    for name in names:
        assert run("templates", name) == 0
        text = capsys.readouterr().out
        if name.endswith(".toml"):
            assert spec_from_toml(text).formula
        else:
            compile(text, name, "exec")
    assert run("templates", "two_level") == 0
    assert capsys.readouterr().out.startswith("# ")


@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson", "ordinal"])
def test_new_prints_a_model_file_that_can_be_read(family: str, capsys) -> None:
    assert run("new", "three_level", "--family", family) == 0
    text = capsys.readouterr().out
    assert spec_from_toml(text).family == family
    assert "#" in text


def test_check_says_what_would_be_fitted(folder: Path, capsys) -> None:
    table = pd.read_csv("pupils.csv")
    table.loc[:4, "hours"] = np.nan
    table.to_csv("holes.csv", index=False)
    assert run("check", "m.toml", "holes.csv") == 0
    shown = capsys.readouterr()
    assert "score ~ hours + (1 | school)" in shown.out
    assert "43 of 48 rows" in shown.out
    assert "Rows left out: 5, with values missing in: hours 5" in shown.out
    assert "Coefficients: Intercept, hours" in shown.out
    assert "vpc school" in shown.out
    assert [line for line in shown.out.splitlines() if line.startswith("sd_school[Intercept]")]
    # The model's notes are part of the answer, so they are not repeated as notes beside it.
    assert shown.out.count("were left out because") == 1
    assert shown.err == ""


def test_check_and_code_compile_and_sample_nothing(folder: Path) -> None:
    program = (
        "import sys\nfrom bayesml.cli import main\n"
        "for words in (['check', 'm.toml', 'pupils.csv'], ['code', 'm.toml', 'pupils.csv']):\n"
        "    assert main(words) == 0\n"
        "print(sorted({'pymc', 'pytensor', 'nutpie', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(bayesml.__file__).parent.parent)},
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_code_is_what_is_fitted(folder: Path, capsys) -> None:
    model = bml.two_level(pd.read_csv("pupils.csv"), "score ~ hours", group="school")
    assert run("code", "m.toml", "pupils.csv") == 0
    assert capsys.readouterr().out == model.source
    words = ["--arrays", "arrays.npz", "-o", "model.py"]
    assert run("code", "m.toml", "pupils.csv", *words) == 0
    assert Path("model.py").read_text(encoding="utf-8") == model.source
    with np.load("arrays.npz") as arrays:
        assert set(model.data) <= set(arrays)
        np.testing.assert_array_equal(arrays["y"], model.data["y"])


MIXED = """\
format = 1
structure = "multivariate"
formula = "mvbind(score, passed) ~ x"

[[groupings]]
columns = ["school"]

[family]
score = "gaussian"
passed = "binomial"
"""


def test_outcomes_of_two_families_go_through_the_command_line(folder: Path, capsys) -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"school": np.arange(40) % 8, "x": rng.normal(size=40)})
    table.assign(score=rng.normal(size=40), passed=np.arange(40) % 3 // 2).to_csv("t.csv")
    Path("mixed.toml").write_text(MIXED, encoding="utf-8")
    assert run("check", "mixed.toml", "t.csv") == 0
    shown = capsys.readouterr().out
    assert "family gaussian (score), binomial (passed)" in shown
    assert "vpc school [passed]" in shown
    for words in (["mixed.toml"], ["mixed.toml", "t.csv"]):
        assert run("code", *words) == 0
        code = capsys.readouterr().out
        assert 'pm.Bernoulli("passed", logit_p=eta_passed, observed=d["y_passed"]' in code
        compile(code, "code", "exec")
    Path("wrong.toml").write_text(MIXED.replace('passed = "bin', 'pased = "bin'), encoding="utf-8")
    assert run("check", "wrong.toml", "t.csv") == 2
    assert "family names 'pased', which is not an outcome" in capsys.readouterr().err


def test_code_without_a_table_says_so(folder: Path, capsys) -> None:
    assert run("code", "m.toml") == 0
    text = capsys.readouterr().out
    compile(text, "model.py", "exec")
    assert "Written without a table" in text
    assert "z_school" in text


# Reports of saved fits


@pytest.mark.parametrize(("asked", "note"), [(50, False), (80, True)])
def test_report_writes_a_page(folder, capsys, fake_fit: Callable[..., Fit], asked, note) -> None:
    model = bml.two_level(pd.read_csv("pupils.csv"), "score ~ hours", group="school")
    fake_fit(model, draws=50, asked=asked).save("fit.nc")
    assert run("report", "fit.nc", "-o", "page.html", "--prob", "0.5") == 0
    shown = capsys.readouterr()
    assert shown.out == "Written: page.html\n"
    assert ("note: The fit is incomplete: 100 draws of 160." in shown.err) == note
    assert "50 % equal-tailed interval" in Path("page.html").read_text(encoding="utf-8")


# What is there is not overwritten


def test_results_that_exist_are_not_replaced(folder: Path, capsys) -> None:
    Path("fit.nc").write_text("precious")
    assert run("fit", "m.toml", "pupils.csv", "-o", "fit.nc") == 2
    assert "'fit.nc' exists. Add --force" in capsys.readouterr().err
    assert run("fit", "m.toml", "pupils.csv", "-o", "fit.nc", "--resume") == 2
    assert "There is nothing to resume" in capsys.readouterr().err
    assert Path("fit.nc").read_text() == "precious"


def test_finished_chains_are_not_thrown_away(folder: Path, capsys) -> None:
    Path("fit.nc.parts").mkdir()
    Path("fit.nc.parts/chain-0.npz").write_text("precious")
    assert run("fit", "m.toml", "pupils.csv", "-o", "fit.nc") == 2
    shown = capsys.readouterr().err
    assert "1 finished chains" in shown
    assert "--resume" in shown
    assert "--force" in shown
    assert Path("fit.nc.parts/chain-0.npz").read_text() == "precious"


# Sampling

FIT = ["fit", "m.toml", "pupils.csv", "--seed", "11", "--cores", "1", "--no-progress"]


def same_draws(first: Fit, second: Fit) -> bool:
    return first.posterior.identical(second.posterior)


@pytest.mark.sampling
def test_fit_and_report(folder: Path, capsys) -> None:
    words = [*FIT, "--draws", "60", "--tune", "60", "--chains", "2", "-o", "a b.nc", "--no-data"]
    assert run(*words) == 0
    shown = capsys.readouterr()
    assert "score ~ hours + (1 | school)" in shown.out
    assert "Do not rely on these results yet" in shown.out
    assert "Written: a b.nc" in shown.out
    assert "bayesml report 'a b.nc' -o 'a b.html'" in shown.out
    assert not Path("a b.nc.parts").exists()
    fit = bml.load("a b.nc")
    assert fit.complete
    assert fit.seed == 11
    assert "observed_data" not in fit.data.children
    assert run("report", "a b.nc", "-o", "a b.html") == 0
    assert "score ~ hours" in Path("a b.html").read_text(encoding="utf-8")
    # Anew, with --force, the same draws.
    assert run(*words) == 2
    assert run(*words, "--force") == 0
    assert same_draws(bml.load("a b.nc"), fit)


@pytest.mark.sampling
def test_a_killed_run_resumes_with_the_same_draws(folder: Path, capsys) -> None:
    # Long enough that the second chain is still running when the first is seen to be finished.
    words = [*FIT, "--draws", "3000", "--tune", "500", "--chains", "3"]
    parts = Path("killed.nc.parts")
    with subprocess.Popen(
        [sys.executable, "-m", "bayesml", *words, "-o", "killed.nc"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(bayesml.__file__).parent.parent)},
    ) as process:
        deadline = time.monotonic() + 300
        while not list(parts.glob("chain-*.npz")) and time.monotonic() < deadline:
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert not Path("killed.nc").exists()
    kept = sorted(parts.glob("chain-*.npz"))
    assert 1 <= len(kept) < 3
    first = kept[0].stat().st_mtime_ns

    assert run(*words, "-o", "killed.nc") == 2
    assert "finished chains of an earlier run" in capsys.readouterr().err
    assert kept[0].stat().st_mtime_ns == first
    changed = [word if word != "11" else "12" for word in words]
    assert run(*changed, "-o", "killed.nc", "--resume") == 2
    assert "another" in capsys.readouterr().err

    assert run(*words, "-o", "killed.nc", "--resume") == 0
    assert not parts.exists()
    assert run(*words, "-o", "whole.nc") == 0
    assert same_draws(bml.load("killed.nc"), bml.load("whole.nc"))


@pytest.mark.sampling
def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(folder: Path, capsys) -> None:
    words = [*FIT, "--draws", "3000", "--tune", "500", "--chains", "3", "-o", "fit.nc"]
    with subprocess.Popen(
        [sys.executable, "-m", "bayesml", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(bayesml.__file__).parent.parent)},
    ) as process:
        deadline = time.monotonic() + 300
        while not list(Path("fit.nc.parts").glob("chain-*.npz")) and time.monotonic() < deadline:
            assert process.poll() is None, "the run ended before it could be stopped"
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    assert "Traceback" not in err
    assert "The run stopped early" in " ".join(out.split())
    assert "--resume" in out
    assert not bml.load("fit.nc").complete
    assert list(Path("fit.nc.parts").glob("chain-*.npz"))
    assert run(*words, "--resume") == 0
    assert bml.load("fit.nc").complete
    assert not Path("fit.nc.parts").exists()


@pytest.mark.sampling
def test_the_demo_goes_the_whole_way(folder: Path, capsys) -> None:
    words = ["demo", "--draws", "100", "--chains", "2", "--folder", "out"]
    assert run(*words) == 0
    shown = capsys.readouterr().out
    for part in (
        "4,059 rows",
        "normexam ~ standLRT + (standLRT | school)",
        "Coefficients, with the 89 % equal-tailed interval",
        "Variance components",
        "Variance partition (VPC)",
    ):
        assert part in shown
    fit = bml.load("out/exam.nc")
    assert fit.complete
    assert (folder / "out" / "exam.html").stat().st_size > 50_000
    slope = float(fit.posterior["beta"].sel(coef="standLRT").mean())
    # REML gives 0.557, and the posterior's SD is 0.020; 200 draws that mix badly are worth 20.
    assert slope == pytest.approx(0.557, abs=0.02)


def test_durations_go_through_the_command_line(folder: Path, capsys) -> None:
    assert run("new", "two_level", "--family", "weibull") == 0
    text = capsys.readouterr().out
    assert "surv(response, status) ~ x" in text
    own = 'surv(time, status) ~ age + sex"'
    kidney = text.replace('surv(response, status) ~ x"', own).replace('"school"', '"id"')
    (folder / "k.toml").write_text(kidney.replace('terms = ["1 + x"]', 'terms = ["1"]'))
    assert run("check", "k.toml", "dataset:kidney") == 0
    assert "family weibull" in capsys.readouterr().out
    assert run("code", "k.toml", "dataset:kidney") == 0
    assert "pm.CustomDist(" in capsys.readouterr().out
