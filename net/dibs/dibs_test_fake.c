// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing
 *
 * A device and clients that do what a test tells them.
 */
#include <linux/kthread.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/vmalloc.h>

#include "dibs_test_fake.h"

/* Static, because a callback learns nothing but the device */
struct fake_dev fake_devs[FAKE_DEVS];
struct fake_client fake_clients[FAKE_CLIENTS];

static struct fake_dev *to_fake(struct dibs_dev *dibs)
{
	return dibs->drv_priv;
}

/* Other devices may be there as well, and are none of the tests' business */
static bool is_fake(struct dibs_dev *dibs)
{
	int i;

	for (i = 0; i < FAKE_DEVS; i++)
		if (dibs->ops == &fake_devs[i].ops)
			return true;
	return false;
}

static int fake_call(struct dibs_dev *dibs, enum fake_op op)
{
	struct fake_dev *fake = to_fake(dibs);

	atomic_inc(&fake->calls[op]);
	return fake->rc[op];
}

int fake_calls(struct fake_dev *fake, enum fake_op op)
{
	return atomic_read(&fake->calls[op]);
}

u64 fake_token(u32 idx)
{
	return 0xd1b5000000000000ULL + idx;
}

static u16 fake_get_fabric_id(struct dibs_dev *dibs)
{
	return FAKE_FABRIC;
}

static int fake_max_dmbs(struct dibs_dev *dibs)
{
	return to_fake(dibs)->max_dmbs;
}

static int fake_query(struct dibs_dev *dibs, const uuid_t *rgid, u32 vid_valid,
		      u32 vid)
{
	return fake_call(dibs, FAKE_QUERY);
}

/* Index 0 cannot be asked for and is left out, as on a real device */
static int fake_take_idx(struct fake_dev *fake, u32 want)
{
	u32 idx;

	if (want)
		return want < FAKE_DMBS && !test_and_set_bit(want, fake->used) ?
		       want : -EBUSY;
	for (idx = 1; idx < FAKE_DMBS; idx++)
		if (!test_and_set_bit(idx, fake->used))
			return idx;
	return -ENOSPC;
}

static int fake_register_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	int idx, rc = fake_call(dibs, FAKE_REGISTER);
	struct fake_dev *fake = to_fake(dibs);

	if (rc) {
		/* what a failing driver leaves there must not be seen */
		dmb->dmb_tok = ~0ULL;
		return rc;
	}
	idx = fake_take_idx(fake, dmb->idx);
	if (idx < 0)
		return idx;
	dmb->cpu_addr = fake->mapped_mem ? vzalloc(dmb->dmb_len) :
					   kzalloc(dmb->dmb_len, GFP_KERNEL);
	if (!dmb->cpu_addr) {
		clear_bit(idx, fake->used);
		return -ENOMEM;
	}
	fake->mem[idx] = dmb->cpu_addr;
	fake->len[idx] = dmb->dmb_len;
	fake->dmb[idx] = dmb;
	dmb->idx = fake->force_idx ?: idx;
	dmb->dmb_tok = fake_token(idx);
	if (fake->early_signal) {
		dibs_dmb_signal(dmb, BIT(0));
		wait_for_completion(&FAKE_CLIENT->entered);
	}
	return 0;
}

static bool fake_handler_runs(u32 idx)
{
	int i;

	for (i = 0; i < FAKE_CLIENTS; i++)
		if (atomic_read(&fake_clients[i].running[idx]))
			return true;
	return false;
}

static int fake_unregister_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	int rc = fake_call(dibs, FAKE_UNREGISTER);
	struct fake_dev *fake = to_fake(dibs);
	u32 idx = dmb->dmb_tok - fake_token(0);

	if (idx >= FAKE_DMBS || !test_bit(idx, fake->used))
		return -ENOENT;
	if (dmb->idx < FAKE_DMBS && fake_handler_runs(dmb->idx))
		fake->freed_in_handler = true;
	kvfree(fake->mem[idx]);
	fake->mem[idx] = NULL;
	clear_bit(idx, fake->used);
	return rc;
}

static int fake_copy(struct fake_dev *fake, u64 dmb_tok, unsigned int offset,
		     const void *data, unsigned int size)
{
	u64 idx = dmb_tok - fake_token(0);

	if (idx >= FAKE_DMBS || !test_bit(idx, fake->used))
		return -ENOENT;
	if (offset + (u64)size > fake->len[idx])
		return -ERANGE;
	memcpy(fake->mem[idx] + offset, data, size);
	return 0;
}

