// SPDX-License-Identifier: GPL-2.0
/*
 * Console over dibs: KUnit tests of the protocol
 *
 * A test is the device and the peer. It writes into the DMB of the link under test
 * what the peer would, and looks at what the link has moved and said.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "dibs_console.h"

#define FAKE_FABRIC	0xff42
#define PEER_TOK	0x1234567800000000ULL
#define PEER_NONCE	0xfeedULL
#define RING		DCON_RING_SIZE

static const uuid_t peer_gid =
	UUID_INIT(0x11111111, 0x2222, 0x4333, 0x84, 0x44, 1, 2, 3, 4, 5, 6);
static const uuid_t other_gid =
	UUID_INIT(0x11111111, 0x2222, 0x4333, 0x84, 0x44, 1, 2, 3, 4, 5, 7);

/**
 * struct fake - a device, a peer and the user of a link
 * @dibs: the device
 * @link: what is tested
 * @own: memory of the link's DMB, while there is one
 * @own_tok: its token, another one each time
 * @peer: the peer's DMB, whose header the link writes
 * @gone: the peer's DMB is not there any more
 * @busy: how often a move is to fail with -EBUSY
 * @signals: how often the peer was signalled
 * @code: of the last event that the link has sent
 * @info: of the same
 * @events: how many there were
 * @want: the connection is wanted
 * @take: how many bytes the user takes yet
 * @in: what it has taken
 * @in_len: how much
 * @deliveries: how often something was to be handed on
 * @breaks: how many
 * @break_at: where in @in the last one was
 * @out: what it has to send
 * @out_len: how much
 * @changes: how often the user was told of something
 * @change_at: where in @in that was the last time
 * @late: how far the peer fills the ring until it is told next how far that is empty; 0 if not
 */
struct fake {
	struct dibs_dev *dibs;
	struct dcon_link link;
	void *own;
	u64 own_tok;
	struct dcon_hdr *peer;
	bool gone;
	unsigned int busy;
	unsigned int signals;
	u32 code;
	u64 info;
	unsigned int events;
	bool want;
	size_t take;
	u8 in[2 * RING];
	size_t in_len;
	unsigned int deliveries;
	unsigned int breaks;
	size_t break_at;
	const u8 *out;
	size_t out_len;
	unsigned int changes;
	size_t change_at;
	u32 late;
};

/* ------------------------------ the device ------------------------------- */

static u16 fake_get_fabric_id(struct dibs_dev *dibs)
{
	return FAKE_FABRIC;
}

static int fake_max_dmbs(struct dibs_dev *dibs)
{
	return 8;
}

static int fake_query(struct dibs_dev *dibs, const uuid_t *rgid, u32 vid_valid,
		      u32 vid)
{
	struct fake *fake = dibs->drv_priv;

	return fake->gone ? -ENETUNREACH : 0;
}

static int fake_register_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	struct fake *fake = dibs->drv_priv;

	if (fake->own || !uuid_equal(&dmb->rgid, &peer_gid))
		return -ENOSPC;
	fake->own = kzalloc(dmb->dmb_len, GFP_KERNEL);
	if (!fake->own)
		return -ENOMEM;
	dmb->cpu_addr = fake->own;
	dmb->idx = 1;
	dmb->dmb_tok = ++fake->own_tok;
	return 0;
}

static int fake_unregister_dmb(struct dibs_dev *dibs, struct dibs_dmb *dmb)
{
	struct fake *fake = dibs->drv_priv;

	kfree(fake->own);
	fake->own = NULL;
	return 0;
}

static int fake_move_data(struct dibs_dev *dibs, u64 dmb_tok, unsigned int idx,
			  bool sf, unsigned int offset, const void *data,
			  unsigned int size)
{
	struct fake *fake = dibs->drv_priv;

	if (fake->gone || dmb_tok != PEER_TOK)
		return -ENOENT;
	if (fake->busy) {
		fake->busy--;
		return -EBUSY;
	}
	if (offset + size > DCON_DMB_SIZE)
		return -ERANGE;
	memcpy((void *)fake->peer + offset, data, size);
	fake->signals += sf;
	if (fake->late && offset + size == sizeof(struct dcon_hdr)) {
		((struct dcon_hdr *)fake->own)->prod.pos = cpu_to_le32(fake->late);
		fake->late = 0;
	}
	return 0;
}

static int fake_signal_event(struct dibs_dev *dibs, const uuid_t *rgid,
			     u32 trigger_irq, u32 event_code, u64 info)
{
	struct fake *fake = dibs->drv_priv;

	if (fake->gone || !uuid_equal(rgid, &peer_gid))
		return -ENETUNREACH;
	fake->code = event_code;
	fake->info = info;
	fake->events++;
	return 0;
}

static const struct dibs_dev_ops fake_ops = {
	.get_fabric_id		= fake_get_fabric_id,
	.max_dmbs		= fake_max_dmbs,
	.query_remote_gid	= fake_query,
	.register_dmb		= fake_register_dmb,
	.unregister_dmb		= fake_unregister_dmb,
	.move_data		= fake_move_data,
	.signal_event		= fake_signal_event,
};

/* ------------------------------- the user -------------------------------- */

static struct fake *link_to_fake(struct dcon_link *link)
{
	return container_of(link, struct fake, link);
}

static bool fake_want(struct dcon_link *link, uuid_t *peer, bool next)
{
	if (next)
		*peer = peer_gid;
	return link_to_fake(link)->want;
}

static size_t fake_receive(struct dcon_link *link, const u8 *data, size_t len)
{
	struct fake *fake = link_to_fake(link);

	len = min3(len, fake->take, sizeof(fake->in) - fake->in_len);
	memcpy(fake->in + fake->in_len, data, len);
	fake->in_len += len;
	fake->take -= len;
	return len;
}

static void fake_deliver(struct dcon_link *link)
{
	link_to_fake(link)->deliveries++;
}

static void fake_receive_break(struct dcon_link *link)
{
	struct fake *fake = link_to_fake(link);

	fake->breaks++;
	fake->break_at = fake->in_len;
}

