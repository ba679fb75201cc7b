// SPDX-License-Identifier: GPL-2.0
/*
 * Traffic of this system with itself: for measurements, and as a load under
 * which devices and modules come and go.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "smc_util.h"

#define MAX_SIZE	0x100000
#define LOAD_CLIENTS	3
#define LOAD_SIZE	40000
#define HOLD_MAX	256
#define HOLD_BYTES	20000
#define HUNG_SECONDS	20

static const char usage[] =
"usage: smc_traffic [-m any] [-b BUFSIZE] [-a] NET TEST\n"
" NET is smc, smc6, tcp, tcp6 or unix; smc has to be in mode SMCD, unless -m any.\n"
" For streams it can be copy as well: memory that two processes share, who copy into it\n"
" and from it and look at each other's positions, without the kernel.\n"
" -a: the two ends of what is measured stay on the first and on the second CPU\n"
" stream SIZE COUNT    writes COUNT times SIZE bytes, prints MB/s\n"
" message SIZE COUNT   the same, prints us per message\n"
" pingpong SIZE COUNT  prints us per round trip\n"
" load SECONDS [PORT]  connections that come and go, all bytes checked; what breaks\n"
"                      is made again; exit 0 if no byte was wrong and nothing hung\n"
" hold COUNT           prints \"ready\" and waits until somebody ends the\n"
"                      connections: all of them within 10 s, or exit 1\n"
" splice COUNT         the same, with received data in pipes, which is looked at\n"
"                      afterwards\n"
" close COUNT          connections that both ends close, on two CPUs and within 20 ms\n"
" unmoved FILE         sends something after writing 1 to FILE, which makes the device\n"
"                      fail to move it: nobody may receive it, or anything for it\n"
" room                 prints how many KiB can be sent before somebody reads\n";

static char buf[MAX_SIZE];
static bool any_mode;
static int bufsize;
static bool apart;

static void check(long rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "smc_traffic: %s: %s\n", what, strerror(-rc));
	exit(1);
}

static void get_pair(const char *net, int fd[2])
{
	check(pair_open(net, bufsize, fd), "connect");
	if (strncmp(net, "smc", 3) || any_mode)
		return;
	if (!is_smcd(fd[0]) || !is_smcd(fd[1])) {
		fprintf(stderr, "smc_traffic: not SMC-D\n");
		exit(1);
	}
}

/******************************* measurements ********************************/

/* The other end: echoes, or reads all there is and says so with one byte */
static void serve(int fd, bool pingpong, size_t size)
{
	if (pingpong) {
		while (recv_all(fd, buf, size) == (ssize_t)size)
			check(send_all(fd, buf, size), "send");
		return;
	}
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	check(send_all(fd, buf, 1), "send");
}

static double measure(int fd, bool pingpong, size_t size, long count)
{
	double start = now_us();
	ssize_t want = size;
	long i;

	for (i = 0; i < count; i++) {
		check(send_all(fd, buf, size), "send");
		if (pingpong && recv_all(fd, buf, size) != want)
			check(-ECONNRESET, "recv");
	}
	if (!pingpong) {
		if (shutdown(fd, SHUT_WR))
			check(-errno, "shutdown");
		if (recv_all(fd, buf, 1) != 1)
			check(-ECONNRESET, "recv");
	}
	return now_us() - start;
}

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	check(sched_setaffinity(0, sizeof(set), &set) ? -errno : 0, "CPU");
}

static pid_t fork_end(void)
{
	pid_t child = fork();

	check(child < 0 ? -errno : 0, "fork");
	if (apart)
		stay_on(!child);
	return child;
}

/* What a stream could be: nothing but the copies that SMC-D makes of each byte */
static struct {
	_Alignas(64) size_t filled;
	_Alignas(64) size_t emptied;
	_Alignas(64) char data[MAX_SIZE];
} *ring;

static size_t position(const size_t *pos)
{
	return __atomic_load_n(pos, __ATOMIC_ACQUIRE);
}

static void advance(size_t *pos, size_t len)
{
	__atomic_store_n(pos, *pos + len, __ATOMIC_RELEASE);
}

/* As much as there is up to the end of the ring, and at most a quarter of it */
static size_t piece(size_t pos, size_t there, size_t ring_size)
{
	size_t len = ring_size - pos % ring_size;

	len = len < ring_size / 4 ? len : ring_size / 4;
	return there < len ? there : len;
}

