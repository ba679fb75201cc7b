# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Any number of guests on fabrics, which do what they are told line by line
# (scripts/guest/agent).  Sourced, after lib.sh; NAME is that of the logs, VARIANT the
# kernel's; VARIANT_OF[GUEST] is that of a guest which has another one.

declare -A DAEMON GUEST VARIANT_OF
pass=0 fail=0
case $VARIANT in
s390*) KIND=ism DRIVER=ism TOOLS=$B/selftests-s390x ;;
*) KIND=virtio-dibs DRIVER=virtio_dibs TOOLS=$B/selftests ;;
esac
MODULES=() # directory of the tests' modules, if they are used
# what a debug kernel keeps of the memory that was freed
MIB=512
[ "$VARIANT" != s390-debug ] || MIB=1024

need_pkgs gcc make libseccomp-dev libjansson-dev netcat-openbsd jq
quietly "$B/log/dibs-fabric" make -C "$TOP/tools/dibs" OUT="$B/dibs"
"$TOP/scripts/qemu.sh" >/dev/null
"$TOP/scripts/selftest.sh" --build "${VARIANT%%-*}"
mkdir -p "$B/run" "$B/log"
# of the Ethernet, which other runs on this host do not have
MCAST=$((20000 + $$ % 20000))
RUN=$(mktemp -d "$B/run/$NAME.XXXXXX")
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
	kill "${DAEMON[@]}" "${GUEST[@]}" 2>/dev/null || true
	wait
	rm -rf "$RUN"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# daemon NAME FLAVOUR ID PORT...: the fabric in $RUN/NAME, with these ports
daemon() {
	local name=$1 flavour=$2 id=$3 p args=()
	shift 3
	# one that was killed leaves its sockets behind
	rm -rf "${RUN:?}/$name"
	mkdir -p "$RUN/$name"
	for p; do
		args+=(--port "$RUN/$name/$p.sock")
	done
	"$B/dibs/$flavour/dibs-fabric" --device $KIND --fabric-id "$id" --socket-dir "$RUN/$name" \
		--control "$RUN/$name/control" "${args[@]}" 2>"$B/log/$NAME-$name" &
	DAEMON[$name]=$!
	until [ -S "$RUN/$name/control" ]; do
		kill -0 "${DAEMON[$name]}" || die "the daemon ended: $(cat "$B/log/$NAME-$name")"
		sleep 0.05
	done
}

# halt NAME: ends a daemon.  Numbers of processes that have ended are forgotten at once:
# others get them.
halt() {
	kill "${DAEMON[$1]}"
	wait "${DAEMON[$1]}" || true
	unset "DAEMON[$1]"
}

# control NAME WORD...
control() {
	echo "${*:2}" | timeout 30 nc -U "$RUN/$1/control"
}

# guest NAME N DAEMON/PORT[,OPTION]...: the one with the address 10.0.0.N, which does what
# it is told; all are on one Ethernet
guest() {
	local name=$1 n=$2 g=$RUN/$1 p x fabrics=()
	shift 2
	# a test that failed has left it behind
	[ -z "${GUEST[$name]:-}" ] || kill_guest "$name"
	x="-netdev socket,id=net,mcast=230.0.0.1:$MCAST,localaddr=127.0.0.1 -pidfile $g.pid"
	x+=" -device virtio-net,netdev=net,mac=52:54:00:00:00:0$n"
	x+=" -qmp unix:$g.qmp,server=on,wait=off -chardev pipe,id=in,path=$g.in"
	x+=" -device virtio-serial,id=host -device virtserialport,bus=host.0,chardev=in,name=dibs.in"
	for p; do
		fabrics+=(-f "$RUN/${p%%,*}.sock${p#"${p%%,*}"}")
	done
	rm -f "$g.in" "$g.pid" "$g.qmp"
	mkfifo "$g.in"
	: >"$g.out"
	"$TOP/scripts/guest.sh" -t 20000 -m $MIB -c 1 -d "$TOOLS" "${MODULES[@]/#/-d}" \
		-d "$TOP/scripts/guest" \
		-n "$NAME-$name" "${fabrics[@]}" -x "$x" "${VARIANT_OF[$name]:-$VARIANT}" \
		"export ROLE=$name ME=10.0.0.$n DRIVER=$DRIVER
		. /opt/dibs/pair
		. /opt/dibs/agent" >"$g.out" 2>&1 &
	GUEST[$name]=$!
}