static size_t fake_fetch(struct dcon_link *link, u8 *buf, size_t len)
{
	struct fake *fake = link_to_fake(link);

	len = min(len, fake->out_len);
	memcpy(buf, fake->out, len);
	fake->out += len;
	fake->out_len -= len;
	return len;
}

static void fake_changed(struct dcon_link *link)
{
	struct fake *fake = link_to_fake(link);

	fake->changes++;
	fake->change_at = fake->in_len;
}

static const struct dcon_link_ops fake_link_ops = {
	.want		= fake_want,
	.receive	= fake_receive,
	.deliver	= fake_deliver,
	.receive_break	= fake_receive_break,
	.fetch		= fake_fetch,
	.changed	= fake_changed,
};

/* ------------------------------- the peer -------------------------------- */

/* The link runs when a test says so, and not when it is kicked */
static void fake_link_init(struct fake *fake, enum dcon_role role)
{
	if (fake->link.ops)
		dcon_link_exit(&fake->link);
	dcon_link_init(&fake->link, role, &fake_link_ops);
	disable_delayed_work_sync(&fake->link.work);
	if (role == DCON_TERMINAL)
		fake->link.peer = peer_gid;
}

static void run(struct fake *fake)
{
	dcon_link_run(&fake->link);
}

/* As run(), after the time for the next attempt */
static void run_later(struct fake *fake)
{
	fake->link.next_try = jiffies;
	run(fake);
}

/* As run(), when it is time to see that the peer is there */
static void run_beat(struct fake *fake)
{
	fake->link.beat = jiffies;
	run(fake);
}

static void mail_from(struct fake *fake, const uuid_t *gid, u32 code, u64 info)
{
	struct dibs_event event = {
		.type = DIBS_SW_EVENT, .subtype = code, .gid = *gid,
		.data = info,
	};

	dcon_link_mail(&fake->link, fake->dibs, &event);
}

static void mail(struct fake *fake, u32 code, u64 info)
{
	mail_from(fake, &peer_gid, code, info);
}

static struct dcon_hdr *own_hdr(struct fake *fake)
{
	return fake->own;
}

static void peer_writes_setup(struct fake *fake, u64 echo)
{
	own_hdr(fake)->setup = (struct dcon_setup) {
		.magic = cpu_to_le32(DCON_MAGIC),
		.version = cpu_to_le16(DCON_VERSION),
		.size = cpu_to_le32(RING),
		.nonce = cpu_to_le64(PEER_NONCE),
		.echo = cpu_to_le64(echo),
	};
}

static u64 nonce_of(struct fake *fake)
{
	return le64_to_cpu(fake->peer->setup.nonce);
}

static u32 prod_of(struct fake *fake)
{
	return le32_to_cpu(fake->peer->prod.pos);
}

static u32 cons_of(struct fake *fake)
{
	return le32_to_cpu(fake->peer->cons.pos);
}

static void peer_says_prod(struct fake *fake, u32 pos)
{
	own_hdr(fake)->prod.pos = cpu_to_le32(pos);
}

static void peer_says_cons(struct fake *fake, u32 pos)
{
	own_hdr(fake)->cons.pos = cpu_to_le32(pos);
}

static void set_up_terminal(struct kunit *test)
{
	struct fake *fake = test->priv;

	fake_link_init(fake, DCON_TERMINAL);
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK);
	run(fake);
	KUNIT_ASSERT_NOT_NULL(test, fake->own);
	peer_writes_setup(fake, nonce_of(fake));
	run(fake);
	KUNIT_ASSERT_EQ(test, fake->link.state, DCON_UP);
	/* the first header that says what there is besides data */
	fake->signals = 0;
	fake->events = 0;
}

/* -------------------------------- set-up --------------------------------- */

static void test_terminal_setup(struct kunit *test)
{
	struct fake *fake = test->priv;

	fake_link_init(fake, DCON_TERMINAL);
	run(fake);
	KUNIT_EXPECT_NULL(test, fake->own);
	KUNIT_EXPECT_EQ(test, fake->events, 0);
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK);
	run(fake);
	KUNIT_ASSERT_EQ(test, fake->link.state, DCON_OFFERING);
	KUNIT_EXPECT_EQ(test, fake->code, DCON_EV_TERMINAL_OFFER);
	KUNIT_EXPECT_EQ(test, fake->info, fake->own_tok);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(fake->peer->setup.magic), DCON_MAGIC);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(fake->peer->setup.version), DCON_VERSION);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(fake->peer->setup.size), RING);
	KUNIT_EXPECT_NE(test, nonce_of(fake), 0);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(fake->peer->setup.echo), 0);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_OFFERING);
	peer_writes_setup(fake, nonce_of(fake));
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_UP);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(fake->peer->setup.echo), PEER_NONCE);
	KUNIT_EXPECT_STREQ(test, dcon_link_state(&fake->link), "connected");
}

static void test_console_setup(struct kunit *test)
{
	struct fake *fake = test->priv;

	fake_link_init(fake, DCON_CONSOLE);
	run(fake);
	KUNIT_ASSERT_EQ(test, fake->link.state, DCON_OFFERING);
	KUNIT_EXPECT_EQ(test, fake->code, DCON_EV_CONSOLE_OFFER);
	KUNIT_EXPECT_EQ(test, fake->info, fake->own_tok);
	/* an answer of who has not written the header is none */
	mail(fake, DCON_EV_TERMINAL_OFFER, PEER_TOK);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_OFFERING);
	peer_writes_setup(fake, 0);
	mail(fake, DCON_EV_TERMINAL_OFFER, PEER_TOK);
	run(fake);
	KUNIT_ASSERT_EQ(test, fake->link.state, DCON_GREETING);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(fake->peer->setup.echo), PEER_NONCE);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_GREETING);
	peer_writes_setup(fake, nonce_of(fake));
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_UP);
}

