// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz target: what a client sends
 *
 * An input is a sequence of writes: one byte that is the number of descriptors (low
 * 3 bits), one byte that is the length, and that many bytes.
 */
#include "fuzz.h"

/* Descriptors that come with messages; who receives them has others of the same files */
static int files[7];

static void make_files(void)
{
	int i;

	for (i = 0; i < 7 && !files[i]; i++)
		files[i] = fuzz_memfd();
}

static bool client_write(int fd, const uint8_t *data, size_t len, int nr_fds)
{
	union { struct cmsghdr h; char room[CMSG_SPACE(sizeof(int) * 8)]; } c;
	struct iovec iov = { (void *)data, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nr_fds) {
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		c.h.cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
		memcpy(CMSG_DATA(&c.h), files, sizeof(int) * nr_fds);
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static void work(struct port *p)
{
	int n = 0;

	while (!p->failed && vu_step(p))
		;
	while (!p->failed && p->ready && n++ < 100)
		p->ready = p->ops->serve(p);
}

/* Now and then: there is room for more than one reply */
static void take_replies(int client)
{
	static unsigned int turn;
	char rest[65536];

	if (turn++ % 8)
		return;
	while (recv(client, rest, sizeof(rest), MSG_DONTWAIT) == sizeof(rest))
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t version[] = { 1, 0, 1, 0, 20, 0, 0, 0, [19] = 0 };
	struct port *p = &ports[0];
	const uint8_t *end = data + len;
	int pair[2], before;

	fuzz_begin();
	make_files();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		abort();
	before = dup(0);
	close(before);
	p->ops->reset(p);
	if (!vu_accept(p, pair[0]))
		abort();
	client_write(pair[1], version, sizeof(version), 0);
	while (end - data >= 2 && !p->failed) {
		size_t n = data[1] < end - data - 2 ? data[1] : end - data - 2;

		client_write(pair[1], data + 2, n, data[0] & 7);
		data += 2 + n;
		work(p);
		take_replies(pair[1]);
	}
	vu_close(p);
	p->failed = NULL;
	p->ready = false;
	close(pair[1]);
	/* whatever came with it, no descriptor is left where the first one would be */
	pair[0] = fcntl(0, F_DUPFD, before);
	if (pair[0] != before)
		abort();
	close(pair[0]);
	return 0;
}
