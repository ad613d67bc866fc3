"""The asset factories."""
