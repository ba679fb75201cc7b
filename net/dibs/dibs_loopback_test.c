// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing
 *
 * KUnit tests of the loopback device, through the core and with real clients.
 */
#include <kunit/test.h>
#include <kunit/visibility.h>
#include <linux/delay.h>
#include <linux/dibs.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>

#include "dibs_loopback.h"

MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);

/* Not a multiple of anything, so that the end is where it was asked for */
#define LO_LEN		5001u
#define LO_GUARD	0xa5
#define LO_NR_IDX	8
#define LO_NR_EVENTS	64

/* The devices: one grants, one is granted to, one is neither and cannot map */
enum { LO_OWNER, LO_SENDER, LO_OTHER, LO_NR_DEVS };

static const char *const lo_names[] = { "lo-kunit0", "lo-kunit1", "lo-kunit2" };

struct lo_irq {
	atomic_t runs;
	atomic_t mask;
};

struct lo_event {
	struct dibs_dev *dibs;
	struct dibs_event event;
};

static struct lo_ctx {
	struct dibs_dev *dev[LO_NR_DEVS];
	struct lo_irq irq[LO_NR_DEVS][LO_NR_IDX];
	void (*on_irq)(struct dibs_dev *dibs, unsigned int idx, u16 mask);
	void (*on_del)(struct dibs_dev *dibs);
	spinlock_t lock;	/* protects the events */
	struct lo_event events[LO_NR_EVENTS];
	unsigned int nr_events;
} lo;

static int lo_add_dev(struct dibs_dev *dibs)
{
	return 0;
}

static void lo_del_dev(struct dibs_dev *dibs)
{
	if (lo.on_del)
		lo.on_del(dibs);
}

static void lo_handle_irq(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
	unsigned int i;

	for (i = 0; i < LO_NR_DEVS; i++) {
		if (lo.dev[i] != dibs || idx >= LO_NR_IDX)
			continue;
		atomic_or(mask, &lo.irq[i][idx].mask);
		if (lo.on_irq)
			lo.on_irq(dibs, idx, mask);
		atomic_inc(&lo.irq[i][idx].runs);
	}
}

static void lo_handle_event(struct dibs_dev *dibs,
			    const struct dibs_event *event)
{
	spin_lock_bh(&lo.lock);
	if (lo.nr_events < LO_NR_EVENTS) {
		lo.events[lo.nr_events].dibs = dibs;
		lo.events[lo.nr_events++].event = *event;
	}
	spin_unlock_bh(&lo.lock);
}

static const struct dibs_client_ops lo_client_ops = {
	.add_dev	= lo_add_dev,
	.del_dev	= lo_del_dev,
	.handle_irq	= lo_handle_irq,
	.handle_event	= lo_handle_event,
};

static void lo_no_del_dev(struct dibs_dev *dibs)
{
}

static void lo_no_irq(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
}

static const struct dibs_client_ops lo_client2_ops = {
	.add_dev	= lo_add_dev,
	.del_dev	= lo_no_del_dev,
	.handle_irq	= lo_no_irq,
};

static struct dibs_client lo_client = {
	.name	= "lo-kunit",
	.ops	= &lo_client_ops,
};

static struct dibs_client lo_client2 = {
	.name	= "lo-kunit2",
	.ops	= &lo_client2_ops,
};

static int lo_create(unsigned int i)
{
	struct dibs_dev *dibs = dibs_lo_create(lo_names[i], i != LO_OTHER);

	if (IS_ERR(dibs))
		return PTR_ERR(dibs);
	lo.dev[i] = dibs;
	return 0;
}

static void lo_destroy(unsigned int i)
{
	struct dibs_dev *dibs = lo.dev[i];

	if (!dibs)
		return;
	dibs_lo_destroy(dibs);
	lo.dev[i] = NULL;
}

static int lo_init(struct kunit *test)
{
	unsigned int i;
	int rc;

	memset(&lo, 0, sizeof(lo));
	spin_lock_init(&lo.lock);
	rc = dibs_register_client(&lo_client);
	if (!rc)
		rc = dibs_register_client(&lo_client2);
	for (i = 0; i < LO_NR_DEVS && !rc; i++)
		rc = lo_create(i);
	return rc;
}

static void lo_exit(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < LO_NR_DEVS; i++)
		lo_destroy(i);
	dibs_unregister_client(&lo_client2);
	dibs_unregister_client(&lo_client);
}

/* True once @cond is, false if that takes ten seconds */
#define lo_wait_for(cond) ({						\
	unsigned long __end = jiffies + 10 * HZ;			\
	bool __is;							\
									\
	while (!(__is = (cond)) && time_before(jiffies, __end))		\
		usleep_range(100, 1000);				\
	__is;								\
})

static int lo_try_register(struct dibs_dmb *dmb, u32 len, u32 idx)
{
	*dmb = (struct dibs_dmb) {
		.dmb_len = len,
		.idx = idx,
		.rgid = lo.dev[LO_SENDER]->gid,
	};
	return dibs_register_dmb(lo.dev[LO_OWNER], dmb, &lo_client);
}

static void lo_register(struct kunit *test, struct dibs_dmb *dmb, u32 len)
{
	KUNIT_ASSERT_EQ(test, lo_try_register(dmb, len, 0), 0);
}

static int lo_unregister(struct dibs_dmb *dmb)
{
	return dibs_unregister_dmb(lo.dev[LO_OWNER], dmb, &lo_client);
}

static int lo_move(const struct dibs_dmb *dmb, u32 offset, const void *data,
		   u32 size)
{
	return dibs_move_data(lo.dev[LO_SENDER], dmb->dmb_tok, 0, false,
			      offset, data, size);
}

static int lo_signal(const struct dibs_dmb *dmb, unsigned int signal)
{
	return dibs_move_data(lo.dev[LO_SENDER], dmb->dmb_tok, signal, true, 0,
			      NULL, 0);
}

static int lo_attach(struct dibs_rdmb *rdmb, const struct dibs_dmb *dmb,
		     struct dibs_client *client)
{
	*rdmb = (struct dibs_rdmb) { .dmb_tok = READ_ONCE(dmb->dmb_tok) };
	return dibs_attach_dmb(lo.dev[LO_SENDER], rdmb, client);
}

static int lo_detach(const struct dibs_dmb *dmb, struct dibs_client *client)
{
	return dibs_detach_dmb(lo.dev[LO_SENDER], dmb->dmb_tok, client);
}

static int lo_runs(unsigned int dev, const struct dibs_dmb *dmb)
{
	return atomic_read(&lo.irq[dev][dmb->idx].runs);
}

static int lo_mask(unsigned int dev, const struct dibs_dmb *dmb)
{
	return atomic_read(&lo.irq[dev][dmb->idx].mask);
}

static bool lo_all(const void *addr, u8 byte, size_t len)
{
	return !memchr_inv(addr, byte, len);
}

/* How many events of this kind a device was told of; the last one in @event */
static unsigned int lo_events(struct dibs_dev *dibs, u32 type, u32 subtype,
			      const uuid_t *gid, struct dibs_event *event)
{
	const struct lo_event *e;
	unsigned int found = 0;

	spin_lock_bh(&lo.lock);
	for (e = lo.events; e < lo.events + lo.nr_events; e++) {
		if (e->dibs != dibs || e->event.type != type ||
		    e->event.subtype != subtype ||
		    !uuid_equal(&e->event.gid, gid))
			continue;
		if (event)
			*event = e->event;
		found++;
	}
	spin_unlock_bh(&lo.lock);
	return found;
}

/* ------------------------------- devices -------------------------------- */

