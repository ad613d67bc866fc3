"""The rules of the detector. Each module flags unusual days of one kind, or removes flags for one reason."""
