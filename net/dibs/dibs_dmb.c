// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing
 *
 * Buffers that clients of this system own, and the signals raised on them.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <trace/events/dibs.h>

#include "dibs_core.h"

/**
 * struct dibs_buf - a registered DMB
 * @dmb: the core's own copy of what the driver filled in
 * @dibs: the device
 * @sub: of the owner; valid under RCU if @dead is not set
 * @pending: signals that were raised and not handed to the handler
 * @threaded: the handler runs in @work, otherwise in @tasklet
 * @dead: the owner unregistered it, the handler is not called any more; set
 *	before it leaves the table
 * @running: @work is running
 * @refs: one for the registration, and one for each dibs_sync_dmb()
 * @tasklet: runs the handler
 * @work: runs the handler
 * @free: frees the buffer, when no signal can find it and no run is scheduled
 *	any more
 */
struct dibs_buf {
	struct dibs_dmb dmb;
	struct dibs_dev *dibs;
	struct dibs_sub *sub;
	atomic_t pending;
	bool threaded;
	bool dead;
	bool running;
	refcount_t refs;
	union {
		struct tasklet_struct tasklet;
		struct work_struct work;
	};
	struct rcu_work free;
};

static void dibs_buf_free_work(struct work_struct *work)
{
	struct dibs_buf *buf = container_of(to_rcu_work(work), struct dibs_buf,
					    free);

	if (buf->threaded)
		cancel_work_sync(&buf->work);
	else
		tasklet_kill(&buf->tasklet);
	kfree(buf);
}

static void dibs_buf_put(struct dibs_buf *buf)
{
	if (refcount_dec_and_test(&buf->refs))
		queue_rcu_work(dibs_wq, &buf->free);
}

/*
 * Wait for a run of the handler that is under way. Not with flush_work(), which
 * waits for one that has yet to begin too: handlers wait for each other's.
 */
static void dibs_buf_sync(struct dibs_buf *buf)
{
	if (buf->threaded)
		/* pairs with the release at the end of the run */
		wait_var_event(&buf->running, !smp_load_acquire(&buf->running));
	else
		tasklet_unlock_wait(&buf->tasklet);
}

static inline void dibs_buf_handle(struct dibs_buf *buf)
{
	u16 mask = atomic_xchg(&buf->pending, 0);

	/* a run that was scheduled during another one may find nothing left */
	if (likely(mask))
		buf->sub->client->ops->handle_irq(buf->dibs, buf->dmb.idx,
						  mask);
}

/*
 * RCU, here and in dibs_buf_work(): dibs_sub_stop() waits for the handler, and
 * the subscription is not freed before all can see that the buffer is dead.
 */
static void dibs_buf_tasklet(struct tasklet_struct *t)
{
	struct dibs_buf *buf = from_tasklet(buf, t, tasklet);

	rcu_read_lock();
	if (!READ_ONCE(buf->dead) && !READ_ONCE(buf->sub->stopped))
		dibs_buf_handle(buf);
	rcu_read_unlock();
}

static bool dibs_buf_enter(struct dibs_buf *buf)
{
	bool alive;

	rcu_read_lock();
	alive = !READ_ONCE(buf->dead) &&
		percpu_ref_tryget_live(&buf->sub->active);
	rcu_read_unlock();
	return alive;
}

static void dibs_buf_work(struct work_struct *work)
{
	struct dibs_buf *buf = container_of(work, struct dibs_buf, work);
	struct dibs_sub *sub = buf->sub;
	struct dibs_run run;

	WRITE_ONCE(buf->running, true);
	smp_mb(); /* either this sees that the buffer is dead, or is waited for */
	if (dibs_buf_enter(buf)) {
		dibs_run_begin(&run);
		dibs_buf_handle(buf);
		dibs_run_end(&run);
		dibs_sub_put(sub);
	}
	/* what the handler did is visible to who waited for it */
	smp_store_release(&buf->running, false);
	smp_mb(); /* for wake_up_var() */
	wake_up_var(&buf->running);
}

