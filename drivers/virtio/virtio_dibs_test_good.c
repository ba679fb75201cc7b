// SPDX-License-Identifier: GPL-2.0
/*
 * Direct Internal Buffer Sharing between the guests of a host
 *
 * KUnit tests of the virtio-dibs driver with a device that keeps to
 * Documentation/networking/virtio-dibs.rst. Numbers D-<n> are those of the
 * statements there.
 */
#include <kunit/test.h>
#include <linux/ctype.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/virtio_config.h>
#include <linux/vmalloc.h>

#include "virtio_dibs.h"
#include "virtio_dibs_fake.h"

MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);

#define OTHER_GID	UUID_INIT(0x0bad0bad, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)

static struct dibs_client *me = &vfake_client.client;

/* A DMB that the device can write to, as it is granted to itself */
static void get_dmb(struct kunit *test, struct fake *fake,
		    struct dibs_dev *dibs, struct dibs_dmb *dmb, u32 len)
{
	*dmb = (struct dibs_dmb) { .dmb_len = len, .rgid = vfake_gid(fake) };
	KUNIT_ASSERT_EQ(test, 0, dibs_register_dmb(dibs, dmb, me));
}

static void fill(void *buf, size_t len, u8 seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		((u8 *)buf)[i] = seed + i * 7 + (i >> 8) * 13;
}

static u16 signals(const struct dibs_dmb *dmb)
{
	return atomic_read(&vfake_client.mask[dmb->idx]);
}

/* ------------------------------- identity -------------------------------- */

/* virtio-dibs.rst D-1, D-2 */
static void test_features(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct virtio_device *vdev = &fake->vdev;

	KUNIT_EXPECT_EQ(test, vdev->features, BIT_ULL(VIRTIO_F_VERSION_1) |
			BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) |
			BIT_ULL(VIRTIO_RING_F_EVENT_IDX));
}

static void test_identity(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	uuid_t gid = vfake_gid(fake);

	KUNIT_EXPECT_MEMEQ(test, dev_name(&dibs->dev), "vdibs", 5);
	KUNIT_EXPECT_TRUE(test, isdigit(dev_name(&dibs->dev)[5]));
	KUNIT_EXPECT_TRUE(test, uuid_equal(&gid, &dibs->gid));
	KUNIT_EXPECT_EQ(test, FAKE_FABRIC, dibs_get_fabric_id(dibs));
	KUNIT_EXPECT_EQ(test, FAKE_DMBS, dibs_max_dmbs(dibs));
	KUNIT_EXPECT_EQ(test, SZ_512K, dibs->dmb_len);
	KUNIT_EXPECT_FALSE(test, dibs_support_mmapped_rdmb(dibs));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, dibs_add_vlan_id(dibs, 1));
}

/* No more is asked for than the device takes */
static void test_short_dmbs(struct kunit *test)
{
	struct fake *fake = vfake_new(test);

	fake->config.max_dmb_len = cpu_to_le32(SZ_64K);
	KUNIT_ASSERT_TRUE(test, vfake_plug(fake));
	KUNIT_EXPECT_EQ(test, SZ_64K, vfake_dibs(test, fake)->dmb_len);
}

/* D-3: no field is read again; D-6: queues are there at DRIVER_OK */
static void test_config_once(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	unsigned int reads = fake->config_reads;
	struct dibs_dmb dmb;

	fake->config.max_dmbs = 0;
	fake->config.max_dmb_len = 0;
	get_dmb(test, fake, dibs, &dmb, 100);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0, false, 0,
						"x", 1));
	KUNIT_EXPECT_EQ(test, reads, fake->config_reads);
	KUNIT_EXPECT_GE(test, fake->nvqs, VIRTIO_DIBS_VQ_MOVE + 1);
	KUNIT_EXPECT_LE(test, fake->nvqs, VIRTIO_DIBS_VQ_MOVE + 3);
	KUNIT_EXPECT_TRUE(test, fake->status & VIRTIO_CONFIG_S_DRIVER_OK);
}

/* D-3: the state that was read is one that the device had */
static void test_config_changes(struct kunit *test)
{
	struct fake *fake = vfake_new(test);
	struct dibs_dev *dibs;
	uuid_t gid;

	fake->restless = 7;
	KUNIT_ASSERT_TRUE(test, vfake_plug(fake));
	dibs = vfake_dibs(test, fake);
	gid = vfake_gid(fake);
	KUNIT_EXPECT_TRUE(test, uuid_equal(&gid, &dibs->gid));
	KUNIT_EXPECT_EQ(test, FAKE_DMBS + 7, dibs_max_dmbs(dibs));
}

/* Moves want no interrupt */
static void test_no_move_callback(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	unsigned int i;

	for (i = 0; i < VIRTIO_DIBS_VQ_MOVE; i++)
		KUNIT_EXPECT_NOT_NULL(test, fake->vqs[i].vq->callback);
	for (; i < fake->nvqs; i++)
		KUNIT_EXPECT_NULL(test, fake->vqs[i].vq->callback);
}

/* --------------------------------- DMBs ---------------------------------- */

