// SPDX-License-Identifier: GPL-2.0
/*
 * Example of a dibs device driver: one device, alone on a fabric of its own,
 * that copies from memory to memory.
 *
 * See Documentation/networking/dibs.rst.
 */
#include <linux/align.h>
#include <linux/dibs.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#define EXAMPLE_FABRIC	0xff5a
#define EXAMPLE_DMBS	16
#define EXAMPLE_MAX_LEN	65536

/**
 * struct example_dmb - an entry of the table of DMBs
 * @addr: the memory, NULL if the entry is free
 * @len: in bytes
 * @token: random, but for the low bits, which are the index of the entry
 * @rgid: who may write
 */
struct example_dmb {
	void *addr;
	u32 len;
	u64 token;
	uuid_t rgid;
};

static struct example_dmb example_dmbs[EXAMPLE_DMBS];
/* Protects the table, and is held during a move, with interrupts disabled */
static DEFINE_SPINLOCK(example_lock);

static u16 example_get_fabric_id(struct dibs_dev *dibs)
{
	return EXAMPLE_FABRIC;
}

static int example_max_dmbs(struct dibs_dev *dibs)
{
	return EXAMPLE_DMBS;
}

/* The device reaches nobody but itself */
static int example_query_remote_gid(struct dibs_dev *dibs, const uuid_t *rgid,
				    u32 vid_valid, u32 vid)
{
	return uuid_equal(rgid, &dibs->gid) ? 0 : -ENETUNREACH;
}

/* Index 0 requests none in particular */
static int example_find_free(u32 want)
{
	unsigned int i;

	if (want >= EXAMPLE_DMBS)
		return -EINVAL;
	if (want)
		return example_dmbs[want].addr ? -EBUSY : want;
	for (i = 0; i < EXAMPLE_DMBS; i++)
		if (!example_dmbs[i].addr)
			return i;
	return -ENOSPC;
}

static int example_register_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	void *addr;
	int idx;

	if (dmb->dmb_len > EXAMPLE_MAX_LEN)
		return -EINVAL;
	/* zeroed, in the linear map, and each page counts its own users */
	addr = alloc_pages_exact(dmb->dmb_len, GFP_KERNEL | __GFP_ZERO);
	if (!addr)
		return -ENOMEM;

	spin_lock_irq(&example_lock);
	idx = example_find_free(dmb->idx);
	if (idx >= 0) {
		dmb->idx = idx;
		dmb->cpu_addr = addr;
		/* cannot be guessed; unique, as each index is */
		dmb->dmb_tok = round_down(get_random_u64(), EXAMPLE_DMBS) + idx;
		example_dmbs[idx].addr = addr;
		example_dmbs[idx].len = dmb->dmb_len;
		example_dmbs[idx].token = dmb->dmb_tok;
		example_dmbs[idx].rgid = dmb->rgid;
	}
	spin_unlock_irq(&example_lock);

	if (idx < 0) {
		free_pages_exact(addr, dmb->dmb_len);
		return idx;
	}
	return 0;
}

/* The core has checked that there is such a DMB and who owns it */
static int example_unregister_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	/* a move holds the lock: none is writing when it is ours */
	spin_lock_irq(&example_lock);
	example_dmbs[dmb->idx].addr = NULL;
	spin_unlock_irq(&example_lock);
	free_pages_exact(dmb->cpu_addr, dmb->dmb_len);
	return 0;
}

/*
 * The owner may read what is being written. Of small moves it has to see whole
 * words, which memcpy() does not promise.
 */
static void example_copy(void *dst, const void *src, unsigned int size)
{
	unsigned int i;

	if (size > 64 || !IS_ALIGNED((uintptr_t)dst | size, sizeof(u64))) {
		memcpy(dst, src, size);
		return;
	}
	for (i = 0; i < size; i += sizeof(u64))
		WRITE_ONCE(*(u64 *)(dst + i), get_unaligned((u64 *)(src + i)));
}

static int example_move_locked(struct dibs_dev *dibs, u64 dmb_tok,
			       unsigned int idx, bool sf, unsigned int offset,
			       const void *data, unsigned int size)
{
	unsigned int i = dmb_tok % EXAMPLE_DMBS;
	struct example_dmb *dmb = &example_dmbs[i];

	if (!dmb->addr || dmb->token != dmb_tok)
		return -ENOENT;
	if (!uuid_equal(&dmb->rgid, &dibs->gid))
		return -EPERM;
	if ((u64)offset + size > dmb->len)
		return -ERANGE;
	example_copy(dmb->addr + offset, data, size);
	/* the core calls the client later, not with our lock held */
	if (sf)
		dibs_dev_signal(dibs, i, BIT(idx));
	return 0;
}

/* Any context but hard interrupt */
static int example_move_data(struct dibs_dev *dibs, u64 dmb_tok,
			     unsigned int idx, bool sf, unsigned int offset,
			     const void *data, unsigned int size)
{
	unsigned long flags;
	int rc;

	spin_lock_irqsave(&example_lock, flags);
	rc = example_move_locked(dibs, dmb_tok, idx, sf, offset, data, size);
	spin_unlock_irqrestore(&example_lock, flags);
	return rc;
}

/* In a panic the CPU that holds the lock may have been stopped */
static int example_move_data_atomic(struct dibs_dev *dibs, u64 dmb_tok,
				    unsigned int idx, bool sf,
				    unsigned int offset, const void *data,
				    unsigned int size)
{
	unsigned long flags;
	int rc;

	if (!spin_trylock_irqsave(&example_lock, flags))
		return -EBUSY;
	rc = example_move_locked(dibs, dmb_tok, idx, sf, offset, data, size);
	spin_unlock_irqrestore(&example_lock, flags);
	return rc;
}

static const struct dibs_dev_ops example_ops = {
	.get_fabric_id		= example_get_fabric_id,
	.max_dmbs		= example_max_dmbs,
	.query_remote_gid	= example_query_remote_gid,
	.register_dmb		= example_register_dmb,
	.unregister_dmb		= example_unregister_dmb,
	.move_data		= example_move_data,
	.move_data_atomic	= example_move_data_atomic,
};

static struct dibs_dev *example_dev;

static int __init example_init(void)
{
	int rc;

	example_dev = dibs_dev_alloc();
	if (!example_dev)
		return -ENOMEM;
	example_dev->ops = &example_ops;
	uuid_gen(&example_dev->gid);
	rc = dev_set_name(&example_dev->dev, "example");
	if (!rc)
		rc = dibs_dev_add(example_dev);
	if (rc)
		put_device(&example_dev->dev);
	return rc;
}

static void __exit example_exit(void)
{
	dibs_dev_del(example_dev);
	/* a driver of real hardware switches it off here */
	put_device(&example_dev->dev);
}

module_init(example_init);
module_exit(example_exit);

MODULE_DESCRIPTION("Example of a dibs device driver");
MODULE_LICENSE("GPL");
