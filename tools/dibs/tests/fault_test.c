// SPDX-License-Identifier: GPL-2.0
/*
 * The worker dies at each of the points of fault.h in turn, and two guests that do
 * all there is to do notice nothing. Then a request that kills every worker, and
 * workers that are killed at any time.
 *
 * The daemon that DIBS_FABRIC names has been built with DIBS_FAULT.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../fault.h"
#include "guest.h"
#include "tap.h"

#define PAGE	4096u
#define MOVEQ	VIRTIO_DIBS_VQ_MOVE

static const char *const names[] = {
#define FAULT_NAME(name) #name,
	FAULT_POINTS(FAULT_NAME)
#undef FAULT_NAME
};

static struct guest a, b;

static void expect_dev(struct guest *g, struct guest *about, uint32_t what)
{
	struct virtio_dibs_event e = g_event(g);

	CHECK_EQ(e.type, VIRTIO_DIBS_E_DEV);
	CHECK_EQ(e.subtype, what);
	CHECK(!memcmp(e.gid, about->gid, 16));
}

/* Twenty moves, of which each is seen by its data and its signal */
static void moves(uint64_t token)
{
	struct virtio_dibs_signal s;
	uint8_t data[500];
	int i;

	for (i = 0; i < 20; i++) {
		memset(data, i + 1, sizeof(data));
		CHECK_EQ(g_move(&a, MOVEQ + i % 2, token, i * 100, data, sizeof(data),
				i % 16), 0);
		s = g_signal(&b);
		/* a signal may come twice, and not too late */
		while (s.mask != 1 << i % 16)
			s = g_signal(&b);
		CHECK_EQ(s.token, token);
		CHECK_EQ(s.idx, 7);
		CHECK(!memcmp(b.mem + G_DMBS + i * 100, data, sizeof(data)));
	}
}

static void sw_events(void)
{
	struct virtio_dibs_event e;
	int i;

	for (i = 0; i < 10; i++) {
		CHECK_EQ(g_signal_event(&a, b.gid, i, 1000 + i), 0);
		e = g_event(&b);
		CHECK_EQ(e.type, VIRTIO_DIBS_E_SW);
		CHECK_EQ(e.subtype, i);
		CHECK_EQ(e.data, 1000 + i);
	}
	CHECK(g_no_event(&b));
}

static void reopen_a(void)
{
	g_close(&a);
	expect_dev(&b, &a, VIRTIO_DIBS_E_DEV_DISABLED);
	g_open(&a, 0);
	expect_dev(&b, &a, VIRTIO_DIBS_E_DEV_ENABLED);
	expect_dev(&a, &b, VIRTIO_DIBS_E_DEV_ENABLED);
}

/* A third port; who asks again because he was not answered may be told to wait */
static void add_port(void)
{
	int i;

	for (i = 0; i < 100 && status_number("joined", 2) < 0; i++) {
		free(daemon_command("add third\n"));
		usleep(10000);
	}
	CHECK_EQ(status_number("joined", 2), 0);
}

/* All there is to do, each result looked at */
static void life(void)
{
	struct virtio_dibs_event e;
	uint64_t token, other;
	int i;

	add_port();
	g_open(&a, 0);
	g_open(&b, 1);
	expect_dev(&a, &b, VIRTIO_DIBS_E_DEV_ENABLED);
	expect_dev(&b, &a, VIRTIO_DIBS_E_DEV_ENABLED);
	CHECK_EQ(g_register(&b, 7, a.gid, G_DMBS, PAGE, &token), 0);
	CHECK_EQ(g_register(&b, 7, a.gid, G_DMBS, PAGE, &other), VIRTIO_DIBS_S_BUSY);
	CHECK_EQ(g_register(&b, 8, a.gid, G_DMBS + PAGE, PAGE, &other), 0);
	CHECK(token != other);
	moves(token);
	sw_events();
	CHECK_EQ(g_unregister(&b, token), 0);
	e = g_event(&a);
	CHECK_EQ(e.type, VIRTIO_DIBS_E_BUF);
	CHECK_EQ(e.token, token);
	CHECK_EQ(g_unregister(&b, token), VIRTIO_DIBS_S_NOENT);
	CHECK_EQ(g_move(&a, MOVEQ, token, 0, "x", 1, 0), VIRTIO_DIBS_S_NOENT);
	CHECK_EQ(g_unmap(&a, G_IOVA, G_MEM), 0);
	for (i = 0; i < 16; i++)
		CHECK_EQ(g_map(&a, G_IOVA + i * PAGE, PAGE, i * PAGE, 3, a.memfd), 0);
	CHECK_EQ(g_unmap(&a, G_IOVA, 16 * PAGE), 0);
	CHECK_EQ(g_map(&a, G_IOVA, G_MEM, 0, 3, a.memfd), 0);
	CHECK_EQ(g_move(&a, MOVEQ, other, 5, "yz", 2, -1), 0);
	CHECK(!memcmp(b.mem + G_DMBS + PAGE + 5, "yz", 2));
	g_reset(&b);
	CHECK_EQ(g_status(&b), 0);
	expect_dev(&a, &b, VIRTIO_DIBS_E_DEV_DISABLED);
	CHECK_EQ(g_move(&a, MOVEQ, other, 0, "x", 1, 0), VIRTIO_DIBS_S_NOENT);
	g_setup(&b);
	g_start(&b);
	expect_dev(&a, &b, VIRTIO_DIBS_E_DEV_ENABLED);
	expect_dev(&b, &a, VIRTIO_DIBS_E_DEV_ENABLED);
	reopen_a();
	CHECK_EQ(g_register(&b, 7, a.gid, G_DMBS, PAGE, &token), 0);
	moves(token);
	CHECK(g_no_event(&a));
	CHECK(g_no_event(&b));
}