static void test_register(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	const struct virtio_dibs_register_dmb *req = (void *)fake->last_ctrl;
	struct dibs_dmb dmb = { .dmb_len = 5001, .rgid = OTHER_GID };
	uuid_t rgid;

	KUNIT_ASSERT_EQ(test, 0, dibs_register_dmb(dibs, &dmb, me));
	import_uuid(&rgid, req->rgid);
	KUNIT_EXPECT_EQ(test, VIRTIO_DIBS_C_REGISTER_DMB,
			le16_to_cpu(req->hdr.cmd));
	KUNIT_EXPECT_TRUE(test, uuid_equal(&rgid, &dmb.rgid));
	KUNIT_EXPECT_EQ(test, dmb.idx, le32_to_cpu(req->idx));
	KUNIT_EXPECT_EQ(test, dmb.dmb_len, le32_to_cpu(req->len));
	KUNIT_EXPECT_EQ(test, 1, le16_to_cpu(req->nranges));
	KUNIT_EXPECT_EQ(test, dmb.dma_addr, le64_to_cpu(req->ranges[0].addr));
	KUNIT_EXPECT_EQ(test, dmb.dmb_len, le32_to_cpu(req->ranges[0].len));
	KUNIT_EXPECT_EQ(test, 0, dmb.dmb_len % VIRTIO_DIBS_DMB_ALIGN);
	KUNIT_EXPECT_GE(test, dmb.dmb_len, 5001);
	KUNIT_EXPECT_EQ(test, fake->next_token - 1, dmb.dmb_tok);
	KUNIT_EXPECT_NULL(test, memchr_inv(dmb.cpu_addr, 0, dmb.dmb_len));
	KUNIT_EXPECT_TRUE(test, PageHead(virt_to_page(dmb.cpu_addr)));

	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_dmb(dibs, &dmb, me));
	KUNIT_EXPECT_NULL(test, vfake_find_dmb(fake, dmb.dmb_tok));
}

/* D-13: an index is never registered twice at a time */
static void test_index(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb a, b, c = { .dmb_len = 1, .rgid = OTHER_GID };

	get_dmb(test, fake, dibs, &a, 1);
	get_dmb(test, fake, dibs, &b, 1);
	KUNIT_EXPECT_NE(test, a.idx, b.idx);
	KUNIT_EXPECT_PTR_NE(test, a.cpu_addr, b.cpu_addr);
	c.idx = b.idx;
	KUNIT_EXPECT_EQ(test, -EBUSY, dibs_register_dmb(dibs, &c, me));
	c.idx = FAKE_DMBS - 1;
	KUNIT_EXPECT_EQ(test, 0, dibs_register_dmb(dibs, &c, me));
	KUNIT_EXPECT_EQ(test, FAKE_DMBS - 1, c.idx);
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_dmb(dibs, &a, me));
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_dmb(dibs, &b, me));
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_dmb(dibs, &c, me));
}

static void test_register_limits(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb = { .dmb_len = SZ_1M + 1, .rgid = OTHER_GID };
	unsigned int i;

	KUNIT_EXPECT_EQ(test, -EINVAL, dibs_register_dmb(dibs, &dmb, me));
	dmb.dmb_len = 1;
	dmb.idx = FAKE_DMBS;
	KUNIT_EXPECT_EQ(test, -EINVAL, dibs_register_dmb(dibs, &dmb, me));
	dmb.idx = 0;
	uuid_copy(&dmb.rgid, &uuid_null);
	KUNIT_EXPECT_EQ(test, -EINVAL, dibs_register_dmb(dibs, &dmb, me));
	for (i = 0; i < FAKE_DMBS; i++)
		get_dmb(test, fake, dibs, &dmb, 1);
	dmb = (struct dibs_dmb) { .dmb_len = 1, .rgid = OTHER_GID };
	KUNIT_EXPECT_EQ(test, -ENOSPC, dibs_register_dmb(dibs, &dmb, me));
}

/* D-9: pages of a DMB outlive it, and the device does not write to them */
static void test_pages_outlive(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;
	struct page *page;
	u8 *last;

	get_dmb(test, fake, dibs, &dmb, SZ_16K);
	last = dmb.cpu_addr + SZ_16K - 1;
	page = virt_to_page(last);
	get_page(page);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0, false,
						SZ_16K - 1, "L", 1));
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_dmb(dibs, &dmb, me));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			dibs_move_data(dibs, dmb.dmb_tok, 0, false,
				       SZ_16K - 1, "M", 1));
	KUNIT_EXPECT_EQ(test, 'L', *last);
	KUNIT_EXPECT_EQ(test, 1, page_count(page));
	put_page(page);
}

/* -------------------------------- moves ---------------------------------- */

static void test_move(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;

	get_dmb(test, fake, dibs, &dmb, SZ_4K);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 5, false,
						100, "hello", 5));
	KUNIT_EXPECT_MEMEQ(test, dmb.cpu_addr + 100, "\0\0hello\0" + 2, 6);
	KUNIT_EXPECT_EQ(test, 0, ((u8 *)dmb.cpu_addr)[99]);
	KUNIT_EXPECT_EQ(test, dmb.dmb_tok, fake->moved.token);
	KUNIT_EXPECT_EQ(test, 1, fake->moved.nsegs);
	KUNIT_EXPECT_EQ(test, 0, fake->moved.flags);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 5, true, 0,
						"h", 1));
	FAKE_EXPECT(test, signals(&dmb) == BIT(5));
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 15, true, 0,
						NULL, 0));
	FAKE_EXPECT(test, signals(&dmb) == (BIT(5) | BIT(15)));
}

/* D-17: what is copied is what was there at the time of the call */
static void test_move_sources(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	u8 stack[200], *heap, *vmem;
	struct dibs_dmb dmb;
	u8 *cmp;

	get_dmb(test, fake, dibs, &dmb, SZ_256K);
	cmp = kunit_kmalloc(test, SZ_128K, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, cmp);

	fill(stack, sizeof(stack), 1);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0, false, 3,
						stack, sizeof(stack)));
	memcpy(cmp, stack, sizeof(stack));
	memset(stack, 0xee, sizeof(stack));
	KUNIT_EXPECT_MEMEQ(test, dmb.cpu_addr + 3, cmp, sizeof(stack));

	heap = kmalloc(SZ_2K, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, heap);
	fill(heap, SZ_2K, 2);
	fill(cmp, SZ_2K, 2);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0, false, 7,
						heap, SZ_2K));
	kfree(heap);
	KUNIT_EXPECT_MEMEQ(test, dmb.cpu_addr + 7, cmp, SZ_2K);

	vmem = vmalloc(SZ_128K);
	KUNIT_ASSERT_NOT_NULL(test, vmem);
	fill(vmem, SZ_128K, 3);
	fill(cmp, SZ_128K, 3);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0, false, 9,
						vmem, SZ_128K));
	vfree(vmem);
	KUNIT_EXPECT_MEMEQ(test, dmb.cpu_addr + 9, cmp, SZ_128K);
}

