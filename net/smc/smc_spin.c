// SPDX-License-Identifier: GPL-2.0
/*
 * Shared Memory Communications
 *
 * Waiting for a peer in the same kernel without going to sleep at once.
 *
 * What such a peer does next is often there sooner than this CPU has gone to
 * sleep and was woken up again. So who waits looks for a while first. As in
 * kvm_vcpu_halt(), for how long depends on what came of it before: for as long as
 * may be worth it after a sleep that was shorter than that, and less and less
 * while sleeps are long.
 *
 * Only where the peer needs CPUs of this kernel is it known whether somebody
 * else needs this one. For who waits for another guest, there is the
 * haltpoll governor of cpuidle.
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

/* More than the wake-up of an idle CPU takes, in a guest too */
#define SMC_SPIN_MAX_NS		(200 * NSEC_PER_USEC)
#define SMC_SPIN_MIN_NS		(1 * NSEC_PER_USEC)

/* Caller has the sock lock */
void smc_spin_begin(struct smc_spin *spin, struct smc_connection *conn,
		    u32 *ns)
{
	bool local = num_online_cpus() > 1 && smc_conn_lgr_valid(conn) &&
		     conn->lgr->is_smcd &&
		     smc_ism_is_loopback(conn->lgr->smcd);

	spin->ns = local ? ns : NULL;
	spin->began = local ? local_clock() : 0;
	spin->over = false;
}

static bool smc_spin_pays(const struct smc_spin *spin)
{
	return !need_resched() && single_task_running() &&
	       !signal_pending(current) &&
	       local_clock() - spin->began < READ_ONCE(*spin->ns);
}

/* There is nothing yet. Returns false if it is time to sleep: somebody else has
 * something to do for this CPU, or it would not be worth it any more. From then
 * on it stays that way.
 */
bool smc_spin_on(struct smc_spin *spin)
{
	if (!spin->ns || spin->over)
		return false;
	spin->over = !smc_spin_pays(spin);
	cpu_relax();
	return !spin->over;
}

/* Would it have been better not to sleep? */
void smc_spin_end(struct smc_spin *spin)
{
	u32 ns;

	if (!spin->over)
		return;
	ns = READ_ONCE(*spin->ns) / 2;
	if (local_clock() - spin->began <= SMC_SPIN_MAX_NS)
		ns = SMC_SPIN_MAX_NS;
	else if (ns < SMC_SPIN_MIN_NS)
		ns = 0;
	WRITE_ONCE(*spin->ns, ns);
}