/* Dies here, the time number hits */
static long life_with_fault(int at, int hits)
{
	char fault[32];
	long restarts;
	int fds;

	snprintf(fault, sizeof(fault), "%d:%d", at, hits);
	daemon_start(2, fault);
	life();
	fds = daemon_fds();
	reopen_a();
	CHECK_EQ(daemon_fds(), fds);
	restarts = status_number("restarts", 0);
	g_close(&a);
	g_close(&b);
	daemon_stop();
	return restarts;
}

static void every_point(void)
{
	static const int hits[] = { 1, 4, 2, 17 };
	uint32_t i, nr = getenv("LONG") ? 4 : 2;
	int at, died = 0;
	long n;

	for (at = 0; at < FAULT_FIRST_ISM; at++) {
		for (i = 0; i < nr; i++) {
			n = life_with_fault(at, hits[i]);
			/* at least once the worker does come there */
			if (n > 1 || (!i && !n))
				printf("# %s: %ld deaths\n", names[at], n);
			CHECK(n <= 1 && (i || n == 1));
			died += n;
		}
	}
	printf("# %d points, %d deaths\n", FAULT_FIRST_ISM, died);
}

/* A request that every worker dies of: its port goes, with its request */
static void poison(void)
{
	uint64_t token;
	char fault[32];

	snprintf(fault, sizeof(fault), "%d:1:9", FAULT_MOVE_COPIED);
	daemon_start(3, fault);
	g_open(&a, 0);
	g_open(&b, 1);
	CHECK_EQ(g_query(&a, b.gid), 0);
	CHECK_EQ(g_register(&b, 7, a.gid, G_DMBS, PAGE, &token), 0);
	expect_dev(&b, &a, VIRTIO_DIBS_E_DEV_ENABLED);
	CHECK_EQ(status_number("restarts", 0), 0);
	g_add_move(&a, MOVEQ, 0, token, 0, G_DATA, 0, -1);
	g_kick(&a, MOVEQ);
	CHECK(g_gone(&a));
	expect_dev(&b, &a, VIRTIO_DIBS_E_DEV_DISABLED);
	CHECK_EQ(status_number("restarts", 0), 2);
	CHECK_EQ(g_query(&b, b.gid), 0);
	g_close(&a);
	g_open(&a, 0);
	expect_dev(&b, &a, VIRTIO_DIBS_E_DEV_ENABLED);
	g_close(&a);
	g_close(&b);
	daemon_stop();
}

/* More ports with such a request than workers may die before they serve */
static void many_poisons(void)
{
	enum { MANY = 24 };
	static struct guest evil[MANY];
	uint64_t token[MANY];
	char fault[32];
	int i;

	snprintf(fault, sizeof(fault), "%d:1:1000", FAULT_MOVE_COPIED);
	daemon_start(MANY + 1, fault);
	g_open(&b, MANY);
	for (i = 0; i < MANY; i++) {
		g_open(&evil[i], i);
		CHECK_EQ(g_register(&b, i, evil[i].gid, G_DMBS, PAGE, &token[i]), 0);
		expect_dev(&b, &evil[i], VIRTIO_DIBS_E_DEV_ENABLED);
	}
	CHECK_EQ(status_number("restarts", 0), 0);
	/* nobody looks at the queues any more, until a worker has died */
	usleep(10000);
	for (i = 0; i < MANY; i++)
		g_add_move(&evil[i], MOVEQ, 0, token[i], 0, G_DATA, 0, -1);
	g_kick(&evil[0], MOVEQ);
	for (i = 0; i < MANY; i++)
		CHECK(g_gone(&evil[i]));
	CHECK_EQ(g_query(&b, b.gid), 0);
	for (i = 0; i < MANY; i++) {
		expect_dev(&b, &evil[i], VIRTIO_DIBS_E_DEV_DISABLED);
		g_close(&evil[i]);
	}
	CHECK(status_number("restarts", 0) > 21);
	g_close(&b);
	daemon_stop();
}

