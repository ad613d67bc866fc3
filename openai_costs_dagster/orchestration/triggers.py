"""What started a run: only a refresh may alert."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from openai_costs_dagster.orchestration.asset_keys import ASKED_BY_TAG

REFRESH, BACKFILL, PERSON = TRIGGERS = ("refresh", "backfill", "person")

# Dagster copies all tags of a run to its automatic retry and to a person's re-execution; both have a parent, and only
# the retry has a number. A re-executed backfill keeps the tags of the backfill before it.
_RETRY_NUMBER_TAG = "dagster/retry_number"
_PARENT_RUN_TAG = "dagster/parent_run_id"
_PARENT_BACKFILL_TAG = "dagster/parent_backfill_id"
_BACKFILL_TAG = "dagster/backfill"
_AUTOMATION_TAG = "dagster/from_automation_condition"
_TICK_TAGS = ("dagster/schedule_name", "dagster/sensor_name")


def asked_by(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Return what started a run: ``refresh``, ``backfill`` or ``person``.

    Runs of schedules, sensors and automation conditions are refreshes; an automatic retry counts as the run that it
    retries, a person's re-execution as ``person``. The tag `openai-costs/asked_by` overrides this. Raises `Failure` for
    another value of that tag.
    """
    if ASKED_BY_TAG in run.tags:
        return _overridden(run.tags[ASKED_BY_TAG])
    origin: dg.DagsterRun | None = run
    while origin and _RETRY_NUMBER_TAG in origin.tags:
        origin = instance.get_run_by_id(origin.tags.get(_PARENT_RUN_TAG, ""))
    return _by_tags(origin.tags if origin else {**run.tags, _PARENT_RUN_TAG: ""})


def _by_tags(tags: Mapping[str, str]) -> str:
    if tags.get(_PARENT_BACKFILL_TAG):
        return BACKFILL
    if tags.get(_PARENT_RUN_TAG):
        return PERSON
    if tags.get(_AUTOMATION_TAG) == "true":
        return REFRESH
    if _BACKFILL_TAG in tags:
        return BACKFILL
    return REFRESH if any(tag in tags for tag in _TICK_TAGS) else PERSON


def _overridden(value: str) -> str:
    if value not in TRIGGERS:
        expected = f"{', '.join(TRIGGERS[:-1])} or {TRIGGERS[-1]}"
        raise dg.Failure(f"the tag {ASKED_BY_TAG} is {value!r}: it must be {expected}", allow_retries=False)
    return value