static void fill_ring(size_t size, size_t ring_size)
{
	size_t done, len;

	for (done = 0; done < size; done += len) {
		len = piece(ring->filled, ring_size - (ring->filled - position(&ring->emptied)),
			    ring_size);
		len = len < size - done ? len : size - done;
		memcpy(ring->data + ring->filled % ring_size, buf + done, len);
		advance(&ring->filled, len);
	}
}

static void empty_ring(size_t total, size_t ring_size)
{
	size_t len;

	while (ring->emptied != total) {
		len = piece(ring->emptied, position(&ring->filled) - ring->emptied, ring_size);
		memcpy(buf, ring->data + ring->emptied % ring_size, len);
		advance(&ring->emptied, len);
	}
}

static int bench_copy(size_t size, long count)
{
	size_t ring_size = bufsize ? bufsize : 65536;
	double start, us;
	int status;
	long i;

	if (ring_size > MAX_SIZE)
		check(-EINVAL, "BUFSIZE");
	ring = mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ring == MAP_FAILED)
		check(-errno, "mmap");
	if (!fork_end()) {
		empty_ring(size * count, ring_size);
		return 0;
	}
	start = now_us();
	for (i = 0; i < count; i++)
		fill_ring(size, ring_size);
	wait(&status);
	us = now_us() - start;
	printf("%.3f\n", (double)size * count / us);
	return status != 0;
}

static int bench(const char *net, const char *test, size_t size, long count)
{
	bool pingpong = !strcmp(test, "pingpong");
	int fd[2], status;
	pid_t child;
	double us;

	if (size < 1 || size > MAX_SIZE || count < 1)
		check(-EINVAL, "SIZE or COUNT");
	if (!strcmp(net, "copy") && !strcmp(test, "stream"))
		return bench_copy(size, count);
	get_pair(net, fd);
	child = fork_end();
	if (!child) {
		close(fd[0]);
		serve(fd[1], pingpong, size);
		return 0;
	}
	close(fd[1]);
	us = measure(fd[0], pingpong, size, count);
	close(fd[0]);
	printf("%.3f\n", strcmp(test, "stream") ? us / count :
						  (double)size * count / us);
	waitpid(child, &status, 0);
	return status != 0;
}

/*********************************** load ************************************/

static struct counters {
	unsigned long conns, bytes, errors, bad, hung;
} *counters;

static sig_atomic_t stop;

static bool stopping(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void on_term(int sig)
{
	(void)sig;
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
}

static void count_add(unsigned long *counter, unsigned long n)
{
	__atomic_add_fetch(counter, n, __ATOMIC_RELAXED);
}

/* Returns false when the connection is no good any more */
static bool count_error(int rc)
{
	if (rc == -EAGAIN)
		count_add(&counters->hung, 1);
	else if (!stopping())
		count_add(&counters->errors, 1);
	return false;
}

static bool load_exchange(int fd, struct pattern *p, char *out, char *in)
{
	size_t len = pattern_rand(p, LOAD_SIZE);
	ssize_t rc;

	pattern_fill(p, out, len);
	rc = send_all(fd, out, len);
	if (rc)
		return count_error(rc);
	rc = recv_all(fd, in, len);
	if (rc != (ssize_t)len)
		return count_error(rc);
	if (memcmp(in, out, len))
		count_add(&counters->bad, 1);
	count_add(&counters->bytes, len);
	return true;
}

static void load_client(const char *net, __u16 port, int seed)
{
	static char out[LOAD_SIZE], in[LOAD_SIZE];
	struct pattern p;
	int fd, i;

	pattern_init(&p, seed);
	while (!stopping()) {
		fd = connect_to(net, bufsize, port);
		if (fd < 0) {
			count_error(fd);
			usleep(2000);
			continue;
		}
		limit_wait(fd, HUNG_SECONDS);
		count_add(&counters->conns, 1);
		for (i = 0; i < 20 && !stopping(); i++)
			if (!load_exchange(fd, &p, out, in))
				break;
		close(fd);
	}
	exit(0);
}

static void load_echo(int fd)
{
	ssize_t n;

	limit_wait(fd, 2 * HUNG_SECONDS);
	for (;;) {
		n = recv(fd, buf, LOAD_SIZE, 0);
		if (n <= 0 || send_all(fd, buf, n))
			exit(0);
	}
}

static void load_server(int listener)
{
	int fd;

	signal(SIGCHLD, SIG_IGN);
	limit_wait(listener, 1);
	while (!stopping()) {
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		if (!fork())
			load_echo(fd);
		close(fd);
	}
	exit(0);
}

static pid_t load_fork(void)
{
	pid_t child = fork();

	check(child < 0 ? -errno : 0, "fork");
	return child;
}

static int load(const char *net, unsigned int seconds, __u16 port)
{
	struct sigaction sa = { .sa_handler = on_term };
	pid_t clients[LOAD_CLIENTS], server;
	int i, listener;

	counters = mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counters == MAP_FAILED)
		check(-errno, "mmap");
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGALRM, &sa, NULL);
	listener = listen_on(net, bufsize, &port);
	check(listener, "listen");
	server = load_fork();
	if (!server)
		load_server(listener);
	close(listener);
	for (i = 0; i < LOAD_CLIENTS; i++) {
		clients[i] = load_fork();
		if (!clients[i])
			load_client(net, port, i);
	}
	alarm(seconds);
	while (!stopping())
		pause();
	/* a client that is in the middle of something has the time for it */
	for (i = 0; i < LOAD_CLIENTS; i++)
		kill(clients[i], SIGTERM);
	for (i = 0; i < LOAD_CLIENTS; i++)
		waitpid(clients[i], NULL, 0);
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	printf("conns=%lu bytes=%lu errors=%lu bad=%lu hung=%lu\n",
	       counters->conns, counters->bytes, counters->errors,
	       counters->bad, counters->hung);
	return !counters->conns || !counters->bytes || counters->bad ||
	       counters->hung;
}

