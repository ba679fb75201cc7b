#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What can only be done from inside the kernel: a client with threaded handlers, DMBs
# that are unregistered while they are attached, bad input, and a hostile SMC-D peer.

. "$(dirname "$0")/lib.sh"

KO=$DIR/test_modules/dibs_selftest.ko

# in_kernel TEST [PARAMETER...]
in_kernel() {
	local t=$1 rc=0
	shift
	insmod "$KO" test="$t" "$@" || {
		rc=1
		dmesg | tail -n 5
	}
	unload dibs_selftest
	return $rc
}

input() {
	local c rc=0
	local -A before
	for c in bad_token bad_gid bad_range bad_signal move_errors; do
		before[$c]=$(stat_of lo $c)
	done
	in_kernel input || return
	for c in bad_token:1 bad_gid:1 bad_range:2 bad_signal:1 move_errors:5; do
		same $((${before[${c%:*}]} + ${c#*:})) "$(stat_of lo "${c%:*}")" "${c%:*}" || rc=1
	done
	return $rc
}


# poke CONNECTION OFFSET SIZE FILL: writes into the DMB of a connection's client
poke() {
	local token
	token=$(smc_proof list | sed -n "s/^SMCD .* token=\(0x[0-9a-f]*\) .*/\1/p" | head -n 1)
	[ -n "$token" ] || return
	in_kernel poke token="$token" offset="$1" size="$2" fill="$3"
}

messages() {
	dmesg | grep -c 'peer sent invalid cursors'
}

# The cursors of one connection become nonsense: it ends, with one message, and
# connections that were there before go on
garbage() {
	local victim other before lines
	timeout 60 smc_traffic smc hold 1 >"$TMP/hold" &
	victim=$!
	within 10 grep -q ready "$TMP/hold" || return
	poke_token=$(smc_proof list | sed -n 's/.* token=\(0x[0-9a-f]*\) .*/\1/p' | head -n 1)
	smc_traffic smc pingpong 500 3000 >"$TMP/pp" &
	other=$!
	sleep 0.2
	before=$(messages)
	in_kernel poke token="$poke_token" offset="$1" size="$2" fill="$3" || return
	wait $victim || {
		cat "$TMP/hold"
		return 1
	}
	tail -n 1 "$TMP/hold"
	wait $other || return
	lines=$(($(messages) - before))
	same 1 $lines "number of messages"
}

# The producer goes on after what it sent was spliced into a pipe, as if that had
# been consumed
flood() {
	local victim token before
	timeout 60 smc_traffic smc splice 1 >"$TMP/hold" &
	victim=$!
	within 10 grep -q ready "$TMP/hold" || return
	before=$(messages)
	token=$(smc_proof list | sed -n 's/.* rx=20000 .* token=\(0x[0-9a-f]*\) .*/\1/p')
	[ -n "$token" ] || return
	in_kernel poke token="$token" offset=8 size=1 fill=1 || return
	wait $victim || {
		cat "$TMP/hold"
		return 1
	}
	same $((before + 1)) "$(messages)" messages
}

# No connection is left, so nobody finds what is wrong with one any more
all_gone() {
	! smc_proof list | grep -q ^SMCD
}

# Both ends find garbage at the same time, and each abort finds the other's. The one
# that was not looked at may say so late.
both_ends() {
	local victim token before
	timeout 60 smc_traffic smc hold 1 >"$TMP/hold" &
	victim=$!
	within 10 grep -q ready "$TMP/hold" || return
	before=$(messages)
	for token in $(smc_proof list | sed -n 's/^SMCD .* token=\(0x[0-9a-f]*\) .*/\1/p'); do
		in_kernel poke token="$token" offset=8 size=16 fill=255 >/dev/null 2>&1
	done
	wait $victim || {
		cat "$TMP/hold"
		return 1
	}
	within 20 all_gone && [ "$(messages)" -gt "$before" ]
}

# Data that nobody announced is not looked at, nor are flags without data
silent() {
	local before
	within 20 all_gone || return
	before=$(messages)
	timeout 60 smc_traffic smc hold 1 >"$TMP/hold" &
	within 10 grep -q ready "$TMP/hold" || return
	poke "$1" "$2" 255 || return
	sleep 0.5
	kill -0 %% && same "$before" "$(messages)" messages || return
	kill %%
	wait %% 2>/dev/null
	within 20 all_gone
}

# Flags of both ends that speak of urgent data, without any data
urgent() {
	local victim before token
	within 20 all_gone || return
	before=$(messages)
	timeout 60 smc_traffic smc hold 1 >"$TMP/hold" &
	victim=$!
	within 10 grep -q ready "$TMP/hold" || return
	for token in $(smc_proof list | sed -n 's/^SMCD .* token=\(0x[0-9a-f]*\) .*/\1/p'); do
		in_kernel poke token="$token" offset=22 size=1 fill=255 || return
	done
	still_held $victim && same "$before" "$(messages)" messages && within 20 all_gone
}

# The DMBs of a connection are kept for the next one. What is written to them in
# between concerns nobody.
late() {
	local victim before token tokens
	timeout 60 smc_traffic smc hold 1 >"$TMP/hold" &
	victim=$!
	within 10 grep -q ready "$TMP/hold" || return
	tokens=$(smc_proof list | sed -n 's/^SMCD .* token=\(0x[0-9a-f]*\) .*/\1/p')
	kill $victim
	wait $victim 2>/dev/null
	within 20 all_gone || return
	before=$(messages)
	for token in $tokens; do
		in_kernel poke token="$token" offset=8 size=16 fill=255 || return
	done
	sleep 0.5
	same "$before" "$(messages)" messages && smc_traffic smc pingpong 64 10
}

# still_held PID: does the connection of smc_traffic go on?
still_held() {
	sleep 0.5
	kill -0 "$1" || {
		cat "$TMP/hold"
		return 1
	}
	kill "$1"
	wait "$1" 2>/dev/null
	return 0
}

# Without GID or token, an event says that something was lost, and peers that can
# be reached are spared
events_about_nobody() {
	local holder e
	timeout 60 smc_traffic smc hold 1 >"$TMP/hold" &
	holder=$!
	within 10 grep -q ready "$TMP/hold" || return
	for e in dev_disabled dev_error unregistered lost shutdown; do
		in_kernel event event=$e || return
	done
	still_held $holder
}

peer_disabled() {
	local holder
	timeout 60 smc_traffic smc hold 1 >"$TMP/hold" &
	holder=$!
	within 10 grep -q ready "$TMP/hold" || return
	in_kernel event event=dev_disabled named=1 || return
	wait $holder || {
		cat "$TMP/hold"
		return 1
	}
}

need_root
need_smcd
[ -f "$KO" ] || skip_all "no $KO"
use_only lo
ktap_print_header
ktap_set_plan 15
result "threaded handlers" in_kernel threaded
result "handlers that echo on their own device" in_kernel atomic
result "a DMB is unregistered while it is attached" in_kernel attached
result "bad input is refused and counted" input
result "garbage cursors reset one connection, with one message" garbage 8 16 255
result "a producer that runs away" garbage 8 6 127
result "a consumer that runs away" garbage 16 6 127
result "a consumer that takes what was not sent" garbage 18 1 1
result "a producer that does not wait for what was spliced" flood
result "unannounced data is ignored" silent 64 4000
result "urgent data that does not exist" urgent
result "data for a connection that has ended" late
result "events about nobody end no connection" events_about_nobody
result "a peer's device is disabled" peer_disabled
# last, as the second end's message may come long after the connection has gone
result "garbage in both ends of a connection" both_ends
ktap_finished
