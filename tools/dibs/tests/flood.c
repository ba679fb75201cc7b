// SPDX-License-Identifier: GPL-2.0
/*
 * flood SOCKET SECONDS: a guest that asks as much of the fabric as it can, all the time:
 * doorbells, events for everybody, DMBs that come and go, moves with signals, and resets.
 *
 * flood burn PERCENT SECONDS: takes as much of a processor, and has nothing to do with
 * the fabric.
 *
 * Both end with a line that says what they did, also after SIGTERM.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define BURST		64	/* doorbells */
#define BATCH		16	/* requests; there are two of them under way */
#define EVENTS		12	/* of which so many are events */
#define RESETS		20	/* per second, which is less than is refused */
#define MOVES		16
#define MOVE_SLOT	(2 * BATCH)
#define MOVE_LEN	(32u << 10)
#define DMB_LEN		(1u << 20)
#define MAX_PEERS	64
#define MOVEQ		VIRTIO_DIBS_VQ_MOVE
#define CTRL_VECTOR	1

struct doorbell {
	struct vu_header h;
	struct vu_region_access a;
	uint16_t queue;
} __attribute__((packed));

static struct guest g;
static uint8_t peer[MAX_PEERS][16];
static uint64_t tokens[2 * BATCH];
static unsigned long doorbells, registrations, events, refused, moves, received, resets;
static unsigned int nr_peers;

/* Since the last reset: batches of requests, and of moves */
static unsigned long turn, move_turn;
static volatile sig_atomic_t ended;

static void on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return r.ru_utime.tv_sec + r.ru_stime.tv_sec +
	       (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* Who is there says the device when it begins */
static void find_peers(void)
{
	struct virtio_dibs_event e;

	while (nr_peers < MAX_PEERS && !g_no_event(&g)) {
		e = g_event(&g);
		if (e.type == VIRTIO_DIBS_E_DEV && e.subtype == VIRTIO_DIBS_E_DEV_ENABLED)
			memcpy(peer[nr_peers++], e.gid, sizeof(e.gid));
	}
}

/* As many as the socket takes, for all queues; or none if there are answers before that */
static void ring(void)
{
	struct doorbell d[BURST];
	struct pollfd p[2] = {
		{ .fd = g.fd, .events = POLLOUT },
		{ .fd = g.irq[CTRL_VECTOR], .events = POLLIN },
	};
	int i;

	for (i = 0; i < BURST; i++) {
		d[i] = (struct doorbell){
			.h = { .id = ++g.id, .command = VU_REGION_WRITE,
			       .size = sizeof(d[i]), .flags = VU_F_NO_REPLY },
			.a = { .offset = 0x3000 + 4 * (i % 5), .count = 2 },
			.queue = i % 5,
		};
	}
	/* a whole burst or nothing: half a message is for other tests */
	poll(p, 2, 1000);
	if (p[1].revents)
		g_irqs(&g, CTRL_VECTOR);
	if (p[0].revents == POLLOUT && g_send(&g, d, sizeof(d), NULL, 0))
		doorbells += BURST;
}

static void add_request(int slot, uint32_t len)
{
	struct g_piece out = { G_REQUEST + slot * 256, len };
	struct g_piece in = { G_ANSWER + slot * 16, 16 };

	g_add_chain(&g, VIRTIO_DIBS_VQ_CTRL, &out, 1, &in, 1);
}

static void add_registration(int slot)
{
	struct virtio_dibs_register_dmb *r = (void *)(g.mem + G_REQUEST + slot * 256);

	memset(r, 0, sizeof(*r));
	r->hdr.cmd = VIRTIO_DIBS_C_REGISTER_DMB;
	memcpy(r->rgid, nr_peers ? peer[slot % nr_peers] : g.gid, sizeof(r->rgid));
	r->idx = slot;
	r->len = 4096;
	r->nranges = 1;
	r->ranges[0] = (struct virtio_dibs_range){ g_iova(G_DMBS + slot * 4096), 4096, 0 };
	add_request(slot, sizeof(*r) + sizeof(r->ranges[0]));
}

static void add_unregistration(int slot)
{
	struct virtio_dibs_unregister_dmb *r = (void *)(g.mem + G_REQUEST + slot * 256);

	*r = (struct virtio_dibs_unregister_dmb){
		.hdr.cmd = VIRTIO_DIBS_C_UNREGISTER_DMB, .token = tokens[slot],
	};
	add_request(slot, sizeof(*r));
}

static void add_event(int slot)
{
	struct virtio_dibs_signal_event *r = (void *)(g.mem + G_REQUEST + slot * 256);

	*r = (struct virtio_dibs_signal_event){
		.hdr.cmd = VIRTIO_DIBS_C_SIGNAL_EVENT, .code = 0x7fff, .info = turn,
	};
	memcpy(r->gid, nr_peers ? peer[slot % nr_peers] : g.gid, sizeof(r->gid));
	add_request(slot, sizeof(*r));
}

/* How many buffers of a queue have been given back, of those that were made available */
static int used(int nr)
{
	struct g_queue *q = &g.q[nr];

	return (uint16_t)(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) - q->seen);
}

