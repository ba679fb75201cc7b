// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that break every rule in turn, and a bystander that must not notice
 *
 * Numbers such as V-18 are those of Documentation/networking/virtio-dibs.rst. The
 * daemon is the one that DIBS_FABRIC names.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "tap.h"

#define PORTS	4
#define PAGE	4096u
#define MOVEQ	VIRTIO_DIBS_VQ_MOVE

static struct guest evil, good[2];
static uint64_t good_token;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* What the two others do all the time */
static void bystander_works(void)
{
	static uint32_t turn;
	struct virtio_dibs_signal s;
	uint8_t data[1000];

	memset(data, ++turn, sizeof(data));
	CHECK_EQ(g_move(&good[0], MOVEQ, good_token, 24, data, sizeof(data), turn % 16), 0);
	s = g_signal(&good[1]);
	CHECK_EQ(s.token, good_token);
	CHECK_EQ(s.idx, 11);
	CHECK_EQ(s.mask, 1 << turn % 16);
	CHECK(!memcmp(good[1].mem + G_DMBS + 24, data, sizeof(data)));
}

/* The same, and not as late as if a worker that waits had to be interrupted first */
static void bystander_works_at_once(void)
{
	int64_t ns = now_ns();

	bystander_works();
	CHECK(now_ns() - ns < 900000000);
}

static void forget_events(struct guest *g)
{
	while (!g_no_event(g))
		g_event(g);
}

static void setup(void)
{
	daemon_start(PORTS, NULL);
	g_open(&good[0], 1);
	g_open(&good[1], 2);
	CHECK_EQ(g_register(&good[1], 11, good[0].gid, G_DMBS, 2 * PAGE, &good_token), 0);
	forget_events(&good[0]);
	forget_events(&good[1]);
}

static void teardown(void)
{
	bystander_works();
	CHECK_EQ(status_number("restarts", 0), 0);
	g_close(&good[0]);
	g_close(&good[1]);
	daemon_stop();
}

/* A message of which nothing is right but what the caller says */
static void raw(struct guest *g, uint16_t cmd, uint32_t size, uint32_t flags,
		const void *body, uint32_t len)
{
	struct vu_header h = { .id = ++g->id, .command = cmd, .size = size, .flags = flags };
	uint8_t msg[16 + 8192];

	memcpy(msg, &h, sizeof(h));
	if (len)
		memcpy(msg + sizeof(h), body, len);
	g_send(g, msg, sizeof(h) + len, NULL, 0);
}

/* --------------------------------- messages --------------------------------- */

static void expect_thrown_out(uint16_t cmd, uint32_t size, uint32_t flags, bool version)
{
	static const uint8_t zero[8192];

	g_connect(&evil, 0);
	if (version)
		CHECK_EQ(g_version(&evil), 0);
	raw(&evil, cmd, size, flags, zero, size > 16 && size < 8192 ? size - 16 : 0);
	CHECK(g_gone(&evil));
	g_close(&evil);
}

static void bad_framing(void)
{
	setup();
	expect_thrown_out(VU_GET_INFO, 0, 0, true);
	expect_thrown_out(VU_GET_INFO, 15, 0, true);
	expect_thrown_out(VU_GET_INFO, 0xffffffff, 0, true);
	expect_thrown_out(VU_REGION_WRITE, 4161, 0, true);
	expect_thrown_out(VU_GET_INFO, 32, VU_F_REPLY, true);
	expect_thrown_out(VU_GET_INFO, 32, 7, true);
	expect_thrown_out(VU_GET_INFO, 32, 0, false);
	teardown();
}

static void bad_commands(void)
{
	static const uint8_t zero[4096];
	uint32_t cmd, len;

	setup();
	g_connect(&evil, 0);
	CHECK_EQ(g_version(&evil), 0);
	CHECK_EQ(g_call(&evil, 0, NULL, 0, NULL, 0, NULL, 0), ENOTSUP);
	CHECK_EQ(g_call(&evil, 99, NULL, 0, NULL, 0, NULL, 0), ENOTSUP);
	CHECK_EQ(g_call(&evil, VU_DMA_READ, zero, 100, NULL, 0, NULL, 0), ENOTSUP);
	/* too short for any of them; VERSION, GET_INFO and RESET have no minimum */
	for (cmd = VU_DMA_MAP; cmd <= VU_REGION_WRITE; cmd++) {
		if (cmd == VU_GET_INFO || cmd == VU_GET_REGION_IO_FDS)
			continue;
		for (len = 0; len < 16; len++)
			CHECK_EQ(g_call(&evil, cmd, zero, len, NULL, 0, NULL, 0), EINVAL);
	}
	CHECK_EQ(g_call(&evil, VU_REGION_READ, zero, 17, NULL, 0, NULL, 0), EINVAL);
	CHECK_EQ(g_call(&evil, VU_REGION_READ, zero, 16, NULL, 0, NULL, 0), EINVAL);
	CHECK_EQ(g_call(&evil, VU_DMA_MAP, zero, 33, NULL, 0, NULL, 0), EINVAL);
	g_close(&evil);
	teardown();
}

/* Too short by any number of bytes; what is in their place is what was there before */
static void cut_off(uint16_t cmd, const void *body, uint32_t len, int fd)
{
	uint32_t n;

	for (n = 0; n < len; n++) {
		CHECK_EQ(g_call(&evil, cmd, body, len, &fd, fd >= 0, NULL, 0), 0);
		CHECK_EQ(g_call(&evil, cmd, body, n, &fd, fd >= 0, NULL, 0), EINVAL);
	}
}

static void short_messages(void)
{
	static const struct vu_version version;
	static const struct vu_region_info region = { .argsz = sizeof(region) };
	static const struct vu_irq_info irq = { sizeof(irq), 0, VU_IRQ_MSIX, 0 };
	static const struct vu_set_irqs set = {
		sizeof(set), VU_IRQ_EVENTFD | VU_IRQ_TRIGGER, VU_IRQ_MSIX, 0, 1,
	};
	static const struct vu_region_access read = { 0, 0, 4 };
	static const struct vu_dma_map map = { sizeof(map), 3, 0, G_IOVA, PAGE };
	static const struct vu_dma_unmap unmap = { sizeof(unmap), 0, 0, PAGE };

	setup();
	g_connect(&evil, 0);
	cut_off(VU_VERSION, &version, sizeof(version), -1);
	cut_off(VU_GET_REGION_INFO, &region, sizeof(region), -1);
	cut_off(VU_GET_IRQ_INFO, &irq, sizeof(irq), -1);
	cut_off(VU_SET_IRQS, &set, sizeof(set), evil.irq[0]);
	cut_off(VU_REGION_READ, &read, sizeof(read), -1);
	cut_off(VU_DMA_MAP, &map, sizeof(map), evil.memfd);
	cut_off(VU_DMA_UNMAP, &unmap, sizeof(unmap), -1);
	g_close(&evil);
	teardown();
}

static int read_error(uint32_t region, uint64_t offset, uint32_t count)
{
	struct vu_region_access r = { offset, region, count };

	return g_call(&evil, VU_REGION_READ, &r, sizeof(r), NULL, 0, NULL, 0);
}

static void bad_regions(void)
{
	struct { struct vu_region_access h; uint8_t data[64]; } w = { 0 };
	uint64_t at;
	uint32_t len;

	setup();
	g_connect(&evil, 0);
	CHECK_EQ(g_version(&evil), 0);
	CHECK_EQ(read_error(9, 0, 4), EINVAL);
	CHECK_EQ(read_error(0xffffffff, 0, 4), EINVAL);
	CHECK_EQ(read_error(1, 0, 4), EINVAL);
	CHECK_EQ(read_error(7, 256, 1), EINVAL);
	CHECK_EQ(read_error(7, 255, 2), EINVAL);
	CHECK_EQ(read_error(7, UINT64_MAX, 2), EINVAL);
	CHECK_EQ(read_error(0, 0x3fff, 2), EINVAL);
	CHECK_EQ(read_error(0, 0, 0), EINVAL);
	CHECK_EQ(read_error(0, 0, 0xffffffff), EINVAL);
	CHECK_EQ(read_error(0, 0, 4160 - 16 - 16 + 1), EINVAL);
	CHECK_EQ(read_error(0, 0, 4160 - 16 - 16), 0);
	/* every offset, every size: nothing in there may be relied upon */
	for (at = 0; at < 0x40; at++) {
		w.h = (struct vu_region_access){ at, 0, 1 + at % 8 };
		memset(w.data, 0xff, sizeof(w.data));
		CHECK_EQ(g_call(&evil, VU_REGION_WRITE, &w, sizeof(w.h) + w.h.count, NULL,
				0, NULL, 0), 0);
		CHECK_EQ(read_error(0, at, 1 + at % 8), 0);
	}
	for (at = 0; at < 256; at++) {
		w.h = (struct vu_region_access){ at, 7, at + 8 < 256 ? 8 : 256 - at };
		CHECK_EQ(g_call(&evil, VU_REGION_WRITE, &w, sizeof(w.h) + w.h.count, NULL,
				0, NULL, 0), 0);
		CHECK_EQ(read_error(7, at, w.h.count), 0);
	}
	/* less than it says comes with it, or more */
	w.h = (struct vu_region_access){ 0, 7, 32 };
	for (len = 0; len <= 64; len++)
		CHECK_EQ(g_call(&evil, VU_REGION_WRITE, &w, sizeof(w.h) + len, NULL, 0,
				NULL, 0), len == 32 ? 0 : EINVAL);
	g_close(&evil);
	teardown();
}

/* Half a message, and then nothing: only its sender waits */
static void half_a_message(void)
{
	struct vu_header h = { .id = 1, .command = VU_VERSION, .size = 64 };
	uint32_t n;

	setup();
	for (n = 1; n <= sizeof(h); n++) {
		g_connect(&evil, 0);
		CHECK(g_send(&evil, &h, n, NULL, 0));
		bystander_works();
		g_close(&evil);
	}
	/* each byte has been looked at when the next one comes */
	g_connect(&evil, 0);
	for (n = 0; n < 64; n++) {
		bystander_works_at_once();
		CHECK(g_send(&evil, n < sizeof(h) ? (char *)&h + n : "", 1, NULL, 0));
	}
	CHECK_EQ(read(evil.fd, &h, sizeof(h)), sizeof(h));
	CHECK_EQ(h.flags, VU_F_REPLY);
	g_close(&evil);
	teardown();
}

/* A client that does not take its replies is no reason to wait */
static void no_reader(void)
{
	struct vu_header h = { .command = VU_GET_INFO, .size = sizeof(h) };
	int i;

	setup();
	g_connect(&evil, 0);
	CHECK_EQ(g_version(&evil), 0);
	fcntl(evil.fd, F_SETFL, O_NONBLOCK);
	for (i = 0; i < 100000; i++)
		g_send(&evil, &h, sizeof(h), NULL, 0);
	bystander_works_at_once();
	g_close(&evil);
	teardown();
}