static void lo_identity(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < LO_NR_DEVS; i++) {
		struct dibs_dev *dibs = lo.dev[i];

		KUNIT_EXPECT_EQ(test, dibs_get_fabric_id(dibs), 0xffff);
		KUNIT_EXPECT_EQ(test, dibs_max_dmbs(dibs), 65536);
		KUNIT_EXPECT_EQ(test, dibs_support_mmapped_rdmb(dibs),
				i != LO_OTHER);
		KUNIT_EXPECT_FALSE(test, uuid_is_null(&dibs->gid));
		KUNIT_EXPECT_STREQ(test, dev_name(&dibs->dev), lo_names[i]);
	}
	KUNIT_EXPECT_FALSE(test, uuid_equal(&lo.dev[0]->gid, &lo.dev[1]->gid));
	KUNIT_EXPECT_FALSE(test, uuid_equal(&lo.dev[0]->gid, &lo.dev[2]->gid));
	KUNIT_EXPECT_FALSE(test, uuid_equal(&lo.dev[1]->gid, &lo.dev[2]->gid));
}

static void lo_name_taken(struct kunit *test)
{
	struct dibs_dev *dibs = dibs_lo_create(lo_names[LO_OTHER], true);

	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(dibs), -EEXIST);
	lo_destroy(LO_OTHER);
	KUNIT_EXPECT_EQ(test, lo_create(LO_OTHER), 0);
}

static void lo_query_gid(struct kunit *test)
{
	struct dibs_dev *dibs = lo.dev[LO_OWNER];
	uuid_t gid;

	KUNIT_EXPECT_EQ(test, dibs_query_remote_gid(dibs, &dibs->gid, 0, 0), 0);
	gid = lo.dev[LO_OTHER]->gid;
	KUNIT_EXPECT_EQ(test, dibs_query_remote_gid(dibs, &gid, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, dibs_query_remote_gid(dibs, &gid, 1, 7), 0);
	lo_destroy(LO_OTHER);
	KUNIT_EXPECT_EQ(test, dibs_query_remote_gid(dibs, &gid, 0, 0),
			-ENETUNREACH);
	gid = dibs->gid;
	gid.b[15] ^= 1;
	KUNIT_EXPECT_EQ(test, dibs_query_remote_gid(dibs, &gid, 0, 0),
			-ENETUNREACH);
	KUNIT_EXPECT_EQ(test, dibs_query_remote_gid(dibs, &uuid_null, 0, 0),
			-ENETUNREACH);
}

static void lo_no_vlan(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, dibs_add_vlan_id(lo.dev[0], 1), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, dibs_del_vlan_id(lo.dev[0], 1), -EOPNOTSUPP);
}

/* ------------------------- register, unregister ------------------------- */

static void lo_register_errors(struct kunit *test)
{
	static struct dibs_client stranger = {
		.name = "stranger", .ops = &lo_client_ops,
	};
	struct dibs_dmb dmb, before;
	unsigned int i;
	const struct {
		u32 len;
		u32 idx;
	} bad[] = {
		{ 0, 0 },
		{ (PAGE_SIZE << MAX_PAGE_ORDER) + 1, 0 },
		{ U32_MAX, 0 },
		{ LO_LEN, 65536 },
		{ LO_LEN, U32_MAX },
	};

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		KUNIT_EXPECT_EQ_MSG(test, lo_try_register(&dmb, bad[i].len,
							  bad[i].idx),
				    -EINVAL, "len %u idx %u", bad[i].len,
				    bad[i].idx);
		KUNIT_EXPECT_EQ(test, dmb.dmb_tok, 0);
		KUNIT_EXPECT_NULL(test, dmb.cpu_addr);
		KUNIT_EXPECT_EQ(test, dmb.dmb_len, bad[i].len);
		/* the driver does not rely on the core for this */
		before = dmb;
		KUNIT_EXPECT_EQ(test, lo.dev[LO_OWNER]->ops->register_dmb
				(lo.dev[LO_OWNER], &dmb), -EINVAL);
		KUNIT_EXPECT_MEMEQ(test, &dmb, &before, sizeof(dmb));
	}
	dmb.dmb_len = LO_LEN;
	dmb.idx = 0;
	KUNIT_EXPECT_EQ(test, dibs_register_dmb(lo.dev[0], &dmb, &stranger),
			-ENODEV);
}

static void lo_register_memory(struct kunit *test)
{
	static const u32 lens[] = { 1, PAGE_SIZE, LO_LEN, 65536, 1 << 20,
				    PAGE_SIZE << MAX_PAGE_ORDER };
	struct dibs_dmb dmb;
	unsigned int i;
	int rc;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		rc = lo_try_register(&dmb, lens[i], 0);
		if (rc == -ENOMEM && lens[i] > 65536)
			break;
		KUNIT_ASSERT_EQ(test, rc, 0);
		KUNIT_EXPECT_GE(test, dmb.dmb_len, lens[i]);
		KUNIT_EXPECT_NE(test, dmb.dmb_tok, 0);
		KUNIT_ASSERT_TRUE(test, virt_addr_valid(dmb.cpu_addr));
		KUNIT_EXPECT_TRUE(test, lo_all(dmb.cpu_addr, 0, lens[i]));
		/* one folio: a reference to any page of it keeps it all */
		KUNIT_EXPECT_PTR_EQ(test, virt_to_folio(dmb.cpu_addr),
				    virt_to_folio(dmb.cpu_addr + lens[i] - 1));
		/* the next one to get these pages must not see this */
		memset(dmb.cpu_addr, LO_GUARD, lens[i]);
		KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
	}
}

static void lo_register_index(struct kunit *test)
{
	struct dibs_dmb any[2], dmb, busy;

	lo_register(test, &any[0], 1);
	lo_register(test, &any[1], 1);
	KUNIT_EXPECT_NE(test, any[0].idx, any[1].idx);
	KUNIT_ASSERT_EQ(test, lo_try_register(&dmb, 1, 65535), 0);
	KUNIT_EXPECT_EQ(test, dmb.idx, 65535);
	KUNIT_EXPECT_EQ(test, lo_try_register(&busy, 1, 65535), -EBUSY);
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
	KUNIT_EXPECT_EQ(test, lo_try_register(&dmb, 1, 65535), 0);
	KUNIT_EXPECT_EQ(test, dmb.idx, 65535);
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
	/* one that nobody asked for is as much in use; 0 cannot be asked for */
	KUNIT_EXPECT_EQ(test, lo_try_register(&busy, 1, any[0].idx ?:
					      any[1].idx), -EBUSY);
	KUNIT_EXPECT_EQ(test, lo_unregister(&any[1]), 0);
	KUNIT_EXPECT_EQ(test, lo_unregister(&any[0]), 0);
}

/* An index is a device's own, a token is nobody else's */
static void lo_register_tokens(struct kunit *test)
{
	struct dibs_dmb *dmb;
	unsigned int i, j;
	u64 diff, seen = 0;

	dmb = kunit_kcalloc(test, 64, sizeof(*dmb), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dmb);
	for (i = 0; i < 64; i++) {
		dmb[i].dmb_len = 1;
		dmb[i].idx = i / 2 + 1;
		KUNIT_ASSERT_EQ(test, dibs_register_dmb(lo.dev[i % 2], &dmb[i],
							&lo_client), 0);
		KUNIT_EXPECT_NE(test, dmb[i].dmb_tok, 0);
		for (j = 0; j < i; j++) {
			diff = dmb[i].dmb_tok ^ dmb[j].dmb_tok;
			KUNIT_EXPECT_NE(test, diff, 0);
			seen |= diff;
		}
	}
	/* no bit is the same in all of them, but once in 2^57 */
	KUNIT_EXPECT_EQ(test, seen, U64_MAX);
	for (i = 0; i < 64; i++)
		KUNIT_EXPECT_EQ(test, dibs_unregister_dmb(lo.dev[i % 2],
							  &dmb[i], &lo_client),
				0);
}

