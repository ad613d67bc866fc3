"""Splits billed costs among users and API keys in proportion to their usage."""
