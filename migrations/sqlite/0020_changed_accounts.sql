-- In which version of the directory an account or one of its routes was changed last: processes read again what has changed
-- since they looked, and not all accounts.

alter table accounts add column changed_in integer not null default 0;

create index accounts_changed_in on accounts (changed_in);

-- What the planner is to believe of it: hardly any have changed.
insert into sqlite_stat1 (tbl, idx, stat) values ('accounts', 'accounts_changed_in', '10000 1');
