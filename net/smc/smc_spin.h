/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared Memory Communications
 *
 * Waiting for a peer in the same kernel without going to sleep at once.
 */
#ifndef _SMC_SPIN_H
#define _SMC_SPIN_H

#include <linux/types.h>

struct smc_connection;

/* The default of net.smc.smcd_spin_us: more than the wake-up of an idle CPU
 * takes, in a guest too
 */
#define SMC_SPIN_DEFAULT_US	200

/**
 * struct smc_spin - one wait for the peer
 * @ns: for how long such waits of the connection look, in ns; NULL if they
 *	do not
 * @max_ns: for how long they look at most
 * @began: when this one began
 * @ended: it does not look any more
 * @gave_up: it ended without having found what it waits for
 */
struct smc_spin {
	u32 *ns;
	u32 max_ns;
	u64 began;
	bool ended;
	bool gave_up;
};

void smc_spin_begin(struct smc_spin *spin, struct smc_connection *conn,
		    u32 *ns);
bool smc_spin_on(struct smc_spin *spin, bool found);
void smc_spin_end(struct smc_spin *spin, bool found);

#endif	/* _SMC_SPIN_H */
