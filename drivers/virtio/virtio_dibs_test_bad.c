// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing between the guests of a host
 *
 * KUnit tests of the virtio-dibs driver with a device that does not keep to
 * Documentation/networking/virtio-dibs.rst. Numbers D-<n> are those of the
 * statements there.
 */
#include <kunit/test.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/string.h>
#include <linux/virtio_config.h>

#include "virtio_dibs.h"
#include "virtio_dibs_fake.h"

/* less where everything takes ten times as long */
#define SLOW		IS_ENABLED(CONFIG_KASAN)

static unsigned int batches = 1;
module_param(batches, uint, 0444);
MODULE_PARM_DESC(batches, "how often devices do 2000 things at random (with KASAN: 400)");

static struct dibs_client *me = &vfake_client.client;

static int get_dmb(struct fake *fake, struct dibs_dev *dibs,
		   struct dibs_dmb *dmb, u32 len)
{
	*dmb = (struct dibs_dmb) { .dmb_len = len, .rgid = vfake_gid(fake) };
	return dibs_register_dmb(dibs, dmb, me);
}

static int query(struct fake *fake, struct dibs_dev *dibs)
{
	uuid_t gid = vfake_gid(fake);

	return dibs_query_remote_gid(dibs, &gid, 0, 0);
}

/* The device has come back as often as that, and does all that it should */
static void expect_works(struct kunit *test, struct fake *fake,
			 unsigned int added)
{
	struct virtio_dibs_event ev = {
		.type = cpu_to_le32(VIRTIO_DIBS_E_SW),
	};
	unsigned int events;
	struct dibs_dev *dibs;
	struct dibs_dmb dmb;

	if (!vfake_wait(vfake_client.added >= added && vfake_client.dibs)) {
		KUNIT_FAIL(test, "device did not come back");
		return;
	}
	KUNIT_EXPECT_EQ(test, added, vfake_client.added);
	dibs = vfake_dibs(test, fake);
	KUNIT_ASSERT_EQ(test, 0, get_dmb(fake, dibs, &dmb, SZ_4K));
	atomic_set(&vfake_client.mask[dmb.idx], 0);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 9, true, 1,
						"works", 5));
	KUNIT_EXPECT_MEMEQ(test, dmb.cpu_addr + 1, "works", 5);
	FAKE_EXPECT(test, atomic_read(&vfake_client.mask[dmb.idx]) == BIT(9));
	events = vfake_client.nr_events;
	FAKE_EXPECT(test, vfake_event(fake, &ev, sizeof(ev)));
	FAKE_EXPECT(test, vfake_client.nr_events > events);
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_dmb(dibs, &dmb, me));
}

/* ---------------------- features and configuration ----------------------- */

/* virtio-dibs.rst D-1 */
static void test_no_feature(struct kunit *test)
{
	struct fake *fake = vfake_new(test);
	u64 features = fake->features;

	fake->features = features & ~BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	KUNIT_EXPECT_FALSE(test, vfake_plug(fake));
	vfake_unplug(fake);
	fake->features = features & ~BIT_ULL(VIRTIO_F_VERSION_1);
	KUNIT_EXPECT_FALSE(test, vfake_plug(fake));
	vfake_unplug(fake);
	fake->features = features;
	fake->refuse = true;
	KUNIT_EXPECT_FALSE(test, vfake_plug(fake));
	vfake_unplug(fake);
	fake->refuse = false;
	KUNIT_EXPECT_TRUE(test, vfake_plug(fake));
	expect_works(test, fake, 1);
}

struct config_case {
	const char *name;
	unsigned int offset;
	unsigned int len;
	u8 value;
};

/* D-4: not to be used. With offsets as in the document */
static const struct config_case bad_configs[] = {
	{ "nil_gid", 0, 16, 0 },
	{ "fabric_id_0000", 16, 2, 0 },
	{ "fabric_id_8080", 16, 2, 0x80 },
	{ "fabric_id_ffff", 16, 2, 0xff },
	{ "no_move_queues", 18, 2, 0 },
	{ "no_dmbs", 20, 4, 0 },
	{ "no_dmb_len", 24, 4, 0 },
	{ "no_dmb_ranges", 28, 2, 0 },
};

/* D-4: odd, but allowed */
static const struct config_case odd_configs[] = {
	{ "gid", 0, 16, 0xff },
	{ "move_queues", 18, 2, 0xff },
	{ "dmbs", 20, 4, 0xff },
	{ "dmb_len_7f7f7f7f", 24, 4, 0x7f },
	{ "dmb_len_ffffffff", 24, 4, 0xff },
	{ "dmb_ranges", 28, 2, 0xff },
	{ "reserved", 30, 2, 0xff },
};

KUNIT_ARRAY_PARAM_DESC(bad_config, bad_configs, name);
KUNIT_ARRAY_PARAM_DESC(odd_config, odd_configs, name);

static void test_bad_config(struct kunit *test)
{
	const struct config_case *c = test->param_value;
	struct fake *fake = vfake_new(test);

	memset((void *)&fake->config + c->offset, c->value, c->len);
	KUNIT_EXPECT_FALSE(test, vfake_plug(fake));
	KUNIT_EXPECT_EQ(test, 0, vfake_client.added);
	KUNIT_EXPECT_EQ(test, 0, fake->nvqs);
}

