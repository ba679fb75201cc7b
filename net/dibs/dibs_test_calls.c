// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing
 *
 * What each function of the core returns, passes on and counts.
 */
#include <linux/kernfs.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "dibs_test_fake.h"

static void expect_stat(struct kunit *test, long val, const char *name)
{
	KUNIT_EXPECT_EQ_MSG(test, val, fake_stat(test, FAKE_DEV, name), "%s",
			    name);
}

static void register_client_checks(struct kunit *test)
{
	struct fake_client *fc = FAKE_CLIENT;
	struct dibs_client_ops good = fc->ops;
	struct dibs_client none = {};

	KUNIT_EXPECT_EQ(test, -EINVAL, dibs_register_client(&none));
	fc->ops.add_dev = NULL;
	KUNIT_EXPECT_EQ(test, -EINVAL, dibs_register_client(&fc->client));
	fc->ops = good;
	fc->ops.del_dev = NULL;
	KUNIT_EXPECT_EQ(test, -EINVAL, dibs_register_client(&fc->client));
	fc->ops = good;
	fc->ops.handle_irq = NULL;
	KUNIT_EXPECT_EQ(test, -EINVAL, dibs_register_client(&fc->client));
	fc->ops = good;
	KUNIT_EXPECT_EQ(test, 0, dibs_register_client(&fc->client));
	KUNIT_EXPECT_EQ(test, -EALREADY, dibs_register_client(&fc->client));
}

static void unregister_client_twice(struct kunit *test)
{
	fake_start(test, 0);
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_client(&FAKE_CLIENT->client));
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_client(&FAKE_CLIENT->client));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&FAKE_CLIENT->dels));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&FAKE_OTHER->dels));
	/* its place is somebody else's now */
	KUNIT_ASSERT_EQ(test, 0, dibs_register_client(&fake_clients[2].client));
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_client(&FAKE_CLIENT->client));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&fake_clients[2].dels));
	KUNIT_EXPECT_EQ(test, 0, dibs_register_client(&FAKE_CLIENT->client));
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&FAKE_CLIENT->adds));
}

static void ninth_client(struct kunit *test)
{
	struct dibs_client *clients;
	int i, n, rc = 0;

	clients = kunit_kcalloc(test, DIBS_MAX_CLIENTS + 1, sizeof(*clients),
				GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, clients);
	for (n = 0; n <= DIBS_MAX_CLIENTS; n++) {
		clients[n].name = "filler";
		clients[n].ops = &FAKE_CLIENT->ops;
		rc = dibs_register_client(&clients[n]);
		if (rc)
			break;
	}
	/* clients that are no test's may be there as well */
	KUNIT_EXPECT_EQ(test, -ENOSPC, rc);
	KUNIT_EXPECT_GT(test, n, 0);
	KUNIT_EXPECT_LE(test, n, DIBS_MAX_CLIENTS);
	if (rc == -ENOSPC && n) {
		dibs_unregister_client(&clients[0]);
		KUNIT_EXPECT_EQ(test, 0, dibs_register_client(&clients[n]));
	}
	for (i = 0; i <= n && i <= DIBS_MAX_CLIENTS; i++)
		dibs_unregister_client(&clients[i]);
}

#define EXPECT_OP_MANDATORY(_test, _op)					\
do {									\
	struct dibs_dev_ops __good = FAKE_DEV->ops;			\
									\
	FAKE_DEV->ops._op = NULL;					\
	KUNIT_EXPECT_EQ_MSG(_test, -EINVAL, fake_dev_add(FAKE_DEV), #_op); \
	FAKE_DEV->ops = __good;						\
} while (0)

static void dev_add_checks(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, 0, fake_dev_alloc(FAKE_DEV, "fake0"));
	EXPECT_OP_MANDATORY(test, get_fabric_id);
	EXPECT_OP_MANDATORY(test, max_dmbs);
	EXPECT_OP_MANDATORY(test, query_remote_gid);
	EXPECT_OP_MANDATORY(test, register_dmb);
	EXPECT_OP_MANDATORY(test, unregister_dmb);
	EXPECT_OP_MANDATORY(test, move_data);
	EXPECT_OP_MANDATORY(test, attach_dmb);
	EXPECT_OP_MANDATORY(test, detach_dmb);
	FAKE_DEV->dibs->ops = NULL;
	KUNIT_EXPECT_EQ(test, -EINVAL, fake_dev_add(FAKE_DEV));
	FAKE_DEV->dibs->ops = &FAKE_DEV->ops;
	KUNIT_EXPECT_EQ(test, 0, fake_dev_add(FAKE_DEV));
}