static void test_console_repeats(struct kunit *test)
{
	struct fake *fake = test->priv;
	u64 first;

	fake_link_init(fake, DCON_CONSOLE);
	run(fake);
	first = fake->info;
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->events, 1);
	run_later(fake);
	KUNIT_EXPECT_EQ(test, fake->events, 2);
	KUNIT_EXPECT_EQ(test, fake->info, first);
	while (fake->code == DCON_EV_CONSOLE_OFFER && fake->events < 20)
		run_later(fake);
	/* nobody answers: begin again, perhaps with somebody else */
	KUNIT_EXPECT_EQ(test, fake->code, DCON_EV_CONSOLE_BYE);
	KUNIT_EXPECT_EQ(test, fake->info, first);
	KUNIT_EXPECT_NULL(test, fake->own);
	run_later(fake);
	KUNIT_EXPECT_EQ(test, fake->code, DCON_EV_CONSOLE_OFFER);
	KUNIT_EXPECT_NE(test, fake->info, first);
}

static void test_terminal_repeats(struct kunit *test)
{
	struct fake *fake = test->priv;
	u64 first;

	fake_link_init(fake, DCON_TERMINAL);
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK);
	run(fake);
	first = fake->own_tok;
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->events, 2);
	KUNIT_EXPECT_EQ(test, fake->own_tok, first);
	/* the console has given up */
	run_later(fake);
	KUNIT_EXPECT_EQ(test, fake->code, DCON_EV_TERMINAL_BYE);
	KUNIT_EXPECT_NULL(test, fake->own);
	/* and comes again, twice: the second time with another DMB */
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK + 1);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
	/* what it offers is there, but not at once after that */
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK);
	run_later(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_OFFERING);
	KUNIT_EXPECT_NE(test, fake->own_tok, first);
}

static void test_replaced(struct kunit *test)
{
	struct fake *fake = test->priv;
	u64 first;

	set_up_terminal(test);
	first = fake->own_tok;
	/* the same again: it has not heard the last word */
	memset(&fake->peer->setup, 0, sizeof(fake->peer->setup));
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_UP);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(fake->peer->setup.echo), PEER_NONCE);
	/* another one: it has restarted, and what it had sent is not lost */
	memcpy(fake->own + DCON_RING, "last", 4);
	peer_says_prod(fake, 4);
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK + 1);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->in_len, 4);
	KUNIT_EXPECT_NE(test, fake->own_tok, first);
	KUNIT_EXPECT_NE(test, fake->link.state, DCON_UP);
}

/* It has said goodbye and offered again before the link has run */
static void test_returns(struct kunit *test)
{
	struct fake *fake = test->priv;
	u64 first;

	set_up_terminal(test);
	first = fake->own_tok;
	memcpy(fake->own + DCON_RING, "last", 4);
	peer_says_prod(fake, 4);
	mail(fake, DCON_EV_CONSOLE_BYE, PEER_TOK);
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->in_len, 4);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_OFFERING);
	KUNIT_EXPECT_EQ(test, fake->code, DCON_EV_TERMINAL_OFFER);
	KUNIT_EXPECT_EQ(test, fake->info, fake->own_tok);
	KUNIT_EXPECT_NE(test, fake->own_tok, first);
}

static void test_refused(struct kunit *test)
{
	struct fake *fake = test->priv;

	fake_link_init(fake, DCON_CONSOLE);
	run(fake);
	mail(fake, DCON_EV_TERMINAL_REFUSE, fake->own_tok + 1);
	run(fake);
	KUNIT_EXPECT_STREQ(test, dcon_link_state(&fake->link), "connecting");
	mail(fake, DCON_EV_TERMINAL_REFUSE, fake->own_tok);
	run(fake);
	KUNIT_EXPECT_STREQ(test, dcon_link_state(&fake->link), "refused");
	KUNIT_EXPECT_NULL(test, fake->own);
	/* it asks again, and is not seen to do so */
	run_later(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_OFFERING);
	KUNIT_EXPECT_STREQ(test, dcon_link_state(&fake->link), "refused");
}

/* Events from somebody else, from the wrong role, about something else */
static void test_ignored(struct kunit *test)
{
	struct dibs_event bye = {
		.type = DIBS_SW_EVENT, .subtype = DCON_EV_CONSOLE_BYE,
		.gid = peer_gid,
	};
	struct fake *fake = test->priv;
	u64 first;

	set_up_terminal(test);
	first = fake->own_tok;
	mail_from(fake, &other_gid, DCON_EV_CONSOLE_BYE, PEER_TOK);
	mail_from(fake, &other_gid, DCON_EV_CONSOLE_OFFER, PEER_TOK + 1);
	mail(fake, DCON_EV_CONSOLE_BYE, PEER_TOK + 1);
	mail(fake, DCON_EV_CONSOLE_BYE, 0);
	mail(fake, DCON_EV_CONSOLE_OFFER, 0);
	mail(fake, DCON_EV_TERMINAL_BYE, PEER_TOK);
	mail(fake, DCON_EV_TERMINAL_OFFER, PEER_TOK + 1);
	mail(fake, DCON_EV_TERMINAL_REFUSE, first);
	mail(fake, 0xdc010103, PEER_TOK);
	mail(fake, 0x100, PEER_TOK);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_UP);
	KUNIT_EXPECT_EQ(test, fake->own_tok, first);
	KUNIT_EXPECT_EQ(test, fake->events, 0);
	/* the peer says it to another device */
	bye.data = PEER_TOK;
	dcon_link_mail(&fake->link, NULL, &bye);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_UP);
	mail(fake, DCON_EV_CONSOLE_BYE, PEER_TOK);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
}

struct bad_setup {
	const char *name;
	size_t offset;
	u32 value;
	int rc;
};

#define BAD_SETUP(what, member, val, result) { \
	.name = what, .offset = offsetof(struct dcon_setup, member), \
	.value = (__force u32)(val), .rc = result }

