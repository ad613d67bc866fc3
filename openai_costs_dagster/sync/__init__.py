"""Synchronizes costs, usage and names from the OpenAI Admin API into Postgres, without Dagster.

Start with `costs.py`, which describes how one window of days is requested, checked and stored.

- `costs.py`, `cost_window.py`, `served_groupings.py`, `user_totals.py`: costs
- `usage.py`, `missing_endpoints.py`: usage
- `directory.py`: names of projects, users and API keys
- `allocation.py`: allocation of stored costs to users and API keys
- `onboarding.py`, `history_start.py`, `key_identity.py`: organizations, their first day, and the owner of their key
- `provisional_days.py`: when a day stops being provisional
- `outcome.py`: the result of a run
- `failure_alerts.py`, `key_alerts.py`, `key_rotation.py`: alerts about failed runs and about the admin key
- `reclassification.py`: line items after a change of the classification rules
"""