static unsigned int early_signals;

/* Did the request before this one signal? */
static void count_signalled(struct fake *fake)
{
	if (fake->moved.flags)
		early_signals++;
}

/* Sizes around the limits of a request; the signal goes with the last one */
static void test_move_sizes(struct kunit *test)
{
	static const u32 sizes[] = {
		1, 7, 8, 64, 3000, SZ_4K - 400, SZ_4K - 100, SZ_4K, SZ_4K + 1,
		VDIBS_CHUNK - 1, VDIBS_CHUNK, VDIBS_CHUNK + 1,
		2 * VDIBS_CHUNK, SZ_1M - 1, SZ_1M,
	};
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;
	unsigned int i;
	u8 *src;

	get_dmb(test, fake, dibs, &dmb, SZ_1M);
	src = vmalloc(SZ_1M);
	KUNIT_ASSERT_NOT_NULL(test, src);
	fake->on_move = count_signalled;
	early_signals = 0;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		fill(src, sizes[i], i);
		fake->moves = 0;
		fake->moved.flags = 0;
		KUNIT_EXPECT_EQ(test, 0,
				dibs_move_data(dibs, dmb.dmb_tok, i, true,
					       SZ_1M - sizes[i], src,
					       sizes[i]));
		KUNIT_EXPECT_MEMEQ(test, dmb.cpu_addr + SZ_1M - sizes[i], src,
				   sizes[i]);
		KUNIT_EXPECT_EQ(test, DIV_ROUND_UP(sizes[i], VDIBS_CHUNK),
				fake->moves);
		KUNIT_EXPECT_EQ(test, VIRTIO_DIBS_MOVE_F_SIGNAL,
				fake->moved.flags);
		FAKE_EXPECT(test, signals(&dmb) & BIT(i));
	}
	KUNIT_EXPECT_EQ(test, 0, early_signals);
	vfree(src);
}

static struct page *moved_page;
static int moved_page_refs;

static void count_refs(struct fake *fake)
{
	moved_page_refs = page_count(moved_page);
}

/* What is whole pages is not copied, but kept; what shares its pages is copied */
static void test_move_direct(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;
	int refs;
	u8 *src;

	get_dmb(test, fake, dibs, &dmb, SZ_1M);
	fake->on_move = count_refs;
	src = (u8 *)__get_free_pages(GFP_KERNEL | __GFP_COMP, get_order(SZ_256K));
	KUNIT_ASSERT_NOT_NULL(test, src);
	fill(src, SZ_256K, 4);
	moved_page = virt_to_page(src);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 3, true, 50,
						src + 100, SZ_256K - 150));
	KUNIT_EXPECT_EQ(test, 1, fake->moves);
	KUNIT_EXPECT_EQ(test, 2, moved_page_refs);
	KUNIT_EXPECT_EQ(test, 1, page_count(moved_page));
	/* a difference would be printed at length otherwise */
	KUNIT_EXPECT_EQ(test, 0,
			memcmp(dmb.cpu_addr + 50, src + 100, SZ_256K - 150));
	FAKE_EXPECT(test, signals(&dmb) == BIT(3));
	/* nothing is mapped in a panic */
	KUNIT_EXPECT_EQ(test, 0,
			dibs_move_data_atomic(dibs, dmb.dmb_tok, 3, true, 50,
					      src, SZ_4K));
	KUNIT_EXPECT_EQ(test, 1, moved_page_refs);
	/* a move that fails has been given back, too */
	fake->move_status = VIRTIO_DIBS_S_IO;
	KUNIT_EXPECT_EQ(test, -EIO, dibs_move_data(dibs, dmb.dmb_tok, 3, true,
						   50, src, SZ_4K));
	fake->move_status = -1;
	KUNIT_EXPECT_EQ(test, 2, moved_page_refs);
	KUNIT_EXPECT_EQ(test, 1, page_count(moved_page));
	free_pages((unsigned long)src, get_order(SZ_256K));

	src = kmalloc(SZ_4K, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, src);
	fill(src, SZ_4K, 5);
	moved_page = virt_to_head_page(src);
	refs = page_count(moved_page);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 3, true, 60,
						src, SZ_4K));
	KUNIT_EXPECT_EQ(test, refs, moved_page_refs);
	KUNIT_EXPECT_EQ(test, 0, memcmp(dmb.cpu_addr + 60, src, SZ_4K));
	kfree(src);
}

/* Data that is copied, data that is not, and more of both in one request */
static void test_move_vec_mixed(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_move_seg segs[DIBS_MAX_SEGS];
	struct dibs_dmb dmb;
	unsigned int i;
	u8 *src;

	get_dmb(test, fake, dibs, &dmb, SZ_1M);
	src = (u8 *)__get_free_pages(GFP_KERNEL | __GFP_COMP, get_order(SZ_256K));
	KUNIT_ASSERT_NOT_NULL(test, src);
	fill(src, SZ_256K, 6);
	for (i = 0; i < DIBS_MAX_SEGS; i++)
		segs[i] = (struct dibs_move_seg) {
			.data = src + i * 10000, .offset = i * 10000,
			.size = i % 2 ? 9000 : 100,
		};
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data_vec(dibs, dmb.dmb_tok, 3, true,
						    segs, DIBS_MAX_SEGS));
	KUNIT_EXPECT_EQ(test, 1, fake->moves);
	KUNIT_EXPECT_EQ(test, DIBS_MAX_SEGS, fake->moved.nsegs);
	for (i = 0; i < DIBS_MAX_SEGS; i++) {
		KUNIT_EXPECT_EQ(test, 0,
				memcmp(dmb.cpu_addr + i * 10000,
				       src + i * 10000, segs[i].size));
		KUNIT_EXPECT_PTR_EQ(test, NULL,
				    memchr_inv(dmb.cpu_addr + i * 10000 +
					       segs[i].size, 0,
					       10000 - segs[i].size));
	}
	FAKE_EXPECT(test, signals(&dmb) == BIT(3));
	KUNIT_EXPECT_EQ(test, 1, page_count(virt_to_page(src)));
	free_pages((unsigned long)src, get_order(SZ_256K));
}

