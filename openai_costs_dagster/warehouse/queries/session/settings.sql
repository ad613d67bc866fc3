-- The settings of every session, which override those of the server, the database and the role. The settings are plain
-- SET statements, because some connection poolers refuse startup options. All statements are sent in one message, which
-- no timeout can interrupt.
set statement_timeout = 0;
set lock_timeout = 0;
set idle_in_transaction_session_timeout = 0;
set idle_session_timeout = 0;
set client_encoding = 'UTF8';
set timezone = 'UTC';
set datestyle = 'ISO, MDY';
set intervalstyle = 'postgres';
set bytea_output = 'hex';
set extra_float_digits = 1;
set standard_conforming_strings = on;
set array_nulls = on;
set transform_null_equals = off;
set quote_all_identifiers = off;
set row_security = on;
set exit_on_error = off;
set default_transaction_isolation = 'read committed';
set search_path = pg_catalog;
-- Settings that some PostgreSQL versions lack, or that only a superuser may change.
select set_config(name, wanted, false)
from (
    values
        ('transaction_timeout', '0'),
        ('restrict_nonsystem_relation_kind', ''),
        ('session_replication_role', 'origin')
) as setting (name, wanted)
where current_setting(name, true) <> wanted
