"""Tests that upgrade databases of earlier releases, and the fixtures with the rows of these databases."""