static void lo_unregister_errors(struct kunit *test)
{
	struct dibs_dmb dmb, wrong;

	lo_register(test, &dmb, LO_LEN);
	wrong = dmb;
	wrong.dmb_tok ^= 1;
	KUNIT_EXPECT_EQ(test, lo_unregister(&wrong), -ENOENT);
	KUNIT_EXPECT_EQ(test, dibs_unregister_dmb(lo.dev[LO_OWNER], &dmb,
						  &lo_client2), -EPERM);
	KUNIT_EXPECT_EQ(test, dibs_unregister_dmb(lo.dev[LO_SENDER], &dmb,
						  &lo_client), -ENOENT);
	/* nor does the driver rely on the core for this */
	KUNIT_EXPECT_EQ(test, lo.dev[LO_SENDER]->ops->unregister_dmb
			(lo.dev[LO_SENDER], &dmb), -ENOENT);
	KUNIT_EXPECT_EQ(test, lo_move(&dmb, 0, &wrong, 1), 0);
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), -ENOENT);
	KUNIT_EXPECT_EQ(test, lo.dev[LO_OWNER]->ops->unregister_dmb
			(lo.dev[LO_OWNER], &dmb), -ENOENT);
}

static void lo_unregister_all(struct dibs_dmb *dmb, unsigned int nr)
{
	while (nr--) {
		lo_unregister(&dmb[nr]);
		if (!(nr % 1024))
			cond_resched();
	}
}

static void lo_exhaustion(struct kunit *test)
{
	unsigned long need = 65536 + 65536 / 2;
	struct dibs_dmb *dmb, extra;
	unsigned int i;
	int rc = 0;

	if (IS_ENABLED(CONFIG_KASAN))
		kunit_skip(test, "needs a kernel without KASAN to end soon");
	if (si_mem_available() < (long)need)
		kunit_skip(test, "needs %lu MiB of free memory",
			   need >> (20 - PAGE_SHIFT));
	dmb = kvcalloc(65536, sizeof(*dmb), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dmb);
	for (i = 0; i < 65536 && !rc; i++) {
		rc = lo_try_register(&dmb[i], 1, 0);
		if (!(i % 1024))
			cond_resched();
	}
	KUNIT_EXPECT_EQ_MSG(test, rc, 0, "at DMB %u", i);
	if (!rc) {
		KUNIT_EXPECT_EQ(test, lo_try_register(&extra, 1, 0), -ENOSPC);
		KUNIT_EXPECT_EQ(test, lo.dev[LO_OWNER]->ops->register_dmb
				(lo.dev[LO_OWNER], &extra), -ENOSPC);
		KUNIT_EXPECT_EQ(test, lo_move(&dmb[0], 0, "a", 1), 0);
		KUNIT_EXPECT_EQ(test, lo_move(&dmb[65535], 0, "z", 1), 0);
		KUNIT_EXPECT_EQ(test, *(u8 *)dmb[0].cpu_addr, 'a');
		KUNIT_EXPECT_EQ(test, *(u8 *)dmb[65535].cpu_addr, 'z');
		KUNIT_EXPECT_EQ(test, lo_unregister(&dmb[4711]), 0);
		KUNIT_EXPECT_EQ(test, lo_try_register(&dmb[4711], 1, 0), 0);
	}
	lo_unregister_all(dmb, rc ? i - 1 : i);
	kvfree(dmb);
}

/* --------------------------------- moves -------------------------------- */

/* Only bytes @offset to @offset + @size are @src, the rest was not touched */
static bool lo_exact(const struct dibs_dmb *dmb, u32 offset, const void *src,
		     u32 size)
{
	const void *addr = dmb->cpu_addr;
	u32 end = offset + size;

	return lo_all(addr, LO_GUARD, offset) &&
	       !memcmp(addr + offset, src, size) &&
	       lo_all(addr + end, LO_GUARD,
		      folio_size(virt_to_folio(addr)) - end);
}

/* To the end of the memory, not only of what was asked for */
static void lo_guard(const struct dibs_dmb *dmb)
{
	memset(dmb->cpu_addr, LO_GUARD,
	       folio_size(virt_to_folio(dmb->cpu_addr)));
}

static bool lo_untouched(const struct dibs_dmb *dmb)
{
	return lo_exact(dmb, 0, NULL, 0);
}

static void lo_move_exact(struct kunit *test)
{
	static const struct {
		u32 offset;
		u32 size;
	} at[] = {
		{ 0, 0 }, { 0, 1 }, { 1, 1 }, { 3, 44 }, { 0, LO_LEN },
		{ LO_LEN - 1, 1 }, { LO_LEN, 0 }, { 4095, 2 }, { 17, 4096 },
		/* copied word by word, and next to it */
		{ 0, 8 }, { 16, 56 }, { 8, 64 }, { 8, 72 }, { 4, 64 }, { 8, 60 },
	};
	u8 *src = vmalloc(LO_LEN), stack[44];
	struct dibs_dmb dmb;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, src);
	for (i = 0; i < LO_LEN; i++)
		src[i] = i % 151 + 1;
	memcpy(stack, src, sizeof(stack));
	lo_register(test, &dmb, LO_LEN);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		/* from where it is aligned, and from where it is not */
		u8 *from = src + (at[i].size < LO_LEN ? i % 3 : 0);

		lo_guard(&dmb);
		KUNIT_EXPECT_EQ(test, lo_move(&dmb, at[i].offset, from,
					      at[i].size), 0);
		KUNIT_EXPECT_TRUE_MSG(test, lo_exact(&dmb, at[i].offset, from,
						     at[i].size),
				      "offset %u size %u", at[i].offset,
				      at[i].size);
	}
	lo_guard(&dmb);
	KUNIT_EXPECT_EQ(test, lo_move(&dmb, 100, stack, sizeof(stack)), 0);
	KUNIT_EXPECT_TRUE(test, lo_exact(&dmb, 100, stack, sizeof(stack)));
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
	vfree(src);
}

static void lo_move_range(struct kunit *test)
{
	static const struct {
		u32 offset;
		u32 size;
	} at[] = {
		{ LO_LEN, 1 }, { LO_LEN - 1, 2 }, { 0, LO_LEN + 1 },
		{ LO_LEN + 1, 0 }, { U32_MAX, 0 }, { U32_MAX, 1 },
		{ U32_MAX, 2 }, { 1, U32_MAX }, { 2, U32_MAX },
		{ 0, U32_MAX }, { U32_MAX - 1, LO_LEN },
		{ U32_MAX, U32_MAX }, { 0x80000000, 0x80000000 },
	};
	struct dibs_dev *dibs = lo.dev[LO_SENDER];
	struct dibs_dmb dmb;
	u8 src[16] = {};
	unsigned int i;
	int rc;

	lo_register(test, &dmb, LO_LEN);
	lo_guard(&dmb);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		rc = dibs_move_data(dibs, dmb.dmb_tok, 1, true, at[i].offset,
				    src, at[i].size);
		KUNIT_EXPECT_EQ_MSG(test, rc, -ERANGE, "offset %u size %u",
				    at[i].offset, at[i].size);
		/* the driver, too, must not be fooled by a sum that wraps */
		rc = dibs->ops->move_data(dibs, dmb.dmb_tok, 1, true,
					  at[i].offset, src, at[i].size);
		KUNIT_EXPECT_EQ(test, rc, -ERANGE);
	}
	KUNIT_EXPECT_TRUE(test, lo_untouched(&dmb));
	KUNIT_EXPECT_EQ(test, lo_signal(&dmb, 0), 0);
	KUNIT_EXPECT_TRUE(test, lo_wait_for(lo_runs(LO_OWNER, &dmb)));
	KUNIT_EXPECT_EQ(test, lo_mask(LO_OWNER, &dmb), BIT(0));
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
}

static void lo_move_wrong_token(struct kunit *test)
{
	struct dibs_dev *dibs = lo.dev[LO_SENDER];
	struct dibs_dmb dmb;
	unsigned int i;

	lo_register(test, &dmb, LO_LEN);
	lo_guard(&dmb);
	for (i = 0; i < 64; i++)
		KUNIT_EXPECT_EQ(test, dibs_move_data(dibs, dmb.dmb_tok ^
						     BIT_ULL(i), 0, true, 0,
						     "x", 1), -ENOENT);
	KUNIT_EXPECT_EQ(test, dibs_move_data(dibs, 0, 0, true, 0, "x", 1),
			-ENOENT);
	KUNIT_EXPECT_EQ(test, dibs_move_data(dibs, dmb.idx, 0, true, 0, "x", 1),
			-ENOENT);
	KUNIT_EXPECT_TRUE(test, lo_untouched(&dmb));
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
	KUNIT_EXPECT_EQ(test, lo_move(&dmb, 0, "x", 1), -ENOENT);
	KUNIT_EXPECT_EQ(test, lo_runs(LO_OWNER, &dmb), 0);
}

