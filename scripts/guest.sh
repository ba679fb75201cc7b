#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# guest.sh [-t SECONDS] [-c CPUS] [-m MIB] [-d DIR]... [-a ARGS] [-n NAME] [-i] [-s]
#	[-f SOCKET] [-v] [-x QEMU-ARGS] VARIANT [COMMAND...]
#
# Boots a guest with the kernel of VARIANT, runs COMMAND in it (several words, or
# one with shell syntax), shows its output as it comes and returns its status.
#
#  -t SECONDS  time limit of the whole guest (default 300)
#  -c CPUS, -m MIB   size of the guest (2 CPUs, 1024 MiB)
#  -d DIR      put DIR's files into the guest's /opt/dibs; more than once if need be
#  -a ARGS     more kernel arguments
#  -n NAME     name of the log in build/log (default: VARIANT)
#  -i          count instructions: 1 CPU, its clock goes on 1 ns per instruction
#  -f SOCKET   a device on a fabric, whose daemon listens there (below build/ or /tmp);
#              more than once if need be. On s390x it is an ISM function, or virtio-dibs
#              with -v; SOCKET,pnetid=NAME gives an ISM function a PNETID
#  -x ARGS     more arguments for QEMU
#  -s          a shell on this terminal instead of COMMAND, no time limit
#
# ACCEL=kvm|tcg chooses the accelerator; unset, KVM is used if a guest boots with it.
# KERNEL=IMAGE and MODROOT=DIR use another kernel than VARIANT's.
#
# The run fails, whatever COMMAND said, if the guest did not end by its own word or
# if its kernel reported anything; the report is printed.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

LIMIT=300 CPUS=2 MEM=1024 DIRS=() ARGS='' NAME='' ICOUNT='' SHELL_MODE=''
FABRIC=() VIRTIO='' EXTRA=''
while getopts t:c:m:d:a:n:f:x:ivs opt; do
	case $opt in
	t) LIMIT=$OPTARG ;;
	c) CPUS=$OPTARG ;;
	m) MEM=$OPTARG ;;
	d) DIRS+=("$OPTARG") ;;
	a) ARGS=$OPTARG ;;
	n) NAME=$OPTARG ;;
	f) FABRIC+=("$OPTARG") ;;
	v) VIRTIO=y ;;
	x) EXTRA=$OPTARG ;;
	i) ICOUNT=y ;;
	s) SHELL_MODE=y ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] || die "which kernel variant?"
VARIANT=$1
shift

# What the kernel says when something is wrong with it. Of leaks guest/init says which
# there are.
REPORT='WARNING[: ]|BUG:|Call Trace|INFO: (possible|task|rcu)|KASAN:|KCSAN:|UBSAN:'
REPORT+='|unreferenced object|Kernel panic|Oops|soft lockup'
REPORT+='|detected stall|general protection|Unable to handle kernel|refcount_t:'

case $VARIANT in
s390*) QEMU=qemu-system-s390x PKG=qemu-system-misc ARCH=s390x CONSOLE=ttyS0 ;;
*)
	QEMU=qemu-system-x86_64 PKG=qemu-system-x86 ARCH=amd64 CONSOLE=ttyS0
	# On a busy host the emulated timer can be too late for the kernel's check of it.
	ARGS+=" no_timer_check"
	# Races while it boots are the base's; init switches it on.
	[ "$VARIANT" != x86-kcsan ] || ARGS+=" kcsan.early_enable=0"
	;;
esac

# kvm_boots KERNEL: does a guest make progress with KVM?  One that finds no root
# panics and so ends; being able to create a virtual machine proves nothing.
kvm_boots() {
	[ -w /dev/kvm ] && [ "$ARCH" = "$(dpkg --print-architecture)" ] &&
		timeout -k 1 20 "$QEMU" -accel kvm -cpu max -m 512 -nodefaults -display none \
			-no-reboot -kernel "$1" -append 'panic=-1 quiet' </dev/null >/dev/null 2>&1
}

accel() {
	local cache
	cache=$B/accel-$ARCH-$(cat /proc/sys/kernel/random/boot_id)
	if [ -z "${ACCEL:-}" ]; then
		[ -s "$cache" ] || {
			if kvm_boots "$1"; then echo kvm; else echo tcg; fi
		} >"$cache"
		ACCEL=$(cat "$cache")
	fi
	echo "$ACCEL"
}

