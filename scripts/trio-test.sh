#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# trio-test.sh [VARIANT]: three guests that all talk to each other, and guests on two
# fabrics, which only the one that is on both reaches over SMC-D; and a virtual machine
# with the arguments of the snippet for libvirt.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

VARIANT=${1:-x86} NAME=trio
# shellcheck source=scripts/agents.sh
. "$TOP/scripts/agents.sh"

all_to_all() {
	together "check 8 $B_IP $C_IP" "check 8 $A_IP $C_IP" "check 8 $A_IP $B_IP"
}

# b is on fabric one only, c on two only, and a on both
two_fabrics() {
	has c 'cut_off 0xff01' || return
	together "check 8 $B_IP $C_IP" "falls_back $C_IP" "falls_back $B_IP"
}

# snippet_args: those that libvirt passes on, one a line; fails if the memory is not shared
snippet_args() {
	python3 - "$TOP/tools/dibs/libvirt-domain.xml" <<-'PYTHON'
		import sys
		import xml.etree.ElementTree as tree

		domain = tree.parse(sys.argv[1]).getroot()
		assert domain.find("memoryBacking/source").get("type") == "memfd"
		assert domain.find("memoryBacking/access").get("mode") == "shared"
		arg = "{http://libvirt.org/schemas/domain/qemu/1.0}arg"
		for a in domain.iter(arg):
		    print(a.get("value"))
	PYTHON
}

# web1_is PART: what the status says of that port
web1_is() {
	control one status | jq -e ".ports[] | select(.name == \"web1\") | $1" >/dev/null
}

# QEMU takes those arguments and connects, for memory as libvirt makes it from the snippet
libvirt() {
	local args rc=0 pid
	args=$(snippet_args) && [ -n "$args" ] || return
	mapfile -t args <<<"${args//\/run\/dibs\/ff01/$RUN/one}"
	printf '%s\n' "${args[@]}"
	control one "add web1" | jq -e '.error == null' && ! web1_is .connected || return
	timeout 60 "$("$TOP/scripts/qemu.sh")" qemu-system-x86_64 -S -nodefaults -display none \
		-object memory-backend-memfd,id=ram,size=64M,share=on \
		-machine q35,memory-backend=ram -m 64M "${args[@]}" &
	pid=$!
	until web1_is .connected; do
		kill -0 $pid || return
		sleep 0.1
	done
	kill $pid
	wait $pid || rc=$?
	[ $rc -eq 0 ] || [ $rc -eq 143 ] || [ $rc -eq 124 ]
}

A_IP=10.0.0.2 B_IP=10.0.0.3 C_IP=10.0.0.4
daemon one plain 0xff01 a b c
daemon two plain 0xff02 a c
guest a 2 one/a two/a
guest b 3 one/b
guest c 4 one/c two/c
say "three guests, two fabrics"
for g in a b c; do await $g '^@ready' 1; done
# shellcheck disable=SC2016 # the guest knows its address
for g in a b c; do has $g 'serve 5000 smc_peer smc $ME 5000 serve'; done
result "three guests talk to each other" all_to_all
result "two fabrics do not reach each other" two_fabrics
for g in a b c; do result "guest $g ends well" bye $g; done
result "QEMU takes the snippet for libvirt" libvirt
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
