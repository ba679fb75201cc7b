// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing
 *
 * Mappings of remote buffers.
 */
#include <linux/slab.h>
#include <trace/events/dibs.h>

#include "dibs_core.h"

/**
 * struct dibs_rmap - a remote DMB that a client has attached
 * @node: in &dibs_sub.rmaps
 * @dmb_tok: token of the DMB, the key
 * @rcu: for freeing
 */
struct dibs_rmap {
	struct rhash_head node;
	u64 dmb_tok;
	struct rcu_head rcu;
};

static const struct rhashtable_params dibs_rmap_params = {
	.key_len		= sizeof_field(struct dibs_rmap, dmb_tok),
	.key_offset		= offsetof(struct dibs_rmap, dmb_tok),
	.head_offset		= offsetof(struct dibs_rmap, node),
	.automatic_shrinking	= true,
};

int dibs_rmap_init(struct dibs_sub *sub)
{
	return rhashtable_init(&sub->rmaps, &dibs_rmap_params);
}

static void dibs_rmap_left_behind(void *ptr, void *arg)
{
	struct dibs_rmap *rmap = ptr;
	struct dibs_sub *sub = arg;

	sub->dibs->ops->detach_dmb(sub->dibs, rmap->dmb_tok);
	atomic_dec(&sub->dibs->nr_attached);
	kfree(rmap);
}

void dibs_rmap_reap(struct dibs_sub *sub)
{
	unsigned int n = atomic_read(&sub->rmaps.nelems);

	rhashtable_free_and_destroy(&sub->rmaps, dibs_rmap_left_behind, sub);
	if (n)
		dev_warn(&sub->dibs->dev, "client %s left %u DMBs attached\n",
			 sub->client->name, n);
}

/**
 * dibs_support_mmapped_rdmb() - can remote DMBs be attached?
 * @dibs: the device
 *
 * Context: any.
 * Return: true if dibs_attach_dmb() and dibs_detach_dmb() are supported.
 */
bool dibs_support_mmapped_rdmb(struct dibs_dev *dibs)
{
	return dibs->ops->support_mmapped_rdmb &&
	       dibs->ops->support_mmapped_rdmb(dibs);
}
EXPORT_SYMBOL_GPL(dibs_support_mmapped_rdmb);

/* A client attaches a DMB once, the driver does not care how often */
static int dibs_rmap_attach(struct dibs_sub *sub, struct dibs_rdmb *rdmb)
{
	struct dibs_dev *dibs = sub->dibs;
	struct dibs_rdmb result = *rdmb;
	struct dibs_rmap *rmap;
	int rc;

	if (!dibs_support_mmapped_rdmb(dibs))
		return -EOPNOTSUPP;
	rmap = kzalloc(sizeof(*rmap), GFP_KERNEL);
	if (!rmap)
		return -ENOMEM;
	rmap->dmb_tok = rdmb->dmb_tok;
	rc = dibs->ops->attach_dmb(dibs, &result);
	if (rc)
		goto out_free;
	atomic_inc(&dibs->nr_attached);
	rc = rhashtable_lookup_insert_fast(&sub->rmaps, &rmap->node,
					   dibs_rmap_params);
	if (rc)
		goto out_detach;
	*rdmb = result;
	return 0;

out_detach:
	dibs->ops->detach_dmb(dibs, rmap->dmb_tok);
	atomic_dec(&dibs->nr_attached);
	if (rc != -EEXIST)
		rc = -ENOMEM;
out_free:
	kfree(rmap);
	return rc;
}

/**
 * dibs_attach_dmb() - map a remote DMB
 * @dibs: the device
 * @rdmb: names the DMB; filled in on success, unchanged otherwise
 * @client: the client
 *
 * What is stored in the mapping is visible to the owner of the DMB without
 * further ado; dibs_move_data() with a signal tells it to look.
 *
 * Context: process context, may sleep.
 * Return: 0, or
 *  * -EOPNOTSUPP: the device cannot map; move data instead
 *  * -ENOENT: the token names no DMB (any more)
 *  * -EPERM: the DMB is granted to another device
 *  * -EEXIST: the client has attached this DMB already
 *  * -ENOMEM: no memory; move data instead
 *  * -ENODEV: the device or the client is leaving, or the client does not use
 *    this device
 *  * -EIO: the device failed
 */
int dibs_attach_dmb(struct dibs_dev *dibs, struct dibs_rdmb *rdmb,
		    struct dibs_client *client)
{
	struct dibs_sub *sub;
	int rc = -ENODEV;

	might_sleep();
	sub = dibs_sub_get(dibs, client);
	if (sub) {
		rc = dibs_rmap_attach(sub, rdmb);
		dibs_count_error(dibs, rc);
		dibs_sub_put(sub);
	}
	trace_dibs_attach(dibs, rdmb->dmb_tok, rc);
	return rc;
}
EXPORT_SYMBOL_GPL(dibs_attach_dmb);

/* del_dev detaches too, so the subscription may be stopped, but not be gone */
static struct dibs_rmap *dibs_rmap_take(struct dibs_dev *dibs, u64 dmb_tok,
					struct dibs_client *client)
{
	struct dibs_rmap *rmap = NULL;
	struct dibs_sub *sub;

	rcu_read_lock();
	sub = rcu_dereference(dibs->subs[client->id]);
	if (sub && sub->client == client)
		rmap = rhashtable_lookup(&sub->rmaps, &dmb_tok,
					 dibs_rmap_params);
	if (rmap && rhashtable_remove_fast(&sub->rmaps, &rmap->node,
					   dibs_rmap_params))
		rmap = NULL;
	rcu_read_unlock();
	return rmap;
}

/**
 * dibs_detach_dmb() - give up the mapping of a remote DMB
 * @dibs: the device
 * @dmb_tok: token of the DMB, which may have been unregistered meanwhile
 * @client: the client that attached it
 *
 * Context: process context, may sleep. Allowed in del_dev.
 * Return: 0, or
 *  * -EOPNOTSUPP: the device cannot map
 *  * -ENOENT: the client has not attached this DMB
 *  * -ENODEV: the device has left and has detached the DMB itself
 */
int dibs_detach_dmb(struct dibs_dev *dibs, u64 dmb_tok,
		    struct dibs_client *client)
{
	struct dibs_rmap *rmap;
	int rc;

	might_sleep();
	if (!percpu_ref_tryget_live(&dibs->inflight))
		return -ENODEV;
	rc = dibs_support_mmapped_rdmb(dibs) ? -ENOENT : -EOPNOTSUPP;
	rmap = dibs_rmap_take(dibs, dmb_tok, client);
	if (rmap) {
		rc = dibs->ops->detach_dmb(dibs, dmb_tok);
		atomic_dec(&dibs->nr_attached);
		kfree_rcu(rmap, rcu);
	}
	trace_dibs_detach(dibs, dmb_tok, rc);
	percpu_ref_put(&dibs->inflight);
	return rc;
}
EXPORT_SYMBOL_GPL(dibs_detach_dmb);