/* Neither a third device nor the owner may write, token or not */
static void lo_move_foreign_gid(struct kunit *test)
{
	static const unsigned int who[] = { LO_OTHER, LO_OWNER };
	struct dibs_move_seg seg = { .data = "x", .size = 1 };
	struct dibs_dmb dmb;
	unsigned int i;

	lo_register(test, &dmb, LO_LEN);
	lo_guard(&dmb);
	for (i = 0; i < ARRAY_SIZE(who); i++) {
		struct dibs_dev *dibs = lo.dev[who[i]];

		KUNIT_EXPECT_EQ(test, dibs_move_data(dibs, dmb.dmb_tok, 0, true,
						     0, "x", 1), -EPERM);
		KUNIT_EXPECT_EQ(test, dibs_move_data_vec(dibs, dmb.dmb_tok, 0,
							 true, &seg, 1),
				-EPERM);
		KUNIT_EXPECT_EQ(test, dibs_move_data_atomic(dibs, dmb.dmb_tok,
							    0, true, 0, "x", 1),
				-EPERM);
		/* and is not told how long the DMB is */
		KUNIT_EXPECT_EQ(test, dibs_move_data(dibs, dmb.dmb_tok, 0, true,
						     LO_LEN, "x", 1), -EPERM);
	}
	KUNIT_EXPECT_TRUE(test, lo_untouched(&dmb));
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
	KUNIT_EXPECT_EQ(test, lo_runs(LO_OWNER, &dmb), 0);
	/* without the DMB its GID does not matter any more */
	KUNIT_EXPECT_EQ(test, dibs_move_data(lo.dev[LO_OTHER], dmb.dmb_tok, 0,
					     true, 0, "x", 1), -ENOENT);
}

static void lo_move_vec(struct kunit *test)
{
	struct dibs_move_seg segs[DIBS_MAX_SEGS + 1] = {
		{ .data = "data", .offset = 100, .size = 4 },
		{ .data = NULL, .offset = LO_LEN, .size = 0 },
		{ .data = "tape", .offset = 102, .size = 4 },
	};
	struct dibs_dev *dibs = lo.dev[LO_SENDER];
	struct dibs_dmb dmb;
	u64 tok;

	lo_register(test, &dmb, LO_LEN);
	tok = dmb.dmb_tok;
	lo_guard(&dmb);
	KUNIT_EXPECT_EQ(test, dibs_move_data_vec(dibs, tok, 2, true, segs, 0),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, dibs_move_data_vec(dibs, tok, 2, true, segs,
						 DIBS_MAX_SEGS + 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, dibs_move_data_vec(dibs, tok, 16, true, segs, 3),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, dibs_move_data_vec(dibs, tok ^ 1, 2, true, segs,
						 3), -ENOENT);
	/* nothing is copied if one segment is wrong, be it the last */
	segs[2].offset = LO_LEN - 3;
	KUNIT_EXPECT_EQ(test, dibs_move_data_vec(dibs, tok, 2, true, segs, 3),
			-ERANGE);
	segs[2].offset = U32_MAX;
	KUNIT_EXPECT_EQ(test, dibs->ops->move_data_vec(dibs, tok, 2, true, segs,
						       3), -ERANGE);
	KUNIT_EXPECT_TRUE(test, lo_untouched(&dmb));
	KUNIT_EXPECT_EQ(test, lo_runs(LO_OWNER, &dmb), 0);
	segs[2].offset = 102;
	KUNIT_EXPECT_EQ(test, dibs_move_data_vec(dibs, tok, 2, true, segs, 3),
			0);
	KUNIT_EXPECT_TRUE(test, lo_exact(&dmb, 100, "datape", 6));
	KUNIT_EXPECT_TRUE(test, lo_wait_for(lo_runs(LO_OWNER, &dmb)));
	KUNIT_EXPECT_EQ(test, lo_mask(LO_OWNER, &dmb), BIT(2));
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
}

static void lo_move_atomic(struct kunit *test)
{
	struct dibs_dev *dibs = lo.dev[LO_SENDER];
	struct dibs_dmb dmb;
	unsigned long flags;
	int rc[4];

	lo_register(test, &dmb, LO_LEN);
	lo_guard(&dmb);
	local_irq_save(flags);
	rc[0] = dibs_move_data_atomic(dibs, dmb.dmb_tok, 3, true, 7, "oops", 4);
	rc[1] = dibs_move_data_atomic(dibs, dmb.dmb_tok, 3, true, LO_LEN, "oops",
				      4);
	rc[2] = dibs_move_data_atomic(dibs, ~dmb.dmb_tok, 3, true, 0, "oops",
				      4);
	rc[3] = dibs_move_data_atomic(dibs, dmb.dmb_tok, 16, true, 0, "oops",
				      4);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, rc[0], 0);
	KUNIT_EXPECT_EQ(test, rc[1], -ERANGE);
	KUNIT_EXPECT_EQ(test, rc[2], -ENOENT);
	KUNIT_EXPECT_EQ(test, rc[3], -EINVAL);
	KUNIT_EXPECT_TRUE(test, lo_exact(&dmb, 7, "oops", 4));
	KUNIT_EXPECT_TRUE(test, lo_wait_for(lo_runs(LO_OWNER, &dmb)));
	KUNIT_EXPECT_EQ(test, lo_mask(LO_OWNER, &dmb), BIT(3));
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
}

/* -------------------------------- signals ------------------------------- */

static void lo_signal_each(struct kunit *test)
{
	struct dibs_dmb dmb, quiet;
	unsigned int i;

	lo_register(test, &dmb, LO_LEN);
	lo_register(test, &quiet, LO_LEN);
	for (i = 0; i < DIBS_MAX_SIGNALS; i++) {
		atomic_set(&lo.irq[LO_OWNER][dmb.idx].mask, 0);
		atomic_set(&lo.irq[LO_OWNER][dmb.idx].runs, 0);
		KUNIT_EXPECT_EQ(test, lo_signal(&dmb, i), 0);
		KUNIT_EXPECT_TRUE(test, lo_wait_for(lo_runs(LO_OWNER, &dmb)));
		KUNIT_EXPECT_EQ(test, lo_mask(LO_OWNER, &dmb), BIT(i));
		KUNIT_EXPECT_EQ(test, lo_runs(LO_OWNER, &dmb), 1);
	}
	KUNIT_EXPECT_EQ(test, lo_signal(&dmb, DIBS_MAX_SIGNALS), -EINVAL);
	KUNIT_EXPECT_EQ(test, lo_signal(&dmb, UINT_MAX), -EINVAL);
	KUNIT_EXPECT_EQ(test, lo_move(&dmb, 0, "x", 1), 0);
	msleep(20);
	KUNIT_EXPECT_EQ(test, lo_runs(LO_OWNER, &dmb), 1);
	KUNIT_EXPECT_EQ(test, lo_runs(LO_OWNER, &quiet), 0);
	KUNIT_EXPECT_EQ(test, lo_runs(LO_SENDER, &dmb), 0);
	KUNIT_EXPECT_EQ(test, lo_unregister(&quiet), 0);
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
}

/* While no bottom half can run the signals add up to one mask */
static void lo_signal_coalesce(struct kunit *test)
{
	struct dibs_dmb dmb;
	int rc = 0, runs;

	lo_register(test, &dmb, LO_LEN);
	local_bh_disable();
	rc |= lo_signal(&dmb, 0);
	rc |= lo_signal(&dmb, 3);
	rc |= lo_signal(&dmb, 3);
	rc |= lo_signal(&dmb, 15);
	/* not even begun: a signal must not run on the sender's stack */
	runs = lo_runs(LO_OWNER, &dmb);
	local_bh_enable();
	KUNIT_EXPECT_EQ(test, rc, 0);
	KUNIT_EXPECT_EQ(test, runs, 0);
	KUNIT_EXPECT_TRUE(test, lo_wait_for(lo_runs(LO_OWNER, &dmb)));
	msleep(20);
	KUNIT_EXPECT_EQ(test, lo_runs(LO_OWNER, &dmb), 1);
	KUNIT_EXPECT_EQ(test, lo_mask(LO_OWNER, &dmb), 0x8009);
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
}

