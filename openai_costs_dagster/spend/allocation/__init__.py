"""Allocation: split billed costs among users and API keys by usage."""
