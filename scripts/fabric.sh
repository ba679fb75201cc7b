#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fabric.sh [--long]: builds the fabric daemon and runs its own tests, which need no
# guest; --long with many more rounds

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

unset LONG
[ "${1-}" != --long ] || export LONG=1
need_pkgs gcc make libseccomp-dev libjansson-dev
make --no-print-directory -C "$TOP/tools/dibs" OUT="$B/dibs" check
