#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The console over dibs, both ends in one kernel: first over lo, where the system is its
# own terminal, then as a terminal for consoles that do not keep to the protocol.

. "$(dirname "$0")/lib.sh"

PARAM=/sys/module/dibs_console/parameters
LINE=/sys/class/tty/ttyDIBS
CON=/dev/ttyDIBS0
TERM_=/dev/ttyDIBS1
BYTES=$([ -n "$LONG" ] && echo $((16 << 20)) || echo $((1 << 20)))
# of a console that keeps to no rule, at least twice that many in all
ROUNDS=$([ -n "$LONG" ] && echo 500000 || echo 20000)
CYCLES=${CYCLES:-$([ -n "$LONG" ] && echo 200 || echo 20)}

state_is() {
	[ "$(cat "$LINE$1/state" 2>/dev/null)" = "$2" ]
}

connected() {
	within 20 state_is 0 connected && within 20 state_is 1 connected
}

disconnect() {
	put "" $PARAM/server && within 10 state_is 0 disconnected
}

connect() {
	put 1 $PARAM/listen && put "$(<$SYS/lo/gid)" $PARAM/server && connected
}

# Nothing is connected unless somebody says so
strangers() {
	same "" "$(<$PARAM/server)" server || return
	same N "$(<$PARAM/listen)" listen || return
	same disconnected "$(<${LINE}0/state)" state || return
	same console "$(<${LINE}0/role)" role || return
	[ ! -e ${LINE}1 ] || return
	put "$(<$SYS/lo/gid)" $PARAM/server || return
	# it asks, and nobody listens
	within 10 state_is 0 connecting || return
	sleep 2
	# again and again
	[ ! -e ${LINE}1 ] && within 10 state_is 0 connecting
}

refused() {
	local gid before
	gid=$(<$SYS/lo/gid) before=$(<$PARAM/refused)
	put 12345678-1234-1234-1234-123456789abc:other $PARAM/allow || return
	put 1 $PARAM/listen || return
	within 20 state_is 0 refused || return
	[ "$(<$PARAM/refused)" -gt "$before" ] || return
	[ ! -e ${LINE}1 ] || return
	dmesg | grep -q "refused a console: $gid" || return
	dmesg | grep -q "$gid refuses to be the terminal" || return
	put "$gid:myself" $PARAM/allow || return
	connected || return
	same myself "$(<${LINE}1/name)" name || return
	same terminal "$(<${LINE}1/role)" role || return
	same "$gid" "$(<${LINE}1/peer_gid)" "GID of the console" || return
	same "$gid" "$(<${LINE}0/peer_gid)" "GID of the terminal" || return
	put "" $PARAM/allow
}

bad_values() {
	local p
	fails EINVAL put nonsense $PARAM/server || return
	fails EINVAL put "$(<$SYS/lo/gid)x" $PARAM/server || return
	fails EINVAL put "$(<$SYS/lo/gid) and more" $PARAM/server || return
	for p in x "$(<$SYS/lo/gid):" "$(<$SYS/lo/gid):a/b" \
		"$(<$SYS/lo/gid):.." "$(<$SYS/lo/gid),,"; do
		fails EINVAL put "$p" $PARAM/allow || return
	done
	same "$(<$SYS/lo/gid)" "$(<$PARAM/server)" server && state_is 0 connected
}

uevents() {
	dibs_tty uevents ttyDIBS1 3000 >"$TMP/uevents" &
	sleep 0.5
	disconnect && connect || return
	wait $!
	same "disconnected connecting connected " "$(tr '\n' ' ' <"$TMP/uevents")" "what was told"
}

data() {
	dibs_tty duplex $CON $TERM_ "$BYTES"
}

# Each end reads slowly: everybody waits, and nothing is lost
slow_reader() {
	dibs_tty duplex $CON $TERM_ $((BYTES / 8)) 2000
}

# What a console says while nobody is there is not waited for, and the end of it is kept
unattended() {
	disconnect || return
	seq 100000 | timeout 30 dibs_tty send $CON || return
	connect || return
	dibs_tty receive $TERM_ 2000 | tr -d '\0' | tail -n 1 >"$TMP/last"
	same 100000 "$(tr -d '\r' <"$TMP/last")" "last line"
}

