"""Tests of the rules about money, which need no database and no API."""
