// SPDX-License-Identifier: GPL-2.0
/*
 * What Documentation/networking/virtio-dibs.rst asks of a device, by a driver that
 * behaves: see the table at the end of it for which test is for which statement
 */
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "tap.h"

#define PAGE	4096u
#define DMB_LEN	(1u << 20)
#define CTRL	VIRTIO_DIBS_VQ_CTRL
#define SIGNALQ	VIRTIO_DIBS_VQ_SIGNAL
#define MOVEQ	VIRTIO_DIBS_VQ_MOVE

static struct guest a, b;

static void setup(void)
{
	daemon_start(2, NULL);
	g_open(&a, 0);
	g_open(&b, 1);
	CHECK_EQ(g_event(&a).subtype, VIRTIO_DIBS_E_DEV_ENABLED);
	CHECK_EQ(g_event(&b).subtype, VIRTIO_DIBS_E_DEV_ENABLED);
}

static void teardown(void)
{
	CHECK_EQ(g_query(&a, b.gid), 0);
	CHECK_EQ(g_query(&b, a.gid), 0);
	g_close(&a);
	g_close(&b);
	daemon_stop();
}

/* Of b, for a */
static uint64_t dmb(uint32_t idx, uint32_t at, uint32_t len)
{
	uint64_t token;

	CHECK_EQ(g_register(&b, idx, a.gid, at, len, &token), 0);
	CHECK(token);
	return token;
}

/* ------------------------------- the device ------------------------------- */

/* V-1, V-2 */
static void features_offered(void)
{
	uint32_t low, high;

	setup();
	g_reg_write(&a, 0, VIRTIO_PCI_COMMON_DFSELECT, 0, 4);
	low = g_reg_read(&a, 0, VIRTIO_PCI_COMMON_DF, 4);
	g_reg_write(&a, 0, VIRTIO_PCI_COMMON_DFSELECT, 1, 4);
	high = g_reg_read(&a, 0, VIRTIO_PCI_COMMON_DF, 4);
	CHECK_EQ(low, 1u << VIRTIO_RING_F_INDIRECT_DESC | 1u << VIRTIO_RING_F_EVENT_IDX);
	CHECK_EQ(high, 1u << (VIRTIO_F_VERSION_1 - 32) |
		       1u << (VIRTIO_F_ACCESS_PLATFORM - 32));
	g_reg_write(&a, 0, VIRTIO_PCI_COMMON_DFSELECT, 2, 4);
	CHECK_EQ(g_reg_read(&a, 0, VIRTIO_PCI_COMMON_DF, 4), 0);
	teardown();
}