/* After two events that tell a and b of each other, each of 8 buffers given back kills */
static void two_with_fault(void)
{
	char fault[32];

	snprintf(fault, sizeof(fault), "%d:3:8", FAULT_CURSOR_SAVED);
	daemon_start(2, fault);
	g_open(&a, 0);
	g_open(&b, 1);
	expect_dev(&a, &b, VIRTIO_DIBS_E_DEV_ENABLED);
	expect_dev(&b, &a, VIRTIO_DIBS_E_DEV_ENABLED);
	CHECK_EQ(status_number("restarts", 0), 0);
}

/* That b is told of it costs a worker, and so does the news of the next client, twice */
static void a_is_gone(void)
{
	CHECK(g_gone(&a));
	expect_dev(&b, &a, VIRTIO_DIBS_E_DEV_DISABLED);
	CHECK_EQ(status_number("restarts", 0), 5 + 1);
	g_close(&a);
	/* who is not to blame for the last one */
	g_open(&a, 0);
	expect_dev(&a, &b, VIRTIO_DIBS_E_DEV_ENABLED);
	expect_dev(&b, &a, VIRTIO_DIBS_E_DEV_ENABLED);
	CHECK_EQ(status_number("restarts", 0), 5 + 3);
	CHECK_EQ(g_query(&a, b.gid), 0);
	CHECK_EQ(g_query(&b, a.gid), 0);
	g_close(&a);
	g_close(&b);
	daemon_stop();
}

/* Each worker dies of another request, and none gets to serve others */
static void poison_that_changes(void)
{
	int i;

	two_with_fault();
	for (i = 0; i < 16; i++)
		g_add_move(&a, MOVEQ, i, 1, 0, G_DATA, 0, -1);
	g_kick(&a, MOVEQ);
	a_is_gone();
}

/* Each worker serves others before it dies of another request */
static void poison_now_and_then(void)
{
	int i;

	two_with_fault();
	for (i = 0; ; i++) {
		g_add_move(&a, MOVEQ, 0, 1, 0, G_DATA, 0, -1);
		g_kick(&a, MOVEQ);
		if (i == 4)
			break;
		CHECK_EQ(g_wait(&a, MOVEQ), 4);
		CHECK_EQ(status_number("restarts", 0), i + 1);
	}
	a_is_gone();
}

/* What every worker dies of before it looks at any port is the end */
static void workers_do_not_live(void)
{
	char fault[32];

	snprintf(fault, sizeof(fault), "%d:1:1000", FAULT_LEAVE);
	daemon_start(1, fault);
	g_open(&a, 0);
	g_close(&a);
	CHECK(daemon_failed());
}

/* A worker dies while a client goes: nothing of that meets the next client */
static void next_client(void)
{
	static const enum fault_at at[] = { FAULT_CLOSING, FAULT_CLOSED };
	char fault[32];
	uint32_t i;

	for (i = 0; i < 2; i++) {
		snprintf(fault, sizeof(fault), "%d", at[i]);
		daemon_start(2, fault);
		g_open(&a, 0);
		g_close(&a);
		g_open(&a, 0);
		CHECK_EQ(g_query(&a, a.gid), 0);
		CHECK_EQ(status_number("restarts", 0), 1);
		kill(daemon_worker(), SIGKILL);
		CHECK_EQ(g_query(&a, a.gid), 0);
		CHECK_EQ(status_number("restarts", 0), 2);
		g_close(&a);
		daemon_stop();
	}
}

/*
 * The memory is away when a worker begins. What was asked for before is served when it
 * is back, without another doorbell, and what there is to tell waits until then.
 */