static const struct bad_setup bad_setups[] = {
	BAD_SETUP("no magic", magic, 0, 0),
	BAD_SETUP("no size", size, 0, 0),
	BAD_SETUP("no nonce", nonce, 0, 0),
	BAD_SETUP("magic", magic, cpu_to_le32(DCON_MAGIC + 1), -EPROTO),
	BAD_SETUP("version 0", version, 0, -EPROTONOSUPPORT),
	BAD_SETUP("version 2", version, cpu_to_le32(2), -EPROTONOSUPPORT),
	BAD_SETUP("reserved", version, cpu_to_le32(0x10001), -EPROTO),
	BAD_SETUP("reserved2", reserved2, cpu_to_le32(1), -EPROTO),
	BAD_SETUP("small", size, cpu_to_le32(SZ_2K), -EPROTO),
	BAD_SETUP("large", size, cpu_to_le32(SZ_2M), -EPROTO),
	BAD_SETUP("huge", size, cpu_to_le32(0x80000000), -EPROTO),
	BAD_SETUP("no power of 2", size, cpu_to_le32(SZ_8K + 1), -EPROTO),
	BAD_SETUP("echo", echo, cpu_to_le32(1), -EPROTO),
};

static void bad_setup_name(const struct bad_setup *param, char *desc)
{
	strscpy(desc, param->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(bad_setup, bad_setups, bad_setup_name);

static void test_bad_setup(struct kunit *test)
{
	const struct bad_setup *bad = test->param_value;
	struct fake *fake = test->priv;
	struct dcon_setup setup;

	fake_link_init(fake, DCON_TERMINAL);
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK);
	run(fake);
	peer_writes_setup(fake, nonce_of(fake));
	if (bad->offset == offsetof(struct dcon_setup, nonce))
		own_hdr(fake)->setup.nonce = 0;
	*(u32 *)(fake->own + bad->offset) = bad->value;
	KUNIT_EXPECT_EQ(test, dcon_check_setup(&fake->link, &setup), bad->rc);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state,
			bad->rc ? DCON_IDLE : DCON_OFFERING);
	if (!bad->rc)
		return;
	KUNIT_EXPECT_EQ(test, fake->code, DCON_EV_TERMINAL_BYE);
	/* left alone for a while */
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK);
	run_later(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_OFFERING);
}

/* --------------------------------- rings --------------------------------- */

static void test_receive(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	memcpy(fake->own + DCON_RING, "\0hello\377", 7);
	peer_says_prod(fake, 7);
	KUNIT_EXPECT_GT(test, dcon_link_run(&fake->link), 0);
	KUNIT_EXPECT_EQ(test, fake->in_len, 7);
	KUNIT_EXPECT_MEMEQ(test, fake->in, "\0hello\377", 7);
	/* told with the answer if there is one, or else some day */
	run(fake);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 0);
	run_beat(fake);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 7);
	peer_says_prod(fake, 7 + DCON_TYPED);
	run(fake);
	run(fake);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 7);
	/* nobody has typed so much: told when no more has come */
	peer_says_prod(fake, 7 + DCON_TYPED + 1);
	KUNIT_EXPECT_EQ(test, dcon_link_run(&fake->link), 0);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 7);
	KUNIT_EXPECT_GT(test, dcon_link_run(&fake->link), 0);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 7 + DCON_TYPED + 1);
	/* nobody waits for that */
	KUNIT_EXPECT_EQ(test, fake->signals, 0);
}

/* There is no signal for what is sent before the peer has seen that the ring is empty */
static void test_receive_late(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	peer_says_prod(fake, 100);
	KUNIT_EXPECT_EQ(test, dcon_link_run(&fake->link), 0);
	fake->late = 300;
	KUNIT_EXPECT_EQ(test, dcon_link_run(&fake->link), 0);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 100);
	KUNIT_EXPECT_EQ(test, fake->in_len, 100);
	KUNIT_EXPECT_EQ(test, dcon_link_run(&fake->link), 0);
	KUNIT_EXPECT_EQ(test, fake->in_len, 300);
	KUNIT_EXPECT_GT(test, dcon_link_run(&fake->link), 0);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 300);
}

/* What is answered at once is told with the answer, whoever sends that */
static void test_receive_answered(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	memcpy(fake->own + DCON_RING, "xyz", 3);
	peer_says_prod(fake, 1);
	run(fake);
	fake->out = "XYZ";
	fake->out_len = 1;
	KUNIT_EXPECT_TRUE(test, dcon_transmit_now(&fake->link));
	KUNIT_EXPECT_EQ(test, prod_of(fake), 1);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 1);
	peer_says_cons(fake, 1);
	peer_says_prod(fake, 2);
	fake->out_len = 1;
	run(fake);
	KUNIT_EXPECT_EQ(test, prod_of(fake), 2);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 2);
	KUNIT_EXPECT_EQ(test, fake->signals, 2);
	/* there is no signal for what comes just before that, and it is not left lying */
	peer_says_cons(fake, 2);
	peer_says_prod(fake, 102);
	KUNIT_EXPECT_EQ(test, dcon_link_run(&fake->link), 0);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 2);
	fake->out_len = 1;
	fake->late = 104;
	KUNIT_EXPECT_FALSE(test, dcon_transmit_now(&fake->link));
	KUNIT_EXPECT_EQ(test, prod_of(fake), 3);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 102);
	KUNIT_EXPECT_EQ(test, fake->signals, 3);
	/* who waits for room needs the signal, whether the data does or not */
	fake->take = 1;
	peer_says_prod(fake, 102 + RING / 4);
	fake->out_len = 1;
	run(fake);
	KUNIT_EXPECT_EQ(test, prod_of(fake), 4);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 102);
	KUNIT_EXPECT_EQ(test, fake->signals, 4);
	fake->take = DCON_TYPED;
	run(fake);
	run(fake);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 103 + DCON_TYPED);
	KUNIT_EXPECT_EQ(test, fake->signals, 5);
}

/* Positions go on where 32 bits end, and rings where they begin */
static void test_receive_wraps(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	fake->link.rx_pos = -8U;
	fake->link.rx_told = -8U;
	memcpy(fake->own + DCON_RING + RING - 8, "01234567", 8);
	memcpy(fake->own + DCON_RING, "89", 2);
	peer_says_prod(fake, 2);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->in_len, 10);
	KUNIT_EXPECT_MEMEQ(test, fake->in, "0123456789", 10);
	run_beat(fake);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 2);
}

