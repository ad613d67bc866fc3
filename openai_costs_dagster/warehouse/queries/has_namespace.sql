select to_regnamespace(%(name)s) is not null