/* Nor are those of the control socket who say nothing, or too much */
static void control_clients(void)
{
	int fd[20], before, i;
	char line[100], c;

	setup();
	before = daemon_fds();
	memset(line, 'x', sizeof(line));
	for (i = 0; i < 20; i++) {
		fd[i] = daemon_control();
		CHECK_EQ(write(fd[i], "stat", 4), 4);
		bystander_works_at_once();
	}
	CHECK(daemon_fds() < before + 20);
	CHECK_EQ(status_number("restarts", 0), 0);
	for (i = 0; i < 20; i++)
		close(fd[i]);
	fd[0] = daemon_control();
	for (i = 0; i < 2; i++) {
		CHECK_EQ(write(fd[0], line, sizeof(line)), sizeof(line));
		bystander_works_at_once();
	}
	CHECK(read(fd[0], &c, 1) <= 0);
	close(fd[0]);
	teardown();
}

/* However many descriptors come with whatever, none stays */
static void descriptors(void)
{
	static const uint8_t zero[64];
	int fds[64], before, i, n, rounds = getenv("LONG") ? 100000 : 2000;

	setup();
	for (i = 0; i < 64; i++)
		fds[i] = memfd_create("x", MFD_CLOEXEC);
	g_connect(&evil, 0);
	CHECK_EQ(g_version(&evil), 0);
	before = daemon_fds();
	for (i = 0; i < rounds; i++) {
		n = 1 + i % 16;
		g_call(&evil, i % 17, zero, i % 64, fds, n, NULL, 0);
		CHECK_EQ(g_set_irqs(&evil, VU_IRQ_EVENTFD | VU_IRQ_TRIGGER, VU_IRQ_MSIX, 0,
				    n + 1, fds, n), EINVAL);
		CHECK(g_map(&evil, 0x1000 * i, 0x1000, 0, 3, fds[0]));
		if (i % 17 == 1)
			CHECK_EQ(g_version(&evil), 0);
	}
	CHECK_EQ(daemon_fds(), before);
	/* more than a message can have */
	g_call(&evil, VU_GET_INFO, NULL, 0, fds, 40, NULL, 0);
	CHECK(g_gone(&evil));
	g_close(&evil);
	usleep(100000);
	CHECK_EQ(daemon_fds(), before - 1);
	for (i = 0; i < 64; i++)
		close(fds[i]);
	teardown();
}

