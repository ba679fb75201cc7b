// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing
 *
 * Calls from clients to devices that concern remote systems.
 */
#include <linux/overflow.h>
#include <trace/events/dibs.h>

#include "dibs_core.h"

void dibs_count_error(struct dibs_dev *dibs, int err)
{
	switch (err) {
	case -ENOENT:
		dibs_stat_inc(dibs, DIBS_STAT_BAD_TOKEN);
		break;
	case -EPERM:
		dibs_stat_inc(dibs, DIBS_STAT_BAD_GID);
		break;
	case -ERANGE:
		dibs_stat_inc(dibs, DIBS_STAT_BAD_RANGE);
		break;
	}
}

static noinline void dibs_move_failed(struct dibs_dev *dibs, int rc)
{
	if (rc == -ENODEV)
		return;
	dibs_stat_inc(dibs, DIBS_STAT_MOVE_ERRORS);
	dibs_count_error(dibs, rc);
}

/* Nothing here prints: a console may be what is being moved */
static inline void dibs_move_done(struct dibs_dev *dibs, u64 bytes, int rc)
{
	if (likely(!rc)) {
		dibs_stat_inc(dibs, DIBS_STAT_MOVES);
		dibs_stat_add(dibs, DIBS_STAT_MOVE_BYTES, bytes);
	} else {
		dibs_move_failed(dibs, rc);
	}
}

/*
 * Moves hold nothing but RCU, dibs_dev_del() waits for a grace period. Whoever
 * finds the device not leaving may call its driver.
 */
static int dibs_check_signal(struct dibs_dev *dibs, unsigned int idx)
{
	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "a move without RCU");
	if (unlikely(READ_ONCE(dibs->leaving)))
		return -ENODEV;
	if (unlikely(idx >= DIBS_MAX_SIGNALS)) {
		dibs_stat_inc(dibs, DIBS_STAT_BAD_SIGNAL);
		return -EINVAL;
	}
	return 0;
}

static bool dibs_wraps(u32 offset, u32 size)
{
	u32 end;

	return check_add_overflow(offset, size, &end);
}

static int dibs_check_move(struct dibs_dev *dibs, unsigned int idx,
			   unsigned int offset, unsigned int size)
{
	int rc = dibs_check_signal(dibs, idx);

	if (!rc && unlikely(dibs_wraps(offset, size)))
		rc = -ERANGE;
	return rc;
}

static __always_inline int
dibs_do_move(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx, bool sf,
	     unsigned int offset, const void *data, unsigned int size)
{
	int rc;

	rcu_read_lock();
	rc = dibs_check_move(dibs, idx, offset, size);
	if (likely(!rc))
		rc = dibs->ops->move_data(dibs, dmb_tok, idx, sf, offset, data,
					  size);
	dibs_move_done(dibs, size, rc);
	rcu_read_unlock();
	return rc;
}

/* Apart, for what is traced has to be kept across the call of the driver */
static noinline int
dibs_move_traced(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx, bool sf,
		 unsigned int offset, const void *data, unsigned int size)
{
	int rc;

	rcu_read_lock(); /* the device stays until its name is in the trace */
	rc = dibs_do_move(dibs, dmb_tok, idx, sf, offset, data, size);
	trace_dibs_move(dibs, dmb_tok, idx, sf, offset, size, rc);
	rcu_read_unlock();
	return rc;
}

/* Inlined for the sake of small moves */
static __always_inline int
dibs_move_one(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx, bool sf,
	      unsigned int offset, const void *data, unsigned int size)
{
	if (trace_dibs_move_enabled())
		return dibs_move_traced(dibs, dmb_tok, idx, sf, offset, data,
					size);
	return dibs_do_move(dibs, dmb_tok, idx, sf, offset, data, size);
}

/**
 * dibs_move_data() - copy data into a remote DMB
 * @dibs: the device
 * @dmb_tok: token of the DMB
 * @idx: the signal to raise, below %DIBS_MAX_SIGNALS even if @sf is not set
 * @sf: raise signal @idx after the data is visible
 * @offset: where in the DMB to copy to, in bytes
 * @data: any kernel address, stack and vmalloc included; may be reused when
 *	the call returns
 * @size: number of bytes; with 0 only the signal is raised
 *
 * Moves to one DMB by one caller become visible in the order of the calls. Of a
 * move of at most 64 bytes whose offset and size are multiples of 8, the owner
 * never sees part of an 8 byte word, if the system has 64 bits.
 *
 * Context: any but hard interrupt. Does not sleep or allocate and takes no lock
 *	of the core; a driver may take one, and may poll for its device. Allowed
 *	in handlers.
 * Return: 0, or
 *  * -ENOENT: the token names no DMB (any more)
 *  * -EPERM: the DMB is granted to another device
 *  * -ERANGE: the data would not fit into the DMB; nothing was copied
 *  * -EINVAL: @idx is too large
 *  * -ENODEV: the device is leaving
 *  * -EOPNOTSUPP: @size is 0 and the device cannot signal without data; move
 *    some
 *  * -EIO: the device failed; part of the data may have been copied, and until
 *    the device has left, what is in @data by then
 */