static void read_config(struct guest *g, uint8_t *buf)
{
	uint32_t i;

	for (i = 0; i < sizeof(struct virtio_dibs_config); i++)
		buf[i] = g_reg_read(g, 0, 0x2000 + i, 1);
	buf[i] = g_reg_read(g, 0, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
}

static void check_config(const uint8_t *want)
{
	uint8_t have[sizeof(struct virtio_dibs_config) + 1];

	read_config(&a, have);
	CHECK(!memcmp(have, want, sizeof(have)));
}

/* V-3, V-4: whatever happens meanwhile */
static void config_does_not_change(void)
{
	static const uint8_t nil[16];
	uint8_t first[sizeof(struct virtio_dibs_config) + 1];

	setup();
	CHECK(memcmp(a.gid, nil, sizeof(nil)));
	CHECK(memcmp(a.gid, b.gid, sizeof(nil)));
	g_reset(&a);
	read_config(&a, first);
	CHECK(!memcmp(first, a.gid, sizeof(a.gid)));
	g_setup(&a);
	check_config(first);
	g_start(&a);
	check_config(first);
	CHECK_EQ(g_register(&a, 1, b.gid, G_DMBS, PAGE, NULL), 0);
	g_reset(&b);
	check_config(first);
	daemon_kill_worker();
	check_config(first);
	g_setup(&b);
	g_start(&b);
	check_config(first);
	teardown();
}

/* V-5 */
static void queues_are_long(void)
{
	uint32_t i, nr;

	setup();
	g_reset(&a);
	nr = g_reg_read(&a, 0, VIRTIO_PCI_COMMON_NUMQ, 2);
	CHECK(nr > MOVEQ);
	for (i = 0; i < nr; i++) {
		g_reg_write(&a, 0, VIRTIO_PCI_COMMON_Q_SELECT, i, 2);
		CHECK(g_reg_read(&a, 0, VIRTIO_PCI_COMMON_Q_SIZE, 2) >= 16);
	}
	g_setup(&a);
	g_start(&a);
	teardown();
}

/* ------------------------------ control queue ------------------------------ */

/* V-11: all of it is written, whatever the answer is */
static void answers_are_whole(void)
{
	struct virtio_dibs_ctrl_resp *resp;
	uint64_t token;

	setup();
	resp = (void *)(a.mem + G_ANSWER);
	CHECK_EQ(g_register(&a, 1, b.gid, G_DMBS, PAGE, &token), 0);
	CHECK(token);
	CHECK_EQ(resp->reserved, 0);
	CHECK_EQ(g_register(&a, 1, b.gid, G_DMBS, PAGE, &token), VIRTIO_DIBS_S_BUSY);
	CHECK_EQ(token, 0);
	CHECK_EQ(resp->reserved, 0);
	CHECK_EQ(g_query(&a, b.gid), 0);
	CHECK_EQ(resp->token, 0);
	CHECK_EQ(g_control(&a, 3, &token), VIRTIO_DIBS_S_INVAL);
	CHECK_EQ(token, 0);
	resp->reserved = 0xeeeeeeee;
	/* 4 bytes: the rest is what was there before */
	CHECK_EQ(g_move(&a, MOVEQ, 1, 0, "x", 1, 0), VIRTIO_DIBS_S_NOENT);
	CHECK_EQ(resp->reserved, 0xeeeeeeee);
	teardown();
}

/* V-16: each request finds what those before it have made */
static void control_in_order(void)
{
	struct virtio_dibs_register_dmb *r;
	uint32_t i, len = sizeof(*r) + sizeof(r->ranges[0]);

	setup();
	for (i = 0; i < 10; i++) {
		struct g_piece out = { G_REQUEST + i * 256, len };
		struct g_piece in = { G_ANSWER + i * 16, 16 };

		r = (void *)(a.mem + out.at);
		memset(r, 0, len);
		r->hdr.cmd = VIRTIO_DIBS_C_REGISTER_DMB;
		memcpy(r->rgid, b.gid, sizeof(r->rgid));
		r->idx = i / 2;
		r->len = PAGE;
		r->nranges = 1;
		r->ranges[0] = (struct virtio_dibs_range){ g_iova(G_DMBS), PAGE, 0 };
		g_add_chain(&a, CTRL, &out, 1, &in, 1);
	}
	g_kick(&a, CTRL);
	for (i = 0; i < 10; i++) {
		CHECK_EQ(g_wait(&a, CTRL), 16);
		CHECK_EQ(*g_status_of(&a, i), i % 2 ? VIRTIO_DIBS_S_BUSY : 0);
	}
	teardown();
}

/* --------------------------------- moves --------------------------------- */

/* V-17: the last one wins, and they come back as they went */
static void moves_in_order(void)
{
	uint64_t token, data;
	uint32_t i;

	setup();
	token = dmb(0, G_DMBS, PAGE);
	for (i = 0; i < 16; i++) {
		data = i + 1;
		memcpy(a.mem + G_DATA + i * 8, &data, sizeof(data));
		g_add_move(&a, MOVEQ, i, token, i % 2 * 4, G_DATA + i * 8, 8, -1);
	}
	g_kick(&a, MOVEQ);
	for (i = 0; i < 16; i++) {
		CHECK_EQ(g_wait(&a, MOVEQ), 4);
		CHECK_EQ(a.q[MOVEQ].used->ring[i].id, a.q[MOVEQ].avail->ring[i]);
		CHECK_EQ(*g_status_of(&a, i), 0);
	}
	CHECK_EQ(*(uint32_t *)(b.mem + G_DMBS), 15);
	CHECK_EQ(*(uint32_t *)(b.mem + G_DMBS + 4), 16);
	CHECK_EQ(*(uint32_t *)(b.mem + G_DMBS + 8), 0);
	teardown();
}

/* One request of so many segments, of which each is as long as is said there */
static uint32_t move_segs(uint64_t token, const struct virtio_dibs_move_seg *segs, int nr,
			  int signal)
{
	struct virtio_dibs_move *m = (void *)(a.mem + G_REQUEST);
	struct g_piece out = { G_REQUEST, sizeof(*m) + nr * sizeof(*segs) };
	struct g_piece in = { G_ANSWER, 4 };
	int i;

	*m = (struct virtio_dibs_move){ .token = token, .nsegs = nr };
	if (signal >= 0) {
		m->flags = VIRTIO_DIBS_MOVE_F_SIGNAL;
		m->signal = signal;
	}
	for (i = 0; i < nr; i++)
		m->segs[i] = segs[i];
	memmove(a.mem + out.at + out.len, a.mem + G_DATA, PAGE);
	for (i = 0; i < nr; i++)
		out.len += segs[i].size;
	g_add_chain(&a, MOVEQ, &out, 1, &in, 1);
	g_kick(&a, MOVEQ);
	CHECK_EQ(g_wait(&a, MOVEQ), 4);
	return *g_status_of(&a, 0);
}

/* V-17, V-21: against a copy that is made here, over all of the memory around */
static void only_named_bytes(void)
{
	static uint8_t model[4 * PAGE];
	struct virtio_dibs_move_seg segs[VIRTIO_DIBS_MAX_SEGS];
	uint32_t i, n, k, at;
	uint64_t token;

	setup();
	srand(7);
	memset(model, 0x55, sizeof(model));
	memset(b.mem + G_DMBS, 0x55, sizeof(model));
	token = dmb(0, G_DMBS + PAGE, 2 * PAGE);
	for (i = 0; i < 500; i++) {
		n = 1 + rand() % VIRTIO_DIBS_MAX_SEGS;
		for (k = 0; k < PAGE; k++)
			a.mem[G_DATA + k] = rand();
		for (k = 0, at = 0; k < n; at += segs[k++].size) {
			segs[k].size = rand() % (rand() % 4 ? 70 : 400);
			segs[k].offset = rand() % (2 * PAGE - segs[k].size);
			memcpy(model + PAGE + segs[k].offset, a.mem + G_DATA + at,
			       segs[k].size);
		}
		CHECK_EQ(move_segs(token, segs, n, -1), 0);
		CHECK(!memcmp(model, b.mem + G_DMBS, sizeof(model)));
	}
	teardown();
}

/* V-18, V-19: the data ends with the request and with the DMB, and nothing follows */
static void move_fills_request(void)
{
	struct virtio_dibs_move_seg segs[2] = { { 0, 0 }, { PAGE, 0 } };
	uint64_t token;

	setup();
	token = dmb(3, G_DMBS, PAGE);
	memset(a.mem + G_DATA, 'm', PAGE);
	/* a header and a segment, and what is left of 4 KiB and of the DMB */
	segs[0] = (struct virtio_dibs_move_seg){ 24, PAGE - 24 };
	CHECK_EQ(move_segs(token, segs, 1, 4), 0);
	CHECK_EQ(g_signal(&b).mask, 1 << 4);
	CHECK_EQ(b.mem[G_DMBS + 23], 0);
	CHECK_EQ(b.mem[G_DMBS + 24], 'm');
	CHECK_EQ(b.mem[G_DMBS + PAGE - 1], 'm');
	CHECK_EQ(b.mem[G_DMBS + PAGE], 0);
	/* an empty segment behind it, where nothing is left */
	segs[0] = (struct virtio_dibs_move_seg){ 32, PAGE - 32 };
	CHECK_EQ(move_segs(token, segs, 2, 5), 0);
	CHECK_EQ(g_signal(&b).mask, 1 << 5);
	segs[1].offset = PAGE + 1;
	CHECK_EQ(move_segs(token, segs, 2, 6), VIRTIO_DIBS_S_RANGE);
	CHECK(g_no_signal(&b));
	teardown();
}

/* More than the device moves in one turn, in data and segments of odd lengths */
static uint32_t long_move(uint64_t token, const struct virtio_dibs_move_seg *segs, int nr)
{
	struct virtio_dibs_move *m = (void *)(a.mem + G_REQUEST);
	struct g_piece out[] = {
		{ G_REQUEST, sizeof(*m) + nr * sizeof(*segs) },
		{ G_DATA, 100003 }, { G_DATA + 100003, 0 }, { G_DATA + 100003, 0 },
	}, in = { G_ANSWER, 4 };
	int i;

	*m = (struct virtio_dibs_move){
		.token = token, .nsegs = nr, .flags = VIRTIO_DIBS_MOVE_F_SIGNAL, .signal = 9,
	};
	for (i = 0; i < nr; i++) {
		m->segs[i] = segs[i];
		out[3].len += segs[i].size;
	}
	out[3].len -= out[1].len;
	g_add_chain(&a, MOVEQ, out, 4, &in, 1);
	g_kick(&a, MOVEQ);
	CHECK_EQ(g_wait(&a, MOVEQ), 4);
	return *g_status_of(&a, 0);
}

/* V-17, V-18: whatever is done in between, as if it had been done at once */
static void long_moves(void)
{
	static const struct virtio_dibs_move_seg segs[] = {
		{ 1, 300001 }, { 400000, 7 }, { 400100, 0 }, { 400200, 262144 },
		{ 700000, 64 }, { 700100, 300000 },
	}, turn[] = { { 0, 262144 }, { DMB_LEN + 1, 0 } }, range[] = {
		{ 0, 600000 }, { 1, DMB_LEN },
	};
	static uint8_t model[DMB_LEN];
	uint32_t i, at = 0;
	uint64_t token;

	setup();
	token = dmb(4, G_DMBS, DMB_LEN);
	for (i = 0; i < DMB_LEN; i++)
		a.mem[G_DATA + i] = i * 7 + (i >> 10);
	for (i = 0; i < 6; at += segs[i++].size)
		memcpy(model + segs[i].offset, a.mem + G_DATA + at, segs[i].size);
	CHECK_EQ(long_move(token, segs, 6), 0);
	CHECK(!memcmp(model, b.mem + G_DMBS, DMB_LEN));
	CHECK_EQ(g_signal(&b).mask, 1 << 9);
	CHECK_EQ(status_number("move_bytes", 0), at);
	/* the segment that fails comes in a later turn, or has nothing to be moved */
	CHECK_EQ(long_move(token, turn, 2), VIRTIO_DIBS_S_RANGE);
	CHECK_EQ(long_move(token, range, 2), VIRTIO_DIBS_S_RANGE);
	CHECK(!memcmp(a.mem + G_DATA, b.mem + G_DMBS, 600000));
	CHECK_EQ(b.mem[G_DMBS + 600000], model[600000]);
	CHECK(g_no_signal(&b));
	teardown();
}

/*
 * The worker makes a step; false if a word of the DMB is made of two now, or the second
 * one is there before the first
 */
static bool step(pid_t worker, uint64_t new)
{
	const uint64_t *word = (uint64_t *)(b.mem + G_DMBS + 8);
	int status, i;

	CHECK(!ptrace(PTRACE_SINGLESTEP, worker, NULL, NULL));
	CHECK_EQ(waitpid(worker, &status, __WALL), worker);
	CHECK(WIFSTOPPED(status));
	for (i = 0; i < 2; i++)
		if (word[i] && word[i] != UINT64_MAX)
			return false;
	return word[1] != new || word[0] == new;
}

/* V-20: after each instruction, and with data in pieces that end within a word */
static void words_are_whole(void)
{
	struct virtio_dibs_move *m;
	struct g_piece out[] = {
		{ G_REQUEST, sizeof(*m) + sizeof(m->segs[0]) },
		{ G_DATA + 1, 3 }, { G_DATA + 5, 7 }, { G_DATA + 13, 6 },
	}, in = { G_ANSWER, 4 };
	pid_t worker;
	long n = 0;
	int i;

	setup();
	m = (void *)(a.mem + G_REQUEST);
	*m = (struct virtio_dibs_move){ .token = dmb(0, G_DMBS, PAGE), .nsegs = 1 };
	m->segs[0] = (struct virtio_dibs_move_seg){ 8, 16 };
	worker = daemon_worker();
	CHECK(!ptrace(PTRACE_ATTACH, worker, NULL, NULL));
	CHECK_EQ(waitpid(worker, NULL, __WALL), worker);
	for (i = 0; i < 4; i++) {
		memset(a.mem + G_DATA, i % 2 ? 0 : 0xff, 32);
		g_add_chain(&a, MOVEQ, out, 4, &in, 1);
		g_kick(&a, MOVEQ);
		for (; !g_has_used(&a, MOVEQ) && n < 10000000; n++)
			CHECK(step(worker, i % 2 ? 0 : UINT64_MAX));
		CHECK_EQ(g_wait(&a, MOVEQ), 4);
		CHECK_EQ(*g_status_of(&a, 0), 0);
		CHECK_EQ(b.mem[G_DMBS + 8], i % 2 ? 0 : 0xff);
	}
	printf("# %ld instructions\n", n);
	CHECK(!ptrace(PTRACE_DETACH, worker, NULL, NULL));
	teardown();
}

/* V-23 */
static void moves_take_no_time(void)
{
	struct timespec t[2];
	uint64_t token;
	long ms;
	int i;

	setup();
	token = dmb(0, G_DMBS, 16 * PAGE);
	clock_gettime(CLOCK_MONOTONIC, &t[0]);
	for (i = 0; i < 200; i++)
		CHECK_EQ(g_move(&a, MOVEQ, token, 0, NULL, 16 * PAGE, -1), 0);
	clock_gettime(CLOCK_MONOTONIC, &t[1]);
	ms = (t[1].tv_sec - t[0].tv_sec) * 1000 + (t[1].tv_nsec - t[0].tv_nsec) / 1000000;
	printf("# %ld ms for 200 moves\n", ms);
	CHECK(ms < 200 * 10);
	teardown();
}

/* ---------------------------- signals and events ---------------------------- */

/* For signals of b, after those of the beginning */
static void two_buffers(void)
{
	struct g_piece in[2] = { { G_SIGNALS, 16 }, { G_SIGNALS + 16, 16 } };

	g_add_chain(&b, SIGNALQ, NULL, 0, &in[0], 1);
	g_add_chain(&b, SIGNALQ, NULL, 0, &in[1], 1);
	g_kick(&b, SIGNALQ);
}

/* A DMB of b whose signals have used up all buffers of the beginning */
static uint64_t dmb_without_buffers(void)
{
	uint64_t token = dmb(9, G_DMBS, PAGE);
	int i;

	for (i = 0; i < G_BUFS; i++) {
		CHECK_EQ(g_move(&a, MOVEQ, token, 0, "x", 1, i), 0);
		CHECK_EQ(g_wait(&b, SIGNALQ), 16);
	}
	return token;
}

/* V-24: raised without a buffer, delivered once with the next one */
static void signals_wait(void)
{
	struct virtio_dibs_signal s;
	uint64_t token;

	setup();
	token = dmb_without_buffers();
	CHECK_EQ(g_move(&a, MOVEQ, token, 0, "x", 1, 0), 0);
	CHECK_EQ(g_move(&a, MOVEQ, token, 0, "x", 1, 15), 0);
	CHECK_EQ(g_move(&a, MOVEQ, token, 0, "x", 1, 15), 0);
	CHECK(g_no_signal(&b));
	two_buffers();
	CHECK_EQ(g_wait(&b, SIGNALQ), 16);
	memcpy(&s, b.mem + G_SIGNALS, sizeof(s));
	CHECK_EQ(s.token, token);
	CHECK_EQ(s.idx, 9);
	CHECK_EQ(s.mask, 0x8001);
	CHECK(g_no_signal(&b));
	CHECK_EQ(g_move(&a, MOVEQ, token, 0, "x", 1, 7), 0);
	CHECK_EQ(g_wait(&b, SIGNALQ), 16);
	memcpy(&s, b.mem + G_SIGNALS + 16, sizeof(s));
	CHECK_EQ(s.mask, 1 << 7);
	teardown();
}

/* V-14: nothing of a DMB comes after it was taken away, as long as that may take */
static void nothing_after_unregister(void)
{
	uint64_t token;

	setup();
	token = dmb_without_buffers();
	CHECK_EQ(g_move(&a, MOVEQ, token, 0, "y", 1, 3), 0);
	CHECK_EQ(g_unregister(&b, token), 0);
	CHECK_EQ(g_move(&a, MOVEQ, token, 0, "z", 1, 4), VIRTIO_DIBS_S_NOENT);
	two_buffers();
	CHECK(g_no_signal(&b));
	CHECK_EQ(b.mem[G_DMBS], 'y');
	teardown();
}

/* So many moves that most of them are waiting when the first is given back */
static void many_long_moves(uint64_t token)
{
	struct virtio_dibs_move *m = (void *)(a.mem + G_REQUEST);
	struct vring_desc *t = (void *)(a.mem + G_REQUEST + 0x1000);
	struct g_queue *q = &a.q[MOVEQ];
	int i, n = VIRTIO_DIBS_MAX_SEGS;

	*m = (struct virtio_dibs_move){ .token = token, .nsegs = n };
	t[0] = (struct vring_desc){ g_iova(G_REQUEST), sizeof(*m) + sizeof(m->segs[0]) * n,
				    VRING_DESC_F_NEXT, 1 };
	for (i = 0; i < n; i++) {
		m->segs[i] = (struct virtio_dibs_move_seg){ 0, DMB_LEN };
		t[1 + i] = (struct vring_desc){ g_iova(G_DATA), DMB_LEN, VRING_DESC_F_NEXT,
						2 + i };
	}
	t[1 + n] = (struct vring_desc){ g_iova(G_ANSWER), 4, VRING_DESC_F_WRITE, 0 };
	q->desc[0] = (struct vring_desc){ g_iova(G_REQUEST + 0x1000), sizeof(*t) * (2 + n),
					  VRING_DESC_F_INDIRECT, 0 };
	for (i = 0; i < G_QSIZE; i++)
		q->avail->ring[i] = 0;
	__atomic_store_n(&q->avail->idx, q->avail->idx + G_QSIZE, __ATOMIC_RELEASE);
	g_kick(&a, MOVEQ);
}

/* V-14: a move that is under way ends, and nothing of it is written any more */
static void unregister_under_way(void)
{
	uint64_t token;
	int i, n;

	setup();
	token = dmb(5, G_DMBS, DMB_LEN);
	memset(a.mem + G_DATA, 0x11, DMB_LEN);
	many_long_moves(token);
	while (!b.mem[G_DMBS])
		usleep(20);
	CHECK_EQ(g_unregister(&b, token), 0);
	memset(b.mem + G_DMBS, 0x77, DMB_LEN);
	for (n = 0; n < G_QSIZE; n++)
		CHECK_EQ(g_wait(&a, MOVEQ), 4);
	CHECK_EQ(*g_status_of(&a, 0), VIRTIO_DIBS_S_NOENT);
	for (i = 0; i < (int)DMB_LEN; i++)
		CHECK_EQ(b.mem[G_DMBS + i], 0x77);
	teardown();
}

/* V-30, V-31: who sent it is not what the sender says */
static void sender_is_named(void)
{
	struct virtio_dibs_event e;
	uint64_t token;

	setup();
	CHECK_EQ(g_signal_event(&a, b.gid, 0xabcd, 0x1122334455667788), 0);
	e = g_event(&b);
	CHECK_EQ(e.type, VIRTIO_DIBS_E_SW);
	CHECK_EQ(e.subtype, 0xabcd);
	CHECK_EQ(e.data, 0x1122334455667788);
	CHECK(!memcmp(e.gid, a.gid, sizeof(e.gid)));
	/* to itself */
	CHECK_EQ(g_signal_event(&a, a.gid, 1, 2), 0);
	e = g_event(&a);
	CHECK_EQ(e.subtype, 1);
	CHECK(!memcmp(e.gid, a.gid, sizeof(e.gid)));
	/* V-29: the owner, to who has written */
	token = dmb(0, G_DMBS, PAGE);
	CHECK_EQ(g_move(&a, MOVEQ, token, 0, "x", 1, -1), 0);
	CHECK_EQ(g_unregister(&b, token), 0);
	e = g_event(&a);
	CHECK_EQ(e.type, VIRTIO_DIBS_E_BUF);
	CHECK_EQ(e.subtype, VIRTIO_DIBS_E_BUF_UNREGISTERED);
	CHECK_EQ(e.token, token);
	CHECK(!memcmp(e.gid, b.gid, sizeof(e.gid)));
	teardown();
}

static const struct tap_test tests[] = {
	{ "features_offered", features_offered },
	{ "config_does_not_change", config_does_not_change },
	{ "queues_are_long", queues_are_long },
	{ "answers_are_whole", answers_are_whole },
	{ "control_in_order", control_in_order },
	{ "moves_in_order", moves_in_order },
	{ "only_named_bytes", only_named_bytes },
	{ "move_fills_request", move_fills_request },
	{ "long_moves", long_moves },
	{ "words_are_whole", words_are_whole },
	{ "moves_take_no_time", moves_take_no_time },
	{ "signals_wait", signals_wait },
	{ "nothing_after_unregister", nothing_after_unregister },
	{ "unregister_under_way", unregister_under_way },
	{ "sender_is_named", sender_is_named },
};

TAP_MAIN(tests)
