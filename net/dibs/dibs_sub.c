// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing
 *
 * Subscriptions: one client on one device, and the events on their way from
 * the one to the other.
 */
#include <linux/err.h>
#include <linux/slab.h>
#include <trace/events/dibs.h>

#include "dibs_core.h"

static void dibs_sub_idle(struct percpu_ref *ref)
{
	struct dibs_sub *sub = container_of(ref, struct dibs_sub, active);

	complete(&sub->idle);
}

/* Caller holds sub->lock, so that none is scheduled after dibs_sub_stop() */
static void dibs_sub_schedule(struct dibs_sub *sub)
{
	lockdep_assert_held(&sub->lock);
	if (!sub->open || !sub->ready)
		return;
	if (sub->client->flags & DIBS_CLIENT_THREADED_EVENT)
		queue_work(dibs_wq, &sub->work);
	else
		tasklet_schedule(&sub->tasklet);
}

static bool dibs_sub_next_event(struct dibs_sub *sub, struct dibs_event *event)
{
	unsigned long flags;
	bool found;

	raw_spin_lock_irqsave(&sub->lock, flags);
	found = kfifo_get(&sub->events, event);
	if (!found && sub->lost) {
		sub->lost = false;
		*event = (struct dibs_event) {
			.type = DIBS_OTHER_EVENT,
			.subtype = DIBS_EVENTS_LOST,
		};
		found = true;
	}
	raw_spin_unlock_irqrestore(&sub->lock, flags);
	return found;
}

/* At most one queue full at a time: a flood must not keep a softirq busy */
static void dibs_sub_deliver(struct dibs_sub *sub)
{
	struct dibs_event event;
	unsigned long flags;
	int budget;

	if (!percpu_ref_tryget_live(&sub->active))
		return;
	for (budget = DIBS_EVENT_QUEUE; budget; budget--) {
		if (!dibs_sub_next_event(sub, &event))
			break;
		sub->client->ops->handle_event(sub->dibs, &event);
	}
	if (!budget) {
		raw_spin_lock_irqsave(&sub->lock, flags);
		dibs_sub_schedule(sub);
		raw_spin_unlock_irqrestore(&sub->lock, flags);
	}
	percpu_ref_put(&sub->active);
}

static void dibs_sub_tasklet(struct tasklet_struct *t)
{
	struct dibs_sub *sub = from_tasklet(sub, t, tasklet);

	dibs_sub_deliver(sub);
}

static void dibs_sub_work(struct work_struct *work)
{
	struct dibs_run run;

	dibs_run_begin(&run);
	dibs_sub_deliver(container_of(work, struct dibs_sub, work));
	dibs_run_end(&run);
}

struct dibs_sub *dibs_sub_alloc(struct dibs_dev *dibs,
				struct dibs_client *client)
{
	struct dibs_sub *sub;
	int rc;

	sub = kzalloc(sizeof(*sub), GFP_KERNEL);
	if (!sub)
		return ERR_PTR(-ENOMEM);
	sub->dibs = dibs;
	sub->client = client;
	sub->open = client->ops->handle_event;
	raw_spin_lock_init(&sub->lock);
	init_completion(&sub->idle);
	INIT_KFIFO(sub->events);
	tasklet_setup(&sub->tasklet, dibs_sub_tasklet);
	INIT_WORK(&sub->work, dibs_sub_work);
	rc = dibs_rmap_init(sub);
	if (rc)
		goto out_free;
	rc = percpu_ref_init(&sub->active, dibs_sub_idle, 0, GFP_KERNEL);
	if (rc)
		goto out_rmaps;
	return sub;

out_rmaps:
	rhashtable_destroy(&sub->rmaps);
out_free:
	kfree(sub);
	return ERR_PTR(rc);
}

/* dibs_dev_event() may still look at it, under RCU */
void dibs_sub_free(struct dibs_sub *sub)
{
	percpu_ref_exit(&sub->active);
	kfree_rcu(sub, rcu);
}

/**
 * dibs_sub_get() - find and hold the subscription of a client
 * @dibs: the device
 * @client: the client
 *
 * Return: the subscription, to be given back with dibs_sub_put(), or NULL if
 *	there is none or one of the two is leaving.
 */
struct dibs_sub *dibs_sub_get(struct dibs_dev *dibs,
			      struct dibs_client *client)
{
	struct dibs_sub *sub;

	rcu_read_lock();
	sub = rcu_dereference(dibs->subs[client->id]);
	if (sub && (sub->client != client ||
		    !percpu_ref_tryget_live(&sub->active)))
		sub = NULL;
	rcu_read_unlock();
	return sub;
}

/* The client has accepted the device: deliver what was queued meanwhile */
void dibs_sub_start(struct dibs_sub *sub)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&sub->lock, flags);
	sub->ready = true;
	if (!kfifo_is_empty(&sub->events))
		dibs_sub_schedule(sub);
	raw_spin_unlock_irqrestore(&sub->lock, flags);
}

/* No handler runs afterwards, and the client gets nothing new */
void dibs_sub_stop(struct dibs_sub *sub)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&sub->lock, flags);
	sub->open = false;
	raw_spin_unlock_irqrestore(&sub->lock, flags);
	WRITE_ONCE(sub->stopped, true);
	/* for signal handlers: the end of a percpu_ref promises no grace period */
	synchronize_rcu();
	percpu_ref_kill(&sub->active);
	tasklet_kill(&sub->tasklet);
	cancel_work_sync(&sub->work);
	wait_for_completion(&sub->idle);
}

static void dibs_sub_queue_event(struct dibs_sub *sub,
				 const struct dibs_event *event)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&sub->lock, flags);
	if (sub->open) {
		/* once one is lost the order must show where */
		if (sub->lost || !kfifo_put(&sub->events, *event)) {
			sub->lost = true;
			dibs_stat_inc(sub->dibs, DIBS_STAT_EVENTS_LOST);
		}
		dibs_sub_schedule(sub);
	}
	raw_spin_unlock_irqrestore(&sub->lock, flags);
}

/**
 * dibs_dev_event() - report an event to all clients of a device
 * @dibs: the device
 * @event: the event, copied
 *
 * A client that does not keep up gets %DIBS_EVENTS_LOST in the place of what
 * could not be kept.
 *
 * Context: any, hard interrupt included.
 */
void dibs_dev_event(struct dibs_dev *dibs, const struct dibs_event *event)
{
	struct dibs_sub *sub;
	unsigned int id;

	dibs_stat_inc(dibs, DIBS_STAT_EVENTS);
	trace_dibs_event(dibs, event);
	rcu_read_lock();
	for (id = 0; id < DIBS_MAX_CLIENTS; id++) {
		sub = rcu_dereference(dibs->subs[id]);
		if (sub)
			dibs_sub_queue_event(sub, event);
	}
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(dibs_dev_event);
