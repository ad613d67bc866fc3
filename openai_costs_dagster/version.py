"""The version of this release: the build and all other modules read the version from this module."""

__version__ = "0.1.0"