/* A socket whose last close() waits for ever, as data of it will not be taken */
static int lingering(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	static const struct linger linger = { 1, 1000000 };
	static const int small = 4096;
	socklen_t len = sizeof(sa);
	int server = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	char data[4096] = "";

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(!bind(server, (struct sockaddr *)&sa, len) && !listen(server, 1));
	CHECK(!getsockname(server, (struct sockaddr *)&sa, &len));
	setsockopt(server, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	CHECK(!connect(fd, (struct sockaddr *)&sa, len));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (send(fd, data, sizeof(data), 0) > 0)
		;
	return fd;
}

/* So many of them with what is sent, by who has no other reference to them then */
static void send_lingering(const void *data, uint32_t len, int nr)
{
	int fds[16] = { 0 }, i;

	for (i = 0; i < nr; i++)
		fds[i] = lingering();
	CHECK(g_send(&evil, data, len, fds, nr));
	for (i = 0; i < nr; i++)
		close(fds[i]);
}

/* Wherever they come: none of them keeps the others waiting */
static void descriptors_that_linger(void)
{
	struct { struct vu_header h; struct vu_region_access a; } m = {
		.h = { .command = VU_REGION_READ, .size = sizeof(m) },
		.a = { .region = 0, .count = 4 },
	};
	struct vu_header h = { .command = VU_GET_INFO, .size = sizeof(h) }, bad = { 0 };
	int where;

	setup();
	for (where = 0; where < 4; where++) {
		g_connect(&evil, 0);
		CHECK_EQ(g_version(&evil), 0);
		daemon_pause();
		if (where == 0)
			send_lingering(&h, sizeof(h), 16);
		if (where == 1)
			send_lingering(&bad, sizeof(bad), 1);
		if (where == 2) {
			/* a look shows the next descriptors that there are, and no others */
			CHECK(g_send(&evil, &bad, sizeof(bad), &evil.irq[0], 1));
			send_lingering(&h, sizeof(h), 3);
		}
		if (where == 3) {
			CHECK(g_send(&evil, &m, sizeof(m.h), &evil.irq[0], 1));
			send_lingering(&m.a, sizeof(m.a), 3);
		}
		daemon_continue();
		bystander_works_at_once();
		g_close(&evil);
		bystander_works_at_once();
	}
	teardown();
}

/* A descriptor is not taken for something that it is not */
static void wrong_descriptors(void)
{
	static const uint64_t most = UINT64_MAX - 1;
	int p[2], fd = open("/etc/passwd", O_RDONLY), full = eventfd(0, 0), two[2];
	struct vu_dma_map m = { sizeof(m), 3, 0, 0, PAGE };

	setup();
	CHECK(!pipe(p));
	g_connect(&evil, 0);
	CHECK_EQ(g_version(&evil), 0);
	CHECK_EQ(g_map(&evil, 0, 0x1000, 0, 3, p[0]), EINVAL);
	CHECK_EQ(g_map(&evil, 0, 0x1000, 0, 3, evil.fd), EINVAL);
	CHECK_EQ(g_map(&evil, 0, 0x1000, 0, 3, evil.irq[0]), EINVAL);
	CHECK_EQ(g_map(&evil, 0, 0x1000, 0, 3, fd), EINVAL);
	/* memory is in one file */
	two[0] = evil.memfd;
	two[1] = evil.memfd;
	CHECK_EQ(g_call(&evil, VU_DMA_MAP, &m, sizeof(m), two, 2, NULL, 0), EINVAL);
	CHECK_EQ(g_map(&evil, G_IOVA, G_MEM, 0, 3, evil.memfd), 0);
	CHECK_EQ(g_set_irqs(&evil, VU_IRQ_EVENTFD | VU_IRQ_TRIGGER, VU_IRQ_MSIX, 1, 1,
			    &p[1], 1), EINVAL);
	CHECK_EQ(g_set_irqs(&evil, VU_IRQ_EVENTFD | VU_IRQ_TRIGGER, VU_IRQ_MSIX, 1, 1,
			    &evil.memfd, 1), EINVAL);
	/* an eventfd that is full and waits for room: nobody waits for it */
	CHECK(write(full, &most, sizeof(most)) == sizeof(most));
	CHECK_EQ(g_set_irqs(&evil, VU_IRQ_EVENTFD | VU_IRQ_TRIGGER, VU_IRQ_MSIX, 1, 1,
			    &full, 1), 0);
	g_setup(&evil);
	g_start(&evil);
	CHECK_EQ(g_query(&evil, good[0].gid), 0);
	CHECK_EQ(g_query(&evil, good[0].gid), 0);
	g_close(&evil);
	close(p[0]);
	close(p[1]);
	close(full);
	close(fd);
	teardown();
}

/* A vector whose eventfd is full, and makes who writes to it wait for room */
static int full_irq(uint32_t vector)
{
	static const uint64_t most = UINT64_MAX - 1;
	int full = eventfd(0, 0);

	CHECK(write(full, &most, sizeof(most)) == sizeof(most));
	CHECK_EQ(g_set_irqs(&evil, VU_IRQ_EVENTFD | VU_IRQ_TRIGGER, VU_IRQ_MSIX, vector, 1,
			    &full, 1), 0);
	CHECK(!fcntl(full, F_SETFL, 0));
	return full;
}

/* Nobody waits there, neither for a request nor for a ring that is broken */
static void blocking_interrupts(void)
{
	int full[2];

	setup();
	g_open(&evil, 0);
	forget_events(&good[0]);
	full[0] = full_irq(0);
	full[1] = full_irq(1);
	CHECK_EQ(g_query(&evil, good[0].gid), 0);
	evil.q[MOVEQ].avail->idx += G_QSIZE + 1;
	g_kick(&evil, MOVEQ);
	bystander_works_at_once();
	CHECK(g_reg_read(&evil, 0, VIRTIO_PCI_COMMON_STATUS, 1) &
	      VIRTIO_CONFIG_S_NEEDS_RESET);
	g_close(&evil);
	close(full[0]);
	close(full[1]);
	teardown();
}

static void bad_interrupts(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	int two[2] = { fd, fd };
	int before;

	setup();
	g_connect(&evil, 0);
	CHECK_EQ(g_version(&evil), 0);
	CHECK_EQ(g_set_irqs(&evil, 0x24, VU_IRQ_MSIX, 21, 1, &fd, 1), EINVAL);
	CHECK_EQ(g_set_irqs(&evil, 0x24, VU_IRQ_MSIX, 22, 0, NULL, 0), EINVAL);
	CHECK_EQ(g_set_irqs(&evil, 0x24, VU_IRQ_MSIX, 0xffffffff, 2, two, 2), EINVAL);
	CHECK_EQ(g_set_irqs(&evil, 0x24, VU_IRQ_MSIX, 20, 2, two, 2), EINVAL);
	CHECK_EQ(g_set_irqs(&evil, 0x24, VU_IRQ_MSIX, 1, 0xffffffff, two, 2), EINVAL);
	CHECK_EQ(g_set_irqs(&evil, 0x24, VU_IRQ_MSIX, 1, 1, two, 2), EINVAL);
	CHECK_EQ(g_set_irqs(&evil, 0x24, VU_IRQ_MSIX, 1, 3, two, 2), EINVAL);
	CHECK_EQ(g_set_irqs(&evil, 0x24, VU_IRQ_INTX, 0, 2, two, 2), EINVAL);
	CHECK_EQ(g_set_irqs(&evil, 0x24, VU_IRQ_MSI, 0, 1, &fd, 1), EINVAL);
	CHECK_EQ(g_set_irqs(&evil, 0x24, 9, 0, 1, &fd, 1), EINVAL);
	CHECK_EQ(g_set_irqs(&evil, 0xff, VU_IRQ_MSIX, 0, 1, &fd, 1), EINVAL);
	CHECK_EQ(g_set_irqs(&evil, 0x24, VU_IRQ_MSIX, 19, 2, two, 2), 0);
	CHECK_EQ(g_set_irqs(&evil, 0x24, VU_IRQ_INTX, 0, 1, &fd, 1), 0);
	/* to take interrupts away has no count, and with one it takes none */
	before = daemon_fds();
	CHECK_EQ(g_set_irqs(&evil, 0x21, VU_IRQ_INTX, 0, 1, NULL, 0), EINVAL);
	CHECK_EQ(g_set_irqs(&evil, 0x21, VU_IRQ_MSIX, 19, 1, NULL, 0), EINVAL);
	CHECK_EQ(daemon_fds(), before);
	CHECK_EQ(g_set_irqs(&evil, 0x21, VU_IRQ_INTX, 0, 0, NULL, 0), 0);
	CHECK_EQ(g_set_irqs(&evil, 0x21, VU_IRQ_MSIX, 0, 0, NULL, 0), 0);
	CHECK(daemon_fds() < before);
	g_close(&evil);
	close(fd);
	teardown();
}

/* ---------------------------------- memory ---------------------------------- */

static void bad_maps(void)
{
	setup();
	g_connect(&evil, 0);
	CHECK_EQ(g_version(&evil), 0);
	CHECK_EQ(g_map(&evil, 0x10000, 0x10000, 0, 3, evil.memfd), 0);
	/* overlaps in every way */
	CHECK_EQ(g_map(&evil, 0x1f000, 0x10000, 0, 3, evil.memfd), EEXIST);
	CHECK_EQ(g_map(&evil, 0x01000, 0x10000, 0, 3, evil.memfd), EEXIST);
	CHECK_EQ(g_map(&evil, 0x11000, 0x1000, 0, 3, evil.memfd), EEXIST);
	CHECK_EQ(g_map(&evil, 0, 0x100000, 0, 3, evil.memfd), EEXIST);
	CHECK_EQ(g_map(&evil, 0, UINT64_MAX - 0xfff, 0, 3, -1), EEXIST);
	/* wraps, is empty, is beyond the file, has unknown flags */
	CHECK_EQ(g_map(&evil, UINT64_MAX - 0xfff, 0x2000, 0, 3, evil.memfd), EINVAL);
	CHECK_EQ(g_map(&evil, 0x40000, 0, 0, 3, evil.memfd), EINVAL);
	CHECK_EQ(g_map(&evil, 0x40000, 0x1000, G_MEM, 3, evil.memfd), EINVAL);
	CHECK_EQ(g_map(&evil, 0x40000, 0x1000, UINT64_MAX - 0xfff, 3, evil.memfd), EINVAL);
	CHECK_EQ(g_map(&evil, 0x40000, G_MEM + 0x1000, 0, 3, evil.memfd), EINVAL);
	CHECK_EQ(g_map(&evil, 0x40000, 0x1000, 0, 0, evil.memfd), EINVAL);
	CHECK_EQ(g_map(&evil, 0x40000, 0x1000, 0, 7, evil.memfd), EINVAL);
	/* is not in pages */
	CHECK_EQ(g_map(&evil, 0x40800, 0x1000, 0, 3, evil.memfd), EINVAL);
	CHECK_EQ(g_map(&evil, 0x40000, 0x1800, 0, 3, evil.memfd), EINVAL);
	CHECK_EQ(g_map(&evil, 0x40000, 0x1000, 0x800, 3, evil.memfd), EINVAL);
	CHECK_EQ(g_map(&evil, 0x40000, 0x40, 0, 3, -1), EINVAL);
	/* the last page there is, and one without memory behind */
	CHECK_EQ(g_map(&evil, UINT64_MAX - 0xfff, 0x1000, 0, 3, evil.memfd), 0);
	CHECK_EQ(g_map(&evil, 0x80000000, 0x1000, 0, 3, -1), 0);
	/* a part of a range does not go */
	CHECK_EQ(g_unmap(&evil, 0x11000, 0x1000), EINVAL);
	CHECK_EQ(g_unmap(&evil, 0x10000, 0x8000), EINVAL);
	CHECK_EQ(g_unmap(&evil, 0x18000, 0x10000), EINVAL);
	CHECK_EQ(g_unmap(&evil, 0x10000, UINT64_MAX), EINVAL);
	CHECK_EQ(g_unmap(&evil, 0x10000, 0), EINVAL);
	CHECK_EQ(g_unmap(&evil, 0x200000, 0x1000), 0);
	CHECK_EQ(g_unmap(&evil, 0x10000, 0x10000), 0);
	CHECK_EQ(g_map(&evil, 0x10000, 0x1000, 0, 3, evil.memfd), 0);
	g_close(&evil);
	teardown();
}

/* How long it takes to map a page anew that is mapped: the shortest time of many, in ns */
static int64_t time_to_map_again(uint64_t iova)
{
	int64_t ns, best = INT64_MAX;
	int i;

	for (i = 0; i < 500; i++) {
		CHECK_EQ(g_unmap(&evil, iova, 0x1000), 0);
		ns = now_ns();
		CHECK_EQ(g_map(&evil, iova, 0x1000, 0, 3, evil.memfd), 0);
		ns = now_ns() - ns;
		best = ns < best ? ns : best;
	}
	return best;
}

/* A table of mappings without end, as s390x makes it page by page */
static void many_maps(void)
{
	uint64_t i;
	int rc = 0;
	int64_t ns, last;

	setup();
	g_connect(&evil, 0);
	CHECK_EQ(g_version(&evil), 0);
	for (i = 0; i < 66000 && !rc; i++)
		rc = g_map(&evil, (i * 7919 % 131072) << 13, 0x1000, 0, 3, evil.memfd);
	CHECK_EQ(rc, ENOSPC);
	CHECK_EQ(i, 65537);
	bystander_works();
	/* it is not searched: the last one that there is room for is as good as the first */
	ns = time_to_map_again(0);
	last = time_to_map_again((65535ull * 7919 % 131072) << 13);
	printf("# %ld us for the first, %ld us for the last\n", (long)ns / 1000,
	       (long)last / 1000);
	CHECK(last < 2 * ns);
	bystander_works();
	/* half of it at once, and not one after another */
	ns = now_ns();
	CHECK_EQ(g_unmap(&evil, 0, 65536ull << 13), 0);
	ns = now_ns() - ns;
	printf("# %ld us for the half of it\n", (long)ns / 1000);
	CHECK(ns < 100000000);
	bystander_works();
	g_close(&evil);
	teardown();
}

static int huge_file(uint64_t size)
{
	int fd = memfd_create("huge", MFD_CLOEXEC);

	CHECK(fd >= 0 && !ftruncate(fd, size));
	return fd;
}

/* Address space is what there is a share of for each: a new worker maps it all again */
static void huge_files(void)
{
	const uint64_t tb = 1ull << 40, iova = 1ull << 50;
	int huge = huge_file(60 * tb), fd[3], i;

	setup();
	for (i = 0; i < 3; i++)
		fd[i] = huge_file(3 * tb);
	g_connect(&evil, 0);
	CHECK_EQ(g_version(&evil), 0);
	CHECK_EQ(g_map(&evil, iova, PAGE, 0, 3, huge), ENOSPC);
	CHECK_EQ(g_map(&evil, iova, PAGE, 0, 3, fd[0]), 0);
	CHECK_EQ(g_map(&evil, iova + PAGE, PAGE, 0, 3, fd[1]), ENOSPC);
	/* what is not in use makes room */
	CHECK_EQ(g_unmap(&evil, iova, PAGE), 0);
	CHECK_EQ(g_map(&evil, iova, PAGE, 0, 3, fd[1]), 0);
	CHECK_EQ(g_map(&evil, iova + PAGE, PAGE, 0, 3, fd[2]), ENOSPC);
	daemon_kill_worker();
	bystander_works();
	CHECK_EQ(status_number("connected", 0), 1);
	CHECK_EQ(g_map(&evil, iova + PAGE, PAGE, 0, 3, fd[2]), ENOSPC);
	CHECK_EQ(g_map(&evil, iova + PAGE, PAGE, 0, 3, evil.memfd), 0);
	g_close(&evil);
	bystander_works();
	CHECK_EQ(status_number("restarts", 0), 1);
	for (i = 0; i < 3; i++)
		close(fd[i]);
	close(huge);
	g_close(&good[0]);
	g_close(&good[1]);
	daemon_stop();
}

/* A buffer in pieces that are elsewhere in the file, forwards and backwards */
static void buffer_across_maps(void)
{
	struct virtio_dibs_register_dmb *r;
	uint8_t data[3 * PAGE];
	uint64_t token;
	uint32_t i;

	setup();
	g_connect(&evil, 0);
	CHECK_EQ(g_version(&evil), 0);
	CHECK_EQ(g_map(&evil, G_IOVA, G_DATA, 0, 3, evil.memfd), 0);
	for (i = 0; i < 16; i++)
		CHECK_EQ(g_map(&evil, G_IOVA + G_DATA + i * PAGE, PAGE,
			       G_DATA + (15 - i) * PAGE, 3, evil.memfd), 0);
	for (i = 0; i < 16; i++)
		CHECK_EQ(g_map(&evil, G_IOVA + G_DMBS + i * PAGE, PAGE,
			       G_DMBS + (15 - i) * PAGE, 3, evil.memfd), 0);
	g_setup(&evil);
	g_start(&evil);
	/* a DMB of two ranges, to itself */
	r = (void *)(evil.mem + G_REQUEST);
	memset(r, 0, sizeof(*r));
	r->hdr.cmd = VIRTIO_DIBS_C_REGISTER_DMB;
	memcpy(r->rgid, evil.gid, 16);
	r->idx = 1;
	r->len = 4 * PAGE;
	r->nranges = 2;
	r->ranges[0] = (struct virtio_dibs_range){ g_iova(G_DMBS), PAGE, 0 };
	r->ranges[1] = (struct virtio_dibs_range){ g_iova(G_DMBS + 2 * PAGE), 3 * PAGE, 0 };
	CHECK_EQ(g_control(&evil, sizeof(*r) + 32, &token), 0);
	for (i = 0; i < sizeof(data); i++)
		data[i] = i * 31 >> 3;
	for (i = 0; i < 3; i++)
		memcpy(evil.mem + G_DATA + (15 - i) * PAGE, data + i * PAGE, PAGE);
	CHECK_EQ(g_move(&evil, MOVEQ, token, 100, NULL, sizeof(data), -1), 0);
	CHECK(!memcmp(evil.mem + G_DMBS + 15 * PAGE + 100, data, PAGE - 100));
	CHECK(!memcmp(evil.mem + G_DMBS + 13 * PAGE, data + PAGE - 100, PAGE));
	CHECK(!memcmp(evil.mem + G_DMBS + 12 * PAGE, data + 2 * PAGE - 100, PAGE));
	CHECK(!memcmp(evil.mem + G_DMBS + 11 * PAGE, data + 3 * PAGE - 100, 100));
	g_close(&evil);
	teardown();
}

/* A buffer of two ranges that are in one mapping, the second one before the first */
static void buffer_of_ranges(void)
{
	struct virtio_dibs_register_dmb *r;
	uint8_t data[PAGE];
	uint64_t token;
	uint32_t i;

	setup();
	g_open(&evil, 0);
	r = (void *)(evil.mem + G_REQUEST);
	memset(r, 0, sizeof(*r));
	r->hdr.cmd = VIRTIO_DIBS_C_REGISTER_DMB;
	memcpy(r->rgid, good[0].gid, 16);
	r->idx = 1;
	r->len = 2 * PAGE;
	r->nranges = 2;
	r->ranges[0] = (struct virtio_dibs_range){ g_iova(G_DMBS + 4 * PAGE), PAGE, 0 };
	r->ranges[1] = (struct virtio_dibs_range){ g_iova(G_DMBS), PAGE, 0 };
	CHECK_EQ(g_control(&evil, sizeof(*r) + 32, &token), 0);
	for (i = 0; i < sizeof(data); i++)
		data[i] = i * 31 >> 3 | 1;
	CHECK_EQ(g_move(&good[0], MOVEQ, token, PAGE - 100, data, sizeof(data), -1), 0);
	CHECK(!memcmp(evil.mem + G_DMBS + 5 * PAGE - 100, data, 100));
	CHECK(!memcmp(evil.mem + G_DMBS, data + 100, PAGE - 100));
	for (i = 0; i < PAGE; i++)
		CHECK_EQ(evil.mem[G_DMBS + 5 * PAGE + i], 0);
	/* what is short is written in another way */
	CHECK_EQ(g_move(&good[0], MOVEQ, token, PAGE - 8, "0123456789abcdef", 16, -1), 0);
	CHECK(!memcmp(evil.mem + G_DMBS + 5 * PAGE - 8, "01234567", 8));
	CHECK(!memcmp(evil.mem + G_DMBS, "89abcdef", 8));
	CHECK_EQ(evil.mem[G_DMBS + 5 * PAGE], 0);
	g_close(&evil);
	forget_events(&good[0]);
	teardown();
}

/* The file is cut off under the mapping: SIGBUS in whoever looks */
static void truncated_memory(void)
{
	uint64_t token;

	setup();
	g_open(&evil, 0);
	CHECK_EQ(g_register(&evil, 5, good[0].gid, G_DMBS, PAGE, &token), 0);
	CHECK(!ftruncate(evil.memfd, G_DMBS));
	/* the write goes nowhere, and the owner goes */
	CHECK_EQ(g_move(&good[0], MOVEQ, token, 0, "x", 1, -1), 0);
	CHECK(g_gone(&evil));
	g_close(&evil);
	bystander_works();
	g_open(&evil, 0);
	CHECK(!ftruncate(evil.memfd, 0));
	g_kick(&evil, MOVEQ);
	CHECK(g_gone(&evil));
	close(evil.fd);
	forget_events(&good[0]);
	teardown();
}

/* A DMB in memory that goes away later, and in memory that never was */
static void unmapped_dmb(void)
{
	uint64_t token;

	setup();
	g_connect(&evil, 0);
	CHECK_EQ(g_version(&evil), 0);
	CHECK_EQ(g_map(&evil, G_IOVA, G_DMBS, 0, 3, evil.memfd), 0);
	CHECK_EQ(g_map(&evil, G_IOVA + G_DMBS, PAGE, G_DMBS, 3, evil.memfd), 0);
	CHECK_EQ(g_map(&evil, G_IOVA + G_DMBS + PAGE, PAGE, G_DMBS, 1, evil.memfd), 0);
	g_setup(&evil);
	g_start(&evil);
	CHECK_EQ(g_register(&evil, 5, good[0].gid, G_DMBS, 2 * PAGE, &token), 0);
	CHECK_EQ(g_move(&good[0], MOVEQ, token, 0, "x", 1, -1), 0);
	/* the second page is read-only */
	CHECK_EQ(g_move(&good[0], MOVEQ, token, PAGE, "x", 1, -1), VIRTIO_DIBS_S_IO);
	CHECK_EQ(g_unmap(&evil, G_IOVA + G_DMBS, PAGE), 0);
	CHECK_EQ(g_move(&good[0], MOVEQ, token, 0, "x", 1, -1), VIRTIO_DIBS_S_IO);
	CHECK_EQ(g_register(&evil, 6, good[0].gid, 0x7fff0000, PAGE, &token), 0);
	CHECK_EQ(g_move(&good[0], MOVEQ, token, 0, "x", 1, 3), VIRTIO_DIBS_S_IO);
	CHECK(g_no_signal(&evil));
	g_close(&evil);
	forget_events(&good[0]);
	teardown();
}

/* ---------------------------------- queues ---------------------------------- */

/* V-9: the queue is broken, the device needs a reset, and works after it */
static void expect_broken(void)
{
	int i;

	for (i = 0; i < 200 && !(g_status(&evil) & VIRTIO_CONFIG_S_NEEDS_RESET); i++)
		usleep(10000);
	CHECK(g_status(&evil) & VIRTIO_CONFIG_S_NEEDS_RESET);
	CHECK(g_irq(&evil, 0));
	CHECK_EQ(g_query(&good[0], evil.gid), VIRTIO_DIBS_S_NETUNREACH);
	bystander_works();
	g_reset(&evil);
	CHECK_EQ(g_status(&evil), 0);
	g_setup(&evil);
	g_start(&evil);
	CHECK_EQ(g_query(&good[0], evil.gid), 0);
}

static struct vring_desc *desc(int q, int n)
{
	return &evil.q[q].desc[n];
}

static void put_avail(int q, uint16_t head)
{
	struct vring_avail *a = evil.q[q].avail;

	a->ring[a->idx % G_QSIZE] = head;
	__atomic_store_n(&a->idx, a->idx + 1, __ATOMIC_RELEASE);
	g_kick(&evil, q);
}

static void one_desc(int q, int n, uint64_t addr, uint32_t len, uint16_t flags,
		     uint16_t next)
{
	*desc(q, n) = (struct vring_desc){ addr, len, flags, next };
}

static void open_evil(void)
{
	setup();
	g_open(&evil, 0);
}

static void close_evil(void)
{
	g_close(&evil);
	forget_events(&good[0]);
	forget_events(&good[1]);
	teardown();
}

static void descriptor_loops(void)
{
	open_evil();
	one_desc(MOVEQ, 0, g_iova(G_REQUEST), 16, VRING_DESC_F_NEXT, 0);
	put_avail(MOVEQ, 0);
	expect_broken();
	one_desc(MOVEQ, 0, g_iova(G_REQUEST), 16, VRING_DESC_F_NEXT, 1);
	one_desc(MOVEQ, 1, g_iova(G_REQUEST), 16, VRING_DESC_F_NEXT, 0);
	put_avail(MOVEQ, 0);
	expect_broken();
	close_evil();
}

/* What is behind a table is fine but for its place */
static void descriptor_indices(void)
{
	struct vring_desc *t;
	int q, i;

	open_evil();
	one_desc(MOVEQ, G_QSIZE, g_iova(G_REQUEST), 24, VRING_DESC_F_NEXT, 1);
	one_desc(MOVEQ, 1, g_iova(G_ANSWER), 4, VRING_DESC_F_WRITE, 0);
	put_avail(MOVEQ, G_QSIZE);
	expect_broken();
	one_desc(MOVEQ, 0xffff, g_iova(G_REQUEST), 24, VRING_DESC_F_NEXT, 1);
	one_desc(MOVEQ, 1, g_iova(G_ANSWER), 4, VRING_DESC_F_WRITE, 0);
	put_avail(MOVEQ, 0xffff);
	expect_broken();
	one_desc(MOVEQ, 0, g_iova(G_REQUEST), 24, VRING_DESC_F_NEXT, G_QSIZE);
	one_desc(MOVEQ, G_QSIZE, g_iova(G_ANSWER), 4, VRING_DESC_F_WRITE, 0);
	put_avail(MOVEQ, 0);
	expect_broken();
	t = (void *)(evil.mem + G_DATA);
	t[0] = (struct vring_desc){ g_iova(G_REQUEST), 24, VRING_DESC_F_NEXT, 2 };
	t[2] = (struct vring_desc){ g_iova(G_ANSWER), 4, VRING_DESC_F_WRITE, 0 };
	one_desc(MOVEQ, 0, g_iova(G_DATA), 2 * sizeof(*t), VRING_DESC_F_INDIRECT, 0);
	put_avail(MOVEQ, 0);
	expect_broken();
	/* the index jumps further than the ring is long, over buffers that are fine */
	for (q = 0; q <= MOVEQ; q += MOVEQ) {
		one_desc(q, 0, g_iova(G_REQUEST), 24, VRING_DESC_F_NEXT, 1);
		one_desc(q, 1, g_iova(G_ANSWER), 16, VRING_DESC_F_WRITE, 0);
		evil.q[q].avail->idx += G_QSIZE;
		g_kick(&evil, q);
		for (i = 0; i < G_QSIZE; i++)
			CHECK(g_wait(&evil, q) <= 16);
		evil.q[q].avail->idx += G_QSIZE + 1;
		g_kick(&evil, q);
		expect_broken();
	}
	close_evil();
}

static void descriptor_kinds(void)
{
	open_evil();
	/* readable behind writable */
	one_desc(MOVEQ, 0, g_iova(G_ANSWER), 4, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	one_desc(MOVEQ, 1, g_iova(G_REQUEST), 16, 0, 0);
	put_avail(MOVEQ, 0);
	expect_broken();
	/* no room for the answer */
	one_desc(MOVEQ, 0, g_iova(G_REQUEST), 24, 0, 0);
	put_avail(MOVEQ, 0);
	expect_broken();
	one_desc(MOVEQ, 0, g_iova(G_ANSWER), 3, VRING_DESC_F_WRITE, 0);
	put_avail(MOVEQ, 0);
	expect_broken();
	one_desc(0, 0, g_iova(G_ANSWER), 15, VRING_DESC_F_WRITE, 0);
	put_avail(0, 0);
	expect_broken();
	close_evil();
}

/* Two descriptors that are a good buffer, or that one behind others that are empty */
static void good_table(uint32_t n)
{
	struct vring_desc *t = (void *)(evil.mem + G_DATA);
	uint32_t i;

	for (i = 0; i < n; i++)
		t[i] = (struct vring_desc){ g_iova(G_REQUEST), 0, VRING_DESC_F_NEXT, i + 1 };
	t[n - 2].len = 24;
	t[n - 1] = (struct vring_desc){ g_iova(G_ANSWER), 4, VRING_DESC_F_WRITE, 0 };
}

static void indirect_descriptors(void)
{
	static const struct { uint32_t len; uint16_t flags; } bad[] = {
		{ 32, VRING_DESC_F_NEXT }, { 32, VRING_DESC_F_WRITE }, { 33, 0 }, { 47, 0 },
		{ 15, 0 }, { 0, 0 }, { 257 * 16, 0 }, { 0xfffffff0, 0 },
	};
	struct vring_desc *t;
	uint32_t i;

	open_evil();
	t = (void *)(evil.mem + G_DATA);
	/* what is served but for how it is referred to */
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		good_table(2);
		one_desc(MOVEQ, 0, g_iova(G_DATA), 32, VRING_DESC_F_INDIRECT, 0);
		put_avail(MOVEQ, 0);
		CHECK_EQ(g_wait(&evil, MOVEQ), 4);
		one_desc(MOVEQ, 0, g_iova(G_DATA), bad[i].len,
			 VRING_DESC_F_INDIRECT | bad[i].flags, 1);
		one_desc(MOVEQ, 1, g_iova(G_ANSWER), 4, VRING_DESC_F_WRITE, 0);
		put_avail(MOVEQ, 0);
		expect_broken();
	}
	/* as many as there can be, behind another one */
	good_table(256);
	one_desc(MOVEQ, 0, g_iova(G_DATA), 256 * 16, VRING_DESC_F_INDIRECT, 0);
	put_avail(MOVEQ, 0);
	CHECK_EQ(g_wait(&evil, MOVEQ), 4);
	one_desc(MOVEQ, 1, g_iova(G_REQUEST), 0, VRING_DESC_F_NEXT, 0);
	put_avail(MOVEQ, 1);
	expect_broken();
	/* in an indirect table, which leads out of it, nowhere */
	t[0] = (struct vring_desc){ g_iova(G_DATA), 16, VRING_DESC_F_INDIRECT, 0 };
	one_desc(MOVEQ, 0, g_iova(G_DATA), 16, VRING_DESC_F_INDIRECT, 0);
	put_avail(MOVEQ, 0);
	expect_broken();
	t[0].addr = g_iova(G_DATA + PAGE);
	t[0].len = 32;
	t = (void *)(evil.mem + G_DATA + PAGE);
	t[0] = (struct vring_desc){ g_iova(G_REQUEST), 24, VRING_DESC_F_NEXT, 1 };
	t[1] = (struct vring_desc){ g_iova(G_ANSWER), 4, VRING_DESC_F_WRITE, 0 };
	put_avail(MOVEQ, 0);
	expect_broken();
	t = (void *)(evil.mem + G_DATA);
	t[0] = (struct vring_desc){ g_iova(G_REQUEST), 16, VRING_DESC_F_NEXT, 1 };
	one_desc(MOVEQ, 0, g_iova(G_DATA), 16, VRING_DESC_F_INDIRECT, 0);
	put_avail(MOVEQ, 0);
	expect_broken();
	one_desc(MOVEQ, 0, 0x1000, 16, VRING_DESC_F_INDIRECT, 0);
	put_avail(MOVEQ, 0);
	expect_broken();
	close_evil();
}

static void bad_addresses(void)
{
	static const uint64_t bad[] = {
		0, G_IOVA - 8, G_IOVA + G_MEM - 8, G_IOVA + G_MEM, UINT64_MAX - 7, UINT64_MAX,
	};
	uint32_t i;

	open_evil();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		one_desc(MOVEQ, 0, bad[i], 24, VRING_DESC_F_NEXT, 1);
		one_desc(MOVEQ, 1, g_iova(G_ANSWER), 4, VRING_DESC_F_WRITE, 0);
		put_avail(MOVEQ, 0);
		expect_broken();
		/* the answer nowhere */
		one_desc(0, 0, g_iova(G_REQUEST), 24, VRING_DESC_F_NEXT, 1);
		one_desc(0, 1, bad[i], 16, VRING_DESC_F_WRITE, 0);
		put_avail(0, 0);
		expect_broken();
	}
	close_evil();
}

