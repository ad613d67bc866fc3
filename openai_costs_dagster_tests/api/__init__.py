"""Tests of the API client, with scripted responses and with the simulator over HTTP."""
