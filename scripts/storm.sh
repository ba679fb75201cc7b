#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# storm.sh [VARIANT]: what can happen to the guests and to the daemon of a fabric, very
# often: guests are killed and reboot, workers are killed, at random and at each of their
# points, a guest's requests are poison, ports are added, daemons are killed.  Two guests
# on one of the fabrics, c and d, talk to each other all the time, with checksums, and
# must not notice.
#
# KILLS, REBOOTS, PORTS, WORKERS and DAEMONS say how often (100, 200, 50, 100, 20).

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

VARIANT=${1:-x86}
KILLS=${KILLS:-100} REBOOTS=${REBOOTS:-200} PORTS=${PORTS:-50}
WORKERS=${WORKERS:-100} DAEMONS=${DAEMONS:-20}
SLOW_MS=1000 # how long a connection may outlive its peer
NAME=storm # of the logs
# shellcheck source=scripts/agents.sh
. "$TOP/scripts/agents.sh"
quietly "$B/log/dibs-fabric" make -C "$TOP/tools/dibs" OUT="$B/dibs" "$B/dibs/fault/dibs-fabric"

# bystanders_well: they have exchanged something since this was asked, all of it right
seen=0
bystanders_well() {
	await d '^conns=.* errors=0 bad=0$' $((seen + 2)) || return
	seen=$(lines d '^conns=')
	[ "$(lines d '^@broken')" = 0 ] || {
		echo "  # the bystanders noticed:"
		tail -n 5 "$RUN/d.out"
		return 1
	}
}

# watched COMMAND...: does it, and c and d have not noticed
watched() {
	"$@" && bystanders_well
}

# served NAME N PORT: boots a guest that serves others
served() {
	guest "$1" "$2" "$3"
	# shellcheck disable=SC2016 # the guest knows its address
	await "$1" '^@ready' 1 && has "$1" 'serve 5000 smc_peer smc $ME 5000 serve'
}

# times: how long connections outlived their peers
times() {
	sort -n "$RUN/ms" | gawk '{ v[NR] = $1 }
		END { print NR " connections ended after " v[int((NR + 1) / 2)] " ms, at most " v[NR] }'
	rm -f "$RUN/ms"
}

# works: a reaches b over SMC-D
works() {
	has a "check 1 10.0.0.3" 90
}

killed() {
	local i
	for ((i = 0; i < KILLS; i++)); do
		served b 3 main/b && is_cut a 10.0.0.3 shoot b || return
		over b || true
	done
	times
	served b 3 main/b && works && bye b
}

reboot_b() {
	tell b 'busybox reboot -f'
}

rebooted() {
	local i
	served b 3 main/b || return
	qmp b '{"execute": "set-action", "arguments": {"reboot": "reset"}}'
	for ((i = 0; i < REBOOTS; i++)); do
		is_cut a 10.0.0.3 reboot_b || return
		await b '^@ready' $((i + 2)) || return
		# shellcheck disable=SC2016 # the guest knows its address
		has b 'serve 5000 smc_peer smc $ME 5000 serve' || return
	done
	times
	qmp b '{"execute": "set-action", "arguments": {"reboot": "shutdown"}}'
	works && bye b
}

# The last of them serves a guest
ports_added() {
	local i
	for ((i = 1; i <= PORTS; i++)); do
		control main "add p$i" | jq -e '.error == null' || return
	done
	control main status | jq -e ".ports | length == $((PORTS + 4))" || return
	served b 3 "main/p$PORTS" && works && bye b
}

# restarts: how many workers of the fabric main have died
restarts() {
	control main status | jq .restarts
}

workers_killed() {
	local i n died
	served b 3 main/b || return
	died=$(restarts) n=$(lines a '^@done')
	tell a "check $((WORKERS / 2 + 5)) 10.0.0.3"
	sleep 2
	for ((i = 0; i < WORKERS; i++)); do
		pkill -KILL -P "${DAEMON[main]}"
		sleep "0.$((RANDOM % 4 + 1))"
	done
	[ "$(lines a '^@done')" = "$n" ] || {
		echo "the traffic ended before the last death"
		return 1
	}
	await a '^@done' $((n + 1)) $((WORKERS + 120)) || return
	tail -n 3 "$RUN/a.out"
	echo "$(($(restarts) - died)) deaths"
	[ "$(restarts)" -ge $((died + WORKERS)) ] &&
		[ "$(tail -n 1 "$RUN/a.out")" = "@done 0" ] && bye b
}

# faults: points of the daemon, a number and a name each
faults() {
	DIBS_FAULT=list "$B/dibs/fault/dibs-fabric"
}

# A worker dies wherever it can, but for what only an ISM function comes to. For that e and
# f talk to each other, while g comes and goes, and ports are added: whoever asked for one
# when the worker died asks again.
points() {
	local i g want died
	want=$(faults | grep -vc ' ISM_')
	DIBS_FAULT=all daemon points fault 0xff02 e f g
	served e 6 points/e && served f 7 points/f || return
	tell e 'bystand 10.0.0.7'
	for ((i = 0; i < 20; i++)); do
		served g 8 points/g && has g 'check 1 10.0.0.6' || return
		control points "add n$i" | jq -e . >/dev/null ||
			control points "add n$i" >/dev/null || return
		if ((i & 1)); then bye g || return; else kill_guest g; fi
		died=$(sed -n 's/^fault: //p' "$B/log/$NAME-points" | sort -u | wc -l)
		[ "$died" -lt "$want" ] || break
	done
	echo "$died of $want points, after $((i + 1)) guests"
	# nor has what was under way at the last death suffered
	await e '^(conns=|@broken)' $(($(lines e '^conns=') + 2)) || return
	if [ "$(lines e '^conns=.* errors=0 bad=0$')" = 0 ] || [ "$(lines e '^@broken')" != 0 ]; then
		tail -n 5 "$RUN/e.out"
		return 1
	fi
	halt points
	for g in e f; do kill_guest $g; done
	[ "$died" -eq "$want" ]
}

