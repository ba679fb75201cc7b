#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# SMC without any dibs device, as on a system that has SMC-R only: connections fall
# back to TCP, say why, and carry their data.

. "$(dirname "$0")/lib.sh"

NO_SMC_DEVICE='0x0303[0-9a-f]{4}' # SMC_CLC_DECL_NOSMCDEV and its kind

fallback() {
	local fallbacks v2
	modprobe -a smc smc_diag || return
	smc_proof ueid $UEID || return
	[ -z "$(ls $SYS 2>/dev/null)" ] || return
	fallbacks=$(smc_stat fallbacks) v2=$(smc_stat v2)
	smc_traffic -m any smc pingpong 1000 20 || return
	[ "$(smc_stat fallbacks)" -gt "$fallbacks" ] || return
	same "$v2" "$(smc_stat v2)" "SMC-D connections" || return
	smc_stat fallback_reason | grep -qxE "$NO_SMC_DEVICE"
}

# live_reason PATTERN: does one end of a live connection tell this reason?
live_reason() {
	local pid rc=0
	smc_traffic -m any smc hold 1 >"$TMP/hold" &
	pid=$!
	within 10 grep -q ready "$TMP/hold" || return
	smc_proof list | tee /dev/stderr | grep -qE "^TCP .* reason=$1" || rc=1
	kill $pid
	wait $pid 2>/dev/null
	return $rc
}

shown() {
	live_reason "$NO_SMC_DEVICE" && same "" "$(smc_proof lgrs)" "link groups"
}

# The same sockets' family becomes SMC-D when there is a device
upgrade() {
	modprobe dibs_loopback || return
	smc_traffic smc pingpong 64 5 || return
	rmmod dibs_loopback || return
	smc_traffic -m any smc pingpong 64 5
}

# No user EID in common: a fallback with a reason of its own, as before
no_ueid() {
	modprobe dibs_loopback || return
	smc_proof ueid-del $UEID || return
	smc_traffic -m any smc pingpong 64 5 || return
	live_reason 0x03030008 || return
	smc_proof ueid $UEID && smc_traffic smc pingpong 64 5
}

need_root
need_modules
ktap_print_header
ktap_set_plan 4
result "without a device connections fall back to TCP" fallback
result "the reason can be seen" shown
result "a device that comes is used" upgrade
result "without a user EID, too" no_ueid
unload_all
ktap_finished
