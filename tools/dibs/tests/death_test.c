// SPDX-License-Identifier: GPL-2.0
/*
 * Guests and workers that die at each message, and what the next worker must not do
 *
 * The daemon that DIBS_FABRIC names has been built with DIBS_FAULT.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../fault.h"
#include "guest.h"
#include "tap.h"

#define PAGE	4096u
#define MOVEQ	VIRTIO_DIBS_VQ_MOVE

static struct guest a, b, c;

static void expect_dev(struct guest *g, struct guest *about, uint32_t what)
{
	struct virtio_dibs_event e = g_event(g);

	CHECK_EQ(e.type, VIRTIO_DIBS_E_DEV);
	CHECK_EQ(e.subtype, what);
	CHECK(!memcmp(e.gid, about->gid, 16));
}

static void start(enum fault_at at, int hits)
{
	char fault[32];

	snprintf(fault, sizeof(fault), "%d:%d", at, hits);
	daemon_start(3, fault);
}

/* All kinds of messages, from the first to the last of a guest */
static void short_life(struct guest *g, int port)
{
	uint64_t token;

	g_open(g, port);
	CHECK_EQ(g_register(g, 3, g->gid, G_DMBS, PAGE, &token), 0);
	CHECK_EQ(g_move(g, MOVEQ, token, 8, "life", 4, 1), 0);
	CHECK_EQ(g_signal(g).idx, 3);
	CHECK(!memcmp(g->mem + G_DMBS + 8, "life", 4));
	CHECK_EQ(g_unmap(g, 0x1000, 0x1000), 0);
	g_reset(g);
	CHECK_EQ(g_status(g), 0);
	CHECK_EQ(g_call(g, VU_RESET, NULL, 0, NULL, 0, NULL, 0), 0);
}

/* ---------------------------- at each message ---------------------------- */

/* A guest that is killed with its message number n; false if it has not so many */
static bool life_until(enum g_death how, int n)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		g_die(how, n);
		short_life(&c, 2);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) || !WEXITSTATUS(status));
	return WIFSIGNALED(status);
}

static void await_fds(int nr)
{
	int i;

	for (i = 0; i < 10000 && daemon_fds() != nr; i++)
		usleep(1000);
	CHECK_EQ(daemon_fds(), nr);
}

static void guest_killed_at_every_message(void)
{
	enum g_death how;
	uint64_t token;
	int n, fds;

	daemon_start(3, NULL);
	g_open(&a, 0);
	g_open(&b, 1);
	CHECK_EQ(g_register(&b, 1, a.gid, G_DMBS, PAGE, &token), 0);
	fds = daemon_fds();
	for (how = G_DIES_BEFORE; how <= G_DIES_AFTER; how++) {
		for (n = 1; life_until(how, n); n++) {
			CHECK_EQ(g_move(&a, MOVEQ, token, 0, &n, sizeof(n), 2), 0);
			CHECK_EQ(g_signal(&b).idx, 1);
			CHECK(!memcmp(b.mem + G_DMBS, &n, sizeof(n)));
			await_fds(fds);
			/* nothing of it is left, whether another one comes or not */
			CHECK_EQ(status_number("joined", 2), 0);
			CHECK_EQ(status_number("dmbs", 2), 0);
		}
		printf("# killed at %d messages\n", n - 1);
		CHECK(n > 70);
	}
	/* nothing that they left is in the way */
	short_life(&c, 2);
	g_close(&c);
	CHECK_EQ(status_number("dmbs", 2), 0);
	CHECK_EQ(status_number("restarts", 0), 0);
	g_close(&a);
	g_close(&b);
	daemon_stop();
}

/* Killed while it works on the message, or shortly before or after */
static void worker_killed_at_every_message(void)
{
	long n;
	int i;

	daemon_start(3, NULL);
	for (i = 0; i < 5; i++) {
		g_die(G_KILLS_WORKER, 0);
		short_life(&a, 0);
		g_die(G_LIVES, 0);
		CHECK_EQ(status_number("connected", 0), 1);
		g_setup(&a);
		g_start(&a);
		CHECK_EQ(g_query(&a, a.gid), 0);
		g_close(&a);
	}
	n = status_number("restarts", 0);
	printf("# %ld workers\n", n);
	CHECK(n > 5 * 70);
	daemon_stop();
}