# A request at which two workers die ends the port it came from, and no other one. If several
# wait, another worker may die of that of another port in between: that makes three.
poison() {
	local g p closed dead=
	p=$(faults | awk '$2 == "REGISTER" { print $1 }')
	DIBS_FAULT=$p:20:3 daemon poison fault 0xff03 e f g
	served e 6 poison/e && served f 7 poison/f && served g 8 poison/g || return
	# connections that come and go, as long as they do
	tell e 'for _ in 1 2 3 4 5 6; do smc_peer smc 10.0.0.7 5000 check 1 9; done'
	tell f 'for _ in 1 2 3 4 5 6; do smc_peer smc 10.0.0.8 5000 check 1 9; done'
	tell g 'for _ in 1 2 3 4 5 6; do smc_peer smc 10.0.0.6 5000 check 1 9; done'
	# QEMU can abort when a port is closed while it talks to it
	for g in e f g; do
		await $g '^@done' 2 && continue
		! kill -0 "${GUEST[$g]}" 2>/dev/null || return
		rm -f "$RUN/$g.pid"
		dead+=$g
	done
	closed=$(control poison status | jq -r '.ports[] | select(.connected | not) | .name')
	echo "closed: $closed"
	[ -z "$dead" ] || [ "$dead" = "$closed" ] || return
	case $closed in
	e) has g 'check 1 10.0.0.7' ;;
	f) has e 'check 1 10.0.0.8' ;;
	g) has f 'check 1 10.0.0.6' ;;
	*) false ;;
	esac || return
	halt poison
	for g in e f g; do kill_guest $g; done
}

# agree GUEST: it and the daemon have counted the same DMBs, though they change
agree() {
	local i here there
	for ((i = 0; i < 20; i++)); do
		# shellcheck disable=SC2016 # it is the guest's file
		has "$1" 'echo "dmbs: $(</sys/class/dibs/vdibs0/statistics/dmbs)"' || return
		there=$(sed -n 's/^dmbs: //p' "$RUN/$1.out" | tail -n 1)
		here=$(control main status | jq ".ports[] | select(.name == \"$1\").dmbs")
		[ "$here" != "$there" ] || break
		sleep 0.3
	done
	echo "DMBs of $1: $there, the daemon says $here"
	[ "$here" = "$there" ]
}

# What guests that are gone had is gone, too
nothing_left() {
	local g
	control main status | jq -c '.ports[] | select(.name == "b" or .name == "p1") |
		[.name, .connected, .dmbs, .bytes]'
	control main status | jq -e '[.ports[] | select(.connected | not) | .dmbs + .bytes] |
		add == 0' >/dev/null || return
	for g in a c d; do
		agree $g || return
	done
	control main status | jq -e '.ports[] | select(.name == "d").dmbs > 0' || return
	echo "descriptors: $before before, $(fds main) after"
	# a port that was added has a socket
	[ "$(fds main)" -le $((before + PORTS)) ]
}

# The daemon of e and f dies as a whole: connections end at once, the guests live on, and
# are on the next daemon after they were started again
daemons_killed() {
	local i g
	for ((i = 0; i < DAEMONS; i++)); do
		daemon whole plain 0xff04 e f
		served f 7 whole/f && guest e 6 whole/e && await e '^@ready' 1 || return
		has e 'check 1 10.0.0.7' || return
		is_cut e 10.0.0.7 kill -KILL "${DAEMON[whole]}" || return
		wait "${DAEMON[whole]}" || true
		unset "DAEMON[whole]"
		# no task waits for a device that is gone
		has e 'echo w >/proc/sysrq-trigger; smc_peer tcp 10.0.0.7 5000 check 1 2' || return
		has f 'echo w >/proc/sysrq-trigger' || return
		for g in e f; do kill_guest $g; done
		for g in e f; do
			grep -q 'Show Blocked State' "$B/log/guest-$NAME-$g" || return
			! grep 'Call Trace' "$B/log/guest-$NAME-$g" || return
		done
	done
	times
}

daemon main plain 0xff01 a b c d
guest c 4 main/c
guest d 5 main/d
guest a 2 main/a
for g in a c d; do await $g '^@ready' 1; done
# shellcheck disable=SC2016 # the guest knows its address
has c 'serve 5000 smc_peer smc $ME 5000 serve'
tell d 'bystand 10.0.0.4 &'
before=$(fds main)
result "$KILLS guests are killed" watched killed
result "$REBOOTS reboots of a guest" watched rebooted
result "$PORTS ports are added" watched ports_added
result "$WORKERS workers are killed" watched workers_killed
result "nothing is left" watched nothing_left
result "workers die at every point" watched points
result "a request that is poison" watched poison
result "$DAEMONS daemons are killed" watched daemons_killed
for g in a d c; do result "guest $g ends well" bye $g; done
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
