"""The warehouse keeps what it is given: whole days, exact amounts, every restatement, and no secret."""