static void dev_add_without_name(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, 0, fake_dev_alloc(FAKE_DEV, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, fake_dev_add(FAKE_DEV));
}

/* The reference stays the caller's: one put_device(), and no second free */
static void dev_add_name_taken(struct kunit *test)
{
	struct fake_dev *second = &fake_devs[1];

	fake_start(test, 0);
	KUNIT_ASSERT_EQ(test, 0, fake_dev_alloc(second, "fake0"));
	KUNIT_EXPECT_EQ(test, -EEXIST, fake_dev_add(second));
	KUNIT_EXPECT_EQ(test, 1, kref_read(&second->dibs->dev.kobj.kref));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&FAKE_CLIENT->adds));
	fake_dev_put(second);
	KUNIT_ASSERT_EQ(test, 0, fake_dev_alloc(second, "fake1"));
	KUNIT_EXPECT_EQ(test, 0, fake_dev_add(second));
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&FAKE_CLIENT->adds));
}

static void max_dmbs_bounded(struct kunit *test)
{
	struct dibs_dmb dmb = fake_dmb(0);

	FAKE_DEV->max_dmbs = 1000000000;
	fake_start(test, 0);
	KUNIT_EXPECT_EQ(test, DIBS_MAX_DMBS, dibs_max_dmbs(FAKE_DEV->dibs));
	fake_dev_del(FAKE_DEV);
	fake_dev_put(FAKE_DEV);

	FAKE_DEV->max_dmbs = -1;
	KUNIT_ASSERT_EQ(test, 0, fake_dev_alloc(FAKE_DEV, "fake0"));
	KUNIT_ASSERT_EQ(test, 0, fake_dev_add(FAKE_DEV));
	KUNIT_EXPECT_EQ(test, 0, dibs_max_dmbs(FAKE_DEV->dibs));
	KUNIT_EXPECT_EQ(test, -ENOSPC, fake_register(FAKE_CLIENT, &dmb));
}

static void register_dmb_errors(struct kunit *test)
{
	static const int errs[] = { -EINVAL, -EBUSY, -ENOSPC, -ENOMEM, -EIO };
	struct dibs_dmb dmb, good;
	int i;

	fake_start(test, 0);
	dmb = (struct dibs_dmb){};
	KUNIT_EXPECT_EQ(test, -EINVAL, fake_register(FAKE_CLIENT, &dmb));
	dmb = fake_dmb(DIBS_MAX_DMBS);
	KUNIT_EXPECT_EQ(test, -EINVAL, fake_register(FAKE_CLIENT, &dmb));
	dmb = fake_dmb(0);
	KUNIT_EXPECT_EQ(test, -ENODEV, fake_register(&fake_clients[2], &dmb));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_REGISTER));
	good = dmb;
	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		FAKE_DEV->rc[FAKE_REGISTER] = errs[i];
		KUNIT_EXPECT_EQ(test, errs[i], fake_register(FAKE_CLIENT, &dmb));
		KUNIT_EXPECT_MEMEQ(test, &good, &dmb, sizeof(dmb));
	}
	expect_stat(test, 0, "dmbs");
	FAKE_DEV->rc[FAKE_REGISTER] = 0;
	KUNIT_EXPECT_EQ(test, 0, fake_register(FAKE_CLIENT, &dmb));
	expect_stat(test, 1, "dmbs");
	KUNIT_EXPECT_EQ(test, -EBUSY,
			fake_register(FAKE_OTHER,
				      &(struct dibs_dmb){ .idx = dmb.idx,
							  .dmb_len = 1 }));
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_CLIENT, &dmb));
	expect_stat(test, 0, "dmbs");
}

static void register_dmb_limit(struct kunit *test)
{
	struct dibs_dmb a = fake_dmb(0), b = fake_dmb(0);

	FAKE_DEV->max_dmbs = 1;
	fake_start(test, 0);
	KUNIT_EXPECT_EQ(test, 0, fake_register(FAKE_CLIENT, &a));
	KUNIT_EXPECT_EQ(test, -ENOSPC, fake_register(FAKE_OTHER, &b));
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_REGISTER));
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_CLIENT, &a));
	KUNIT_EXPECT_EQ(test, 0, fake_register(FAKE_OTHER, &b));
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_OTHER, &b));
}

