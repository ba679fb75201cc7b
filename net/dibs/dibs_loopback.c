// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing
 *
 * Loopback devices: one kernel connected with itself.
 */
#include <kunit/visibility.h>
#include <linux/completion.h>
#include <linux/configfs.h>
#include <linux/dibs.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/idr.h>
#include <linux/jiffies.h>
#include <linux/kstrtox.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <linux/refcount.h>
#include <linux/rhashtable.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include "dibs_loopback.h"

/**
 * DOC: loopback
 *
 * All loopback devices of a kernel are on one fabric, with one table of DMBs.
 * The key is the token, 64 random bits, so that nobody comes across a DMB who
 * was not told its token; and the GID of a device is compared with the one that
 * the DMB is granted to, so that being told is not enough.
 *
 * A DMB has two reference counts. &dibs_lo_dmb.users are the registration and
 * all who are using the DMB in the name of the sender at the moment. Unregister
 * lets no more in, drops the first and waits for the others, which never wait
 * for anything; from then on no byte is written, no signal is raised and the
 * owner is not looked at. &dibs_lo_dmb.refs are the registration and the
 * attachments, they keep the memory and the entry in the table, by which a
 * DMB that was unregistered can still be detached.
 *
 * What else is locked: look-ups in the table and in the list of devices are
 * under RCU, and both are freed after a grace period. The table and the
 * allocator of indices have locks of their own. dibs_lo_lock covers devices
 * that come and go, so that of any two each is told once of the other.
 */

/**
 * struct dibs_lo_dev - a loopback device
 * @list: in dibs_lo_devs
 * @dibs: the device as the core knows it
 * @idxs: indices of DMBs in use
 * @map: DMBs can be attached through this device
 */
struct dibs_lo_dev {
	struct list_head list;
	struct dibs_dev *dibs;
	struct ida idxs;
	bool map;
};

/**
 * struct dibs_lo_dmb - a DMB, until it is unregistered and nobody has it mapped
 * @node: in dibs_lo_dmbs
 * @token: the key
 * @rgid: GID of the device that may write, and attach
 * @owner: the device it is registered on, valid for who holds one of @users
 * @dmb: as the core knows it, likewise
 * @idx: index on that device
 * @len: in bytes
 * @folio: the memory
 * @addr: where it is
 * @dead: being unregistered, or it has been
 * @users: see above
 * @idle: @users dropped to 0
 * @refs: see above
 * @rcu: for freeing
 */
struct dibs_lo_dmb {
	struct rhash_head node;
	u64 token;
	uuid_t rgid;
	struct dibs_dev *owner;
	struct dibs_dmb *dmb;
	u32 idx;
	u32 len;
	struct folio *folio;
	void *addr;
	bool dead;
	refcount_t users;
	struct completion idle;
	refcount_t refs;
	struct rcu_head rcu;
};

/* Tokens of DMBs are random, there is nothing to gain from hashing them */
static u32 dibs_lo_hash(const void *token, u32 len, u32 seed)
{
	return (u32)*(const u64 *)token ^ seed;
}

static int dibs_lo_differs(struct rhashtable_compare_arg *arg, const void *obj)
{
	const struct dibs_lo_dmb *dmb = obj;

	return dmb->token != *(const u64 *)arg->key;
}

static const struct rhashtable_params dibs_lo_dmb_params = {
	.key_len		= sizeof_field(struct dibs_lo_dmb, token),
	.key_offset		= offsetof(struct dibs_lo_dmb, token),
	.head_offset		= offsetof(struct dibs_lo_dmb, node),
	.hashfn			= dibs_lo_hash,
	.obj_cmpfn		= dibs_lo_differs,
	.automatic_shrinking	= true,
};

static struct rhashtable dibs_lo_dmbs;
static LIST_HEAD(dibs_lo_devs);
static DEFINE_MUTEX(dibs_lo_lock);

static inline struct dibs_lo_dmb *dibs_lo_dmb_find(u64 token)
{
	return rhashtable_lookup_fast(&dibs_lo_dmbs, &token,
				      dibs_lo_dmb_params);
}

