#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ism-test.sh [--long] [VARIANT]: s390x guests with ISM functions: SMC-D in both
# directions, a guest that is killed, a driver that is unloaded.
#
# --long: three guests, two fabrics, PNETIDs, a guest with the base kernel, functions that
# the driver loses and gets back under traffic, everything that can be made to go wrong at
# each command and at every 100th move, and daemons that are killed.
#
# ROUNDS, MOVES and DAEMONS say how often the last three (50, 20, 3).

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

LONG=
if [ "${1-}" = --long ]; then
	LONG=y
	shift
fi
VARIANT=${1:-s390}
NAME=ism${VARIANT#s390}
ROUNDS=${ROUNDS:-50} MOVES=${MOVES:-20} DAEMONS=${DAEMONS:-3}
SLOW_MS=5000 # how long a connection may outlive its peer
BOOT_SECONDS=600
# shellcheck source=scripts/agents.sh
. "$TOP/scripts/agents.sh"
"$TOP/scripts/selftest.sh" --modules "$VARIANT"
MODULES=("$B/selftests-$VARIANT")

A_IP=10.0.0.2 B_IP=10.0.0.3 C_IP=10.0.0.4

# serves GUEST: from now on it serves others
serves() {
	# shellcheck disable=SC2016 # the guest knows its address
	has "$1" 'serve 5000 smc_peer smc $ME 5000 serve'
}

# boot "GUEST N PORT..."...: at the same time, and each serves others
boot() {
	local g
	for g; do
		# shellcheck disable=SC2086 # words
		guest $g
	done
	for g; do
		await "${g%% *}" '^@ready' 1 $BOOT_SECONDS && serves "${g%% *}" || return
	done
}

# joined GUEST: is its function on the fabric, as far as the daemon of main knows?
joined() {
	control main status | jq -e ".ports[] | select(.name == \"$1\").joined" >/dev/null
}

both_ways() {
	has a "check 5 $B_IP" && has b "check 5 $A_IP" && has a no_tcp && has b no_tcp
}

killed() {
	is_cut a $B_IP shoot b || return
	over b || true
	boot "b 3 main/b" && has a "check 1 $B_IP"
}

# PCI STORE BLOCK is what it has to be, and what it stores is nobody's business
stores() {
	has a test_stores && has a "test_stores unbound" && has a "check 1 $B_IP"
}

unloaded() {
	joined b && has b unload || return
	! joined b && bye b && joined a && has a unload && ! joined a && bye a
}

# A guest that would lose signals does not start
refused() {
	local out
	! out=$(timeout 20 "$("$TOP/scripts/qemu.sh")" qemu-system-s390x -nodefaults -display none \
		-S -smp 1 -plugin "$B/dibs/plain/pcistb.so,ism=0x10:$RUN/main/a.sock" 2>&1) &&
		grep -F 'maxcpus=2 or more is needed' <<<"$out"
}

# short: what takes a minute
short() {
	daemon main plain 0x07c1 a b
	result "a guest with one CPU only is refused" refused
	boot "a 2 main/a" "b 3 main/b"
	result "SMC-D in both directions" both_ways
	result "a guest is killed" killed
	result "blocks, condition codes and exceptions" stores
	result "SMC and the driver are unloaded" unloaded
	halt main
}

all_to_all() {
	together "check 8 $B_IP $C_IP" "check 8 $A_IP $C_IP" "check 8 $A_IP $B_IP"
}

# b is on fabric main only, c on other only, and a on both
two_fabrics() {
	together "check 5 $B_IP $C_IP" "falls_back $C_IP" "falls_back $B_IP"
}

# In EBCDIC, filled up with blanks, as the sysfs of s390 has them
has_pnetid() {
	has "$1" "[ \"\$(od -An -tx1 -N16 /sys/bus/pci/devices/*/util_string | tr -d ' \\n')\" = $2 ]"
}

# A PNETID on the function, and on the network device the same or another one
pnetids() {
	boot "a 2 main/a,pnetid=NET1" "b 3 main/b,pnetid=NET1" &&
		has_pnetid a d5c5e3f1404040404040404040404040 || return
	for g in a b; do
		# shellcheck disable=SC2016 # the guest knows its device
		has $g 'smc_proof pnet-net NET1 "$(eth)"' || return
	done
	both_ways || return
	# shellcheck disable=SC2016 # the guest knows its device
	has b 'smc_proof pnet-flush && smc_proof pnet-net NET2 "$(eth)"' &&
		has b "falls_back $A_IP" && bye a && bye b
}

# Which of them serves first can make a difference
base_kernel() {
	VARIANT_OF[b]=s390-base
	boot "a 2 main/a" "b 3 main/b" && both_ways &&
		has b 'modinfo -F filename ism && [ ! -d /sys/class/dibs ]' || return
	has a 'again unbind' && has a "check 2 $B_IP" && has b 'again unbind' &&
		has b "check 2 $A_IP" && has a "check 2 $B_IP" && has a no_tcp && bye b && bye a
	unset "VARIANT_OF[b]"
}

# ended GUEST COUNT [unbroken MS]: its last COUNT connections were all broken off, or none was,
# and something had gone over each; the longest round trip of each took MS at least
ended() {
	grep 'round trips' "$RUN/$1.out" | tail -n "$2" |
		gawk -v count="$2" -v unbroken="${3-}" -v ms="${4:-0}" '
			{ n[$4 " " $5]++ }
			{ bad += $1 < 1 || $(NF - 1) < ms }
			($4 == "unbroken,") != (unbroken != "") { bad++ }
			END {
				for (i in n)
					print n[i], i
				exit bad > 0 || NR != count
			}'
}

# under_traffic HOW: b's driver loses and gets back its function, and nothing hangs
under_traffic() {
	local i n
	for ((i = 0; i < ROUNDS; i++)); do
		n=$(lines a '^@done')
		tell a "smc_peer smc $B_IP 5000 last 30"
		await b '^@ready' 1 && sleep "0.$((RANDOM % 5 + 3))" && has b "again $1" &&
			await a '^@done' $((n + 1)) 60 || return
		[ "$(grep '^@done' "$RUN/a.out" | tail -n 1)" = "@done 0" ] || {
			tail -n 3 "$RUN/a.out"
			return 1
		}
		has a "check 1 $B_IP" || return
	done
	ended a "$ROUNDS"
}

# survives WHAT: b with something that goes wrong in the life of its driver
survives() {
	if ! control main "inject b $1" | jq -e '. == {}' >/dev/null || ! has b "life $A_IP"; then
		echo "with $1"
		return 1
	fi
}

# number_of COUNTER: of the function of b
number_of() {
	control main status | jq ".ports[] | select(.name == \"b\").$1"
}

# What b's driver asks of the function from bind to unbind, one after the other
each_command() {
	local i n
	n=$(number_of commands)
	has b "life $A_IP" && has b "life $A_IP" || return
	n=$((($(number_of commands) - n) / 2))
	echo "$n commands"
	[ "$n" -ge 10 ] || return
	for ((i = 1; i <= n; i++)); do
		survives "command $i 0x0004" && has b "as_before $A_IP" &&
			survives "command $i 0xffff" && has b "as_before $A_IP" || return
	done
	# a command is two blocks, most of them
	for ((i = 1; i <= 2 * n; i += 1)); do
		survives "error $i" && has b "as_before $A_IP" || return
	done
	for ((i = 1; i <= 2 * n; i += 4)); do
		survives "delay $i 700" || return
	done
	has b "as_before $A_IP"
}

# every_100th WHAT [unbroken MS]: of b's moves goes wrong
every_100th() {
	local i
	for ((i = 0; i < MOVES; i++)); do
		control main "inject b $1" >/dev/null
		has b "smc_peer smc $A_IP 5000 last 3" && has b "${AFTER:-true}" || return
	done
	ended b "$MOVES" "${@:2}" && has b "check 1 $A_IP"
}

# No function does that, so the driver does not look for it: signals wait until somebody
# has the function recovered
lost_interrupt() {
	control main "inject b interrupt 10" >/dev/null
	has b "smc_peer smc $A_IP 5000 last 100 & sleep 3; again recover; wait \$!" &&
		[ "$(grep 'round trips' "$RUN/b.out" | tail -n 1 |
			gawk '$(NF - 1) >= 2000')" ] &&
		ended b 1 && has b "check 1 $A_IP"
}

# The daemon dies as a whole. Nobody tells the guests, so what waits for a peer waits as
# long as it likes, but all ends when the driver is unloaded, and that works.
daemon_killed() {
	local i
	for ((i = 0; i < DAEMONS; i++)); do
		daemon main plain 0x07c1 a b
		boot "a 2 main/a" "b 3 main/b" && has a "check 1 $B_IP" || return
		tell a "smc_peer smc $B_IP 5000 check 1000 2 &"
		await a '^@done' 3 && sleep 2 || return
		kill -KILL "${DAEMON[main]}"
		wait "${DAEMON[main]}" || true
		unset "DAEMON[main]"
		sleep 1
		has a unload && has b unload && bye a && bye b || return
	done
}

long() {
	local g how
	daemon main plain 0x07c1 a b c
	daemon other plain 0x07c2 a c
	boot "a 2 main/a" "b 3 main/b" "c 4 main/c"
	result "three guests talk to each other" all_to_all
	for g in a b c; do result "guest $g ends well" bye $g; done
	boot "a 2 main/a other/a" "b 3 main/b" "c 4 other/c"
	result "another PCHID is reached over TCP" two_fabrics
	for g in a b c; do result "guest $g ends well" bye $g; done
	result "PNETIDs" pnetids
	result "a guest with the base kernel" base_kernel
	boot "a 2 main/a" "b 3 main/b"
	for how in unbind slot recover; do
		result "$how, $ROUNDS times under traffic" under_traffic $how
	done
	result "what goes wrong with each command" each_command
	for how in 1 3; do
		result "every 100th move ends with condition code $how" every_100th "move 100 $how"
	done
	# which is the only one that the driver tries again for
	result "every 100th move ends with condition code 2" every_100th "move 100 2" unbroken
	result "every 100th move finds the function busy" every_100th "delay 100 500" unbroken 500
	AFTER="as_before $A_IP" result "every 100th move finds the function in error state" \
		every_100th "error 100"
	result "a lost interrupt" lost_interrupt
	for g in a b; do result "guest $g ends well" bye $g; done
	halt main
	halt other
	result "$DAEMONS daemons are killed" daemon_killed
}

short
[ -z "$LONG" ] || long
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
