// SPDX-License-Identifier: GPL-2.0
/*
 * As many ports and DMBs as there can be, ports that are added at run time, and
 * the sandbox: what is about the daemon as it is delivered
 */
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "tap.h"

#define PAGE	4096u
#define MOVEQ	VIRTIO_DIBS_VQ_MOVE
#define MANY	100

static struct guest g[MANY];

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* 1,024 ports; every guest writes to the next, and nobody gets what is not his */
static void many_ports(void)
{
	uint64_t token[MANY];
	int i;

	daemon_start(1024, NULL);
	CHECK(status_number("dmbs", 1023) == 0);
	CHECK(status_number("dmbs", 1024) == -1);
	for (i = 0; i < MANY; i++)
		g_open(&g[i], i * 10);
	for (i = 0; i < MANY; i++)
		CHECK_EQ(g_register(&g[i], 3, g[(i + 1) % MANY].gid, G_DMBS, PAGE,
				    &token[i]), 0);
	for (i = 0; i < MANY; i++) {
		struct guest *next = &g[(i + 1) % MANY];

		CHECK_EQ(g_move(next, MOVEQ, token[i], 8, &i, sizeof(i), 1), 0);
		CHECK_EQ(g_move(&g[(i + 2) % MANY], MOVEQ, token[i], 8, &i, 4, 1),
			 VIRTIO_DIBS_S_PERM);
	}
	for (i = 0; i < MANY; i++) {
		CHECK_EQ(g_signal(&g[i]).token, token[i]);
		CHECK_EQ(*(int *)(g[i].mem + G_DMBS + 8), i);
	}
	/* one event for each of the others, of which some wait for buffers */
	CHECK_EQ(status_number("events", 0), MANY - 1);
	CHECK_EQ(status_number("events_pending", 0), MANY - 1 - G_BUFS);
	for (i = 0; i < MANY; i++)
		g_close(&g[i]);
	daemon_stop();
}

/* A port full of DMBs, and a worker that has to find them all again */
static void many_dmbs(void)
{
	uint32_t i, nr = getenv("LONG") ? 65536 : 4096;
	uint64_t token, first = 0;
	double t = seconds();

	daemon_start(2, NULL);
	g_open(&g[0], 0);
	g_open(&g[1], 1);
	for (i = 0; i < nr; i++) {
		CHECK_EQ(g_register(&g[0], i, g[1].gid, G_DMBS, PAGE, &token), 0);
		first = first ? first : token;
	}
	CHECK_EQ(status_number("dmbs", 0), nr);
	printf("# %u DMBs in %.1f s\n", nr, seconds() - t);
	t = seconds();
	kill(daemon_worker(), SIGKILL);
	CHECK_EQ(g_move(&g[1], MOVEQ, first, 0, "x", 1, 5), 0);
	CHECK_EQ(g_move(&g[1], MOVEQ, token, 0, "x", 1, 5), 0);
	printf("# %.1f ms for a new worker to know them\n", (seconds() - t) * 1e3);
	CHECK_EQ(status_number("dmbs", 0), nr);
	g_reset(&g[0]);
	CHECK_EQ(status_number("dmbs", 0), 0);
	g_close(&g[0]);
	g_close(&g[1]);
	daemon_stop();
}

static void add(const char *name, bool ok)
{
	char line[128], *answer;

	snprintf(line, sizeof(line), "add %s\n", name);
	answer = daemon_command(line);
	CHECK(!strcmp(answer, "{}") == ok);
	free(answer);
}

static void ports_added(void)
{
	char name[32], path[128];
	const char *first;
	int i, before;

	daemon_start(1, NULL);
	g_open(&g[0], 0);
	before = daemon_fds();
	for (i = 1; i <= 50; i++) {
		snprintf(name, sizeof(name), "new%d", i);
		add(name, true);
		first = port_path(0);
		snprintf(path, sizeof(path), "%.*s%s.sock",
			 (int)(strrchr(first, '/') - first + 1), first, name);
		g_connect_path(&g[i], path);
		g_begin(&g[i]);
		CHECK_EQ(g_query(&g[0], g[i].gid), 0);
		CHECK_EQ(g_query(&g[i], g[0].gid), 0);
		if (i % 10 == 0)
			kill(daemon_worker(), SIGKILL);
	}
	add("../evil", false);
	add("", false);
	add("a.b", false);
	add("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    false);
	/* taken: answered, and not made */
	add("new1", true);
	usleep(100000);
	CHECK_EQ(g_query(&g[0], g[1].gid), 0);
	CHECK(status_number("joined", 50) == 1);
	CHECK(status_number("joined", 51) == -1);
	for (i = 0; i <= 50; i++)
		g_close(&g[i]);
	usleep(200000);
	/* a listening socket each, and the first connection is gone */
	CHECK(daemon_fds() <= before + 50);
	daemon_stop();
}

/* A worker has no capabilities, no new privileges, a filter, and sees no files */
static void sandboxed(void)
{
	static const char *const lines[] = {
		"CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n",
		"NoNewPrivs:\t1\n", "Seccomp:\t2\n",
	};
	char path[64], text[4096] = "", root[64] = "";
	uint32_t i;
	FILE *f;

	daemon_start(1, NULL);
	g_open(&g[0], 0);
	snprintf(path, sizeof(path), "/proc/%d/status", daemon_worker());
	f = fopen(path, "r");
	CHECK(f && fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		printf("# %s", lines[i]);
		CHECK(strstr(text, lines[i]));
	}
	snprintf(path, sizeof(path), "/proc/%d/root", daemon_worker());
	if (readlink(path, root, sizeof(root) - 1) > 0)
		printf("# root: %s\n", root);
	CHECK(strcmp(root, "/"));
	g_close(&g[0]);
	daemon_stop();
}

static const struct tap_test tests[] = {
	{ "sandboxed", sandboxed },
	{ "many_ports", many_ports },
	{ "many_dmbs", many_dmbs },
	{ "ports_added", ports_added },
};

TAP_MAIN(tests)
