/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Direct Internal Buffer Sharing
 *
 * Definitions shared by the dibs core, its clients and its device drivers.
 */
#ifndef _LINUX_DIBS_H
#define _LINUX_DIBS_H

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/percpu-refcount.h>
#include <linux/types.h>
#include <linux/uuid.h>
#include <linux/xarray.h>

struct dibs_client;
struct dibs_dev;
struct dibs_stats;
struct dibs_sub;

/* Fabric ids 0xff00 to 0xffff are reserved for fabrics without hardware */
#define DIBS_LOOPBACK_FABRIC	0xFFFF

/* Number of clients that can be registered at the same time */
#define DIBS_MAX_CLIENTS	8

/* Upper bound of what a device may report as its number of DMBs */
#define DIBS_MAX_DMBS		65536

/* Number of signals per DMB; a signal mask is a u16 */
#define DIBS_MAX_SIGNALS	16

/* Number of segments of one dibs_move_data_vec() */
#define DIBS_MAX_SEGS		8

/**
 * struct dibs_dmb - direct memory buffer, owned by a client of this system
 * @dmb_tok: out: token that the remote system names this buffer with
 * @cpu_addr: out: kernel address of the buffer, in the linear map and backed
 *	by pages with a struct page; zeroed at registration
 * @dmb_len: in: length in bytes, larger than 0; the upper limit belongs to
 *	the device; out: usable length, at least what was asked for
 * @idx: in: requested index, 0 for any; out: index of the buffer on this
 *	device, the one that &dibs_client_ops.handle_irq is called with
 * @vlan_valid: in: not 0 if @vlan_id is to be used
 * @vlan_id: in: VLAN that the buffer is restricted to
 * @dma_addr: out: address that the device uses; without meaning to a client
 * @rgid: in: GID of the only remote device that may write to the buffer
 */
struct dibs_dmb {
	u64 dmb_tok;
	void *cpu_addr;
	u32 dmb_len;
	u32 idx;
	u32 vlan_valid;
	u32 vlan_id;
	dma_addr_t dma_addr;
	uuid_t rgid;
};

/**
 * struct dibs_rdmb - mapping of a DMB that a remote system granted
 * @dmb_tok: in: token of the buffer
 * @cpu_addr: out: kernel address of the mapping
 * @dmb_len: out: length of the mapping in bytes
 *
 * A mapping cannot be revoked. When the owner unregisters the DMB, the
 * memory behind the mapping is cut off from the owner and stays in place
 * until it is detached; the attached client gets %DIBS_BUF_UNREGISTERED.
 */
struct dibs_rdmb {
	u64 dmb_tok;
	void *cpu_addr;
	u32 dmb_len;
};

/**
 * struct dibs_move_seg - one piece of a vectored move
 * @data: source, any kernel address
 * @offset: offset into the remote DMB in bytes
 * @size: number of bytes, may be 0
 */
struct dibs_move_seg {
	const void *data;
	u32 offset;
	u32 size;
};

/**
 * enum dibs_event_type - what an event is about
 * @DIBS_DEV_EVENT: a remote device, named by &dibs_event.gid
 * @DIBS_BUF_EVENT: a remote DMB, named by &dibs_event.buffer_tok and owned by
 *	&dibs_event.gid
 * @DIBS_SW_EVENT: a message of a client on the remote device
 *	&dibs_event.gid; the subtype is the sender's event code and
 *	&dibs_event.data its 8 bytes
 * @DIBS_OTHER_EVENT: anything else
 */
enum dibs_event_type {
	DIBS_DEV_EVENT,
	DIBS_BUF_EVENT,
	DIBS_SW_EVENT,
	DIBS_OTHER_EVENT,
};

/**
 * enum dibs_event_subtype - what happened
 * @DIBS_BUF_UNREGISTERED: the owner unregistered a DMB that is attached here
 * @DIBS_DEV_DISABLED: the remote device left the fabric
 * @DIBS_DEV_ERR_STATE: the remote device is in an error state
 * @DIBS_OTHER_SUBTYPE: not further specified
 * @DIBS_DEV_ENABLED: the remote device joined the fabric
 * @DIBS_EVENTS_LOST: one or more events before this one could not be kept for
 *	this client: whatever it derives from events has to be checked again
 */