/* Rings where there is no memory, or not where they may be */
static void bad_rings(void)
{
	static const struct { uint32_t reg; uint64_t v; uint32_t len; } bad[] = {
		{ VIRTIO_PCI_COMMON_Q_DESCLO, 0x1000, 4 },
		{ VIRTIO_PCI_COMMON_Q_DESCLO, 0x40000008, 4 },
		{ VIRTIO_PCI_COMMON_Q_AVAILLO, 0x40000001, 4 },
		{ VIRTIO_PCI_COMMON_Q_AVAILLO, 0x1000, 4 },
		{ VIRTIO_PCI_COMMON_Q_USEDLO, 0x40000002, 4 },
		{ VIRTIO_PCI_COMMON_Q_USEDLO, 0x1000, 4 },
		{ VIRTIO_PCI_COMMON_Q_USEDHI, 0xffffffff, 4 },
		{ VIRTIO_PCI_COMMON_Q_SIZE, 0, 2 },
		{ VIRTIO_PCI_COMMON_Q_SIZE, 3, 2 },
		{ VIRTIO_PCI_COMMON_Q_SIZE, 512, 2 },
		{ VIRTIO_PCI_COMMON_Q_SIZE, 0x8000, 2 },
	};
	uint32_t i, n = sizeof(bad) / sizeof(bad[0]);

	open_evil();
	/* before DRIVER_OK, and after it */
	for (i = 0; i < 2 * n; i++) {
		g_reset(&evil);
		g_setup(&evil);
		if (i >= n)
			g_start(&evil);
		g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_SELECT, 6, 2);
		g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_DESCLO, G_IOVA, 4);
		g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_AVAILLO, G_IOVA + 0x1000, 4);
		g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_USEDLO, G_IOVA + 0x2000, 4);
		g_reg_write(&evil, 0, bad[i % n].reg, bad[i % n].v, bad[i % n].len);
		g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
		if (i < n)
			g_start(&evil);
		((struct vring_avail *)(evil.mem + 0x1000))->idx = 1;
		g_kick(&evil, 6);
		expect_broken();
	}
	close_evil();
}