/* Under RCU, or in the name of a driver that has not been told to unregister */
static inline void dibs_buf_signal(struct dibs_buf *buf, u16 mask)
{
	dibs_stat_inc(buf->dibs, DIBS_STAT_SIGNALS);
	atomic_or(mask, &buf->pending);
	/* orders what was written before; a run that is scheduled stays one */
	if (buf->threaded)
		queue_work(dibs_wq, &buf->work);
	else
		tasklet_schedule(&buf->tasklet);
}

/**
 * dibs_dev_signal() - report that signals were raised on a DMB
 * @dibs: the device of the owner
 * @idx: index of the DMB
 * @mask: the signals
 *
 * The data that belongs to the signals must be visible before the call. The
 * handler of the owner runs later, in a context of its own. Signals for an
 * index that is not registered are counted and dropped.
 *
 * Context: any, hard interrupt included.
 */
void dibs_dev_signal(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
	struct dibs_buf *buf;

	trace_dibs_signal(dibs, idx, mask);
	if (unlikely(!mask))
		return;
	rcu_read_lock();
	buf = xa_load(&dibs->dmbs, idx);
	if (likely(buf))
		dibs_buf_signal(buf, mask);
	else
		dibs_stat_inc(dibs, DIBS_STAT_SIGNALS_DROPPED);
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(dibs_dev_signal);

/* Apart, for what is traced has to be kept across the call */
static noinline void dibs_dmb_signal_traced(struct dibs_buf *buf, u16 mask)
{
	trace_dibs_signal(buf->dibs, buf->dmb.idx, mask);
	dibs_buf_signal(buf, mask);
}

/**
 * dibs_dmb_signal() - report that signals were raised on a DMB
 * @dmb: the DMB: the pointer that &dibs_dev_ops.register_dmb was called with
 * @mask: the signals, at least one
 *
 * As dibs_dev_signal(), without a look-up, for drivers that know the DMB. Only
 * between a successful &dibs_dev_ops.register_dmb and the end of
 * &dibs_dev_ops.unregister_dmb.
 *
 * Context: any, hard interrupt included.
 */
void dibs_dmb_signal(struct dibs_dmb *dmb, u16 mask)
{
	struct dibs_buf *buf = container_of(dmb, struct dibs_buf, dmb);

	if (trace_dibs_signal_enabled())
		dibs_dmb_signal_traced(buf, mask);
	else
		dibs_buf_signal(buf, mask);
}
EXPORT_SYMBOL_GPL(dibs_dmb_signal);

/*
 * Not in the table: nobody else releases it. The handler has ended before the
 * driver frees the memory that it may look at. Signals may still be raised
 * until the driver has returned, and are not handed on.
 */
static int dibs_buf_release(struct dibs_dev *dibs, struct dibs_buf *buf)
{
	int rc;

	smp_mb(); /* a handler that is not waited for sees that it is dead */
	/* waiting for this handler would be waiting for oneself */
	if (!buf->threaded || current_work() != &buf->work)
		dibs_buf_sync(buf);
	rc = dibs->ops->unregister_dmb(dibs, &buf->dmb);
	trace_dibs_dmb_unregister(dibs, &buf->dmb, rc);
	dibs_buf_put(buf);
	atomic_dec(&dibs->nr_dmbs);
	return rc;
}

static struct dibs_buf *dibs_buf_alloc(struct dibs_sub *sub,
				       const struct dibs_dmb *dmb)
{
	struct dibs_buf *buf;

	buf = kzalloc(sizeof(*buf), GFP_KERNEL);
	if (!buf)
		return NULL;
	buf->dmb = *dmb;
	buf->dibs = sub->dibs;
	buf->sub = sub;
	buf->threaded = sub->client->flags & DIBS_CLIENT_THREADED_IRQ;
	refcount_set(&buf->refs, 1);
	INIT_RCU_WORK(&buf->free, dibs_buf_free_work);
	if (buf->threaded)
		INIT_WORK(&buf->work, dibs_buf_work);
	else
		tasklet_setup(&buf->tasklet, dibs_buf_tasklet);
	return buf;
}

/*
 * The driver's word is not taken on trust. Clients hand out references to the
 * pages of the buffer.
 */
static int dibs_buf_insert(struct dibs_dev *dibs, struct dibs_buf *buf)
{
	int rc;

	if (buf->dmb.idx >= DIBS_MAX_DMBS ||
	    !virt_addr_valid(buf->dmb.cpu_addr))
		return -EIO;
	rc = xa_insert(&dibs->dmbs, buf->dmb.idx, buf, GFP_KERNEL);
	return rc == -EBUSY ? -EIO : rc;
}

static int dibs_buf_register(struct dibs_sub *sub, struct dibs_dmb *dmb)
{
	struct dibs_dev *dibs = sub->dibs;
	struct dibs_dmb result;
	struct dibs_buf *buf;
	int rc;

	if (atomic_inc_return(&dibs->nr_dmbs) > dibs->max_dmbs) {
		rc = -ENOSPC;
		goto out_count;
	}
	buf = dibs_buf_alloc(sub, dmb);
	if (!buf) {
		rc = -ENOMEM;
		goto out_count;
	}
	rc = dibs->ops->register_dmb(dibs, &buf->dmb);
	if (rc) {
		kfree(buf);
		goto out_count;
	}
	result = buf->dmb;
	rc = dibs_buf_insert(dibs, buf);
	if (rc) {
		WRITE_ONCE(buf->dead, true);
		dibs_buf_release(dibs, buf);
		return rc;
	}
	*dmb = result;
	return 0;

out_count:
	atomic_dec(&dibs->nr_dmbs);
	return rc;
}

/**
 * dibs_register_dmb() - allocate a buffer and grant it to a remote device
 * @dibs: the device
 * @dmb: what is wanted; filled in on success, unchanged otherwise
 * @client: the owner
 *
 * Context: process context, may sleep. Allowed in add_dev and in threaded
 *	handlers.
 * Return: 0, or
 *  * -EINVAL: the length is 0 or above the limit of the device, or the
 *    requested index is one that the device cannot have
 *  * -EBUSY: the requested index is in use; ask for another one or any
 *  * -ENOSPC: the device has no index left; wait until a DMB is unregistered
 *  * -ENOMEM: no memory; the caller may ask for less or do without
 *  * -ENODEV: the device or the client is leaving, or the client does not use
 *    this device
 *  * -EIO: the device failed
 */
int dibs_register_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb,
		      struct dibs_client *client)
{
	struct dibs_sub *sub;
	int rc = -ENODEV;