/* A user that does not take everything at once, and a peer that waits for it */
static void test_receive_parts(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	fake->take = 100;
	peer_says_prod(fake, RING);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->in_len, 100);
	run(fake);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 100);
	KUNIT_EXPECT_EQ(test, fake->signals, 1);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->signals, 1);
	/* so much is told at once */
	fake->take = RING / 4;
	run(fake);
	KUNIT_EXPECT_EQ(test, cons_of(fake), RING / 4 + 100);
	KUNIT_EXPECT_EQ(test, fake->signals, 2);
	/* what is left is not enough to wait for */
	fake->take = RING / 2;
	run(fake);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 3 * (RING / 4) + 100);
	fake->take = RING;
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->in_len, RING);
	run(fake);
	KUNIT_EXPECT_EQ(test, cons_of(fake), RING);
	KUNIT_EXPECT_EQ(test, fake->signals, 3);
}

static void signal(struct fake *fake)
{
	dcon_link_signal(&fake->link);
	flush_work(&fake->link.rx_work);
	flush_delayed_work(&fake->link.work);
}

/* A signal has the ring looked at, and what there is handed on; who does so may be kept */
static void test_signal(struct kunit *test)
{
	struct fake *fake = test->priv;
	unsigned int i;

	set_up_terminal(test);
	memcpy(fake->own + DCON_RING, "abcd", 4);
	peer_says_prod(fake, 1);
	signal(fake);
	KUNIT_EXPECT_EQ(test, fake->in_len, 1);
	KUNIT_EXPECT_EQ(test, fake->deliveries, 1);
	/* nothing new */
	signal(fake);
	KUNIT_EXPECT_EQ(test, fake->deliveries, 1);
	fake->link.rx_since = (jiffies - 10) | 1;
	enable_delayed_work(&fake->link.work);
	peer_says_prod(fake, 2);
	signal(fake);
	KUNIT_EXPECT_EQ(test, fake->in_len, 2);
	KUNIT_EXPECT_EQ(test, fake->deliveries, 1);
	/* nor by what has come before it was known that this takes long */
	fake->link.rx_since = (jiffies + 10 * HZ) | 1;
	mod_timer(&fake->link.rx_watch, jiffies);
	msleep(50);
	KUNIT_EXPECT_TRUE(test, timer_pending(&fake->link.rx_watch));
	peer_says_prod(fake, 3);
	fake->link.rx_since = (jiffies - 10) | 1;
	mod_timer(&fake->link.rx_watch, jiffies);
	for (i = 0; i < 100 && fake->in_len < 3; i++) {
		msleep(20);
		flush_delayed_work(&fake->link.work);
	}
	KUNIT_EXPECT_EQ(test, fake->in_len, 3);
	KUNIT_EXPECT_EQ(test, fake->deliveries, 1);
	fake->link.rx_since = 0;
	peer_says_prod(fake, 4);
	signal(fake);
	KUNIT_EXPECT_MEMEQ(test, fake->in, "abcd", 4);
	KUNIT_EXPECT_EQ(test, fake->deliveries, 2);
	/* nonsense ends the connection */
	peer_says_prod(fake, 1);
	signal(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
	KUNIT_EXPECT_EQ(test, fake->in_len, 4);
	disable_delayed_work_sync(&fake->link.work);
	signal(fake);
	KUNIT_EXPECT_EQ(test, fake->in_len, 4);
}

static void test_send(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	fake->out = "hello";
	fake->out_len = 5;
	run(fake);
	KUNIT_EXPECT_EQ(test, prod_of(fake), 5);
	KUNIT_EXPECT_MEMEQ(test, (void *)fake->peer + DCON_RING, "hello", 5);
	KUNIT_EXPECT_EQ(test, fake->signals, 1);
	/* the peer may have taken that, and not have said so */
	fake->out = "a wide world";
	fake->out_len = 12;
	run(fake);
	KUNIT_EXPECT_EQ(test, prod_of(fake), 17);
	KUNIT_EXPECT_EQ(test, fake->signals, 2);
	/* it is not done yet, and will look again */
	fake->out = "!?";
	fake->out_len = 1;
	run(fake);
	KUNIT_EXPECT_EQ(test, prod_of(fake), 18);
	KUNIT_EXPECT_EQ(test, fake->signals, 2);
	peer_says_cons(fake, 2);
	fake->out_len = 1;
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->signals, 3);
}

static void test_send_full(struct kunit *test)
{
	struct fake *fake = test->priv;
	u8 *data = kunit_kzalloc(test, 2 * RING, GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, data);
	get_random_bytes(data, 2 * RING);
	set_up_terminal(test);
	fake->link.tx_pos = -8U;
	peer_says_cons(fake, -8U);
	fake->out = data;
	fake->out_len = 2 * RING;
	for (i = 0; i < 2 * RING / SZ_4K; i++)
		run(fake);
	KUNIT_EXPECT_EQ(test, fake->out_len, RING);
	KUNIT_EXPECT_EQ(test, prod_of(fake), RING - 8);
	KUNIT_EXPECT_EQ(test, dcon_tx_room(&fake->link), 0);
	KUNIT_EXPECT_MEMEQ(test, (void *)fake->peer + DCON_RING, data + 8,
			   RING - 8);
	KUNIT_EXPECT_MEMEQ(test, (void *)fake->peer + DCON_RING + RING - 8,
			   data, 8);
	peer_says_cons(fake, 92);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->out_len, RING - 100);
	KUNIT_EXPECT_EQ(test, prod_of(fake), RING + 92);
}

