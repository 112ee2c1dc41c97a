#!/usr/bin/env bash
# Four real scripts, three of them on real input, each in a sandbox of its own. GANTRY is the
# binary; results go to target/demo.
set -euo pipefail
cd "$(dirname "$0")/.."

gantry=${GANTRY:?set it to the gantry binary}
results=target/demo
rm -rf "$results"
mkdir -p "$results"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

# Prints a command as one would type it, and runs it.
run() {
    printf '$ gantry'
    printf ' %q' "$@"
    printf '\n'
    "$gantry" "$@"
}

compiler() {
    local found
    for found in "${CXX:-c++}" g++ clang++; do
        command -v "$found" && return
    done
}

# Where there is no C++ compiler, one in a container does it.
compile_in_container() {
    local base image container
    base=$("$gantry" images list --json | jq_in_sandbox)
    image=$(printf 'FROM %s\nUSER root\nRUN apt-get -q update && apt-get -q install -y --no-install-recommends g++\nCOPY fit.cpp /\nRUN g++ -O2 -static -o /fit /fit.cpp\n' "$base" |
        DOCKER_BUILDKIT=0 docker build -q -f - examples/particles)
    container=$(docker create "$image" /fit)
    docker cp "$container:/fit" "$results/fit"
    docker rm "$container" >/dev/null
    docker rmi "$image" >/dev/null
}

# The tag of the current binary image, read by a script in a sandbox.
jq_in_sandbox() {
    printf '%s\n' 'jq -r "map(select(.role == \"binary\" and .current))[0].tag"' >"$results/tag.sh"
    "$gantry" run "$results/tag.sh" --input -
}

say 'Images: built once, found by their hash ever after'
run images build

say '1. A shell script: a year of weather from a CSV'
run run examples/weather/report.sh --input @examples/weather/input.json

say '2. Python with its own packages: colour-corrects a photograph'
run run examples/colour/correct.py \
    --requirements examples/colour/requirements.txt \
    --input @examples/colour/input.json \
    --artifacts "$results/colour"
ls -l "$results/colour"

say '3. A compiled C++ program: fits the flight of thrown particles'
cxx=$(compiler || true)
if [ -n "$cxx" ]; then
    echo "$ $(basename "$cxx") -O2 -static -o $results/fit examples/particles/fit.cpp"
    "$cxx" -O2 -static -o "$results/fit" examples/particles/fit.cpp
else
    echo 'no C++ compiler here: compiling in a container'
    compile_in_container
fi
run run "$results/fit" --input @examples/particles/input.json

say '4. A script that ignores its time limit: gone all the same'
run run examples/runaway/script.sh --timeout 2s || echo "exit code $?"

say "Done. The pictures are in $results/colour."
