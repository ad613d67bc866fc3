"""The command line as its users meet it: real processes, exact words, exit codes."""