static void test_odd_config(struct kunit *test)
{
	const struct config_case *c = test->param_value;
	struct fake *fake = vfake_new(test);
	struct dibs_dev *dibs;
	struct dibs_dmb dmb;

	memset((void *)&fake->config + c->offset, c->value, c->len);
	KUNIT_ASSERT_TRUE(test, vfake_plug(fake));
	dibs = vfake_dibs(test, fake);
	KUNIT_EXPECT_LE(test, dibs_max_dmbs(dibs), DIBS_MAX_DMBS);
	KUNIT_EXPECT_EQ(test, -EINVAL, get_dmb(fake, dibs, &dmb, U32_MAX));
	KUNIT_EXPECT_EQ(test, -EINVAL, get_dmb(fake, dibs, &dmb, SZ_1G));
	KUNIT_EXPECT_LE(test, fake->nvqs,
			VIRTIO_DIBS_VQ_MOVE + num_possible_cpus() + 1);
	expect_works(test, fake, 1);
}

/* D-4: less than a page cannot be registered, and that is all */
static void test_tiny_dmbs(struct kunit *test)
{
	struct fake *fake = vfake_new(test);
	struct dibs_dev *dibs;
	struct dibs_dmb dmb;

	fake->config.max_dmb_len = cpu_to_le32(4095);
	fake->config.max_dmbs = cpu_to_le32(1);
	KUNIT_ASSERT_TRUE(test, vfake_plug(fake));
	dibs = vfake_dibs(test, fake);
	KUNIT_EXPECT_EQ(test, -EINVAL, get_dmb(fake, dibs, &dmb, 1));
	KUNIT_EXPECT_EQ(test, 0, query(fake, dibs));
}

/* D-3, D-10: it never comes to rest */
static void test_restless_config(struct kunit *test)
{
	struct fake *fake = vfake_new(test);

	fake->restless = UINT_MAX;
	KUNIT_EXPECT_FALSE(test, vfake_plug(fake));
	KUNIT_EXPECT_EQ(test, 0, vfake_client.added);
}

static void test_small_rings(struct kunit *test)
{
	struct fake *fake = vfake_new(test);

	fake->ring_size = 8;
	KUNIT_EXPECT_FALSE(test, vfake_plug(fake));
	vfake_unplug(fake);
	fake->ring_size = 16;
	KUNIT_EXPECT_TRUE(test, vfake_plug(fake));
	expect_works(test, fake, 1);
}

/* ------------------------------ used rings ------------------------------- */

static const u32 ctrl_lens[] = { 0, 1, 15, 17, SZ_4K, U32_MAX };
static const u32 move_lens[] = { 0, 3, 5, SZ_4K, U32_MAX };

static void len_desc(const u32 *len, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u", *len);
}

KUNIT_ARRAY_PARAM(ctrl_len, ctrl_lens, len_desc);
KUNIT_ARRAY_PARAM(move_len, move_lens, len_desc);

/* D-12, D-8, and D-9: what may be known to the device waits for the reset */
static void test_ctrl_len(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;

	fake->ctrl_len = *(const u32 *)test->param_value;
	KUNIT_EXPECT_EQ(test, -EIO, get_dmb(fake, dibs, &dmb, SZ_4K));
	fake->ctrl_len = sizeof(struct virtio_dibs_ctrl_resp);
	expect_works(test, fake, 2);
	KUNIT_EXPECT_EQ(test, 1, vfake_client.deleted);
}

static void test_move_len(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;

	KUNIT_ASSERT_EQ(test, 0, get_dmb(fake, dibs, &dmb, SZ_4K));
	fake->move_len = *(const u32 *)test->param_value;
	KUNIT_EXPECT_EQ(test, -EIO, dibs_move_data(dibs, dmb.dmb_tok, 0, true,
						   0, "x", 1));
	KUNIT_EXPECT_NE(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0, true, 0,
						"x", 1));
	fake->move_len = sizeof(struct virtio_dibs_move_resp);
	expect_works(test, fake, 2);
}

struct id_case {
	const char *name;
	unsigned int queue;
	enum fake_id id;
	int rc;
};

/* An answer too many is noticed with it, or with the next request */
static const struct id_case id_cases[] = {
	{ "ctrl_huge", VIRTIO_DIBS_VQ_CTRL, FAKE_ID_HUGE, -EIO },
	{ "ctrl_range", VIRTIO_DIBS_VQ_CTRL, FAKE_ID_RANGE, -EIO },
	{ "ctrl_unknown", VIRTIO_DIBS_VQ_CTRL, FAKE_ID_UNKNOWN, -EIO },
	{ "ctrl_twice", VIRTIO_DIBS_VQ_CTRL, FAKE_ID_TWICE, 0 },
	{ "move_huge", VIRTIO_DIBS_VQ_MOVE, FAKE_ID_HUGE, -EIO },
	{ "move_range", VIRTIO_DIBS_VQ_MOVE, FAKE_ID_RANGE, -EIO },
	{ "move_unknown", VIRTIO_DIBS_VQ_MOVE, FAKE_ID_UNKNOWN, -EIO },
	{ "move_twice", VIRTIO_DIBS_VQ_MOVE, FAKE_ID_TWICE, 0 },
	{ "event_huge", VIRTIO_DIBS_VQ_EVENT, FAKE_ID_HUGE },
	{ "event_range", VIRTIO_DIBS_VQ_EVENT, FAKE_ID_RANGE },
	{ "signal_huge", VIRTIO_DIBS_VQ_SIGNAL, FAKE_ID_HUGE },
	{ "signal_range", VIRTIO_DIBS_VQ_SIGNAL, FAKE_ID_RANGE },
};

