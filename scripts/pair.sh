#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# pair.sh [-t SECONDS] [-m MIB] [-c CPUS] [-d DIR]... [-k SECONDS] [-n NAME] [-b]
#	[-v] VARIANT COMMAND
#
# Boots two guests that are on one fabric and on one Ethernet, and runs COMMAND in
# both. With VARIANT s390 their devices are ISM functions unless -v is given. In there, ROLE is a or b, ME and
# PEER are the addresses, and "meet NAME" waits until the other one is there too. Output is
# shown with the role in front.
# Exits with 0 if both did and the daemon had nothing to complain about.
#
# A line "@host WORD" of a guest is replaced by what the host has to say to it:
#  status  of the daemon, as JSON: a line for itself and one for each port
#  usage   "usage", the CPU time in ms that both QEMUs have used and that the daemon
#          has, how often that woke up, and the guests' doorbells, moves and signals
#
#  -k SECONDS  kill the daemon's worker so often, which nobody may notice
#  -v          their devices are virtio-dibs on s390x, too
#  -b          the Ethernet is a bridge of the host's, in a network namespace of its
#              own, which needs root; else it is a socket between the QEMUs
#  the others are those of guest.sh
#
# DIBS_FABRIC is another daemon than the one that is built here.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

ALL=("$@") OPTS=() DIRS=() KILL='' NAME=pair BRIDGE='' VIRTIO=''
while getopts t:m:c:d:k:n:bv opt; do
	case $opt in
	t | m | c) OPTS+=("-$opt" "$OPTARG") ;;
	d) DIRS+=(-d "$OPTARG") ;;
	k) KILL=$OPTARG ;;
	n) NAME=$OPTARG ;;
	b) BRIDGE=y ;;
	v) VIRTIO=y OPTS+=(-v) ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -eq 2 ] || die "which kernel variant and which command?"
VARIANT=$1
QEMU_PKG=qemu-system-x86 KIND=(--fabric-id 0xff01) DRIVER=virtio_dibs
case $VARIANT in
s390*)
	QEMU_PKG=qemu-system-misc
	[ -n "$VIRTIO" ] || KIND=(--device ism --fabric-id 0x07c1) DRIVER=ism
	;;
esac

need_pkgs gcc make libseccomp-dev libjansson-dev netcat-openbsd jq iproute2
FABRIC=${DIBS_FABRIC:-$B/dibs/plain/dibs-fabric}
[ -n "${DIBS_FABRIC:-}" ] ||
	quietly "$B/log/dibs-fabric" make -C "$TOP/tools/dibs" OUT="$B/dibs"
if [ -n "$BRIDGE" ] && [ -z "${PAIR_NETNS:-}" ]; then
	# in that namespace is nothing to download from
	need_pkgs "$QEMU_PKG" seabios squashfs-tools
	case $VARIANT in
	s390*) "$TOP/scripts/rootfs.sh" s390x ;;
	*) "$TOP/scripts/rootfs.sh" ;;
	esac >/dev/null
	"$TOP/scripts/qemu.sh" >/dev/null
	PAIR_NETNS=y exec unshare -n "$0" "${ALL[@]}"
fi

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

"$FABRIC" "${KIND[@]}" --port "$RUN/a.sock" --port "$RUN/b.sock" \
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

# ms PID...: of CPU time that processes have used, all their threads
ms() {
	local pid
	for pid; do
		sed 's/.*) //' "/proc/$pid/stat"
	done | awk -v hz="$(getconf CLK_TCK)" '{ n += $12 + $13 } END { print n * 1000 / hz }'
}

status() {
	echo status | timeout 30 nc -U "$RUN/control"
}

usage() {
	echo usage "$(ms "$(cat "$RUN/a.pid")" "$(cat "$RUN/b.pid")")" \
		"$(ms $DAEMON "$(pgrep -P $DAEMON)")" "$(status | jq -r '
			[.wakeups] + [.ports | (map(.doorbells), map(.moves), map(.signals)) | add] |
			map(tostring) | join(" ")')"
}

# relay ROLE: shows what a guest says, and answers what it asks
relay() {
	local line
	while IFS= read -r line; do
		case $line in
		"@host status") status | jq -c 'del(.ports), .ports[]' | sed 's/^/host: /' ;;
		"@host usage") echo "host: $(usage)" ;;
		*) printf '%s: %s\n' "$1" "$line" ;;
		esac
	done
}

# netdev ROLE: of a guest, for QEMU
netdev() {
	local server=off
	if [ -n "$BRIDGE" ]; then
		ip tuntap add "tap-$1" mode tap
		ip link set "tap-$1" master bridge up
		# QEMU's other side of it is the kernel, where that can be
		[ ! -w /dev/vhost-net ] || server=on
		echo "tap,ifname=tap-$1,script=no,downscript=no,vhost=$server"
		return
	fi
	[ "$1" = b ] || server=on
	echo "stream,server=$server,addr.type=unix,addr.path=$RUN/link"
}

# guest ROLE N PEER COMMAND
guest() {
	local net rc=0
	net="-netdev $(netdev "$1"),id=net -pidfile $RUN/$1.pid"
	net+=" -device virtio-net,netdev=net,mac=52:54:00:00:00:0$2"
	"$TOP/scripts/guest.sh" "${OPTS[@]}" -d "$TOP/scripts/guest" "${DIRS[@]}" \
		-n "$NAME-$1" -f "$RUN/$1.sock" -x "$net" "$VARIANT" \
		"export ROLE=$1 ME=10.0.0.$2 PEER=10.0.0.$3 DRIVER=$DRIVER
		. /opt/dibs/pair
		$4" 2>&1 |
		relay "$1" | tee -a "$RUN/out" || rc=$?
	echo "$rc" >"$RUN/$1.status"
}

if [ -n "$BRIDGE" ]; then
	ip link add bridge type bridge
	ip link set bridge up
	: >"$RUN/link"
fi
guest a 1 2 "$2" &
GUESTS+=($!)
until [ -e "$RUN/link" ] || [ -e "$RUN/a.status" ]; do sleep 0.1; done
guest b 2 1 "$2" &
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
grep -vE '^(fabric 0x|port [ab](\.blk)?: (connected|closed: disconnected)$|worker: died \(9\))' \
	"$LOG" && die "the daemon said more than it should have"
cp "$RUN/out" "$B/results/$NAME"
[ "$a" -eq 0 ] && [ "$b" -eq 0 ]