static inline void dibs_lo_dmb_put(struct dibs_lo_dmb *dmb)
{
	if (refcount_dec_and_test(&dmb->users))
		complete(&dmb->idle);
}

/*
 * Become a user in the name of a sender. Without a look at @dead, senders that
 * take turns could keep unregister waiting for ever. Inlined for the sake of
 * small moves.
 */
static __always_inline struct dibs_lo_dmb *
dibs_lo_dmb_get(struct dibs_dev *sender, u64 token)
{
	struct dibs_lo_dmb *dmb;

	rcu_read_lock();
	dmb = dibs_lo_dmb_find(token);
	if (dmb && (READ_ONCE(dmb->dead) ||
		    !refcount_inc_not_zero(&dmb->users)))
		dmb = NULL;
	rcu_read_unlock();
	if (unlikely(!dmb))
		return ERR_PTR(-ENOENT);
	if (unlikely(!uuid_equal(&dmb->rgid, &sender->gid))) {
		dibs_lo_dmb_put(dmb);
		return ERR_PTR(-EPERM);
	}
	return dmb;
}

static void dibs_lo_dmb_free(struct dibs_lo_dmb *dmb)
{
	folio_put(dmb->folio);
	kfree_rcu(dmb, rcu);
}

static void dibs_lo_dmb_unref(struct dibs_lo_dmb *dmb)
{
	if (!refcount_dec_and_test(&dmb->refs))
		return;
	rhashtable_remove_fast(&dibs_lo_dmbs, &dmb->node, dibs_lo_dmb_params);
	dibs_lo_dmb_free(dmb);
}

/* Under RCU */
static struct dibs_lo_dev *dibs_lo_dev_find(const uuid_t *gid)
{
	struct dibs_lo_dev *lo;

	list_for_each_entry_rcu(lo, &dibs_lo_devs, list)
		if (uuid_equal(&lo->dibs->gid, gid))
			return lo;
	return NULL;
}

static int dibs_lo_send_event(const uuid_t *gid, struct dibs_event *event)
{
	struct dibs_lo_dev *lo;

	event->time = ktime_get_ns();
	rcu_read_lock();
	lo = dibs_lo_dev_find(gid);
	if (lo)
		dibs_dev_event(lo->dibs, event);
	rcu_read_unlock();
	return lo ? 0 : -ENETUNREACH;
}

static u16 dibs_lo_get_fabric_id(struct dibs_dev *dibs)
{
	return DIBS_LOOPBACK_FABRIC;
}

static int dibs_lo_max_dmbs(struct dibs_dev *dibs)
{
	return DIBS_MAX_DMBS;
}

/* One kernel has nothing to keep VLANs apart from */
static int dibs_lo_query_rgid(struct dibs_dev *dibs, const uuid_t *rgid,
			      u32 vid_valid, u32 vid)
{
	struct dibs_lo_dev *lo;

	rcu_read_lock();
	lo = dibs_lo_dev_find(rgid);
	rcu_read_unlock();
	return lo ? 0 : -ENETUNREACH;
}

/* A requested index is taken or nothing is; 0 requests none in particular */
static int dibs_lo_idx_get(struct dibs_lo_dev *lo, u32 want)
{
	int idx;

	if (want >= DIBS_MAX_DMBS)
		return -EINVAL;
	if (!want)
		return ida_alloc_max(&lo->idxs, DIBS_MAX_DMBS - 1, GFP_KERNEL);
	idx = ida_alloc_range(&lo->idxs, want, want, GFP_KERNEL);
	return idx == -ENOSPC ? -EBUSY : idx;
}

/* A large folio is a wish that the client can do without, do not try hard */
static struct dibs_lo_dmb *dibs_lo_dmb_alloc(u32 len)
{
	struct dibs_lo_dmb *dmb;

	dmb = kzalloc(sizeof(*dmb), GFP_KERNEL);
	if (!dmb)
		return NULL;
	dmb->folio = folio_alloc(GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN |
				 __GFP_NORETRY, get_order(len));
	if (!dmb->folio) {
		kfree(dmb);
		return NULL;
	}
	dmb->addr = folio_address(dmb->folio);
	dmb->len = len;
	refcount_set(&dmb->users, 1);
	refcount_set(&dmb->refs, 1);
	init_completion(&dmb->idle);
	return dmb;
}

