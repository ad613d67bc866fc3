-- The server process that answers. One message, so that both statements reach the same process and no timeout, and
-- nothing is set beyond its end.
set local statement_timeout = 0;
select pg_backend_pid()
