-- Readers see only rows of the organizations that this table grants to their role, or to a role of which they are a
-- member. '*' means every organization. Readers without a grant see no rows.
create table if not exists openai_costs.reader_organizations (
    reader text not null,
    organization text not null,
    primary key (reader, organization)
);
comment on table openai_costs.reader_organizations is 'grants of organizations to reader roles; * means every organization';
alter table openai_costs.reader_organizations owner to openai_costs_owner;
revoke all on openai_costs.reader_organizations from public, openai_costs_loader, openai_costs_reader;
