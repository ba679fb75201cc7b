// SPDX-License-Identifier: GPL-2.0
/*
 * V-22: doorbells that are not wanted and interrupts that are not sent, with an event
 * index and without; and that what is wanted does come
 */
#include <linux/virtio_config.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "tap.h"

#define CTRL		VIRTIO_DIBS_VQ_CTRL
#define EVENTQ		VIRTIO_DIBS_VQ_EVENT
#define MOVEQ		VIRTIO_DIBS_VQ_MOVE

#define DMB_LEN		(1u << 20)

static struct guest a, b;
static uint64_t token;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void setup(bool event_idx)
{
	daemon_start(2, NULL);
	g_connect(&a, 0);
	a.event_idx = event_idx;
	g_begin(&a);
	CHECK_EQ(g_register(&a, 0, a.gid, G_DMBS, DMB_LEN, &token), 0);
}

static void teardown(void)
{
	CHECK_EQ(g_query(&a, a.gid), 0);
	g_close(&a);
	daemon_stop();
}

/* What a driver does that rings only when it has to; was there need? */
static bool ring(int q, uint16_t old)
{
	bool wanted = g_wants_kick(&a, q, old);

	if (wanted)
		g_kick(&a, q);
	return wanted;
}

/* A move; did it take a doorbell? */
static bool move(void)
{
	uint16_t old = a.q[MOVEQ].avail->idx;

	g_add_move(&a, MOVEQ, 0, token, 0, G_DATA, 8, -1);
	return ring(MOVEQ, old);
}

static void await_move(void)
{
	uint64_t end = now_ns() + 10000000000ull;

	while (!g_has_used(&a, MOVEQ))
		CHECK(now_ns() < end);
	CHECK_EQ(g_wait(&a, MOVEQ), 4);
}

/* ------------------------------- doorbells ------------------------------- */

/* Moves that take long together: one and the same again and again */
#define LONG_MOVES	40

static void long_moves(void)
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
	for (i = 0; i < LONG_MOVES; i++)
		q->avail->ring[(uint16_t)(q->avail->idx + i) % G_QSIZE] = 0;
	__atomic_store_n(&q->avail->idx, q->avail->idx + LONG_MOVES, __ATOMIC_RELEASE);
	g_kick(&a, MOVEQ);
}

/* Stopped with some of them done, what does the device want? False if it was faster */
static bool look_while_busy(void)
{
	uint16_t done, *used = &a.q[MOVEQ].used->idx;
	pid_t worker = daemon_worker();

	long_moves();
	await_move();
	kill(worker, SIGSTOP);
	usleep(2000);
	done = __atomic_load_n(used, __ATOMIC_ACQUIRE) - a.q[MOVEQ].seen;
	if (done < LONG_MOVES - 1)
		CHECK(!g_wants_kick(&a, MOVEQ, a.q[MOVEQ].avail->idx - 1));
	kill(worker, SIGCONT);
	while (a.q[MOVEQ].seen != a.q[MOVEQ].avail->idx)
		await_move();
	return done < LONG_MOVES - 1;
}

static void busy(bool event_idx)
{
	int i;

	setup(event_idx);
	for (i = 0; i < 100 && !look_while_busy(); i++)
		;
	CHECK(i < 100);
	teardown();
}

static void no_doorbells_while_busy(void)
{
	busy(false);
	busy(true);
}

/*
 * The next move is made when the device is about to rest: it is seen by who rests, or
 * the driver sees that a doorbell is wanted, so all are answered.
 */
static void resting(bool event_idx)
{
	uint32_t i, nr = getenv("LONG") ? 200000 : 20000, rung = 0;
	uint64_t until;

	setup(event_idx);
	for (i = 0; i < nr; i++) {
		rung += move();
		await_move();
		for (until = now_ns() + i % 64 * 64; now_ns() < until;)
			;
	}
	printf("# %u doorbells for %u moves\n", rung, nr);
	/* those of the setup are the first three, and the last one the request there */
	CHECK_EQ(status_number("doorbells", 0), 3 + rung);
	teardown();
}

static void no_doorbell_lost(void)
{
	resting(false);
	resting(true);
}

/* Moves in a row, with so much time between them: how many took a doorbell? */
static uint32_t series(uint32_t nr, uint64_t pause_ns)
{
	uint32_t i, rung = 0;
	uint64_t until;

	for (i = 0; i < nr; i++) {
		rung += move();
		await_move();
		for (until = now_ns() + pause_ns; now_ns() < until;)
			;
	}
	return rung;
}