	might_sleep();
	if (!dmb->dmb_len || dmb->idx >= DIBS_MAX_DMBS)
		return -EINVAL;
	sub = dibs_sub_get(dibs, client);
	if (sub) {
		rc = dibs_buf_register(sub, dmb);
		dibs_sub_put(sub);
	}
	trace_dibs_dmb_register(dibs, dmb, rc);
	return rc;
}
EXPORT_SYMBOL_GPL(dibs_register_dmb);

static void dibs_buf_erase(struct dibs_dev *dibs, struct dibs_buf *buf)
{
	WRITE_ONCE(buf->dead, true);
	__xa_erase(&dibs->dmbs, buf->dmb.idx);
}

/* Who finds the buffer takes it out of the table, so that only one does */
static struct dibs_buf *dibs_buf_take(struct dibs_dev *dibs,
				      const struct dibs_dmb *dmb,
				      struct dibs_client *client)
{
	struct dibs_buf *buf;

	xa_lock(&dibs->dmbs);
	buf = xa_load(&dibs->dmbs, dmb->idx);
	if (!buf || buf->dmb.dmb_tok != dmb->dmb_tok)
		buf = ERR_PTR(-ENOENT);
	else if (buf->sub->client != client)
		buf = ERR_PTR(-EPERM);
	else
		dibs_buf_erase(dibs, buf);
	xa_unlock(&dibs->dmbs);
	return buf;
}

