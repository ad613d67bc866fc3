"""Asset checks that run in steps of their own, after their asset. To add a check, see `orchestration/build.py`."""
