#!/bin/bash
# Makes a short clip of a photograph: a slow move into it, under a tone.
# Reads {"seconds"?: 4, "rate"?: 24}; the photograph is photograph.jpg among the files.
set -euo pipefail
input=$(cat)
seconds=$(jq -r '.seconds // 4' <<<"$input")
rate=$(jq -r '.rate // 24' <<<"$input")
mkdir -p out
ffmpeg -nostdin -loglevel error \
    -i in/photograph.jpg \
    -f lavfi -i "sine=frequency=220:duration=$seconds" \
    -vf "scale=2560:-2,zoompan=z=1+0.25*on/($seconds*$rate):x=iw/2-iw/zoom/2:y=ih/2-ih/zoom/2:d=$seconds*$rate:s=960x640:fps=$rate" \
    -c:v libx264 -pix_fmt yuv420p -c:a aac -t "$seconds" -movflags +faststart out/clip.mp4
jq -n --argjson seconds "$seconds" --argjson rate "$rate" '{clip: "clip.mp4", $seconds, $rate}'
