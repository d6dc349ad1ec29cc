"""bayesml beside Bambi with nutpie: `python -m benchmarks.compare_bambi [MODEL ...]`.

Every run has a process of its own; the two take turns, after one warm-up each that fills the disk
caches. 4 chains of 1,000 draws after 1,000 tuning draws on two cores. Medians of five runs; of the
large table `crossed` (75,000 rows in 3,000 x 1,000 x 14 units) one run without a warm-up, and only
where it is named.
"""

import datetime
import json
import platform
import statistics
import subprocess
import sys
from typing import Any

MODELS = ("exam", "exam_conditional", "contraception", "grouseticks", "socatt")
RUNS = 5
LARGE = ("crossed",)


def run(software: str, model: str, seed: int) -> dict[str, Any]:
    """Return what one run in a new process measured."""
    command = [sys.executable, "-m", "benchmarks.one_run", software, model, str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:])} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main(models: list[str]) -> None:
    """Print one row per model and software, and the ratios."""
    print(f"{datetime.date.today()}, {platform.machine()}, Python {platform.python_version()}")
    print(
        "| model | software | seconds | min ESS of SDs | ESS/s | worst R-hat | divergences | GiB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for model in models or MODELS:
        rates = {}
        results: dict[str, list[dict[str, Any]]] = {"bayesml": [], "bambi": []}
        runs = 1 if model in LARGE else RUNS
        for software in results if runs > 1 else ():
            run(software, model, seed=0)
        for seed in range(1, runs + 1):
            for software, rows in results.items():
                rows.append(run(software, model, seed))
        for software, rows in results.items():
            seconds = statistics.median(row["seconds"] for row in rows)
            rates[software] = statistics.median(row["ess"] / row["seconds"] for row in rows)
            print(
                f"| {model} | {software} | {seconds:.1f} | "
                f"{statistics.median(row['ess'] for row in rows):.0f} | {rates[software]:.0f} | "
                f"{max(row['r_hat'] for row in rows):.3f} | "
                f"{max(row['divergences'] for row in rows)} | "
                f"{max(row['peak'] for row in rows):.2f} |",
                flush=True,
            )
        ratio = rates["bayesml"] / rates["bambi"]
        print(f"| {model} | ratio | | | {ratio:.1f} | | | |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
