"""Tests of the spend report in Chromium, and the program that takes the screenshots of the documentation."""
