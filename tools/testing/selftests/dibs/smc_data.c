// SPDX-License-Identifier: GPL-2.0
/*
 * SMC-D between two sockets of this system: every byte arrives, once and in
 * order, whatever the way it is sent, received and ended in.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "smc_util.h"

#define MAX_CHUNK	200000
#define STREAM_BYTES	2000000

FIXTURE(smcd) {
	int fd[2];
	struct smc_stats before;
};

FIXTURE_VARIANT(smcd) {
	const char *net;
	int bufsize;
};

FIXTURE_VARIANT_ADD(smcd, v4) {
	.net = "smc",
};

FIXTURE_VARIANT_ADD(smcd, v6) {
	.net = "smc6",
};

FIXTURE_VARIANT_ADD(smcd, small) {
	.net = "smc",
	.bufsize = 16384,
};

FIXTURE_VARIANT_ADD(smcd, large) {
	.net = "smc",
	.bufsize = 1048576,
};

FIXTURE_SETUP(smcd)
{
	int rc = smc_setup();

	self->fd[0] = -1;
	self->fd[1] = -1;
	if (rc == -EAFNOSUPPORT)
		SKIP(return, "no SMC");
	ASSERT_EQ(0, rc);
	if (access("/sys/class/dibs/lo", F_OK))
		SKIP(return, "no loopback device");
	ASSERT_EQ(0, smc_get_stats(&self->before));
	ASSERT_EQ(0, pair_open(variant->net, variant->bufsize, self->fd));
	limit_wait(self->fd[0], 20);
	limit_wait(self->fd[1], 20);
}

/* A test that fell back to TCP has not tested anything */
FIXTURE_TEARDOWN(smcd)
{
	struct smc_stats after;

	close(self->fd[0]);
	close(self->fd[1]);
	ASSERT_EQ(0, smc_get_stats(&after));
	EXPECT_LT(self->before.client_v2, after.client_v2);
	EXPECT_EQ(self->before.client_fallbacks, after.client_fallbacks);
	EXPECT_EQ(self->before.server_fallbacks, after.server_fallbacks);
}

TEST_F(smcd, mode)
{
	struct smc_sock_info info[2];
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, smc_sock_info(self->fd[i], &info[i]));
		EXPECT_EQ(SMC_MODE_SMCD, info[i].mode);
		EXPECT_EQ(0, info[i].fallback_reason);
		EXPECT_TRUE(info[i].has_dmb);
		EXPECT_NE(0, info[i].token);
		EXPECT_NE(0, info[i].gid[0]);
	}
	EXPECT_EQ(info[0].token, info[1].peer_token);
	EXPECT_EQ(info[1].token, info[0].peer_token);
	EXPECT_NE(info[0].token, info[1].token);
	EXPECT_EQ(info[0].gid[0], info[1].peer_gid[0]);
	EXPECT_EQ(info[0].gid[1], info[1].peer_gid[1]);
	if (variant->bufsize) {
		/* the control message needs some of it */
		EXPECT_LE(variant->bufsize - 64, info[0].rmbe_size);
		EXPECT_GE(variant->bufsize, info[0].rmbe_size);
	}
}

/* Sends a stream in pieces of all sizes and, at the same time, receives one */
static int exchange(int fd, __u64 out_seed, __u64 in_seed)
{
	struct pattern out, in, sizes;
	size_t sent = 0, rcvd = 0, len = 0, pos = 0;
	struct pollfd pfd = { .fd = fd };
	static char obuf[MAX_CHUNK], ibuf[MAX_CHUNK];
	ssize_t n;

	pattern_init(&out, out_seed);
	pattern_init(&in, in_seed);
	pattern_init(&sizes, out_seed + 100);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (sent < STREAM_BYTES || rcvd < STREAM_BYTES) {
		pfd.events = (sent < STREAM_BYTES ? POLLOUT : 0) |
			     (rcvd < STREAM_BYTES ? POLLIN : 0);
		if (poll(&pfd, 1, 20000) != 1)
			return 1;
		if (sent < STREAM_BYTES && (pfd.revents & POLLOUT)) {
			if (pos == len) {
				len = pattern_rand(&sizes, MAX_CHUNK);
				if (len > STREAM_BYTES - sent)
					len = STREAM_BYTES - sent;
				pattern_fill(&out, obuf, len);
				pos = 0;
			}
			n = send(fd, obuf + pos, len - pos, MSG_NOSIGNAL);
			if (n < 0 && errno != EAGAIN)
				return 2;
			if (n > 0) {
				pos += n;
				sent += n;
			}
		}
		if (pfd.revents & POLLIN) {
			n = recv(fd, ibuf, pattern_rand(&sizes, MAX_CHUNK), 0);
			if (n == 0 || (n < 0 && errno != EAGAIN))
				return 3;
			if (n > 0) {
				if (!pattern_check(&in, ibuf, n))
					return 4;
				rcvd += n;
			}
		}
	}
	return 0;
}

