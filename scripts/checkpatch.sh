#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# checkpatch.sh MAIL...: what checkpatch finds in them, or nothing; needs build/tree

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_pkgs perl python3 python3-ply python3-git
# Debian's python3, whatever else is in PATH: it is the one that has the packages
PATH=/usr/bin:$PATH
mkdir -p "$B/log"
# Without --codespell, which takes most of the time: lint.sh runs codespell
# itself, on everything that becomes a patch. MAINTAINERS is written once, at the
# end of the series. Programs for user space cannot use what is recommended inside
# the kernel.
mapfile -t mails < <(realpath -- "$@")
cd "$B/log" # it leaves a file behind
printf '%s\0' "${mails[@]}" |
	xargs -0 -n 1 -P "$JOBS" "$B/tree/scripts/checkpatch.pl" --root="$B/tree" --strict \
		--no-summary --terse --show-types --showfile --ignore FILE_PATH_CHANGES 2>&1 |
	grep -vE '^tools/.*:(PREFER_DEFINED_ATTRIBUTE_MACRO|STRCPY|STRNCPY|CAMELCASE|ENOSYS|BIT_MACRO|ARRAY_SIZE|SPLIT_STRING|COMPLEX_MACRO|MACRO_WITH_FLOW_CONTROL|MACRO_ARG_REUSE|VOLATILE|MULTIPLE_ASSIGNMENTS|EMBEDDED_FUNCTION_NAME|PREFER_FALLTHROUGH):' || true