enum dibs_event_subtype {
	DIBS_BUF_UNREGISTERED,
	DIBS_DEV_DISABLED,
	DIBS_DEV_ERR_STATE,
	DIBS_OTHER_SUBTYPE,
	DIBS_DEV_ENABLED,
	DIBS_EVENTS_LOST,
};

/**
 * struct dibs_event - something happened on the fabric
 * @type: one of &enum dibs_event_type
 * @subtype: one of &enum dibs_event_subtype, or for %DIBS_SW_EVENT the code
 *	that the sender chose
 * @gid: remote device, null UUID if unknown
 * @buffer_tok: token of the DMB, 0 if the event is not about one
 * @time: time stamp of the device in a unit of its own, 0 if it has none
 * @data: additional information, 0 if there is none
 *
 * All of it but @type comes from another system, nothing of it can be relied
 * upon.
 */
struct dibs_event {
	u32 type;
	u32 subtype;
	uuid_t gid;
	u64 buffer_tok;
	u64 time;
	u64 data;
};

/* ------------------------------ for clients ------------------------------ */

/**
 * struct dibs_client_ops - calls from the core into a client
 *
 * Handlers run in softirq context, or in a work item of their own if the
 * client asked for that in &dibs_client.flags; never in hard interrupt context
 * and never with a lock of the core or of a driver held. A handler may call
 * dibs_move_data() and its relatives on any device, with a signal too. What
 * may sleep (register, unregister, attach, detach, dibs_signal_event())
 * is allowed in threaded handlers only.
 */
struct dibs_client_ops {
	/**
	 * @add_dev: a device appeared, or was there when the client
	 * registered. Process context, may sleep; the registry of clients and
	 * devices is locked. Anything but 0 means that the client does not
	 * want this device, and is logged unless it is -ENODEV; no other
	 * callback is made for it then, and what it registered in @add_dev
	 * is taken away. Signals of a DMB can arrive as soon as it is
	 * registered; events that happen during @add_dev are delivered after
	 * it returned 0.
	 */
	int (*add_dev)(struct dibs_dev *dibs);
	/**
	 * @del_dev: the device, or the client, is leaving. Process context,
	 * may sleep; the registry is locked. No handler runs, and none
	 * will. dibs_unregister_dmb(), dibs_detach_dmb() and
	 * dibs_signal_event() still work and are expected to be used for
	 * everything that the client holds; after the return the client must
	 * not use @dibs any more.
	 */
	void (*del_dev)(struct dibs_dev *dibs);
	/**
	 * @handle_irq: one or more of the signals in @mask were raised on the
	 * DMB with index @idx. Never runs twice at a time for one DMB; may
	 * run for several DMBs at a time. A signal that is raised while the
	 * handler runs makes it run again. All data that was moved before the
	 * signal is visible.
	 */
	void (*handle_irq)(struct dibs_dev *dibs, unsigned int idx, u16 mask);
	/**
	 * @handle_event: something happened on the fabric. Every client of
	 * the device is told of every event and ignores what it does
	 * not know. Never runs twice at a time for one device. Optional.
	 */
	void (*handle_event)(struct dibs_dev *dibs,
			     const struct dibs_event *event);
};

/* &dibs_client.flags: call handle_irq / handle_event in process context */
#define DIBS_CLIENT_THREADED_IRQ	BIT(0)
#define DIBS_CLIENT_THREADED_EVENT	BIT(1)

/**
 * struct dibs_client - a user of dibs devices
 * @name: for messages and tracepoints
 * @ops: callbacks; add_dev, del_dev and handle_irq are mandatory
 * @flags: combination of %DIBS_CLIENT_THREADED_IRQ and
 *	%DIBS_CLIENT_THREADED_EVENT
 */
struct dibs_client {
	const char *name;
	const struct dibs_client_ops *ops;
	unsigned int flags;
	/* private: */
	u8 id;
	bool registered;
};

int dibs_register_client(struct dibs_client *client);
int dibs_unregister_client(struct dibs_client *client);

void dibs_set_priv(struct dibs_dev *dibs, struct dibs_client *client,
		   void *priv);

u16 dibs_get_fabric_id(struct dibs_dev *dibs);
unsigned int dibs_max_dmbs(struct dibs_dev *dibs);
bool dibs_support_mmapped_rdmb(struct dibs_dev *dibs);