/*********************************** hold ************************************/

static const char *errno_name(int err)
{
	switch (err) {
	case 0:
		return "EOF";
	case EAGAIN:
		return "hung";
	case ECONNRESET:
		return "ECONNRESET";
	case ECONNABORTED:
		return "ECONNABORTED";
	case ENOTCONN:
		return "ENOTCONN";
	case EPIPE:
		return "EPIPE";
	}
	return strerror(err);
}

/* Received data that is not copied: the pipe has references to the DMB */
static void hold_splice(int fd[2], int pipefd[2], int seed)
{
	struct pattern p;
	size_t done;
	ssize_t n;

	if (pipe(pipefd))
		check(-errno, "pipe");
	pattern_init(&p, seed);
	pattern_fill(&p, buf, HOLD_BYTES);
	check(send_all(fd[0], buf, HOLD_BYTES), "send");
	for (done = 0; done < HOLD_BYTES; done += n) {
		n = splice(fd[1], NULL, pipefd[1], NULL, HOLD_BYTES - done, 0);
		if (n <= 0)
			check(n ? -errno : -EPIPE, "splice");
	}
}

static bool hold_spliced(int pipefd[2], int seed)
{
	struct pattern p;
	ssize_t n;

	close(pipefd[1]);
	n = read(pipefd[0], buf, 1); /* what there is, in one piece or more */
	while (n > 0 && n < HOLD_BYTES) {
		ssize_t more = read(pipefd[0], buf + n, HOLD_BYTES - n);

		if (more <= 0)
			break;
		n += more;
	}
	close(pipefd[0]);
	pattern_init(&p, seed);
	return n == HOLD_BYTES && pattern_check(&p, buf, HOLD_BYTES);
}

/* The end of the stream would pass for a success */
static bool hold_ended(int fd, double end)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	double left = (end - now_us()) / 1000;
	ssize_t n = -1;

	errno = EAGAIN;
	if (poll(&pfd, 1, left > 0 ? left : 0) == 1)
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	printf("%s ", n > 0 ? "data" : errno_name(n ? errno : 0));
	if (n >= 0 || errno == EAGAIN)
		return false;
	/* and nothing more goes in */
	return send(fd, buf, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0;
}

