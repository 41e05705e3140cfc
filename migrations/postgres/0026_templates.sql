-- Templates that are made, changed and deleted through us.

-- How messages name a template's variables: positional or named; null where the provider does not tell these apart, or has not
-- been asked since.
alter table templates add column parameter_format text;

-- How often templates were made, changed or deleted by us, or said to have changed by their provider: a list that was asked for
-- before the last time says nothing.
alter table template_syncs add column changes bigint not null default 0;

-- All templates are listed anew, so that their formats are known.
update template_syncs set due_at = 'epoch';
