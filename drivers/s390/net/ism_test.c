// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the ISM driver
 *
 * The accesses to the function are redirected to a function made up here,
 * which executes commands, keeps what it was sent, and lies when told to.
 */
#include <linux/bitops.h>
#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <kunit/device.h>
#include <kunit/static_stub.h>
#include <kunit/test-bug.h>
#include <kunit/test.h>

#include "ism.h"

#define FAKE_GID	0x1500000000000001ULL
#define FAKE_PEER	0x1500000000010001ULL
#define FAKE_TOK	0x0000004200000000ULL
#define FAKE_LOG	32
#define FAKE_REMOTE	SZ_64K

/**
 * struct fake_req - a command as the function got it
 * @word: the request
 * @words: its length
 */
struct fake_req {
	u64 word[6];
	unsigned int words;
};

/**
 * struct fake_block - a block as the function got it
 * @req: offset in the BAR
 * @size: length
 */
struct fake_block {
	u64 req;
	unsigned int size;
};

struct fake_signal {
	unsigned int idx;
	u16 mask;
};

/**
 * struct fake - the function, and what the driver reports to dibs
 * @ism: the driver's side
 * @window: the place where commands are written and responses are read
 * @payload: bytes of the request written ahead of the header
 * @broken: the driver did something that no function would put up with
 * @write_rc: how writing a command ends
 * @read_rc: how reading a response ends
 * @odd_cmd: the command that @odd_ret or @odd_len is for
 * @odd_ret: refuse @odd_cmd with this
 * @odd_len: claim this length of the response to @odd_cmd, -1 for the right one
 * @read_end: end of what was read since the last command
 * @cmds: number of commands
 * @req: the first commands
 * @tok: last token given out
 * @move_rc: how moves end, from block @move_fail on
 * @move_fail: blocks that succeed
 * @blocks: number of blocks
 * @block: the first blocks
 * @remote: where the blocks went
 * @passthrough: report to the core, too
 * @in_report: called when a signal is reported
 * @signals: number of signals reported
 * @signal: the first signals
 * @events: number of events reported
 * @event: the first events
 * @written: entries written to the event queue so far
 */
struct fake {
	struct ism_dev *ism;
	u8 window[512] __aligned(8);
	unsigned int payload;
	bool broken;
	int write_rc;
	int read_rc;
	u32 odd_cmd;
	u16 odd_ret;
	int odd_len;
	unsigned long read_end;
	unsigned int cmds;
	struct fake_req req[FAKE_LOG];
	u64 tok;
	int move_rc;
	unsigned int move_fail;
	unsigned int blocks;
	struct fake_block block[FAKE_LOG];
	u8 *remote;
	bool passthrough;
	void (*in_report)(struct fake *fake);
	unsigned int signals;
	struct fake_signal signal[FAKE_LOG];
	unsigned int events;
	struct dibs_event event[2 * FAKE_LOG];
	unsigned int written;
};

/* --------------------------- the function -------------------------------- */

static struct fake *fake_of_test(void)
{
	return kunit_get_current_test()->priv;
}

static void fake_log(struct fake *fake, unsigned int len)
{
	struct fake_req *req;

	if (fake->cmds++ >= FAKE_LOG)
		return;
	req = &fake->req[fake->cmds - 1];
	if (len > sizeof(req->word) || len % 8) {
		fake->broken = true;
		return;
	}
	memcpy(req->word, fake->window, len);
	req->words = len / 8;
}

static void fake_respond(struct fake *fake, u32 cmd, u64 *data)
{
	struct ism_resp_hdr resp = { .cmd = cmd, .len = sizeof(resp) };

	switch (cmd) {
	case ISM_READ_GID:
		data[0] = FAKE_GID;
		resp.len += sizeof(u64);
		break;
	case ISM_REG_DMB:
		fake->tok += BIT_ULL(32);
		data[0] = fake->tok;
		resp.len += sizeof(u64);
		break;
	case ISM_QUERY_INFO:
		resp.len = sizeof(((union ism_query_info *)0)->response);
		break;
	}
	if (cmd == fake->odd_cmd) {
		resp.ret = fake->odd_ret;
		if (fake->odd_len >= 0)
			resp.len = fake->odd_len;
	}
	memcpy(fake->window, &resp, sizeof(resp));
}

static int fake_write_cmd(struct ism_dev *ism, const void *data,
			  unsigned long offset, unsigned long len)
{
	struct fake *fake = fake_of_test();
	struct ism_req_hdr *hdr = (void *)fake->window;

	if (fake->write_rc)
		return fake->write_rc;
	if (!len || len % 8 || offset + len > sizeof(fake->window)) {
		fake->broken = true;
		return -ENXIO;
	}
	memcpy(fake->window + offset, data, len);
	if (offset) {
		fake->payload += len;
		return 0;
	}
	if (len != sizeof(*hdr) || hdr->len != len + fake->payload)
		fake->broken = true;
	fake->payload = 0;
	fake->read_end = 0;
	fake_log(fake, hdr->len);
	fake_respond(fake, hdr->cmd, (u64 *)(hdr + 1));
	return 0;
}

static int fake_read_cmd(struct ism_dev *ism, void *data, unsigned long offset,
			 unsigned long len)
{
	struct fake *fake = fake_of_test();

	if (fake->read_rc)
		return fake->read_rc;
	if (!len || len % 8 || offset + len > sizeof(fake->window)) {
		fake->broken = true;
		return -ENXIO;
	}
	fake->read_end = max(fake->read_end, offset + len);
	memcpy(data, fake->window + offset, len);
	return 0;
}

static int fake_move_block(struct ism_dev *ism, u64 dmb_req, const void *data,
			   unsigned int size)
{
	struct fake *fake = fake_of_test();
	u64 offset = dmb_req & ISM_MOVE_OFFSET;

	if (fake->move_rc && fake->blocks >= fake->move_fail)
		return fake->move_rc;
	if (fake->blocks < FAKE_LOG) {
		fake->block[fake->blocks].req = dmb_req;
		fake->block[fake->blocks].size = size;
	}
	fake->blocks++;
	if (offset + size <= FAKE_REMOTE)
		memcpy(fake->remote + offset, data, size);
	return 0;
}

static void fake_report_signal(struct ism_dev *ism, unsigned int idx, u16 mask)
{
	struct fake *fake = fake_of_test();

	if (fake->signals < FAKE_LOG) {
		fake->signal[fake->signals].idx = idx;
		fake->signal[fake->signals].mask = mask;
	}
	fake->signals++;
	if (fake->in_report)
		fake->in_report(fake);
	if (fake->passthrough)
		dibs_dev_signal(ism->dibs, idx, mask);
}

static void fake_report_event(struct ism_dev *ism,
			      const struct dibs_event *event)
{
	struct fake *fake = fake_of_test();

	if (fake->events < ARRAY_SIZE(fake->event))
		fake->event[fake->events] = *event;
	fake->events++;
	if (fake->passthrough)
		dibs_dev_event(ism->dibs, event);
}