int dibs_move_data(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
		   bool sf, unsigned int offset, const void *data,
		   unsigned int size)
{
	return dibs_move_one(dibs, dmb_tok, idx, sf, offset, data, size);
}
EXPORT_SYMBOL_GPL(dibs_move_data);

/**
 * dibs_move_data_atomic() - copy data into a remote DMB during a panic
 * @dibs: the device
 * @dmb_tok: token of the DMB
 * @idx: the signal to raise
 * @sf: raise signal @idx after the data is visible
 * @offset: where in the DMB to copy to, in bytes
 * @data: any kernel address
 * @size: number of bytes
 *
 * For callers that must not wait for a lock, because its holder may have been
 * stopped.
 *
 * Context: any but NMI. What delivers the signal may wait for the scheduler;
 *	without @sf nothing is waited for.
 * Return: as of dibs_move_data(), or
 *  * -EBUSY: the device is being used by somebody else; try again, a bounded
 *    number of times
 */
int dibs_move_data_atomic(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
			  bool sf, unsigned int offset, const void *data,
			  unsigned int size)
{
	const struct dibs_dev_ops *ops = dibs->ops;
	int rc;

	rcu_read_lock();
	rc = dibs_check_move(dibs, idx, offset, size);
	if (!rc && ops->move_data_atomic)
		rc = ops->move_data_atomic(dibs, dmb_tok, idx, sf, offset,
					   data, size);
	else if (!rc)
		rc = ops->move_data(dibs, dmb_tok, idx, sf, offset, data,
				    size);
	dibs_move_done(dibs, size, rc);
	rcu_read_unlock();
	return rc;
}
EXPORT_SYMBOL_GPL(dibs_move_data_atomic);

/* For drivers without an operation of their own; signals with the last one */
static int dibs_move_segs(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
			  bool sf, const struct dibs_move_seg *segs,
			  unsigned int nsegs)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < nsegs && !rc; i++)
		rc = dibs->ops->move_data(dibs, dmb_tok, idx,
					  sf && i == nsegs - 1,
					  segs[i].offset, segs[i].data,
					  segs[i].size);
	return rc;
}

static int dibs_check_segs(struct dibs_dev *dibs, unsigned int idx,
			   const struct dibs_move_seg *segs,
			   unsigned int nsegs, u64 *bytes)
{
	int rc = dibs_check_signal(dibs, idx);
	unsigned int i;

	*bytes = 0;
	if (rc)
		return rc;
	if (!nsegs || nsegs > DIBS_MAX_SEGS)
		return -EINVAL;
	for (i = 0; i < nsegs; i++) {
		if (dibs_wraps(segs[i].offset, segs[i].size))
			return -ERANGE;
		*bytes += segs[i].size;
	}
	return 0;
}

static noinline int dibs_move_many(struct dibs_dev *dibs, u64 dmb_tok,
				   unsigned int idx, bool sf,
				   const struct dibs_move_seg *segs,
				   unsigned int nsegs)
{
	const struct dibs_dev_ops *ops = dibs->ops;
	u64 bytes;
	int rc;

	rcu_read_lock();
	rc = dibs_check_segs(dibs, idx, segs, nsegs, &bytes);
	if (!rc && ops->move_data_vec)
		rc = ops->move_data_vec(dibs, dmb_tok, idx, sf, segs, nsegs);
	else if (!rc)
		rc = dibs_move_segs(dibs, dmb_tok, idx, sf, segs, nsegs);
	trace_dibs_move(dibs, dmb_tok, idx, sf, nsegs ? segs->offset : 0,
			bytes, rc);
	dibs_move_done(dibs, bytes, rc);
	rcu_read_unlock();
	return rc;
}

/**
 * dibs_move_data_vec() - copy several pieces of data into one remote DMB
 * @dibs: the device
 * @dmb_tok: token of the DMB
 * @idx: the signal to raise
 * @sf: raise signal @idx after the last piece is visible
 * @segs: the pieces, which become visible in this order, each of them as with
 *	dibs_move_data()
 * @nsegs: their number, 1 to %DIBS_MAX_SEGS
 *
 * Context: as of dibs_move_data().
 * Return: as of dibs_move_data(); after an error none, some or all of the
 *	pieces before the failing one may have been copied, and no signal was
 *	raised. -EINVAL also if @nsegs is out of range.
 */
int dibs_move_data_vec(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
		       bool sf, const struct dibs_move_seg *segs,
		       unsigned int nsegs)
{
	if (nsegs == 1)
		return dibs_move_one(dibs, dmb_tok, idx, sf, segs->offset,
				     segs->data, segs->size);
	return dibs_move_many(dibs, dmb_tok, idx, sf, segs, nsegs);
}
EXPORT_SYMBOL_GPL(dibs_move_data_vec);