/* Rings that begin in memory and do not end there: not even one buffer is needed */
static void rings_over_the_end(void)
{
	static const struct { uint32_t reg, at; } over[] = {
		{ VIRTIO_PCI_COMMON_Q_DESCLO, G_MEM - 16 * (G_QSIZE - 1) },
		{ VIRTIO_PCI_COMMON_Q_AVAILLO, G_MEM - 2 * G_QSIZE - 4 },
		{ VIRTIO_PCI_COMMON_Q_USEDLO, G_MEM - 8 * G_QSIZE - 4 },
	};
	uint32_t i;

	open_evil();
	for (i = 0; i < 3; i++) {
		g_reset(&evil);
		g_setup(&evil);
		g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_SELECT, 6, 2);
		g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_SIZE, G_QSIZE, 2);
		g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_DESCLO, g_iova(G_DATA), 4);
		g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_AVAILLO, g_iova(G_DATA + PAGE), 4);
		g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_USEDLO,
			    g_iova(G_DATA + 2 * PAGE), 4);
		g_reg_write(&evil, 0, over[i].reg, g_iova(over[i].at), 4);
		g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
		g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_STATUS, 15, 1);
		expect_broken();
	}
	close_evil();
}

/* Enabled after DRIVER_OK: with a buffer that would be served if the rings were good */
static void late_rings(uint32_t size, uint32_t descs, uint32_t avail, uint32_t used)
{
	static const uint16_t one = 1;
	const struct vring_desc chain[] = {
		{ g_iova(G_REQUEST), 24, VRING_DESC_F_NEXT, 1 },
		{ g_iova(G_ANSWER), 4, VRING_DESC_F_WRITE, 0 },
	};

	memset(evil.mem + G_DATA, 0, 0x10000);
	memcpy(evil.mem + descs, chain, sizeof(chain));
	memcpy(evil.mem + avail + 2, &one, sizeof(one));
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_SELECT, 6, 2);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_SIZE, size, 2);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_DESCLO, g_iova(descs), 4);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_AVAILLO, g_iova(avail), 4);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_USEDLO, g_iova(used), 4);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	g_kick(&evil, 6);
}

static void bad_late_rings(void)
{
	const uint32_t descs = G_DATA, avail = G_DATA + 0x4000, used = G_DATA + 0x8000;

	open_evil();
	late_rings(3, descs, avail, used);
	expect_broken();
	late_rings(512, descs, avail, used);
	expect_broken();
	late_rings(G_QSIZE, descs + 8, avail, used);
	expect_broken();
	late_rings(G_QSIZE, descs, avail + 1, used);
	expect_broken();
	late_rings(G_QSIZE, descs, avail, used + 2);
	expect_broken();
	/* what the driver may not do, but with rings that are good */
	late_rings(G_QSIZE, descs, avail, used);
	CHECK_EQ(g_status(&evil), 15);
	CHECK_EQ(g_query(&good[0], evil.gid), 0);
	CHECK_EQ(*(uint16_t *)(evil.mem + used + 2), 1);
	close_evil();
}

/* A buffer of two descriptors, or of one if there is nothing to read, is the first one */
static void first_buffer(int q, uint32_t out, uint32_t in, uint32_t at)
{
	g_reset(&evil);
	g_setup(&evil);
	if (out)
		one_desc(q, 0, g_iova(G_REQUEST), out, VRING_DESC_F_NEXT, 1);
	one_desc(q, !!out, g_iova(at), in, VRING_DESC_F_WRITE, 0);
	evil.q[q].avail->ring[0] = 0;
	evil.q[q].avail->idx = 1;
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_STATUS, 15, 1);
	g_kick(&evil, q);
}

/* V-26: buffers that are not what an event fits in */
static void bad_event_buffers(void)
{
	open_evil();
	first_buffer(1, 0, 47, G_EVENTS);
	expect_broken();
	first_buffer(1, 8, 48, G_EVENTS);
	expect_broken();
	close_evil();
}

/* V-26: and a signal */
static void bad_signal_buffers(void)
{
	static const struct { uint32_t out, in; } bad[] = { { 0, 15 }, { 8, 16 } };
	uint64_t token;
	uint32_t i;

	open_evil();
	for (i = 0; i < 2; i++) {
		first_buffer(2, bad[i].out, bad[i].in, G_SIGNALS);
		CHECK_EQ(g_register(&evil, 5, evil.gid, G_DMBS, PAGE, &token), 0);
		g_add_move(&evil, MOVEQ, 0, token, 0, G_DATA, 1, 2);
		g_kick(&evil, MOVEQ);
		expect_broken();
	}
	close_evil();
}