/* Give the DMB a token. From here on it can be found. */
static int dibs_lo_dmb_publish(struct dibs_lo_dmb *dmb)
{
	int rc;

	do {
		do {
			dmb->token = get_random_u64();
		} while (!dmb->token);
		rc = rhashtable_lookup_insert_fast(&dibs_lo_dmbs, &dmb->node,
						   dibs_lo_dmb_params);
		/* full, while a work item is making it larger */
		if (rc == -EBUSY)
			schedule_timeout_uninterruptible(1);
	} while (rc == -EEXIST || rc == -EBUSY);
	return rc ? -ENOMEM : 0;
}

static int dibs_lo_register_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	struct dibs_lo_dev *lo = dibs->drv_priv;
	struct dibs_lo_dmb *new;
	int idx, rc = -ENOMEM;

	if (!dmb->dmb_len || dmb->dmb_len > PAGE_SIZE << MAX_PAGE_ORDER)
		return -EINVAL;
	idx = dibs_lo_idx_get(lo, dmb->idx);
	if (idx < 0)
		return idx;
	new = dibs_lo_dmb_alloc(dmb->dmb_len);
	if (!new)
		goto out_idx;
	new->owner = dibs;
	new->dmb = dmb;
	new->idx = idx;
	new->rgid = dmb->rgid;
	dmb->cpu_addr = new->addr;
	dmb->dma_addr = 0;
	dmb->idx = idx;
	rc = dibs_lo_dmb_publish(new);
	if (rc)
		goto out_free;
	dmb->dmb_tok = new->token;
	return 0;

out_free:
	dibs_lo_dmb_free(new);
out_idx:
	ida_free(&lo->idxs, idx);
	return rc;
}

/*
 * The sender keeps the memory, but not what was in it. Unless pages have
 * further users, for example a pipe that received data was spliced into: they
 * are given what they were promised, and it all came from the sender.
 */
static void dibs_lo_dmb_cut_off(struct dibs_lo_dmb *dmb)
{
	struct dibs_event event = {
		.type = DIBS_BUF_EVENT,
		.subtype = DIBS_BUF_UNREGISTERED,
		.gid = dmb->owner->gid,
		.buffer_tok = dmb->token,
	};

	if (folio_ref_count(dmb->folio) == 1)
		memset(dmb->addr, 0, folio_size(dmb->folio));
	dibs_lo_send_event(&dmb->rgid, &event);
}

/* The core calls this once for what was registered, so it is there */
static int dibs_lo_unregister_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	struct dibs_lo_dev *lo = dibs->drv_priv;
	struct dibs_lo_dmb *old = dibs_lo_dmb_find(dmb->dmb_tok);

	if (!old || old->owner != dibs)
		return -ENOENT;
	WRITE_ONCE(old->dead, true);
	dibs_lo_dmb_put(old);
	wait_for_completion(&old->idle);
	ida_free(&lo->idxs, old->idx);
	/* attachments are not added any more, if anything they are leaving */
	if (refcount_read(&old->refs) > 1)
		dibs_lo_dmb_cut_off(old);
	old->owner = NULL;
	old->dmb = NULL;
	dibs_lo_dmb_unref(old);
	return 0;
}

static bool dibs_lo_fits(const struct dibs_lo_dmb *dmb, u32 offset, u32 size)
{
	return (u64)offset + size <= dmb->len;
}

static bool dibs_lo_segs_fit(const struct dibs_lo_dmb *dmb,
			     const struct dibs_move_seg *segs,
			     unsigned int nsegs)
{
	unsigned int i;

	for (i = 0; i < nsegs; i++)
		if (!dibs_lo_fits(dmb, segs[i].offset, segs[i].size))
			return false;
	return true;
}

/* Receivers read cursors while they are written; messages with them are small */
#define DIBS_LO_WORDS_MAX	64

static __always_inline void dibs_lo_copy_word(u64 *dst, const u64 *src, int i)
{
	smp_wmb(); /* after the word in front of it */
	WRITE_ONCE(dst[i], get_unaligned(&src[i]));
}

