#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Loopback devices that are made and removed at run time.

. "$(dirname "$0")/lib.sh"

live_device() {
	mkdir $CFG/lo2 || return
	same 0 "$(<$CFG/lo2/live)" "live of a new item" || return
	same 1 "$(<$CFG/lo2/map)" "map of a new item" || return
	[ ! -e $SYS/lo2 ] || return
	put 1 $CFG/lo2/live || return
	same 1 "$(<$CFG/lo2/live)" live || return
	same 0xffff "$(<$SYS/lo2/fabric_id)" fabric_id || return
	put 0 $CFG/lo2/live || return
	[ ! -e $SYS/lo2 ] || return
	same 0 "$(<$CFG/lo2/live)" "live after the removal" && rmdir $CFG/lo2
}

twice() {
	local gid
	lo_add lo2 || return
	gid=$(<$SYS/lo2/gid)
	put 1 $CFG/lo2/live || return
	same "$gid" "$(<$SYS/lo2/gid)" "gid after another 1" || return
	put 0 $CFG/lo2/live && put 0 $CFG/lo2/live && rmdir $CFG/lo2
}

names() {
	fails EINVAL mkdir $CFG/eth0 || return
	fails EINVAL mkdir $CFG/xlo || return
	fails EEXIST mkdir_twice || return
	rmdir $CFG/lo2
}

mkdir_twice() {
	mkdir $CFG/lo2 && mkdir $CFG/lo2
}

taken() {
	mkdir $CFG/lo || return
	fails EEXIST put 1 $CFG/lo/live || return
	same 0 "$(<$CFG/lo/live)" live || return
	[ -e $SYS/lo ] && rmdir $CFG/lo
}

values() {
	lo_add lo2 || return
	fails EINVAL put 7 $CFG/lo2/live || return
	fails EINVAL put x $CFG/lo2/map || return
	same 1 "$(<$CFG/lo2/live)" live || return
	fails EBUSY put 0 $CFG/lo2/map || return
	same 1 "$(<$CFG/lo2/map)" map || return
	put 0 $CFG/lo2/live && put 0 $CFG/lo2/map || return
	same 0 "$(<$CFG/lo2/map)" map && rmdir $CFG/lo2
}

# Removal is in writing 0, not in rmdir
busy() {
	lo_add lo2 || return
	fails EBUSY rmdir $CFG/lo2 || return
	[ -e $SYS/lo2 ] && lo_del lo2
}

module_busy() {
	is_module dibs_loopback || return 4
	mkdir $CFG/lo2 || return
	fails EBUSY rmmod dibs_loopback || return
	put 1 $CFG/lo2/live || return
	fails EBUSY rmmod dibs_loopback || return
	[ -e $SYS/lo ] && [ -e $SYS/lo2 ] && lo_del lo2
}

# Many devices, all on one fabric, removed in another order
many() {
	local i gids
	for i in $(seq 10 29); do
		lo_add "lo$i" || return
	done
	gids=$(cat $SYS/lo*/gid | sort -u | wc -l)
	same 21 "$gids" "number of GIDs" || return
	for i in $(seq 29 -2 10) $(seq 10 2 29); do
		lo_del "lo$i" || return
	done
	same lo "$(ls $SYS)" "what is left"
}

# Both write to one item: it is live or not, and the device agrees
race() {
	local i
	mkdir $CFG/lo2 || return
	for i in 1 2 3; do
		for _ in $(seq 30); do
			put $((i & 1)) $CFG/lo2/live
		done &
	done
	wait
	if [ "$(<$CFG/lo2/live)" = 1 ]; then
		[ -e $SYS/lo2 ] || return
	else
		[ ! -e $SYS/lo2 ] || return
	fi
	lo_del lo2
}

need_root
modprobe -q dibs_loopback
[ -d $SYS/lo ] || skip_all "no loopback device"
need_configfs
[ "$(ls $SYS)" = lo ] || skip_all "there are other dibs devices"
ktap_print_header
ktap_set_plan 9
result "a device comes and goes" live_device
result "writing the same again changes nothing" twice
result "names" names
result "a name that is taken" taken
result "values that make no sense, or not now" values
result "rmdir of a live device" busy
result "rmmod with items" module_busy
result "twenty devices" many
result "concurrent writers" race
ktap_finished
