"""The rules of the detector: each decides about one kind of day or event."""