/*
 * Aligned words become visible as a whole, however the CPU copies strings, and
 * none before those in front of it: a reader who has seen the flags of a message
 * of SMC-D counts on the cursor that came before them. A loop would cost more
 * than the words.
 */
static inline void dibs_lo_copy_words(u64 *dst, const u64 *src, u32 words)
{
	dst += words;
	src += words;
	switch (words) {
	case 8:
		dibs_lo_copy_word(dst, src, -8);
		fallthrough;
	case 7:
		dibs_lo_copy_word(dst, src, -7);
		fallthrough;
	case 6:
		dibs_lo_copy_word(dst, src, -6);
		fallthrough;
	case 5:
		dibs_lo_copy_word(dst, src, -5);
		fallthrough;
	case 4:
		dibs_lo_copy_word(dst, src, -4);
		fallthrough;
	case 3:
		dibs_lo_copy_word(dst, src, -3);
		fallthrough;
	case 2:
		dibs_lo_copy_word(dst, src, -2);
		fallthrough;
	case 1:
		dibs_lo_copy_word(dst, src, -1);
	}
}

static inline void dibs_lo_copy(const struct dibs_lo_dmb *dmb, u32 offset,
				const void *data, u32 size)
{
	void *dst = dmb->addr + offset;

	if (size <= DIBS_LO_WORDS_MAX && IS_ALIGNED(offset | size, sizeof(u64)))
		dibs_lo_copy_words(dst, data, size / sizeof(u64));
	else
		/* the owner looks when it likes, as on another system */
		data_race(memcpy(dst, data, size));
	/* an owner that polls sees one segment, and one move, after another */
	smp_wmb();
}

/* Takes no lock and does not wait itself, so it serves as move_data_atomic too */
static int dibs_lo_move_data(struct dibs_dev *dibs, u64 dmb_tok,
			     unsigned int idx, bool sf, unsigned int offset,
			     const void *data, unsigned int size)
{
	struct dibs_lo_dmb *dmb = dibs_lo_dmb_get(dibs, dmb_tok);
	int rc = 0;

	if (IS_ERR(dmb))
		return PTR_ERR(dmb);
	if (unlikely(!dibs_lo_fits(dmb, offset, size))) {
		rc = -ERANGE;
		goto out;
	}
	dibs_lo_copy(dmb, offset, data, size);
	if (sf)
		dibs_dmb_signal(dmb->dmb, BIT(idx));
out:
	dibs_lo_dmb_put(dmb);
	return rc;
}

static int dibs_lo_move_data_vec(struct dibs_dev *dibs, u64 dmb_tok,
				 unsigned int idx, bool sf,
				 const struct dibs_move_seg *segs,
				 unsigned int nsegs)
{
	struct dibs_lo_dmb *dmb = dibs_lo_dmb_get(dibs, dmb_tok);
	unsigned int i;
	int rc = 0;

	if (IS_ERR(dmb))
		return PTR_ERR(dmb);
	if (unlikely(!dibs_lo_segs_fit(dmb, segs, nsegs))) {
		rc = -ERANGE;
		goto out;
	}
	for (i = 0; i < nsegs; i++)
		dibs_lo_copy(dmb, segs[i].offset, segs[i].data, segs[i].size);
	if (sf)
		dibs_dmb_signal(dmb->dmb, BIT(idx));
out:
	dibs_lo_dmb_put(dmb);
	return rc;
}

static int dibs_lo_signal_event(struct dibs_dev *dibs, const uuid_t *rgid,
				u32 trigger_irq, u32 event_code, u64 info)
{
	struct dibs_event event = {
		.type = DIBS_SW_EVENT,
		.subtype = event_code,
		.gid = dibs->gid,
		.data = info,
	};

	return dibs_lo_send_event(rgid, &event);
}

static int dibs_lo_support_mmapped_rdmb(struct dibs_dev *dibs)
{
	struct dibs_lo_dev *lo = dibs->drv_priv;

	return lo->map;
}

