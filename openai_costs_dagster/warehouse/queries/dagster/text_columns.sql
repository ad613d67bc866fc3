-- The text columns of Dagster's tables.
select table_name, column_name
from information_schema.columns
where table_schema = 'openai_costs_dagster' and data_type in ('text', 'character varying')
order by table_name, column_name
