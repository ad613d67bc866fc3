"""Tests of the warehouse: whole days, exact amounts, restatements, and no secrets in messages."""