/**
 * dibs_unregister_dmb() - take a buffer away from the remote device, free it
 * @dibs: the device
 * @dmb: as dibs_register_dmb() filled it in
 * @client: the owner
 *
 * When this returns, no remote device writes to the buffer and its handler
 * does not run. Called from the buffer's own threaded handler, it does not wait
 * for that: buffer and index are gone when the call returns, and the handler
 * must not use them any more. Two threaded handlers must not unregister each
 * other's DMB at the same time, as each call waits for the other handler.
 *
 * Context: process context, may sleep. Allowed in del_dev and in threaded
 *	handlers.
 * Return: 0, or
 *  * -ENOENT: there is no such DMB (any more)
 *  * -EPERM: the DMB belongs to another client
 *  * -ENODEV: the device has left and has freed the DMB itself
 *  * -EIO: the device failed; the DMB is not the client's any more all the
 *    same, its memory is kept back for as long as the device might write to it
 */
int dibs_unregister_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb,
			struct dibs_client *client)
{
	struct dibs_buf *buf;
	int rc;

	might_sleep();
	if (!percpu_ref_tryget_live(&dibs->inflight))
		return -ENODEV;
	buf = dibs_buf_take(dibs, dmb, client);
	rc = PTR_ERR_OR_ZERO(buf);
	if (!rc)
		rc = dibs_buf_release(dibs, buf);
	percpu_ref_put(&dibs->inflight);
	return rc;
}
EXPORT_SYMBOL_GPL(dibs_unregister_dmb);

/**
 * dibs_sync_dmb() - wait for a handler run that is under way
 * @dibs: the device
 * @idx: index of a DMB of the caller
 *
 * A run that begins after this was called need not be waited for. For clients
 * that keep a DMB and give it to another user: first make sure that the handler
 * cannot find the old user any more, then call this. Not while the DMB is being
 * unregistered, which waits by itself.
 *
 * Context: process context, may sleep; not from a handler of a DMB.
 */
void dibs_sync_dmb(struct dibs_dev *dibs, unsigned int idx)
{
	struct dibs_buf *buf;

	might_sleep();
	smp_mb(); /* a run that is not waited for does not find the old user */
	rcu_read_lock();
	buf = xa_load(&dibs->dmbs, idx);
	if (buf && !refcount_inc_not_zero(&buf->refs))
		buf = NULL;
	rcu_read_unlock();
	if (!buf)
		return;
	dibs_buf_sync(buf);
	dibs_buf_put(buf);
}
EXPORT_SYMBOL_GPL(dibs_sync_dmb);

/* Other clients go on taking theirs out of the table meanwhile */
static struct dibs_buf *dibs_buf_take_next(struct dibs_sub *sub,
					   unsigned long *idx)
{
	struct dibs_dev *dibs = sub->dibs;
	struct dibs_buf *buf;

	xa_lock(&dibs->dmbs);
	xa_for_each_start(&dibs->dmbs, *idx, buf, *idx) {
		if (buf->sub == sub) {
			dibs_buf_erase(dibs, buf);
			break;
		}
	}
	xa_unlock(&dibs->dmbs);
	return buf;
}

/* The client has left, or is about to: nothing of it may stay */
void dibs_dmb_reap(struct dibs_sub *sub)
{
	struct dibs_buf *buf;
	unsigned long idx = 0;
	unsigned int n = 0;

	for (; (buf = dibs_buf_take_next(sub, &idx)); n++)
		dibs_buf_release(sub->dibs, buf);
	if (n)
		dev_warn(&sub->dibs->dev, "client %s left %u DMBs behind\n",
			 sub->client->name, n);
}
