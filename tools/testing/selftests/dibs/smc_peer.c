// SPDX-License-Identifier: GPL-2.0
/*
 * Traffic between two systems: a server, and clients that check or measure.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "smc_util.h"

#define MAX_SIZE	0x100000
#define CHECK_SIZE	40000
#define HUNG_SECONDS	30
#define SOON_MS		5000

static const char usage[] =
"usage: smc_peer NET ADDRESS PORT COMMAND\n"
" NET is smc, which has to be in mode SMCD then, or tcp.\n"
" serve                    serves clients until it is killed; ADDRESS is its own\n"
" check SECONDS CLIENTS    connections that come and go, all bytes sent, returned and\n"
"                          compared; exit 0 if none was wrong, broke or hung\n"
" stream SIZE COUNT        writes COUNT times SIZE bytes, prints MB/s\n"
" pingpong SIZE COUNT      prints us per round trip\n"
" last SECONDS             round trips, all bytes compared, for so long or until the\n"
"                          connection breaks; prints how that was and how long the\n"
"                          longest took; exit 1 if it hung or bytes were wrong\n"
" hold                     a connection that somebody else ends: prints \"ready\",\n"
"                          and after how many ms it broke; exit 1 if it did not\n";

enum what { WHAT_ECHO, WHAT_SINK };

/* What a client begins with */
struct request {
	__u32 what;
	__u32 size;
};

static struct {
	bool smc;
	struct sockaddr_in addr;
} net;

static char buf[MAX_SIZE], reply[MAX_SIZE];

static void check(long rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "smc_peer: %s: %s\n", what, strerror(-rc));
	exit(1);
}

