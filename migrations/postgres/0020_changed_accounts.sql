-- In which version of the directory an account or one of its routes was changed last: processes read again what has changed
-- since they looked, and not all accounts.

alter table accounts add column changed_in bigint not null default 0;

create index accounts_changed_in on accounts (changed_in);
