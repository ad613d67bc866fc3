"""Tests of the calculations about spend. No test in this package needs a database or an API."""
