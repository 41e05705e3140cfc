# Throw-away PostgreSQL clusters on loopback, for ./tests/run, ./tests/hostile/run and ./benches/run. To be sourced.
#
# Server binaries that are found are used (PG_BIN names their folder); if there are none, Debian's are installed, which
# takes root or sudo. PostgreSQL refuses to run as root: then it runs as the user that its package made.

fail() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }

find_postgres() {
    local bin
    for bin in "${PG_BIN:-}" $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -Vr) \
        "$(dirname "$(command -v initdb 2>/dev/null || echo /none/initdb)")"; do
        if [ -n "$bin" ] && [ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ]; then
            echo "$bin"
            return
        fi
    done
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
as_owner() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }

# Sets pg_bin.
need_postgres() {
    pg_bin=$(find_postgres)
    [ -n "$pg_bin" ] && return
    command -v apt-get >/dev/null \
        || fail "no PostgreSQL server binaries: install PostgreSQL 15 or later, or set PG_BIN to the folder of initdb"
    echo "installing PostgreSQL"
    as_root env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -q && apt-get install -q -y postgresql' >/dev/null \
        || fail "PostgreSQL could not be installed: install PostgreSQL 15 or later yourself, or set PG_BIN to the folder of initdb"
    pg_bin=$(find_postgres)
    [ -n "$pg_bin" ] || fail "PostgreSQL was installed, and its server binaries are not found"
}

# Sets work: a temporary folder that the clusters live in.
need_work_folder() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/switchboard-work.XXXXXX")
    chmod 755 "$work"
    if [ "$(id -u)" = 0 ]; then
        id postgres >/dev/null 2>&1 || fail "running as root, and there is no user postgres to run PostgreSQL as"
        chown postgres "$work"
    fi
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null \
        || echo $((20000 + RANDOM % 20000))
}

# start_cluster NAME SETTING…: prints the port.
start_cluster() {
    local folder="$work/$1" port settings="" setting
    shift
    port=$(free_port)
    for setting in "$@"; do settings="$settings -c $setting"; done
    as_owner "$pg_bin/initdb" -D "$folder" -U postgres -A trust -E UTF8 --no-locale >"$folder.log" 2>&1 \
        || { cat "$folder.log" >&2; return 1; }
    as_owner "$pg_bin/pg_ctl" -D "$folder" -w -l "$folder/log" \
        -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$work -c max_connections=500$settings" \
        start >>"$folder.log" 2>&1 || { cat "$folder.log" "$folder/log" >&2; return 1; }
    rm -f "$folder.log"
    echo "$port"
}

# Starts what the tests need, and exports where it is. The first cluster is for databases by the hundred; the second is stopped
# and started by tests: `$TEST_POSTGRES_CTL stop`, `crash` or `start`.
start_test_clusters() {
    local port second
    port=$(start_cluster main fsync=off shared_buffers=64MB) || fail "PostgreSQL does not start"
    second=$(start_cluster restarted) || fail "PostgreSQL does not start"
    export TEST_POSTGRES="postgres://postgres@127.0.0.1:$port"
    export TEST_POSTGRES_RESTARTED="postgres://postgres@127.0.0.1:$second"
    cat >"$work/ctl" <<CTL
#!/bin/sh
run() { if [ "\$(id -u)" = 0 ]; then runuser -u postgres -- "\$@"; else "\$@"; fi; }
case "\$1" in
    stop) run "$pg_bin/pg_ctl" -D "$work/restarted" -m fast -w stop ;;
    crash) run "$pg_bin/pg_ctl" -D "$work/restarted" -m immediate -w stop ;;
    start) run "$pg_bin/pg_ctl" -D "$work/restarted" -w -l "$work/restarted/log" -o "-p $second -c listen_addresses=127.0.0.1 -c unix_socket_directories=$work -c max_connections=500" start ;;
    *) false ;;
esac >/dev/null 2>&1
CTL
    chmod 755 "$work/ctl"
    export TEST_POSTGRES_CTL="$work/ctl"
    unset DATABASE_URL
}

stop_clusters() {
    local folder
    for folder in "$work"/*/; do
        [ -f "$folder/postmaster.pid" ] && as_owner "$pg_bin/pg_ctl" -D "$folder" -m immediate stop >/dev/null 2>&1
    done
    rm -rf "$work"
    return 0
}