/* A cursor behind data that fills a request is in the next one, as a whole */
static void test_move_vec_whole(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_move_seg segs[2];
	struct dibs_dmb dmb;
	u8 cursor[32];
	u32 size;
	u8 *src;

	get_dmb(test, fake, dibs, &dmb, SZ_256K);
	src = vmalloc(SZ_64K);
	KUNIT_ASSERT_NOT_NULL(test, src);
	fill(src, SZ_64K, 7);
	for (size = VDIBS_CHUNK - 40; size <= VDIBS_CHUNK; size++) {
		fill(cursor, sizeof(cursor), size);
		segs[0] = (struct dibs_move_seg) { src, SZ_4K, size };
		segs[1] = (struct dibs_move_seg) { cursor, 0, sizeof(cursor) };
		fake->moves = 0;
		KUNIT_EXPECT_EQ(test, 0,
				dibs_move_data_vec(dibs, dmb.dmb_tok, 0, true,
						   segs, 2));
		KUNIT_EXPECT_EQ(test, 0,
				memcmp(dmb.cpu_addr + SZ_4K, src, size));
		KUNIT_EXPECT_EQ(test, 0,
				memcmp(dmb.cpu_addr, cursor, sizeof(cursor)));
		/* all of it in the last request, and nothing else if there are two */
		if (size + sizeof(cursor) <= VDIBS_CHUNK) {
			KUNIT_EXPECT_EQ(test, 1, fake->moves);
		} else {
			KUNIT_EXPECT_EQ(test, 2, fake->moves);
			KUNIT_EXPECT_EQ(test, sizeof(cursor), fake->moved.len);
		}
	}
	vfree(src);
}

/* Data and cursor in one request and with one doorbell */
static void test_move_vec(struct kunit *test)
{
	struct dibs_move_seg segs[DIBS_MAX_SEGS] = {
		{ "data", 1000, 4 }, { "", 0, 0 }, { "cursor", 0, 6 },
	};
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;
	unsigned int q, i;

	get_dmb(test, fake, dibs, &dmb, SZ_4K);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data_vec(dibs, dmb.dmb_tok, 2, true,
						    segs, 3));
	q = fake->moved.queue;
	KUNIT_EXPECT_EQ(test, 1, fake->moves);
	KUNIT_EXPECT_EQ(test, 1, fake->vqs[q].notified);
	KUNIT_EXPECT_EQ(test, 3, fake->moved.nsegs);
	KUNIT_EXPECT_MEMEQ(test, dmb.cpu_addr, "cursor", 6);
	KUNIT_EXPECT_MEMEQ(test, dmb.cpu_addr + 1000, "data", 4);
	FAKE_EXPECT(test, signals(&dmb) == BIT(2));

	for (i = 0; i < DIBS_MAX_SEGS; i++)
		segs[i] = (struct dibs_move_seg) { "abcdefgh" + i, i, 1 };
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data_vec(dibs, dmb.dmb_tok, 2, true,
						    segs, DIBS_MAX_SEGS));
	KUNIT_EXPECT_MEMEQ(test, dmb.cpu_addr, "abcdefgh", 8);
	KUNIT_EXPECT_EQ(test, 2, fake->moves);
}

/* A move that ends in nothing has its signal, however full the request is */
static void test_move_vec_full(struct kunit *test)
{
	struct dibs_move_seg segs[2] = { { NULL, 0, 0 }, { "", 0, 0 } };
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;
	u32 size;

	get_dmb(test, fake, dibs, &dmb, SZ_4K);
	segs[0].data = kunit_kzalloc(test, SZ_4K, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, segs[0].data);
	for (size = SZ_4K - 512; size <= SZ_4K; size++) {
		segs[0].size = size;
		fake->moved.flags = 0;
		KUNIT_EXPECT_EQ(test, 0,
				dibs_move_data_vec(dibs, dmb.dmb_tok, 1, true,
						   segs, 2));
		KUNIT_EXPECT_EQ_MSG(test, VIRTIO_DIBS_MOVE_F_SIGNAL,
				    fake->moved.flags, "%u bytes", size);
	}
}

/* More data than a request can have; a later segment overwrites an earlier */
static void test_move_vec_large(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_move_seg segs[3];
	struct dibs_dmb dmb;
	u8 *src;

	get_dmb(test, fake, dibs, &dmb, SZ_256K);
	src = vmalloc(SZ_256K);
	KUNIT_ASSERT_NOT_NULL(test, src);
	fill(src, SZ_256K, 9);
	segs[0] = (struct dibs_move_seg) { src, 0, 100000 };
	segs[1] = (struct dibs_move_seg) { src + 100000, 100000, 90000 };
	segs[2] = (struct dibs_move_seg) { "END", 50000, 3 };
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data_vec(dibs, dmb.dmb_tok, 0, true,
						    segs, 3));
	memcpy(src + 50000, "END", 3);
	KUNIT_EXPECT_MEMEQ(test, dmb.cpu_addr, src, 190000);
	KUNIT_EXPECT_EQ(test, 3, fake->moves);
	vfree(src);
}

/* The first segment that fails is the last */
static void test_move_vec_fails(struct kunit *test)
{
	struct dibs_move_seg segs[] = {
		{ "one", 0, 3 }, { "two", SZ_4K - 2, 3 }, { "three", 8, 5 },
	};
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;

	get_dmb(test, fake, dibs, &dmb, SZ_4K);
	KUNIT_EXPECT_EQ(test, -ERANGE,
			dibs_move_data_vec(dibs, dmb.dmb_tok, 0, true, segs, 3));
	KUNIT_EXPECT_EQ(test, 0, ((u8 *)dmb.cpu_addr)[8]);
	KUNIT_EXPECT_EQ(test, 0, ((u8 *)dmb.cpu_addr)[SZ_4K - 1]);
	msleep(20);
	KUNIT_EXPECT_EQ(test, 0, signals(&dmb));
}