KUNIT_ARRAY_PARAM_DESC(id, id_cases, name);

/* D-8: the state of a queue is unknown. No need to wait for an answer then */
static void test_used_id(struct kunit *test)
{
	const struct id_case *c = test->param_value;
	struct virtio_dibs_event ev = {};
	struct fake *fake = vfake_new(test);
	u64 begin = ktime_get_ns();
	struct dibs_dev *dibs;
	struct dibs_dmb dmb;

	fake->config.num_move_queues = cpu_to_le16(1);
	vdibs_move_timeout = 10000;
	KUNIT_ASSERT_TRUE(test, vfake_plug(fake));
	dibs = vfake_dibs(test, fake);
	KUNIT_ASSERT_EQ(test, 0, get_dmb(fake, dibs, &dmb, SZ_4K));
	fake->bad_queue = c->queue;
	fake->bad_id = c->id;
	if (c->queue == VIRTIO_DIBS_VQ_CTRL) {
		KUNIT_EXPECT_EQ(test, c->rc, query(fake, dibs));
		KUNIT_EXPECT_NE(test, 0, query(fake, dibs));
	} else if (c->queue == VIRTIO_DIBS_VQ_EVENT) {
		KUNIT_EXPECT_TRUE(test, vfake_event(fake, &ev, sizeof(ev)));
	} else {
		KUNIT_EXPECT_EQ(test, c->rc,
				dibs_move_data(dibs, dmb.dmb_tok, 0, true, 0,
					       "x", 1));
	}
	if (c->queue == VIRTIO_DIBS_VQ_MOVE)
		KUNIT_EXPECT_NE(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0,
							true, 0, "x", 1));
	KUNIT_EXPECT_LE(test, ktime_get_ns() - begin, 5 * NSEC_PER_SEC);
	expect_works(test, fake, 2);
}

/* D-15 */
static void test_zero_token(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;

	fake->zero_token = true;
	KUNIT_EXPECT_EQ(test, -EIO, get_dmb(fake, dibs, &dmb, SZ_4K));
	fake->zero_token = false;
	expect_works(test, fake, 2);
}

/* ------------------------- steps in its life ----------------------------- */

struct step_case {
	const char *name;
	enum fake_step step;
};

static const struct step_case reset_cases[] = {
	{ "features", FAKE_FEATURES },
	{ "config", FAKE_CONFIG },
	{ "find_vqs", FAKE_FIND_VQS },
	{ "driver_ok", FAKE_DRIVER_OK },
	{ "request", FAKE_CTRL },
	{ "move", FAKE_MOVE },
	{ "signal", FAKE_SIGNAL },
	{ "event", FAKE_EVENT },
};

static const struct step_case irq_cases[] = {
	{ "find_vqs", FAKE_FIND_VQS },
	{ "driver_ok", FAKE_DRIVER_OK },
	{ "reset", FAKE_RESET },
	{ "del_vqs", FAKE_DEL_VQS },
};

KUNIT_ARRAY_PARAM_DESC(reset, reset_cases, name);
KUNIT_ARRAY_PARAM_DESC(irq, irq_cases, name);

/* D-8: NEEDS_RESET at each step; D-5: and no more than that is believed */
static void test_needs_reset(struct kunit *test)
{
	const struct step_case *c = test->param_value;
	struct virtio_dibs_signal s = {};
	struct virtio_dibs_event ev = {};
	struct fake *fake = vfake_new(test);
	struct dibs_dev *dibs;
	struct dibs_dmb dmb;

	fake->needs_reset_at = c->step;
	KUNIT_ASSERT_TRUE(test, vfake_plug(fake));
	if (c->step > FAKE_DRIVER_OK) {
		dibs = vfake_dibs(test, fake);
		/* what it finds at the first look is not what this is about */
		flush_delayed_work(&((struct vdibs *)dibs->drv_priv)->watch);
		if (!get_dmb(fake, dibs, &dmb, SZ_4K))
			dibs_move_data(dibs, dmb.dmb_tok, 0, true, 0, "x", 1);
		vfake_signal(fake, &s, sizeof(s));
		vfake_event(fake, &ev, sizeof(ev));
	}
	if (!vfake_wait(vfake_client.deleted == 1))
		KUNIT_FAIL(test, "not reset");
	expect_works(test, fake, 2);
}

/* D-7: interrupts at the wrong time */
static void test_irq(struct kunit *test)
{
	const struct step_case *c = test->param_value;
	struct fake *fake = vfake_new(test);

	fake->irq_at = c->step;
	KUNIT_ASSERT_TRUE(test, vfake_plug(fake));
	expect_works(test, fake, 1);
	vfake_unplug(fake);
}

