#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# pair.sh [-t SECONDS] [-m MIB] [-c CPUS] [-d DIR]... [-k SECONDS] [-n NAME]
#	VARIANT COMMAND
#
# Boots two guests that are on one fabric and on one Ethernet, and runs COMMAND in
# both. In there, ROLE is a or b, ME and PEER are the addresses, and "meet NAME"
# waits until the other one is there too. Output is shown with the role in front.
# Exits with 0 if both did and the daemon had nothing to complain about.
#
#  -k SECONDS  kill the daemon's worker so often, which nobody may notice
#  the others are those of guest.sh
#
# DIBS_FABRIC is another daemon than the one that is built here.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

OPTS=() DIRS=() KILL='' NAME=pair
while getopts t:m:c:d:k:n: opt; do
	case $opt in
	t | m | c) OPTS+=("-$opt" "$OPTARG") ;;
	d) DIRS+=(-d "$OPTARG") ;;
	k) KILL=$OPTARG ;;
	n) NAME=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -eq 2 ] || die "which kernel variant and which command?"

need_pkgs gcc make libseccomp-dev libjansson-dev
FABRIC=${DIBS_FABRIC:-$B/dibs/plain/dibs-fabric}
[ -n "${DIBS_FABRIC:-}" ] ||
	quietly "$B/log/dibs-fabric" make -C "$TOP/tools/dibs" OUT="$B/dibs"

mkdir -p "$B/run" "$B/log" "$B/results"
RUN=$(mktemp -d "$B/run/pair.XXXXXX")
LOG=$B/log/$NAME-fabric
DAEMON='' KILLER='' GUESTS=()
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
	local pid
	for pid in $KILLER $DAEMON "${GUESTS[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
	wait
	rm -rf "$RUN"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

"$FABRIC" --fabric-id 0xff01 --port "$RUN/a.sock" --port "$RUN/b.sock" \
	--control "$RUN/control" 2>"$LOG" &
DAEMON=$!
until [ -S "$RUN/b.sock" ]; do
	kill -0 $DAEMON 2>/dev/null || die "the daemon ended: $(cat "$LOG")"
	sleep 0.05
done

# kill_workers: the daemon's child, again and again
kill_workers() {
	while sleep "$KILL"; do
		pkill -KILL -P $DAEMON || true
	done
}

# guest ROLE N PEER NETDEV COMMAND
guest() {
	local net="-netdev $4,id=net -device virtio-net-pci,netdev=net,mac=52:54:00:00:00:0$2"
	local rc=0
	"$TOP/scripts/guest.sh" "${OPTS[@]}" "${DIRS[@]}" -d "$TOP/scripts/guest" \
		-n "$NAME-$1" -f "$RUN/$1.sock" -x "$net" "$VARIANT" \
		"export ROLE=$1 ME=10.0.0.$2 PEER=10.0.0.$3
		. /opt/dibs/pair
		$5" 2>&1 |
		sed -u "s/^/$1: /" | tee -a "$RUN/out" || rc=$?
	echo "$rc" >"$RUN/$1.status"
}

VARIANT=$1
link="addr.type=unix,addr.path=$RUN/link"
guest a 1 2 "stream,server=on,$link" "$2" &
GUESTS+=($!)
until [ -S "$RUN/link" ] || [ -e "$RUN/a.status" ]; do sleep 0.1; done
guest b 2 1 "stream,server=off,$link" "$2" &
GUESTS+=($!)
if [ -n "$KILL" ]; then
	kill_workers &
	KILLER=$!
fi
wait "${GUESTS[@]}"
GUESTS=()
kill $DAEMON
wait $DAEMON || die "the daemon ended with status $?"
DAEMON=''
a=$(cat "$RUN/a.status") b=$(cat "$RUN/b.status")
died=$(grep -c '^worker: died' "$LOG" || true)
if [ -n "$KILL" ]; then
	echo "workers killed: $died"
elif [ "$died" -gt 0 ]; then
	cat "$LOG"
	die "a worker died"
fi
grep -vE '^(fabric 0x|port [ab]: (connected|closed: disconnected)$|worker: died \(9\))' \
	"$LOG" && die "the daemon said more than it should have"
cp "$RUN/out" "$B/results/$NAME"
[ "$a" -eq 0 ] && [ "$b" -eq 0 ]