/* To who waits for it, and only once it is connected */
static void test_send_now(struct kunit *test)
{
	struct fake *fake = test->priv;

	fake_link_init(fake, DCON_TERMINAL);
	fake->out = "a longer line than is typed";
	fake->out_len = 1;
	KUNIT_EXPECT_FALSE(test, dcon_transmit_now(&fake->link));
	KUNIT_EXPECT_EQ(test, fake->out_len, 1);
	fake->out_len = 0;
	set_up_terminal(test);
	fake->out_len = 17;
	KUNIT_EXPECT_TRUE(test, dcon_transmit_now(&fake->link));
	KUNIT_EXPECT_EQ(test, prod_of(fake), 17);
	KUNIT_EXPECT_EQ(test, fake->signals, 1);
	/* it has not taken that yet */
	fake->out_len = 2;
	KUNIT_EXPECT_FALSE(test, dcon_transmit_now(&fake->link));
	KUNIT_EXPECT_EQ(test, fake->out_len, 2);
	peer_says_cons(fake, 1);
	/* not where a mutex cannot be given back, and not while somebody sends */
	local_bh_disable();
	KUNIT_EXPECT_FALSE(test, dcon_transmit_now(&fake->link));
	local_bh_enable();
	local_irq_disable();
	KUNIT_EXPECT_FALSE(test, dcon_transmit_now(&fake->link));
	local_irq_enable();
	mutex_lock(&fake->link.tx_lock);
	KUNIT_EXPECT_FALSE(test, dcon_transmit_now(&fake->link));
	mutex_unlock(&fake->link.tx_lock);
	mutex_lock(&fake->link.lock);
	KUNIT_EXPECT_FALSE(test, dcon_transmit_now(&fake->link));
	mutex_unlock(&fake->link.lock);
	KUNIT_EXPECT_TRUE(test, dcon_transmit_now(&fake->link));
	KUNIT_EXPECT_EQ(test, prod_of(fake), 19);
	KUNIT_EXPECT_MEMEQ(test, (void *)fake->peer + DCON_RING, "a longer line than ", 19);
	/* an error ends the connection when the link runs, even if it is the only one */
	peer_says_cons(fake, 19);
	fake->out_len = 1;
	fake->busy = 1;
	KUNIT_EXPECT_FALSE(test, dcon_transmit_now(&fake->link));
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
	KUNIT_EXPECT_EQ(test, prod_of(fake), 19);
}

static void test_send_atomic(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	fake->busy = 3;
	KUNIT_EXPECT_EQ(test, dcon_send_atomic(&fake->link, "oops", 4), 0);
	KUNIT_EXPECT_EQ(test, prod_of(fake), 4);
	KUNIT_EXPECT_EQ(test, fake->signals, 1);
	KUNIT_EXPECT_MEMEQ(test, (void *)fake->peer + DCON_RING, "oops", 4);
	fake->busy = UINT_MAX;
	KUNIT_EXPECT_EQ(test, dcon_send_atomic(&fake->link, "oops", 4), -EBUSY);
	KUNIT_EXPECT_EQ(test, prod_of(fake), 4);
	fake->busy = 0;
	/* another CPU was stopped when it had sent, and before it said so */
	peer_says_cons(fake, 4);
	fake->link.tx_end = 104;
	fake->peer->prod.pos = cpu_to_le32(104);
	dcon_send_over(&fake->link);
	KUNIT_EXPECT_EQ(test, prod_of(fake), 104);
	KUNIT_EXPECT_EQ(test, dcon_send_atomic(&fake->link, "panic", 5), 0);
	KUNIT_EXPECT_EQ(test, prod_of(fake), 109);
}

static void connect_console(struct kunit *test)
{
	struct fake *fake = test->priv;

	fake->peer->prod.pos = 0;
	run_later(fake);
	KUNIT_ASSERT_NOT_NULL(test, fake->own);
	peer_writes_setup(fake, 0);
	mail(fake, DCON_EV_TERMINAL_OFFER, PEER_TOK);
	run(fake);
	peer_writes_setup(fake, nonce_of(fake));
	run(fake);
	KUNIT_ASSERT_EQ(test, fake->link.state, DCON_UP);
	run(fake);
}

/* What could not be sent is for who comes next, unless the session has ended */
static void test_forget(struct kunit *test)
{
	struct fake *fake = test->priv;
	bool forget = false;

	fake_link_init(fake, DCON_CONSOLE);
	do {
		connect_console(test);
		fake->out = "last";
		fake->out_len = 4;
		fake->gone = true;
		run(fake);
		KUNIT_ASSERT_EQ(test, fake->link.state, DCON_IDLE);
		KUNIT_EXPECT_EQ(test, fake->out_len, 0);
		fake->gone = false;
		if (forget)
			dcon_tx_forget(&fake->link);
		connect_console(test);
		KUNIT_EXPECT_EQ(test, prod_of(fake), forget ? 0 : 4);
		mail(fake, DCON_EV_TERMINAL_BYE, PEER_TOK);
		run(fake);
		KUNIT_ASSERT_EQ(test, fake->link.state, DCON_IDLE);
		forget = !forget;
	} while (forget);
}

static void test_break(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct dcon_hdr *hdr;

	set_up_terminal(test);
	hdr = own_hdr(fake);
	/* first the break is seen, and then what came before it */
	hdr->ctl.brk = cpu_to_le32(1);
	hdr->ctl.brk_pos = cpu_to_le32(3);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->breaks, 0);
	peer_says_prod(fake, 5);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->breaks, 1);
	KUNIT_EXPECT_EQ(test, fake->break_at, 3);
	KUNIT_EXPECT_EQ(test, fake->in_len, 5);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->breaks, 1);
	/* and in the other direction */
	fake->link.ctl_brk = true;
	fake->link.ctl_dirty = true;
	fake->link.tx_pos = 77;
	peer_says_cons(fake, 77);
	run(fake);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(fake->peer->ctl.brk), 1);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(fake->peer->ctl.brk_pos), 77);
}

/* What comes later does not take the break with it */
static void test_break_stays(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	fake->link.ctl_brk = true;
	fake->link.ctl_dirty = true;
	run(fake);
	fake->out = "h";
	fake->out_len = 1;
	run(fake);
	fake->link.ctl_dirty = true;
	run(fake);
	KUNIT_EXPECT_EQ(test, prod_of(fake), 1);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(fake->peer->ctl.brk), 1);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(fake->peer->ctl.brk_pos), 0);
}

/* The end of a connection is one look at the ring */
static void test_drain_ends(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	peer_says_prod(fake, 10);
	fake->out = "late";
	fake->out_len = 4;
	mail(fake, DCON_EV_CONSOLE_BYE, PEER_TOK);
	run(fake);
	/* the last of it was read, and nothing sent to who has left */
	KUNIT_EXPECT_EQ(test, fake->in_len, 10);
	KUNIT_EXPECT_EQ(test, fake->out_len, 4);
	KUNIT_EXPECT_EQ(test, prod_of(fake), 0);
}