int dibs_query_remote_gid(struct dibs_dev *dibs, const uuid_t *rgid,
			  u32 vid_valid, u32 vid);
int dibs_register_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb,
		      struct dibs_client *client);
int dibs_unregister_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb,
			struct dibs_client *client);
void dibs_sync_dmb(struct dibs_dev *dibs, unsigned int idx);
int dibs_attach_dmb(struct dibs_dev *dibs, struct dibs_rdmb *rdmb,
		    struct dibs_client *client);
int dibs_detach_dmb(struct dibs_dev *dibs, u64 dmb_tok,
		    struct dibs_client *client);
int dibs_move_data(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
		   bool sf, unsigned int offset, const void *data,
		   unsigned int size);
int dibs_move_data_vec(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
		       bool sf, const struct dibs_move_seg *segs,
		       unsigned int nsegs);
int dibs_move_data_atomic(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
			  bool sf, unsigned int offset, const void *data,
			  unsigned int size);
int dibs_signal_event(struct dibs_dev *dibs, const uuid_t *rgid,
		      u32 trigger_irq, u32 event_code, u64 info);
int dibs_add_vlan_id(struct dibs_dev *dibs, u64 vlan_id);
int dibs_del_vlan_id(struct dibs_dev *dibs, u64 vlan_id);

/* --------------------------- for device drivers -------------------------- */

/**
 * struct dibs_dev_ops - calls from the core into a device driver
 *
 * The core checks arguments, liveness of the device and ownership before it
 * calls. Calls can run at the same time on several CPUs, also for the same
 * DMB; a driver serializes what its device cannot do in parallel.
 * All calls have ended when dibs_dev_del() returns.
 */
struct dibs_dev_ops {
	/* ------ identity; valid from dibs_dev_add() on, must not sleep ------ */

	/** @get_fabric_id: number of the fabric that the device is on. */
	u16 (*get_fabric_id)(struct dibs_dev *dibs);
	/**
	 * @max_dmbs: number of DMBs that the device can have; the core bounds
	 * it to %DIBS_MAX_DMBS.
	 */
	int (*max_dmbs)(struct dibs_dev *dibs);

	/* ----------------- control path; process context -------------------- */

	/**
	 * @query_remote_gid: is there a device @rgid on the fabric? 0 or
	 * -ENETUNREACH, or -EIO if the device fails.
	 */
	int (*query_remote_gid)(struct dibs_dev *dibs, const uuid_t *rgid,
				u32 vid_valid, u32 vid);
	/**
	 * @register_dmb: allocate a zeroed buffer and grant it to
	 * &dibs_dmb.rgid. Errors as of dibs_register_dmb(). @dmb stays valid
	 * until @unregister_dmb returns, for dibs_dmb_signal().
	 */
	int (*register_dmb)(struct dibs_dev *dibs, struct dibs_dmb *dmb);
	/**
	 * @unregister_dmb: take a buffer away from the remote device and free
	 * it. @dmb is what @register_dmb filled in. When the call returns, no
	 * move writes to the buffer and no signal for its index is
	 * reported; memory that the device might still write to is not
	 * reused, whatever the outcome.
	 */
	int (*unregister_dmb)(struct dibs_dev *dibs, struct dibs_dmb *dmb);

	/* ------------- data path; any context but hard interrupt ------------ */

	/**
	 * @move_data: copy @size bytes from @data to @offset of the remote DMB
	 * @dmb_tok, and if @sf is set raise signal @idx afterwards, for
	 * @size 0 too. Runs under RCU: what takes long holds up the system.
	 * @data is any kernel address and may be reused on return.
	 * @offset + @size does not wrap, @idx is below %DIBS_MAX_SIGNALS. Of a
	 * move of at most 64 bytes whose offset and size are multiples of 8,
	 * the owner never sees part of an 8 byte word, if the system has 64
	 * bits. A driver without @move_data_atomic has to be prepared for
	 * what is said there. -EOPNOTSUPP if @size is 0 and the device cannot
	 * signal without data, else errors as of dibs_move_data().
	 */
	int (*move_data)(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
			 bool sf, unsigned int offset, const void *data,
			 unsigned int size);

	/* -------------------------- optional ops ---------------------------- */