static int dibs_lo_attach_dmb(struct dibs_dev *dibs, struct dibs_rdmb *rdmb)
{
	struct dibs_lo_dmb *dmb = dibs_lo_dmb_get(dibs, rdmb->dmb_tok);

	if (IS_ERR(dmb))
		return PTR_ERR(dmb);
	/* the registration has one: it is not given up while there are users */
	refcount_inc(&dmb->refs);
	rdmb->cpu_addr = dmb->addr;
	rdmb->dmb_len = dmb->len;
	dibs_lo_dmb_put(dmb);
	return 0;
}

/* Who attached it has a reference, so it is there, registered or not */
static int dibs_lo_detach_dmb(struct dibs_dev *dibs, u64 dmb_tok)
{
	struct dibs_lo_dmb *dmb = dibs_lo_dmb_find(dmb_tok);

	if (!dmb || !uuid_equal(&dmb->rgid, &dibs->gid))
		return -ENOENT;
	dibs_lo_dmb_unref(dmb);
	return 0;
}

static const struct dibs_dev_ops dibs_lo_ops = {
	.get_fabric_id		= dibs_lo_get_fabric_id,
	.max_dmbs		= dibs_lo_max_dmbs,
	.query_remote_gid	= dibs_lo_query_rgid,
	.register_dmb		= dibs_lo_register_dmb,
	.unregister_dmb		= dibs_lo_unregister_dmb,
	.move_data		= dibs_lo_move_data,
	.move_data_vec		= dibs_lo_move_data_vec,
	.signal_event		= dibs_lo_signal_event,
	.support_mmapped_rdmb	= dibs_lo_support_mmapped_rdmb,
	.attach_dmb		= dibs_lo_attach_dmb,
	.detach_dmb		= dibs_lo_detach_dmb,
};

static void dibs_lo_tell(struct dibs_lo_dev *lo,
			 const struct dibs_lo_dev *about,
			 enum dibs_event_subtype subtype)
{
	struct dibs_event event = {
		.type = DIBS_DEV_EVENT,
		.subtype = subtype,
		.gid = about->dibs->gid,
		.time = ktime_get_ns(),
	};

	dibs_dev_event(lo->dibs, &event);
}

static bool dibs_lo_name_taken(const char *name)
{
	struct dibs_lo_dev *lo;

	list_for_each_entry(lo, &dibs_lo_devs, list)
		if (!strcmp(dev_name(&lo->dibs->dev), name))
			return true;
	return false;
}

/* In the list first: clients may use the device while it is being added */
static int dibs_lo_dev_add(struct dibs_lo_dev *lo)
{
	struct dibs_lo_dev *other;
	int rc;

	lockdep_assert_held(&dibs_lo_lock);
	if (dibs_lo_name_taken(dev_name(&lo->dibs->dev)))
		return -EEXIST;
	list_add_tail_rcu(&lo->list, &dibs_lo_devs);
	rc = dibs_dev_add(lo->dibs);
	if (rc) {
		list_del_rcu(&lo->list);
		synchronize_rcu();
		return rc;
	}
	list_for_each_entry(other, &dibs_lo_devs, list) {
		if (other == lo)
			continue;
		dibs_lo_tell(other, lo, DIBS_DEV_ENABLED);
		dibs_lo_tell(lo, other, DIBS_DEV_ENABLED);
	}
	return 0;
}

static void dibs_lo_dev_free(struct dibs_lo_dev *lo)
{
	put_device(&lo->dibs->dev);
	ida_destroy(&lo->idxs);
	kfree(lo);
}

static struct dibs_lo_dev *dibs_lo_dev_alloc(const char *name, bool map)
{
	struct dibs_lo_dev *lo;

	lo = kzalloc(sizeof(*lo), GFP_KERNEL);
	if (!lo)
		return NULL;
	lo->dibs = dibs_dev_alloc();
	if (!lo->dibs) {
		kfree(lo);
		return NULL;
	}
	ida_init(&lo->idxs);
	lo->map = map;
	lo->dibs->ops = &dibs_lo_ops;
	lo->dibs->drv_priv = lo;
	uuid_gen(&lo->dibs->gid);
	if (dev_set_name(&lo->dibs->dev, "%s", name)) {
		dibs_lo_dev_free(lo);
		return NULL;
	}
	return lo;
}

