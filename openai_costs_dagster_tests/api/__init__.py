"""The line to the Admin API, held against scripted answers and the simulator over real HTTP."""