# over NAME: waits for the end of a guest and returns its status
over() {
	local rc=0
	wait "${GUEST[$1]}" || rc=$?
	unset "GUEST[$1]"
	return $rc
}

# shoot NAME: ends QEMU without a word to the guest, and does not wait
shoot() {
	kill -KILL "$(cat "$RUN/$1.pid" 2>/dev/null)" 2>/dev/null || kill "${GUEST[$1]}"
}

kill_guest() {
	shoot "$1" || true
	over "$1" || true
}

# lines NAME PATTERN: how many such lines a guest has printed
lines() {
	grep -cE "$2" "$RUN/$1.out" || true
}

# await NAME PATTERN COUNT [SECONDS]: until it has printed so many
await() {
	local end=$((SECONDS + ${4:-120}))
	until [ "$(lines "$1" "$2")" -ge "$3" ]; do
		if [ $SECONDS -gt $end ] || ! kill -0 "${GUEST[$1]:-}" 2>/dev/null; then
			echo "guest $1 did not say $2:"
			tail -n 5 "$RUN/$1.out"
			return 1
		fi
		sleep 0.02
	done
}

# tell NAME LINE: and do not wait, not even for somebody to open the other end
tell() {
	echo "$2" 1<>"$RUN/$1.in"
}

# has NAME LINE [SECONDS]: has a guest do something, and fails if that does
has() {
	local n
	n=$(lines "$1" '^@done ')
	tell "$1" "$2"
	await "$1" '^@done ' $((n + 1)) "${3:-}" || return
	[ "$(grep '^@done ' "$RUN/$1.out" | tail -n 1)" = "@done 0" ] || {
		echo "guest $1: $2:"
		tail -n 5 "$RUN/$1.out"
		return 1
	}
}

# bye NAME: ends a guest, which has to do it by its own word
bye() {
	local end=$((SECONDS + 120))
	tell "$1" end
	while kill -0 "${GUEST[$1]}" 2>/dev/null && [ $SECONDS -lt $end ]; do
		sleep 0.1
	done
	kill "${GUEST[$1]}" 2>/dev/null || true
	over "$1" || {
		tail -n 20 "$RUN/$1.out"
		return 1
	}
}

qmp() {
	{
		echo '{"execute": "qmp_capabilities"}'
		echo "$2"
	} | timeout 5 nc -U -q 1 "$RUN/$1.qmp" >/dev/null
}

# fds: descriptors of a daemon's worker
fds() {
	ls "/proc/$(pgrep -P "${DAEMON[$1]}")/fd" | wc -l
}

# together LINE-OF-a LINE-OF-b LINE-OF-c: all at the same time
together() {
	local g rc=0
	declare -A n
	for g in a b c; do
		n[$g]=$(lines $g '^@done')
		tell $g "$1"
		shift
	done
	for g in a b c; do
		await $g '^@done' $((${n[$g]} + 1)) || return
		grep '^@done' "$RUN/$g.out" | tail -n 1 | grep -qx '@done 0' || rc=1
		sed "s/^/$g: /" "$RUN/$g.out" | grep -v '^[abc]: @' | tail -n 2
	done
	return $rc
}

now_ms() {
	date +%s%3N
}

# is_cut GUEST ADDRESS COMMAND...: GUEST has a connection to ADDRESS, which ends within
# $SLOW_MS after COMMAND
is_cut() {
	local g=$1 peer=$2 n began took
	shift 2
	n=$(lines "$g" '^ready')
	tell "$g" "until smc_peer smc $peer 5000 hold; do sleep 0.2; done"
	await "$g" '^ready' $((n + 1)) || return
	n=$(lines "$g" '^@done')
	began=$(now_ms)
	"$@" || return
	await "$g" '^@done' $((n + 1)) 30 || return
	took=$(($(now_ms) - began))
	echo "$took" >>"$RUN/ms"
	[ "$took" -le "$SLOW_MS" ] || {
		echo "the connection ended after $took ms"
		return 1
	}
}

# result NAME COMMAND...: one test, with what it says indented
result() {
	local name=$1 rc=0
	shift
	say "$name"
	"$@" >"$RUN/result" 2>&1 || rc=$?
	sed 's/^/  # /' "$RUN/result"
	if [ "$rc" -eq 0 ]; then
		echo "  ok $name"
		pass=$((pass + 1))
	else
		echo "  not ok $name"
		fail=$((fail + 1))
	fi
}