/* V-1, V-6: without the features there is no device, before DRIVER_OK no service */
static void features_and_status(void)
{
	open_evil();
	g_reset(&evil);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_GF, 1, 4);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_STATUS, 11, 1);
	CHECK_EQ(g_status(&evil), 3);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_STATUS, 15, 1);
	CHECK_EQ(g_status(&evil), 3);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_GF, 3, 4);
	/* features that have not been agreed on */
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_STATUS, 7, 1);
	CHECK_EQ(g_status(&evil), 3);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	/* V-2: not offered */
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_GF, 1, 4);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_STATUS, 11, 1);
	CHECK_EQ(g_status(&evil), 3);
	g_reset(&evil);
	g_setup(&evil);
	CHECK_EQ(g_query(&good[0], evil.gid), VIRTIO_DIBS_S_NETUNREACH);
	one_desc(0, 0, g_iova(G_REQUEST), 24, VRING_DESC_F_NEXT, 1);
	one_desc(0, 1, g_iova(G_ANSWER), 16, VRING_DESC_F_WRITE, 0);
	put_avail(0, 0);
	g_status(&evil);
	CHECK(!g_has_used(&evil, 0));
	/* what is set stays so until a reset, and a device that needs one does not start */
	g_start(&evil);
	put_avail(MOVEQ, G_QSIZE);
	while (!(g_status(&evil) & VIRTIO_CONFIG_S_NEEDS_RESET))
		usleep(1000);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_STATUS, 11, 1);
	CHECK_EQ(g_status(&evil), 0x4f);
	g_reg_write(&evil, 0, VIRTIO_PCI_COMMON_STATUS, 15, 1);
	CHECK_EQ(g_query(&good[0], evil.gid), VIRTIO_DIBS_S_NETUNREACH);
	close_evil();
}

/* --------------------------------- requests --------------------------------- */

/* V-12: each field of each request */
static void bad_control(void)
{
	static const uint8_t nobody[16];
	struct virtio_dibs_register_dmb *r;
	uint32_t len, cmd;

	open_evil();
	r = (void *)(evil.mem + G_REQUEST);
	for (cmd = 1; cmd <= 4; cmd++) {
		for (len = 0; len < 120; len++) {
			memset(r, 0, 128);
			r->hdr.cmd = cmd;
			if ((cmd == 2 && len == 16) || (cmd == 3 && len == 24) ||
			    (cmd == 4 && len == 40))
				continue;
			CHECK_EQ(g_control(&evil, len, NULL), VIRTIO_DIBS_S_INVAL);
		}
	}
	for (cmd = 0; cmd < 0x10000; cmd += cmd < 8 ? 1 : 1111) {
		r->hdr.cmd = cmd;
		if (!cmd || cmd > 4)
			CHECK_EQ(g_control(&evil, 16, NULL), VIRTIO_DIBS_S_OPNOTSUPP);
	}
#define REG(at, n) g_register(&evil, 0, evil.gid, at, n, NULL)
	CHECK_EQ(REG(G_DMBS, 0), VIRTIO_DIBS_S_INVAL);
	CHECK_EQ(REG(G_DMBS, PAGE - 1), VIRTIO_DIBS_S_INVAL);
	CHECK_EQ(REG(G_DMBS + 1, PAGE), VIRTIO_DIBS_S_INVAL);
	CHECK_EQ(REG(G_DMBS, (4u << 20) + PAGE), VIRTIO_DIBS_S_INVAL);
#undef REG
	CHECK_EQ(g_register(&evil, 65536, evil.gid, G_DMBS, PAGE, NULL),
		 VIRTIO_DIBS_S_INVAL);
	CHECK_EQ(g_register(&evil, 65535, evil.gid, G_DMBS, PAGE, NULL), 0);
	CHECK_EQ(g_register(&evil, 65535, evil.gid, G_DMBS, PAGE, NULL),
		 VIRTIO_DIBS_S_BUSY);
	CHECK_EQ(g_register(&evil, 1, nobody, G_DMBS, PAGE, NULL),
		 VIRTIO_DIBS_S_INVAL);
	/* len is not the sum; too many ranges; a range that wraps */
	g_register(&evil, 2, evil.gid, G_DMBS, PAGE, NULL);
	r->idx = 3;
	r->len = 2 * PAGE;
	CHECK_EQ(g_control(&evil, 56, NULL), VIRTIO_DIBS_S_INVAL);
	r->len = PAGE;
	r->nranges = 5;
	CHECK_EQ(g_control(&evil, 40 + 5 * 16, NULL), VIRTIO_DIBS_S_INVAL);
	r->nranges = 1;
	r->ranges[0].addr = -(uint64_t)PAGE;
	r->len = r->ranges[0].len = 2 * PAGE;
	CHECK_EQ(g_control(&evil, 56, NULL), VIRTIO_DIBS_S_INVAL);
	close_evil();
}

/* V-18, V-21: token, GID, range; and what was not named is as it was */
static void foreign_moves(void)
{
	uint8_t before[2 * PAGE];
	uint64_t token;

	open_evil();
	memcpy(before, good[1].mem + G_DMBS, sizeof(before));
	CHECK_EQ(g_move(&evil, MOVEQ, good_token, 0, "xxxx", 4, 1), VIRTIO_DIBS_S_PERM);
	CHECK_EQ(g_move(&evil, MOVEQ, good_token ^ 1, 0, "xxxx", 4, 1),
		 VIRTIO_DIBS_S_NOENT);
	CHECK_EQ(g_move(&evil, MOVEQ, 0, 0, "xxxx", 4, 1), VIRTIO_DIBS_S_NOENT);
	CHECK_EQ(g_unregister(&evil, good_token), VIRTIO_DIBS_S_PERM);
	CHECK_EQ(g_unregister(&evil, good_token + 1), VIRTIO_DIBS_S_NOENT);
	CHECK_EQ(g_register(&good[1], 4, evil.gid, G_DMBS + 4 * PAGE, PAGE, &token), 0);
	CHECK_EQ(g_move(&evil, MOVEQ, token, PAGE, "x", 1, 1), VIRTIO_DIBS_S_RANGE);
	CHECK_EQ(g_move(&evil, MOVEQ, token, PAGE - 3, "xxxx", 4, 1), VIRTIO_DIBS_S_RANGE);
	CHECK_EQ(g_move(&evil, MOVEQ, token, 0xfffffffe, "xxxx", 4, 1),
		 VIRTIO_DIBS_S_RANGE);
	CHECK_EQ(g_move(&evil, MOVEQ, token, PAGE, NULL, 0, -1), 0);
	CHECK(g_no_signal(&good[1]));
	CHECK_EQ(g_move(&evil, MOVEQ, token, PAGE - 4, "xxxx", 4, 1), 0);
	CHECK_EQ(g_signal(&good[1]).idx, 4);
	CHECK(!memcmp(before, good[1].mem + G_DMBS, sizeof(before)));
	CHECK_EQ(good[1].mem[G_DMBS + 5 * PAGE], 0);
	CHECK_EQ(good[1].mem[G_DMBS + 5 * PAGE - 5], 0);
	CHECK_EQ(status_number("perm", 0), 2);
	CHECK_EQ(status_number("range", 0), 3);
	close_evil();
}

/* V-19: the header */
static void bad_moves(void)
{
	struct virtio_dibs_move *m;
	struct g_piece out[2] = { { G_REQUEST, 0 }, { G_DATA, 0 } }, in = { G_ANSWER, 4 };
	uint32_t *status;
	uint64_t token;

	open_evil();
	m = (void *)(evil.mem + G_REQUEST);
	status = (void *)(evil.mem + G_ANSWER);
	CHECK_EQ(g_register(&evil, 4, evil.gid, G_DMBS, PAGE, &token), 0);
#define MOVE(expect) do {						\
	g_add_chain(&evil, MOVEQ, out, 2, &in, 1);			\
	g_kick(&evil, MOVEQ);						\
	CHECK_EQ(g_wait(&evil, MOVEQ), 4);				\
	CHECK_EQ(*status, expect);					\
} while (0)
	*m = (struct virtio_dibs_move){ .token = token };
	for (out[0].len = 0; out[0].len < 24; out[0].len++)
		MOVE(VIRTIO_DIBS_S_INVAL);
	/* the ninth is what would lie behind eight */
	m->nsegs = 9;
	memset(m->segs, 0, 9 * sizeof(m->segs[0]));
	m->segs[8].offset = 9;
	out[0].len = 16 + 9 * 8;
	MOVE(VIRTIO_DIBS_S_INVAL);
	m->nsegs = 0xffff;
	MOVE(VIRTIO_DIBS_S_INVAL);
	m->nsegs = 1;
	m->segs[0] = (struct virtio_dibs_move_seg){ 0, 4 };
	out[0].len = 24;
	out[1].len = 3;
	MOVE(VIRTIO_DIBS_S_INVAL);
	out[1].len = 5;
	MOVE(VIRTIO_DIBS_S_INVAL);
	out[1].len = 4;
	MOVE(0);
	m->flags = VIRTIO_DIBS_MOVE_F_SIGNAL;
	m->signal = 16;
	MOVE(VIRTIO_DIBS_S_INVAL);
	m->flags = 0xfffe;
	MOVE(0);
	/* sizes whose sum does not fit in 32 bits */
	m->nsegs = 2;
	m->segs[0].size = m->segs[1].size = 0x80000002;
	out[0].len = 32;
	out[1].len = 4;
	MOVE(VIRTIO_DIBS_S_INVAL);
	/* V-18: segments before the bad one are copied */
	m->segs[0] = (struct virtio_dibs_move_seg){ 8, 2 };
	m->segs[1] = (struct virtio_dibs_move_seg){ PAGE - 1, 2 };
	memcpy(evil.mem + G_DATA, "abcd", 4);
	MOVE(VIRTIO_DIBS_S_RANGE);
	CHECK(!memcmp(evil.mem + G_DMBS + 8, "ab", 2));
	CHECK_EQ(evil.mem[G_DMBS + PAGE - 1], 0);
#undef MOVE
	close_evil();
}

/* Data that comes from where it goes to, up and down */
static void overlapping_moves(void)
{
	static const int step[] = { 100, -100 };
	uint8_t page[PAGE];
	uint64_t token;
	uint32_t i, k;

	open_evil();
	CHECK_EQ(g_register(&evil, 4, evil.gid, G_DMBS, PAGE, &token), 0);
	for (i = 0; i < 2; i++) {
		for (k = 0; k < PAGE; k++)
			evil.mem[G_DMBS + k] = page[k] = k * 5 + (k >> 8);
		memmove(page + 1000, page + 1000 + step[i], 2000);
		g_add_move(&evil, MOVEQ, 0, token, 1000, G_DMBS + 1000 + step[i], 2000, -1);
		g_kick(&evil, MOVEQ);
		CHECK_EQ(g_wait(&evil, MOVEQ), 4);
		CHECK_EQ(*g_status_of(&evil, 0), 0);
		CHECK(!memcmp(evil.mem + G_DMBS, page, PAGE));
	}
	close_evil();
}