static void register_dmb_bad_index(struct kunit *test)
{
	struct dibs_dmb first = fake_dmb(3), dmb = fake_dmb(0);

	fake_start(test, 0);
	FAKE_DEV->force_idx = DIBS_MAX_DMBS;
	KUNIT_EXPECT_EQ(test, -EIO, fake_register(FAKE_CLIENT, &dmb));
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_UNREGISTER));
	KUNIT_EXPECT_EQ(test, 0, dmb.idx);

	FAKE_DEV->force_idx = 0;
	KUNIT_EXPECT_EQ(test, 0, fake_register(FAKE_OTHER, &first));
	FAKE_DEV->force_idx = first.idx;
	KUNIT_EXPECT_EQ(test, -EIO, fake_register(FAKE_CLIENT, &dmb));
	KUNIT_EXPECT_EQ(test, 2, fake_calls(FAKE_DEV, FAKE_UNREGISTER));
	expect_stat(test, 1, "dmbs");
	/* the one that had the index first is not affected */
	dibs_dev_signal(FAKE_DEV->dibs, first.idx, 1);
	fake_wait(test, atomic_read(&FAKE_OTHER->irqs) == 1);
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_OTHER, &first));
}

static void register_dmb_without_pages(struct kunit *test)
{
	struct dibs_dmb dmb = fake_dmb(0);

	FAKE_DEV->mapped_mem = true;
	fake_start(test, 0);
	KUNIT_EXPECT_EQ(test, -EIO, fake_register(FAKE_CLIENT, &dmb));
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_UNREGISTER));
	KUNIT_EXPECT_PTR_EQ(test, NULL, dmb.cpu_addr);
	expect_stat(test, 0, "dmbs");
}

static void unregister_dmb_errors(struct kunit *test)
{
	struct dibs_dmb dmb = fake_dmb(0), wrong;

	fake_start(test, 0);
	KUNIT_EXPECT_EQ(test, -ENOENT, fake_unregister(FAKE_CLIENT, &dmb));
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_CLIENT, &dmb));
	wrong = dmb;
	wrong.dmb_tok++;
	KUNIT_EXPECT_EQ(test, -ENOENT, fake_unregister(FAKE_CLIENT, &wrong));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_UNREGISTER));
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_CLIENT, &dmb));
	KUNIT_EXPECT_EQ(test, -ENOENT, fake_unregister(FAKE_CLIENT, &dmb));
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_UNREGISTER));
}

static void unregister_dmb_of_other_client(struct kunit *test)
{
	struct dibs_dmb dmb = fake_dmb(0);

	fake_start(test, 0);
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_CLIENT, &dmb));
	KUNIT_EXPECT_EQ(test, -EPERM, fake_unregister(FAKE_OTHER, &dmb));
	KUNIT_EXPECT_EQ(test, -EPERM, fake_unregister(&fake_clients[2], &dmb));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_UNREGISTER));
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_CLIENT, &dmb));
}

/* The device failed to do it: the DMB is gone for the client all the same */
static void unregister_dmb_device_fails(struct kunit *test)
{
	struct dibs_dmb dmb = fake_dmb(0);

	fake_start(test, 0);
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_CLIENT, &dmb));
	FAKE_DEV->rc[FAKE_UNREGISTER] = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, fake_unregister(FAKE_CLIENT, &dmb));
	KUNIT_EXPECT_EQ(test, -ENOENT, fake_unregister(FAKE_CLIENT, &dmb));
	expect_stat(test, 0, "dmbs");
}

static int fake_attach(struct fake_client *fc, struct dibs_rdmb *rdmb)
{
	return dibs_attach_dmb(FAKE_DEV->dibs, rdmb, &fc->client);
}

static int fake_detach(struct fake_client *fc, u64 tok)
{
	return dibs_detach_dmb(FAKE_DEV->dibs, tok, &fc->client);
}