static struct dibs_dmb lo_ping, lo_pong;
static atomic_t lo_errors;
static u8 lo_expected;

static void lo_last_byte_irq(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
	u8 *last = lo_ping.cpu_addr + lo_ping.dmb_len - 1;

	if (READ_ONCE(*last) != READ_ONCE(lo_expected))
		atomic_inc(&lo_errors);
}

/* Long moves, so that something comes in between if the signal is first */
static void lo_signal_after_data(struct kunit *test)
{
	const u32 len = 1 << 18;
	unsigned int i;
	u8 *data;

	data = kvmalloc(len, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, data);
	atomic_set(&lo_errors, 0);
	lo_register(test, &lo_ping, len);
	lo.on_irq = lo_last_byte_irq;
	for (i = 0; i < 200; i++) {
		memset(data, i + 1, len);
		WRITE_ONCE(lo_expected, i + 1);
		KUNIT_EXPECT_EQ(test, dibs_move_data(lo.dev[LO_SENDER],
						     lo_ping.dmb_tok, 4, true,
						     0, data, len), 0);
		if (!lo_wait_for(lo_runs(LO_OWNER, &lo_ping) > i))
			break;
	}
	KUNIT_EXPECT_EQ(test, i, 200);
	KUNIT_EXPECT_EQ(test, atomic_read(&lo_errors), 0);
	KUNIT_EXPECT_EQ(test, lo_unregister(&lo_ping), 0);
	kvfree(data);
}

/* Each end counts up what it received and sends it back */
static void lo_echo_irq(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
	bool ping = dibs == lo.dev[LO_OWNER];
	const struct dibs_dmb *to = ping ? &lo_pong : &lo_ping;
	u32 val = *(u32 *)(ping ? lo_ping.cpu_addr : lo_pong.cpu_addr) + 1;

	if (val > 1000)
		return;
	if (dibs_move_data(dibs, to->dmb_tok, 1, true, 0, &val, sizeof(val)))
		atomic_inc(&lo_errors);
}

static void lo_echo(struct kunit *test)
{
	struct dibs_dev *dibs = lo.dev[LO_SENDER];
	u32 val = 1, *last;

	atomic_set(&lo_errors, 0);
	lo_register(test, &lo_ping, 4);
	lo_pong = (struct dibs_dmb) {
		.dmb_len = 4, .rgid = lo.dev[LO_OWNER]->gid,
	};
	KUNIT_ASSERT_EQ(test, dibs_register_dmb(dibs, &lo_pong, &lo_client), 0);
	lo.on_irq = lo_echo_irq;
	KUNIT_EXPECT_EQ(test, dibs_move_data(dibs, lo_ping.dmb_tok, 1, true, 0,
					     &val, sizeof(val)), 0);
	last = lo_pong.cpu_addr;
	KUNIT_EXPECT_TRUE(test, lo_wait_for(READ_ONCE(*last) == 1000));
	KUNIT_EXPECT_EQ(test, atomic_read(&lo_errors), 0);
	KUNIT_EXPECT_EQ(test, dibs_unregister_dmb(dibs, &lo_pong, &lo_client),
			0);
	KUNIT_EXPECT_EQ(test, lo_unregister(&lo_ping), 0);
}

/* The same with one device and one DMB: the handler raises its own signal */
static void lo_echo_self_irq(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
	u32 val = *(u32 *)lo_ping.cpu_addr + 1;

	if (val > 1000)
		return;
	if (dibs_move_data(dibs, lo_ping.dmb_tok, 1, true, 0, &val,
			   sizeof(val)))
		atomic_inc(&lo_errors);
}

static void lo_echo_self(struct kunit *test)
{
	struct dibs_dev *dibs = lo.dev[LO_OWNER];
	u32 val = 1, *last;

	atomic_set(&lo_errors, 0);
	lo_ping = (struct dibs_dmb) { .dmb_len = 4, .rgid = dibs->gid };
	KUNIT_ASSERT_EQ(test, dibs_register_dmb(dibs, &lo_ping, &lo_client), 0);
	lo.on_irq = lo_echo_self_irq;
	KUNIT_EXPECT_EQ(test, dibs_move_data(dibs, lo_ping.dmb_tok, 1, true, 0,
					     &val, sizeof(val)), 0);
	last = lo_ping.cpu_addr;
	KUNIT_EXPECT_TRUE(test, lo_wait_for(READ_ONCE(*last) == 1000));
	KUNIT_EXPECT_EQ(test, atomic_read(&lo_errors), 0);
	KUNIT_EXPECT_EQ(test, lo_unregister(&lo_ping), 0);
}

/* ------------------------------- attaching ------------------------------ */

static void lo_attach_errors(struct kunit *test)
{
	struct dibs_rdmb rdmb = {};
	struct dibs_dmb dmb;

	lo_register(test, &dmb, LO_LEN);
	rdmb.dmb_tok = dmb.dmb_tok;
	KUNIT_EXPECT_EQ(test, dibs_attach_dmb(lo.dev[LO_OTHER], &rdmb,
					      &lo_client), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, dibs_detach_dmb(lo.dev[LO_OTHER], dmb.dmb_tok,
					      &lo_client), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, dibs_attach_dmb(lo.dev[LO_OWNER], &rdmb,
					      &lo_client), -EPERM);
	rdmb.dmb_tok ^= 1;
	KUNIT_EXPECT_EQ(test, dibs_attach_dmb(lo.dev[LO_SENDER], &rdmb,
					      &lo_client), -ENOENT);
	KUNIT_EXPECT_NULL(test, rdmb.cpu_addr);
	KUNIT_EXPECT_EQ(test, lo_detach(&dmb, &lo_client), -ENOENT);
	KUNIT_EXPECT_EQ(test, lo_attach(&rdmb, &dmb, &lo_client), 0);
	KUNIT_EXPECT_EQ(test, lo_attach(&rdmb, &dmb, &lo_client), -EEXIST);
	KUNIT_EXPECT_EQ(test, lo_detach(&dmb, &lo_client2), -ENOENT);
	KUNIT_EXPECT_EQ(test, dibs_detach_dmb(lo.dev[LO_OWNER], dmb.dmb_tok,
					      &lo_client), -ENOENT);
	/* the driver asks for the GID here, too */
	KUNIT_EXPECT_EQ(test, lo.dev[LO_OWNER]->ops->detach_dmb
			(lo.dev[LO_OWNER], dmb.dmb_tok), -ENOENT);
	KUNIT_EXPECT_EQ(test, lo_detach(&dmb, &lo_client), 0);
	KUNIT_EXPECT_EQ(test, lo_detach(&dmb, &lo_client), -ENOENT);
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
	KUNIT_EXPECT_EQ(test, lo_attach(&rdmb, &dmb, &lo_client), -ENOENT);
}

static void lo_attach_store(struct kunit *test)
{
	struct dibs_rdmb rdmb;
	struct dibs_dmb dmb;

	lo_register(test, &dmb, LO_LEN);
	lo_guard(&dmb);
	KUNIT_ASSERT_EQ(test, lo_attach(&rdmb, &dmb, &lo_client), 0);
	KUNIT_EXPECT_EQ(test, rdmb.dmb_len, dmb.dmb_len);
	memcpy(rdmb.cpu_addr + LO_LEN - 5, "store", 5);
	KUNIT_EXPECT_TRUE(test, lo_exact(&dmb, LO_LEN - 5, "store", 5));
	/* moves go on working */
	KUNIT_EXPECT_EQ(test, lo_move(&dmb, LO_LEN - 5, "m", 1), 0);
	KUNIT_EXPECT_TRUE(test, lo_exact(&dmb, LO_LEN - 5, "mtore", 5));
	KUNIT_EXPECT_EQ(test, lo_detach(&dmb, &lo_client), 0);
	KUNIT_EXPECT_TRUE(test, lo_exact(&dmb, LO_LEN - 5, "mtore", 5));
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
	/* detached before: nobody has to be told */
	msleep(20);
	KUNIT_EXPECT_EQ(test, lo_events(lo.dev[LO_SENDER], DIBS_BUF_EVENT,
					DIBS_BUF_UNREGISTERED,
					&lo.dev[LO_OWNER]->gid, NULL), 0);
}

