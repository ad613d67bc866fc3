"""How fast the load is, beside its peers and the bare floor: `python -m benchmarks`. Nothing here is installed.

Modules that contenders import know the standard library alone, for not every contender has our dependencies.
"""
