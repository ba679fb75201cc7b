// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: points at which a worker can be made to die
 *
 * DIBS_FAULT=N[:HITS[:TIMES]] in the environment kills workers at the point with the
 * number N: the one that is there for the time number HITS (default 1), and those that
 * are there next, TIMES in all (default 1). With "all" for N this holds for every point;
 * nobody dies for a while after another one then, so that no request is blamed. Anything
 * else lists the points.
 *
 * DIBS_STUCK=SECONDS is how long a worker may be at one request, for tests that cannot
 * wait for as long as is usual.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "log.h"

static const char *const names[] = {
#define FAULT_NAME(name) #name,
	FAULT_POINTS(FAULT_NAME)
	FAULT_ISM_POINTS(FAULT_NAME)
#undef FAULT_NAME
};

#define EVERYWHERE	FAULT_NR
#define PAUSE		100 /* ms */

/* In memory that workers share: so many of them die, and not all that follow */
static struct {
	int at;
	int first;
	int end;
	_Atomic int hits[FAULT_NR];
	_Atomic long last; /* death, in ms */
} *fault;

static void list_points(void)
{
	int at;

	for (at = 0; at < FAULT_NR; at++)
		printf("%d %s\n", at, names[at]);
	exit(0);
}

static void __attribute__((constructor)) fault_parse(void)
{
	const char *text = getenv("DIBS_FAULT");
	int at = EVERYWHERE, hits = 1, times = 1;

	if (!text)
		return;
	if (!strncmp(text, "all", 3))
		sscanf(text, "all:%d:%d", &hits, &times);
	else if (sscanf(text, "%d:%d:%d", &at, &hits, &times) < 1 || at < 0 || at >= FAULT_NR)
		list_points();
	fault = mmap(NULL, sizeof(*fault), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fault == MAP_FAILED)
		abort();
	fault->at = at;
	fault->first = hits;
	fault->end = hits + times;
}

int fault_patience(int seconds)
{
	const char *text = getenv("DIBS_STUCK");

	return text ? atoi(text) : seconds;
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void fault_point(enum fault_at at)
{
	int hit;

	if (!fault || (fault->at != EVERYWHERE && fault->at != (int)at))
		return;
	if (fault->at == EVERYWHERE && now_ms() - atomic_load(&fault->last) < PAUSE)
		return;
	hit = atomic_fetch_add(&fault->hits[at], 1) + 1;
	if (hit < fault->first || hit >= fault->end)
		return;
	log_event("fault: %s", names[at]);
	atomic_store(&fault->last, now_ms());
	/* SIGKILL is what others end a worker with */
	kill(getpid(), fault->at == EVERYWHERE ? SIGKILL : SIGUSR1);
}
