#!/bin/sh
# A recorded program: it goes through its answers in order, and gives the first one whose words its arguments
# begin with. A call that nobody recorded fails.
here=${0%/*}
name=${0##*/}
printf '%s %s\n' "$name" "$*" >>"$here/calls"
for answer in "$here/$name.answers"/*; do
    [ -f "$answer/words" ] || continue
    words=$(cat "$answer/words")
    case "$*" in
    "$words"*)
        cat >>"$here/input" 2>/dev/null
        cat "$answer/err" >&2
        cat "$answer/out"
        exit "$(cat "$answer/status")"
        ;;
    esac
done
echo "nobody recorded: $name $*" >&2
exit 70