/* D-7: as if there had been something to answer */
static void test_irq_garbage(struct kunit *test)
{
	const struct step_case *c = test->param_value;
	struct fake *fake = vfake_new(test);
	unsigned int added;

	fake->irq_at = c->step;
	fake->garbage = U16_MAX;
	KUNIT_EXPECT_EQ(test, c->step >= FAKE_RESET, vfake_plug(fake));
	vfake_unplug(fake);
	fake->irq_at = FAKE_NEVER;
	KUNIT_ASSERT_TRUE(test, vfake_plug(fake));
	added = vfake_client.added;
	vfake_interrupt(fake);
	expect_works(test, fake, added + 1);
}

static struct dibs_dev *plug_answered(struct kunit *test, struct fake *fake,
				      unsigned int queue)
{
	fake->irq_at = FAKE_FIND_VQS;
	fake->garbage = BIT(queue);
	KUNIT_ASSERT_TRUE(test, vfake_plug(fake));
	fake->irq_at = FAKE_NEVER;
	return vfake_dibs(test, fake);
}

/* D-7: what was there before the first request or move is no answer to it */
static void test_early_answer(struct kunit *test)
{
	struct fake *fake = vfake_new(test);
	struct dibs_dev *dibs;
	struct dibs_dmb dmb;

	fake->config.num_move_queues = cpu_to_le16(1);
	dibs = plug_answered(test, fake, VIRTIO_DIBS_VQ_CTRL);
	KUNIT_EXPECT_EQ(test, -EIO, query(fake, dibs));
	expect_works(test, fake, 2);
	vfake_unplug(fake);
	dibs = plug_answered(test, fake, VIRTIO_DIBS_VQ_MOVE);
	KUNIT_ASSERT_EQ(test, 0, get_dmb(fake, dibs, &dmb, SZ_4K));
	KUNIT_EXPECT_EQ(test, -EIO, dibs_move_data(dibs, dmb.dmb_tok, 0, true,
						   0, "x", 1));
	expect_works(test, fake, 4);
}

/* D-5: a notification that nothing has changed, very often */
static void test_config_changed(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	unsigned int i;

	for (i = 0; i < 10000; i++)
		virtio_config_changed(&fake->vdev);
	expect_works(test, fake, 1);
	KUNIT_EXPECT_EQ(test, 0, vfake_client.deleted);
}

/* -------------------------------- silence -------------------------------- */

static struct page *silent_page;
static int silent_page_refs;

static void count_silent_refs(struct fake *fake)
{
	silent_page_refs = page_count(silent_page);
}

static unsigned int kept_dmbs;

static void count_kept(struct fake *fake)
{
	struct vdibs *vd = fake->vdev.priv;
	unsigned long idx;
	void *buf;

	kept_dmbs = 0;
	xa_for_each(&vd->dmbs, idx, buf)
		kept_dmbs++;
}

/*
 * D-9, D-10: a request that is not answered ends, and is answered when its
 * owner has given up. A DMB is kept until the device has been reset
 */
static void test_ctrl_silent(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	unsigned long begin = jiffies;
	struct dibs_dmb dmb, two;

	KUNIT_ASSERT_EQ(test, 0, get_dmb(fake, dibs, &two, SZ_4K));
	silent_page = virt_to_page(two.cpu_addr);
	get_page(silent_page);
	silent_page_refs = 0;
	fake->on_reset = count_silent_refs;
	vdibs_ctrl_timeout = 100;
	fake->ctrl_silent = true;
	fake->late = true;
	KUNIT_EXPECT_EQ(test, -EIO, get_dmb(fake, dibs, &dmb, SZ_4K));
	KUNIT_EXPECT_TRUE(test, time_before(jiffies, begin + 5 * HZ));
	vdibs_ctrl_timeout = 10000;
	expect_works(test, fake, 2);
	KUNIT_EXPECT_EQ(test, 2, silent_page_refs);
	KUNIT_EXPECT_EQ(test, 1, page_count(silent_page));
	fake->on_reset = NULL;
	put_page(silent_page);
}

/* D-9: that is true as well of a DMB whose owner was never told that it has it */
static void test_register_silent(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;

	kept_dmbs = UINT_MAX;
	fake->on_reset = count_kept;
	vdibs_ctrl_timeout = 100;
	fake->ctrl_silent = true;
	fake->late = true;
	KUNIT_EXPECT_EQ(test, -EIO, get_dmb(fake, dibs, &dmb, SZ_4K));
	vdibs_ctrl_timeout = 10000;
	FAKE_EXPECT(test, vfake_client.added == 2);
	fake->on_reset = NULL;
	KUNIT_EXPECT_EQ(test, 1, kept_dmbs);
	expect_works(test, fake, 2);
}

struct silent_query {
	struct fake *fake;
	struct dibs_dev *dibs;
	struct completion done;
};

static int silent_querier(void *data)
{
	struct silent_query *q = data;
	int rc = query(q->fake, q->dibs);

	complete(&q->done);
	while (!kthread_should_stop())
		usleep_range(100, 1000);
	return rc;
}

/* D-8: a request under way ends with the device, and not with its time */
static void test_needs_reset_silent(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct silent_query q = { .fake = fake };
	struct task_struct *task;

	q.dibs = vfake_dibs(test, fake);
	init_completion(&q.done);
	vdibs_ctrl_timeout = 60000;
	fake->ctrl_silent = true;
	task = kthread_run(silent_querier, &q, "vdibs-silent");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	FAKE_EXPECT(test, fake->vqs[VIRTIO_DIBS_VQ_CTRL].notified);
	vfake_set_needs_reset(fake);
	KUNIT_EXPECT_NE(test, 0, wait_for_completion_timeout(&q.done, 20 * HZ));
	fake->ctrl_silent = false;
	KUNIT_EXPECT_EQ(test, -EIO, kthread_stop(task));
	expect_works(test, fake, 2);
}

