"""Asset factories, one module per asset. `orchestration/build.py` calls them."""