/* A guest that gets no time to hurry proves nothing: try again */
static void hurry(bool event_idx)
{
	uint64_t end = now_ns() + 60000000000ull;
	uint32_t n;

	setup(event_idx);
	do {
		n = series(200, 3000);
	} while (n > 50 && now_ns() < end);
	printf("# %u doorbells for 200 moves\n", n);
	CHECK(n <= 50);
	teardown();
}

static void no_doorbells_in_a_hurry(void)
{
	hurry(false);
	hurry(true);
}

/* The memory goes and comes back while a queue may be watched: nobody looks then */
static void memory_away_while_watched(void)
{
	int i;

	setup(true);
	for (i = 0; i < 300; i++) {
		series(30, 0);
		/* a doorbell that came late: what it was for is done */
		g_kick(&a, MOVEQ);
		CHECK_EQ(g_unmap(&a, G_IOVA, G_MEM), 0);
		usleep(100);
		CHECK_EQ(g_map(&a, G_IOVA, G_MEM, 0, 3, a.memfd), 0);
	}
	CHECK(!(g_status(&a) & VIRTIO_CONFIG_S_NEEDS_RESET));
	teardown();
}

/* An unmap that nobody waits for, so that it is read together with what comes before */
static void unmap_rings(void)
{
	struct { struct vu_header h; struct vu_dma_unmap u; } m = {
		.h = { .id = ++a.id, .command = VU_DMA_UNMAP, .size = sizeof(m),
		       .flags = VU_F_NO_REPLY },
		.u = { .argsz = sizeof(m.u), .addr = G_IOVA, .size = G_DMBS },
	};

	CHECK(g_send(&a, &m, sizeof(m), NULL, 0));
}

/* Rings and what is in them go, and come back after a while; the DMB stays */
static void rings_away(int i, uint64_t to_a)
{
	struct virtio_dibs_signal s;

	g_add_move(&a, MOVEQ, 0, token, 0, G_DATA, 8, -1);
	g_kick(&a, MOVEQ);
	unmap_rings();
	CHECK_EQ(g_move(&b, MOVEQ, to_a, 0, &i, sizeof(i), i % 16), 0);
	CHECK_EQ(g_signal_event(&b, a.gid, i, i), 0);
	usleep(10000);
	CHECK_EQ(g_map(&a, G_IOVA, G_DMBS, 0, 3, a.memfd), 0);
	await_move();
	CHECK_EQ(*g_status_of(&a, 0), 0);
	s = g_signal(&a);
	CHECK_EQ(s.token, to_a);
	CHECK_EQ(s.mask, 1 << i % 16);
	CHECK_EQ(g_event(&a).data, i);
	CHECK(!(g_status(&a) & VIRTIO_CONFIG_S_NEEDS_RESET));
}

static void away_under_traffic(bool event_idx)
{
	uint64_t to_a;
	int i;

	setup(event_idx);
	g_open(&b, 1);
	CHECK_EQ(g_event(&a).subtype, VIRTIO_DIBS_E_DEV_ENABLED);
	CHECK_EQ(g_register(&a, 1, b.gid, G_DMBS + DMB_LEN, 4096, &to_a), 0);
	CHECK_EQ(g_unmap(&a, G_IOVA, G_MEM), 0);
	CHECK_EQ(g_map(&a, G_IOVA + G_DMBS, G_MEM - G_DMBS, G_DMBS, 3, a.memfd), 0);
	CHECK_EQ(g_map(&a, G_IOVA, G_DMBS, 0, 3, a.memfd), 0);
	for (i = 0; i < 300; i++)
		rings_away(i, to_a);
	g_close(&b);
	teardown();
}

/* A buffer and its doorbell before the memory goes, a signal and an event meanwhile */
static void memory_away_under_traffic(void)
{
	away_under_traffic(false);
	away_under_traffic(true);
}

/* A doorbell for a queue that was not set up: its rings are not at address 0 */
static void memory_away_without_rings(void)
{
	const uint32_t len = 4096, at = G_MEM - len;
	uint32_t i;

	setup(false);
	memset(a.mem + at, 0xee, len);
	for (i = 0; i < 100; i++) {
		CHECK_EQ(g_map(&a, 0, len, at, 3, a.memfd), 0);
		g_kick(&a, MOVEQ + 6);
		CHECK_EQ(g_unmap(&a, 0, len), 0);
	}
	for (i = 0; i < len; i++)
		CHECK_EQ(a.mem[at + i], 0xee);
	CHECK(!(g_status(&a) & VIRTIO_CONFIG_S_NEEDS_RESET));
	teardown();
}

