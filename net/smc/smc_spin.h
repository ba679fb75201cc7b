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

/**
 * struct smc_spin - one wait for the peer
 * @ns: for how long such waits of the connection look, in ns; NULL if they
 *	do not
 * @began: when this one began
 * @over: it did not find anything
 */
struct smc_spin {
	u32 *ns;
	u64 began;
	bool over;
};

void smc_spin_begin(struct smc_spin *spin, struct smc_connection *conn,
		    u32 *ns);
bool smc_spin_on(struct smc_spin *spin);
void smc_spin_end(struct smc_spin *spin);

#endif	/* _SMC_SPIN_H */
