"""`openai-costs backtest`: runs the anomaly detector over a CSV file of past daily spend."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from openai_costs_dagster.cli.errors import InputMistake

Sensitivity = Literal["low", "medium", "high"]

_SENSITIVITIES: tuple[Sensitivity, ...] = ("low", "medium", "high")


@click.command()
@click.argument("spend", metavar="SPEND.csv", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, metavar="FLAGS.csv", type=click.Path(path_type=Path), help="The file for the verdicts."
)
@click.option(
    "--sensitivity",
    type=click.Choice(_SENSITIVITIES),
    default="medium",
    show_default=True,
    help="The sensitivity of the verdicts in FLAGS.csv.",
)
@click.option(
    "--minimum-impact-usd",
    "minimum_impact",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    help="The smallest difference from the expected amount that is flagged, in US dollars.",
)
def backtest(spend: Path, out: Path, sensitivity: Sensitivity, minimum_impact: float) -> None:
    """Evaluate every day of a spend table by the data of the days before it.

    SPEND.csv has the columns organization, project, model, date and amount. FLAGS.csv receives a row for every day of
    every series. The series are the models within projects, the projects, the models and the organizations.
    """
    import math

    from openai_costs_dagster.cli.spend_csv import read_spend, write_verdicts
    from openai_costs_dagster.spend.detection import backtest as detection
    from openai_costs_dagster.spend.detection.detector import Detector
    from openai_costs_dagster.spend.detection.parameters import Parameters

    # The option type `FloatRange` accepts "nan" and "inf", which are no amounts.
    if not math.isfinite(minimum_impact):
        raise InputMistake(f"--minimum-impact-usd must be a finite number, not {minimum_impact}")
    try:
        panel = detection.build_spend_panel(read_spend(spend))
    except ValueError:
        raise InputMistake(f"{spend} contains no spend; add at least one row below the header") from None
    verdicts = {
        level: Detector(panel, Parameters.for_sensitivity(level, minimum_impact)).run() for level in _SENSITIVITIES
    }
    count, flagged = write_verdicts(out, detection.verdict_rows(panel, verdicts[sensitivity]))
    click.echo(f"Wrote {count:,} verdicts on {len(panel.series):,} series to {out}; {flagged:,} days are flagged.")
    click.echo("Findings per month and organization, by sensitivity:")
    for level in _SENSITIVITIES:
        rate = detection.findings_per_month(panel, verdicts[level])
        click.echo(f"  {level:8}{rate:8.1f}{'   (selected)' if level == sensitivity else ''}")
