#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Guest: own
#
# A reboot under traffic: leaves connections behind, idle and busy ones on two devices,
# for whoever reboots the guest next. That it comes down is the test.

. "$(dirname "$0")/lib.sh"

leave_traffic() {
	use_only lo
	setsid smc_traffic smc splice 5 >"$TMP/hold" 2>&1 &
	within 15 grep -q ready "$TMP/hold" || return
	setsid smc_traffic -m any smc load 3000 >/dev/null 2>&1 &
	if mkdir $CFG/lo2 2>/dev/null; then
		put 1 $CFG/lo2/live && use_only lo2 || return
		setsid smc_traffic smc hold 5 >"$TMP/hold2" 2>&1 &
		within 15 grep -q ready "$TMP/hold2" || return
	fi
	sleep 1
	# for the guest's init, which would look for lost memory now
	: >/run/traffic-goes-on
	[ "$(smc_proof count SMCD)" -ge 20 ]
}

need_root
[ -e /etc/dibs-guest ] || skip_all "is only for a guest that is rebooted next"
need_smcd
ktap_print_header
ktap_set_plan 1
result "traffic when the reboot begins" leave_traffic
trap - EXIT
ktap_finished