/**
 * dibs_lo_create() - make a loopback device
 * @name: its name
 * @map: DMBs can be attached through it
 *
 * Return: the device; -EEXIST if there is one of this name, or -ENOMEM, as an
 *	error pointer.
 */
VISIBLE_IF_KUNIT struct dibs_dev *dibs_lo_create(const char *name, bool map)
{
	struct dibs_lo_dev *lo;
	int rc;

	lo = dibs_lo_dev_alloc(name, map);
	if (!lo)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&dibs_lo_lock);
	rc = dibs_lo_dev_add(lo);
	mutex_unlock(&dibs_lo_lock);
	if (rc) {
		dibs_lo_dev_free(lo);
		return ERR_PTR(rc);
	}
	return lo->dibs;
}
EXPORT_SYMBOL_IF_KUNIT(dibs_lo_create);

/**
 * dibs_lo_destroy() - remove a loopback device, whoever is using it
 * @dibs: the device
 *
 * The others are told when its DMBs and its attachments are gone.
 */
VISIBLE_IF_KUNIT void dibs_lo_destroy(struct dibs_dev *dibs)
{
	struct dibs_lo_dev *lo = dibs->drv_priv;
	struct dibs_lo_dev *other;

	mutex_lock(&dibs_lo_lock);
	dibs_dev_del(dibs);
	list_del_rcu(&lo->list);
	list_for_each_entry(other, &dibs_lo_devs, list)
		dibs_lo_tell(other, lo, DIBS_DEV_DISABLED);
	mutex_unlock(&dibs_lo_lock);
	synchronize_rcu();
	dibs_lo_dev_free(lo);
}
EXPORT_SYMBOL_IF_KUNIT(dibs_lo_destroy);

/**
 * struct dibs_lo_item - directory of a device in configfs
 * @item: for configfs
 * @lock: protects what follows
 * @dibs: the device, NULL while it is not live
 * @map: DMBs can be attached through the device
 *
 * While the device is live the item has a dependent, and rmdir returns -EBUSY.
 * The alternative, a device that goes away in the release of the item, would
 * run the clients' callbacks in whoever dropped the last reference.
 */
struct dibs_lo_item {
	struct config_item item;
	struct mutex lock;	/* protects what follows */
	struct dibs_dev *dibs;
	bool map;
};

static struct configfs_subsystem dibs_lo_subsys;

static struct dibs_lo_item *to_dibs_lo_item(struct config_item *item)
{
	return container_of(item, struct dibs_lo_item, item);
}

static int dibs_lo_item_start(struct dibs_lo_item *lo)
{
	struct dibs_dev *dibs;
	int rc;

	/* fails when rmdir has come first and is waiting for this write */
	rc = configfs_depend_item_unlocked(&dibs_lo_subsys, &lo->item);
	if (rc)
		return rc;
	dibs = dibs_lo_create(config_item_name(&lo->item), lo->map);
	if (IS_ERR(dibs)) {
		configfs_undepend_item_unlocked(&lo->item);
		return PTR_ERR(dibs);
	}
	lo->dibs = dibs;
	return 0;
}

static void dibs_lo_item_stop(struct dibs_lo_item *lo)
{
	dibs_lo_destroy(lo->dibs);
	lo->dibs = NULL;
	configfs_undepend_item_unlocked(&lo->item);
}

static ssize_t dibs_lo_item_live_show(struct config_item *item, char *page)
{
	struct dibs_lo_item *lo = to_dibs_lo_item(item);
	bool live;

	mutex_lock(&lo->lock);
	live = lo->dibs;
	mutex_unlock(&lo->lock);
	return sysfs_emit(page, "%d\n", live);
}

static ssize_t dibs_lo_item_live_store(struct config_item *item,
				       const char *page, size_t count)
{
	struct dibs_lo_item *lo = to_dibs_lo_item(item);
	bool live;
	int rc;

	rc = kstrtobool(page, &live);
	if (rc)
		return rc;
	mutex_lock(&lo->lock);
	if (live && !lo->dibs)
		rc = dibs_lo_item_start(lo);
	else if (!live && lo->dibs)
		dibs_lo_item_stop(lo);
	mutex_unlock(&lo->lock);
	return rc ?: count;
}