/* What the function does when a peer raises a signal */
static void fake_raise(struct fake *fake, unsigned int idx, unsigned int sig)
{
	struct ism_sba *sba = fake->ism->sba;

	sba->dmbe_mask[idx] |= 0x8000 >> sig;
	set_bit_inv(ISM_SBA_DMB(idx), sba->bits);
	set_bit_inv(ISM_SBA_SUMMARY, sba->bits);
}

/* Entry n names itself in info; the index goes 1, ..., 15, 1, ... */
static void fake_write_event(struct fake *fake, u32 type, u32 code, u64 tok)
{
	struct ism_eq *ieq = fake->ism->ieq;
	unsigned int pos = fake->written++ % ISM_NR_EVENTS;

	ieq->entry[pos] = (struct ism_event) {
		.type = type,
		.code = code,
		.tok = tok,
		.time = 1000 + fake->written,
		.info = fake->written,
	};
	ieq->idx = pos + 1;
	set_bit_inv(ISM_SBA_EVENT, fake->ism->sba->bits);
	set_bit_inv(ISM_SBA_SUMMARY, fake->ism->sba->bits);
}

static void fake_interrupt(struct fake *fake)
{
	unsigned long flags;

	local_irq_save(flags);
	ism_handle_irq(0, fake->ism);
	local_irq_restore(flags);
}

/* A queue that says only how far it is */
static void fake_event_index(struct fake *fake, u64 idx)
{
	fake->ism->ieq->idx = idx;
	set_bit_inv(ISM_SBA_EVENT, fake->ism->sba->bits);
	fake_interrupt(fake);
}

static void fake_forget(struct fake *fake)
{
	fake->cmds = 0;
	fake->blocks = 0;
	fake->signals = 0;
	fake->events = 0;
	memset(fake->req, 0, sizeof(fake->req));
}

/* Make the function answer one command in an odd way */
static void fake_odd(struct fake *fake, u32 cmd, u16 ret, int len)
{
	fake->odd_cmd = cmd;
	fake->odd_ret = ret;
	fake->odd_len = len;
}

static uuid_t fake_uuid(u64 gid)
{
	uuid_t uuid = {};

	put_unaligned_be64(gid, &uuid.b[0]);
	return uuid;
}

static struct dibs_dmb fake_dmb(u32 len, u32 idx)
{
	return (struct dibs_dmb) {
		.dmb_len = len,
		.idx = idx,
		.rgid = fake_uuid(FAKE_PEER),
	};
}

static struct device *fake_parent(struct kunit *test)
{
	struct device_dma_parameters *limits;
	struct device *dev;

	limits = kunit_kzalloc(test, sizeof(*limits), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, limits);
	dev = kunit_device_register(test, "ism_fake");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	dev->dma_parms = limits;
	dev->dma_mask = &dev->coherent_dma_mask;
	KUNIT_ASSERT_EQ(test, 0,
			dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64)));
	dma_set_max_seg_size(dev, ISM_MAX_DMB_LEN);
	return dev;
}

static int ism_test_init(struct kunit *test)
{
	struct device *parent = fake_parent(test);
	struct fake *fake;

	fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake);
	test->priv = fake;
	fake->odd_len = -1;
	fake->remote = kunit_kzalloc(test, FAKE_REMOTE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake->remote);
	kunit_activate_static_stub(test, ism_write_cmd, fake_write_cmd);
	kunit_activate_static_stub(test, ism_read_cmd, fake_read_cmd);
	kunit_activate_static_stub(test, ism_move_block, fake_move_block);
	kunit_activate_static_stub(test, ism_report_signal, fake_report_signal);
	kunit_activate_static_stub(test, ism_report_event, fake_report_event);
	fake->ism = ism_dev_alloc(parent);
	KUNIT_ASSERT_NOT_NULL(test, fake->ism);
	fake->ism->fabric_id = 0x07c1;
	KUNIT_ASSERT_EQ(test, 0, ism_start(fake->ism));
	fake_forget(fake);
	return 0;
}

static void ism_test_exit(struct kunit *test)
{
	struct fake *fake = test->priv;

	if (!fake)
		return;
	KUNIT_EXPECT_FALSE(test, fake->broken);
	if (fake->ism)
		ism_dev_free(fake->ism);
}

/* ------------------------------- commands -------------------------------- */

#define HDR(cmd, len)	((u64)(cmd) << 32 | (len))

static void expect_req(struct kunit *test, unsigned int n, const u64 *words,
		       unsigned int nwords)
{
	struct fake *fake = test->priv;
	unsigned int i;

	KUNIT_ASSERT_LT(test, n, fake->cmds);
	KUNIT_EXPECT_EQ(test, fake->req[n].words, nwords);
	for (i = 0; i < nwords; i++)
		KUNIT_EXPECT_EQ_MSG(test, fake->req[n].word[i], words[i],
				    "command %u word %u", n, i);
}

#define EXPECT_REQ(test, n, words...)					\
	expect_req(test, n, ((const u64[]){ words }),			\
		   sizeof((const u64[]){ words }) / sizeof(u64))

static void ism_test_start_stop(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct ism_dev *ism = fake->ism;
	uuid_t gid = fake_uuid(FAKE_GID);

	ism->dibs->gid = uuid_null;
	KUNIT_ASSERT_EQ(test, 0, ism_start(ism));
	ism_stop(ism);
	KUNIT_ASSERT_EQ(test, fake->cmds, 6);
	EXPECT_REQ(test, 0, HDR(0x1, 16), ism->sba_dma);
	EXPECT_REQ(test, 1, HDR(0x2, 24), ism->ieq_dma, 512);
	EXPECT_REQ(test, 2, HDR(0x3, 8));
	EXPECT_REQ(test, 3, HDR(0x8, 8));
	EXPECT_REQ(test, 4, HDR(0x12, 8));
	EXPECT_REQ(test, 5, HDR(0x11, 8));
	KUNIT_EXPECT_TRUE(test, uuid_equal(&ism->dibs->gid, &gid));
}

static void ism_test_commands(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;
	struct dibs_dmb dmb = fake_dmb(SZ_16K, 77);
	uuid_t peer = fake_uuid(FAKE_PEER);

	dmb.vlan_valid = 1;
	dmb.vlan_id = 0x123;
	KUNIT_ASSERT_EQ(test, 0, ism_ops.register_dmb(dibs, &dmb));
	KUNIT_EXPECT_EQ(test, 0, ism_ops.unregister_dmb(dibs, &dmb));
	KUNIT_EXPECT_EQ(test, 0, ism_ops.query_remote_gid(dibs, &peer, 1, 5));
	KUNIT_EXPECT_EQ(test, 0, ism_ops.signal_event(dibs, &peer, 1, 0x83,
						      0x1122334455667788));
	KUNIT_EXPECT_EQ(test, 0, ism_ops.add_vlan_id(dibs, 0x1fff));
	KUNIT_EXPECT_EQ(test, 0, ism_ops.del_vlan_id(dibs, 0x1fff));
	EXPECT_REQ(test, 0, HDR(0xa, 40), dmb.dma_addr,
		   (u64)SZ_16K << 32 | 77, 1ULL << 32 | 0x123, FAKE_PEER);
	EXPECT_REQ(test, 1, HDR(0xb, 16), dmb.dmb_tok);
	EXPECT_REQ(test, 2, HDR(0x9, 24), FAKE_PEER, 1ULL << 32 | 5);
	EXPECT_REQ(test, 3, HDR(0xe, 32), FAKE_PEER, 1ULL << 32 | 0x83,
		   0x1122334455667788);
	EXPECT_REQ(test, 4, HDR(0x4, 16), 0x1fff);
	EXPECT_REQ(test, 5, HDR(0x5, 16), 0x1fff);
	KUNIT_EXPECT_EQ(test, fake->cmds, 6);
}

