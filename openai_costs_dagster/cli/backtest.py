"""`openai-costs backtest`: the detector, walked forward over anyone's daily spend."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from openai_costs_dagster.cli.errors import InputMistake

Sensitivity = Literal["low", "medium", "high"]

_SENSITIVITIES: tuple[Sensitivity, ...] = ("low", "medium", "high")


@click.command()
@click.argument("spend", metavar="SPEND.csv", type=click.Path(path_type=Path))
@click.option("--out", required=True, metavar="FLAGS.csv", type=click.Path(path_type=Path), help="Where verdicts go.")
@click.option("--sensitivity", type=click.Choice(_SENSITIVITIES), default="medium", show_default=True)
@click.option(
    "--minimum-impact-usd",
    "minimum_impact",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    help="What a day must differ by to be flagged, in US dollars.",
)
def backtest(spend: Path, out: Path, sensitivity: Sensitivity, minimum_impact: float) -> None:
    """Judge every day of a table of daily spend by the days before it alone.

    SPEND.csv has the columns organization, project, model, date and amount. FLAGS.csv gets a line for every day of
    every series: project and model, project, model, and organization.
    """
    import math

    from openai_costs_dagster.cli.spend_csv import read_spend, write_verdicts
    from openai_costs_dagster.spend.detection import backtest as detection
    from openai_costs_dagster.spend.detection.detector import Detector
    from openai_costs_dagster.spend.detection.parameters import Parameters

    if not math.isfinite(minimum_impact):
        raise InputMistake(f"--minimum-impact-usd {minimum_impact} is no amount of money")
    try:
        panel = detection.build_leaf_panel(read_spend(spend))
    except ValueError:
        raise InputMistake(f"{spend} holds no spend") from None
    verdicts = {one: Detector(panel, Parameters.for_sensitivity(one, minimum_impact)).run() for one in _SENSITIVITIES}
    count, flagged = write_verdicts(out, detection.verdict_rows(panel, verdicts[sensitivity]))
    click.echo(f"{len(panel.series):,} series, {count:,} verdicts, {flagged:,} flagged: {out}")
    click.echo("findings a month and organization, one for each cause:")
    for one in _SENSITIVITIES:
        rate = detection.findings_per_month(panel, verdicts[one])
        click.echo(f"  {one:8}{rate:8.1f}{'   (as asked)' if one == sensitivity else ''}")