static void attach_errors(struct kunit *test)
{
	static const int errs[] = { -ENOENT, -EPERM, -ENOMEM, -EIO };
	struct dibs_rdmb rdmb = { .dmb_tok = 7 }, again = { .dmb_tok = 7 };
	int i;

	fake_start(test, 0);
	KUNIT_EXPECT_EQ(test, -ENODEV, fake_attach(&fake_clients[2], &rdmb));
	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		FAKE_DEV->rc[FAKE_ATTACH] = errs[i];
		KUNIT_EXPECT_EQ(test, errs[i], fake_attach(FAKE_CLIENT, &rdmb));
		KUNIT_EXPECT_PTR_EQ(test, NULL, rdmb.cpu_addr);
	}
	expect_stat(test, 1, "bad_token");
	expect_stat(test, 1, "bad_gid");
	expect_stat(test, 0, "attached");
	FAKE_DEV->rc[FAKE_ATTACH] = 0;
	KUNIT_EXPECT_EQ(test, 0, fake_attach(FAKE_CLIENT, &rdmb));
	KUNIT_EXPECT_PTR_EQ(test, (void *)FAKE_DEV, rdmb.cpu_addr);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, rdmb.dmb_len);
	KUNIT_EXPECT_EQ(test, -EEXIST, fake_attach(FAKE_CLIENT, &again));
	KUNIT_EXPECT_PTR_EQ(test, NULL, again.cpu_addr);
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_DETACH));
	/* another client may attach it too */
	KUNIT_EXPECT_EQ(test, 0, fake_attach(FAKE_OTHER, &again));
	expect_stat(test, 2, "attached");
	KUNIT_EXPECT_EQ(test, 0, fake_detach(FAKE_OTHER, 7));
	KUNIT_EXPECT_EQ(test, 0, fake_detach(FAKE_CLIENT, 7));
	expect_stat(test, 0, "attached");
}

static void attach_not_supported(struct kunit *test)
{
	struct dibs_rdmb rdmb = { .dmb_tok = 7 };

	fake_start(test, 0);
	KUNIT_EXPECT_TRUE(test, dibs_support_mmapped_rdmb(FAKE_DEV->dibs));
	FAKE_DEV->mappable = 0;
	KUNIT_EXPECT_FALSE(test, dibs_support_mmapped_rdmb(FAKE_DEV->dibs));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, fake_attach(FAKE_CLIENT, &rdmb));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, fake_detach(FAKE_CLIENT, 7));
	FAKE_DEV->ops.support_mmapped_rdmb = NULL;
	FAKE_DEV->ops.attach_dmb = NULL;
	FAKE_DEV->ops.detach_dmb = NULL;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, fake_attach(FAKE_CLIENT, &rdmb));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, fake_detach(FAKE_CLIENT, 7));
}

static void detach_errors(struct kunit *test)
{
	struct dibs_rdmb rdmb = { .dmb_tok = 7 };

	fake_start(test, 0);
	KUNIT_EXPECT_EQ(test, -ENOENT, fake_detach(FAKE_CLIENT, 7));
	KUNIT_ASSERT_EQ(test, 0, fake_attach(FAKE_CLIENT, &rdmb));
	KUNIT_EXPECT_EQ(test, 0, fake_detach(FAKE_CLIENT, 7));
	KUNIT_EXPECT_EQ(test, -ENOENT, fake_detach(FAKE_CLIENT, 7));
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_DETACH));
}

static void detach_of_other_client(struct kunit *test)
{
	struct dibs_rdmb rdmb = { .dmb_tok = 7 };

	fake_start(test, 0);
	KUNIT_ASSERT_EQ(test, 0, fake_attach(FAKE_CLIENT, &rdmb));
	KUNIT_EXPECT_EQ(test, -ENOENT, fake_detach(FAKE_OTHER, 7));
	KUNIT_EXPECT_EQ(test, -ENOENT, fake_detach(&fake_clients[2], 7));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_DETACH));
	KUNIT_EXPECT_EQ(test, 0, fake_detach(FAKE_CLIENT, 7));
}

static int fake_move(u64 tok, unsigned int idx, unsigned int offset,
		     unsigned int size)
{
	static const u8 data[16] = "0123456789abcde";

	return dibs_move_data(FAKE_DEV->dibs, tok, idx, true, offset, data,
			      size);
}