/* The removal is not held up by it either, and makes no more requests (D-8) */
static void test_remove_silent(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	unsigned long begin = jiffies;
	struct dibs_dmb dmb;
	unsigned int i;

	for (i = 0; i < 20; i++)
		KUNIT_ASSERT_EQ(test, 0, get_dmb(fake, dibs, &dmb, SZ_4K));
	vdibs_ctrl_timeout = 200;
	fake->ctrl_silent = true;
	fake->late = true;
	vfake_unplug(fake);
	KUNIT_EXPECT_TRUE(test, time_before(jiffies, begin + 5 * HZ));
	KUNIT_EXPECT_EQ(test, 1, vfake_client.deleted);
	KUNIT_EXPECT_EQ(test, 1, fake->waiting);
}

/* D-9, D-10: a move, called where nothing can sleep */
static void test_move_silent(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;
	u64 begin, end;
	int rc;

	KUNIT_ASSERT_EQ(test, 0, get_dmb(fake, dibs, &dmb, SZ_4K));
	vdibs_move_timeout = 100;
	fake->move_silent = true;
	fake->late = true;
	local_bh_disable();
	begin = ktime_get_ns();
	rc = dibs_move_data(dibs, dmb.dmb_tok, 0, true, 0, "x", 1);
	end = ktime_get_ns();
	local_bh_enable();
	KUNIT_EXPECT_EQ(test, -EIO, rc);
	KUNIT_EXPECT_GE(test, end - begin, 10 * NSEC_PER_MSEC);
	KUNIT_EXPECT_LE(test, end - begin, 3 * NSEC_PER_SEC);
	/* the others do not wait any more */
	begin = ktime_get_ns();
	KUNIT_EXPECT_NE(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0, true, 0,
						"x", 1));
	KUNIT_EXPECT_LE(test, ktime_get_ns() - begin, 90 * NSEC_PER_MSEC);
	vdibs_move_timeout = 5000;
	expect_works(test, fake, 2);
}

struct silent_move {
	struct dibs_dev *dibs;
	u64 token;
	struct completion *go;
};

static int silent_mover(void *data)
{
	struct silent_move *m = data;
	int rc;

	wait_for_completion(m->go);
	rc = dibs_move_data(m->dibs, m->token, 0, true, 0, "x", 1);
	while (!kthread_should_stop())
		usleep_range(100, 1000);
	return rc;
}

/* D-9: those who wait for the queue do not use what the device still has */
static void test_move_silent_many(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	DECLARE_COMPLETION_ONSTACK(go);
	struct silent_move m = { .dibs = vfake_dibs(test, fake), .go = &go };
	struct task_struct *tasks[4];
	struct dibs_dmb dmb;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, get_dmb(fake, m.dibs, &dmb, SZ_4K));
	m.token = dmb.dmb_tok;
	vdibs_move_timeout = 50;
	fake->move_silent = true;
	for (i = 0; i < ARRAY_SIZE(tasks); i++) {
		tasks[i] = kthread_run(silent_mover, &m, "vdibs-silent%u", i);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, tasks[i]);
	}
	complete_all(&go);
	FAKE_EXPECT(test, vfake_client.deleted == 1);
	fake->move_silent = false;
	for (i = 0; i < ARRAY_SIZE(tasks); i++)
		KUNIT_EXPECT_NE(test, 0, kthread_stop(tasks[i]));
	vdibs_move_timeout = 5000;
	expect_works(test, fake, 2);
	KUNIT_EXPECT_EQ(test, 1, fake->waiting);
}

struct silent_softirq {
	struct tasklet_struct tasklet;
	struct dibs_dev *dibs;
	u64 token;
	int rc;
};

static void silent_softirq(struct tasklet_struct *t)
{
	struct silent_softirq *s = from_tasklet(s, t, tasklet);

	s->rc = dibs_move_data(s->dibs, s->token, 0, true, 0, "x", 1);
}

/* The same, where it is done as soon as soft interrupts are enabled again */
static void test_move_silent_softirq(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct silent_softirq s = { .dibs = vfake_dibs(test, fake) };
	struct dibs_dmb dmb;
	int rc;

	KUNIT_ASSERT_EQ(test, 0, get_dmb(fake, s.dibs, &dmb, SZ_4K));
	s.token = dmb.dmb_tok;
	vdibs_move_timeout = 50;
	fake->move_silent = true;
	tasklet_setup(&s.tasklet, silent_softirq);
	/* should it begin before the move, then it is the move that waits */
	migrate_disable();
	tasklet_schedule(&s.tasklet);
	rc = dibs_move_data(s.dibs, dmb.dmb_tok, 0, true, 0, "x", 1);
	migrate_enable();
	tasklet_kill(&s.tasklet);
	KUNIT_EXPECT_NE(test, 0, rc);
	KUNIT_EXPECT_NE(test, 0, s.rc);
	FAKE_EXPECT(test, vfake_client.deleted == 1);
	fake->move_silent = false;
	vdibs_move_timeout = 5000;
	expect_works(test, fake, 2);
	KUNIT_EXPECT_EQ(test, 1, fake->waiting);
}

