-- Alerts name a user as "Ada (user-abc)". The statement replaces this text by the id.
update openai_costs.outbox as alert
set message = replace(alert.message, known.name || ' (' || known.id || ')', known.id)
from openai_costs.directory_names as known
where
    alert.organization = %(organization)s
    and known.organization = alert.organization
    and known.kind = 'user'
    and known.id = %(user_id)s
    and position(known.name || ' (' || known.id || ')' in alert.message) > 0
