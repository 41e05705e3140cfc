-- PostgreSQL enforces the isolation of organizations a second time here, by row-level security. SQLite has no roles: the
-- file belongs to one process, and the first condition of every statement is the organization.

select 1;