/* D-9: what a move refers to is kept until the device has been reset */
static void test_move_silent_direct(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;

	KUNIT_ASSERT_EQ(test, 0, get_dmb(fake, dibs, &dmb, SZ_64K));
	silent_page = alloc_pages(GFP_KERNEL | __GFP_COMP, get_order(SZ_64K));
	KUNIT_ASSERT_NOT_NULL(test, silent_page);
	silent_page_refs = 0;
	fake->on_reset = count_silent_refs;
	vdibs_move_timeout = 50;
	fake->move_silent = true;
	fake->late = true;
	KUNIT_EXPECT_EQ(test, -EIO,
			dibs_move_data(dibs, dmb.dmb_tok, 0, true, 0,
				       page_address(silent_page), SZ_64K));
	vdibs_move_timeout = 5000;
	expect_works(test, fake, 2);
	KUNIT_EXPECT_EQ(test, 2, silent_page_refs);
	KUNIT_EXPECT_EQ(test, 1, page_count(silent_page));
	fake->on_reset = NULL;
	__free_pages(silent_page, get_order(SZ_64K));
}

/* In a panic nothing is queued; the watch sees it when there is time again */
static void test_atomic_silent(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;

	KUNIT_ASSERT_EQ(test, 0, get_dmb(fake, dibs, &dmb, SZ_4K));
	vdibs_move_timeout = 20;
	fake->move_silent = true;
	fake->late = true;
	KUNIT_EXPECT_EQ(test, -EIO,
			dibs_move_data_atomic(dibs, dmb.dmb_tok, 0, true, 0,
					      "x", 1));
	KUNIT_EXPECT_NE(test, 0,
			dibs_move_data_atomic(dibs, dmb.dmb_tok, 0, true, 0,
					      "x", 1));
	vdibs_move_timeout = 5000;
	expect_works(test, fake, 2);
}

/* All reads are ones: it is not waited for, and used again if it comes back */
static void test_gone(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	unsigned int resets = fake->resets;

	fake->gone = true;
	FAKE_EXPECT(test, vfake_client.deleted == 1);
	msleep(1500);
	KUNIT_EXPECT_EQ(test, resets, fake->resets);
	fake->gone = false;
	expect_works(test, fake, 2);
}

/* ---------------------------- again and again ---------------------------- */

/* D-8: resets get rare */
static void test_backoff(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	unsigned long end = jiffies + 5 * HZ;
	unsigned int resets = fake->resets;

	while (time_before(jiffies, end)) {
		if (!(fake->status & VIRTIO_CONFIG_S_NEEDS_RESET) &&
		    fake->status & VIRTIO_CONFIG_S_DRIVER_OK)
			vfake_set_needs_reset(fake);
		msleep(20);
	}
	KUNIT_EXPECT_GE(test, fake->resets - resets, 2);
	KUNIT_EXPECT_LE(test, fake->resets - resets, 4);
}

/* A restart that fails is repeated */
static void test_restart_fails(struct kunit *test)
{
	struct fake *fake = vfake_start(test);

	fake->refuse = true;
	vfake_set_needs_reset(fake);
	FAKE_EXPECT(test, vfake_client.deleted == 1);
	FAKE_EXPECT(test, fake->resets >= 3);
	KUNIT_EXPECT_EQ(test, 1, vfake_client.added);
	fake->refuse = false;
	expect_works(test, fake, 2);
}

#define BURST		(20 * VDIBS_MAX_BUFS)

static unsigned int burst_left, burst_hardirq;

/* Instead of the driver's, with the lock of the queue: the next one is there */
static void burst_handle(struct vdibs *vd, const void *entry, u32 len)
{
	const struct virtio_dibs_signal s = {};

	burst_hardirq += !!in_hardirq();
	if (burst_left && --burst_left)
		vfake_signal(vfake_client.fake, &s, sizeof(s));
}

/* D-22: no end to what there is, but to what is handled in one interrupt */
static void expect_burst(struct kunit *test, struct fake *fake)
{
	struct fake_vq *q = &fake->vqs[VIRTIO_DIBS_VQ_SIGNAL];
	struct vdibs_inq *inq = &((struct vdibs *)
				  vfake_dibs(test, fake)->drv_priv)->signals;
	const struct virtio_dibs_signal s = {};
	unsigned int notified = q->notified;
	typeof(inq->handle) handle = inq->handle;

	burst_left = BURST;
	burst_hardirq = 0;
	WRITE_ONCE(inq->handle, burst_handle);
	KUNIT_EXPECT_TRUE(test, vfake_signal(fake, &s, sizeof(s)));
	FAKE_EXPECT(test, !READ_ONCE(burst_left));
	FAKE_EXPECT(test, q->notified - notified >= BURST / VDIBS_MAX_BUFS);
	KUNIT_EXPECT_LE(test, burst_hardirq, VDIBS_MAX_BUFS);
	WRITE_ONCE(inq->handle, handle);
}

static void test_burst(struct kunit *test)
{
	struct fake *fake = vfake_start(test);

	expect_burst(test, fake);
	expect_works(test, fake, 1);
}

