#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench-console.sh: 1 MiB written to the console over dibs and to hvc on virtio-console,
# by one guest in turns, as lines and as bytes, and how often its terminal is signalled for
# it; then how long a byte takes that is typed and echoed, over dibs and between the hvc of
# two guests.  ROUNDS=N (default 5).  Fails if a byte is lost, with 75 if a guest has no clock.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-5}
LINES_EACH=$((1048576 / 17))
A=0aa10000-0000-4000-8000-00000000000a
B_GID=0bb20000-0000-4000-8000-00000000000b

need_pkgs gcc make libseccomp-dev libjansson-dev
quietly "$B/log/dibs-fabric" make -C "$TOP/tools/dibs" OUT="$B/dibs"
"$TOP/scripts/qemu.sh" >/dev/null
"$TOP/scripts/selftest.sh" --build
mkdir -p "$B/run" "$B/log" "$B/results"
RUN=$(mktemp -d "$B/run/bench-console.XXXXXX")
PIDS=()
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
	kill "${PIDS[@]}" 2>/dev/null || true
	wait
	rm -rf "$RUN"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# guest NAME EXTRA COMMAND.  The driver of hvc takes by itself what the device has done with,
# so that most interrupts find nothing; after 100,000 the kernel would turn them off.
guest() {
	"$TOP/scripts/guest.sh" -n "bench-console-$1" -t 600 -c 1 -m 512 -f "$RUN/$1.sock" \
		-a "noirqdebug tsc=reliable" \
		-x "$2" -d "$B/selftests" -d "$TOP/scripts/guest" x86 "$3"
}

"$B/dibs/plain/dibs-fabric" --fabric-id 0xff01 --port "$RUN/a.sock,gid=$A" \
	--port "$RUN/b.sock,gid=$B_GID" 2>"$B/log/bench-console-fabric" &
PIDS+=($!)
until [ -S "$RUN/b.sock" ]; do sleep 0.05; done
guest a "-chardev socket,id=hvc,path=$RUN/hvc.sock,reconnect-ms=200
	-device virtio-serial,id=host -device virtconsole,bus=host.0,chardev=hvc" \
	". /opt/dibs/console-terminal; listen; echo @listening
	read_console $LINES_EACH $ROUNDS && type_echoed $ROUNDS" >"$RUN/a.out" 2>&1 &
PIDS+=($!)
until grep -q @listening "$RUN/a.out"; do sleep 0.2; done
guest b "-chardev file,id=hvc,path=$RUN/hvc -device virtio-serial,id=host
	-device virtconsole,bus=host.0,chardev=hvc
	-chardev socket,id=echo,path=$RUN/hvc.sock,server=on,wait=off
	-device virtconsole,bus=host.0,chardev=echo" \
	". /opt/dibs/console-writer
	write_consoles $A $LINES_EACH $ROUNDS && echo_consoles $ROUNDS" | tee "$RUN/b.out"
wait "${PIDS[1]}" || {
	cat "$RUN/a.out"
	die "the terminal did not get it"
}
grep -v '^@' "$RUN/a.out"
# what hvc was given has arrived as well
[ "$(wc -c <"$RUN/hvc")" -ge $((LINES_EACH * (17 + 18) * ROUNDS)) ] || die "hvc lost bytes"
awk '/^ms / { t[$2, $3] = t[$2, $3] " " $4; s[$2, $3] += $4 }
	function show(how, name) {
		printf "1 MiB as %s, ms: dibs%s; hvc%s; ratio of the sums %.1f\n", name,
			t["dibs", how], t["hvc", how], s["hvc", how] / s["dibs", how]
	}
	END { show("print", "lines"); show("send", "bytes") }' "$RUN/b.out" |
	tee "$B/results/bench-console"
grep '^signals' "$RUN/a.out" | tee -a "$B/results/bench-console"
awk '/^us / { t[$2] = t[$2] " " $3; s[$2] += $3 }
	END {
		if (!s["hvc"]) {
			print "the guest has no clock"
			exit 75
		}
		printf "a byte and its echo, medians in us: dibs%s; hvc%s; ratio of the sums %.2f (aim: at most 1)\n",
			t["dibs"], t["hvc"], s["dibs"] / s["hvc"]
	}' "$RUN/a.out" |
	tee -a "$B/results/bench-console"
