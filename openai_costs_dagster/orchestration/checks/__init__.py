"""The asset checks that are defined apart from their assets."""
