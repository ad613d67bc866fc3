"""What a database of every release becomes when this one opens it."""
