//! The timeline's SQL, put together for the engine and for what is asked.
//!
//! Parameters: 1 organization, 2 places below this one, 3 places from this one on, 4 lead or contact, 5 limit, 6 offset,
//! and if the selection is narrow: 7 direction, 8 channel, 9 pattern.

use std::fmt::Write;
use std::sync::OnceLock;

use crate::store::Engine;

/// Whose communications are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Organization,
    Lead,
    Contact,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) engine: Engine,
    pub(super) scope: Scope,
    pub(super) with_total: bool,
    pub(super) narrow: bool,
    /// Whether the statement itself tells row-level security whose rows it may read.
    pub(super) sets_organization: bool,
}

/// Sets the organization, and lets nothing be read before. Should a plan ever read first, it would read nothing: what
/// a connection was set to before is another organization, and the conditions name this one.
const SETTING: (&str, &str) = (
    "setting as materialized (select set_config('switchboard.organization_id', $1::text, false) as done),",
    "where (select done from setting) is not null",
);

/// One of the two tables.
#[derive(Debug, Clone, Copy)]
enum Table {
    Messages,
    Calls,
}

const TABLES: [Table; 2] = [Table::Messages, Table::Calls];

/// The columns every row of the page has, of a table called `t`. Statuses, kinds and texts go by the same names.
const MESSAGE_COLUMNS: &str = "t.organization_id, t.id, false as is_call, t.identity_id, t.channel, t.provider, t.direction, t.content,
    t.kind, t.status, t.metadata, t.our_address, t.occurred_at, t.created_at, t.processed_at, t.id as place";
const CALL_COLUMNS: &str = "t.organization_id, t.id, true as is_call, t.identity_id, t.channel, t.provider, t.direction,
    t.transcript as content, 'call' as kind, t.state as status, t.metadata, t.our_address, t.occurred_at,
    t.created_at, t.processed_at, t.place";

impl Table {
    fn name(self) -> &'static str {
        match self {
            Table::Messages => "messages",
            Table::Calls => "call_logs",
        }
    }

    fn columns(self) -> &'static str {
        match self {
            Table::Messages => MESSAGE_COLUMNS,
            Table::Calls => CALL_COLUMNS,
        }
    }

    /// Where a row lies on the timeline: an id whose time is the one that is shown. A message's time never changes, so that
    /// is its own id; a call's may turn out to be earlier than what was first heard of it.
    fn place(self) -> &'static str {
        match self {
            Table::Messages => "t.id",
            Table::Calls => "t.place",
        }
    }

    fn by_person(self) -> &'static str {
        match self {
            Table::Messages => "indexed by messages_person",
            Table::Calls => "indexed by call_logs_person",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Table::Messages => "content",
            Table::Calls => "transcript",
        }
    }
}

impl Plan {
    /// The statement. Put together once for each plan: it is long.
    pub(super) fn sql(self) -> &'static str {
        static STATEMENTS: [OnceLock<String>; 48] = [const { OnceLock::new() }; 48];

        let engine = usize::from(self.engine == Engine::Postgres);
        let flags = [self.with_total, self.narrow, self.sets_organization];
        let place = flags
            .into_iter()
            .fold(self.scope as usize * 2 + engine, |place, flag| place * 2 + usize::from(flag));
        STATEMENTS[place].get_or_init(|| self.compose())
    }

    fn compose(self) -> String {
        let page = match self.engine {
            Engine::Postgres => self.postgres_page(),
            Engine::Sqlite => self.sqlite_page(),
        };
        let who = self.who();
        let (setting, once_set) = if self.sets_organization { SETTING } else { ("", "") };
        let total = if self.with_total { self.total() } else { "null".to_owned() };
        let shown = shown(self.engine, &self.scope.people(), &total);
        format!(
            "with {setting} {who} page as ({page}) {} from page {} {once_set} order by page.place desc",
            shown.select, shown.join
        )
    }

    /// The identities of the person asked for, and whose they are.
    fn who(self) -> &'static str {
        match self.scope {
            Scope::Organization => "",
            Scope::Lead => {
                "who as (select i.id, i.contact_id from leads l join contact_identities i
                     on i.organization_id = l.organization_id and i.contact_id = l.contact_id
                     where l.organization_id = $1 and l.id = $4),"
            }
            Scope::Contact => {
                "who as (select i.id, i.contact_id from contact_identities i
                     where i.organization_id = $1 and i.contact_id = $4),"
            }
        }
    }

    /// What every row must meet, of a table called `t`.
    fn conditions(self, table: Table) -> String {
        let place = table.place();
        let mut conditions = format!("t.organization_id = $1 and {place} < $2 and {place} >= $3");
        if self.scope == Scope::Organization {
            // The parameter is there whatever is asked for.
            conditions.push_str(match self.engine {
                Engine::Postgres => " and $4::uuid is null",
                Engine::Sqlite => " and $4 is null",
            });
        }
        if self.narrow {
            let text = table.text();
            let [direction, channel, pattern] = match self.engine {
                Engine::Postgres => ["$7::text", "$8::text", "$9::text"],
                Engine::Sqlite => ["$7", "$8", "$9"],
            };
            let _ = write!(conditions,
                " and ({direction} is null or t.direction = {direction})
                  and ({channel} is null or t.channel = {channel})
                  and ({pattern} is null or lower(coalesce(t.{text}, '')) like {pattern} escape '\\')"
            );
        }
        conditions
    }

    /// From each table and identity the newest rows that could be on the page, by index; then the newest of all.
    fn postgres_page(self) -> String {
        let branch = |table: Table| {
            let (columns, name, conditions, place) =
                (table.columns(), table.name(), self.conditions(table), table.place());
            match self.scope {
                Scope::Organization => format!(
                    "(select {columns} from {name} t where {conditions} order by {place} desc limit $5 + $6)"
                ),
                Scope::Lead | Scope::Contact => format!(
                    "(select t.* from who cross join lateral (select {columns} from {name} t
                      where {conditions} and t.identity_id = who.id order by {place} desc limit $5 + $6) t)"
                ),
            }
        };
        let [messages, calls] = TABLES.map(branch);
        format!("{messages} union all {calls} order by place desc limit $5 offset $6")
    }

    /// SQLite has no lateral joins: the places of the page first, from the indexes, and then the rows.
    fn sqlite_page(self) -> String {
        // Left to itself, SQLite would read the organization's whole history, newest first, until it has met enough of the
        // person's.
        let of_person = |table: Table| match self.scope {
            Scope::Organization => ("", ""),
            Scope::Lead | Scope::Contact => {
                (table.by_person(), "and t.identity_id in (select id from who)")
            }
        };
        let branch = |table: Table| {
            let (name, conditions) = (table.name(), self.conditions(table));
            let (index, of_person) = of_person(table);
            let place = table.place();
            format!("select {place} from {name} t {index} where {conditions} {of_person}")
        };
        let [messages, calls] = TABLES.map(branch);
        let places = format!("{messages} union all {calls} order by 1 desc limit $5 offset $6");
        let rows = |table: Table| {
            format!(
                "select {} from {} t where t.organization_id = $1 and {} in (select place from places)",
                table.columns(),
                table.name(),
                table.place()
            )
        };
        let [messages, calls] = TABLES.map(rows);
        format!("with places (place) as ({places}) {messages} union all {calls}")
    }

    fn total(self) -> String {
        let of_person = match self.scope {
            Scope::Organization => "",
            Scope::Lead | Scope::Contact => "and t.identity_id in (select id from who)",
        };
        let count = |table: Table| {
            let (name, conditions) = (table.name(), self.conditions(table));
            format!("(select count(*) from {name} t where {conditions} {of_person})")
        };
        TABLES.map(count).join(" + ")
    }
}