	/**
	 * @move_data_vec: two or more moves to one DMB; the segments become
	 * visible in order and the signal is raised after the last one.
	 */
	int (*move_data_vec)(struct dibs_dev *dibs, u64 dmb_tok,
			     unsigned int idx, bool sf,
			     const struct dibs_move_seg *segs,
			     unsigned int nsegs);
	/**
	 * @move_data_atomic: as @move_data, from panic context: takes no lock
	 * that a stopped CPU or what was interrupted could hold, and returns
	 * -EBUSY instead of waiting. Any context but NMI.
	 */
	int (*move_data_atomic)(struct dibs_dev *dibs, u64 dmb_tok,
				unsigned int idx, bool sf, unsigned int offset,
				const void *data, unsigned int size);
	/** @add_vlan_id: allow DMBs of this VLAN. Must not sleep. */
	int (*add_vlan_id)(struct dibs_dev *dibs, u64 vlan_id);
	/** @del_vlan_id: the opposite of @add_vlan_id. Must not sleep. */
	int (*del_vlan_id)(struct dibs_dev *dibs, u64 vlan_id);
	/**
	 * @signal_event: deliver a %DIBS_SW_EVENT to the clients of the remote
	 * device @rgid. Errors as of dibs_signal_event().
	 */
	int (*signal_event)(struct dibs_dev *dibs, const uuid_t *rgid,
			    u32 trigger_irq, u32 event_code, u64 info);
	/**
	 * @support_mmapped_rdmb: not 0 if remote DMBs can be attached. With
	 * it @attach_dmb and @detach_dmb are mandatory.
	 */
	int (*support_mmapped_rdmb)(struct dibs_dev *dibs);
	/**
	 * @attach_dmb: map a remote DMB. Errors as of dibs_attach_dmb(). The
	 * same DMB can be attached several times.
	 */
	int (*attach_dmb)(struct dibs_dev *dibs, struct dibs_rdmb *rdmb);
	/** @detach_dmb: undo one @attach_dmb, also after an unregister. */
	int (*detach_dmb)(struct dibs_dev *dibs, u64 dmb_tok);
};

/**
 * struct dibs_dev - one device on one fabric
 * @dev: the device in class dibs; the driver sets its parent and its name
 *	before dibs_dev_add()
 * @ops: set by the driver before dibs_dev_add()
 * @gid: GID of the device, set by the driver before dibs_dev_add()
 * @dmb_len: length in bytes that a DMB should have at least for a stream of
 *	data, so that the device is not idle while the two ends tell each other
 *	what has happened; 0 if it does not matter. A hint: to a client, memory
 *	may matter more. Set by the driver before dibs_dev_add().
 * @drv_priv: for the driver
 */
struct dibs_dev {
	struct device dev;
	const struct dibs_dev_ops *ops;
	uuid_t gid;
	u32 dmb_len;
	void *drv_priv;
	/* private: of the core */
	struct list_head list;
	struct percpu_ref inflight;
	struct completion drained;
	bool leaving;
	unsigned int max_dmbs;
	atomic_t nr_dmbs;
	struct xarray dmbs;
	atomic_t nr_attached;
	struct dibs_stats __percpu *stats;
	struct dibs_sub __rcu *subs[DIBS_MAX_CLIENTS];
	void *priv[DIBS_MAX_CLIENTS];
};

/**
 * dibs_get_priv() - what a client remembered with a device
 * @dibs: the device
 * @client: the client
 *
 * Context: any; from add_dev until del_dev returns.
 * Return: the value of the last dibs_set_priv(), NULL before the first.
 */
static inline void *dibs_get_priv(struct dibs_dev *dibs,
				  struct dibs_client *client)
{
	return READ_ONCE(dibs->priv[client->id]);
}

struct dibs_dev *dibs_dev_alloc(void);
int dibs_dev_add(struct dibs_dev *dibs);
void dibs_dev_del(struct dibs_dev *dibs);

void dibs_dev_signal(struct dibs_dev *dibs, unsigned int idx, u16 mask);
void dibs_dmb_signal(struct dibs_dmb *dmb, u16 mask);
void dibs_dev_event(struct dibs_dev *dibs, const struct dibs_event *event);

#endif	/* _LINUX_DIBS_H */