static void lo_unregister_attached(struct kunit *test)
{
	struct dibs_dev *owner = lo.dev[LO_OWNER];
	struct dibs_rdmb rdmb, rdmb2;
	struct dibs_event event = {};
	struct dibs_dmb dmb, next;
	struct folio *folio;

	KUNIT_ASSERT_EQ(test, lo_try_register(&dmb, LO_LEN, 5), 0);
	lo_guard(&dmb);
	folio = virt_to_folio(dmb.cpu_addr);
	KUNIT_ASSERT_EQ(test, lo_attach(&rdmb, &dmb, &lo_client), 0);
	KUNIT_ASSERT_EQ(test, lo_attach(&rdmb2, &dmb, &lo_client2), 0);
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);

	/* for the owner all is over, for the sender the memory stays */
	KUNIT_EXPECT_TRUE(test, lo_all(rdmb.cpu_addr, 0, folio_size(folio)));
	KUNIT_EXPECT_EQ(test, lo_move(&dmb, 0, "x", 1), -ENOENT);
	KUNIT_EXPECT_EQ(test, lo_signal(&dmb, 0), -ENOENT);
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), -ENOENT);
	KUNIT_EXPECT_TRUE(test, lo_all(rdmb.cpu_addr, 0, folio_size(folio)));
	KUNIT_EXPECT_TRUE(test, lo_wait_for(lo_events(lo.dev[LO_SENDER],
						      DIBS_BUF_EVENT,
						      DIBS_BUF_UNREGISTERED,
						      &owner->gid, &event)));
	KUNIT_EXPECT_EQ(test, event.buffer_tok, dmb.dmb_tok);
	KUNIT_EXPECT_EQ(test, lo_try_register(&next, LO_LEN, 5), 0);
	KUNIT_EXPECT_PTR_NE(test, next.cpu_addr, rdmb.cpu_addr);

	/* the last one to detach frees it, which a reference makes visible */
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_get(folio);
	KUNIT_EXPECT_EQ(test, lo_detach(&dmb, &lo_client), 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
	KUNIT_EXPECT_EQ(test, lo_attach(&rdmb, &dmb, &lo_client), -ENOENT);
	KUNIT_EXPECT_EQ(test, lo_detach(&dmb, &lo_client2), 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, lo_unregister(&next), 0);
}

/* Pages with a user besides are what was delivered, for example to a pipe */
static void lo_unregister_page_in_use(struct kunit *test)
{
	struct dibs_rdmb rdmb;
	struct dibs_dmb dmb;
	struct folio *folio;

	lo_register(test, &dmb, LO_LEN);
	lo_guard(&dmb);
	folio = virt_to_folio(dmb.cpu_addr);
	folio_get(folio);
	KUNIT_ASSERT_EQ(test, lo_attach(&rdmb, &dmb, &lo_client), 0);
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
	KUNIT_EXPECT_EQ(test, lo_detach(&dmb, &lo_client), 0);
	KUNIT_EXPECT_TRUE(test, lo_untouched(&dmb));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_put(folio);
}

/* What is left of a DMB must not know the device that it was on */
static void lo_detach_outlives_owner(struct kunit *test)
{
	struct dibs_dev *sender = lo.dev[LO_SENDER];
	uuid_t owner = lo.dev[LO_OWNER]->gid;
	struct dibs_dmb dmb, reaped;
	struct dibs_rdmb rdmb;

	lo_register(test, &dmb, LO_LEN);
	lo_register(test, &reaped, LO_LEN);
	KUNIT_ASSERT_EQ(test, lo_attach(&rdmb, &dmb, &lo_client), 0);
	KUNIT_ASSERT_EQ(test, lo_attach(&rdmb, &reaped, &lo_client), 0);
	lo_guard(&reaped);
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
	lo_destroy(LO_OWNER);
	KUNIT_EXPECT_EQ(test, lo_create(LO_OWNER), 0);
	KUNIT_EXPECT_EQ(test, lo_signal(&dmb, 0), -ENOENT);
	KUNIT_EXPECT_EQ(test, lo_signal(&reaped, 0), -ENOENT);
	KUNIT_EXPECT_TRUE(test, lo_all(rdmb.cpu_addr, 0, LO_LEN));
	KUNIT_EXPECT_EQ(test, lo_detach(&dmb, &lo_client), 0);
	KUNIT_EXPECT_EQ(test, lo_detach(&reaped, &lo_client), 0);
	KUNIT_EXPECT_TRUE(test, lo_wait_for(lo_events(sender, DIBS_BUF_EVENT,
						      DIBS_BUF_UNREGISTERED,
						      &owner, NULL) == 2));
}

/* -------------------------------- events -------------------------------- */

static void lo_signal_event(struct kunit *test)
{
	struct dibs_dev *from = lo.dev[LO_SENDER], *to = lo.dev[LO_OTHER];
	struct dibs_event event = {};
	uuid_t gid = to->gid;

	KUNIT_EXPECT_EQ(test, dibs_signal_event(from, &gid, 1, 0x1234,
						0x123456789abcdef0), 0);
	KUNIT_EXPECT_TRUE(test, lo_wait_for(lo_events(to, DIBS_SW_EVENT, 0x1234,
						      &from->gid, &event)));
	KUNIT_EXPECT_EQ(test, event.data, 0x123456789abcdef0);
	KUNIT_EXPECT_EQ(test, event.buffer_tok, 0);
	KUNIT_EXPECT_NE(test, event.time, 0);
	KUNIT_EXPECT_EQ(test, lo_events(from, DIBS_SW_EVENT, 0x1234,
					&from->gid, NULL), 0);
	KUNIT_EXPECT_EQ(test, lo_events(lo.dev[LO_OWNER], DIBS_SW_EVENT, 0x1234,
					&from->gid, NULL), 0);
	/* with itself */
	KUNIT_EXPECT_EQ(test, dibs_signal_event(from, &from->gid, 0, 5, 0), 0);
	KUNIT_EXPECT_TRUE(test, lo_wait_for(lo_events(from, DIBS_SW_EVENT, 5,
						      &from->gid, NULL)));
	lo_destroy(LO_OTHER);
	KUNIT_EXPECT_EQ(test, dibs_signal_event(from, &gid, 1, 1, 0),
			-ENETUNREACH);
	KUNIT_EXPECT_EQ(test, dibs_signal_event(from, &uuid_null, 1, 1, 0),
			-ENETUNREACH);
}

static void lo_dev_events(struct kunit *test)
{
	struct dibs_dev *dibs = lo.dev[LO_OWNER];
	uuid_t gid = lo.dev[LO_OTHER]->gid;
	unsigned int i;

	/* as they were created by lo_init() */
	for (i = 1; i < LO_NR_DEVS; i++) {
		KUNIT_EXPECT_TRUE(test, lo_wait_for
				  (lo_events(dibs, DIBS_DEV_EVENT,
					     DIBS_DEV_ENABLED,
					     &lo.dev[i]->gid, NULL) == 1));
		KUNIT_EXPECT_TRUE(test, lo_wait_for
				  (lo_events(lo.dev[i], DIBS_DEV_EVENT,
					     DIBS_DEV_ENABLED, &dibs->gid,
					     NULL) == 1));
	}
	KUNIT_EXPECT_EQ(test, lo_events(dibs, DIBS_DEV_EVENT, DIBS_DEV_ENABLED,
					&dibs->gid, NULL), 0);
	KUNIT_EXPECT_EQ(test, lo_events(dibs, DIBS_DEV_EVENT,
					DIBS_DEV_DISABLED, &gid, NULL), 0);
	lo_destroy(LO_OTHER);
	KUNIT_EXPECT_TRUE(test, lo_wait_for
			  (lo_events(dibs, DIBS_DEV_EVENT, DIBS_DEV_DISABLED,
				     &gid, NULL) == 1));
	KUNIT_EXPECT_TRUE(test, lo_wait_for
			  (lo_events(lo.dev[LO_SENDER], DIBS_DEV_EVENT,
				     DIBS_DEV_DISABLED, &gid, NULL) == 1));
}