static void fake_signal(struct fake_dev *fake, u64 dmb_tok, unsigned int idx)
{
	dibs_dev_signal(fake->dibs, dmb_tok - fake_token(0), BIT(idx));
}

static int fake_do_move(struct fake_dev *fake, u64 dmb_tok, unsigned int idx,
			bool sf, unsigned int offset, const void *data,
			unsigned int size)
{
	int rc;

	fake->last.tok = dmb_tok;
	fake->last.idx = idx;
	fake->last.sf = sf;
	fake->last.offset = offset;
	fake->last.data = data;
	fake->last.size = size;
	rc = fake_copy(fake, dmb_tok, offset, data, size);
	if (!rc && sf)
		fake_signal(fake, dmb_tok, idx);
	return rc;
}

static int fake_move_data(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
			  bool sf, unsigned int offset, const void *data,
			  unsigned int size)
{
	struct fake_dev *fake = to_fake(dibs);
	int rc = fake_call(dibs, FAKE_MOVE);

	if (fake->block_move) {
		complete(&fake->entered);
		while (!try_wait_for_completion(&fake->go_on))
			cpu_relax();	/* a move must not sleep */
	}
	return rc ?: fake_do_move(fake, dmb_tok, idx, sf, offset, data, size);
}

static int fake_move_data_vec(struct dibs_dev *dibs, u64 dmb_tok,
			      unsigned int idx, bool sf,
			      const struct dibs_move_seg *segs,
			      unsigned int nsegs)
{
	struct fake_dev *fake = to_fake(dibs);

	fake->last.segs = segs;
	fake->last.nsegs = nsegs;
	return fake_call(dibs, FAKE_MOVE_VEC);
}

static int fake_move_data_atomic(struct dibs_dev *dibs, u64 dmb_tok,
				 unsigned int idx, bool sf,
				 unsigned int offset, const void *data,
				 unsigned int size)
{
	int rc = fake_call(dibs, FAKE_MOVE_ATOMIC);

	return rc ?: fake_do_move(to_fake(dibs), dmb_tok, idx, sf, offset,
				  data, size);
}

static int fake_add_vlan_id(struct dibs_dev *dibs, u64 vlan_id)
{
	return fake_call(dibs, FAKE_ADD_VLAN);
}

static int fake_del_vlan_id(struct dibs_dev *dibs, u64 vlan_id)
{
	return fake_call(dibs, FAKE_DEL_VLAN);
}

static int fake_signal_event(struct dibs_dev *dibs, const uuid_t *rgid,
			     u32 trigger_irq, u32 event_code, u64 info)
{
	return fake_call(dibs, FAKE_SIGNAL_EVENT);
}

static int fake_support_mmapped_rdmb(struct dibs_dev *dibs)
{
	return to_fake(dibs)->mappable;
}

static int fake_attach_dmb(struct dibs_dev *dibs, struct dibs_rdmb *rdmb)
{
	int rc = fake_call(dibs, FAKE_ATTACH);

	rdmb->cpu_addr = to_fake(dibs);
	rdmb->dmb_len = PAGE_SIZE;
	return rc;
}

static int fake_detach_dmb(struct dibs_dev *dibs, u64 dmb_tok)
{
	return fake_call(dibs, FAKE_DETACH);
}

static const struct dibs_dev_ops fake_ops = {
	.get_fabric_id = fake_get_fabric_id,
	.max_dmbs = fake_max_dmbs,
	.query_remote_gid = fake_query,
	.register_dmb = fake_register_dmb,
	.unregister_dmb = fake_unregister_dmb,
	.move_data = fake_move_data,
	.move_data_vec = fake_move_data_vec,
	.move_data_atomic = fake_move_data_atomic,
	.add_vlan_id = fake_add_vlan_id,
	.del_vlan_id = fake_del_vlan_id,
	.signal_event = fake_signal_event,
	.support_mmapped_rdmb = fake_support_mmapped_rdmb,
	.attach_dmb = fake_attach_dmb,
	.detach_dmb = fake_detach_dmb,
};

static int fake_add_dev(struct fake_client *fc, struct dibs_dev *dibs)
{
	if (!is_fake(dibs))
		return 0;
	atomic_inc(&fc->adds);
	if (fc->on_add)
		fc->on_add(fc, dibs);
	return fc->add_rc;
}