/* Doorbells, requests and events as fast as they go: the others get their share */
static void flood(void)
{
	uint32_t status = 0, sent = 0;
	int i;

	open_evil();
	for (i = 0; i < 20000; i++)
		g_kick(&evil, i % 25);
	bystander_works();
	for (i = 0; i < 500; i++) {
		uint64_t token;

		CHECK_EQ(g_register(&evil, i, good[0].gid, G_DMBS, PAGE, &token), 0);
		if (i % 2)
			CHECK_EQ(g_unregister(&evil, token), 0);
	}
	/* receivers that do not take them fill up, and that is all, however slowly it goes */
	for (i = 0; i < 100; i++) {
		status = g_signal_event(&evil, good[0].gid, i, i);
		sent += !status;
		usleep(5000);
	}
	CHECK_EQ(status, VIRTIO_DIBS_S_AGAIN);
	CHECK(sent <= 16 + 16);
	for (i = 0; i < 50; i++) {
		g_reset(&evil);
		g_setup(&evil);
		g_start(&evil);
	}
	CHECK(status_number("events_pending", 1) < 64);
	close_evil();
}

/* What there is of move queues, and what one request can move in them */
#define FLOOD_QUEUES	17
#define FLOOD_IOVA	(G_IOVA + 0x40000000)
#define FLOOD_LEN	(4u << 20)
#define FLOOD_MOVES	200

/* The longest request that there can be, in each queue: out of memory of its own */
static void flood_setup(int memfd)
{
	int i, q, n = VIRTIO_DIBS_MAX_SEGS;
	struct virtio_dibs_move *m;
	struct vring_desc *t;

	g_connect(&evil, 0);
	CHECK_EQ(g_version(&evil), 0);
	CHECK_EQ(g_map(&evil, G_IOVA, G_MEM, 0, 3, evil.memfd), 0);
	CHECK_EQ(g_map(&evil, FLOOD_IOVA, 2 * FLOOD_LEN, 0, 3, memfd), 0);
	g_setup(&evil);
	for (q = MOVEQ; q < MOVEQ + FLOOD_QUEUES; q++)
		g_setup_queue(&evil, q);
	g_start(&evil);
	m = (void *)(evil.mem + G_DATA);
	t = (void *)(evil.mem + G_DATA + PAGE);
	*m = (struct virtio_dibs_move){ .nsegs = n };
	CHECK_EQ(g_register(&evil, 0, evil.gid, FLOOD_IOVA - G_IOVA, FLOOD_LEN,
			    (uint64_t *)&m->token), 0);
	t[0] = (struct vring_desc){ g_iova(G_DATA), sizeof(*m) + sizeof(m->segs[0]) * n,
				    VRING_DESC_F_NEXT, 1 };
	for (i = 0; i < n; i++) {
		m->segs[i] = (struct virtio_dibs_move_seg){ 0, FLOOD_LEN };
		t[1 + i] = (struct vring_desc){ FLOOD_IOVA + FLOOD_LEN, FLOOD_LEN,
						VRING_DESC_F_NEXT, 2 + i };
	}
	t[1 + n] = (struct vring_desc){ g_iova(G_ANSWER), 4, VRING_DESC_F_WRITE, 0 };
	for (q = MOVEQ; q < MOVEQ + FLOOD_QUEUES; q++)
		one_desc(q, 0, g_iova(G_DATA + PAGE), sizeof(*t) * (2 + n),
			 VRING_DESC_F_INDIRECT, 0);
}

/* As many of it as the queues have room for */
static void flood_more(void)
{
	struct g_queue *q;
	int i;

	for (i = MOVEQ; i < MOVEQ + FLOOD_QUEUES; i++) {
		q = &evil.q[i];
		q->seen = __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);
		__atomic_store_n(&q->avail->idx, q->seen + G_QSIZE, __ATOMIC_RELEASE);
		g_kick(&evil, i);
	}
}

