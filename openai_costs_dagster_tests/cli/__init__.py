"""Tests of the command line: exact output, exit codes and real processes."""
