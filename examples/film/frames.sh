#!/bin/bash
# Extracts the frames and the sound of a clip.
# Reads {"clip": "clip.mp4"}; leaves frames/0001.png and so on, and sound.m4a if there is sound.
set -euo pipefail
clip=$(jq -er '.clip') || { echo 'frames: input: clip is missing' >&2; exit 2; }
mkdir -p out/frames
ffmpeg -nostdin -loglevel error -i "$clip" -compression_level 1 out/frames/%04d.png
streams=$(ffprobe -v error -show_entries stream=codec_type,r_frame_rate -of json "$clip")
if jq -e '[.streams[].codec_type] | index("audio")' <<<"$streams" >/dev/null; then
    ffmpeg -nostdin -loglevel error -i "$clip" -vn -c:a copy out/sound.m4a
fi
frames=(out/frames/*.png)
jq --argjson frames "${#frames[@]}" \
    '{$frames, rate: (.streams[] | select(.codec_type == "video").r_frame_rate)}' <<<"$streams"
