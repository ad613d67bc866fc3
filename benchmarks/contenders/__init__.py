"""One module per contender; each is run as a process of its own by `benchmarks.measuring`."""