static int new_socket(void)
{
	int fd = net.smc ? socket(AF_SMC, SOCK_STREAM, SMCPROTO_SMC) :
			   socket(AF_INET, SOCK_STREAM, 0);
	int one = 1;

	check(fd < 0 ? -errno : 0, "socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

static bool mode_ok(int fd)
{
	return !net.smc || is_smcd(fd);
}

/*********************************** server **********************************/

static void serve_echo(int fd, size_t size)
{
	while (recv_all(fd, buf, size) == (ssize_t)size)
		if (send_all(fd, buf, size))
			break;
}

static void serve_sink(int fd)
{
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	send_all(fd, buf, 1);
}

static void serve_one(int fd)
{
	struct request req;

	limit_wait(fd, 2 * HUNG_SECONDS);
	if (recv_all(fd, &req, sizeof(req)) != sizeof(req) || req.size > MAX_SIZE)
		exit(0);
	if (req.what == WHAT_ECHO)
		serve_echo(fd, req.size);
	else
		serve_sink(fd);
	close(fd);
	exit(0);
}

static void serve(void)
{
	int listener = new_socket(), fd;

	if (bind(listener, (struct sockaddr *)&net.addr, sizeof(net.addr)) ||
	    listen(listener, 128))
		check(-errno, "listen");
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		if (!fork())
			serve_one(fd);
		close(fd);
	}
}

/*********************************** clients *********************************/

/* A connection, or a negative errno; -EPROTO if it is not SMC-D */
static int open_peer(enum what what, __u32 size)
{
	struct request req = { what, size };
	int fd = new_socket(), rc;

	limit_wait(fd, HUNG_SECONDS);
	if (connect(fd, (struct sockaddr *)&net.addr, sizeof(net.addr)))
		rc = -errno;
	else if (!mode_ok(fd))
		rc = -EPROTO;
	else
		rc = send_all(fd, &req, sizeof(req));
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static double measure(bool pingpong, size_t size, long count)
{
	int fd = open_peer(pingpong ? WHAT_ECHO : WHAT_SINK, size);
	double start = now_us();
	long i;

	check(fd, "connect");
	for (i = 0; i < count; i++) {
		check(send_all(fd, buf, size), "send");
		if (pingpong && recv_all(fd, reply, size) != (ssize_t)size)
			check(-ECONNRESET, "recv");
	}
	if (!pingpong) {
		shutdown(fd, SHUT_WR);
		if (recv_all(fd, reply, 1) != 1)
			check(-ECONNRESET, "recv");
	}
	start = now_us() - start;
	close(fd);
	return pingpong ? start / count : size * (double)count / start;
}

static struct counters {
	unsigned long conns, bytes, errors, bad;
} *counters;

static void count_add(unsigned long *counter, unsigned long n)
{
	__atomic_add_fetch(counter, n, __ATOMIC_RELAXED);
}

static int exchange(int fd, struct pattern *p, size_t size)
{
	ssize_t n;
	int rc;

	pattern_fill(p, buf, size);
	rc = send_all(fd, buf, size);
	if (rc)
		return rc;
	n = recv_all(fd, reply, size);
	if (n != (ssize_t)size)
		return n < 0 ? n : -EPIPE;
	if (memcmp(buf, reply, size))
		count_add(&counters->bad, 1);
	count_add(&counters->bytes, size);
	return 0;
}

static void check_client(double end, int seed)
{
	struct pattern p;
	int fd, i, rc;

	pattern_init(&p, seed);
	while (now_us() < end) {
		size_t size = pattern_rand(&p, CHECK_SIZE);

		fd = open_peer(WHAT_ECHO, size);
		rc = fd < 0 ? fd : 0;
		for (i = 0; i < 20 && !rc && now_us() < end; i++)
			rc = exchange(fd, &p, size);
		if (rc) {
			fprintf(stderr, "smc_peer: %s\n", strerror(-rc));
			count_add(&counters->errors, 1);
			usleep(10000);
		}
		count_add(&counters->conns, 1);
		if (fd >= 0)
			close(fd);
	}
	exit(0);
}

static int run_check(int seconds, int clients)
{
	double end = now_us() + seconds * 1e6;
	int i;

	for (i = 0; i < clients; i++)
		if (!fork())
			check_client(end, i);
	while (wait(NULL) > 0)
		;
	printf("conns=%lu bytes=%lu errors=%lu bad=%lu\n", counters->conns,
	       counters->bytes, counters->errors, counters->bad);
	return !counters->bytes || counters->errors || counters->bad;
}

static int last(int seconds)
{
	double end = now_us() + seconds * 1e6, before = now_us(), ms, longest = 0;
	int fd = open_peer(WHAT_ECHO, CHECK_SIZE), rc = fd < 0 ? fd : 0;
	struct pattern p;
	long n = 0;

	pattern_init(&p, 1);
	for (;;) {
		ms = (now_us() - before) / 1000;
		longest = ms > longest ? ms : longest;
		before = now_us();
		if (rc || before >= end)
			break;
		rc = exchange(fd, &p, CHECK_SIZE);
		n++;
	}
	printf("%ld round trips, %s, the longest took %.0f ms\n", n,
	       rc ? strerror(-rc) : "unbroken", longest);
	return longest > SOON_MS || counters->bad;
}

/* The end of the stream would pass for a success */
static int hold(void)
{
	int fd = open_peer(WHAT_ECHO, 1);
	double start = now_us();
	ssize_t n;

	check(fd, "connect");
	printf("ready\n");
	n = recv(fd, buf, 1, 0);
	printf("%.0f ms: %s\n", (now_us() - start) / 1000,
	       n < 0 ? strerror(errno) : "data or end of stream");
	return n >= 0 || errno == EAGAIN;
}

int main(int argc, char **argv)
{
	long a = argc > 5 ? atol(argv[5]) : 0, b = argc > 6 ? atol(argv[6]) : 0;
	const char *command = argc > 4 ? argv[4] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (argc < 5 || inet_pton(AF_INET, argv[2], &net.addr.sin_addr) != 1)
		goto usage;
	net.smc = !strcmp(argv[1], "smc");
	net.addr.sin_family = AF_INET;
	net.addr.sin_port = htons(atoi(argv[3]));
	if (!strcmp(command, "serve"))
		serve();
	if (!strcmp(command, "hold"))
		return hold();
	counters = mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(counters == MAP_FAILED ? -errno : 0, "mmap");
	if (a > 0 && !strcmp(command, "last"))
		return last(a);
	if (a < 1 || b < 1)
		goto usage;
	if (!strcmp(command, "check"))
		return run_check(a, b);
	if (a > MAX_SIZE)
		goto usage;
	if (!strcmp(command, "stream") || !strcmp(command, "pingpong")) {
		printf("%.3f\n", measure(*command == 'p', a, b));
		return 0;
	}
usage:
	fputs(usage, stderr);
	return 2;
}
