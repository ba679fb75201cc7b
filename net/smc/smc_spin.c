// SPDX-License-Identifier: GPL-2.0
/*
 * Shared Memory Communications
 *
 * Waiting for a peer in the same kernel without going to sleep at once.
 *
 * What such a peer does next is often there sooner than this CPU has gone to
 * sleep and was woken up again. So a wait looks for a while first. For how long
 * depends, as with the halt polling of KVM, on what came of it before: for as
 * long as net.smc.smcd_spin_us allows after a sleep that was shorter than that,
 * and less and less while sleeps are long.
 *
 * Only of a peer in this kernel is it known that the CPU it needs is not this
 * one. For waits for another guest, there is the haltpoll governor of cpuidle.
 */
#include <linux/cpumask.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/time64.h>

#include "smc.h"
#include "smc_core.h"
#include "smc_dibs.h"
#include "smc_spin.h"

#define SMC_SPIN_MIN_NS		(1 * NSEC_PER_USEC)

/* Caller has the sock lock */
void smc_spin_begin(struct smc_spin *spin, struct smc_connection *conn,
		    u32 *ns)
{
	struct smc_sock *smc = container_of(conn, struct smc_sock, conn);
	struct netns_smc *net = &sock_net(&smc->sk)->smc;
	u32 max_ns = READ_ONCE(net->sysctl_smcd_spin_us) * NSEC_PER_USEC;
	bool local = max_ns && num_online_cpus() > 1 &&
		     smc_conn_lgr_valid(conn) && conn->lgr->is_smcd &&
		     smc_ism_is_loopback(conn->lgr->smcd);

	spin->ns = local ? ns : NULL;
	spin->max_ns = max_ns;
	spin->began = local ? local_clock() : 0;
	spin->ended = false;
	spin->gave_up = false;
}

static bool smc_spin_pays(const struct smc_spin *spin)
{
	return !need_resched() && single_task_running() &&
	       !signal_pending(current) &&
	       local_clock() - spin->began < min(READ_ONCE(*spin->ns),
						 spin->max_ns);
}

/* Called after each look, with what came of it. Returns true if it is worth
 * another one. Once it is not it stays that way: the condition may be looked at
 * again with the sock lock held, without which the peer's answer is not taken.
 */
bool smc_spin_on(struct smc_spin *spin, bool found)
{
	if (!spin->ns || spin->ended)
		return false;
	spin->ended = found || !smc_spin_pays(spin);
	spin->gave_up = spin->ended && !found;
	cpu_relax();
	return !spin->ended;
}

/* Would it have been better not to sleep? Nothing is learned from waits that
 * ended without what was waited for.
 */
void smc_spin_end(struct smc_spin *spin, bool found)
{
	u32 ns;

	if (!spin->gave_up || !found || signal_pending(current))
		return;
	ns = READ_ONCE(*spin->ns) / 2;
	if (local_clock() - spin->began <= spin->max_ns)
		ns = spin->max_ns;
	else if (ns < SMC_SPIN_MIN_NS)
		ns = 0;
	WRITE_ONCE(*spin->ns, ns);
}
