select row_security_active(%(table)s)
