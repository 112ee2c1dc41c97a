#!/bin/bash
# A script that does what scripts should not: looks around, and will not end.
echo "I am $(id -un), and these are all processes that I see: $(ls /proc | grep -c '^[0-9]')"
touch /etc/mine 2>/dev/null || echo 'The file system is read-only.'
curl --silent --max-time 1 http://1.1.1.1 || echo 'There is no network.'
trap 'echo "I was asked to end, and go on."' TERM
while :; do sleep 1; done
