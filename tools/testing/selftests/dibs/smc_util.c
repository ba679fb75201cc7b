// SPDX-License-Identifier: GPL-2.0
/*
 * Connections of this system with itself, see smc_util.h. Functions return 0
 * or a negative errno if nothing else is said.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "smc_util.h"

/* Load what is there and be able to speak SMC-D version 2 */
int smc_setup(void)
{
	int fd, rc;

	if (system("modprobe -qa dibs_loopback smc smc_diag 2>/dev/null"))
		fd = 0; /* built in, or not there at all */
	fd = socket(AF_SMC, SOCK_STREAM, SMCPROTO_SMC);
	if (fd < 0)
		return -errno;
	close(fd);
	rc = smc_ueid_add("DIBS-SELFTEST");
	return rc == -EEXIST ? 0 : rc;
}

static bool is_v6(const char *net)
{
	return net[strlen(net) - 1] == '6';
}

/* Beyond the limits of the system if we may */
static void set_buf(int fd, int opt, int force, int size)
{
	if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, opt, &size, sizeof(size));
}

static int net_socket(const char *net, int bufsize)
{
	int one = 1;
	int fd;

	if (!strncmp(net, "smc", 3))
		fd = socket(AF_SMC, SOCK_STREAM,
			    is_v6(net) ? SMCPROTO_SMC6 : SMCPROTO_SMC);
	else
		fd = socket(is_v6(net) ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		return -errno;
	if (bufsize) {
		set_buf(fd, SO_SNDBUF, SO_SNDBUFFORCE, bufsize);
		set_buf(fd, SO_RCVBUF, SO_RCVBUFFORCE, bufsize);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t net_address(const char *net, union address *addr,
			     __u16 port)
{
	memset(addr, 0, sizeof(*addr));
	if (is_v6(net)) {
		addr->in6.sin6_family = AF_INET6;
		addr->in6.sin6_addr = in6addr_loopback;
		addr->in6.sin6_port = htons(port);
		return sizeof(addr->in6);
	}
	addr->in.sin_family = AF_INET;
	addr->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	addr->in.sin_port = htons(port);
	return sizeof(addr->in);
}

/* Returns a listening socket, and its port if it was 0 */
int listen_on(const char *net, int bufsize, __u16 *port)
{
	int fd = net_socket(net, bufsize);
	union address addr;
	socklen_t len;
	int one = 1;
	int rc;

	if (fd < 0)
		return fd;
	len = net_address(net, &addr, *port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &addr.sa, len) || listen(fd, 128) ||
	    getsockname(fd, &addr.sa, &len)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	/* both have the port at the same place */
	*port = ntohs(addr.in.sin_port);
	return fd;
}

/* Returns a connected socket */
int connect_to(const char *net, int bufsize, __u16 port)
{
	int fd = net_socket(net, bufsize);
	union address addr;
	socklen_t len;
	int rc;

	if (fd < 0)
		return fd;
	len = net_address(net, &addr, port);
	if (connect(fd, &addr.sa, len)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

/* fd[0] is the client's end */
int pair_open(const char *net, int bufsize, int fd[2])
{
	__u16 port = 0;
	int listener, rc;

	if (!strcmp(net, "unix"))
		return socketpair(AF_UNIX, SOCK_STREAM, 0, fd) ? -errno : 0;
	listener = listen_on(net, bufsize, &port);
	if (listener < 0)
		return listener;
	limit_wait(listener, 10);
	fd[0] = connect_to(net, bufsize, port);
	if (fd[0] < 0) {
		rc = fd[0];
		goto out;
	}
	fd[1] = accept(listener, NULL, NULL);
	rc = fd[1] < 0 ? -errno : 0;
	if (rc)
		close(fd[0]);
out:
	close(listener);
	return rc;
}

bool is_smcd(int fd)
{
	struct smc_sock_info info;

	return !smc_sock_info(fd, &info) && info.mode == SMC_MODE_SMCD;
}

int send_all(int fd, const void *buf, size_t len)
{
	size_t done;
	ssize_t n;

	for (done = 0; done < len; done += n) {
		n = send(fd, (const char *)buf + done, len - done,
			 MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
	}
	return 0;
}

/* Returns what there was until the end of the stream, or a negative errno */
ssize_t recv_all(int fd, void *buf, size_t len)
{
	size_t done;
	ssize_t n;

	for (done = 0; done < len; done += n) {
		n = recv(fd, (char *)buf + done, len - done, 0);
		if (n < 0)
			return -errno;
		if (!n)
			break;
	}
	return done;
}

/* Nothing shall hang: calls return EAGAIN then */
void limit_wait(int fd, int seconds)
{
	struct timeval tv = { .tv_sec = seconds };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

void pattern_init(struct pattern *p, __u64 seed)
{
	p->state = seed * 0x9e3779b97f4a7c15ULL + 1;
}

static __u8 pattern_next(struct pattern *p)
{
	p->state = p->state * 6364136223846793005ULL + 1442695040888963407ULL;
	return p->state >> 56;
}

void pattern_fill(struct pattern *p, void *buf, size_t len)
{
	__u8 *b = buf;

	while (len--)
		*b++ = pattern_next(p);
}

bool pattern_check(struct pattern *p, const void *buf, size_t len)
{
	const __u8 *b = buf;
	bool good = true;

	while (len--)
		good &= *b++ == pattern_next(p);
	return good;
}

/* 1 to limit */
unsigned int pattern_rand(struct pattern *p, unsigned int limit)
{
	unsigned int high = pattern_next(p);
	unsigned int mid = pattern_next(p);

	return (high << 16 | mid << 8 | pattern_next(p)) % limit + 1;
}