/* How long a move of the bystander takes, in ns */
static int64_t small_move(void)
{
	int64_t ns = now_ns();

	CHECK_EQ(g_move(&good[0], MOVEQ, good_token, 0, "x", 1, -1), 0);
	return now_ns() - ns;
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/*
 * All that one guest can ask to be moved: a turn of it takes as long as it takes to copy
 * 128 KiB, which is well below a millisecond. The rest is for tests that have to share
 * their processors; without turns, moves of 544 MiB would be waited for.
 */
static void flood_of_bytes(void)
{
	int memfd = memfd_create("flood", MFD_CLOEXEC), i;
	int64_t ns[FLOOD_MOVES];

	setup();
	CHECK(memfd >= 0 && !ftruncate(memfd, 2 * FLOOD_LEN));
	flood_setup(memfd);
	for (i = 0; i < FLOOD_MOVES; i++) {
		flood_more();
		ns[i] = small_move();
	}
	CHECK_EQ(g_wait(&evil, MOVEQ), 4);
	CHECK_EQ(*g_status_of(&evil, 0), 0);
	qsort(ns, FLOOD_MOVES, sizeof(ns[0]), compare);
	printf("# a move took %ld us, at most %ld us\n", (long)ns[FLOOD_MOVES / 2] / 1000,
	       (long)ns[FLOOD_MOVES - 1] / 1000);
	CHECK(ns[FLOOD_MOVES / 2] < 10000000);
	CHECK(ns[FLOOD_MOVES - 1] < 200000000);
	close(memfd);
	close_evil();
}

/*
 * How much is moved for one guest before it is the turn of another: both have asked when
 * the daemon looks. The first one counts its moves in a word, and the other one's move is
 * of that word, for they share this memory.
 */
#define TURN_MOVE	(32u << 10)
#define TURN_IOVA	0x80000000u

/* Has the daemon spend much more time on this guest than on others, which are level then */
static void keep_busy(struct guest *g)
{
	int64_t end = now_ns() + 20000000;
	int i;

	for (i = 0; i < 500 || now_ns() < end; i++)
		CHECK_EQ(g_query(g, good[0].gid), 0);
	/* until nobody looks for more of it */
	usleep(1000);
}

static uint64_t moves_before(uint64_t token)
{
	uint64_t *count = (void *)(evil.mem + G_DATA), moved;
	int i;

	*(uint64_t *)(evil.mem + G_DMBS) = 0;
	daemon_pause();
	for (i = 0; i < 20; i++) {
		count[i] = i + 1;
		g_add_move(&evil, MOVEQ, i, token, 0, G_DATA + i * sizeof(*count),
			   TURN_MOVE, -1);
		g_kick(&evil, MOVEQ);
	}
	g_add_move(&good[0], MOVEQ, 0, good_token, 0, TURN_IOVA - G_IOVA + G_DMBS,
		   sizeof(moved), -1);
	g_kick(&good[0], MOVEQ);
	daemon_continue();
	CHECK_EQ(g_wait(&good[0], MOVEQ), 4);
	for (i = 0; i < 20; i++)
		CHECK_EQ(g_wait(&evil, MOVEQ), 4);
	memcpy(&moved, good[1].mem + G_DMBS, sizeof(moved));
	return moved;
}

/* V-10, V-23: a turn is short, and who had more time than others waits for them */
static void turns_are_short(void)
{
	uint64_t token;

	open_evil();
	CHECK_EQ(g_register(&evil, 0, evil.gid, G_DMBS, TURN_MOVE, &token), 0);
	CHECK_EQ(g_map(&good[0], TURN_IOVA, G_MEM, 0, 3, evil.memfd), 0);
	keep_busy(&good[1]);
	CHECK_EQ(moves_before(token) * TURN_MOVE, 64 << 10);
	keep_busy(&evil);
	CHECK_EQ(moves_before(token), 0);
	close_evil();
}

/* Requests of the control queue in G_REQUEST, as many as it takes, that are all the same */
static void add_requests(uint32_t len)
{
	struct g_piece out = { G_REQUEST, len }, in = { G_ANSWER, 16 };
	int i;

	for (i = 0; i < G_QSIZE / 2; i++)
		g_add_chain(&evil, 0, &out, 1, &in, 1);
	g_kick(&evil, 0);
}

/*
 * How many of them are served before it is the turn of another. That one's move is of the
 * index of the used ring.
 */
static uint16_t served_in_a_turn(uint32_t len)
{
	uint32_t used = (uint8_t *)&evil.q[0].used->idx - evil.mem;
	uint16_t before = evil.q[0].used->idx, n;
	int i;

	keep_busy(&good[1]);
	daemon_pause();
	add_requests(len);
	g_add_move(&good[0], MOVEQ, 0, good_token, 0, TURN_IOVA - G_IOVA + used, sizeof(n), -1);
	g_kick(&good[0], MOVEQ);
	daemon_continue();
	CHECK_EQ(g_wait(&good[0], MOVEQ), 4);
	memcpy(&n, good[1].mem + G_DMBS, sizeof(n));
	for (i = 0; i < G_QSIZE / 2; i++)
		CHECK_EQ(g_wait(&evil, 0), 16);
	return n - before;
}

/* The daemon can be paused at any point of its round: before it is none, or more turns */
static void expect_turn(uint32_t len, const char *what, uint16_t most)
{
	uint16_t n, least = UINT16_MAX;
	int i;

	for (i = 0; i < 20; i++) {
		n = served_in_a_turn(len);
		if (n && n < least)
			least = n;
	}
	printf("# %u %s in a turn\n", least, what);
	CHECK(least <= most);
}

/* V-10, V-23: a request that moves nothing takes time all the same */
static void requests_take_time(void)
{
	struct virtio_dibs_signal_event *event;
	struct virtio_dibs_query_gid *query;

	open_evil();
	CHECK_EQ(g_map(&good[0], TURN_IOVA, G_MEM, 0, 3, evil.memfd), 0);
	query = (void *)(evil.mem + G_REQUEST);
	memset(query, 0xff, 64);
	query->hdr.cmd = VIRTIO_DIBS_C_QUERY_GID;
	expect_turn(sizeof(*query), "queries", 26);
	event = (void *)query;
	event->hdr.cmd = VIRTIO_DIBS_C_SIGNAL_EVENT;
	expect_turn(sizeof(*event), "SW events", 4);
	event->hdr.cmd = VIRTIO_DIBS_C_UNREGISTER_DMB;
	expect_turn(sizeof(struct virtio_dibs_unregister_dmb), "ends of DMBs", 4);
	close_evil();
}

/* V-7, V-8: everybody is told, in the right order, whatever way a guest ends */
static void life_and_death(void)
{
	struct virtio_dibs_event e;
	uint64_t token;

	open_evil();
	e = g_event(&good[0]);
	CHECK_EQ(e.type, VIRTIO_DIBS_E_DEV);
	CHECK_EQ(e.subtype, VIRTIO_DIBS_E_DEV_ENABLED);
	CHECK(!memcmp(e.gid, evil.gid, 16));
	e = g_event(&evil);
	CHECK_EQ(e.subtype, VIRTIO_DIBS_E_DEV_ENABLED);
	e = g_event(&evil);
	CHECK_EQ(e.subtype, VIRTIO_DIBS_E_DEV_ENABLED);
	CHECK_EQ(g_register(&evil, 4, good[0].gid, G_DMBS, PAGE, &token), 0);
	CHECK_EQ(g_move(&good[0], MOVEQ, token, 0, "x", 1, -1), 0);
	g_reset(&evil);
	CHECK_EQ(g_move(&good[0], MOVEQ, token, 0, "x", 1, -1), VIRTIO_DIBS_S_NOENT);
	e = g_event(&good[0]);
	CHECK_EQ(e.subtype, VIRTIO_DIBS_E_DEV_DISABLED);
	g_setup(&evil);
	g_start(&evil);
	e = g_event(&good[0]);
	CHECK_EQ(e.subtype, VIRTIO_DIBS_E_DEV_ENABLED);
	CHECK_EQ(g_register(&evil, 4, good[0].gid, G_DMBS, PAGE, &token), 0);
	CHECK_EQ(g_move(&good[0], MOVEQ, token, 0, "x", 1, -1), 0);
	CHECK_EQ(g_unregister(&evil, token), 0);
	e = g_event(&good[0]);
	CHECK_EQ(e.type, VIRTIO_DIBS_E_BUF);
	CHECK_EQ(e.token, token);
	g_close(&evil);
	e = g_event(&good[0]);
	CHECK_EQ(e.subtype, VIRTIO_DIBS_E_DEV_DISABLED);
	CHECK_EQ(g_query(&good[0], evil.gid), VIRTIO_DIBS_S_NETUNREACH);
	forget_events(&good[1]);
	teardown();
}

/* As a driver does it that has set up no queue, and waits for no answer; did it start? */
static bool cycle(struct guest *g)
{
	g_reset(g);
	g_reg_write(g, 0, VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	g_reg_write(g, 0, VIRTIO_PCI_COMMON_GF, 3, 4);
	g_reg_write(g, 0, VIRTIO_PCI_COMMON_STATUS, 15, 1);
	return !(g_status(g) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* How many times good[0] has been told that somebody came or went */
static int dev_events(void)
{
	int n = 0;

	for (; g_has_used(&good[0], VIRTIO_DIBS_VQ_EVENT); n++)
		CHECK_EQ(g_event(&good[0]).type, VIRTIO_DIBS_E_DEV);
	return n;
}

#define CYCLES		2000
#define START_BURST	64
#define START_PERIOD	20000000

/* V-10: others are told of each start and of each end, as often as a guest can want it */
static void resets_without_end(void)
{
	int i, told = 0, started = 1;
	int64_t ns = now_ns();

	open_evil();
	for (i = 0; i < CYCLES; i++) {
		started += cycle(&evil);
		told += dev_events();
		/* one that connects anew gains nothing by it */
		if (i % 100 == 99) {
			g_close(&evil);
			g_connect(&evil, 0);
			CHECK_EQ(g_version(&evil), 0);
		}
	}
	bystander_works();
	told += dev_events();
	ns = now_ns() - ns;
	printf("# %d cycles, %d starts, %d events in %ld ms\n", CYCLES, started, told,
	       (long)ns / 1000000);
	CHECK(started >= START_BURST && started < CYCLES);
	CHECK(started <= START_BURST + ns / START_PERIOD + 1);
	CHECK(told <= 2 * started);
	/* who is refused comes again when it has waited */
	usleep(4 * START_PERIOD / 1000);
	CHECK(cycle(&evil));
	close_evil();
}

/* How long a reset takes that ends a DMB with this index: the shortest of some, in ns */
static int64_t time_to_reset(uint32_t idx)
{
	int64_t ns, best = INT64_MAX;
	int i;

	for (i = 0; i < 10; i++) {
		CHECK_EQ(g_register(&evil, idx, evil.gid, G_DMBS, PAGE, NULL), 0);
		ns = now_ns();
		g_reset(&evil);
		ns = now_ns() - ns;
		best = ns < best ? ns : best;
		g_setup(&evil);
		g_start(&evil);
	}
	return best;
}

/* V-10: DMBs that are not there cost nobody's time */
static void resets_take_no_time(void)
{
	int64_t first, last;

	open_evil();
	first = time_to_reset(0);
	last = time_to_reset(65535);
	printf("# %ld us with the first DMB, %ld us with the last\n", (long)first / 1000,
	       (long)last / 1000);
	CHECK(last < 2 * first + 100000);
	close_evil();
}

/* A reset by message, as QEMU does it, is as good */
static void device_reset_message(void)
{
	uint64_t token;

	open_evil();
	CHECK_EQ(g_register(&evil, 4, good[0].gid, G_DMBS, PAGE, &token), 0);
	CHECK_EQ(g_call(&evil, VU_RESET, NULL, 0, NULL, 0, NULL, 0), 0);
	CHECK_EQ(g_move(&good[0], MOVEQ, token, 0, "x", 1, -1), VIRTIO_DIBS_S_NOENT);
	CHECK_EQ(g_status(&evil), 0);
	g_setup(&evil);
	g_start(&evil);
	CHECK_EQ(g_query(&good[0], evil.gid), 0);
	close_evil();
}

/* INTx: raised once until it is unmasked, and again if something is pending */
static void intx(void)
{
	open_evil();
	CHECK_EQ(g_set_irqs(&evil, 0x21, VU_IRQ_MSIX, 0, 0, NULL, 0), 0);
	CHECK_EQ(g_set_irqs(&evil, 0x24, VU_IRQ_INTX, 0, 1, &evil.irq[0], 1), 0);
	g_irq(&evil, 0);
	g_reset(&evil);
	g_setup(&evil);
	g_start(&evil);
	CHECK_EQ(g_query(&evil, evil.gid), 0);
	usleep(20000);
	CHECK(g_irq(&evil, 0));
	CHECK_EQ(g_query(&evil, evil.gid), 0);
	usleep(20000);
	CHECK(!g_irq(&evil, 0));
	CHECK_EQ(g_set_irqs(&evil, 0x11, VU_IRQ_INTX, 0, 1, NULL, 0), 0);
	CHECK(g_irq(&evil, 0));
	CHECK_EQ(g_reg_read(&evil, 0, 0x1000, 1), 1);
	CHECK_EQ(g_reg_read(&evil, 0, 0x1000, 1), 0);
	CHECK_EQ(g_set_irqs(&evil, 0x11, VU_IRQ_INTX, 0, 1, NULL, 0), 0);
	CHECK(!g_irq(&evil, 0));
	close_evil();
}

/* V-4, V-3 and the transport's own numbers */
static void configuration(void)
{
	open_evil();
	CHECK_EQ(g_reg_read(&evil, 7, 0, 2), 0x1af4);
	CHECK_EQ(g_reg_read(&evil, 7, 2, 2), 0x1040 + 44);
	CHECK_EQ(g_reg_read(&evil, 0, VIRTIO_PCI_COMMON_NUMQ, 2), 20);
	CHECK_EQ(g_reg_read(&evil, 0, 0x2010, 2), 0xff01);
	CHECK_EQ(g_reg_read(&evil, 0, 0x2012, 2), 17);
	CHECK_EQ(g_reg_read(&evil, 0, 0x2014, 4), 65536);
	CHECK_EQ(g_reg_read(&evil, 0, 0x2018, 4), 4 << 20);
	CHECK_EQ(g_reg_read(&evil, 0, 0x201c, 2), 4);
	g_reg_write(&evil, 0, 0x2010, 0, 2);
	CHECK_EQ(g_reg_read(&evil, 0, 0x2010, 2), 0xff01);
	/* the window in configuration space */
	g_reg_write(&evil, 7, 0x94 + 4, 0, 1);
	g_reg_write(&evil, 7, 0x94 + 8, 0x2010, 4);
	g_reg_write(&evil, 7, 0x94 + 12, 2, 4);
	CHECK_EQ(g_reg_read(&evil, 7, 0x94 + 16, 2), 0xff01);
	g_reg_write(&evil, 7, 0x94 + 8, 0xffffffff, 4);
	g_reg_read(&evil, 7, 0x94 + 16, 4);
	g_reg_write(&evil, 7, 0x94 + 16, 1, 4);
	close_evil();
}

static const struct tap_test tests[] = {
	{ "bad_framing", bad_framing },
	{ "bad_commands", bad_commands },
	{ "short_messages", short_messages },
	{ "bad_regions", bad_regions },
	{ "half_a_message", half_a_message },
	{ "no_reader", no_reader },
	{ "control_clients", control_clients },
	{ "descriptors", descriptors },
	{ "descriptors_that_linger", descriptors_that_linger },
	{ "wrong_descriptors", wrong_descriptors },
	{ "blocking_interrupts", blocking_interrupts },
	{ "bad_interrupts", bad_interrupts },
	{ "bad_maps", bad_maps },
	{ "many_maps", many_maps },
	{ "huge_files", huge_files },
	{ "buffer_across_maps", buffer_across_maps },
	{ "buffer_of_ranges", buffer_of_ranges },
	{ "truncated_memory", truncated_memory },
	{ "unmapped_dmb", unmapped_dmb },
	{ "descriptor_loops", descriptor_loops },
	{ "descriptor_indices", descriptor_indices },
	{ "descriptor_kinds", descriptor_kinds },
	{ "indirect_descriptors", indirect_descriptors },
	{ "bad_addresses", bad_addresses },
	{ "bad_rings", bad_rings },
	{ "rings_over_the_end", rings_over_the_end },
	{ "bad_late_rings", bad_late_rings },
	{ "bad_event_buffers", bad_event_buffers },
	{ "bad_signal_buffers", bad_signal_buffers },
	{ "features_and_status", features_and_status },
	{ "bad_control", bad_control },
	{ "foreign_moves", foreign_moves },
	{ "bad_moves", bad_moves },
	{ "overlapping_moves", overlapping_moves },
	{ "flood", flood },
	{ "flood_of_bytes", flood_of_bytes },
	{ "turns_are_short", turns_are_short },
	{ "requests_take_time", requests_take_time },
	{ "life_and_death", life_and_death },
	{ "resets_without_end", resets_without_end },
	{ "resets_take_no_time", resets_take_no_time },
	{ "device_reset_message", device_reset_message },
	{ "intx", intx },
	{ "configuration", configuration },
};

TAP_MAIN(tests)