/* A peer that lies about its ring: sends fail, and it is left alone */
static void test_found_by_sender(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	fake->link.broken = -EPROTO;
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
	KUNIT_EXPECT_EQ(test, fake->link.errors, 1);
}

/* Good news do not take back an offer that is under way */
static void test_hurry(struct kunit *test)
{
	struct fake *fake = test->priv;
	u64 first;

	fake_link_init(fake, DCON_CONSOLE);
	run(fake);
	first = fake->own_tok;
	dcon_link_hurry(&fake->link);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->own_tok, first);
	KUNIT_EXPECT_EQ(test, fake->code, DCON_EV_CONSOLE_OFFER);
	KUNIT_EXPECT_EQ(test, fake->events, 2);
}

/* What is sent before the line is closed, and after it was opened, is of that session */
static void test_hangup(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	own_hdr(fake)->ctl.flags = cpu_to_le32(DCON_READY);
	run(fake);
	peer_says_prod(fake, 3);
	own_hdr(fake)->ctl.flags = 0;
	/* it may be open again: another look at once */
	KUNIT_EXPECT_EQ(test, dcon_link_run(&fake->link), 0);
	KUNIT_EXPECT_FALSE(test, fake->link.peer_ready);
	KUNIT_EXPECT_EQ(test, fake->change_at, 3);
	peer_says_prod(fake, 5);
	own_hdr(fake)->ctl.flags = cpu_to_le32(DCON_READY);
	run(fake);
	KUNIT_EXPECT_TRUE(test, fake->link.peer_ready);
	KUNIT_EXPECT_EQ(test, fake->change_at, 3);
	KUNIT_EXPECT_EQ(test, fake->in_len, 5);
}

static void test_ctl(struct kunit *test)
{
	struct fake *fake = test->priv;
	unsigned int changes;

	set_up_terminal(test);
	changes = fake->changes;
	own_hdr(fake)->ctl.rows = cpu_to_le16(24);
	own_hdr(fake)->ctl.cols = cpu_to_le16(80);
	own_hdr(fake)->ctl.flags = cpu_to_le32(DCON_READY);
	run(fake);
	KUNIT_EXPECT_TRUE(test, fake->link.peer_ready);
	KUNIT_EXPECT_EQ(test, fake->link.rows, 24);
	KUNIT_EXPECT_EQ(test, fake->link.cols, 80);
	KUNIT_EXPECT_EQ(test, fake->changes, changes + 1);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->changes, changes + 1);
}

struct bad_hdr {
	const char *name;
	size_t offset;
	u32 value;
};

#define BAD_HDR(what, member, val) { \
	.name = what, .offset = offsetof(struct dcon_hdr, member), \
	.value = (__force u32)(val) }

/* 1000 bytes were received, and 2000 sent, of which the peer has taken 500 */
static const struct bad_hdr bad_hdrs[] = {
	BAD_HDR("prod backwards", prod.pos, cpu_to_le32(999)),
	BAD_HDR("prod 0", prod.pos, 0),
	BAD_HDR("prod too far", prod.pos, cpu_to_le32(1000 + RING + 1)),
	BAD_HDR("prod negative", prod.pos, cpu_to_le32(-1U)),
	BAD_HDR("cons ahead of prod", cons.pos, cpu_to_le32(2001)),
	BAD_HDR("cons too far", cons.pos, cpu_to_le32(0x80000000)),
	BAD_HDR("cons more than a ring behind", cons.pos,
		cpu_to_le32(1999 - RING)),
	BAD_HDR("break behind", ctl.brk, cpu_to_le32(1)),
	BAD_HDR("flags", ctl.flags, cpu_to_le32(2)),
	BAD_HDR("all flags", ctl.flags, cpu_to_le32(-1U)),
	BAD_HDR("magic", setup.magic, 0),
	BAD_HDR("version", setup.version, cpu_to_le32(2)),
	BAD_HDR("size", setup.size, cpu_to_le32(RING / 2)),
	BAD_HDR("nonce", setup.nonce, cpu_to_le32(1)),
	BAD_HDR("echo", setup.echo, cpu_to_le32(1)),
};

