// SPDX-License-Identifier: GPL-2.0
/*
 * flood SOCKET SECONDS: a guest that asks as much of the fabric as it can, all the time:
 * doorbells, events for everybody, DMBs that come and go, moves with signals.
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
#define BATCH		20	/* requests, half of which are events */
#define MOVES		16
#define MOVE_SLOT	(BATCH + 1)
#define MOVE_LEN	(32u << 10)
#define DMB_LEN		(1u << 20)
#define MAX_PEERS	64
#define MOVEQ		VIRTIO_DIBS_VQ_MOVE

struct doorbell {
	struct vu_header h;
	struct vu_region_access a;
	uint16_t queue;
} __attribute__((packed));

static struct guest g;
static uint8_t peer[MAX_PEERS][16];
static uint64_t tokens[BATCH];
static unsigned long doorbells, registrations, events, refused, moves, received, turn;
static unsigned int nr_peers;
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

/* As many as the socket takes, for all queues */
static void ring(void)
{
	struct doorbell d[BURST];
	struct pollfd p = { .fd = g.fd, .events = POLLOUT };
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
	if (poll(&p, 1, 1000) == 1 && g_send(&g, d, sizeof(d), NULL, 0))
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

/* The next batch when the last one has been answered: DMBs come in one, and go in the other */
static void ask(void)
{
	struct virtio_dibs_ctrl_resp *resp;
	int i;

	if (turn && used(VIRTIO_DIBS_VQ_CTRL) < BATCH)
		return;
	for (i = 0; turn && i < BATCH; i++) {
		resp = (void *)(g.mem + G_ANSWER + i * 16);
		tokens[i] = resp->token;
		refused += resp->status != VIRTIO_DIBS_S_OK;
	}
	if (turn)
		g.q[VIRTIO_DIBS_VQ_CTRL].seen += BATCH;
	for (i = 0; i < BATCH / 2; i++) {
		if (turn % 2)
			add_unregistration(i);
		else
			add_registration(i);
	}
	for (; i < BATCH; i++)
		add_event(i);
	registrations += BATCH / 2;
	events += BATCH / 2;
	turn++;
	g_kick(&g, VIRTIO_DIBS_VQ_CTRL);
}

static void move(uint64_t token)
{
	int i;

	if (moves && used(MOVEQ) < MOVES)
		return;
	if (moves)
		g.q[MOVEQ].seen += MOVES;
	for (i = 0; i < MOVES; i++)
		g_add_move(&g, MOVEQ, MOVE_SLOT + i, token, i * MOVE_LEN, G_DATA,
			   MOVE_LEN, i % 16);
	moves += MOVES;
	g_kick(&g, MOVEQ);
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
	double end = now() + seconds;
	uint64_t token;

	g_connect_path(&g, path);
	g_begin(&g);
	find_peers();
	if (g_register(&g, 1000, g.gid, G_DMBS + DMB_LEN, DMB_LEN, &token))
		return 1;
	while (!ended && now() < end) {
		ring();
		ask();
		move(token);
		take_all();
	}
	printf("%lu doorbells, %lu registrations, %lu events to %u others, "
	       "%lu refused, %lu moves, %lu received, %.2f s CPU\n",
	       doorbells, registrations, events, nr_peers, refused, moves, received,
	       cpu_seconds());
	return !doorbells || !registrations || !moves;
}

static int burn(double part, double seconds)
{
	double end = now() + seconds, ms;

	while (!ended && (ms = now()) < end) {
		while (now() < ms + part / 1000)
			;
		usleep((1 - part) * 1000);
	}
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