/// How a row's contact and lead are found.
struct People {
    contact: &'static str,
    lead: &'static str,
    join: &'static str,
}

impl Scope {
    fn people(self) -> People {
        // All rows of a person's timeline are of one contact; and whoever asks for a lead knows which one.
        let contact = "(select contact_id from who limit 1)";
        match self {
            Scope::Lead => People { contact, lead: "null", join: "" },
            Scope::Contact => People {
                contact,
                lead: "(select l.id from leads l where l.organization_id = $1 and l.contact_id = $4 order by l.id limit 1)",
                join: "",
            },
            Scope::Organization => People {
                contact: "i.contact_id",
                lead: "(select l.id from leads l where l.organization_id = page.organization_id
                    and l.contact_id = i.contact_id order by l.id limit 1)",
                join: "left join contact_identities i
                    on i.organization_id = page.organization_id and i.id = page.identity_id",
            },
        }
    }
}

/// The rows of the ids in `k (o, i)`.
pub(super) fn by_ids(engine: Engine) -> String {
    let branch = |table: Table| {
        format!(
            "select {} from k join {} t on t.organization_id = k.o and t.id = k.i",
            table.columns(),
            table.name()
        )
    };
    let [messages, calls] = TABLES.map(branch);
    let shown = shown(engine, &Scope::Organization.people(), "null");
    format!("{} from ({messages} union all {calls}) page {}", shown.select, shown.join)
}

/// The page's rows, completed with what stands in other tables.
struct Shown {
    select: String,
    join: &'static str,
}

fn shown(engine: Engine, people: &People, total: &str) -> Shown {
    let People { contact, lead, join } = people;
    let (object, strip, array, json, id) = match engine {
        Engine::Postgres => ("jsonb_build_object", "jsonb_strip_nulls", "jsonb_agg", "", "a.id"),
        Engine::Sqlite => ("json_object", "", "json_group_array", "json", "lower(hex(a.id))"),
    };
    let files = format!(
        "(select {array}({strip}({object}('position', a.position, 'id', {id}, 'kind', a.kind,
             'mime_type', coalesce(a.stored_mime_type, a.mime_type), 'filename', a.filename,
             'size', coalesce(a.stored_size, a.size), 'state', a.state, 'warning', a.warning,
             'error', case when a.state <> 'stored' then a.last_error end)) order by a.position)
          from message_attachments a
          where a.organization_id = page.organization_id and a.message_id = page.id)"
    );
    let call = format!(
        "(select {object}('recordings', {json}(c.recordings), 'duration_seconds', c.duration_seconds,
             'answered_at', c.answered_at, 'ended_at', c.ended_at, 'answered_by', c.answered_by,
             'hangup_cause', c.hangup_cause, 'hangup_source', c.hangup_source, 'sip_code', c.sip_code,
             'cost_nanos', c.cost_nanos, 'cost_currency', c.cost_currency,
             'provider_call_id', c.provider_call_id, 'session_id', c.session_id,
             'parent_call_id', c.parent_call_id)
          from call_logs c where c.organization_id = page.organization_id and c.id = page.id)"
    );
    let select = format!(
        "select page.id, page.is_call, {contact}, {lead}, page.channel, page.provider, page.direction,
            page.content, page.kind, page.status, page.metadata,
            case when page.is_call then {call}
                 when page.kind in ('image', 'audio', 'voice', 'video', 'document', 'sticker') then {files} end,
            page.our_address, page.occurred_at, page.created_at, page.processed_at, page.place, {total}"
    );
    Shown { select, join }
}

#[cfg(test)]
mod tests;