static void bad_hdr_name(const struct bad_hdr *param, char *desc)
{
	strscpy(desc, param->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(bad_hdr, bad_hdrs, bad_hdr_name);

static void test_bad_hdr(struct kunit *test)
{
	const struct bad_hdr *bad = test->param_value;
	struct fake *fake = test->priv;

	set_up_terminal(test);
	fake->link.rx_pos = 1000;
	fake->link.rx_told = 1000;
	fake->link.tx_pos = 2000;
	peer_says_prod(fake, 1000);
	peer_says_cons(fake, 500);
	run(fake);
	KUNIT_ASSERT_EQ(test, fake->link.state, DCON_UP);
	*(u32 *)(fake->own + bad->offset) = bad->value;
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
	KUNIT_EXPECT_EQ(test, fake->in_len, 0);
	KUNIT_EXPECT_EQ(test, fake->events, 1);
	KUNIT_EXPECT_EQ(test, fake->code, DCON_EV_TERMINAL_BYE);
	KUNIT_EXPECT_FALSE(test, fake->link.up);
	run_later(fake);
	KUNIT_EXPECT_EQ(test, fake->events, 1);
}

/* Whatever is in the header, the link takes it, or leaves the peer alone */
static void test_random_hdr(struct kunit *test)
{
	struct fake *fake = test->priv;
	unsigned int i, resets = 0;

	set_up_terminal(test);
	for (i = 0; i < 20000; i++) {
		fake->in_len = 0;
		fake->take = get_random_u32_below(RING);
		if (get_random_u32_below(2))
			get_random_bytes(fake->own + get_random_u32_below(96),
					 1 + get_random_u32_below(4));
		else
			peer_says_prod(fake, fake->link.rx_pos +
				       get_random_u32_below(RING));
		run(fake);
		if (fake->link.state == DCON_UP)
			continue;
		resets++;
		KUNIT_ASSERT_EQ(test, fake->link.state, DCON_IDLE);
		fake->link.next_try = jiffies;
		set_up_terminal(test);
	}
	KUNIT_EXPECT_GT(test, resets, 1000);
}

/* ---------------------------------- end ---------------------------------- */

static void test_peer_gone(struct kunit *test)
{
	struct dibs_event event = {
		.type = DIBS_DEV_EVENT, .subtype = DIBS_DEV_DISABLED,
		.gid = peer_gid,
	};
	struct fake *fake = test->priv;

	set_up_terminal(test);
	memcpy(fake->own + DCON_RING, "bye", 3);
	peer_says_prod(fake, 3);
	fake->gone = true;
	event.gid = other_gid;
	dcon_link_mail(&fake->link, fake->dibs, &event);
	event.gid = peer_gid;
	dcon_link_mail(&fake->link, fake->dibs, &event);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
	KUNIT_EXPECT_EQ(test, fake->in_len, 3);
}

/* No event at all: the next beat finds out */
static void test_events_lost(struct kunit *test)
{
	struct dibs_event event = {
		.type = DIBS_OTHER_EVENT, .subtype = DIBS_EVENTS_LOST,
	};
	struct fake *fake = test->priv;

	set_up_terminal(test);
	run(fake);
	fake->gone = true;
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_UP);
	fake->link.beat = jiffies;
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
	fake->gone = false;
	fake->link.next_try = jiffies;
	set_up_terminal(test);
	fake->gone = true;
	dcon_link_mail(&fake->link, fake->dibs, &event);
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
}

/* A beat signals if something is left, as its signal may have been lost */
static void test_beat(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	KUNIT_EXPECT_EQ(test, dcon_beat(&fake->link), 0);
	KUNIT_EXPECT_EQ(test, fake->signals, 0);
	fake->out = "x";
	fake->out_len = 1;
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->signals, 1);
	KUNIT_EXPECT_EQ(test, dcon_beat(&fake->link), 0);
	KUNIT_EXPECT_EQ(test, fake->signals, 2);
	/* it is what tells a peer that waits for room */
	peer_says_cons(fake, 1);
	fake->take = 100;
	peer_says_prod(fake, RING / 2);
	run_beat(fake);
	KUNIT_EXPECT_EQ(test, cons_of(fake), 100);
	KUNIT_EXPECT_EQ(test, fake->signals, 3);
}

static void test_unwanted(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	fake->want = false;
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
	KUNIT_EXPECT_EQ(test, fake->code, DCON_EV_TERMINAL_BYE);
	fake->want = true;
	set_up_terminal(test);
}

static void test_device_leaves(struct kunit *test)
{
	struct fake *fake = test->priv;

	set_up_terminal(test);
	mail(fake, DCON_EV_CONSOLE_OFFER, PEER_TOK + 1);
	dcon_link_drop_dev(&fake->link, fake->dibs);
	KUNIT_EXPECT_NULL(test, fake->own);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
	/* the offer came from a device that is not there any more */
	run(fake);
	KUNIT_EXPECT_EQ(test, fake->link.state, DCON_IDLE);
}

static struct kunit_case dcon_test_cases[] = {
	KUNIT_CASE(test_terminal_setup),
	KUNIT_CASE(test_console_setup),
	KUNIT_CASE(test_console_repeats),
	KUNIT_CASE(test_terminal_repeats),
	KUNIT_CASE(test_replaced),
	KUNIT_CASE(test_returns),
	KUNIT_CASE(test_refused),
	KUNIT_CASE(test_ignored),
	KUNIT_CASE_PARAM(test_bad_setup, bad_setup_gen_params),
	KUNIT_CASE(test_receive),
	KUNIT_CASE(test_receive_late),
	KUNIT_CASE(test_receive_answered),
	KUNIT_CASE(test_receive_wraps),
	KUNIT_CASE(test_receive_parts),
	KUNIT_CASE(test_signal),
	KUNIT_CASE(test_send),
	KUNIT_CASE(test_send_full),
	KUNIT_CASE(test_send_now),
	KUNIT_CASE(test_send_atomic),
	KUNIT_CASE(test_forget),
	KUNIT_CASE(test_break),
	KUNIT_CASE(test_break_stays),
	KUNIT_CASE(test_drain_ends),
	KUNIT_CASE(test_found_by_sender),
	KUNIT_CASE(test_hurry),
	KUNIT_CASE(test_ctl),
	KUNIT_CASE(test_hangup),
	KUNIT_CASE_PARAM(test_bad_hdr, bad_hdr_gen_params),
	KUNIT_CASE_SLOW(test_random_hdr),
	KUNIT_CASE(test_peer_gone),
	KUNIT_CASE(test_events_lost),
	KUNIT_CASE(test_beat),
	KUNIT_CASE(test_unwanted),
	KUNIT_CASE(test_device_leaves),
	{}
};

static int dcon_test_init(struct kunit *test)
{
	struct fake *fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fake);
	test->priv = fake;
	fake->peer = kunit_kzalloc(test, DCON_DMB_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake->peer);
	fake->want = true;
	fake->take = sizeof(fake->in);
	fake->dibs = dibs_dev_alloc();
	KUNIT_ASSERT_NOT_NULL(test, fake->dibs);
	fake->dibs->ops = &fake_ops;
	fake->dibs->drv_priv = fake;
	dev_set_name(&fake->dibs->dev, "dcon-test");
	KUNIT_ASSERT_EQ(test, dibs_dev_add(fake->dibs), 0);
	return 0;
}

static void dcon_test_exit(struct kunit *test)
{
	struct fake *fake = test->priv;

	if (!fake || !fake->dibs)
		return;
	if (fake->link.ops) {
		dcon_link_drop_dev(&fake->link, fake->dibs);
		dcon_link_exit(&fake->link);
	}
	dibs_dev_del(fake->dibs);
	put_device(&fake->dibs->dev);
}

static struct kunit_suite dcon_test_suite = {
	.name		= "dibs_console",
	.init		= dcon_test_init,
	.exit		= dcon_test_exit,
	.test_cases	= dcon_test_cases,
};

kunit_test_suite(dcon_test_suite);

MODULE_DESCRIPTION("Console over dibs, KUnit tests");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_LICENSE("GPL");
