#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kunit.sh [VARIANT...]: runs the KUnit suites in guests (default: x86 and s390)
# and prints every test.  The suites of the core, the loopback and the virtio
# driver run everywhere, that of the ISM driver on s390.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || set -- x86 s390

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

need_pkgs gawk
mkdir -p "$B/results"
pass=0 fail=0 skip=0
for variant; do
	modules=(dibs_test dibs_loopback_test virtio_dibs_test)
	suites=(dibs dibs_loopback virtio_dibs virtio_dibs_bad)
	case $variant in
	s390*) modules+=(ism_test) suites+=(ism) ;;
	esac
	say "KUnit on $variant: ${suites[*]}"
	out=$B/results/kunit-$variant
	rc=0
	"$TOP/scripts/guest.sh" -n "kunit-$variant" -t 600 -d "$TOP/scripts/guest" "$variant" \
		/opt/dibs/kunit "${modules[@]}" >"$out" || rc=$?
	count "${suites[@]}" <"$out" | tee "$out.count"
	read -r p f s < <(sed -nE '$s/.*: ([0-9]+) .*, ([0-9]+) .*, ([0-9]+) .*/\1 \2 \3/p' "$out.count")
	if [ "$rc" -ne 0 ]; then
		echo "  not ok the guest ($variant): status $rc"
		f=$((f + 1))
	fi
	pass=$((pass + p)) fail=$((fail + f)) skip=$((skip + s))
done
echo "$pass passed, $fail failed, $skip skipped"
[ "$fail" -eq 0 ] && [ "$pass" -gt 0 ]
