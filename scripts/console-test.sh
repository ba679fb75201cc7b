#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# console-test.sh [--long|--demo] [s390]: two guests on one fabric and on no network, of
# which one is the terminal of the other, from its first message to its last.  --long also
# kills guests and the daemon's workers while they are connected, --demo only shows how
# it looks.  With s390 they are on ISM functions, and the console is a module.
#
# What guests say is shown with their name in front.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

LONG='' DEMO=''
case ${1-} in
--long) LONG=y; shift ;;
--demo) DEMO=y; shift ;;
esac
case ${1-x86} in
x86) ARCH=x86 SYSTEM=x86-console TOOLS=$B/selftests DRIVER=virtio_dibs ON=(--fabric-id 0xff01) ;;
s390) ARCH=s390 SYSTEM=s390 TOOLS=$B/selftests-s390x DRIVER=ism ON=(--device ism --fabric-id 0x07c1) ;;
*) die "usage: console-test.sh [--long|--demo] [s390]" ;;
esac
KILLS=50
PANICS=20
LATE=${LONG:+60}
LATE=${LATE:-10}
declare -A GID=(
	[a]=0aa10000-0000-4000-0000-000000000000
	[b]=0bb20000-0000-4000-0000-000000000000
	[s]=05550000-0000-4000-0000-000000000000
)
CPUS=1
pass=0 fail=0

need_pkgs gcc make libseccomp-dev libjansson-dev
quietly "$B/log/dibs-fabric" make -C "$TOP/tools/dibs" OUT="$B/dibs"
"$TOP/scripts/kernel.sh" $SYSTEM
"$TOP/scripts/qemu.sh" >/dev/null
"$TOP/scripts/rootfs.sh" >/dev/null
"$TOP/scripts/selftest.sh" --build $ARCH
mkdir -p "$B/run" "$B/log"
RUN=$(mktemp -d "$B/run/console.XXXXXX")
declare -A GUEST
DAEMON=''
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
	kill ${DAEMON:+"$DAEMON"} "${GUEST[@]}" 2>/dev/null || true
	wait
	rm -rf "$RUN"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