static void move_offset_and_size_wrap(struct kunit *test)
{
	struct dibs_move_seg segs[] = {
		{ .offset = 16, .size = U32_MAX - 15 },
		{ .offset = 16, .size = 0 },
	};
	struct dibs_dev *dibs;

	fake_start(test, 0);
	dibs = FAKE_DEV->dibs;
	KUNIT_EXPECT_EQ(test, -ERANGE, fake_move(7, 0, U32_MAX - 7, 8));
	KUNIT_EXPECT_EQ(test, -ERANGE, fake_move(7, 0, 16, U32_MAX));
	KUNIT_EXPECT_EQ(test, -ERANGE,
			dibs_move_data_atomic(dibs, 7, 0, false, 2, segs,
					      U32_MAX - 1));
	KUNIT_EXPECT_EQ(test, -ERANGE,
			dibs_move_data_vec(dibs, 7, 0, false, segs, 1));
	KUNIT_EXPECT_EQ(test, -ERANGE,
			dibs_move_data_vec(dibs, 7, 0, false, segs, 2));
	swap(segs[0], segs[1]);
	KUNIT_EXPECT_EQ(test, -ERANGE,
			dibs_move_data_vec(dibs, 7, 0, false, segs, 2));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_MOVE));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_MOVE_VEC));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_MOVE_ATOMIC));
	expect_stat(test, 6, "bad_range");
	expect_stat(test, 6, "move_errors");
}

static void move_signal_beyond_15(struct kunit *test)
{
	struct dibs_move_seg segs[2] = { { .data = segs, .size = 1 } };
	struct dibs_dev *dibs;

	fake_start(test, 0);
	dibs = FAKE_DEV->dibs;
	KUNIT_EXPECT_EQ(test, -EINVAL, fake_move(7, DIBS_MAX_SIGNALS, 0, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			dibs_move_data(dibs, 7, ~0U, false, 0, segs, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			dibs_move_data_atomic(dibs, 7, 16, true, 0, segs, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			dibs_move_data_vec(dibs, 7, 16, true, segs, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			dibs_move_data_vec(dibs, 7, 16, true, segs, 2));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_MOVE));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_MOVE_VEC));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_MOVE_ATOMIC));
	expect_stat(test, 5, "bad_signal");
}

static void move_errors(struct kunit *test)
{
	static const int errs[] = { -ENOENT, -EPERM, -ERANGE, -EIO };
	struct dibs_dmb dmb = fake_dmb(0);
	int i;

	fake_start(test, 0);
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_OTHER, &dmb));
	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		FAKE_DEV->rc[FAKE_MOVE] = errs[i];
		KUNIT_EXPECT_EQ(test, errs[i], fake_move(dmb.dmb_tok, 0, 0, 1));
	}
	FAKE_DEV->rc[FAKE_MOVE] = 0;
	expect_stat(test, 1, "bad_token");
	expect_stat(test, 1, "bad_gid");
	expect_stat(test, 1, "bad_range");
	expect_stat(test, 4, "move_errors");
	expect_stat(test, 0, "moves");
	KUNIT_EXPECT_EQ(test, -ERANGE,
			fake_move(dmb.dmb_tok, 0, PAGE_SIZE - 15, 16));
	KUNIT_EXPECT_EQ(test, 0,
			fake_move(dmb.dmb_tok, 15, PAGE_SIZE - 16, 16));
	KUNIT_EXPECT_STREQ(test, "0123456789abcde",
			   dmb.cpu_addr + PAGE_SIZE - 16);
	fake_wait(test, atomic_read(&FAKE_OTHER->mask) == BIT(15));
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_OTHER, &dmb));
	KUNIT_EXPECT_EQ(test, -ENOENT, fake_move(dmb.dmb_tok, 0, 0, 1));
}

/* Whatever address the client has, it is what the driver gets */
static void move_source_passed_through(struct kunit *test)
{
	u8 on_stack[16] = "on the stack";
	struct dibs_dmb dmb = fake_dmb(0);
	u8 *vm;

	fake_start(test, 0);
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_CLIENT, &dmb));
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(FAKE_DEV->dibs, dmb.dmb_tok, 3,
						false, 8, on_stack, 16));
	KUNIT_EXPECT_PTR_EQ(test, (const void *)on_stack, FAKE_DEV->last.data);
	KUNIT_EXPECT_EQ(test, 3, FAKE_DEV->last.idx);
	KUNIT_EXPECT_FALSE(test, FAKE_DEV->last.sf);
	KUNIT_EXPECT_EQ(test, 8, FAKE_DEV->last.offset);
	KUNIT_EXPECT_EQ(test, 16, FAKE_DEV->last.size);
	KUNIT_EXPECT_STREQ(test, "on the stack", dmb.cpu_addr + 8);

	vm = vzalloc(PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, vm);
	vm[9] = 42;
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(FAKE_DEV->dibs, dmb.dmb_tok, 0,
						true, 0, vm, PAGE_SIZE));
	KUNIT_EXPECT_PTR_EQ(test, (const void *)vm, FAKE_DEV->last.data);
	KUNIT_EXPECT_EQ(test, 42, ((u8 *)dmb.cpu_addr)[9]);
	vfree(vm);
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_CLIENT, &dmb));
}