/* D-16: all moves to one DMB use one queue, those to many use several */
static void test_move_queue(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	unsigned long used = 0;
	struct dibs_dmb dmb;
	unsigned int i, q;

	for (i = 0; i < 32; i++) {
		get_dmb(test, fake, dibs, &dmb, 1);
		KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0,
							false, 0, "1", 1));
		q = fake->moved.queue;
		used |= BIT(q);
		KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0,
							false, 0, "2", 1));
		KUNIT_EXPECT_EQ(test, q, fake->moved.queue);
	}
	/* the last one is not for ordinary moves */
	KUNIT_EXPECT_EQ(test, min(num_possible_cpus() + 1, 3u) - 1,
			hweight_long(used));
	KUNIT_EXPECT_FALSE(test, used & BIT(fake->nvqs - 1));
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data_atomic(dibs, dmb.dmb_tok, 0,
						       false, 0, "3", 1));
	KUNIT_EXPECT_EQ(test, fake->nvqs - 1, fake->moved.queue);
	KUNIT_EXPECT_EQ(test, '3', *(u8 *)dmb.cpu_addr);
}

static int atomic_rc;

static void move_in_move(struct fake *fake)
{
	fake->on_move = NULL;
	raw_spin_unlock(&fake->lock);
	atomic_rc = dibs_move_data_atomic(vfake_client.dibs, fake->moved.token,
					  0, false, 0, "x", 1);
	raw_spin_lock(&fake->lock);
}

/* The queue for emergencies is in use, by a CPU that may have been stopped */
static void test_move_atomic_busy(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb;

	get_dmb(test, fake, dibs, &dmb, SZ_4K);
	fake->on_move = move_in_move;
	atomic_rc = 0;
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data_atomic(dibs, dmb.dmb_tok, 0,
						       false, 0, "y", 1));
	KUNIT_EXPECT_EQ(test, -EBUSY, atomic_rc);

	/* while an ordinary move is under way it is free */
	fake->on_move = move_in_move;
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0, false, 0,
						"z", 1));
	KUNIT_EXPECT_EQ(test, 0, atomic_rc);
}

struct softirq_move {
	struct tasklet_struct tasklet;
	struct dibs_dev *dibs;
	u64 token;
	int rc;
	struct completion done;
};

static void softirq_move(struct tasklet_struct *t)
{
	struct softirq_move *m = from_tasklet(m, t, tasklet);

	m->rc = dibs_move_data(m->dibs, m->token, 1, true, 1, "s", 1);
	complete(&m->done);
}

/* With locks, in soft interrupts, with interrupts disabled */
static void test_move_contexts(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct softirq_move m = { .dibs = vfake_dibs(test, fake), .rc = -1 };
	struct dibs_dmb dmb;
	unsigned long flags;
	spinlock_t lock;	/* as a caller may hold one */
	int rc;

	spin_lock_init(&lock);
	get_dmb(test, fake, m.dibs, &dmb, SZ_4K);
	spin_lock_bh(&lock);
	rc = dibs_move_data(m.dibs, dmb.dmb_tok, 0, true, 0, "b", 1);
	spin_unlock_bh(&lock);
	KUNIT_EXPECT_EQ(test, 0, rc);
	local_irq_save(flags);
	rc = dibs_move_data(m.dibs, dmb.dmb_tok, 2, true, 2, "i", 1);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, 0, rc);
	m.token = dmb.dmb_tok;
	init_completion(&m.done);
	tasklet_setup(&m.tasklet, softirq_move);
	tasklet_schedule(&m.tasklet);
	wait_for_completion(&m.done);
	tasklet_kill(&m.tasklet);
	KUNIT_EXPECT_EQ(test, 0, m.rc);
	KUNIT_EXPECT_MEMEQ(test, dmb.cpu_addr, "bsi", 3);
	FAKE_EXPECT(test, signals(&dmb) == 7);
}

/* One move queue: moves and emergencies share it */
static void test_one_move_queue(struct kunit *test)
{
	struct fake *fake = vfake_new(test);
	struct dibs_dev *dibs;
	struct dibs_dmb dmb;

	fake->config.num_move_queues = cpu_to_le16(1);
	KUNIT_ASSERT_TRUE(test, vfake_plug(fake));
	dibs = vfake_dibs(test, fake);
	get_dmb(test, fake, dibs, &dmb, SZ_4K);
	KUNIT_EXPECT_EQ(test, VIRTIO_DIBS_VQ_MOVE + 1, fake->nvqs);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0, false, 0,
						"a", 1));
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data_atomic(dibs, dmb.dmb_tok, 0,
						       false, 1, "b", 1));
	KUNIT_EXPECT_MEMEQ(test, dmb.cpu_addr, "ab", 2);
}

/* -------------------------------- errors --------------------------------- */

struct status_case {
	const char *name;
	int status;
	int move;
	int reg;
	int unreg;
	int query;
	int event;
};

/* Of each status and each call; D-11: what is not expected is -EIO */
static const struct status_case status_cases[] = {
	{ "NOENT", 1, -ENOENT, -EIO, 0, -EIO, -EIO },
	{ "PERM", 2, -EPERM, -EIO, -EIO, -EIO, -EIO },
	{ "RANGE", 3, -ERANGE, -EIO, -EIO, -EIO, -EIO },
	{ "INVAL", 4, -EINVAL, -EINVAL, -EIO, -EINVAL, -EINVAL },
	{ "BUSY", 5, -EIO, -EBUSY, -EIO, -EIO, -EIO },
	{ "NOSPC", 6, -EIO, -ENOSPC, -EIO, -EIO, -EIO },
	{ "NOMEM", 7, -EIO, -ENOMEM, -EIO, -EIO, -EIO },
	{ "NETUNREACH", 8, -EIO, -EIO, -EIO, -ENETUNREACH, -ENETUNREACH },
	{ "AGAIN", 9, -EIO, -EIO, -EIO, -EIO, -EAGAIN },
	{ "OPNOTSUPP", 10, -EIO, -EIO, -EIO, -EIO, -EIO },
	{ "NODEV", 11, -ENODEV, -ENODEV, -EIO, -ENODEV, -ENODEV },
	{ "EXIST", 12, -EIO, -EIO, -EIO, -EIO, -EIO },
	{ "IO", 13, -EIO, -EIO, -EIO, -EIO, -EIO },
	{ "14", 14, -EIO, -EIO, -EIO, -EIO, -EIO },
	{ "31", 31, -EIO, -EIO, -EIO, -EIO, -EIO },
	{ "32", 32, -EIO, -EIO, -EIO, -EIO, -EIO },
	{ "huge", 0x7fffffff, -EIO, -EIO, -EIO, -EIO, -EIO },
};