/* Buffers for events are not waited for before there is an event without one */
static void event_buffers(bool event_idx)
{
	uint16_t old;
	int i;

	setup(event_idx);
	g_open(&b, 1);
	CHECK_EQ(g_event(&a).subtype, VIRTIO_DIBS_E_DEV_ENABLED);
	for (i = 1; i < G_BUFS + 1; i++) {
		old = a.q[EVENTQ].avail->idx - 1;
		CHECK(!g_wants_kick(&a, EVENTQ, old));
		CHECK_EQ(g_signal_event(&b, a.gid, i, 0), 0);
		CHECK_EQ(g_wait(&a, EVENTQ), 48);
	}
	/* the buffers are used up now */
	CHECK_EQ(g_signal_event(&b, a.gid, i, 0), 0);
	old = a.q[EVENTQ].avail->idx;
	CHECK_EQ(status_number("events_pending", 0), 1);
	a.q[EVENTQ].avail->idx++;
	CHECK(ring(EVENTQ, old));
	CHECK_EQ(g_wait(&a, EVENTQ), 48);
	g_close(&b);
	teardown();
}

static void no_doorbells_for_event_buffers(void)
{
	event_buffers(false);
	event_buffers(true);
}

/* ------------------------------- interrupts ------------------------------- */

static void queries(int nr)
{
	struct virtio_dibs_query_gid *q = (void *)(a.mem + G_REQUEST);
	struct g_piece out = { G_REQUEST, sizeof(*q) }, in = { G_ANSWER, 16 };
	int i;

	*q = (struct virtio_dibs_query_gid){ .hdr.cmd = VIRTIO_DIBS_C_QUERY_GID };
	memcpy(q->gid, a.gid, sizeof(q->gid));
	for (i = 0; i < nr; i++)
		g_add_chain(&a, CTRL, &out, 1, &in, 1);
	g_kick(&a, CTRL);
	for (i = 0; i < nr; i++)
		CHECK_EQ(g_wait(&a, CTRL), 16);
	/* the status is given when the queue has been served */
	free(daemon_status());
}

static void interrupts(bool event_idx)
{
	uint32_t i, sent;

	setup(event_idx);
	g_want_irq(&a, CTRL, false);
	queries(1);
	g_irqs(&a, 1);
	sent = status_number("interrupts", 0);
	for (i = 0; i < 10; i++)
		queries(3);
	CHECK_EQ(g_irqs(&a, 1), 0);
	CHECK_EQ(status_number("interrupts", 0), sent);
	/* one for all that were made available at once */
	g_want_irq(&a, CTRL, true);
	queries(20);
	CHECK_EQ(g_irqs(&a, 1), 1);
	CHECK_EQ(status_number("interrupts", 0), sent + 1);
	/* with an index the driver has said which; without it wants them all */
	queries(1);
	CHECK_EQ(g_irqs(&a, 1), !event_idx);
	g_want_irq(&a, CTRL, true);
	queries(1);
	CHECK_EQ(g_irqs(&a, 1), 1);
	teardown();
}

static void interrupts_as_wanted(void)
{
	interrupts(false);
	interrupts(true);
}

/* ------------------------------- wake-ups ------------------------------- */

/* Each doorbell of a guest that waits in between wakes the worker, and nothing else */
static void wakeups(void)
{
	long before, after;
	int i;

	setup(false);
	before = status_number("wakeups", 0);
	for (i = 0; i < 100; i++) {
		CHECK_EQ(g_query(&a, a.gid), 0);
		usleep(1000);
	}
	after = status_number("wakeups", 0);
	printf("# %ld wake-ups for 100 requests\n", after - before);
	CHECK(after - before >= 50);
	/* a few are those of who asks */
	CHECK(after - before <= 110);
	before = after;
	usleep(200000);
	CHECK(status_number("wakeups", 0) - before <= 5);
	teardown();
}

static const struct tap_test tests[] = {
	{ "no_doorbells_while_busy", no_doorbells_while_busy },
	{ "no_doorbells_in_a_hurry", no_doorbells_in_a_hurry },
	{ "memory_away_while_watched", memory_away_while_watched },
	{ "memory_away_under_traffic", memory_away_under_traffic },
	{ "memory_away_without_rings", memory_away_without_rings },
	{ "no_doorbell_lost", no_doorbell_lost },
	{ "no_doorbells_for_event_buffers", no_doorbells_for_event_buffers },
	{ "interrupts_as_wanted", interrupts_as_wanted },
	{ "wakeups", wakeups },
};

TAP_MAIN(tests)