# layer DIR: what is laid over the root file system in this guest.
make_layer() {
	local dir=$1 d
	mkdir -p "$dir/etc/dibs-guest" "$dir/usr/lib" "$dir/opt/dibs"
	install -m 755 "$TOP/scripts/guest/init" "$dir/init"
	[ ! -d "$MODROOT/lib/modules" ] || cp -a "$MODROOT/lib/modules" "$dir/usr/lib/"
	# The links back to the build tree mean nothing in there.
	rm -f "$dir"/usr/lib/modules/*/{build,source}
	for d in "${DIRS[@]}"; do
		cp -rL "$d/." "$dir/opt/dibs/"
	done
	[ -z "$SHELL_MODE" ] || stty size >"$dir/etc/dibs-guest/shell" 2>/dev/null || true
	if [ $# -eq 2 ]; then
		echo "$2"
	else
		shift
		printf '%q ' "$@"
		echo
	fi >"$dir/etc/dibs-guest/command"
	mksquashfs "$dir" "$dir.img" -quiet -no-progress -all-root -noI -noD -noF -noX >/dev/null
}

# report: the part of the kernel's log that matters, if there is one.
report() {
	local line
	line=$(grep -nEm 1 "$REPORT" "$LOG" | cut -d: -f1)
	[ -n "$line" ] || return 1
	echo "--- the guest's kernel reported (line $line of $LOG):"
	head -n "$line" "$LOG" | grep 'selftest: ' | tail -n 1 || true
	sed -n "$((line > 5 ? line - 5 : 1)),$((line + 70))p" "$LOG"
	echo "---"
}

need_pkgs "$PKG" squashfs-tools
[ "$ARCH" = s390x ] || need_pkgs seabios
KERNEL=${KERNEL:-$("$TOP/scripts/kernel.sh" --image "$VARIANT")}
MODROOT=${MODROOT:-$B/o-$VARIANT/modroot}
[ -e "$KERNEL" ] || die "no kernel $KERNEL: make build VARIANT=$VARIANT"
ROOTFS=$("$TOP/scripts/rootfs.sh" "$ARCH")
ACCEL=$(accel "$KERNEL")
mkdir -p "$B/run" "$B/log"
LOG=$B/log/guest-${NAME:-$VARIANT}
RUN=$(mktemp -d "$B/run/guest.XXXXXX")
PIDS=()
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
	[ ${#PIDS[@]} -eq 0 ] || kill "${PIDS[@]}" 2>/dev/null || true
	rm -rf "$RUN"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

[ -n "$SHELL_MODE" ] || [ $# -gt 0 ] || die "which command?"
make_layer "$RUN/layer" "$@"
DRIVES=(-drive "file=$ROOTFS,format=raw,if=virtio,readonly=on"
	-drive "file=$RUN/layer.img,format=raw,if=virtio,readonly=on")
LAYER='mount -t squashfs -o ro /dev/vdb /mnt'
if [ "$ARCH" = s390x ]; then
	# There is no saying which of two disks s390 finds first, so make it one.
	cp "$ROOTFS" "$RUN/root.img"
	mksquashfs "$RUN/layer" "$RUN/root.img" -keep-as-directory -quiet -no-progress \
		-all-root >/dev/null
	DRIVES=(-drive "file=$RUN/root.img,format=raw,if=virtio,readonly=on")
	LAYER='mount -t tmpfs tmpfs /mnt && cp -a /layer/. /mnt'
fi
: >"$LOG"

[ -z "$ICOUNT" ] || ACCEL=tcg
cpu=max
# rep movsb, which TCG does bytewise, would be what the guest spends its time with
[ "$ACCEL" != tcg ] || [ "$ARCH" != amd64 ] || cpu=max,-erms,-fsrm
qemu=()
MEMORY=(-m "$MEM")
# QEMU 7 takes four times as long to execute a program as later ones do, but for the
# debug kernel it is the quicker one.
if [ ${#FABRIC[@]} -gt 0 ] || { [ "$ARCH" = amd64 ] && [ "$VARIANT" != x86-debug ]; }; then
	qemu+=("$("$TOP/scripts/qemu.sh")")
fi
if [ ${#FABRIC[@]} -gt 0 ]; then
	# The daemon copies between the memories of guests, which it gets as files.
	MEMORY+=(-object "memory-backend-memfd,id=ram,size=${MEM}M,share=on"
		-machine memory-backend=ram)
fi
plugin=$B/dibs/plain/pcistb.so
for i in "${!FABRIC[@]}"; do
	# a port that is quiet for a minute is what a restarted daemon may be
	MEMORY+=(-device '{"driver":"vfio-user-pci","id":"dibs'"$i"'","x-msg-timeout":60000,"socket":{"type":"unix","path":"'"${FABRIC[i]%%,*}"'"}}')
	[ "$ARCH" = s390x ] || continue
	MEMORY+=(-device "zpci,uid=$((16 + i)),target=dibs$i")
	plugin+=",ism=$((16 + i)):${FABRIC[i]}"
done
if [ "$ARCH" = s390x ] && [ ${#FABRIC[@]} -gt 0 ] && [ -z "$VIRTIO" ]; then
	# ISM functions, whose blocks QEMU has to be helped with
	MEMORY+=(-plugin "$plugin")
fi
# shellcheck disable=SC2206 # several arguments
qemu+=("$QEMU" $EXTRA "${MEMORY[@]}" -cpu "$cpu" -nodefaults -no-user-config -display none -no-reboot
	-monitor none -serial "file:$LOG"
	"${DRIVES[@]}" -device virtio-rng -device virtio-serial -kernel "$KERNEL")
if [ -n "$ICOUNT" ]; then
	qemu+=(-smp 1 -accel "tcg,thread=single" -icount "shift=0,sleep=off")
else
	# The firmware's table of processors, which a kernel without ACPI reads, has only
	# the first one of each socket. Where there can be only one, TCG has it change memory
	# in steps that are not atomic, and on s390x, where devices set bits in the words in
	# which it clears others, interrupts get lost.
	sockets=$CPUS
	[ "$ARCH" != s390x ] || [ "$CPUS" -gt 1 ] || sockets=2
	qemu+=(-smp "$CPUS,maxcpus=$sockets,sockets=$sockets,cores=1,threads=1" -accel
		"$ACCEL$([ "$ACCEL" != tcg ] || echo ,thread=multi)")
fi
# An emulated CPU on a busy host stands still for longer than a watchdog expects.
PATIENCE=''
[ "$ACCEL" != tcg ] ||
	PATIENCE=' watchdog_thresh=60 workqueue.watchdog_thresh=120 rcupdate.rcu_cpu_stall_timeout=120'
append="root=/dev/vda rootfstype=squashfs ro console=$CONSOLE panic=-1 oops=panic"
append+=" panic_on_warn=1 random.trust_cpu=1$PATIENCE $ARGS init=/bin/sh --"
append+=" -c \"$LAYER && exec /mnt/init\""
qemu+=(-append "$append")

if [ -n "$SHELL_MODE" ]; then
	echo "A shell in the guest ($VARIANT, $ACCEL); the end of it ends the guest. Log: $LOG"
	"${qemu[@]}" -chardev stdio,id=con,signal=off -device virtconsole,chardev=con
	exit
fi

mkfifo "$RUN/out"
cat "$RUN/out" &
PIDS+=($!)
timeout -k 5 "$LIMIT" "${qemu[@]}" \
	-chardev "file,id=out,path=$RUN/out" -device virtserialport,chardev=out,name=dibs.out \
	-chardev "file,id=word,path=$RUN/word" -device virtserialport,chardev=word,name=dibs.word \
	-chardev "file,id=gcov,path=$RUN/gcov" -device virtserialport,chardev=gcov,name=dibs.gcov \
	</dev/null >"$RUN/qemu" 2>&1 &
PIDS+=($!)
rc=0
wait "${PIDS[1]}" || rc=$?
: <>"$RUN/out" # whose reader waits for a writer that may never have come
wait "${PIDS[0]}" || true
PIDS=()

# of a kernel that counts the lines which are executed
[ ! -s "$RUN/gcov" ] || install -D -m 644 "$RUN/gcov" "$B/results/gcov/${RUN##*/}.gcda"
status=$(sed -n 's/^ended \([0-9]*\)$/\1/p' "$RUN/word" 2>/dev/null || true)
if report >&2; then
	exit 98
elif [ -z "$status" ]; then
	echo "--- the guest did not end by its own word (QEMU: $rc, limit $LIMIT s); its log ends:"
	tail -n 30 "$LOG"
	cat "$RUN/qemu"
	echo "---"
	exit 97
elif [ "$rc" -ne 0 ]; then
	cat "$RUN/qemu"
	die "the guest ended, and then did not reboot (QEMU: $rc, limit $LIMIT s)"
fi >&2
exit "$status"