hangup() {
	local i
	for ((i = 0; i < CYCLES; i++)); do
		exec 5<>$TERM_ || return
		dibs_tty hangup $CON >"$TMP/hup" 5>&- &
		within 10 grep -q open "$TMP/hup" || return
		exec 5>&-
		within 10 grep -q 'hung up' "$TMP/hup" || return
		wait $! || return
	done
	echo "$CYCLES times"
	state_is 0 connected && state_is 1 connected
}

# An open that waits for somebody at the other end
open_waits() {
	timeout 2 bash -c "exec 4<$CON" && return 1
	exec 5<>$TERM_
	timeout 10 bash -c "exec 4<$CON" || return
	exec 5>&-
}

reconnect() {
	local i
	exec 5<>$TERM_ || return
	for ((i = 0; i < CYCLES; i++)); do
		disconnect && connect || return
	done
	# the terminal is open all the time, and of use
	echo after-all | timeout 10 dibs_tty send $CON
	timeout 10 head -n 1 <&5 >"$TMP/line"
	exec 5>&-
	grep -q after-all "$TMP/line"
}

size() {
	exec 5<>$TERM_ 6<>$CON || return
	stty -F $TERM_ rows 33 cols 77 || return
	within 10 size_is || return
	exec 5>&- 6>&-
}

size_is() {
	[ "$(stty -F $CON size)" = "33 77" ]
}

# A break is where it was sent, and is one
break_arrives() {
	dibs_tty marks $CON 3000 >"$TMP/marks" &
	local pid=$!
	sleep 1
	printf a | dibs_tty send $TERM_ && printf b | dibs_tty break $TERM_
	wait $pid
	same 61ff000062 "$(<"$TMP/marks")" "what arrived"
}

# SysRq h writes a help text into the log
sysrq() {
	local before
	echo 1 >/proc/sys/kernel/sysrq
	before=$(dmesg | grep -c 'sysrq: HELP')
	printf h | dibs_tty break $TERM_ || return
	sleep 1
	same "$before" "$(dmesg | grep -c 'sysrq: HELP')" "number of helps when it is off" || return
	put 1 $PARAM/sysrq || return
	printf h | dibs_tty break $TERM_ || return
	sleep 1
	put 0 $PARAM/sysrq
	[ "$(dmesg | grep -c 'sysrq: HELP')" -gt "$before" ]
}

# found among those that are allowed, which does not go as far as SysRq
discovered() {
	disconnect || return
	put "12345678-1234-1234-1234-123456789abc,$(<$SYS/lo/gid)" $PARAM/allow || return
	put 1 $PARAM/discover || return
	connected || return
	put 0 $PARAM/discover && within 10 state_is 0 disconnected || return
	put "" $PARAM/allow && connect
}

# The device goes while both lines are open and busy
device_leaves() {
	is_module dibs_loopback || return 4
	exec 5<>$TERM_ 6<>$CON || return
	(yes >&6) 2>/dev/null &
	local pid=$!
	rmmod dibs_loopback || return
	state_is 0 disconnected && state_is 1 disconnected || return
	modprobe dibs_loopback || return
	put "$(<$SYS/lo/gid)" $PARAM/server || return
	kill $pid 2>/dev/null
	exec 5>&- 6>&-
	within 20 state_is 0 connected
}

# play_hostile EVENTS: a console that keeps to no rule beside traffic; adds to $ended how many
# of its connections ended
play_hostile() {
	local told=/sys/module/dcon_hostile/parameters
	insmod "$DIR/test_modules/dcon_hostile.ko" peer="$(<$SYS/lo/gid)" rounds="$ROUNDS" \
		events="$1" &
	dibs_tty duplex $CON $TERM_ "$BYTES" || return
	wait $! || return
	ended=$((ended + $(<$told/ended)))
	echo "$ROUNDS rounds, $(<$told/connections) connections, events: $1"
	rmmod dcon_hostile
}

# Somebody else's console writes what it likes and floods events: it is left alone, each
# time with one message at most, and nobody else notices
hostile() {
	local before after=0 ended=0 without i
	local broken='does not keep to the protocol\|another version'

	[ -e "$DIR/test_modules/dcon_hostile.ko" ] || {
		echo "no dcon_hostile.ko"
		return 4
	}
	lo_add lo2 || return
	before=$(dmesg | grep -c "$broken")
	# an offer ends a connection in order, maybe before its header is seen: first without.
	# It can also have left before the terminal looked: once more then
	for ((i = 0; i < 5 && after <= before; i++)); do
		play_hostile N || return
		after=$(dmesg | grep -c "$broken")
	done
	[ "$after" -gt "$before" ] || return
	# for a while the terminal does not answer it
	without=$ended
	for ((i = 0; i < 5 && ended <= without; i++)); do
		play_hostile Y || return
	done
	after=$(dmesg | grep -c "$broken")
	echo "$((after - before)) messages, $ended ended"
	[ "$ended" -gt "$without" ] && [ $((after - before)) -le "$ended" ] || return
	same disconnected "$(<${LINE}2/state)" "state of its line" || return
	state_is 0 connected && state_is 1 connected && lo_del lo2
}