static int hold(const char *net, int count, bool spliced)
{
	int fd[HOLD_MAX][2], pipefd[HOLD_MAX][2];
	struct pollfd any;
	double end;
	int i, bad = 0;

	if (count < 1 || count > HOLD_MAX)
		check(-EINVAL, "COUNT");
	for (i = 0; i < count; i++) {
		get_pair(net, fd[i]);
		if (spliced)
			hold_splice(fd[i], pipefd[i], i);
	}
	printf("ready\n");
	fflush(stdout);
	any = (struct pollfd) { .fd = fd[0][0], .events = POLLIN };
	poll(&any, 1, -1);
	end = now_us() + 10e6;
	for (i = 0; i < count; i++) {
		bad += !hold_ended(fd[i][0], end);
		bad += !hold_ended(fd[i][1], end);
		if (spliced && !hold_spliced(pipefd[i], i)) {
			printf("(pipe differs) ");
			bad++;
		}
	}
	printf("\n");
	for (i = 0; i < count; i++) {
		close(fd[i][0]);
		close(fd[i][1]);
	}
	return bad ? 1 : 0;
}

/*********************************** close ***********************************/

/* Where there is one CPU only, that one will do */
static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* The second end to close, a little later each time */
static void close_second(int fd, int late_ms)
{
	run_on(1);
	if (recv(fd, buf, 1, 0))
		_exit(1);
	usleep(60000 + late_ms * 1000);
	close(fd);
	_exit(0);
}

static int close_both(const char *net, int count)
{
	int fd[2], status, i, bad = 0;
	pid_t child;

	run_on(0);
	for (i = 0; i < count; i++) {
		get_pair(net, fd);
		child = fork();
		check(child < 0 ? -errno : 0, "fork");
		if (!child) {
			close(fd[0]);
			close_second(fd[1], i % 20);
		}
		close(fd[1]);
		if (shutdown(fd[0], SHUT_WR))
			check(-errno, "shutdown");
		usleep(60000);
		close(fd[0]);
		waitpid(child, &status, 0);
		bad += status != 0;
	}
	return bad ? 1 : 0;
}

static int unmoved(const char *net, const char *file)
{
	int fd[2], f = open(file, O_WRONLY);
	ssize_t n;

	check(f < 0 ? -errno : 0, file);
	get_pair(net, fd);
	check(send_all(fd[0], buf, HOLD_BYTES), "send");
	check(recv_all(fd[1], buf, HOLD_BYTES), "recv");
	check(write(f, "1", 1) < 0 ? -errno : 0, file);
	send(fd[0], buf, HOLD_BYTES, MSG_NOSIGNAL);
	limit_wait(fd[1], HUNG_SECONDS);
	n = recv(fd[1], buf, sizeof(buf), 0);
	printf("%s\n", n > 0 ? "data" : errno_name(n ? errno : 0));
	return n >= 0 || errno != ECONNRESET;
}

/* What there is in the sender's buffer goes on to that of the receiver, if it fits */
static int room(const char *net)
{
	long total = 0;
	int fd[2];
	ssize_t n;

	get_pair(net, fd);
	do {
		n = send(fd[0], buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			check(-errno, "send");
		total += n > 0 ? n : 0;
	} while (n > 0 || poll(&(struct pollfd){ fd[0], POLLOUT }, 1, 500) > 0);
	printf("%ld\n", (total + 512) / 1024);
	return 0;
}

int main(int argc, char **argv)
{
	const char *test;
	int opt, n;

	if (argc > 1 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	while ((opt = getopt(argc, argv, "+m:b:a")) != -1) {
		if (opt == 'm')
			any_mode = !strcmp(optarg, "any");
		else if (opt == 'a')
			apart = true;
		else if (opt == 'b')
			bufsize = atoi(optarg);
		else
			optind = argc;
	}
	argv += optind;
	n = argc - optind;
	test = n > 1 ? argv[1] : "";
	if (n == 4 && (!strcmp(test, "stream") || !strcmp(test, "message") ||
		       !strcmp(test, "pingpong")))
		return bench(argv[0], test, strtoul(argv[2], NULL, 0),
			     strtol(argv[3], NULL, 0));
	if ((n == 3 || n == 4) && !strcmp(test, "load"))
		return load(argv[0], atoi(argv[2]), n == 4 ? atoi(argv[3]) : 0);
	if (n == 3 && !strcmp(test, "hold"))
		return hold(argv[0], atoi(argv[2]), false);
	if (n == 3 && !strcmp(test, "splice"))
		return hold(argv[0], atoi(argv[2]), true);
	if (n == 3 && !strcmp(test, "close"))
		return close_both(argv[0], atoi(argv[2]));
	if (n == 3 && !strcmp(test, "unmoved"))
		return unmoved(argv[0], argv[2]);
	if (n == 2 && !strcmp(test, "room"))
		return room(argv[0]);
	fputs(usage, stderr);
	return 2;
}