/* ------------------------- removal and races ---------------------------- */

/* What a client leaves behind goes with the device, on either end */
static void lo_destroy_reaps(struct kunit *test)
{
	struct dibs_rdmb rdmb, theirs;
	struct dibs_dmb dmb, left;
	struct folio *folio;

	lo_register(test, &dmb, LO_LEN);
	folio = virt_to_folio(dmb.cpu_addr);
	folio_get(folio);
	KUNIT_ASSERT_EQ(test, lo_attach(&rdmb, &dmb, &lo_client), 0);
	left = (struct dibs_dmb) { .dmb_len = 1, .rgid = lo.dev[LO_OWNER]->gid };
	KUNIT_ASSERT_EQ(test, dibs_register_dmb(lo.dev[LO_SENDER], &left,
						&lo_client), 0);
	theirs = (struct dibs_rdmb) { .dmb_tok = left.dmb_tok };
	KUNIT_ASSERT_EQ(test, dibs_attach_dmb(lo.dev[LO_OWNER], &theirs,
					      &lo_client), 0);
	lo_destroy(LO_SENDER);
	KUNIT_EXPECT_EQ(test, dibs_move_data(lo.dev[LO_OWNER], left.dmb_tok, 0,
					     true, 0, "x", 1), -ENOENT);
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
	/* the attachment went with the sender */
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, dibs_detach_dmb(lo.dev[LO_OWNER], left.dmb_tok,
					      &lo_client), 0);
}

struct lo_mover {
	struct task_struct *task;
	struct dibs_dev *dibs;
	const u64 *tok;
	u32 size;
	u8 *data;
	unsigned int moves;
	unsigned int refused;
	int bad;
};

/* Moves to whatever DMB it is told of, until it is told to stop */
static int lo_mover(void *arg)
{
	struct lo_mover *m = arg;
	int rc;

	while (!kthread_should_stop()) {
		rc = dibs_move_data(m->dibs, READ_ONCE(*m->tok), 1, true, 0,
				    m->data, m->size);
		if (!rc)
			WRITE_ONCE(m->moves, m->moves + 1);
		else if (rc == -ENOENT || rc == -ENODEV)
			m->refused++;
		else
			m->bad = rc;
		cond_resched();
	}
	return 0;
}

static int lo_mover_start(struct lo_mover *m, struct dibs_dev *dibs,
			  const u64 *tok, u32 size)
{
	*m = (struct lo_mover) { .dibs = dibs, .tok = tok, .size = size };
	m->data = kvmalloc(size, GFP_KERNEL);
	if (!m->data)
		return -ENOMEM;
	memset(m->data, 0x11, size);
	m->task = kthread_run(lo_mover, m, "lo-kunit-mover");
	return PTR_ERR_OR_ZERO(m->task);
}

static void lo_mover_stop(struct lo_mover *m)
{
	if (!IS_ERR_OR_NULL(m->task))
		kthread_stop(m->task);
	m->task = NULL;
	kvfree(m->data);
	m->data = NULL;
}

/* Nothing is written once unregister has returned */
static void lo_race_unregister(struct kunit *test)
{
	struct lo_mover mover[2];
	unsigned int i, before;
	struct folio *folio;
	struct dibs_dmb dmb;
	u64 tok = 0;

	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, lo_mover_start(&mover[i],
						     lo.dev[LO_SENDER], &tok,
						     65536), 0);
	for (i = 0; i < 200; i++) {
		if (lo_try_register(&dmb, 65536, 0))
			break;
		folio = virt_to_folio(dmb.cpu_addr);
		folio_get(folio);
		before = READ_ONCE(mover[0].moves) + READ_ONCE(mover[1].moves);
		WRITE_ONCE(tok, dmb.dmb_tok);
		if (!lo_wait_for(READ_ONCE(mover[0].moves) +
				 READ_ONCE(mover[1].moves) > before))
			break;
		udelay(get_random_u32_below(200));
		KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
		memset(dmb.cpu_addr, LO_GUARD, 65536);
		usleep_range(200, 400);
		KUNIT_EXPECT_TRUE(test, lo_all(dmb.cpu_addr, LO_GUARD, 65536));
		folio_put(folio);
	}
	KUNIT_EXPECT_EQ(test, i, 200);
	for (i = 0; i < 2; i++) {
		lo_mover_stop(&mover[i]);
		KUNIT_EXPECT_EQ(test, mover[i].bad, 0);
		KUNIT_EXPECT_GT(test, mover[i].refused, 0);
	}
}

static int lo_counter(void *arg)
{
	u64 words[8];
	u64 n;

	for (n = 1; !kthread_should_stop(); n++) {
		memset64(words, n, ARRAY_SIZE(words));
		lo_move(arg, 0, words, sizeof(words));
		cond_resched();
	}
	return 0;
}

/* Who has seen a word of a small move has seen those in front of it */
static void lo_words_in_order(struct kunit *test)
{
	unsigned long end = jiffies + HZ / 2;
	unsigned int early = 0, seen = 0;
	struct task_struct *task;
	struct dibs_dmb dmb;
	u64 last, first;
	const u64 *words;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs a second CPU that looks");
	lo_register(test, &dmb, 4096);
	words = dmb.cpu_addr;
	task = kthread_run(lo_counter, &dmb, "lo-kunit-counter");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (; time_before(jiffies, end); cond_resched()) {
		last = READ_ONCE(words[7]);
		smp_rmb(); /* the last word before the first */
		first = READ_ONCE(words[0]);
		early += first < last;
		seen += first != last;
	}
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, early, 0);
	KUNIT_EXPECT_GT(test, seen, 0);
	KUNIT_EXPECT_EQ(test, lo_unregister(&dmb), 0);
}

struct lo_held {
	struct timer_list timer;
	struct dibs_dmb dmb;
	bool fired;
	bool done;
	bool early;
	int rc;
};

static int lo_held_unregister(void *arg)
{
	struct lo_held *h = arg;
	int rc;

	while (!READ_ONCE(h->fired) && !kthread_should_stop())
		cond_resched();
	rc = lo_unregister(&h->dmb);
	WRITE_ONCE(h->done, true);
	while (!kthread_should_stop())
		usleep_range(100, 1000);
	return rc;
}

/* In the middle of a move, which does not go on before this returns */
static void lo_held_timer(struct timer_list *t)
{
	struct lo_held *h = from_timer(h, t, timer);
	unsigned int i;

	WRITE_ONCE(h->fired, true);
	for (i = 0; i < 100000 && !h->rc; i++) {
		h->rc = lo_move(&h->dmb, 0, "x", 1);
		udelay(5);
	}
	for (i = 0; i < 4000 && !h->early; i++) {
		h->early = READ_ONCE(h->done);
		udelay(5);
	}
}

/*
 * While a move is under way, unregister does not return, but no other move
 * begins: senders that take turns must not hold it up.
 */