static void move_vec_falls_back(struct kunit *test)
{
	struct dibs_move_seg segs[] = {
		{ .data = "abc", .offset = 0, .size = 3 },
		{ .data = "xyz", .offset = 3, .size = 4 },
		{ .data = NULL, .offset = 0, .size = 0 },
	};
	struct dibs_dmb dmb = fake_dmb(0);

	fake_start(test, 0);
	FAKE_DEV->ops.move_data_vec = NULL;
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_CLIENT, &dmb));
	KUNIT_EXPECT_EQ(test, 0,
			dibs_move_data_vec(FAKE_DEV->dibs, dmb.dmb_tok, 5, true,
					   segs, ARRAY_SIZE(segs)));
	KUNIT_EXPECT_EQ(test, 3, fake_calls(FAKE_DEV, FAKE_MOVE));
	KUNIT_EXPECT_STREQ(test, "abcxyz", (char *)dmb.cpu_addr);
	fake_wait(test, atomic_read(&FAKE_CLIENT->irqs) == 1);
	KUNIT_EXPECT_EQ(test, BIT(5), atomic_read(&FAKE_CLIENT->mask));
	expect_stat(test, 1, "signals");
	expect_stat(test, 1, "moves");
	expect_stat(test, 7, "move_bytes");
	/* stops at the one that fails, and does not signal */
	segs[1].offset = PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, -ERANGE,
			dibs_move_data_vec(FAKE_DEV->dibs, dmb.dmb_tok, 5, true,
					   segs, ARRAY_SIZE(segs)));
	KUNIT_EXPECT_EQ(test, 5, fake_calls(FAKE_DEV, FAKE_MOVE));
	expect_stat(test, 1, "signals");
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_CLIENT, &dmb));
}

static void move_vec_own_op(struct kunit *test)
{
	struct dibs_move_seg segs[DIBS_MAX_SEGS + 1] = {};
	struct dibs_dev *dibs;

	fake_start(test, 0);
	dibs = FAKE_DEV->dibs;
	KUNIT_EXPECT_EQ(test, -EINVAL,
			dibs_move_data_vec(dibs, 7, 0, true, segs, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			dibs_move_data_vec(dibs, 7, 0, true, segs,
					   DIBS_MAX_SEGS + 1));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_MOVE_VEC));
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data_vec(dibs, 7, 0, true, segs,
						    DIBS_MAX_SEGS));
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_MOVE_VEC));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_MOVE));
	KUNIT_EXPECT_PTR_EQ(test, (const struct dibs_move_seg *)segs,
			    FAKE_DEV->last.segs);
	KUNIT_EXPECT_EQ(test, DIBS_MAX_SEGS, FAKE_DEV->last.nsegs);
	FAKE_DEV->rc[FAKE_MOVE_VEC] = -EPERM;
	KUNIT_EXPECT_EQ(test, -EPERM,
			dibs_move_data_vec(dibs, 7, 0, true, segs, 2));
	expect_stat(test, 1, "bad_gid");
	/* a single one is a move like any other */
	KUNIT_EXPECT_EQ(test, -ENOENT,
			dibs_move_data_vec(dibs, 7, 0, true, segs, 1));
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_MOVE));
}

static void move_atomic(struct kunit *test)
{
	struct dibs_dmb dmb = fake_dmb(0);
	struct dibs_dev *dibs;

	fake_start(test, 0);
	dibs = FAKE_DEV->dibs;
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_CLIENT, &dmb));
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data_atomic(dibs, dmb.dmb_tok, 1,
						       true, 0, "op", 3));
	KUNIT_EXPECT_STREQ(test, "op", (char *)dmb.cpu_addr);
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_MOVE_ATOMIC));
	KUNIT_EXPECT_EQ(test, 0, fake_calls(FAKE_DEV, FAKE_MOVE));
	FAKE_DEV->rc[FAKE_MOVE_ATOMIC] = -EBUSY;
	KUNIT_EXPECT_EQ(test, -EBUSY, dibs_move_data_atomic(dibs, dmb.dmb_tok,
							    1, true, 0, "", 1));
	FAKE_DEV->ops.move_data_atomic = NULL;
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data_atomic(dibs, dmb.dmb_tok, 2,
						       true, 0, "no", 3));
	KUNIT_EXPECT_STREQ(test, "no", (char *)dmb.cpu_addr);
	KUNIT_EXPECT_EQ(test, 1, fake_calls(FAKE_DEV, FAKE_MOVE));
	fake_wait(test, atomic_read(&FAKE_CLIENT->mask) == (BIT(1) | BIT(2)));
	expect_stat(test, 2, "moves");
	expect_stat(test, 1, "move_errors");
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_CLIENT, &dmb));
}

