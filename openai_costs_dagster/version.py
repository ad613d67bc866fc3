"""The version of this release. All other places read the version from this module."""

__version__ = "0.1.0"