KUNIT_ARRAY_PARAM_DESC(status, status_cases, name);

static void test_status(struct kunit *test)
{
	const struct status_case *c = test->param_value;
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb, two = { .dmb_len = 1, .rgid = OTHER_GID };
	uuid_t gid = OTHER_GID;

	get_dmb(test, fake, dibs, &dmb, SZ_4K);
	fake->move_status = c->status;
	fake->ctrl_status = c->status;
	KUNIT_EXPECT_EQ(test, c->move, dibs_move_data(dibs, dmb.dmb_tok, 0,
						      false, 0, "x", 1));
	KUNIT_EXPECT_EQ(test, c->reg, dibs_register_dmb(dibs, &two, me));
	KUNIT_EXPECT_EQ(test, c->query,
			dibs_query_remote_gid(dibs, &gid, 0, 0));
	KUNIT_EXPECT_EQ(test, c->event, dibs_signal_event(dibs, &gid, 0, 1, 2));
	KUNIT_EXPECT_EQ(test, c->unreg, dibs_unregister_dmb(dibs, &dmb, me));
	fake->dmbs[dmb.idx].used = false;
	fake->ctrl_status = -1;
	fake->move_status = -1;
	get_dmb(test, fake, dibs, &two, 1);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, two.dmb_tok, 0, false, 0,
						"x", 1));
	KUNIT_EXPECT_EQ(test, 1, vfake_client.added);
}

/* Refused by the device itself */
static void test_access(struct kunit *test)
{
	struct dibs_dmb dmb = { .dmb_len = SZ_4K, .rgid = OTHER_GID };
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);

	KUNIT_ASSERT_EQ(test, 0, dibs_register_dmb(dibs, &dmb, me));
	KUNIT_EXPECT_EQ(test, -EPERM, dibs_move_data(dibs, dmb.dmb_tok, 0, true,
						     0, "x", 1));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			dibs_move_data(dibs, dmb.dmb_tok + 1, 0, true, 0, "x",
				       1));
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_dmb(dibs, &dmb, me));
	get_dmb(test, fake, dibs, &dmb, SZ_4K);
	KUNIT_EXPECT_EQ(test, -ERANGE, dibs_move_data(dibs, dmb.dmb_tok, 0,
						      true, SZ_4K, "x", 1));
	KUNIT_EXPECT_EQ(test, -ERANGE,
			dibs_move_data(dibs, dmb.dmb_tok, 0, true, U32_MAX - 1,
				       "x", 1));
}

/*
 * D-14: memory of a DMB that the device may still have is not given back before
 * the reset
 */
static void test_kept(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct dibs_dmb dmb, two;
	struct page *page;

	get_dmb(test, fake, dibs, &dmb, SZ_4K);
	page = virt_to_page(dmb.cpu_addr);
	get_page(page);
	fake->ctrl_status = VIRTIO_DIBS_S_IO;
	KUNIT_EXPECT_EQ(test, -EIO, dibs_unregister_dmb(dibs, &dmb, me));
	fake->ctrl_status = -1;
	KUNIT_EXPECT_EQ(test, 2, page_count(page));
	KUNIT_EXPECT_EQ(test, -ENOENT, dibs_unregister_dmb(dibs, &dmb, me));
	get_dmb(test, fake, dibs, &two, SZ_4K);
	KUNIT_EXPECT_NE(test, two.idx, dmb.idx);
	vfake_unplug(fake);
	KUNIT_EXPECT_EQ(test, 1, page_count(page));
	put_page(page);
}

/* --------------------------- signals and events -------------------------- */

/* D-18: only idx and token together name a DMB */
static void test_signal_checked(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct virtio_dibs_signal s = { .mask = cpu_to_le16(0x11) };
	struct dibs_dmb dmb, gone;

	get_dmb(test, fake, dibs, &dmb, 1);
	get_dmb(test, fake, dibs, &gone, 1);
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_dmb(dibs, &gone, me));
	s.token = cpu_to_le64(dmb.dmb_tok + 1);
	s.idx = cpu_to_le32(dmb.idx);
	KUNIT_EXPECT_TRUE(test, vfake_signal(fake, &s, sizeof(s)));
	s.token = cpu_to_le64(dmb.dmb_tok);
	s.idx = cpu_to_le32(U32_MAX);
	KUNIT_EXPECT_TRUE(test, vfake_signal(fake, &s, sizeof(s)));
	s.token = cpu_to_le64(gone.dmb_tok);
	s.idx = cpu_to_le32(gone.idx);
	KUNIT_EXPECT_TRUE(test, vfake_signal(fake, &s, sizeof(s)));
	s.token = cpu_to_le64(dmb.dmb_tok);
	s.idx = cpu_to_le32(dmb.idx);
	KUNIT_EXPECT_TRUE(test, vfake_signal(fake, &s, sizeof(s) - 1));
	s.mask = cpu_to_le16(0x8000);
	KUNIT_EXPECT_TRUE(test, vfake_signal(fake, &s, sizeof(s)));
	FAKE_EXPECT(test, signals(&dmb) == 0x8000);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&vfake_client.runs));
}