static ssize_t dibs_lo_item_map_show(struct config_item *item, char *page)
{
	struct dibs_lo_item *lo = to_dibs_lo_item(item);

	return sysfs_emit(page, "%d\n", READ_ONCE(lo->map));
}

static ssize_t dibs_lo_item_map_store(struct config_item *item,
				      const char *page, size_t count)
{
	struct dibs_lo_item *lo = to_dibs_lo_item(item);
	bool map;
	int rc;

	rc = kstrtobool(page, &map);
	if (rc)
		return rc;
	mutex_lock(&lo->lock);
	if (lo->dibs)
		rc = -EBUSY;
	else
		WRITE_ONCE(lo->map, map);
	mutex_unlock(&lo->lock);
	return rc ?: count;
}

CONFIGFS_ATTR(dibs_lo_item_, live);
CONFIGFS_ATTR(dibs_lo_item_, map);

static struct configfs_attribute *dibs_lo_item_attrs[] = {
	&dibs_lo_item_attr_live,
	&dibs_lo_item_attr_map,
	NULL
};

static void dibs_lo_item_release(struct config_item *item)
{
	kfree(to_dibs_lo_item(item));
}

static struct configfs_item_operations dibs_lo_item_ops = {
	.release	= dibs_lo_item_release,
};

static const struct config_item_type dibs_lo_item_type = {
	.ct_item_ops	= &dibs_lo_item_ops,
	.ct_attrs	= dibs_lo_item_attrs,
	.ct_owner	= THIS_MODULE,
};

static struct config_item *dibs_lo_make_item(struct config_group *group,
					     const char *name)
{
	struct dibs_lo_item *lo;

	if (strncmp(name, "lo", 2))
		return ERR_PTR(-EINVAL);
	lo = kzalloc(sizeof(*lo), GFP_KERNEL);
	if (!lo)
		return ERR_PTR(-ENOMEM);
	mutex_init(&lo->lock);
	lo->map = true;
	config_item_init_type_name(&lo->item, name, &dibs_lo_item_type);
	return &lo->item;
}

static struct configfs_group_operations dibs_lo_group_ops = {
	.make_item	= dibs_lo_make_item,
};

static const struct config_item_type dibs_lo_group_type = {
	.ct_group_ops	= &dibs_lo_group_ops,
	.ct_owner	= THIS_MODULE,
};

static struct configfs_subsystem dibs_lo_subsys = {
	.su_group = {
		.cg_item = {
			.ci_namebuf	= "dibs_loopback",
			.ci_type	= &dibs_lo_group_type,
		},
	},
};

static bool dibs_lo_map = true;
module_param_named(map, dibs_lo_map, bool, 0444);
MODULE_PARM_DESC(map, "DMBs can be attached through device lo (default: 1)");

static struct dibs_dev *dibs_lo_default;

static int __init dibs_lo_init(void)
{
	int rc;

	rc = rhashtable_init(&dibs_lo_dmbs, &dibs_lo_dmb_params);
	if (rc)
		return rc;
	dibs_lo_default = dibs_lo_create("lo", dibs_lo_map);
	if (IS_ERR(dibs_lo_default)) {
		rc = PTR_ERR(dibs_lo_default);
		goto out_table;
	}
	config_group_init(&dibs_lo_subsys.su_group);
	mutex_init(&dibs_lo_subsys.su_mutex);
	rc = configfs_register_subsystem(&dibs_lo_subsys);
	if (rc)
		goto out_default;
	return 0;

out_default:
	dibs_lo_destroy(dibs_lo_default);
out_table:
	rhashtable_destroy(&dibs_lo_dmbs);
	return rc;
}

/* No item is left: each holds a reference to the module */
static void __exit dibs_lo_exit(void)
{
	configfs_unregister_subsystem(&dibs_lo_subsys);
	dibs_lo_destroy(dibs_lo_default);
	rhashtable_destroy(&dibs_lo_dmbs);
}

module_init(dibs_lo_init);
module_exit(dibs_lo_exit);

MODULE_DESCRIPTION("Direct Internal Buffer Sharing, loopback devices");
MODULE_LICENSE("GPL");