# line_of GID: the number of its console's line
line_of() {
	local l
	for l in "$LINE"*; do
		[ "$(<"$l/peer_gid")" != "$1" ] || echo "${l#"$LINE"}"
	done
}

typed_to() {
	[ "$(</sys/module/dcon_many/parameters/typed)" -eq "$1" ]
}

# One system is the terminal of many, each on a line of its own
many() {
	local ko=$DIR/test_modules/dcon_many.ko dev n lines=()

	[ -e "$ko" ] || {
		echo "no $ko"
		return 4
	}
	for dev in lo{100..163}; do
		lo_add "$dev" || return
	done
	insmod "$ko" peer="$(<$SYS/lo/gid)" || return
	for dev in lo{100..163}; do
		n=$(line_of "$(<$SYS/"$dev"/gid)")
		lines+=("$n")
		same connected "$(<"$LINE$n/state")" "state of line $n" || return
		same "$dev" "$(dibs_tty receive "/dev/ttyDIBS$n" 100)" "what came" || return
		printf %s "$dev" | dibs_tty send "/dev/ttyDIBS$n" || return
	done
	same 64 "$(printf '%s\n' "${lines[@]}" | sort -u | wc -l)" "number of lines" || return
	within 10 typed_to 64 && state_is 0 connected && state_is 1 connected || return
	rmmod dcon_many || return
	for n in "${lines[@]}"; do
		within 10 state_is "$n" disconnected || return
	done
	for dev in lo{100..163}; do
		lo_del "$dev" || return
	done
}

# Opened and closed all the time while much comes
open_close() {
	local i pid
	# it is not hung up when the terminal closes, nor when it opens first
	exec 5<>$TERM_ 6<>$CON && stty -F $CON clocal raw && exec 5>&- || return
	yes >&6 2>/dev/null &
	pid=$!
	for ((i = 0; i < CYCLES; i++)); do
		timeout 10 head -c 100 $TERM_ >/dev/null || break
	done
	kill $pid
	exec 6>&-
	same "$CYCLES" $i "number of opens"
}

# Parameters are written while the module leaves
leaves_while_written() {
	local i pid
	(while :; do echo 1 >$PARAM/listen; done) 2>/dev/null &
	pid=$!
	for ((i = 0; i < 5; i++)); do
		rmmod dibs_console || break
		modprobe dibs_console || break
	done
	kill $pid
	same 5 $i "number of times"
}

# Without lines in use the module can go, and leaves nothing
module_leaves() {
	local i
	for ((i = 0; i < 5; i++)); do
		rmmod dibs_console || return
		same 0 "$(stat_of lo dmbs)" "DMBs that are left" || return
		modprobe dibs_console listen=1 server="$(<$SYS/lo/gid)" || return
		[ $((i & 1)) -eq 0 ] || connected || return
	done
	! dmesg | grep 'client console left'
}

need_root
modprobe -q dibs_loopback
[ -d $SYS/lo ] || skip_all "no loopback device"
need_configfs
is_module dibs_console || skip_all "dibs_console is not a module"
unload dibs_console || skip_all "dibs_console is in use"
modprobe dibs_console || skip_all "dibs_console does not load"
ktap_print_header
ktap_set_plan 20
result "strangers are not connected" strangers
result "refusal is seen at both ends" refused
result "values that make no sense" bad_values
result "changes are uevents" uevents
result "$BYTES bytes of all values each way" data
result "slow readers" slow_reader
result "nobody waits for who is not there" unattended
result "hang up and open again" hangup
result "open waits for the other end" open_waits
result "connect again" reconnect
result "window size" size
result "break" break_arrives
result "SysRq only where it is allowed" sysrq
result "discovery among those that are allowed" discovered
result "a console that keeps to no rule" hostile
result "64 consoles" many
result "open and close while much comes" open_close
result "the device leaves" device_leaves
result "the module leaves" module_leaves
result "the module leaves while its parameters are written" leaves_while_written
ktap_finished
