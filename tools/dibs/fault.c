// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: points at which a worker can be made to die
 *
 * DIBS_FAULT=N[:HITS] in the environment kills a worker at the point with the number
 * N, once, when it is there for the time number HITS (default 1), or every time if
 * HITS is negative.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"
#include "log.h"

static const char *const names[] = {
#define FAULT_NAME(name) #name,
	FAULT_POINTS(FAULT_NAME)
#undef FAULT_NAME
};

/* In memory that workers share: one of them dies, and not the next one too */
static struct {
	int at;
	_Atomic int hits;
} *fault;

static void __attribute__((constructor)) fault_parse(void)
{
	const char *text = getenv("DIBS_FAULT");
	int at, hits = 1, n;

	if (!text)
		return;
	n = sscanf(text, "%d:%d", &at, &hits);
	if (n < 1 || at < 0 || at >= FAULT_NR) {
		for (at = 0; at < FAULT_NR; at++)
			printf("%d %s\n", at, names[at]);
		exit(0);
	}
	fault = mmap(NULL, sizeof(*fault), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fault == MAP_FAILED)
		abort();
	fault->at = at;
	fault->hits = hits;
}

void fault_point(enum fault_at at)
{
	int left;

	if (!fault || fault->at != (int)at)
		return;
	left = atomic_load(&fault->hits);
	if (left > 0)
		atomic_store(&fault->hits, left - 1);
	if (!left || left > 1)
		return;
	log_event("fault: %s", names[at]);
	kill(getpid(), SIGKILL);
}
