insert into openai_costs.schema_metadata (key, value) values (%(key)s, %(value)s)
on conflict (key) do update set value = excluded.value