static void query_errors(struct kunit *test)
{
	static const int errs[] = { 0, -ENETUNREACH, -EIO };
	int i;

	fake_start(test, 0);
	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		FAKE_DEV->rc[FAKE_QUERY] = errs[i];
		KUNIT_EXPECT_EQ(test, errs[i],
				dibs_query_remote_gid(FAKE_DEV->dibs,
						      &uuid_null, 0, 0));
	}
}

static void signal_event_errors(struct kunit *test)
{
	static const int errs[] = { 0, -ENETUNREACH, -EAGAIN, -EIO };
	struct dibs_dev *dibs;
	int i;

	fake_start(test, 0);
	dibs = FAKE_DEV->dibs;
	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		FAKE_DEV->rc[FAKE_SIGNAL_EVENT] = errs[i];
		KUNIT_EXPECT_EQ(test, errs[i],
				dibs_signal_event(dibs, &uuid_null, 1, 2, 3));
	}
	FAKE_DEV->ops.signal_event = NULL;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			dibs_signal_event(dibs, &uuid_null, 1, 2, 3));
}

static void vlan_errors(struct kunit *test)
{
	static const int errs[] = { 0, -ENOSPC, -EIO };
	struct dibs_dev *dibs;
	int i;

	fake_start(test, 0);
	dibs = FAKE_DEV->dibs;
	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		FAKE_DEV->rc[FAKE_ADD_VLAN] = errs[i];
		FAKE_DEV->rc[FAKE_DEL_VLAN] = errs[i];
		KUNIT_EXPECT_EQ(test, errs[i], dibs_add_vlan_id(dibs, 1));
		KUNIT_EXPECT_EQ(test, errs[i], dibs_del_vlan_id(dibs, 1));
	}
	FAKE_DEV->ops.add_vlan_id = NULL;
	FAKE_DEV->ops.del_vlan_id = NULL;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, dibs_add_vlan_id(dibs, 1));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, dibs_del_vlan_id(dibs, 1));
}

static void priv_per_client(struct kunit *test)
{
	struct dibs_dev *dibs;

	fake_start(test, 0);
	dibs = FAKE_DEV->dibs;
	KUNIT_EXPECT_PTR_EQ(test, NULL,
			    dibs_get_priv(dibs, &FAKE_CLIENT->client));
	dibs_set_priv(dibs, &FAKE_CLIENT->client, test);
	KUNIT_EXPECT_PTR_EQ(test, (void *)test,
			    dibs_get_priv(dibs, &FAKE_CLIENT->client));
	KUNIT_EXPECT_PTR_EQ(test, NULL,
			    dibs_get_priv(dibs, &FAKE_OTHER->client));
	/* the next user of the place starts afresh */
	dibs_unregister_client(&FAKE_CLIENT->client);
	dibs_register_client(&FAKE_CLIENT->client);
	KUNIT_EXPECT_PTR_EQ(test, NULL,
			    dibs_get_priv(dibs, &FAKE_CLIENT->client));
}

static void statistics_exact(struct kunit *test)
{
	static const char * const zero[] = {
		"moves", "move_bytes", "move_errors", "signals",
		"signals_dropped", "events", "events_lost", "bad_token",
		"bad_gid", "bad_range", "bad_signal", "dmbs", "attached",
	};
	struct dibs_dmb dmb = fake_dmb(0);
	int i;

	fake_start(test, 0);
	for (i = 0; i < ARRAY_SIZE(zero); i++)
		expect_stat(test, 0, zero[i]);
	expect_stat(test, FAKE_DMBS, "max_dmbs");
	KUNIT_ASSERT_EQ(test, 0, fake_register(FAKE_CLIENT, &dmb));
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_EQ(test, 0, fake_move(dmb.dmb_tok, i, i, i));
	for (i = 0; i < 5; i++)
		fake_event(FAKE_DEV, i);
	dibs_dev_signal(FAKE_DEV->dibs, dmb.idx + 1, 1);
	dibs_dev_signal(FAKE_DEV->dibs, ~0U, 1);
	expect_stat(test, 10, "moves");
	expect_stat(test, 45, "move_bytes");
	expect_stat(test, 10, "signals");
	expect_stat(test, 2, "signals_dropped");
	expect_stat(test, 5, "events");
	expect_stat(test, 0, "events_lost");
	expect_stat(test, 0, "move_errors");
	expect_stat(test, 1, "dmbs");
	KUNIT_EXPECT_EQ(test, 0, fake_unregister(FAKE_CLIENT, &dmb));
}

