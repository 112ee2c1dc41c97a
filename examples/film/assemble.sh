#!/bin/bash
# Puts frames and sound together to a film.
# Reads {"frames": "<folder of PNGs>", "sound"?: "<file>", "rate": "24/1"}; leaves graded.mp4.
set -euo pipefail
input=$(cat)
frames=$(jq -er '.frames' <<<"$input") || { echo 'assemble: input: frames is missing' >&2; exit 2; }
rate=$(jq -r '.rate // "24/1"' <<<"$input")
sound=$(jq -r '.sound // empty' <<<"$input")
mkdir -p out
ffmpeg -nostdin -loglevel error \
    -framerate "$rate" -i "$frames/%04d.png" ${sound:+-i "$sound" -c:a copy -shortest} \
    -c:v libx264 -preset veryfast -pix_fmt yuv420p -movflags +faststart out/graded.mp4
ffprobe -v error -of json -show_entries \
    format=duration:stream=codec_type,codec_name,width,height,nb_frames out/graded.mp4 |
    jq '{film: "graded.mp4", duration: .format.duration, streams}'
