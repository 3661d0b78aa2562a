# usage: stubborn.sh FOLDER N  - N processes that ignore INT, TERM and HUP, every other in its own session
trap '' INT TERM HUP
: > "$1/$$"
i=1
while [ "$i" -lt "$2" ]; do
  if [ $((i % 2)) = 1 ]; then setsid sh "$0" "$1" 1 & else sh "$0" "$1" 1 & fi
  i=$((i + 1))
done
exec sleep 1000
