# What the demonstrations share, to be read by them: printed commands, calls of the API, and
# a server on a free port with its data in $results. GANTRY is the binary.
# shellcheck shell=bash

gantry=${GANTRY:?set it to the gantry binary}

command -v curl >/dev/null || {
    echo 'error: curl is not installed' >&2
    echo 'hint: the demo talks to the server as a pipeline would; install curl' >&2
    exit 1
}

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

# Prints a command as one would type it, and runs it.
run() {
    printf '$ gantry'
    printf ' %q' "$@"
    printf '\n'
    "$gantry" "$@"
}

# Calls the API: METHOD PATH [curl's arguments]; shows the call without what is
# the same in each.
call() {
    local method=$1 path=$2
    shift 2
    printf '$ curl -X %s $GANTRY_URL%s' "$method" "$path" >&2
    printf ' %q' "$@" >&2
    printf '\n' >&2
    curl --silent --show-error ${fails---fail-with-body} --no-buffer -X "$method" "$GANTRY_URL$path" \
        -H "Authorization: Bearer $GANTRY_TOKEN" -H "Content-Type: ${type-application/json}" "$@"
}

# The same for what is to be refused: the answer is shown, whatever its status.
refused() {
    fails='' call "$@"
    echo
}

# The first string with this name in a JSON document. Each program of a pipe reads to
# its end: one that ends early has the one before it killed by SIGPIPE, at random.
field() { grep -o "\"$1\":\"[^\"]*\"" | sed -n '1p' | cut -d '"' -f 4; }

server=

# Starts a server and waits until it listens; it may read scripts below the folders of
# GANTRY_SCRIPT_ROOTS.
start_server() {
    export GANTRY_DATA_DIR=$PWD/$results/data
    echo '$ gantry serve --listen 127.0.0.1:0'
    "$gantry" serve --listen 127.0.0.1:0 >"$results/serve.out" 2>"$results/serve.log" &
    server=$!
    trap kill_server EXIT
    until grep -q '^listening on ' "$results/serve.out"; do
        kill -0 "$server" 2>/dev/null || { cat "$results/serve.log" >&2; exit 1; }
        sleep 0.05
    done
    sed 's/^admin token: .*/admin token: (shown once)/' "$results/serve.out"
    GANTRY_URL=$(sed -n 's/^listening on //p' "$results/serve.out")
    GANTRY_TOKEN=$(sed -n 's/^admin token: //p' "$results/serve.out")
    export GANTRY_URL GANTRY_TOKEN
}

kill_server() {
    [ -z "$server" ] || kill -TERM "$server" 2>/dev/null || true
    wait 2>/dev/null || true
}

# Stops the server, which leaves no container.
stop_server() {
    kill -TERM "$server"
    wait "$server"
    server=
    local left
    left=$(docker ps --all --quiet --filter "label=gantry.installation=$(cat "$GANTRY_DATA_DIR/installation")" | wc -l)
    echo "containers left: $left"
    [ "$left" -eq 0 ]
}
