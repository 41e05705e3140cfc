-- What PostgreSQL's row-level security does is left to the statements here, each of which names its organization.
select 1;
