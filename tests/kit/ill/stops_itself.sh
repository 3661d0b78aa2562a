# usage: stops_itself.sh FOLDER  - stops, with a child that stops too
: > "$1/$$"
(sh -c ': > "$0/$$"; kill -STOP $$' "$1") &
kill -STOP $$
