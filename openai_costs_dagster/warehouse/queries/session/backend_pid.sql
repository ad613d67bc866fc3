-- The id of the server process. Both statements are sent in one message, so that a pooler passes them to the same
-- process, and the setting ends with the implicit transaction.
set local statement_timeout = 0;
select pg_backend_pid()