/* D-19: buffers come back whatever was in them */
static void test_signal_many(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct virtio_dibs_signal s = {};
	struct dibs_dmb dmb;
	unsigned int i;

	get_dmb(test, fake, dibs, &dmb, 1);
	s.token = cpu_to_le64(dmb.dmb_tok);
	s.idx = cpu_to_le32(dmb.idx);
	for (i = 0; i < 20 * FAKE_RING; i++) {
		s.mask = cpu_to_le16(i % 3 ? 0 : BIT(i % 16));
		FAKE_EXPECT(test, vfake_signal(fake, &s, i % 7 ? 16 : 3));
	}
	FAKE_EXPECT(test, signals(&dmb) == 0xffff);
}

struct event_case {
	const char *name;
	u32 type;
	u32 subtype;
	u32 len;
	unsigned int n;
	struct dibs_event to[2];
};

/* D-20: unknown ones are ignored, short ones were lost; D-21 */
static const struct event_case event_cases[] = {
	{ "disabled", 0, 1, 48, 1, {
		{ .type = DIBS_DEV_EVENT, .subtype = DIBS_DEV_DISABLED } } },
	{ "err_state", 0, 2, 48, 1, {
		{ .type = DIBS_DEV_EVENT, .subtype = DIBS_DEV_ERR_STATE } } },
	{ "enabled", 0, 4, 48, 1, {
		{ .type = DIBS_DEV_EVENT, .subtype = DIBS_DEV_ENABLED } } },
	{ "restarted", 0, 6, 48, 2, {
		{ .type = DIBS_DEV_EVENT, .subtype = DIBS_DEV_DISABLED },
		{ .type = DIBS_DEV_EVENT, .subtype = DIBS_DEV_ENABLED } } },
	{ "unknown_dev", 0, 0, 48, 0 },
	{ "huge_dev", 0, U32_MAX, 48, 0 },
	{ "unregistered", 1, 0, 48, 1, {
		{ .type = DIBS_BUF_EVENT, .subtype = DIBS_BUF_UNREGISTERED,
		  .buffer_tok = 0x1122334455667788 } } },
	{ "unknown_buf", 1, 1, 48, 0 },
	{ "sw", 2, 0x12345678, 48, 1, {
		{ .type = DIBS_SW_EVENT, .subtype = 0x12345678,
		  .data = 0x99aabbccddeeff00 } } },
	{ "lost", 3, 5, 48, 1, {
		{ .type = DIBS_OTHER_EVENT, .subtype = DIBS_EVENTS_LOST } } },
	{ "unknown_other", 3, 0, 48, 0 },
	{ "unknown_type", 4, 0, 48, 0 },
	{ "huge_type", U32_MAX, 1, 48, 0 },
	{ "short", 0, 4, 47, 1, {
		{ .type = DIBS_OTHER_EVENT, .subtype = DIBS_EVENTS_LOST } } },
	{ "empty", 0, 4, 0, 1, {
		{ .type = DIBS_OTHER_EVENT, .subtype = DIBS_EVENTS_LOST } } },
	{ "longer", 0, 4, U32_MAX, 1, {
		{ .type = DIBS_DEV_EVENT, .subtype = DIBS_DEV_ENABLED } } },
};

KUNIT_ARRAY_PARAM_DESC(event, event_cases, name);

static void test_event(struct kunit *test)
{
	const struct event_case *c = test->param_value;
	struct virtio_dibs_event ev = {
		.type = cpu_to_le32(c->type),
		.subtype = cpu_to_le32(c->subtype),
		.token = cpu_to_le64(0x1122334455667788),
		.time = cpu_to_le64(77),
		.data = cpu_to_le64(0x99aabbccddeeff00),
	}, last = {
		.type = cpu_to_le32(VIRTIO_DIBS_E_SW),
	};
	struct fake *fake = vfake_start(test);
	uuid_t gid = OTHER_GID;
	struct dibs_event got;
	unsigned int i;

	export_uuid(ev.gid, &gid);
	FAKE_EXPECT(test, vfake_event(fake, &ev, c->len));
	FAKE_EXPECT(test, vfake_event(fake, &last, sizeof(last)));
	for (i = 0; i < c->n; i++) {
		vfake_event_at(i, &got);
		KUNIT_EXPECT_EQ(test, c->to[i].type, got.type);
		KUNIT_EXPECT_EQ(test, c->to[i].subtype, got.subtype);
		KUNIT_EXPECT_EQ(test, c->to[i].buffer_tok, got.buffer_tok);
		KUNIT_EXPECT_EQ(test, c->to[i].data, got.data);
		if (got.type == DIBS_OTHER_EVENT)
			continue;
		KUNIT_EXPECT_TRUE(test, uuid_equal(&gid, &got.gid));
		KUNIT_EXPECT_EQ(test, 77, got.time);
	}
	vfake_event_at(i, &got);
	KUNIT_EXPECT_EQ(test, DIBS_SW_EVENT, got.type);
}

static void test_sw_event(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	const struct virtio_dibs_signal_event *req = (void *)fake->last_ctrl;
	uuid_t gid = vfake_gid(fake), other = OTHER_GID;
	struct dibs_event got;

	KUNIT_EXPECT_EQ(test, 0, dibs_query_remote_gid(dibs, &gid, 0, 0));
	KUNIT_EXPECT_EQ(test, -ENETUNREACH,
			dibs_query_remote_gid(dibs, &other, 0, 0));
	KUNIT_EXPECT_EQ(test, -ENETUNREACH,
			dibs_signal_event(dibs, &other, 0, 1, 2));
	KUNIT_EXPECT_EQ(test, 0, dibs_signal_event(dibs, &gid, 1, 0x80, 0xabcd));
	KUNIT_EXPECT_EQ(test, VIRTIO_DIBS_C_SIGNAL_EVENT,
			le16_to_cpu(req->hdr.cmd));
	vfake_event_at(0, &got);
	KUNIT_EXPECT_EQ(test, DIBS_SW_EVENT, got.type);
	KUNIT_EXPECT_EQ(test, 0x80, got.subtype);
	KUNIT_EXPECT_EQ(test, 0xabcd, got.data);
	KUNIT_EXPECT_TRUE(test, uuid_equal(&gid, &got.gid));
}