daemon() {
	local p args=()
	rm -f "$RUN"/*.sock
	for p in a b s; do
		args+=(--port "$RUN/$p.sock,gid=${GID[$p]}")
	done
	"$B/dibs/plain/dibs-fabric" "${ON[@]}" "${args[@]}" \
		2>>"$B/log/console-fabric" &
	DAEMON=$!
	until [ -S "$RUN/s.sock" ]; do
		kill -0 "$DAEMON" || die "the daemon ended: $(cat "$B/log/console-fabric")"
		sleep 0.05
	done
}

# guest NAME VARIANT ARGS COMMAND: without a network
guest() {
	local rc=0
	"$TOP/scripts/guest.sh" -n "console-$1" -t 900 -c "$CPUS" -m 512 -f "$RUN/$1.sock" \
		-x "-pidfile $RUN/$1.pid" -a "$3" -d "$TOOLS" -d "$TOP/scripts/guest" \
		"$2" "export DRIVER=$DRIVER; $4" >"$RUN/$1.out" 2>&1 || rc=$?
	echo "@exit $rc" >>"$RUN/$1.out"
}

# forget NAME: what the one of before has said, or that would be taken for an answer
forget() {
	rm -f "$RUN/$1.out" "$RUN/$1.pid"
}

# terminal NAME COMMAND: the modules are loaded when it runs
terminal() {
	forget "$1"
	guest "$1" $ARCH '' ". /opt/dibs/console-terminal; $2; exit \$failed" &
	GUEST[$1]=$!
}

# system [ARG]: the one that is seen, which knows its server from the first moment on
system() {
	forget b
	guest b $SYSTEM "ignore_loglevel sysrq_always_enabled dibs_console.server=${GID[a]} \
		dibs_console.sysrq=1 ${1-} console=ttyDIBS0" /opt/dibs/console-system &
	GUEST[b]=$!
}

# says NAME PATTERN: waits for what a guest says
says() {
	until grep -qE -- "$2" "$RUN/$1.out" 2>/dev/null; do
		grep -q '^@exit' "$RUN/$1.out" 2>/dev/null && return 1
		sleep 0.2
	done
}

# ends NAME STATUS
ends() {
	wait "${GUEST[$1]}" || true
	unset "GUEST[$1]"
	sed "s/^/$1: /" "$RUN/$1.out"
	pass=$((pass + $(grep -c '^ok ' "$RUN/$1.out" || true)))
	fail=$((fail + $(grep -c '^not ok ' "$RUN/$1.out" || true)))
	check "$1 ends with $2" grep -qx "@exit $2" "$RUN/$1.out"
}

# check NAME COMMAND...
check() {
	local name=$1
	shift
	if "$@"; then
		echo "ok $name"
		pass=$((pass + 1))
	else
		echo "not ok $name"
		fail=$((fail + 1))
	fi
}

# same_log: both have said what the log of the one was up to its mark
same_log() {
	local a b
	a=$(sed -n 's/^\(# \)*@log //p' "$RUN/a.out")
	b=$(sed -n 's/^@log //p' "$RUN/b.out")
	[ -n "$a" ] && [ "$a" = "$b" ]
}

# only_panic: as the terminal's, see scripts/guest/console-terminal
# shellcheck disable=SC2317 # same_panic calls it
only_panic() {
	sed '/flood/d; /replaying previous printk message/d' | uniq
}

# same_panic [FILTER]: what the terminal saw is what the serial line has
same_panic() {
	local log=$B/log/guest-console-b want
	want=$(tr -d '\r\0' <"$log" | sed -n '/sysrq: Trigger a crash/,$p' | sed '/^$/d' |
		"${1:-cat}" >"$RUN/panic" &&
		echo "$(wc -l <"$RUN/panic") $(sha256sum <"$RUN/panic")")
	grep -qF "@panic $want" "$RUN/a.out" || {
		echo "# all of it: $want"
		return 1
	}
}

no_complaints() {
	! grep '^@bad' "$RUN/b.out"
}

# From the first message to the last one
whole_life() {
	say "a console from its first message to its last"
	terminal a "listen ${GID[b]}; echo @listening
		result 'connected' attach
		result 'the log' log
		result 'login' login
		result 'a command' command
		result 'the size of the terminal' size
		result 'a file is shown' print
		result 'a file is typed' type_file
		result 'SysRq' sysrq h 'sysrq: HELP'
		result 'a panic' panic"
	says a @listening
	system
	ends a 0
	ends b 98
	check "the log is the whole log" same_log
	check "the last words are all the words" same_panic
	check "streams, consoles and no network" no_complaints
}

# The terminal is late, and somebody else is there instead
late() {
	say "a terminal that comes $LATE s late, and a stranger"
	terminal s "listen; echo @listening; sleep $((LATE + 30))
		result 'nothing for a stranger' test ! -e \$LINE"
	says s @listening
	system
	says b @booted
	sleep "$LATE"
	terminal a "listen; result 'connected' attach
		result 'the log' log
		result 'login' login
		result 'a command' command
		result 'the end' finish"
	ends a 0
	ends b 0
	ends s 0
	check "the log is the whole log" same_log
	check "streams, consoles and no network" no_complaints
}

# kill_guest NAME: as if its power had failed
kill_guest() {
	kill -KILL "$(cat "$RUN/$1.pid")"
	wait "${GUEST[$1]}" || true
	unset "GUEST[$1]"
}

# Consoles whose power fails while they print: the terminal goes on with the next one
kills() {
	local i
	say "$KILLS consoles that are killed while they print"
	terminal a "listen ${GID[b]}; echo @listening; lives $KILLS"
	says a @listening
	for ((i = 1; i <= KILLS; i++)); do
		system 'dibs_console_test=flood printk.devkmsg=on'
		says a "^ok $i " || break
		kill_guest b
	done
	ends a 0
}

# Terminals whose power fails while the console prints: it goes on with the next one.  With
# a second CPU: the kernel's thread that prints has a nice value of -20 and leaves nothing.
terminals() {
	local i
	say "$((KILLS / 5)) terminals that are killed while the console prints"
	CPUS=2 system 'dibs_console_test=flood printk.devkmsg=on'
	says b @booted
	for ((i = 1; i < KILLS / 5; i++)); do
		terminal a "listen; lives 1; sleep 600"
		says a "^(not )?ok 1 " || true
		check "terminal $i sees it" grep -q '^ok 1 ' "$RUN/a.out"
		kill_guest a
	done
	terminal a "listen; result 'connected' attach; result 'login' login
		result 'the end' finish"
	ends a 0
	ends b 0
}

# Consoles that panic while another CPU prints, which is stopped wherever it is
panics() {
	local i
	say "$PANICS consoles that panic while another CPU prints"
	terminal a "listen ${GID[b]}; echo @listening; deaths $PANICS"
	says a @listening
	for ((i = 1; i <= PANICS; i++)); do
		CPUS=2 system 'dibs_console_test=flood printk.devkmsg=on'
		says a "^ok $((2 * i)) |^not ok" || break
		grep -q '^not ok' "$RUN/a.out" && break
		wait "${GUEST[b]}" || true
		check "all the last words of console $i" same_panic only_panic
	done
	for ((i = 2 * PANICS + 1; i <= 2 * PANICS + 2; i++)); do
		! grep -qE '^not ok|^@exit' "$RUN/a.out" || break
		CPUS=2 system 'dibs_console_test=flood printk.devkmsg=on'
		says a "^ok $i |^not ok" || break
		grep -q '^not ok' "$RUN/a.out" && break
		wait "${GUEST[b]}" || true
	done
	# it may have ended
	kill_guest b 2>/dev/null || true
	ends a 0
}

# The daemon's workers die all the time, which nobody notices
kill_workers() {
	while sleep 0.5; do
		pkill -KILL -P "$DAEMON" || true
	done
}

demo() {
	terminal a "listen ${GID[b]}; echo @listening
		attach && log && login && command && types 'uname -n; ls /sys/class/net' lo &&
			finish && show; failed=\$?"
	says a @listening
	system
	ends a 0
	ends b 0
	check "the log is the whole log" same_log
	check "streams, consoles and no network" no_complaints
}

: >"$B/log/console-fabric"
daemon
if [ -n "$DEMO" ]; then
	demo
else
	whole_life
	late
fi
if [ -n "$LONG" ]; then
	kills
	terminals
	panics
	kill_workers &
	killer=$!
	whole_life
	kill $killer
	wait $killer || true
fi
kill "$DAEMON"
wait "$DAEMON" || die "the daemon ended with status $?"
DAEMON=''
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ] && [ "$pass" -gt 0 ]
