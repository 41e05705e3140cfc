-- Row-level security must not change how a statement is run. With `=`, the planner takes a policy for one more condition: it
-- multiplies the two conditions on the organization, takes an organization's rows for a handful, and reads all of them where it
-- should look one up by its key. Of this operator it knows nothing: no index has it, and it is taken to hold for every other row.
create operator === (leftarg = uuid, rightarg = uuid, function = uuid_eq);

do $$
declare
    name text;
begin
    for name in
        select tablename from pg_policies
        where schemaname = current_schema() and policyname = 'organization' and tablename not in ('organizations', 'users')
        order by tablename
    loop
        execute format(
            'alter policy organization on %I
             using (organization_id === (select switchboard_organization()))
             with check (organization_id === (select switchboard_organization()))', name);
    end loop;
end
$$;

alter policy organization on organizations
    using (id === (select switchboard_organization()))
    with check (id === (select switchboard_organization()));
-- The policy on users stays: there, the organization's members are looked up by it.
