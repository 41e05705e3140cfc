-- What the planner is to believe of tables with more than one index. Left alone it takes an organization's rows for ten, and
-- reads them all by the primary key rather than leave another index for the columns that this one lacks.
--
-- Each row gives the rows of an index, and how many of them share its first column, its first two, and so on. The primary key
-- of a table without row ids bears the table's name. There must be more rows than the planner expects of a list of values
-- (a million), or it will read the whole table once for a Bloom filter.

analyze organizations;

delete from sqlite_stat1;

insert into sqlite_stat1 (tbl, idx, stat) values
    ('routes', 'routes', '1000000000 1000000 1'),
    ('routes', 'routes_line', '1000000000 1000000 1000 500 1'),
    ('routes', 'routes_one_active', '1000000000 4 1'),
    ('contact_identities', 'contact_identities', '1000000000 1000000 1'),
    ('contact_identities', 'contact_identities_contact', '1000000000 1000000 2'),
    ('contact_identities', 'contact_identities_value', '1000000000 1000000 500000 1 1'),
    ('leads', 'leads', '1000000000 1000000 1'),
    ('leads', 'leads_contact', '1000000000 1000000 1'),
    ('messages', 'messages', '1000000000 1000000 1'),
    ('messages', 'messages_person', '1000000000 1000000 100 1'),
    ('messages', 'messages_provider_ref', '1000000000 1000000 1'),
    ('message_attachments', 'message_attachments', '1000000000 1000000 2 1'),
    ('message_attachments', 'message_attachments_id', '1000000000 1000000 1'),
    ('message_attachments', 'message_attachments_due', '1000000 10'),
    ('message_attachments', 'message_attachments_blob', '1000000000 1000000 2'),
    ('waiting_changes', 'waiting_changes', '1000000000 1000000 2 1'),
    ('waiting_changes', 'waiting_changes_received', '1000000000 10'),
    ('call_logs', 'call_logs', '1000000000 1000000 1'),
    ('call_logs', 'call_logs_person', '1000000000 1000000 100 1'),
    ('call_logs', 'call_logs_provider_ref', '1000000000 1000000 1'),
    ('webhook_quarantine', 'sqlite_autoindex_webhook_quarantine_1', '1000000000 1000000 1'),
    ('webhook_quarantine', 'webhook_quarantine_inbox', '1000000000 10'),
    ('webhook_quarantine', 'webhook_quarantine_open', '1000000 300000 1000'),
    ('outbound', 'outbound', '1000000000 1000000 1'),
    ('outbound', 'outbound_due', '100000000 100000 50000 25000 10 1'),
    ('outbound', 'outbound_conversation', '100000000 2 1'),
    ('outbound', 'outbound_claimed', '1000 100'),
    ('outbound', 'outbound_unknown', '1000 1'),
    ('outbound', 'outbound_dead', '100000 100 1'),
    ('lane_pairs', 'lane_pairs', '1000000000 1000000 500000 1'),
    ('lane_pairs', 'lane_pairs_refilled', '1000000000 10'),
    ('idempotency_keys', 'idempotency_keys', '1000000000 1000000 1'),
    ('idempotency_keys', 'idempotency_keys_created', '1000000000 10'),
    ('templates', 'templates', '1000000000 1000000 1000 1'),
    ('templates', 'templates_name', '1000000000 1000000 2');

analyze sqlite_schema;
