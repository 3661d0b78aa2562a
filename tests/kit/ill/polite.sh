# usage: polite.sh FOLDER  - ends as soon as it is asked
: > "$1/$$"
exec sleep 1000