static void ism_test_identity(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;

	KUNIT_EXPECT_EQ(test, ism_ops.get_fabric_id(dibs), 0x07c1);
	KUNIT_EXPECT_EQ(test, ism_ops.max_dmbs(dibs),
			ISM_NR_DMBS - ISM_FIRST_DMB);
}

struct len_case {
	u32 cmd;
	unsigned int expected;
	int len;
	int rc;
};

static const struct len_case len_cases[] = {
	{ ISM_READ_GID, 16, 0, -EIO },
	{ ISM_READ_GID, 16, 7, -EIO },
	{ ISM_READ_GID, 16, 8, -EIO },
	{ ISM_READ_GID, 16, 12, -EIO },
	{ ISM_READ_GID, 16, 15, -EIO },
	{ ISM_READ_GID, 16, 16, 0 },
	{ ISM_READ_GID, 16, 17, -EIO },
	{ ISM_READ_GID, 16, 24, 0 },
	{ ISM_READ_GID, 16, 0x8000, 0 },
	{ ISM_READ_GID, 16, 0xfff8, 0 },
	{ ISM_READ_GID, 16, 0xffff, -EIO },
	{ ISM_REG_SBA, 8, 0, -EIO },
	{ ISM_REG_SBA, 8, 1, -EIO },
	{ ISM_REG_SBA, 8, 8, 0 },
	{ ISM_REG_SBA, 8, 200, 0 },
	{ ISM_REG_SBA, 8, 0xffff, -EIO },
	{ ISM_QUERY_INFO, 200, 0, 0 },	/* nobody depends on it */
	{ ISM_QUERY_INFO, 200, 0xffff, 0 },
};

static void len_case_desc(const struct len_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "command %#x length %d", c->cmd,
		 c->len);
}

KUNIT_ARRAY_PARAM(len, len_cases, len_case_desc);

/* The fake calls everything that is read beyond its window broken */
static void ism_test_response_len(struct kunit *test)
{
	const struct len_case *c = test->param_value;
	struct fake *fake = test->priv;

	fake_odd(fake, c->cmd, 0, c->len);
	KUNIT_EXPECT_EQ(test, ism_start(fake->ism), c->rc);
	KUNIT_EXPECT_FALSE(test, fake->broken);
}

static void ism_test_response_bound(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dibs_dmb dmb = fake_dmb(SZ_16K, 0);

	fake_odd(fake, ISM_REG_DMB, 0, 0xfff8);
	KUNIT_EXPECT_EQ(test, 0, ism_ops.register_dmb(fake->ism->dibs, &dmb));
	KUNIT_EXPECT_EQ(test, fake->read_end, 16);
	fake_odd(fake, ISM_UNREG_DMB, 0, 0xfff8);
	KUNIT_EXPECT_EQ(test, 0, ism_ops.unregister_dmb(fake->ism->dibs, &dmb));
	KUNIT_EXPECT_EQ(test, fake->read_end, 8);
}

static int call_query(struct dibs_dev *dibs)
{
	uuid_t peer = fake_uuid(FAKE_PEER);

	return ism_ops.query_remote_gid(dibs, &peer, 0, 0);
}

static int call_signal_event(struct dibs_dev *dibs)
{
	uuid_t peer = fake_uuid(FAKE_PEER);

	return ism_ops.signal_event(dibs, &peer, 1, 1, 1);
}

static int call_add_vlan(struct dibs_dev *dibs)
{
	return ism_ops.add_vlan_id(dibs, 1);
}

static int call_del_vlan(struct dibs_dev *dibs)
{
	return ism_ops.del_vlan_id(dibs, 1);
}

static int call_register(struct dibs_dev *dibs)
{
	struct dibs_dmb dmb = fake_dmb(SZ_16K, 0);

	return ism_ops.register_dmb(dibs, &dmb);
}

static int call_start(struct dibs_dev *dibs)
{
	return ism_start(dibs->drv_priv);
}

struct err_case {
	const char *name;
	int (*call)(struct dibs_dev *dibs);
	u32 cmd;
	int refused;
};

static const struct err_case err_cases[] = {
	{ "query", call_query, ISM_QUERY_RGID, -ENETUNREACH },
	{ "signal_event", call_signal_event, ISM_SIGNAL_IEQ, -ENETUNREACH },
	{ "add_vlan", call_add_vlan, ISM_ADD_VLAN_ID, -EIO },
	{ "del_vlan", call_del_vlan, ISM_DEL_VLAN_ID, -EIO },
	{ "register", call_register, ISM_REG_DMB, -EIO },
	{ "start, SBA", call_start, ISM_REG_SBA, -EIO },
	{ "start, IEQ", call_start, ISM_REG_IEQ, -EIO },
	{ "start, GID", call_start, ISM_READ_GID, -EIO },
};