TEST_F_TIMEOUT(smcd, both_ways, 120)
{
	int status;
	pid_t child;

	ASSERT_TRUE(is_smcd(self->fd[0]));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(exchange(self->fd[1], 2, 1));
	EXPECT_EQ(0, exchange(self->fd[0], 1, 2));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/* Each byte value, in pieces whose sizes lie around the size of the buffer */
TEST_F_TIMEOUT(smcd, sizes, 120)
{
	struct smc_sock_info info;
	static char out[1100000], in[1100000]; /* more than any buffer */
	unsigned int i, size;
	int status;
	pid_t child;

	ASSERT_EQ(0, smc_sock_info(self->fd[0], &info));
	ASSERT_EQ(SMC_MODE_SMCD, info.mode);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		ssize_t n;

		close(self->fd[0]);
		while ((n = recv(self->fd[1], in, sizeof(in), 0)) > 0)
			if (send_all(self->fd[1], in, n))
				_exit(1);
		_exit(n < 0);
	}
	close(self->fd[1]);
	self->fd[1] = -1;
	for (i = 0; i < 256; i++) {
		/* the echo is taken in before the buffers of both are full */
		size = i % 8 == 7 ? info.rmbe_size - 4 + i % 16 : i * 37 + 1;
		memset(out, i, size);
		ASSERT_EQ(0, send_all(self->fd[0], out, size));
		ASSERT_EQ((ssize_t)size, recv_all(self->fd[0], in, size));
		ASSERT_EQ(0, memcmp(in, out, size));
	}
	EXPECT_EQ(0, shutdown(self->fd[0], SHUT_WR));
	EXPECT_EQ(0, recv(self->fd[0], in, 1, 0));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/* A full connection takes nothing more and loses nothing */
TEST_F(smcd, full)
{
	struct pollfd pfd = { .fd = self->fd[0], .events = POLLOUT };
	static char buf[4096];
	size_t sent = 0, rcvd = 0;
	struct pattern out, in;
	ssize_t n;

	ASSERT_TRUE(is_smcd(self->fd[0]));
	pattern_init(&out, 7);
	pattern_init(&in, 7);
	for (;;) {
		pattern_fill(&out, buf, sizeof(buf));
		n = send(self->fd[0], buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0)
			sent += n;
		if (n != (ssize_t)sizeof(buf))
			break;
	}
	if (n < 0)
		EXPECT_EQ(EAGAIN, errno);
	EXPECT_LT(0, sent);
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	while (rcvd < sent) {
		n = recv(self->fd[1], buf, sizeof(buf), 0);
		ASSERT_LT(0, n);
		EXPECT_TRUE(pattern_check(&in, buf, n));
		rcvd += n;
	}
	EXPECT_EQ(sent, rcvd);
	EXPECT_EQ(1, poll(&pfd, 1, 5000));
	EXPECT_EQ(-1, recv(self->fd[1], buf, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
}

/* Bytes in flight when one direction ends are delivered, the other one lives */
TEST_F(smcd, half_close)
{
	char buf[32];

	ASSERT_TRUE(is_smcd(self->fd[0]));
	ASSERT_EQ(0, send_all(self->fd[0], "before the end", 14));
	ASSERT_EQ(0, shutdown(self->fd[0], SHUT_WR));
	EXPECT_EQ(14, recv_all(self->fd[1], buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, "before the end", 14));
	EXPECT_EQ(0, recv(self->fd[1], buf, sizeof(buf), 0));
	EXPECT_EQ(0, send_all(self->fd[1], "answer", 6));
	EXPECT_EQ(6, recv_all(self->fd[0], buf, 6));
	EXPECT_EQ(0, memcmp(buf, "answer", 6));
	EXPECT_EQ(-1, send(self->fd[0], buf, 1, MSG_NOSIGNAL));
	EXPECT_EQ(EPIPE, errno);
}

TEST_F(smcd, urgent)
{
	struct pollfd pfd = { .fd = self->fd[1], .events = POLLPRI };
	char buf[32] = "";

	ASSERT_TRUE(is_smcd(self->fd[0]));
	ASSERT_EQ(0, send_all(self->fd[0], "abc", 3));
	ASSERT_EQ(1, send(self->fd[0], "U", 1, MSG_OOB));
	ASSERT_EQ(1, poll(&pfd, 1, 5000));
	EXPECT_NE(0, pfd.revents & POLLPRI);
	EXPECT_EQ(1, recv(self->fd[1], buf, 1, MSG_OOB));
	EXPECT_EQ('U', buf[0]);
	/* more is sent only when the urgent byte is out of the way */
	EXPECT_EQ(3, recv_all(self->fd[1], buf, 3));
	EXPECT_EQ(0, memcmp(buf, "abc", 3));
	ASSERT_EQ(0, send_all(self->fd[0], "def", 3));
	EXPECT_EQ(3, recv_all(self->fd[1], buf, 3));
	EXPECT_EQ(0, memcmp(buf, "def", 3));
}

/* The other end is killed while it sends: what arrived can be read, it is a
 * beginning of what was sent, and then the connection ends, at once.
 */
TEST_F(smcd, killed_peer)
{
	static char buf[MAX_CHUNK];
	struct pattern p;
	size_t rcvd = 0;
	double start;
	pid_t child;
	ssize_t n;

	ASSERT_TRUE(is_smcd(self->fd[0]));
	child = fork();
	ASSERT_LE(0, child);
	pattern_init(&p, 3);
	if (!child) {
		close(self->fd[0]);
		for (;;) {
			pattern_fill(&p, buf, 1000);
			send_all(self->fd[1], buf, 1000);
		}
	}
	close(self->fd[1]);
	ASSERT_LT(0, recv(self->fd[0], buf, 1, MSG_PEEK));
	usleep(20000);
	kill(child, SIGKILL);
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	start = now_us();
	while ((n = recv(self->fd[0], buf, sizeof(buf), 0)) > 0) {
		EXPECT_TRUE(pattern_check(&p, buf, n));
		rcvd += n;
	}
	if (n < 0)
		EXPECT_EQ(ECONNRESET, errno);
	EXPECT_LT(0, rcvd);
	EXPECT_GT(5e6, now_us() - start);
	while ((n = send(self->fd[0], buf, 1, MSG_NOSIGNAL)) > 0)
		ASSERT_GT(5e6, now_us() - start);
	EXPECT_EQ(-1, n);
	EXPECT_NE(EAGAIN, errno);
}

/* The other end leaves unread data behind: we learn of it */
TEST_F(smcd, killed_reader)
{
	char buf[1000] = "";
	double start;
	pid_t child;
	ssize_t n;

	ASSERT_TRUE(is_smcd(self->fd[0]));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		close(self->fd[0]);
		pause();
	}
	close(self->fd[1]);
	self->fd[1] = -1;
	EXPECT_EQ(0, send_all(self->fd[0], buf, sizeof(buf)));
	kill(child, SIGKILL);
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	start = now_us();
	n = recv(self->fd[0], buf, 1, 0);
	EXPECT_GE(0, n);
	if (n < 0)
		EXPECT_EQ(ECONNRESET, errno);
	EXPECT_GT(5e6, now_us() - start);
}

/* There is always room for it: less than half of the smallest buffer */
#define SPLICE_BYTES	6000

static ssize_t splice_all(int fd, int pipefd, size_t len)
{
	size_t done;
	ssize_t n;

	for (done = 0; done < len; done += n) {
		n = splice(fd, NULL, pipefd, NULL, len - done, 0);
		if (n <= 0)
			return n ? -errno : -EPIPE;
	}
	return done;
}

TEST_F_TIMEOUT(smcd, splice, 120)
{
	static char out[SPLICE_BYTES], in[SPLICE_BYTES];
	struct pattern p;
	int pipefd[2], i;

	ASSERT_TRUE(is_smcd(self->fd[0]));
	ASSERT_EQ(0, pipe(pipefd));
	pattern_init(&p, 5);
	for (i = 0; i < 50; i++) {
		pattern_fill(&p, out, sizeof(out));
		ASSERT_EQ(0, send_all(self->fd[0], out, sizeof(out)));
		ASSERT_EQ(SPLICE_BYTES, splice_all(self->fd[1], pipefd[1],
						   SPLICE_BYTES));
		ASSERT_EQ(SPLICE_BYTES, read(pipefd[0], in, SPLICE_BYTES));
		ASSERT_EQ(0, memcmp(in, out, sizeof(in)));
	}
	close(pipefd[0]);
	close(pipefd[1]);
}

/* What is in a pipe stays what it is when the connection it came from ends and
 * its buffer is used by other connections.
 */
TEST_F(smcd, splice_ended)
{
	static char out[SPLICE_BYTES], in[SPLICE_BYTES];
	struct pattern p;
	int pipefd[2], fd[2];
	pid_t child;
	int i;

	ASSERT_TRUE(is_smcd(self->fd[0]));
	ASSERT_EQ(0, pipe(pipefd));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		close(self->fd[1]);
		pattern_init(&p, 9);
		pattern_fill(&p, out, sizeof(out));
		send_all(self->fd[0], out, sizeof(out));
		pause();
	}
	close(self->fd[0]);
	self->fd[0] = -1;
	EXPECT_EQ(SPLICE_BYTES,
		  splice_all(self->fd[1], pipefd[1], SPLICE_BYTES));
	kill(child, SIGKILL);
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	close(self->fd[1]);
	self->fd[1] = -1;
	memset(out, 0x55, sizeof(out));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, pair_open(variant->net, variant->bufsize, fd));
		EXPECT_EQ(0, send_all(fd[0], out, sizeof(out)));
		EXPECT_EQ(SPLICE_BYTES, recv_all(fd[1], in, sizeof(in)));
		EXPECT_EQ(0, memcmp(in, out, sizeof(in)));
		close(fd[0]);
		close(fd[1]);
	}
	EXPECT_EQ(SPLICE_BYTES, read(pipefd[0], in, sizeof(in)));
	pattern_init(&p, 9);
	EXPECT_TRUE(pattern_check(&p, in, sizeof(in)));
	close(pipefd[0]);
	close(pipefd[1]);
}