static void memory_away(void)
{
	struct virtio_dibs_query_gid *q;
	struct g_piece out = { G_REQUEST, sizeof(*q) }, in = { G_ANSWER, 16 };
	struct virtio_dibs_ctrl_resp *resp;

	daemon_start(2, NULL);
	g_open(&a, 0);
	g_open(&b, 1);
	expect_dev(&a, &b, VIRTIO_DIBS_E_DEV_ENABLED);
	CHECK_EQ(g_query(&a, a.gid), 0);
	CHECK_EQ(g_unmap(&a, G_IOVA, G_MEM), 0);
	q = (void *)(a.mem + G_REQUEST);
	resp = (void *)(a.mem + G_ANSWER);
	*q = (struct virtio_dibs_query_gid){ .hdr.cmd = VIRTIO_DIBS_C_QUERY_GID };
	memcpy(q->gid, a.gid, sizeof(q->gid));
	memset(resp, 0xee, sizeof(*resp));
	g_add_chain(&a, VIRTIO_DIBS_VQ_CTRL, &out, 1, &in, 1);
	kill(daemon_worker(), SIGKILL);
	while (status_number("restarts", 0) != 1)
		usleep(1000);
	CHECK_EQ(g_signal_event(&b, a.gid, 1, 42), 0);
	CHECK_EQ(resp->status, 0xeeeeeeee);
	CHECK_EQ(g_map(&a, G_IOVA, G_MEM, 0, 3, a.memfd), 0);
	CHECK_EQ(g_wait(&a, VIRTIO_DIBS_VQ_CTRL), sizeof(*resp));
	CHECK_EQ(resp->status, 0);
	CHECK_EQ(g_event(&a).data, 42);
	g_close(&a);
	g_close(&b);
	daemon_stop();
}

/* Rings that are nowhere, and a worker that dies when the driver starts with them */
static void rings_nowhere(void)
{
	char fault[32];

	/* ACKNOWLEDGE and DRIVER, FEATURES_OK, DRIVER_OK */
	snprintf(fault, sizeof(fault), "%d:3", FAULT_STATUS_SET);
	daemon_start(1, fault);
	g_connect(&a, 0);
	CHECK_EQ(g_version(&a), 0);
	CHECK_EQ(g_map(&a, G_IOVA, G_MEM, 0, 3, a.memfd), 0);
	g_setup(&a);
	g_reg_write(&a, 0, VIRTIO_PCI_COMMON_Q_SELECT, 6, 2);
	g_reg_write(&a, 0, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	g_start(&a);
	CHECK_EQ(status_number("restarts", 0), 1);
	CHECK_EQ(g_status(&a), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	CHECK_EQ(status_number("joined", 0), 0);
	g_close(&a);
	daemon_stop();
}

/* From the death of a worker to the answer of the next one */
static void restart_time(void)
{
	long us, max = 0, sum = 0;
	struct timespec t[2];
	int i;

	daemon_start(2, NULL);
	g_open(&a, 0);
	for (i = 0; i < 20; i++) {
		CHECK(daemon_worker() > 0);
		clock_gettime(CLOCK_MONOTONIC, &t[0]);
		kill(daemon_worker(), SIGKILL);
		CHECK_EQ(g_query(&a, a.gid), 0);
		clock_gettime(CLOCK_MONOTONIC, &t[1]);
		us = (t[1].tv_sec - t[0].tv_sec) * 1000000 +
		     (t[1].tv_nsec - t[0].tv_nsec) / 1000;
		sum += us;
		max = us > max ? us : max;
	}
	printf("# on average %ld us, at most %ld us\n", sum / 20, max);
	CHECK(sum / 20 < 200000);
	g_close(&a);
	daemon_stop();
}

static void killer(void)
{
	pid_t pid;
	int i;

	srand(1);
	for (i = 0; i < 100; i++) {
		usleep(20000 + rand() % 20000);
		pid = daemon_worker();
		if (pid > 0)
			kill(pid, SIGKILL);
	}
	exit(0);
}

static void killed_at_random(void)
{
	uint64_t token;
	pid_t child;
	int n = 0;

	daemon_start(2, NULL);
	g_open(&a, 0);
	g_open(&b, 1);
	CHECK_EQ(g_register(&b, 7, a.gid, G_DMBS, PAGE, &token), 0);
	expect_dev(&b, &a, VIRTIO_DIBS_E_DEV_ENABLED);
	child = fork();
	if (!child)
		killer();
	do {
		moves(token);
		sw_events();
		n++;
	} while (!waitpid(child, NULL, WNOHANG));
	printf("# %d rounds, %ld workers killed\n", n, status_number("restarts", 0));
	CHECK(status_number("restarts", 0) > 50);
	CHECK(status_number("joined", 0) == 1 && status_number("joined", 1) == 1);
	g_close(&a);
	g_close(&b);
	daemon_stop();
}

static const struct tap_test tests[] = {
	{ "every_point", every_point },
	{ "poison", poison },
	{ "many_poisons", many_poisons },
	{ "poison_that_changes", poison_that_changes },
	{ "poison_now_and_then", poison_now_and_then },
	{ "workers_do_not_live", workers_do_not_live },
	{ "next_client", next_client },
	{ "memory_away", memory_away },
	{ "rings_nowhere", rings_nowhere },
	{ "restart_time", restart_time },
	{ "killed_at_random", killed_at_random },
};

TAP_MAIN(tests)