static void err_case_desc(const struct err_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(err, err_cases, err_case_desc);

static void ism_test_errors(struct kunit *test)
{
	const struct err_case *c = test->param_value;
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;

	fake_odd(fake, c->cmd, 1, -1);
	KUNIT_EXPECT_EQ(test, c->call(dibs), c->refused);
	fake_odd(fake, c->cmd, 0xfffe, -1);
	KUNIT_EXPECT_EQ(test, c->call(dibs), c->refused);
	fake_odd(fake, c->cmd, ISM_RC_GONE, -1);
	KUNIT_EXPECT_EQ(test, c->call(dibs), -ENODEV);
	fake_odd(fake, 0, 0, -1);
	fake->write_rc = -ENXIO;
	KUNIT_EXPECT_EQ(test, c->call(dibs), -EIO);
	fake->write_rc = -EIO;
	KUNIT_EXPECT_EQ(test, c->call(dibs), -EIO);
	fake->write_rc = 0;
	KUNIT_EXPECT_TRUE(test, xa_empty(&fake->ism->dmbs));
	fake->read_rc = -EIO;
	KUNIT_EXPECT_EQ(test, c->call(dibs), -EIO);
	fake->read_rc = 0;
}

/* What was registered before the failure is unregistered again */
static void ism_test_start_unwind(struct kunit *test)
{
	struct fake *fake = test->priv;

	fake_odd(fake, ISM_REG_SBA, 1, -1);
	KUNIT_EXPECT_EQ(test, ism_start(fake->ism), -EIO);
	KUNIT_EXPECT_EQ(test, fake->cmds, 1);
	fake_forget(fake);
	fake_odd(fake, ISM_REG_IEQ, 1, -1);
	KUNIT_EXPECT_EQ(test, ism_start(fake->ism), -EIO);
	KUNIT_EXPECT_EQ(test, fake->cmds, 3);
	EXPECT_REQ(test, 2, HDR(0x11, 8));
	fake_forget(fake);
	fake_odd(fake, ISM_READ_GID, 1, -1);
	KUNIT_EXPECT_EQ(test, ism_start(fake->ism), -EIO);
	KUNIT_EXPECT_EQ(test, fake->cmds, 5);
	EXPECT_REQ(test, 3, HDR(0x12, 8));
	EXPECT_REQ(test, 4, HDR(0x11, 8));
}

/* A GID that no ISM function can have is not cut down to one that it can */
static void ism_test_foreign_gid(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;
	struct dibs_dmb dmb = fake_dmb(SZ_16K, 0);
	unsigned int i;

	for (i = 8; i < UUID_SIZE; i++) {
		uuid_t gid = fake_uuid(FAKE_PEER);

		gid.b[i] = 1;
		dmb.rgid = gid;
		KUNIT_EXPECT_EQ(test, -ENETUNREACH,
				ism_ops.query_remote_gid(dibs, &gid, 0, 0));
		KUNIT_EXPECT_EQ(test, -ENETUNREACH,
				ism_ops.signal_event(dibs, &gid, 0, 0, 0));
		KUNIT_EXPECT_EQ(test, -EINVAL,
				ism_ops.register_dmb(dibs, &dmb));
	}
	KUNIT_EXPECT_EQ(test, fake->cmds, 0);
}

/* --------------------------------- DMBs ---------------------------------- */

struct dmb_case {
	u32 len;
	u32 idx;
	int rc;
	u32 got;
};

static const struct dmb_case dmb_cases[] = {
	{ 1, 0, 0, PAGE_SIZE },
	{ PAGE_SIZE, 0, 0, PAGE_SIZE },
	{ PAGE_SIZE + 1, 0, 0, 2 * PAGE_SIZE },
	{ SZ_1M, 0, 0, SZ_1M },
	{ SZ_1M - 1, 0, 0, SZ_1M },
	{ 0, 0, -EINVAL },
	{ SZ_1M + 1, 0, -EINVAL },
	{ U32_MAX, 0, -EINVAL },
	{ U32_MAX - PAGE_SIZE + 2, 0, -EINVAL },
	{ SZ_16K, 32, 0, SZ_16K },
	{ SZ_16K, 1919, 0, SZ_16K },
	{ SZ_16K, 1, -EINVAL },
	{ SZ_16K, 31, -EINVAL },
	{ SZ_16K, 1920, -EINVAL },
	{ SZ_16K, U32_MAX, -EINVAL },
};

static void dmb_case_desc(const struct dmb_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "length %u index %u", c->len,
		 c->idx);
}

KUNIT_ARRAY_PARAM(dmb, dmb_cases, dmb_case_desc);

static void ism_test_dmb(struct kunit *test)
{
	const struct dmb_case *c = test->param_value;
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;
	struct dibs_dmb dmb = fake_dmb(c->len, c->idx);
	struct folio *folio;

	KUNIT_ASSERT_EQ(test, ism_ops.register_dmb(dibs, &dmb), c->rc);
	if (c->rc) {
		KUNIT_EXPECT_EQ(test, fake->cmds, 0);
		return;
	}
	KUNIT_EXPECT_EQ(test, dmb.dmb_len, c->got);
	KUNIT_EXPECT_GE(test, dmb.idx, ISM_FIRST_DMB);
	KUNIT_EXPECT_LT(test, dmb.idx, ISM_NR_DMBS);
	if (c->idx)
		KUNIT_EXPECT_EQ(test, dmb.idx, c->idx);
	KUNIT_EXPECT_EQ(test, dmb.dmb_tok, fake->tok);
	KUNIT_EXPECT_EQ(test, fake->req[0].word[2],
			(u64)c->got << 32 | dmb.idx);
	folio = virt_to_folio(dmb.cpu_addr);
	KUNIT_EXPECT_PTR_EQ(test, folio_address(folio), dmb.cpu_addr);
	KUNIT_EXPECT_GE(test, folio_size(folio), (size_t)c->got);
	KUNIT_EXPECT_NULL(test, memchr_inv(dmb.cpu_addr, 0, c->got));
	KUNIT_EXPECT_EQ(test, 0, ism_ops.unregister_dmb(dibs, &dmb));
	KUNIT_EXPECT_TRUE(test, xa_empty(&fake->ism->dmbs));
}

static void ism_test_dmb_index(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;
	struct dibs_dmb first = fake_dmb(SZ_16K, 32);
	struct dibs_dmb same = fake_dmb(SZ_16K, 32);
	struct dibs_dmb any = fake_dmb(SZ_16K, 0);

	KUNIT_ASSERT_EQ(test, 0, ism_ops.register_dmb(dibs, &first));
	KUNIT_EXPECT_EQ(test, -EBUSY, ism_ops.register_dmb(dibs, &same));
	KUNIT_ASSERT_EQ(test, 0, ism_ops.register_dmb(dibs, &any));
	KUNIT_EXPECT_NE(test, any.idx, 32);
	KUNIT_EXPECT_EQ(test, 0, ism_ops.unregister_dmb(dibs, &first));
	KUNIT_EXPECT_EQ(test, -ENOENT, ism_ops.unregister_dmb(dibs, &first));
	KUNIT_EXPECT_EQ(test, 0, ism_ops.register_dmb(dibs, &same));
	KUNIT_EXPECT_EQ(test, -ENOENT, ism_ops.unregister_dmb(dibs, &first));
	KUNIT_EXPECT_EQ(test, 0, ism_ops.unregister_dmb(dibs, &same));
	KUNIT_EXPECT_EQ(test, 0, ism_ops.unregister_dmb(dibs, &any));
}

static void ism_test_dmb_exhaustion(struct kunit *test)
{
	const unsigned int nr = ISM_NR_DMBS - ISM_FIRST_DMB;
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;
	struct dibs_dmb dmb, last;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		dmb = fake_dmb(1, 0);
		KUNIT_ASSERT_EQ(test, 0, ism_ops.register_dmb(dibs, &dmb));
	}
	last = fake_dmb(1, 0);
	KUNIT_EXPECT_EQ(test, -ENOSPC, ism_ops.register_dmb(dibs, &last));
	KUNIT_EXPECT_EQ(test, 0, ism_ops.unregister_dmb(dibs, &dmb));
	KUNIT_EXPECT_EQ(test, 0, ism_ops.register_dmb(dibs, &last));
	KUNIT_EXPECT_EQ(test, last.idx, dmb.idx);
	/* the rest is released with the function */
}

/* Hold the pages of a DMB, to see whether the driver still does */
static struct folio *hold(struct dibs_dmb *dmb)
{
	struct folio *folio = virt_to_folio(dmb->cpu_addr);

	folio_get(folio);
	return folio;
}

