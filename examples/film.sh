#!/usr/bin/env bash
# A short clip goes through a chain of scripts, each step by reference: its frames are
# extracted, graded in Python, and put together again by ffmpeg. GANTRY is the binary;
# everything that is made goes to target/film.
set -euo pipefail
cd "$(dirname "$0")/.."

results=target/film
rm -rf "$results"
mkdir -p "$results"

. examples/server.sh

# Runs a script on files and waits for its end: SCRIPT INPUT FILES.
step() {
    local script=$1 input=$2 files=$3
    call POST /api/v1/executions -H 'Prefer: wait=300' -o "$results/$script.json" \
        -d "{\"script\": \"$script\", \"job_id\": \"film-1\", \"input\": $input, \"files\": $files}"
    execution=$(field id <"$results/$script.json")
    # The environment of the first one may take longer than that on a busy machine.
    while grep -q '"status":"pending"\|"status":"running"' "$results/$script.json"; do
        "$gantry" executions wait "$execution" >/dev/null || true
        call GET "/api/v1/executions/$execution" -o "$results/$script.json"
    done
    grep -o '"status":"[a-z]*"' "$results/$script.json" | sed -n '1p'
    grep -q '"status":"completed"' "$results/$script.json" || {
        cat "$results/$script.json" >&2
        exit 1
    }
}

say 'Images: built once, found by their hash ever after'
run images build

say 'The server starts, on SQLite and a free port'
export GANTRY_SCRIPT_ROOTS=$PWD/examples/film
start_server

say 'An admin registers four scripts; three need ffmpeg, one numpy and Pillow'
for script in clip frames assemble; do
    call POST /api/v1/admin/scripts -o /dev/null -d '{
      "name": "'$script'", "script_type": "shell", "system_packages": ["ffmpeg"],
      "file_path": "'"$PWD/examples/film/$script"'.sh",
      "limits": {"memory_bytes": 1073741824, "cpus": 2, "disk_bytes": 2147483648}}'
done
call POST /api/v1/admin/scripts -o /dev/null -d '{
  "name": "grade", "script_type": "python",
  "file_path": "'"$PWD"'/examples/film/grade.py",
  "requirements_path": "'"$PWD"'/examples/film/requirements.txt",
  "limits": {"disk_bytes": 2147483648}}'

say 'A photograph is uploaded, and the first script makes a clip of it'
photograph=$(type=image/jpeg call POST '/api/v1/files?name=photograph.jpg' \
    --data-binary @examples/colour/photograph.jpg | field digest)
step clip '{"seconds": 4}' "{\"photograph.jpg\": \"$photograph\"}"
call GET "/api/v1/executions/$execution/artifacts/clip.mp4" -o "$results/clip.mp4"

say 'A pipeline has a clip: it uploads it, and has its frames extracted'
clip=$(type=video/mp4 call POST '/api/v1/files?name=clip.mp4' \
    --data-binary "@$results/clip.mp4" | field digest)
step frames '{"clip": "in/clip.mp4"}' "{\"clip.mp4\": \"$clip\"}"
frames=$execution
rate=$(grep -o '"rate": *"[^"]*"' "$results/frames.json" | cut -d '"' -f 4)

say 'They are graded: the frames go from one script to the next without a byte through the client'
step grade '{"frames": "in/frames"}' "{\"frames\": \"execution:$frames/frames\"}"
graded=$execution

say 'And put together again, with the sound of the clip'
step assemble "{\"frames\": \"in/frames\", \"sound\": \"in/sound.m4a\", \"rate\": \"$rate\"}" \
    "{\"frames\": \"execution:$graded/graded\", \"sound.m4a\": \"execution:$frames/sound.m4a\"}"
film=$execution
grep -o '"output_data":{[^}]*}' "$results/assemble.json" || true

say 'The film is downloaded, the second half first'
bytes=$(curl --silent --fail --head "$GANTRY_URL/api/v1/executions/$film/artifacts/graded.mp4" \
    -H "Authorization: Bearer $GANTRY_TOKEN" | tr -d '\r' | sed -n 's/^[Cc]ontent-[Ll]ength: //p')
call GET "/api/v1/executions/$film/artifacts/graded.mp4" -r "$((bytes / 2))-" -o "$results/second"
call GET "/api/v1/executions/$film/artifacts/graded.mp4" -r "0-$((bytes / 2 - 1))" -o "$results/graded.mp4"
cat "$results/second" >>"$results/graded.mp4" && rm "$results/second"
ls -l "$results/graded.mp4"
call GET /api/v1/storage
echo

say 'What became of the job'
run executions list --job-id film-1
echo "$GANTRY_URL/executions/$film shows the film"
if [ -t 0 ] && [ -t 1 ]; then
    read -r -p 'the server runs on until you press Enter '
fi

say 'The server stops'
stop_server

say "Done. The clip and the film are in $results."