/* --------------------------- what comes after --------------------------- */

/*
 * A move was copied and not given back when the worker died. The owner knows by then,
 * and takes the DMB away: the move has succeeded all the same. The owner's port is
 * before the sender's.
 */
static void moves_before_requests(void)
{
	struct virtio_dibs_unregister_dmb *r;
	struct g_piece out = { G_REQUEST, sizeof(*r) }, in = { G_ANSWER, 16 };
	uint64_t token;

	start(FAULT_MOVE_COPIED, 1);
	g_open(&a, 0);
	g_open(&b, 1);
	expect_dev(&b, &a, VIRTIO_DIBS_E_DEV_ENABLED);
	CHECK_EQ(g_register(&a, 0, b.gid, G_DMBS, PAGE, &token), 0);
	/* who still watches the queue would need no doorbell */
	while (!g_wants_kick(&a, VIRTIO_DIBS_VQ_CTRL, 0))
		usleep(100);
	r = (void *)(a.mem + G_REQUEST);
	*r = (struct virtio_dibs_unregister_dmb){
		.hdr.cmd = VIRTIO_DIBS_C_UNREGISTER_DMB, .token = token,
	};
	g_add_chain(&a, VIRTIO_DIBS_VQ_CTRL, &out, 1, &in, 1);
	CHECK_EQ(g_move(&b, MOVEQ, token, 0, "moved", 5, 3), 0);
	CHECK(!memcmp(a.mem + G_DMBS, "moved", 5));
	CHECK_EQ(g_wait(&a, VIRTIO_DIBS_VQ_CTRL), 16);
	CHECK_EQ(*g_status_of(&a, 0), 0);
	CHECK_EQ(g_event(&b).type, VIRTIO_DIBS_E_BUF);
	CHECK_EQ(status_number("restarts", 0), 1);
	g_close(&a);
	g_close(&b);
	daemon_stop();
}

/*
 * The worker dies when it has closed one of two descriptors that came with a message.
 * The next one has other descriptors by these numbers.
 */
static void descriptors_closed_once(void)
{
	int fds[2], before;

	start(FAULT_FD_FORGOTTEN, 2);
	g_connect(&a, 0);
	CHECK_EQ(g_version(&a), 0);
	before = daemon_fds();
	fds[0] = a.irq[0];
	fds[1] = a.irq[1];
	CHECK_EQ(g_call(&a, VU_GET_INFO, NULL, 0, fds, 2, NULL, 0), 0);
	CHECK_EQ(status_number("restarts", 0), 1);
	await_fds(before);
	g_begin(&a);
	CHECK_EQ(g_query(&a, a.gid), 0);
	g_close(&a);
	daemon_stop();
}

/* What a worker had above the descriptors of guests that have gone since */
static void descriptors_above_a_hole(void)
{
	enum { MANY = 20 };
	static struct guest g[MANY];
	int i, round, before;

	daemon_start(MANY, NULL);
	before = daemon_fds();
	for (round = 0; round < 3; round++) {
		for (i = 0; i < MANY; i++)
			g_open(&g[i], i);
		CHECK(daemon_fds() > before + 64);
		daemon_kill_worker();
		for (i = 0; i < MANY; i++)
			g_close(&g[i]);
		await_fds(before);
		daemon_kill_worker();
		await_fds(before);
	}
	daemon_stop();
}

