/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Direct Internal Buffer Sharing
 *
 * Parts of the loopback device that its tests use.
 */
#ifndef _DIBS_LOOPBACK_H
#define _DIBS_LOOPBACK_H

#include <linux/dibs.h>

#if IS_ENABLED(CONFIG_KUNIT)
struct dibs_dev *dibs_lo_create(const char *name, bool map);
void dibs_lo_destroy(struct dibs_dev *dibs);
#endif

#endif	/* _DIBS_LOOPBACK_H */