/* What takes over was stopped, and then the device was not started for a while */
static void test_burst_again(struct kunit *test)
{
	struct fake *fake = vfake_start(test);

	fake->refuse = true;
	vfake_set_needs_reset(fake);
	FAKE_EXPECT(test, fake->resets >= 3);
	fake->refuse = false;
	FAKE_EXPECT(test, vfake_client.added == 2 && vfake_client.dibs);
	expect_burst(test, fake);
	expect_works(test, fake, 2);
}

#define FLOOD		(SLOW ? 10000 : 100000)

static int flood(void *data)
{
	struct virtio_dibs_signal s = { .mask = cpu_to_le16(1) };
	struct virtio_dibs_event ev = {
		.type = cpu_to_le32(VIRTIO_DIBS_E_SW),
	};
	struct fake *fake = data;
	unsigned int n = 0;

	while (n < 2 * FLOOD && !kthread_should_stop()) {
		if (vfake_event(fake, &ev, sizeof(ev)))
			n++;
		if (vfake_signal(fake, &s, sizeof(s)))
			n++;
		cond_resched();
	}
	while (!kthread_should_stop())
		msleep(20);
	return n;
}

/*
 * D-22: as many events and signals as it can, and all else goes on. What interrupts
 * on one CPU is not alone: the next one comes at any point of the handler.
 */
static void test_flood(struct kunit *test)
{
	const unsigned int cpus[] = {
		cpumask_first(cpu_online_mask), cpumask_last(cpu_online_mask),
	};
	struct task_struct *tasks[ARRAY_SIZE(cpus)];
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	unsigned int i, moves = 0, events;
	struct dibs_event last;
	struct dibs_dmb dmb;
	u64 begin, end;

	KUNIT_ASSERT_EQ(test, 0, get_dmb(fake, dibs, &dmb, SZ_4K));
	begin = ktime_get_ns();
	for (i = 0; i < ARRAY_SIZE(tasks); i++) {
		tasks[i] = kthread_run_on_cpu(flood, fake, cpus[i],
					      "vdibs-events/%u");
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, tasks[i]);
	}
	do {
		events = fake->vqs[VIRTIO_DIBS_VQ_EVENT].given;
		KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0,
							false, 0, "x", 1));
		moves++;
		usleep_range(100, 200);
		end = ktime_get_ns();
	} while (events < FLOOD * 9 / 10 && end - begin < 30 * NSEC_PER_SEC);
	for (i = 0; i < ARRAY_SIZE(tasks); i++)
		kthread_stop(tasks[i]);
	KUNIT_EXPECT_GE(test, events, FLOOD / 100);
	kunit_info(test, "%u events and as many signals, %u moves in %llu ms",
		   events, moves, (end - begin) / NSEC_PER_MSEC);
	vfake_event_at(0, &last);
	KUNIT_EXPECT_EQ(test, DIBS_SW_EVENT, last.type);
	expect_works(test, fake, 1);
}

/* --------------------------------- chance -------------------------------- */

static void random_bytes(struct rnd_state *rnd, void *buf, size_t len)
{
	prandom_bytes_state(rnd, buf, len);
	/* small numbers mean more than large ones */
	if (prandom_u32_state(rnd) % 2)
		memset(buf + 1, 0, min_t(size_t, len, 8) - 1);
}

static u32 random_len(struct rnd_state *rnd, u32 good)
{
	switch (prandom_u32_state(rnd) % 8) {
	case 0:
		return prandom_u32_state(rnd);
	case 1:
		return prandom_u32_state(rnd) % 64;
	default:
		return good;
	}
}

static void random_report(struct rnd_state *rnd, struct fake *fake)
{
	struct virtio_dibs_signal s;
	struct virtio_dibs_event ev;

	random_bytes(rnd, &ev, sizeof(ev));
	random_bytes(rnd, &s, sizeof(s));
	vfake_event(fake, &ev, random_len(rnd, sizeof(ev)));
	vfake_signal(fake, &s, random_len(rnd, sizeof(s)));
}

static void random_fault(struct rnd_state *rnd, struct fake *fake)
{
	switch (prandom_u32_state(rnd) % 12) {
	case 0:
		fake->ctrl_len = random_len(rnd, 16);
		break;
	case 1:
		fake->move_len = random_len(rnd, 4);
		break;
	case 2:
		fake->ctrl_status = prandom_u32_state(rnd) % 20;
		break;
	case 3:
		fake->move_status = prandom_u32_state(rnd) % 20;
		break;
	case 4:
		fake->bad_queue = prandom_u32_state(rnd) % FAKE_VQS;
		fake->bad_id = prandom_u32_state(rnd) % (FAKE_ID_TWICE + 1);
		break;
	case 5:
		vfake_set_needs_reset(fake);
		break;
	case 6:
		fake->ctrl_silent = !(prandom_u32_state(rnd) % 4);
		break;
	case 7:
		fake->move_silent = !(prandom_u32_state(rnd) % 4);
		break;
	default:
		random_report(rnd, fake);
		break;
	}
}