static void lo_unregister_held(struct kunit *test)
{
	const u32 len = 1 << 20;
	struct lo_held h = {};
	struct task_struct *task;
	unsigned int cpu;
	u8 *data;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	data = kunit_kzalloc(test, len, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, data);
	lo_register(test, &h.dmb, len);
	timer_setup_on_stack(&h.timer, lo_held_timer, 0);
	task = kthread_create(lo_held_unregister, &h, "lo-kunit-unreg");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	cpu = get_cpu();
	kthread_bind(task, cpumask_any_but(cpu_online_mask, cpu));
	wake_up_process(task);
	h.timer.expires = jiffies + 2;
	add_timer_on(&h.timer, cpu);
	while (!READ_ONCE(h.fired))
		if (lo_move(&h.dmb, 0, data, len))
			break;
	put_cpu();
	timer_delete_sync(&h.timer);
	destroy_timer_on_stack(&h.timer);
	KUNIT_EXPECT_TRUE(test, lo_wait_for(READ_ONCE(h.done)));
	KUNIT_EXPECT_EQ(test, kthread_stop(task), 0);
	KUNIT_EXPECT_TRUE(test, h.fired);
	KUNIT_EXPECT_EQ(test, h.rc, -ENOENT);
	KUNIT_EXPECT_FALSE(test, h.early);
}

struct lo_attacher {
	struct task_struct *task;
	struct dibs_client *client;
	const struct dibs_dmb *dmb;
	unsigned int slot;
	unsigned int attached;
	int bad;
};

/* One attachment after the other; what is stored is there when it is read */
static int lo_attacher(void *arg)
{
	struct lo_attacher *a = arg;
	struct dibs_rdmb rdmb;
	u32 *word;
	int rc;

	while (!kthread_should_stop()) {
		cond_resched();
		rc = lo_attach(&rdmb, a->dmb, a->client);
		if (rc) {
			if (rc != -ENOENT)
				a->bad = rc;
			continue;
		}
		WRITE_ONCE(a->attached, a->attached + 1);
		word = rdmb.cpu_addr + a->slot * sizeof(*word);
		WRITE_ONCE(*word, a->slot);
		if (READ_ONCE(*word) != a->slot && READ_ONCE(*word))
			a->bad = -EIO;
		rc = dibs_detach_dmb(lo.dev[LO_SENDER], rdmb.dmb_tok,
				     a->client);
		if (rc)
			a->bad = rc;
	}
	return 0;
}

/* Unregister, attach, the last detach: whoever comes last frees, only once */
static void lo_race_attach(struct kunit *test)
{
	static struct dibs_client *const clients[] = { &lo_client,
						       &lo_client2 };
	struct lo_attacher at[2] = {};
	static struct dibs_dmb dmb;
	struct folio *folio;
	unsigned int i, j;

	dmb.dmb_tok = 0;
	for (j = 0; j < 2; j++) {
		at[j].client = clients[j];
		at[j].dmb = &dmb;
		at[j].slot = j + 1;
		at[j].task = kthread_run(lo_attacher, &at[j], "lo-kunit-att");
	}
	for (i = 0; i < 500; i++) {
		struct dibs_dmb new;
		unsigned int before;

		if (lo_try_register(&new, 64, 0))
			break;
		folio = virt_to_folio(new.cpu_addr);
		folio_get(folio);
		before = READ_ONCE(at[0].attached) + READ_ONCE(at[1].attached);
		WRITE_ONCE(dmb.dmb_tok, new.dmb_tok);
		if (!lo_wait_for(READ_ONCE(at[0].attached) +
				 READ_ONCE(at[1].attached) > before))
			break;
		udelay(get_random_u32_below(50));
		KUNIT_EXPECT_EQ(test, lo_unregister(&new), 0);
		/* all of its references are given back, and no more */
		if (!lo_wait_for(folio_ref_count(folio) == 1))
			break;
		folio_put(folio);
	}
	KUNIT_EXPECT_EQ(test, i, 500);
	for (j = 0; j < 2; j++) {
		if (!IS_ERR(at[j].task))
			kthread_stop(at[j].task);
		KUNIT_EXPECT_EQ(test, at[j].bad, 0);
	}
}

static struct lo_mover lo_leaving;

/* A client stops using a device before it lets it go */
static void lo_traffic_del(struct dibs_dev *dibs)
{
	if (dibs == lo_leaving.dibs)
		lo_mover_stop(&lo_leaving);
}

/* A device goes while it is written to and writes itself */
static void lo_destroy_traffic(struct kunit *test)
{
	struct lo_mover mover;
	struct dibs_dmb to;
	u64 tok = 0, back;
	unsigned int i;

	to = (struct dibs_dmb) { .dmb_len = 65536 };
	lo.on_del = lo_traffic_del;
	KUNIT_ASSERT_EQ(test, lo_mover_start(&mover, lo.dev[LO_SENDER], &tok,
					     65536), 0);
	for (i = 0; i < 20; i++) {
		struct dibs_dmb dmb, there = to;
		unsigned int before;

		if (lo_try_register(&dmb, 65536, 0))
			break;
		there.rgid = lo.dev[LO_OWNER]->gid;
		if (dibs_register_dmb(lo.dev[LO_SENDER], &there, &lo_client))
			break;
		back = there.dmb_tok;
		if (lo_mover_start(&lo_leaving, lo.dev[LO_OWNER], &back, 65536))
			break;
		before = READ_ONCE(mover.moves);
		WRITE_ONCE(tok, dmb.dmb_tok);
		KUNIT_EXPECT_TRUE(test, lo_wait_for(READ_ONCE(mover.moves) >
						    before &&
						    lo_leaving.moves));
		lo_destroy(LO_OWNER);
		KUNIT_EXPECT_EQ(test, lo_leaving.bad, 0);
		KUNIT_EXPECT_EQ(test, lo_move(&dmb, 0, "x", 1), -ENOENT);
		KUNIT_EXPECT_EQ(test, dibs_unregister_dmb(lo.dev[LO_SENDER],
							  &there, &lo_client),
				0);
		if (lo_create(LO_OWNER))
			break;
	}
	lo_mover_stop(&mover);
	KUNIT_EXPECT_EQ(test, i, 20);
	KUNIT_EXPECT_EQ(test, mover.bad, 0);
}

static struct kunit_case lo_cases[] = {
	KUNIT_CASE(lo_identity),
	KUNIT_CASE(lo_name_taken),
	KUNIT_CASE(lo_query_gid),
	KUNIT_CASE(lo_no_vlan),
	KUNIT_CASE(lo_register_errors),
	KUNIT_CASE(lo_register_memory),
	KUNIT_CASE(lo_register_index),
	KUNIT_CASE(lo_register_tokens),
	KUNIT_CASE(lo_unregister_errors),
	KUNIT_CASE(lo_move_exact),
	KUNIT_CASE(lo_move_range),
	KUNIT_CASE(lo_move_wrong_token),
	KUNIT_CASE(lo_move_foreign_gid),
	KUNIT_CASE(lo_move_vec),
	KUNIT_CASE(lo_move_atomic),
	KUNIT_CASE(lo_signal_each),
	KUNIT_CASE(lo_signal_coalesce),
	KUNIT_CASE(lo_signal_after_data),
	KUNIT_CASE(lo_echo),
	KUNIT_CASE(lo_echo_self),
	KUNIT_CASE(lo_attach_errors),
	KUNIT_CASE(lo_attach_store),
	KUNIT_CASE(lo_unregister_attached),
	KUNIT_CASE(lo_unregister_page_in_use),
	KUNIT_CASE(lo_detach_outlives_owner),
	KUNIT_CASE(lo_signal_event),
	KUNIT_CASE(lo_dev_events),
	KUNIT_CASE(lo_destroy_reaps),
	KUNIT_CASE(lo_race_unregister),
	KUNIT_CASE(lo_unregister_held),
	KUNIT_CASE(lo_words_in_order),
	KUNIT_CASE(lo_race_attach),
	KUNIT_CASE(lo_destroy_traffic),
	KUNIT_CASE_SLOW(lo_exhaustion),
	{}
};

static struct kunit_suite lo_suite = {
	.name		= "dibs_loopback",
	.init		= lo_init,
	.exit		= lo_exit,
	.test_cases	= lo_cases,
};

kunit_test_suite(lo_suite);

MODULE_DESCRIPTION("KUnit tests of the dibs loopback device");
MODULE_LICENSE("GPL");