/* Answers to one batch have come */
static void take_answers(int first)
{
	struct virtio_dibs_ctrl_resp *resp;
	int i;

	for (i = first; i < first + BATCH; i++) {
		resp = (void *)(g.mem + G_ANSWER + i * 16);
		tokens[i] = resp->token;
		refused += resp->status != VIRTIO_DIBS_S_OK;
	}
	g.q[VIRTIO_DIBS_VQ_CTRL].seen += BATCH;
}

/*
 * Another batch when the one before the last has been answered, so that there is always
 * something to do. DMBs come in one, and go in the one after the next.
 */
static void ask(void)
{
	int first = turn % 2 * BATCH, i = first;

	if (turn >= 2 && used(VIRTIO_DIBS_VQ_CTRL) < BATCH)
		return;
	if (turn >= 2)
		take_answers(first);
	for (; i < first + BATCH - EVENTS; i++) {
		if (turn % 4 < 2)
			add_registration(i);
		else
			add_unregistration(i);
	}
	for (; i < first + BATCH; i++)
		add_event(i);
	registrations += BATCH - EVENTS;
	events += EVENTS;
	turn++;
	g_kick(&g, VIRTIO_DIBS_VQ_CTRL);
}

static void move(uint64_t token)
{
	int i;

	if (move_turn && used(MOVEQ) < MOVES)
		return;
	if (move_turn)
		g.q[MOVEQ].seen += MOVES;
	for (i = 0; i < MOVES; i++)
		g_add_move(&g, MOVEQ, MOVE_SLOT + i, token, i * MOVE_LEN, G_DATA,
			   MOVE_LEN, i % 16);
	moves += MOVES;
	move_turn++;
	g_kick(&g, MOVEQ);
}

/* The first request: there is nobody else who waits for an answer */
static bool make_dmb(uint64_t *token)
{
	return !g_register(&g, 1000, g.gid, G_DMBS + DMB_LEN, DMB_LEN, token);
}

/* All that was under way is gone */
static bool restart(uint64_t *token)
{
	g_reset(&g);
	g_setup(&g);
	g_start(&g);
	resets++;
	turn = move_turn = 0;
	return make_dmb(token);
}

static void take_all(void)
{
	for (; g_has_used(&g, VIRTIO_DIBS_VQ_EVENT); received++)
		g_event(&g);
	for (; g_has_used(&g, VIRTIO_DIBS_VQ_SIGNAL); received++)
		g_signal(&g);
}

static int flood(const char *path, double seconds)
{
	double end = now() + seconds, next;
	uint64_t token;

	g_connect_path(&g, path);
	g_begin(&g);
	find_peers();
	if (!make_dmb(&token))
		return 1;
	next = now();
	while (!ended && now() < end) {
		if (now() > next && !restart(&token))
			return 1;
		while (next < now())
			next += 1.0 / RESETS;
		ring();
		ask();
		move(token);
		take_all();
	}
	printf("%lu doorbells, %lu registrations, %lu events to %u others, "
	       "%lu refused, %lu moves, %lu received, %lu resets, %.2f s CPU\n",
	       doorbells, registrations, events, nr_peers, refused, moves, received,
	       resets, cpu_seconds());
	return !doorbells || !registrations || !moves || !resets;
}

/* Who was kept from it makes up for it: what counts is the time that others do not have */
static int burn(double part, double seconds)
{
	double begin = now(), t;

	while (!ended && (t = now() - begin) < seconds)
		if (cpu_seconds() >= part * t)
			usleep(500);
	printf("%.2f s CPU\n", cpu_seconds());
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGTERM, on_term);
	if (argc == 4 && !strcmp(argv[1], "burn"))
		return burn(atof(argv[2]) / 100, atof(argv[3]));
	if (argc == 3)
		return flood(argv[1], atof(argv[2]));
	fputs("usage: flood SOCKET SECONDS\n       flood burn PERCENT SECONDS\n", stderr);
	return 1;
}
