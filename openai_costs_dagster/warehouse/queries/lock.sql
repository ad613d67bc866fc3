select pg_advisory_lock(hashtextextended(%(key)s, 0))