static void fake_del_dev(struct fake_client *fc, struct dibs_dev *dibs)
{
	if (!is_fake(dibs))
		return;
	atomic_inc(&fc->dels);
	if (fc->on_del)
		fc->on_del(fc, dibs);
}

static void fake_count_context(struct fake_client *fc)
{
	if (in_hardirq())
		atomic_inc(&fc->in_hardirq);
	else if (in_serving_softirq())
		atomic_inc(&fc->in_softirq);
	else if (in_task())
		atomic_inc(&fc->in_process);
}

static void fake_handle_irq(struct fake_client *fc, struct dibs_dev *dibs,
			    unsigned int idx, u16 mask)
{
	if (!is_fake(dibs))
		return;
	fake_count_context(fc);
	if (atomic_inc_return(&fc->running[idx]) > 1)
		atomic_inc(&fc->overlaps);
	atomic_inc(&fc->irqs);
	atomic_add(hweight16(mask), &fc->signals);
	atomic_or(mask, &fc->mask);
	if (fc->on_irq)
		fc->on_irq(fc, dibs, idx, mask);
	atomic_dec(&fc->running[idx]);
}

static void fake_handle_event(struct fake_client *fc, struct dibs_dev *dibs,
			      const struct dibs_event *event)
{
	unsigned int nr;

	if (!is_fake(dibs))
		return;
	fake_count_context(fc);
	nr = atomic_read(&fc->events);
	if (nr < FAKE_EVENTS)
		fc->event[nr] = *event;
	atomic_inc(&fc->events);
	if (fc->on_event)
		fc->on_event(fc, dibs);
}

#define FAKE_CLIENT_OPS(_n)						\
static struct fake_client * const fake_client_##_n = &fake_clients[_n];	\
									\
