#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Writes edits made in build/tree back to the overlay and to patches/. PATCH=NAME
# says which entry of patches/series gets what could belong to several, or to none.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_pkgs git python3
[ -e "$B/tree/.git/dibs-base" ] || die "there is no $B/tree yet: make tree"
# What was written would be lost if the repository had moved on meanwhile.
[ "$("$TOP/scripts/tree.sh" --compose)" = "$(git -C "$B/tree" rev-parse HEAD)" ] ||
	die "the repository changed since the tree was made: git -C $B/tree stash, make tree, then stash pop"
"$TOP/scripts/refresh.py" "$TOP" "$B/tree" ${PATCH:+"$PATCH"}
"$TOP/scripts/tree.sh"