/* As much memory as there can be, in the order that takes longest to put in order */
static void descending_maps(void)
{
	struct timespec t[2];
	uint64_t i;
	long ms;

	daemon_start(2, NULL);
	g_open(&a, 0);
	g_connect(&b, 1);
	CHECK_EQ(g_version(&b), 0);
	for (i = 65536; i; i--)
		CHECK_EQ(g_map(&b, i * 2 * PAGE, PAGE, 0, 3, b.memfd), 0);
	clock_gettime(CLOCK_MONOTONIC, &t[0]);
	kill(daemon_worker(), SIGKILL);
	CHECK_EQ(g_query(&a, a.gid), 0);
	clock_gettime(CLOCK_MONOTONIC, &t[1]);
	ms = (t[1].tv_sec - t[0].tv_sec) * 1000 + (t[1].tv_nsec - t[0].tv_nsec) / 1000000;
	printf("# %ld ms for a new worker\n", ms);
	CHECK(ms < 300);
	/* the same order as before */
	CHECK_EQ(g_map(&b, 2 * PAGE, 2 * PAGE, 0, 3, b.memfd), EEXIST);
	CHECK_EQ(g_unmap(&b, 65536 * 2 * PAGE, PAGE), 0);
	CHECK_EQ(g_map(&b, 65536 * 2 * PAGE, PAGE, 0, 3, b.memfd), 0);
	g_close(&a);
	g_close(&b);
	daemon_stop();
}

/* A client that does not take its answer, and a worker that has nothing to do after it */
static void unread_reply(void)
{
	struct vu_header h = { .id = 1, .command = VU_GET_INFO, .size = sizeof(h) };

	setenv("DIBS_STUCK", "2", 1);
	daemon_start(1, NULL);
	unsetenv("DIBS_STUCK");
	g_connect(&a, 0);
	CHECK_EQ(g_version(&a), 0);
	daemon_pause();
	CHECK(g_send(&a, &h, sizeof(h), NULL, 0));
	g_close(&a);
	daemon_continue();
	/* longer than a worker may be at one thing */
	sleep(4);
	CHECK_EQ(status_number("restarts", 0), 0);
	CHECK_EQ(status_number("connected", 0), 0);
	daemon_stop();
}

/* A guest that does not let its memory be mapped loses its own port only */
static void memory_not_mapped(void)
{
	int fds;

	daemon_start(2, NULL);
	g_open(&a, 0);
	g_open(&b, 1);
	expect_dev(&a, &b, VIRTIO_DIBS_E_DEV_ENABLED);
	CHECK_EQ(status_number("joined", 1), 1);
	CHECK(!fcntl(b.memfd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	CHECK_EQ(g_query(&b, a.gid), 0);
	daemon_kill_worker();
	CHECK(g_gone(&b));
	g_close(&b);
	expect_dev(&a, &b, VIRTIO_DIBS_E_DEV_DISABLED);
	CHECK_EQ(g_query(&a, a.gid), 0);
	/* from the beginning: an answer, and not a descriptor more */
	g_connect(&b, 1);
	CHECK_EQ(g_version(&b), 0);
	CHECK(!fcntl(b.memfd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	fds = daemon_fds();
	CHECK_EQ(g_map(&b, G_IOVA, G_MEM, 0, 3, b.memfd), EPERM);
	CHECK_EQ(daemon_fds(), fds);
	CHECK_EQ(g_query(&a, a.gid), 0);
	g_close(&b);
	g_open(&b, 1);
	expect_dev(&a, &b, VIRTIO_DIBS_E_DEV_ENABLED);
	CHECK_EQ(status_number("restarts", 0), 1);
	g_close(&a);
	g_close(&b);
	daemon_stop();
}

static const struct tap_test tests[] = {
	{ "guest_killed_at_every_message", guest_killed_at_every_message },
	{ "worker_killed_at_every_message", worker_killed_at_every_message },
	{ "moves_before_requests", moves_before_requests },
	{ "descriptors_closed_once", descriptors_closed_once },
	{ "descending_maps", descending_maps },
	{ "unread_reply", unread_reply },
	{ "descriptors_above_a_hole", descriptors_above_a_hole },
	{ "memory_not_mapped", memory_not_mapped },
};

TAP_MAIN(tests)
