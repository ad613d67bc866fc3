-- From here on readers see of each view the rows of those organizations alone that are named for them here, by a role
-- that they are or are a member of; '*' is every organization. Whoever is named nowhere sees nothing.
create table if not exists openai_costs.reader_organizations (
    reader text not null,
    organization text not null,
    primary key (reader, organization)
);
comment on table openai_costs.reader_organizations is 'which role sees which organization in the views; * is every one';
alter table openai_costs.reader_organizations owner to openai_costs_owner;
revoke all on openai_costs.reader_organizations from public, openai_costs_loader, openai_costs_reader;
