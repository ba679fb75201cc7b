#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# checkpatch.sh MAIL...: what checkpatch finds in them, or nothing; needs build/tree

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_pkgs perl python3 codespell python3-ply python3-git
# where Debian has the dictionary, checkpatch does not look
dict=$(python3 -c 'import codespell_lib as c; print(c.__path__[0])')/data/dictionary.txt
# MAINTAINERS is written once, at the end of the series. Programs for user space
# cannot use what is recommended inside the kernel.
printf '%s\0' "$@" |
	xargs -0 -n 1 -P "$JOBS" "$B/tree/scripts/checkpatch.pl" --root="$B/tree" --strict \
		--codespell --codespellfile "$dict" --no-summary --terse --show-types --showfile \
		--ignore FILE_PATH_CHANGES 2>&1 |
	grep -vE '^tools/.*:(PREFER_DEFINED_ATTRIBUTE_MACRO|STRCPY|CAMELCASE|ENOSYS):' || true
