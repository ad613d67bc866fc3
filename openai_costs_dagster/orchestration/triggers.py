"""The trigger of a run (schedule, backfill or manual), derived from its Dagster tags.

Only runs with the trigger ``schedule`` send alerts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

import dagster as dg

from openai_costs_dagster.orchestration.asset_keys import TRIGGER_TAG
from openai_costs_dagster.records import Trigger

SCHEDULE: Final = "schedule"
BACKFILL: Final = "backfill"
MANUAL: Final = "manual"

# Runs that were queued before the upgrade to 0.1.0 have their trigger in this older tag, with older values. Without
# this tag, a queued backfill would send alerts.
_FORMER_TAG = "openai-costs/asked_by"
_FORMER_VALUES: Mapping[str, Trigger] = {"refresh": SCHEDULE, "backfill": BACKFILL, "person": MANUAL}

# Dagster copies all tags of a run to its automatic retry and to its manual re-execution. Retry and re-execution have
# the tag of a parent run, but only the retry has a retry number. A re-executed backfill keeps the tags of the original
# backfill.
_RETRY_NUMBER_TAG = "dagster/retry_number"
_PARENT_RUN_TAG = "dagster/parent_run_id"
_PARENT_BACKFILL_TAG = "dagster/parent_backfill_id"
_BACKFILL_TAG = "dagster/backfill"
_AUTOMATION_TAG = "dagster/from_automation_condition"
_TICK_TAGS = ("dagster/schedule_name", "dagster/sensor_name")


def trigger_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Trigger:
    """Return the trigger of a run.

    Runs of schedules, sensors and automation conditions have the trigger ``schedule``. An automatic retry has the
    trigger of the run that it retries. A manual re-execution is ``manual``. The tag `openai-costs/trigger` overrides
    these rules. Raises `Failure` if the value of the tag is not a trigger.
    """
    if TRIGGER_TAG in run.tags:
        return _overridden(run.tags[TRIGGER_TAG])
    if run.tags.get(_FORMER_TAG) in _FORMER_VALUES:
        return _FORMER_VALUES[run.tags[_FORMER_TAG]]
    origin: dg.DagsterRun | None = run
    while origin and _RETRY_NUMBER_TAG in origin.tags:
        origin = instance.get_run_by_id(origin.tags.get(_PARENT_RUN_TAG, ""))
    # If the original run was deleted, the retry is classified by its own tags. The tag of the parent run is ignored,
    # because it would classify the retry as a manual re-execution.
    return _by_tags(origin.tags if origin else {**run.tags, _PARENT_RUN_TAG: ""})


def _by_tags(tags: Mapping[str, str]) -> Trigger:
    if tags.get(_PARENT_BACKFILL_TAG):
        return BACKFILL
    if tags.get(_PARENT_RUN_TAG):
        return MANUAL
    if tags.get(_AUTOMATION_TAG) == "true":
        return SCHEDULE
    if _BACKFILL_TAG in tags:
        return BACKFILL
    return SCHEDULE if any(tag in tags for tag in _TICK_TAGS) else MANUAL


def _overridden(value: str) -> Trigger:
    for trigger in get_args(Trigger):
        if value == trigger:
            return trigger  # type: ignore[no-any-return]
    raise dg.Failure(
        f"the tag {TRIGGER_TAG} is {value!r}: it must be {SCHEDULE}, {BACKFILL} or {MANUAL}", allow_retries=False
    )
