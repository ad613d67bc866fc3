"""The rules of the detector: each module flags days of one kind or removes flags for one reason."""