static void ism_test_unregister_fails(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;
	struct dibs_dmb dmb = fake_dmb(SZ_16K, 32);
	struct dibs_dmb other = fake_dmb(SZ_16K, 32);
	struct folio *folio;

	KUNIT_ASSERT_EQ(test, 0, ism_ops.register_dmb(dibs, &dmb));
	folio = hold(&dmb);
	fake_odd(fake, ISM_UNREG_DMB, 1, -1);
	KUNIT_EXPECT_EQ(test, -EIO, ism_ops.unregister_dmb(dibs, &dmb));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
	KUNIT_EXPECT_EQ(test, -ENOENT, ism_ops.unregister_dmb(dibs, &dmb));
	/* the function may still raise signals on this index */
	KUNIT_EXPECT_EQ(test, -EBUSY, ism_ops.register_dmb(dibs, &other));
	ism_dev_free(fake->ism);
	fake->ism = NULL;
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_put(folio);
}

/* Whether the function has executed the command is not known in these cases */
static void ism_test_unregister_unclear(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;
	struct dibs_dmb dmb[3];
	struct folio *folio[3];
	int i;

	for (i = 0; i < 3; i++) {
		dmb[i] = fake_dmb(SZ_16K, 0);
		KUNIT_ASSERT_EQ(test, 0, ism_ops.register_dmb(dibs, &dmb[i]));
		folio[i] = hold(&dmb[i]);
	}
	fake->write_rc = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, ism_ops.unregister_dmb(dibs, &dmb[0]));
	fake->write_rc = 0;
	fake->read_rc = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, ism_ops.unregister_dmb(dibs, &dmb[1]));
	fake->read_rc = 0;
	fake_odd(fake, ISM_UNREG_DMB, 0, 4);
	KUNIT_EXPECT_EQ(test, -EIO, ism_ops.unregister_dmb(dibs, &dmb[2]));
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio[i]), 2);
	ism_dev_free(fake->ism);
	fake->ism = NULL;
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio[i]), 1);
		folio_put(folio[i]);
	}
}

static void ism_test_unregister_gone(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;
	struct dibs_dmb dmb = fake_dmb(SZ_16K, 32);
	struct folio *folio;

	KUNIT_ASSERT_EQ(test, 0, ism_ops.register_dmb(dibs, &dmb));
	folio = hold(&dmb);
	fake_odd(fake, ISM_UNREG_DMB, ISM_RC_GONE, -1);
	KUNIT_EXPECT_EQ(test, 0, ism_ops.unregister_dmb(dibs, &dmb));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_TRUE(test, xa_empty(&fake->ism->dmbs));
	folio_put(folio);
}

/* The function has the buffer, but its token is not known */
static void ism_test_register_unclear(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;
	struct dibs_dmb dmb = fake_dmb(SZ_16K, 32);
	struct dibs_dmb next = fake_dmb(SZ_16K, 0);

	fake_odd(fake, ISM_REG_DMB, 0, 8);
	KUNIT_EXPECT_EQ(test, -EIO, ism_ops.register_dmb(dibs, &dmb));
	KUNIT_EXPECT_FALSE(test, xa_empty(&fake->ism->dmbs));
	fake_odd(fake, 0, 0, -1);
	KUNIT_ASSERT_EQ(test, 0, ism_ops.register_dmb(dibs, &next));
	KUNIT_EXPECT_NE(test, next.idx, 32);
}

/* --------------------------------- moves --------------------------------- */

struct move_case {
	const char *name;
	u32 offset;
	u32 size;
	bool sf;
	unsigned int blocks;
	struct {
		u32 offset;
		u32 size;
	} block[4];
};

static const struct move_case move_cases[] = {
	{ "a byte", 5, 1, true, 1, { { 5, 1 } } },
	{ "no signal", 5, 1, false, 1, { { 5, 1 } } },
	{ "a page", 0, 4096, true, 1, { { 0, 4096 } } },
	{ "up to a boundary", 4090, 6, true, 1, { { 4090, 6 } } },
	{ "across a boundary", 4095, 2, true, 2, { { 4095, 1 }, { 4096, 1 } } },
	{ "odd everywhere", 4091, 8198, true, 4,
	  { { 4091, 5 }, { 4096, 4096 }, { 8192, 4096 }, { 12288, 1 } } },
	{ "no signal, two", 100, 4096, false, 2,
	  { { 100, 3996 }, { 4096, 100 } } },
	{ "the last byte", SZ_8M - 1, 1, true, 1, { { SZ_8M - 1, 1 } } },
};

static void move_case_desc(const struct move_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(move, move_cases, move_case_desc);

static void ism_test_move(struct kunit *test)
{
	const struct move_case *c = test->param_value;
	struct fake *fake = test->priv;
	unsigned int i;
	u8 *data;
	u64 req;

	data = kunit_kmalloc(test, c->size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, data);
	for (i = 0; i < c->size; i++)
		data[i] = i * 7 + 3;
	KUNIT_EXPECT_EQ(test, 0, ism_ops.move_data(fake->ism->dibs, FAKE_TOK, 9,
						   c->sf, c->offset, data,
						   c->size));
	KUNIT_ASSERT_EQ(test, fake->blocks, c->blocks);
	for (i = 0; i < c->blocks; i++) {
		/* token, signal number << 24, signal << 23, offset */
		req = FAKE_TOK | 0x9000000 | c->block[i].offset;
		if (c->sf && i == c->blocks - 1)
			req |= 0x800000;
		KUNIT_EXPECT_EQ(test, fake->block[i].req, req);
		KUNIT_EXPECT_EQ(test, fake->block[i].size, c->block[i].size);
	}
	if (c->offset + c->size <= FAKE_REMOTE)
		KUNIT_EXPECT_MEMEQ(test, fake->remote + c->offset, data,
				   c->size);
}

static int do_move(struct fake *fake, u64 tok, bool sf, u32 offset, u32 size)
{
	static const u8 data[SZ_16K];

	return ism_ops.move_data(fake->ism->dibs, tok, 15, sf, offset, data,
				 size);
}

static void ism_test_move_range(struct kunit *test)
{
	struct fake *fake = test->priv;

	KUNIT_EXPECT_EQ(test, -ERANGE,
			do_move(fake, FAKE_TOK, true, SZ_8M - 1, 2));
	KUNIT_EXPECT_EQ(test, -ERANGE, do_move(fake, FAKE_TOK, true, SZ_8M, 1));
	KUNIT_EXPECT_EQ(test, -ERANGE, do_move(fake, FAKE_TOK, true, SZ_8M, 0));
	KUNIT_EXPECT_EQ(test, -ERANGE,
			do_move(fake, FAKE_TOK, true, 0, SZ_8M + 1));
	KUNIT_EXPECT_EQ(test, -ERANGE,
			do_move(fake, FAKE_TOK, true, U32_MAX, 1));
	KUNIT_EXPECT_EQ(test, -ERANGE,
			do_move(fake, FAKE_TOK, true, 1, U32_MAX));
	KUNIT_EXPECT_EQ(test, fake->blocks, 0);
}

/* A token comes from the peer: it must not choose signal and offset */
static void ism_test_move_token(struct kunit *test)
{
	struct fake *fake = test->priv;
	unsigned int bit;

	for (bit = 0; bit < 28; bit++)
		KUNIT_EXPECT_EQ(test, -ENOENT,
				do_move(fake, FAKE_TOK | BIT_ULL(bit), false, 0,
					1));
	KUNIT_EXPECT_EQ(test, fake->blocks, 0);
	KUNIT_EXPECT_EQ(test, 0, do_move(fake, FAKE_TOK | BIT_ULL(63), true, 0,
					 1));
	KUNIT_EXPECT_EQ(test, fake->block[0].req,
			FAKE_TOK | BIT_ULL(63) | 0xf800000);
}

/* No block follows a failed one, so the signal cannot overtake data */
static void ism_test_move_fails(struct kunit *test)
{
	struct fake *fake = test->priv;

	fake->move_rc = -EIO;
	fake->move_fail = 1;
	KUNIT_EXPECT_EQ(test, -EIO, do_move(fake, FAKE_TOK, true, 0, 12288));
	KUNIT_EXPECT_EQ(test, fake->blocks, 1);
	fake_forget(fake);
	fake->move_rc = -ENXIO;
	fake->move_fail = 0;
	KUNIT_EXPECT_EQ(test, -EIO, do_move(fake, FAKE_TOK, true, 0, 1));
	KUNIT_EXPECT_EQ(test, fake->blocks, 0);
}

static void ism_test_move_empty(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;

	KUNIT_EXPECT_EQ(test, 0, ism_ops.move_data(dibs, FAKE_TOK, 3, false, 0,
						   NULL, 0));
	KUNIT_EXPECT_EQ(test, fake->blocks, 0);
	KUNIT_EXPECT_EQ(test, 0, ism_ops.move_data(dibs, FAKE_TOK, 3, true, 8,
						   NULL, 0));
	KUNIT_ASSERT_EQ(test, fake->blocks, 1);
	KUNIT_EXPECT_EQ(test, fake->block[0].req, FAKE_TOK | 0x3800008);
	KUNIT_EXPECT_EQ(test, fake->block[0].size, 0);
	/* never lost in silence */
	fake->move_rc = -ENXIO;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, do_move(fake, FAKE_TOK, true, 0, 0));
	fake->move_rc = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, do_move(fake, FAKE_TOK, true, 0, 0));
}

