# Runs a command once and prints what it has left, as a layer.
#
# $0 is the mode of the script's file, $1 its path, and the rest the command. Whatever
# the command does, all that is printed is checked before an image gets it.
chmod "$0" "$1"
shift
cd /work || exit
(exec "$@") </dev/null >&2
code=$?
[ "$code" = 0 ] || exit "$code"

# Nobody writes any more while the files are read; the shell itself is spared.
kill -KILL -1 2>/dev/null
rm -rf /work/out
caches=
[ ! -d /run/gantry/__pycache__ ] || caches=run/gantry/__pycache__
exec tar --create --directory=/ --format=posix --pax-option=delete=atime,delete=ctime \
    --sort=name --mtime=@315532800 --owner=0 --group=0 --numeric-owner \
    --mode=u=rwX,go=rX --hard-dereference --anchored --exclude=work/in \
    --transform='s,^work,opt/warm-up/work,S' --transform='s,^run/gantry,opt/warm-up/run,S' \
    work $caches