static void random_use(struct rnd_state *rnd, struct fake *fake,
		       struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	static u8 data[SZ_128K];
	uuid_t gid = vfake_gid(fake);

	switch (prandom_u32_state(rnd) % 6) {
	case 0:
		if (!dmb->dmb_tok && get_dmb(fake, dibs, dmb, SZ_64K))
			dmb->dmb_tok = 0;
		break;
	case 1:
		if (dmb->dmb_tok)
			dibs_unregister_dmb(dibs, dmb, me);
		dmb->dmb_tok = 0;
		break;
	case 2:
		dibs_signal_event(dibs, &gid, 0, 1, 2);
		break;
	default:
		dibs_move_data(dibs, dmb->dmb_tok, 3, true,
			       prandom_u32_state(rnd) % SZ_4K, data,
			       prandom_u32_state(rnd) % sizeof(data));
		break;
	}
}

static void random_device(struct rnd_state *rnd, struct fake *fake)
{
	if (!(prandom_u32_state(rnd) % 4))
		random_bytes(rnd, &fake->config, sizeof(fake->config));
	fake->irq_at = prandom_u32_state(rnd) % (FAKE_DEL_VQS + 1);
	fake->garbage = prandom_u32_state(rnd) % 8 ? 0 : prandom_u32_state(rnd);
	fake->needs_reset_at = prandom_u32_state(rnd) % 32;
	fake->late = prandom_u32_state(rnd) % 2;
}

/* Return: how often the device did something */
static unsigned int random_life(struct rnd_state *rnd, struct fake *fake)
{
	struct dibs_dmb dmb = {};
	struct dibs_dev *dibs;
	unsigned int i;

	if (!vfake_plug(fake))
		return 0;
	for (i = 0; i < 50; i++) {
		dibs = vfake_get_dibs();
		if (!dibs)
			break;
		random_use(rnd, fake, dibs, &dmb);
		random_fault(rnd, fake);
		put_device(&dibs->dev);
	}
	return i;
}

/* Batches, because there is a limit to how long a test case may take */
static const void *random_gen_params(const void *prev, char *desc)
{
	unsigned long batch = (unsigned long)prev + 1;

	if (batch > batches)
		return NULL;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "batch %lu", batch);
	return (const void *)batch;
}

/* Any device, any fault: no crash, no hang, and a good device works later */
static void test_random(struct kunit *test)
{
	const unsigned int rounds = SLOW ? 400 : 2000;
	u64 seed = get_random_u64(), begin = ktime_get_ns();
	unsigned int n = 0, devices;
	struct rnd_state rnd;
	struct fake *fake;

	kunit_info(test, "seed %llu", seed);
	prandom_seed_state(&rnd, seed);
	for (devices = 0; n < rounds && devices < rounds; devices++) {
		fake = vfake_new(test);
		vdibs_ctrl_timeout = 5;
		vdibs_move_timeout = 5;
		random_device(&rnd, fake);
		n += random_life(&rnd, fake);
		vfake_free(test, fake);
	}
	kunit_info(test, "%u rounds, %u devices, in %llu ms", n, devices,
		   (ktime_get_ns() - begin) / NSEC_PER_MSEC);
	KUNIT_EXPECT_GE(test, n, rounds);
	fake = vfake_start(test);
	expect_works(test, fake, 1);
}

static struct kunit_case bad_cases[] = {
	KUNIT_CASE(test_no_feature),
	KUNIT_CASE_PARAM(test_bad_config, bad_config_gen_params),
	KUNIT_CASE_PARAM(test_odd_config, odd_config_gen_params),
	KUNIT_CASE(test_tiny_dmbs),
	KUNIT_CASE(test_restless_config),
	KUNIT_CASE(test_small_rings),
	KUNIT_CASE_PARAM(test_ctrl_len, ctrl_len_gen_params),
	KUNIT_CASE_PARAM(test_move_len, move_len_gen_params),
	KUNIT_CASE_PARAM(test_used_id, id_gen_params),
	KUNIT_CASE(test_zero_token),
	KUNIT_CASE_PARAM(test_needs_reset, reset_gen_params),
	KUNIT_CASE_PARAM(test_irq, irq_gen_params),
	KUNIT_CASE_PARAM(test_irq_garbage, irq_gen_params),
	KUNIT_CASE(test_early_answer),
	KUNIT_CASE(test_config_changed),
	KUNIT_CASE(test_ctrl_silent),
	KUNIT_CASE(test_register_silent),
	KUNIT_CASE(test_needs_reset_silent),
	KUNIT_CASE(test_remove_silent),
	KUNIT_CASE(test_move_silent),
	KUNIT_CASE(test_move_silent_many),
	KUNIT_CASE(test_move_silent_softirq),
	KUNIT_CASE(test_move_silent_direct),
	KUNIT_CASE(test_atomic_silent),
	KUNIT_CASE_SLOW(test_gone),
	KUNIT_CASE_SLOW(test_backoff),
	KUNIT_CASE_SLOW(test_restart_fails),
	KUNIT_CASE(test_burst),
	KUNIT_CASE_SLOW(test_burst_again),
	KUNIT_CASE_SLOW(test_flood),
	KUNIT_CASE_PARAM_ATTR(test_random, random_gen_params,
			      { .speed = KUNIT_SPEED_SLOW }),
	{}
};

static struct kunit_suite bad_suite = {
	.name = "virtio_dibs_bad",
	.suite_init = vfake_suite_init,
	.suite_exit = vfake_suite_exit,
	.test_cases = bad_cases,
};

kunit_test_suite(bad_suite);