/**
 * dibs_get_fabric_id() - number of the fabric that a device is on
 * @dibs: the device
 *
 * Context: any.
 * Return: the number; %DIBS_LOOPBACK_FABRIC for loopback.
 */
u16 dibs_get_fabric_id(struct dibs_dev *dibs)
{
	return dibs->ops->get_fabric_id(dibs);
}
EXPORT_SYMBOL_GPL(dibs_get_fabric_id);

/**
 * dibs_max_dmbs() - number of DMBs that a device can have
 * @dibs: the device
 *
 * Context: any.
 * Return: the number, at most %DIBS_MAX_DMBS.
 */
unsigned int dibs_max_dmbs(struct dibs_dev *dibs)
{
	return dibs->max_dmbs;
}
EXPORT_SYMBOL_GPL(dibs_max_dmbs);

/**
 * dibs_query_remote_gid() - is there a device with this GID on the fabric?
 * @dibs: the device
 * @rgid: the GID
 * @vid_valid: not 0 if @vid counts
 * @vid: VLAN that the remote device must have
 *
 * Context: process context, may sleep.
 * Return: 0, or
 *  * -ENETUNREACH: there is none
 *  * -ENODEV: the device is leaving
 *  * -EIO: the device failed
 */
int dibs_query_remote_gid(struct dibs_dev *dibs, const uuid_t *rgid,
			  u32 vid_valid, u32 vid)
{
	int rc = -ENODEV;

	might_sleep();
	if (!percpu_ref_tryget_live(&dibs->inflight))
		return -ENODEV;
	if (!READ_ONCE(dibs->leaving))
		rc = dibs->ops->query_remote_gid(dibs, rgid, vid_valid, vid);
	percpu_ref_put(&dibs->inflight);
	return rc;
}
EXPORT_SYMBOL_GPL(dibs_query_remote_gid);

/**
 * dibs_signal_event() - send a message to the clients of a remote device
 * @dibs: the device
 * @rgid: GID of the remote device
 * @trigger_irq: not 0 to interrupt the remote system; ignored by devices that
 *	deliver without interrupts
 * @event_code: arrives as the subtype of a %DIBS_SW_EVENT
 * @info: arrives as its data
 *
 * Context: process context, may sleep. Allowed in del_dev and in threaded
 *	handlers.
 * Return: 0, or
 *  * -EOPNOTSUPP: the device cannot do this
 *  * -ENETUNREACH: there is no such device
 *  * -EAGAIN: too many events are under way; try again later
 *  * -ENODEV: the device has left
 *  * -EIO: the device failed
 */
int dibs_signal_event(struct dibs_dev *dibs, const uuid_t *rgid,
		      u32 trigger_irq, u32 event_code, u64 info)
{
	int rc = -EOPNOTSUPP;

	might_sleep();
	if (!percpu_ref_tryget_live(&dibs->inflight))
		return -ENODEV;
	if (dibs->ops->signal_event)
		rc = dibs->ops->signal_event(dibs, rgid, trigger_irq,
					     event_code, info);
	percpu_ref_put(&dibs->inflight);
	return rc;
}
EXPORT_SYMBOL_GPL(dibs_signal_event);

/**
 * dibs_add_vlan_id() - allow DMBs of a VLAN on a device
 * @dibs: the device
 * @vlan_id: the VLAN
 *
 * Context: any but hard interrupt, does not sleep.
 * Return: 0, or
 *  * -EOPNOTSUPP: the device has no VLANs
 *  * -ENODEV: the device is leaving
 *  * -EIO: the device failed, or its limit is reached
 */
int dibs_add_vlan_id(struct dibs_dev *dibs, u64 vlan_id)
{
	int rc = -EOPNOTSUPP;

	if (!percpu_ref_tryget_live(&dibs->inflight))
		return -ENODEV;
	if (READ_ONCE(dibs->leaving))
		rc = -ENODEV;
	else if (dibs->ops->add_vlan_id)
		rc = dibs->ops->add_vlan_id(dibs, vlan_id);
	percpu_ref_put(&dibs->inflight);
	return rc;
}
EXPORT_SYMBOL_GPL(dibs_add_vlan_id);

/**
 * dibs_del_vlan_id() - the opposite of dibs_add_vlan_id()
 * @dibs: the device
 * @vlan_id: the VLAN
 *
 * Context: any but hard interrupt, does not sleep. Allowed in del_dev.
 * Return: 0, or
 *  * -EOPNOTSUPP: the device has no VLANs
 *  * -ENODEV: the device has left
 *  * -EIO: the device failed
 */
int dibs_del_vlan_id(struct dibs_dev *dibs, u64 vlan_id)
{
	int rc = -EOPNOTSUPP;

	if (!percpu_ref_tryget_live(&dibs->inflight))
		return -ENODEV;
	if (dibs->ops->del_vlan_id)
		rc = dibs->ops->del_vlan_id(dibs, vlan_id);
	percpu_ref_put(&dibs->inflight);
	return rc;
}
EXPORT_SYMBOL_GPL(dibs_del_vlan_id);
