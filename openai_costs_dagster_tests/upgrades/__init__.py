"""Tests that databases of earlier releases can be opened, and their fixtures."""