static void ism_test_move_vec(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;
	const struct dibs_move_seg segs[] = {
		{ "abc", 16, 3 }, { NULL, 0, 0 }, { "de", 4095, 2 },
		{ NULL, 7, 0 }, { NULL, 0, 0 },
	};

	KUNIT_EXPECT_EQ(test, 0, ism_ops.move_data_vec(dibs, FAKE_TOK, 1, true,
						       segs, 5));
	KUNIT_ASSERT_EQ(test, fake->blocks, 3);
	KUNIT_EXPECT_EQ(test, fake->block[0].req, FAKE_TOK | 0x1000010);
	KUNIT_EXPECT_EQ(test, fake->block[1].req, FAKE_TOK | 0x1000fff);
	KUNIT_EXPECT_EQ(test, fake->block[2].req, FAKE_TOK | 0x1801000);
	KUNIT_EXPECT_MEMEQ(test, fake->remote + 16, "abc", 3);
	KUNIT_EXPECT_MEMEQ(test, fake->remote + 4095, "de", 2);
	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, 0, ism_ops.move_data_vec(dibs, FAKE_TOK, 1, true,
						       segs + 3, 2));
	KUNIT_ASSERT_EQ(test, fake->blocks, 1);
	KUNIT_EXPECT_EQ(test, fake->block[0].size, 0);
	fake_forget(fake);
	fake->move_rc = -EIO;
	fake->move_fail = 1;
	KUNIT_EXPECT_EQ(test, -EIO, ism_ops.move_data_vec(dibs, FAKE_TOK, 1,
							  true, segs, 3));
	KUNIT_EXPECT_EQ(test, fake->blocks, 1);
}

/* -------------------------------- signals -------------------------------- */

static void expect_signal(struct kunit *test, unsigned int n, unsigned int idx,
			  u16 mask)
{
	struct fake *fake = test->priv;

	KUNIT_ASSERT_LT(test, n, fake->signals);
	KUNIT_EXPECT_EQ(test, fake->signal[n].idx, idx);
	KUNIT_EXPECT_EQ(test, fake->signal[n].mask, mask);
}

static void ism_test_signals(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct ism_sba *sba = fake->ism->sba;
	unsigned int i;

	fake_raise(fake, 1919, 1);
	fake_raise(fake, 32, 0);
	fake_raise(fake, 32, 15);	/* coalesced with the one before */
	fake_raise(fake, 100, 9);
	fake_interrupt(fake);
	KUNIT_ASSERT_EQ(test, fake->signals, 3);
	expect_signal(test, 0, 32, BIT(0) | BIT(15));
	expect_signal(test, 1, 100, BIT(9));
	expect_signal(test, 2, 1919, BIT(1));
	KUNIT_EXPECT_NULL(test, memchr_inv(sba, 0, sizeof(*sba)));
	KUNIT_EXPECT_EQ(test, fake->events, 0);
	fake_forget(fake);
	for (i = 0; i < 16; i++)
		fake_raise(fake, 63 + i, i);
	fake_interrupt(fake);
	KUNIT_ASSERT_EQ(test, fake->signals, 16);
	for (i = 0; i < 16; i++)
		expect_signal(test, i, 63 + i, BIT(i));
}

/* Where the bits are, independent of the helpers that the driver uses */
static void ism_test_signal_layout(struct kunit *test)
{
	struct fake *fake = test->priv;
	u8 *sba = (u8 *)fake->ism->sba;

	sba[0] = 0x80;
	sba[4 + 100 / 8] = 0x80 >> (100 % 8);
	sba[256 + 2 * 100] = 0x20;
	fake_interrupt(fake);
	KUNIT_ASSERT_EQ(test, fake->signals, 1);
	expect_signal(test, 0, 100, BIT(2));
	KUNIT_EXPECT_EQ(test, sba[0], 0);
	KUNIT_EXPECT_EQ(test, sba[4 + 100 / 8], 0);
}

static void ism_test_signals_odd(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct ism_sba *sba = fake->ism->sba;

	memset(sba, 0xff, sizeof(*sba));	/* all, and what does not exist */
	clear_bit_inv(ISM_SBA_EVENT, sba->bits);
	fake_interrupt(fake);
	KUNIT_EXPECT_EQ(test, fake->signals, ISM_NR_DMBS - ISM_FIRST_DMB);
	expect_signal(test, 0, 32, 0xffff);
	fake_forget(fake);
	fake_interrupt(fake);			/* nothing at all */
	KUNIT_EXPECT_EQ(test, fake->signals, 0);
	set_bit_inv(ISM_SBA_DMB(50), sba->bits);	/* mask taken earlier */
	sba->dmbe_mask[51] = 0x8000;			/* bit still to come */
	fake_interrupt(fake);
	KUNIT_EXPECT_EQ(test, fake->signals, 0);
	set_bit_inv(ISM_SBA_DMB(51), sba->bits);
	fake_interrupt(fake);
	KUNIT_ASSERT_EQ(test, fake->signals, 1);
	expect_signal(test, 0, 51, BIT(0));
}