static bool has_file(struct device *dev, const char *name)
{
	struct kernfs_node *kn = kernfs_find_and_get(dev->kobj.sd, name);

	kernfs_put(kn);
	return kn;
}

static int uevents, uevents_with_files;

/* Runs while the uevent is being made, before user space can see it */
static int look_for_files(const struct device *cdev,
			  struct kobj_uevent_env *env)
{
	struct device *dev = (struct device *)cdev;

	uevents++;
	uevents_with_files += has_file(dev, "gid") &&
			      has_file(dev, "fabric_id") &&
			      has_file(dev, "statistics");
	return 0;
}

static void attributes_before_uevent(struct kunit *test)
{
	static const struct device_type type = { .uevent = look_for_files };

	uevents = 0;
	uevents_with_files = 0;
	KUNIT_ASSERT_EQ(test, 0, fake_dev_alloc(FAKE_DEV, "fake0"));
	FAKE_DEV->dibs->dev.type = &type;
	KUNIT_ASSERT_EQ(test, 0, fake_dev_add(FAKE_DEV));
	KUNIT_EXPECT_EQ(test, 1, uevents);
	KUNIT_EXPECT_EQ(test, 1, uevents_with_files);
}

static void attributes_format(struct kunit *test)
{
	char gid[UUID_STRING_LEN + 2];

	fake_start(test, 0);
	snprintf(gid, sizeof(gid), "%pUb\n", &FAKE_DEV->dibs->gid);
	KUNIT_EXPECT_STREQ(test, gid, fake_attr(test, FAKE_DEV, "", "gid"));
	KUNIT_EXPECT_STREQ(test, "0x1234\n",
			   fake_attr(test, FAKE_DEV, "", "fabric_id"));
	KUNIT_EXPECT_EQ(test, FAKE_FABRIC, dibs_get_fabric_id(FAKE_DEV->dibs));
}

static struct kunit_case dibs_call_cases[] = {
	KUNIT_CASE(register_client_checks),
	KUNIT_CASE(unregister_client_twice),
	KUNIT_CASE(ninth_client),
	KUNIT_CASE(dev_add_checks),
	KUNIT_CASE(dev_add_without_name),
	KUNIT_CASE(dev_add_name_taken),
	KUNIT_CASE(max_dmbs_bounded),
	KUNIT_CASE(register_dmb_errors),
	KUNIT_CASE(register_dmb_limit),
	KUNIT_CASE(register_dmb_bad_index),
	KUNIT_CASE(register_dmb_without_pages),
	KUNIT_CASE(unregister_dmb_errors),
	KUNIT_CASE(unregister_dmb_of_other_client),
	KUNIT_CASE(unregister_dmb_device_fails),
	KUNIT_CASE(attach_errors),
	KUNIT_CASE(attach_not_supported),
	KUNIT_CASE(detach_errors),
	KUNIT_CASE(detach_of_other_client),
	KUNIT_CASE(move_offset_and_size_wrap),
	KUNIT_CASE(move_signal_beyond_15),
	KUNIT_CASE(move_errors),
	KUNIT_CASE(move_source_passed_through),
	KUNIT_CASE(move_vec_falls_back),
	KUNIT_CASE(move_vec_own_op),
	KUNIT_CASE(move_atomic),
	KUNIT_CASE(query_errors),
	KUNIT_CASE(signal_event_errors),
	KUNIT_CASE(vlan_errors),
	KUNIT_CASE(priv_per_client),
	KUNIT_CASE(statistics_exact),
	KUNIT_CASE(attributes_before_uevent),
	KUNIT_CASE(attributes_format),
	{}
};

static struct kunit_suite dibs_call_suite = {
	.name = "dibs",
	.init = fake_init,
	.exit = fake_exit,
	.test_cases = dibs_call_cases,
};

kunit_test_suite(dibs_call_suite);

MODULE_DESCRIPTION("KUnit tests for dibs");
MODULE_LICENSE("GPL");