/* --------------------------------- life ---------------------------------- */

static atomic_t movers;

static int mover(void *data)
{
	struct dibs_dev *dibs = data;
	unsigned long n = 0;
	char buf[300];
	int rc = 0;

	memset(buf, 'm', sizeof(buf));
	while (!kthread_should_stop()) {
		if (!rc)
			rc = dibs_move_data(dibs, 0x8000000000000001, 3, true,
					    0, buf, sizeof(buf));
		if (rc)
			usleep_range(100, 200);
		else if (++n == 1)
			atomic_inc(&movers);
		else if (!(n % 64))
			cond_resched();
	}
	return n && rc == -ENODEV ? 0 : rc ?: -EINVAL;
}

/* The device goes while it is being used on all CPUs */
static void test_remove_under_traffic(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs = vfake_dibs(test, fake);
	struct task_struct *tasks[4];
	struct dibs_dmb dmb;
	unsigned int i;

	get_dmb(test, fake, dibs, &dmb, SZ_4K);
	atomic_set(&movers, 0);
	for (i = 0; i < ARRAY_SIZE(tasks); i++) {
		tasks[i] = kthread_run(mover, dibs, "vdibs-mover%u", i);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, tasks[i]);
	}
	FAKE_EXPECT(test, signals(&dmb) == BIT(3));
	FAKE_EXPECT(test, atomic_read(&movers) >= ARRAY_SIZE(tasks));
	vfake_unplug(fake);
	for (i = 0; i < ARRAY_SIZE(tasks); i++)
		KUNIT_EXPECT_EQ(test, 0, kthread_stop(tasks[i]));
	KUNIT_EXPECT_EQ(test, 1, vfake_client.deleted);
	KUNIT_EXPECT_EQ(test, 0, fake->status & VIRTIO_CONFIG_S_DRIVER_OK);
	KUNIT_EXPECT_EQ(test, 0, fake->nvqs);
}

static void test_plug_again(struct kunit *test)
{
	struct fake *fake = vfake_start(test);
	unsigned int i;

	for (i = 1; i < 20; i++) {
		vfake_unplug(fake);
		KUNIT_ASSERT_TRUE(test, vfake_plug(fake));
		KUNIT_EXPECT_EQ(test, i + 1, vfake_client.added);
		KUNIT_EXPECT_EQ(test, i, vfake_client.deleted);
	}
}

/* Another GID after a suspend, as the host may have been restarted */
static void test_freeze(struct kunit *test)
{
#ifdef CONFIG_PM_SLEEP
	struct fake *fake = vfake_start(test);
	struct dibs_dev *dibs;
	struct dibs_dmb dmb;
	uuid_t gid;

	dibs = vfake_dibs(test, fake);
	get_dmb(test, fake, dibs, &dmb, SZ_4K);
	KUNIT_ASSERT_EQ(test, 0, virtio_device_freeze(&fake->vdev));
	KUNIT_EXPECT_EQ(test, 1, vfake_client.deleted);
	KUNIT_EXPECT_EQ(test, 0, fake->nvqs);
	fake->config.gid[0] ^= 1;
	gid = vfake_gid(fake);
	KUNIT_ASSERT_EQ(test, 0, virtio_device_restore(&fake->vdev));
	KUNIT_EXPECT_EQ(test, 2, vfake_client.added);
	dibs = vfake_dibs(test, fake);
	KUNIT_EXPECT_TRUE(test, uuid_equal(&gid, &dibs->gid));
	get_dmb(test, fake, dibs, &dmb, SZ_4K);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, dmb.dmb_tok, 0, true, 0,
						"x", 1));
	FAKE_EXPECT(test, signals(&dmb) == 1);
#else
	kunit_skip(test, "needs CONFIG_PM_SLEEP");
#endif
}

static struct kunit_case good_cases[] = {
	KUNIT_CASE(test_features),
	KUNIT_CASE(test_identity),
	KUNIT_CASE(test_short_dmbs),
	KUNIT_CASE(test_config_once),
	KUNIT_CASE(test_config_changes),
	KUNIT_CASE(test_no_move_callback),
	KUNIT_CASE(test_register),
	KUNIT_CASE(test_index),
	KUNIT_CASE(test_register_limits),
	KUNIT_CASE(test_pages_outlive),
	KUNIT_CASE(test_move),
	KUNIT_CASE(test_move_sources),
	KUNIT_CASE(test_move_sizes),
	KUNIT_CASE(test_move_vec),
	KUNIT_CASE(test_move_direct),
	KUNIT_CASE(test_move_vec_mixed),
	KUNIT_CASE(test_move_vec_whole),
	KUNIT_CASE(test_move_vec_full),
	KUNIT_CASE(test_move_vec_large),
	KUNIT_CASE(test_move_vec_fails),
	KUNIT_CASE(test_move_queue),
	KUNIT_CASE(test_move_atomic_busy),
	KUNIT_CASE(test_move_contexts),
	KUNIT_CASE(test_one_move_queue),
	KUNIT_CASE_PARAM(test_status, status_gen_params),
	KUNIT_CASE(test_access),
	KUNIT_CASE(test_kept),
	KUNIT_CASE(test_signal_checked),
	KUNIT_CASE(test_signal_many),
	KUNIT_CASE_PARAM(test_event, event_gen_params),
	KUNIT_CASE(test_sw_event),
	KUNIT_CASE(test_remove_under_traffic),
	KUNIT_CASE(test_plug_again),
	KUNIT_CASE(test_freeze),
	{}
};

static struct kunit_suite good_suite = {
	.name = "virtio_dibs",
	.suite_init = vfake_suite_init,
	.suite_exit = vfake_suite_exit,
	.test_cases = good_cases,
};

kunit_test_suite(good_suite);

MODULE_DESCRIPTION("KUnit tests of the virtio DIBS driver");
MODULE_LICENSE("GPL");
