#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kunit.sh [--random] [VARIANT...]: runs the KUnit suites in guests (default: x86 and
# s390) and prints every test.  The suites of the core, the loopback, the virtio
# driver and the console run everywhere, that of the ISM driver on s390.
#
# --random: only the virtio driver with devices that do anything, 10^6 times.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

RANDOM_ONLY=
if [ "${1-}" = --random ]; then
	RANDOM_ONLY=y
	shift
fi
[ $# -gt 0 ] || set -- x86 s390
BATCHES=500 # of 2000, see virtio_dibs_test_bad.c

# count SUITE...: reads what guest/kunit printed, shows the tests and fails unless
# each SUITE was there.  A test is a line one level inside its suite.
count() {
	gawk -v want="$*" -v variant="$variant" '
		/^@module / { print "  not ok " substr($0, 9); bad++; next }
		/^@suite / { suite = $2; next }
		match($0, /^ {4}(not )?ok [0-9]+ [^ ]+/) {
			seen[suite]++
			skip = /# SKIP/
			ok = /^ {4}ok/
			n[skip ? "skip" : ok ? "pass" : "fail"]++
			printf "  %-6s %s %s%s\n", skip ? "skip" : ok ? "ok" : "not ok",
				suite, gensub(/^ +(not )?ok [0-9]+ /, "", 1), ""
			next
		}
		/EXPECTATION FAILED|ASSERTION FAILED|Expected|but$|==/ { print }
		END {
			split(want, w)
			for (i in w)
				if (!(w[i] in seen)) {
					print "  not ok suite " w[i] " did not run"
					bad++
				}
			printf "%s: %d passed, %d failed, %d skipped\n", variant,
				n["pass"], n["fail"] + bad, n["skip"]
		}'
}

# rate: how many things devices did at random
rate() {
	gawk '/test_random: .* rounds/ { n += $3; devices += $5; ms += $8 }
		END { printf "%d rounds by %d devices in %d s, %d/s\n", n, devices, ms / 1000,
			ms ? 1000 * n / ms : 0 }'
}

need_pkgs gawk
mkdir -p "$B/results"
pass=0 fail=0 skip=0
for variant; do
	modules=(dibs_test dibs_loopback_test virtio_dibs_test dibs_console_test)
	suites=(dibs dibs_loopback virtio_dibs virtio_dibs_bad dibs_console)
	case $variant in
	s390*) modules+=(ism_test) suites+=(ism) ;;
	esac
	args=() limit=600
	if [ -n "$RANDOM_ONLY" ]; then
		modules=(virtio_dibs_test) suites=(virtio_dibs_bad) limit=7200
		only=kunit.filter_glob=virtio_dibs_bad.test_random
		args=(-a "virtio_dibs_test.batches=$BATCHES $only")
	fi
	say "KUnit on $variant: ${suites[*]}"
	out=$B/results/kunit${RANDOM_ONLY:+-random}-$variant
	rc=0
	"$TOP/scripts/guest.sh" -n "kunit${RANDOM_ONLY:+-random}-$variant" -t "$limit" \
		"${args[@]}" -d "$TOP/scripts/guest" "$variant" \
		/opt/dibs/kunit "${modules[@]}" >"$out" || rc=$?
	count "${suites[@]}" <"$out" | tee "$out.count"
	[ -z "$RANDOM_ONLY" ] || rate <"$out"
	read -r p f s < <(sed -nE '$s/.*: ([0-9]+) .*, ([0-9]+) .*, ([0-9]+) .*/\1 \2 \3/p' "$out.count")
	if [ "$rc" -ne 0 ]; then
		echo "  not ok the guest ($variant): status $rc"
		f=$((f + 1))
	fi
	pass=$((pass + p)) fail=$((fail + f)) skip=$((skip + s))
done
echo "$pass passed, $fail failed, $skip skipped"
[ "$fail" -eq 0 ] && [ "$pass" -gt 0 ]
