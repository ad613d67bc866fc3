"""Tests of the warehouse: complete days, exact amounts, restatements, and no secrets in messages."""
