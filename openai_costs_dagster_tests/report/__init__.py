"""Tests of the spend report and the FOCUS export."""