static int fake_add_dev_##_n(struct dibs_dev *dibs)			\
{									\
	return fake_add_dev(fake_client_##_n, dibs);			\
}									\
									\
static void fake_del_dev_##_n(struct dibs_dev *dibs)			\
{									\
	fake_del_dev(fake_client_##_n, dibs);				\
}									\
									\
static void fake_handle_irq_##_n(struct dibs_dev *dibs, unsigned int idx, \
				 u16 mask)				\
{									\
	fake_handle_irq(fake_client_##_n, dibs, idx, mask);		\
}									\
									\
static void fake_handle_event_##_n(struct dibs_dev *dibs,		\
				   const struct dibs_event *event)	\
{									\
	fake_handle_event(fake_client_##_n, dibs, event);		\
}									\
									\
static const struct dibs_client_ops fake_client_ops_##_n = {		\
	.add_dev = fake_add_dev_##_n,					\
	.del_dev = fake_del_dev_##_n,					\
	.handle_irq = fake_handle_irq_##_n,				\
	.handle_event = fake_handle_event_##_n,				\
}

FAKE_CLIENT_OPS(0);
FAKE_CLIENT_OPS(1);
FAKE_CLIENT_OPS(2);

static const struct dibs_client_ops *fake_client_ops[FAKE_CLIENTS] = {
	&fake_client_ops_0, &fake_client_ops_1, &fake_client_ops_2,
};

static void fake_client_init(int i)
{
	static const char * const names[FAKE_CLIENTS] = {
		"test0", "test1", "test2"
	};
	struct fake_client *fc = &fake_clients[i];

	memset(fc, 0, sizeof(*fc));
	fc->ops = *fake_client_ops[i];
	fc->client.ops = &fc->ops;
	fc->client.name = names[i];
	init_completion(&fc->entered);
	init_completion(&fc->go_on);
}

int fake_init(struct kunit *test)
{
	int i;

	for (i = 0; i < FAKE_DEVS; i++) {
		memset(&fake_devs[i], 0, sizeof(fake_devs[i]));
		fake_devs[i].ops = fake_ops;
		fake_devs[i].max_dmbs = FAKE_DMBS;
		fake_devs[i].mappable = 1;
		init_completion(&fake_devs[i].entered);
		init_completion(&fake_devs[i].go_on);
	}
	for (i = 0; i < FAKE_CLIENTS; i++)
		fake_client_init(i);
	return 0;
}

/* Also after a test that gave up half way */
void fake_exit(struct kunit *test)
{
	int i;

	for (i = 0; i < FAKE_CLIENTS; i++)
		dibs_unregister_client(&fake_clients[i].client);
	for (i = 0; i < FAKE_DEVS; i++) {
		fake_dev_del(&fake_devs[i]);
		fake_dev_put(&fake_devs[i]);
		KUNIT_EXPECT_TRUE(test, bitmap_empty(fake_devs[i].used,
						     FAKE_DMBS));
		KUNIT_EXPECT_FALSE(test, fake_devs[i].freed_in_handler);
	}
}

int fake_dev_alloc(struct fake_dev *fake, const char *name)
{
	fake->dibs = dibs_dev_alloc();
	if (!fake->dibs)
		return -ENOMEM;
	fake->dibs->ops = &fake->ops;
	fake->dibs->drv_priv = fake;
	uuid_gen(&fake->dibs->gid);
	return name ? dev_set_name(&fake->dibs->dev, "%s", name) : 0;
}

int fake_dev_add(struct fake_dev *fake)
{
	int rc = dibs_dev_add(fake->dibs);

	if (!rc)
		fake->added = true;
	return rc;
}

void fake_dev_del(struct fake_dev *fake)
{
	if (!fake->added)
		return;
	fake->added = false;
	dibs_dev_del(fake->dibs);
}

void fake_dev_put(struct fake_dev *fake)
{
	if (fake->dibs)
		put_device(&fake->dibs->dev);
	fake->dibs = NULL;
}

/* FAKE_DEV, known to FAKE_CLIENT with these flags and to FAKE_OTHER */
void fake_start(struct kunit *test, unsigned int flags)
{
	KUNIT_ASSERT_EQ(test, 0, fake_dev_alloc(FAKE_DEV, "fake0"));
	KUNIT_ASSERT_EQ(test, 0, fake_dev_add(FAKE_DEV));
	FAKE_CLIENT->client.flags = flags;
	KUNIT_ASSERT_EQ(test, 0, dibs_register_client(&FAKE_CLIENT->client));
	KUNIT_ASSERT_EQ(test, 0, dibs_register_client(&FAKE_OTHER->client));
	KUNIT_ASSERT_EQ(test, 1, atomic_read(&FAKE_CLIENT->adds));
}

void fake_event(struct fake_dev *fake, u64 data)
{
	struct dibs_event event = { .type = DIBS_SW_EVENT, .data = data };

	dibs_dev_event(fake->dibs, &event);
}

/* Threads stay until they are stopped, so that none outlives the module */
int fake_thread_end(void)
{
	while (!kthread_should_stop())
		usleep_range(100, 1000);
	return 0;
}

static const struct attribute *fake_find_attr(struct device *dev,
					      const char *group,
					      const char *name)
{
	const struct attribute_group **grp = dev->class->dev_groups;
	struct attribute **attr;

	for (; grp && *grp; grp++) {
		if (strcmp((*grp)->name ?: "", group))
			continue;
		for (attr = (*grp)->attrs; *attr; attr++)
			if (!strcmp((*attr)->name, name))
				return *attr;
	}
	return NULL;
}

/* What a read of the attribute in sysfs returns */
const char *fake_attr(struct kunit *test, struct fake_dev *fake,
		      const char *group, const char *name)
{
	struct device *dev = &fake->dibs->dev;
	const struct attribute *attr = fake_find_attr(dev, group, name);
	struct device_attribute *dattr;
	char *page;

	KUNIT_ASSERT_NOT_NULL_MSG(test, attr, "%s", name);
	page = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, page);
	dattr = container_of((struct attribute *)attr, struct device_attribute,
			     attr);
	dattr->show(dev, dattr, page);
	return page;
}

long fake_stat(struct kunit *test, struct fake_dev *fake, const char *name)
{
	long val = -1;

	KUNIT_EXPECT_EQ(test, 0, kstrtol(fake_attr(test, fake, "statistics",
						   name), 10, &val));
	return val;
}

struct dibs_dmb fake_dmb(u32 idx)
{
	return (struct dibs_dmb){ .dmb_len = PAGE_SIZE, .idx = idx };
}

int fake_register(struct fake_client *fc, struct dibs_dmb *dmb)
{
	return dibs_register_dmb(FAKE_DEV->dibs, dmb, &fc->client);
}

int fake_unregister(struct fake_client *fc, struct dibs_dmb *dmb)
{
	return dibs_unregister_dmb(FAKE_DEV->dibs, dmb, &fc->client);
}
