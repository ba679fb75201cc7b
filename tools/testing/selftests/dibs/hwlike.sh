#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# SMC-D on a device that is not loopback: found by its PNETID, version 1 of the
# protocol, no parent, buffers that cannot be attached.

. "$(dirname "$0")/lib.sh"

KO=$DIR/test_modules/dibs_hwlike.ko

with_pnetid() {
	smc_proof pnet-flush
	smc_proof pnet NOSUCHNET lo
	smc_proof pnet HWNET hwlike && smc_proof pnet-net HWNET lo
}

# Without version 2 there is nothing but the PNETID to find a device by
found_by_pnetid() {
	local before after
	before=$(stat_of hwlike moves)
	smc_traffic -m any smc pingpong 64 100 >/dev/null || return
	same "$before" "$(stat_of hwlike moves)" "moves without a PNETID" || return
	with_pnetid || return
	smc_traffic smc pingpong 64 100 >/dev/null || return
	after=$(stat_of hwlike moves)
	[ "$after" -ge $((before + 200)) ] || {
		echo "$((after - before)) moves for 100 round trips"
		return 1
	}
}

data() {
	smc_traffic smc stream 65536 300 >/dev/null &&
		smc_traffic smc load 2
}

# What the device could not move has not been sent, also if the next move succeeds
unmoved() {
	smc_traffic smc unmoved /sys/module/dibs_hwlike/parameters/fail_moves
}

# Netlink shows a device that has neither PCI values nor a parent
listed() {
	local line
	line=$(smc_proof devs)
	echo "$line"
	case $line in
	"pci= fid=0x00000000 chid=0x0000 "*" pnetid=HWNET"*) ;;
	*) return 1 ;;
	esac
}

# Receive buffers that nobody has chosen the size of are as large as the device needs them
buffer_size() {
	local default lens rc=0
	need_tracing || return 4
	rmmod dibs_hwlike && insmod "$KO" dmb_len=262144 && with_pnetid || return
	default=$(sysctl -n net.smc.rmem)
	echo >$TRACE/trace
	echo 1 >$TRACE/tracing_on
	echo 1 >$TRACE/events/dibs/dibs_dmb_register/enable
	smc_traffic smc pingpong 64 10 >/dev/null || rc=1
	sysctl -qw net.smc.rmem=131072
	smc_traffic smc pingpong 64 10 >/dev/null || rc=1
	sysctl -qw net.smc.rmem="$default"
	echo 0 >$TRACE/events/dibs/dibs_dmb_register/enable
	lens=$(sed -n 's/.*dibs_dmb_register: hwlike .* len=\([0-9]*\) .* rc=0$/\1/p' $TRACE/trace |
		uniq | tr '\n' ' ')
	same "262144 131072 " "$lens" "lengths by default and with a size" && return $rc
}

# Send buffers as well, unless the application has chosen, the default size included
buffer_size_chosen() {
	local rooms
	rmmod dibs_hwlike && insmod "$KO" dmb_len=262144 && with_pnetid || return
	rooms=$(smc_traffic smc room)
	rooms+=" $(smc_traffic -b 65536 smc room)"
	rooms+=" $(smc_traffic -b 131072 smc room)"
	rmmod dibs_hwlike && insmod "$KO" && with_pnetid || return
	rooms+=" $(smc_traffic smc room)"
	same "512 128 256 128" "$rooms" "KiB in both buffers"
}

# The device goes between the moment in which a handshake finds it and the one in
# which a link group holds it: TCP serves
leaves_found() {
	local load rc=0
	insmod "$DIR/test_modules/smc_hostile.ko" create_ms=5000 || return
	smc_traffic -m any smc pingpong 64 10 >"$TMP/load" 2>&1 &
	load=$!
	within 10 grep -qx '[1-9]' /sys/module/smc_hostile/parameters/waiting || rc=1
	rmmod dibs_hwlike || rc=1
	wait $load || rc=1
	cat "$TMP/load"
	rmmod smc_hostile || rc=1
	insmod "$KO" && with_pnetid && return $rc
}

# The device goes while connections look for it, and nothing keeps it
leaves() {
	local load i rc=0
	smc_traffic -m any smc load 600 >"$TMP/load" &
	load=$!
	for ((i = 0; i < ${LONG:+10}5; i++)); do
		sleep 0.5
		rmmod dibs_hwlike || rc=1
		insmod "$KO" || rc=1
	done
	within 10 smc_traffic smc pingpong 64 10 || rc=1
	kill $load
	wait $load || rc=1
	tail -n 1 "$TMP/load"
	rmmod dibs_hwlike || return
	[ ! -e $SYS/hwlike ] && return $rc
}

need_root
need_smcd
[ -f "$KO" ] || skip_all "no $KO"
smc_proof ueid-del $UEID
use_only none
insmod "$KO" || skip_all "cannot load $KO"
ktap_print_header
ktap_set_plan 8
result "found by its PNETID only" found_by_pnetid
result "data" data
result "data that cannot be moved" unmoved
result "shown without PCI values" listed
result "size of buffers" buffer_size
result "size of buffers that was chosen" buffer_size_chosen
result "the device leaves a handshake" leaves_found
result "the device leaves under traffic" leaves
ktap_finished