static void raise_again(struct fake *fake)
{
	/* it must be possible for this one to cause an interrupt */
	fake->broken |= test_bit_inv(ISM_SBA_SUMMARY, fake->ism->sba->bits);
	fake->in_report = NULL;
	fake_raise(fake, 40, 2);
}

static void ism_test_signal_race(struct kunit *test)
{
	struct fake *fake = test->priv;

	fake_raise(fake, 40, 1);
	fake->in_report = raise_again;
	fake_interrupt(fake);
	KUNIT_ASSERT_EQ(test, fake->signals, 1);
	expect_signal(test, 0, 40, BIT(1));
	KUNIT_EXPECT_TRUE(test, test_bit_inv(ISM_SBA_SUMMARY,
					     fake->ism->sba->bits));
	fake_interrupt(fake);
	KUNIT_ASSERT_EQ(test, fake->signals, 2);
	expect_signal(test, 1, 40, BIT(2));
}

/* A signal of the previous owner's peer is not one for the next owner */
static void ism_test_signal_discard(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;
	struct dibs_dmb dmb = fake_dmb(SZ_16K, 40);

	KUNIT_ASSERT_EQ(test, 0, ism_ops.register_dmb(dibs, &dmb));
	fake_raise(fake, 40, 1);
	fake_raise(fake, 41, 1);
	KUNIT_ASSERT_EQ(test, 0, ism_ops.unregister_dmb(dibs, &dmb));
	fake_interrupt(fake);
	KUNIT_ASSERT_EQ(test, fake->signals, 1);
	expect_signal(test, 0, 41, BIT(1));
	KUNIT_EXPECT_EQ(test, fake->ism->sba->dmbe_mask[40], 0);
}

/* -------------------------------- events --------------------------------- */

static void ism_test_event_types(struct kunit *test)
{
	struct fake *fake = test->priv;
	uuid_t peer = fake_uuid(FAKE_PEER);
	struct dibs_event *ev = fake->event;

	fake_write_event(fake, 0, 5, FAKE_TOK);
	fake_write_event(fake, 1, 6, FAKE_PEER);
	fake_write_event(fake, 2, 0x83, FAKE_PEER);
	fake_write_event(fake, 77, 8, FAKE_PEER);
	fake_interrupt(fake);
	KUNIT_ASSERT_EQ(test, fake->events, 4);
	KUNIT_EXPECT_EQ(test, ev[0].type, DIBS_BUF_EVENT);
	KUNIT_EXPECT_EQ(test, ev[0].subtype, DIBS_BUF_UNREGISTERED);
	KUNIT_EXPECT_EQ(test, ev[0].buffer_tok, FAKE_TOK);
	KUNIT_EXPECT_TRUE(test, uuid_is_null(&ev[0].gid));
	KUNIT_EXPECT_EQ(test, ev[0].time, 1001);
	KUNIT_EXPECT_EQ(test, ev[0].data, 1);
	KUNIT_EXPECT_EQ(test, ev[1].type, DIBS_DEV_EVENT);
	KUNIT_EXPECT_EQ(test, ev[1].subtype, DIBS_DEV_DISABLED);
	KUNIT_EXPECT_TRUE(test, uuid_equal(&ev[1].gid, &peer));
	KUNIT_EXPECT_EQ(test, ev[1].buffer_tok, 0);
	KUNIT_EXPECT_EQ(test, ev[2].type, DIBS_SW_EVENT);
	KUNIT_EXPECT_EQ(test, ev[2].subtype, 0x83);
	KUNIT_EXPECT_TRUE(test, uuid_equal(&ev[2].gid, &peer));
	KUNIT_EXPECT_EQ(test, ev[2].data, 3);
	KUNIT_EXPECT_EQ(test, ev[3].type, DIBS_OTHER_EVENT);
	KUNIT_EXPECT_EQ(test, ev[3].subtype, DIBS_OTHER_SUBTYPE);
	KUNIT_EXPECT_EQ(test, fake->signals, 0);
}

static void expect_lost(struct kunit *test, unsigned int n)
{
	struct fake *fake = test->priv;

	KUNIT_ASSERT_LT(test, n, fake->events);
	KUNIT_EXPECT_EQ(test, fake->event[n].type, DIBS_OTHER_EVENT);
	KUNIT_EXPECT_EQ(test, fake->event[n].subtype, DIBS_EVENTS_LOST);
}

/* Events @first, @first + 1, ... have arrived, and nothing else */
static void expect_events(struct kunit *test, u64 first, unsigned int nr)
{
	struct fake *fake = test->priv;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, fake->events, nr);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ(test, fake->event[i].type, DIBS_SW_EVENT);
		KUNIT_EXPECT_EQ(test, fake->event[i].data, first + i);
	}
}

static void write_events(struct fake *fake, unsigned int nr)
{
	while (nr--)
		fake_write_event(fake, 2, 1, FAKE_PEER);
}

static void ism_test_event_wrap(struct kunit *test)
{
	struct fake *fake = test->priv;
	unsigned int nr, first = 1;

	/* up to 14 at a time, so that each place is a first and a last one */
	for (nr = 1; nr < ISM_NR_EVENTS; nr++) {
		write_events(fake, nr);
		fake_interrupt(fake);
		expect_events(test, first, nr);
		fake_forget(fake);
		first += nr;
	}
	/* one that comes while its predecessor is handled */
	set_bit_inv(ISM_SBA_EVENT, fake->ism->sba->bits);
	fake_interrupt(fake);
	KUNIT_EXPECT_EQ(test, fake->events, 0);
}

/* 0 and 15 mean the same */
static void ism_test_event_index_zero(struct kunit *test)
{
	struct fake *fake = test->priv;

	write_events(fake, ISM_NR_EVENTS - 1);
	fake_interrupt(fake);
	fake_forget(fake);
	write_events(fake, 1);
	fake_event_index(fake, 0);
	expect_events(test, ISM_NR_EVENTS, 1);
	fake_forget(fake);
	write_events(fake, 2);
	fake_interrupt(fake);
	expect_events(test, ISM_NR_EVENTS + 1, 2);
}

static void ism_test_event_index_odd(struct kunit *test)
{
	static const u64 odd[] = { 16, 0xff, BIT_ULL(32), BIT_ULL(32) + 1,
				   S64_MAX, U64_MAX };
	struct fake *fake = test->priv;
	unsigned int i;

	write_events(fake, 1);		/* with it, some would make sense */
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		fake_forget(fake);
		fake_event_index(fake, odd[i]);
		KUNIT_EXPECT_EQ(test, fake->events, 1);
		expect_lost(test, 0);
	}
	fake_forget(fake);
	write_events(fake, 1);		/* and then it recovers */
	fake_interrupt(fake);
	expect_events(test, 1, 2);
	fake_forget(fake);
	fake_event_index(fake, 5);	/* ahead of what was written */
	KUNIT_EXPECT_EQ(test, fake->events, 1);
	expect_lost(test, 0);
}

