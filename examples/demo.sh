#!/usr/bin/env bash
# A server, four real scripts that are registered over REST, and a pipeline that
# invokes them over HTTP with real input. GANTRY is the binary; everything that
# is made goes to target/demo.
set -euo pipefail
cd "$(dirname "$0")/.."

results=target/demo
rm -rf "$results"
mkdir -p "$results/scripts"

. examples/server.sh

compiler() {
    local found
    for found in "${CXX:-c++}" g++ clang++; do
        command -v "$found" && return
    done
}

# Where there is no C++ compiler, one in a container does it.
compile_in_container() {
    local base image container
    printf '%s\n' 'jq -r "map(select(.role == \"binary\" and .current))[0].tag"' >"$results/tag.sh"
    base=$("$gantry" images list --json | "$gantry" run "$results/tag.sh" --input -)
    image=$(printf 'FROM %s\nUSER root\nRUN apt-get -q update && apt-get -q install -y --no-install-recommends g++\nCOPY fit.cpp /\nRUN g++ -O2 -static -o /fit /fit.cpp\n' "$base" |
        DOCKER_BUILDKIT=0 docker build -q -f - examples/particles)
    container=$(docker create "$image" /fit)
    docker cp "$container:/fit" "$1"
    docker rm "$container" >/dev/null
    docker rmi "$image" >/dev/null
}

say 'Images: built once, found by their hash ever after'
run images build

say 'A C++ program is compiled'
cxx=$(compiler || true)
if [ -n "$cxx" ]; then
    echo "$ $(basename "$cxx") -O2 -static -o $results/scripts/fit examples/particles/fit.cpp"
    "$cxx" -O2 -static -o "$results/scripts/fit" examples/particles/fit.cpp
else
    echo 'no C++ compiler here: compiling in a container'
    compile_in_container "$results/scripts/fit"
fi

say 'The server starts, on SQLite and a free port'
export GANTRY_SCRIPT_ROOTS=$PWD/examples:$PWD/$results/scripts
start_server

say 'An admin registers scripts: by their path on the server'
call POST /api/v1/admin/scripts -o /dev/null -d '{
  "name": "weather", "script_type": "shell",
  "file_path": "'"$PWD"'/examples/weather/report.sh",
  "description": "A year of weather from a CSV"}'
call POST /api/v1/admin/scripts -o /dev/null -d '{
  "name": "colour", "script_type": "python",
  "file_path": "'"$PWD"'/examples/colour/correct.py",
  "requirements_path": "'"$PWD"'/examples/colour/requirements.txt",
  "description": "Corrects the colour of a photograph",
  "argument_schema": {"type": "object", "required": ["image"]}}'
call POST /api/v1/admin/scripts -o /dev/null -d '{
  "name": "particles", "script_type": "binary",
  "file_path": "'"$PWD/$results"'/scripts/fit",
  "description": "Fits the flight of thrown particles", "limits": {"memory_bytes": 268435456}}'
call POST /api/v1/admin/scripts -o /dev/null -d '{
  "name": "runaway", "script_type": "shell", "timeout_secs": 2,
  "file_path": "'"$PWD"'/examples/runaway/script.sh",
  "description": "Ignores its time limit"}'
run scripts list

say 'The pipeline invokes one and waits for its answer'
{ printf '{"script": "weather", "job_id": "demo-1", "input": '; cat examples/weather/input.json; printf '}'; } >"$results/weather.json"
call POST /api/v1/executions -H 'Prefer: wait=60' -d "@$results/weather.json" >"$results/weather.answer"
grep -q '"status":"completed"' "$results/weather.answer"
grep -o '"status":"[a-z]*"\|"duration_ms":[0-9.]*\|"overhead_ms":[0-9.]*\|"stdout_bytes":[0-9]*' "$results/weather.answer"
sed -n '/"output_data":{/,/^}/p' "$results/weather.answer" | sed -n '1,12p'

say 'Another one is submitted, and followed live'
{ printf '{"script": "particles", "job_id": "demo-1", "input": '; cat examples/particles/input.json; printf '}'; } >"$results/particles.json"
particles=$(call POST /api/v1/executions -d "@$results/particles.json" | field id)
call GET "/api/v1/executions/$particles/events" | tee "$results/particles.events" | cut -c 1-240
grep -q '"status":"completed"' "$results/particles.events"

say 'Python with its own packages: its environment has been building since it was registered'
{ printf '{"script": "colour", "job_id": "demo-1", "input": '; cat examples/colour/input.json; printf '}'; } >"$results/colour.json"
colour=$(call POST /api/v1/executions -d "@$results/colour.json" | field id)
run executions logs --follow "$colour"
call GET "/api/v1/executions/$colour/artifacts"
echo
call GET "/api/v1/executions/$colour/artifacts/corrected.jpg" -o "$results/corrected.jpg"
ls -l "$results/corrected.jpg"

say 'A script that ignores its time limit: gone all the same'
run executions run runaway || echo "exit code $?"

say 'What the registry refuses'
refused POST /api/v1/executions -d '{"script": "colour", "input": {}}'
call DELETE /api/v1/admin/scripts/runaway -o /dev/null
refused POST /api/v1/executions -d '{"script": "runaway"}'

say 'The history'
run executions list --job-id demo-1
run executions list --script runaway

say 'The server stops'
stop_server

say "Done. The picture, the database and the server's log are in $results."
