/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all fuzz targets share: two ports without a worker around them
 *
 * Tokens are not random in here, or no input could ever name one.
 */
#ifndef DIBS_TESTS_FUZZ_H
#define DIBS_TESTS_FUZZ_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../log.h"
#include "../state.h"

#define FUZZ_MEM	0x20000
/* All of both ports are fewer than there are tokens, and ISM begins at 32 */
#define FUZZ_DMBS	64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct state *st;
static struct fabric fabric;
static struct port ports[2];
static struct mem_room room = { .shares = MEM_MIN_SHARES };
static uint8_t next_token;

ssize_t getrandom(void *buf, size_t len, unsigned int flags)
{
	(void)flags;
	memset(buf, ++next_token, len);
	return len;
}

static uint64_t fuzz_now;

uint64_t port_now(void)
{
	return fuzz_now += 5000;
}

void port_begin(struct port *p, uint8_t what, uint64_t which)
{
	(void)p;
	(void)what;
	(void)which;
}

void port_end(struct port *p)
{
	(void)p;
}

void log_event(const char *fmt, ...)
{
	(void)fmt;
}

static void fuzz_wake(void *arg, uint32_t port)
{
	(void)arg;
	ports[port].ops->wake(&ports[port]);
}

/* Before each input, which is not to be refused for how often others have come */
static void fuzz_begin(void)
{
	size_t size = sizeof(*st) + sizeof(struct fabric_dmb) * FUZZ_DMBS * 2;
	uint8_t gid[16] = { 0 };
	int i, p[2];

	fuzz_now += 10000000000;
	if (st)
		return;
	st = mmap(NULL, size, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	fabric_state_init(&st->fabric, FUZZ_DMBS, 1 << 20);
	if (st == MAP_FAILED || pipe2(p, O_NONBLOCK))
		abort();
	st->reply_pipe[0] = p[0];
	st->reply_pipe[1] = p[1];
	for (i = 0; i < 2; i++) {
		/* the other half is 0 where there are ISM functions */
		memset(gid, 'A' + i, sizeof(gid) / 2);
		fabric_add_port(&st->fabric, gid);
		ports[i] = (struct port){
			.nr = i, .st = &st->ports[i], .all = ports, .fabric = &fabric,
			.fabric_id = 0xff01, .ops = &vpci_ops, .serving = &st->serving,
			.reply_pipe = st->reply_pipe,
		};
		mem_open(&ports[i].mem, &st->ports[i].vu.mem, &room);
	}
	fabric_open(&fabric, &st->fabric);
	fabric.wake = fuzz_wake;
}

static int fuzz_memfd(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, FUZZ_MEM))
		abort();
	return fd;
}

#endif /* DIBS_TESTS_FUZZ_H */