static const unsigned int overrun_cases[] = { 15, 16, 17, 20, 28, 29, 30, 31,
					      45, 46 };

static void overrun_desc(const unsigned int *nr, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u events", *nr);
}

KUNIT_ARRAY_PARAM(overrun, overrun_cases, overrun_desc);

/* The function does not wait; whoever missed an event is told so, once */
static void ism_test_event_overrun(struct kunit *test)
{
	const unsigned int *nr = test->param_value;
	struct fake *fake = test->priv;

	write_events(fake, 3);
	fake_interrupt(fake);
	fake_forget(fake);
	write_events(fake, *nr);
	fake_interrupt(fake);
	KUNIT_EXPECT_LE(test, fake->events, ISM_NR_EVENTS);
	expect_lost(test, fake->events - 1);
	fake_forget(fake);
	write_events(fake, 2);
	fake_interrupt(fake);
	expect_events(test, *nr + 4, 2);
	fake_forget(fake);
	write_events(fake, 14);
	fake_interrupt(fake);
	expect_events(test, *nr + 6, 14);
}

/* ---------------------------- with the core ------------------------------ */

static struct {
	struct dibs_dev *dibs;
	unsigned int idx;
	u16 mask;
	struct dibs_event event;
	struct completion signalled;
	struct completion told;
} seen;

static int client_add_dev(struct dibs_dev *dibs)
{
	return dibs == seen.dibs ? 0 : -ENODEV;
}

static void client_del_dev(struct dibs_dev *dibs)
{
}

static void client_handle_irq(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
	seen.idx = idx;
	seen.mask = mask;
	complete(&seen.signalled);
}

static void client_handle_event(struct dibs_dev *dibs,
				const struct dibs_event *event)
{
	seen.event = *event;
	complete(&seen.told);
}

static const struct dibs_client_ops client_ops = {
	.add_dev = client_add_dev,
	.del_dev = client_del_dev,
	.handle_irq = client_handle_irq,
	.handle_event = client_handle_event,
};

static struct dibs_client client = {
	.name = "ism_test",
	.ops = &client_ops,
};

static void core_traffic(struct kunit *test, struct dibs_dev *dibs)
{
	struct dibs_dmb dmb = fake_dmb(SZ_16K, 0);
	struct fake *fake = test->priv;

	if (dibs_register_dmb(dibs, &dmb, &client)) {
		KUNIT_FAIL(test, "no DMB");
		return;		/* the client has to be unregistered */
	}
	fake_raise(fake, dmb.idx, 4);
	fake_write_event(fake, 2, 0x83, FAKE_PEER);
	fake_interrupt(fake);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&seen.signalled,
							    5 * HZ));
	KUNIT_EXPECT_EQ(test, seen.idx, dmb.idx);
	KUNIT_EXPECT_EQ(test, seen.mask, BIT(4));
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&seen.told,
							    5 * HZ));
	KUNIT_EXPECT_EQ(test, seen.event.subtype, 0x83);
	KUNIT_EXPECT_EQ(test, 0, dibs_move_data(dibs, FAKE_TOK, 1, true, 0,
						"x", 1));
	KUNIT_EXPECT_EQ(test, fake->blocks, 1);
	KUNIT_EXPECT_EQ(test, 0, dibs_add_vlan_id(dibs, 0x1fff));
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_dmb(dibs, &dmb, &client));
	KUNIT_EXPECT_TRUE(test, xa_empty(&fake->ism->dmbs));
}

static void ism_test_core(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;

	fake->passthrough = true;
	seen.dibs = dibs;
	init_completion(&seen.signalled);
	init_completion(&seen.told);
	KUNIT_ASSERT_EQ(test, 0, dibs_register_client(&client));
	if (!ism_dibs_add(fake->ism)) {
		KUNIT_EXPECT_TRUE(test, strstarts(dev_name(&dibs->dev), "ism"));
		core_traffic(test, dibs);
		ism_dibs_del(fake->ism);
	} else {
		KUNIT_FAIL(test, "device not added");
	}
	KUNIT_EXPECT_EQ(test, 0, dibs_unregister_client(&client));
}

/* A device that cannot be added leaves nothing, its number included */
static void ism_test_core_refuses(struct kunit *test)
{
	static const struct dibs_dev_ops none;
	struct fake *fake = test->priv;
	struct dibs_dev *dibs = fake->ism->dibs;
	int id;

	dibs->ops = &none;
	KUNIT_EXPECT_EQ(test, -EINVAL, ism_dibs_add(fake->ism));
	id = fake->ism->id;
	dibs->ops = &ism_ops;
	KUNIT_ASSERT_EQ(test, 0, ism_dibs_add(fake->ism));
	KUNIT_EXPECT_EQ(test, id, fake->ism->id);
	ism_dibs_del(fake->ism);
}

static struct kunit_case ism_test_cases[] = {
	KUNIT_CASE(ism_test_start_stop),
	KUNIT_CASE(ism_test_commands),
	KUNIT_CASE(ism_test_identity),
	KUNIT_CASE_PARAM(ism_test_response_len, len_gen_params),
	KUNIT_CASE(ism_test_response_bound),
	KUNIT_CASE_PARAM(ism_test_errors, err_gen_params),
	KUNIT_CASE(ism_test_start_unwind),
	KUNIT_CASE(ism_test_foreign_gid),
	KUNIT_CASE_PARAM(ism_test_dmb, dmb_gen_params),
	KUNIT_CASE(ism_test_dmb_index),
	KUNIT_CASE_SLOW(ism_test_dmb_exhaustion),
	KUNIT_CASE(ism_test_unregister_fails),
	KUNIT_CASE(ism_test_unregister_unclear),
	KUNIT_CASE(ism_test_unregister_gone),
	KUNIT_CASE(ism_test_register_unclear),
	KUNIT_CASE_PARAM(ism_test_move, move_gen_params),
	KUNIT_CASE(ism_test_move_range),
	KUNIT_CASE(ism_test_move_token),
	KUNIT_CASE(ism_test_move_fails),
	KUNIT_CASE(ism_test_move_empty),
	KUNIT_CASE(ism_test_move_vec),
	KUNIT_CASE(ism_test_signals),
	KUNIT_CASE(ism_test_signal_layout),
	KUNIT_CASE(ism_test_signals_odd),
	KUNIT_CASE(ism_test_signal_race),
	KUNIT_CASE(ism_test_signal_discard),
	KUNIT_CASE(ism_test_event_types),
	KUNIT_CASE(ism_test_event_wrap),
	KUNIT_CASE(ism_test_event_index_zero),
	KUNIT_CASE(ism_test_event_index_odd),
	KUNIT_CASE_PARAM(ism_test_event_overrun, overrun_gen_params),
	KUNIT_CASE(ism_test_core),
	KUNIT_CASE(ism_test_core_refuses),
	{}
};

static struct kunit_suite ism_test_suite = {
	.name = "ism",
	.init = ism_test_init,
	.exit = ism_test_exit,
	.test_cases = ism_test_cases,
};

kunit_test_suite(ism_test_suite);

MODULE_DESCRIPTION("KUnit tests of the ISM driver");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_LICENSE("GPL");
