"""Synchronizes costs, usage and names from the OpenAI Admin API into Postgres, without Dagster.

Start with `costs.py`, which describes how one window of days is requested, checked and stored.

- `costs.py`, `cost_window.py`, `served_groupings.py`, `user_totals.py`: fetching and storing costs
- `usage.py`, `missing_endpoints.py`: fetching and storing usage
- `directory.py`: fetching and storing the names of projects, users and API keys
- `allocation.py`: allocation of stored costs to users and API keys
- `onboarding.py`, `history_start.py`: registration of organizations, and the first day of each organization's history
- `key_identity.py`: check that an admin key belongs to the expected OpenAI organization
- `provisional_days.py`: the rule that decides whether OpenAI may still change the costs of a day
- `outcome.py`: the result of a synchronization of costs, by day
- `failure_alerts.py`, `key_alerts.py`, `key_rotation.py`: alerts about failed runs and about the admin key
- `reclassification.py`: new classification of stored line items after a change of the classification rules
"""
