#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# coverage.sh: which lines of the ISM driver were executed by the guests with the kernel
# s390-debug that have run since that was built: how many, and the others. Fails if there are
# fewer than 90 %.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

SRC=drivers/s390/net/ism_drv.c
LEAST=90
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT

need_pkgs gcc-s390x-linux-gnu gawk
use_variant s390-debug
cp "$KOUT/${SRC%.c}.gcno" "$TMP/"
cd "$KOUT" # what the names of the sources begin at
for f in "$B"/results/gcov/*.gcda; do
	[ -e "$f" ] || die "no guest has counted anything"
	cp "$f" "$TMP/ism_drv.gcda"
	# one of another build is told by its stamp, and says nothing
	"${CROSS}gcov" -t -o "$TMP" "$TMP/ism_drv.gcda" 2>>"$TMP/errors"
	echo "@guest"
done | gawk -F: -v src="$SRC" -v least="$LEAST" '
	/^@guest/ { guests += counted; counted = 0; next }
	$3 == "Source" { ours = substr($0, length($0) - length(src) + 1) == src; next }
	!ours || !$2 || $1 ~ /-/ { next }
	{
		nr = $2 + 0
		text[nr] = substr($0, length($1) + length($2) + 3)
		if ($1 !~ /[#=]/)
			done[nr] = counted = 1
	}
	END {
		for (nr in text)
			n += nr in done
		printf "%s: %d of %d lines in %d guests, %.1f %%\n", src, n, length(text), guests,
			100 * n / (length(text) + !length(text))
		if (n < length(text))
			print "not executed:"
		m = asorti(text, order, "@ind_num_asc")
		for (i = 1; i <= m; i++)
			if (!(order[i] in done))
				printf "%5d: %s\n", order[i], text[order[i]]
		exit 100 * n < least * length(text) || !n
	}'