#define MANY		40

/* Buffers of connections are not mixed up, also when they end in any order */
TEST_F_TIMEOUT(smcd, many, 120)
{
	struct pattern in[MANY], out[MANY], order;
	int fd[MANY][2], i, n, round;
	static char buf[3000];

	ASSERT_TRUE(is_smcd(self->fd[0]));
	pattern_init(&order, 11);
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, pair_open(variant->net, variant->bufsize, fd[i]));
		limit_wait(fd[i][1], 20);
		pattern_init(&in[i], i + 20);
		out[i] = in[i];
	}
	EXPECT_TRUE(is_smcd(fd[MANY - 1][1]));
	for (round = 0; round < 10 * MANY; round++) {
		i = pattern_rand(&order, MANY) - 1;
		if (fd[i][0] < 0)
			continue;
		n = pattern_rand(&order, sizeof(buf));
		pattern_fill(&out[i], buf, n);
		ASSERT_EQ(0, send_all(fd[i][0], buf, n));
		ASSERT_EQ(n, recv_all(fd[i][1], buf, n));
		ASSERT_TRUE(pattern_check(&in[i], buf, n));
		if (round % 8 != 7)
			continue;
		close(fd[i][0]);
		EXPECT_EQ(0, recv(fd[i][1], buf, 1, 0));
		close(fd[i][1]);
		fd[i][0] = -1;
	}
	for (i = 0; i < MANY; i++) {
		if (fd[i][0] < 0)
			continue;
		close(fd[i][0]);
		close(fd[i][1]);
	}
}

/* One connection after the other takes the buffers of its predecessor */
TEST_F_TIMEOUT(smcd, reuse, 120)
{
	struct pattern p, q;
	char buf[500];
	int fd[2], i;

	ASSERT_TRUE(is_smcd(self->fd[0]));
	pattern_init(&p, 13);
	q = p;
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, pair_open(variant->net, variant->bufsize, fd));
		pattern_fill(&p, buf, sizeof(buf));
		ASSERT_EQ(0, send_all(fd[i & 1], buf, sizeof(buf)));
		ASSERT_EQ((ssize_t)sizeof(buf),
			  recv_all(fd[!(i & 1)], buf, sizeof(buf)));
		ASSERT_TRUE(pattern_check(&q, buf, sizeof(buf)));
		/* nothing is left of who was there before */
		EXPECT_EQ(-1, recv(fd[0], buf, 1, MSG_DONTWAIT));
		EXPECT_EQ(EAGAIN, errno);
		close(fd[i & 1]);
		close(fd[!(i & 1)]);
	}
}

TEST_HARNESS_MAIN
