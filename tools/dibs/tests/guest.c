// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define WAIT_MS		10000
#define QUIET_MS	50

static void __attribute__((noreturn)) die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* -------------------------------- the daemon -------------------------------- */

static char dir[64];
static const char *device = "virtio-dibs", *fabric_id = "0xff01";
static pid_t pid;

const char *port_path(int nr)
{
	static char path[2][108];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[0]), "%s/p%d.sock", dir, nr);
	return path[turn];
}

static void exec_daemon(int nr_ports, const char *fault)
{
	static char port[1024][128];
	char *argv[2 * 1024 + 16], control[128];
	int n = 0, i;

	snprintf(control, sizeof(control), "%s/control", dir);
	argv[n++] = getenv("DIBS_FABRIC");
	argv[n++] = "--fabric-id";
	argv[n++] = (char *)fabric_id;
	argv[n++] = "--device";
	argv[n++] = (char *)device;
	argv[n++] = "--control";
	argv[n++] = control;
	argv[n++] = "--socket-dir";
	argv[n++] = dir;
	for (i = 0; i < nr_ports; i++) {
		snprintf(port[i], sizeof(port[i]), "%s", port_path(i));
		argv[n++] = "--port";
		argv[n++] = port[i];
	}
	argv[n] = NULL;
	/* a test that fails leaves none behind */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (fault)
		setenv("DIBS_FAULT", fault, 1);
	execv(argv[0], argv);
	die("DIBS_FABRIC");
}

static int connect_to(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	long end = now_ms() + WAIT_MS;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(sa.sun_path, path, sizeof(sa.sun_path) - 1);
	while (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		if (now_ms() > end)
			die(path);
		usleep(1000);
	}
	return fd;
}

/* From now on, daemons have such ports */
void daemon_device(const char *kind, const char *fabric)
{
	device = kind;
	fabric_id = fabric;
}

/* Where the sockets of the next daemon are */
const char *daemon_make_dir(void)
{
	signal(SIGPIPE, SIG_IGN);
	strcpy(dir, "/tmp/dibs-test.XXXXXX");
	if (!getenv("DIBS_FABRIC") || !mkdtemp(dir))
		die("DIBS_FABRIC has to be the daemon");
	return dir;
}

void daemon_start(int nr_ports, const char *fault)
{
	daemon_make_dir();
	pid = fork();
	if (!pid)
		exec_daemon(nr_ports, fault);
	free(daemon_status());
}

/* A daemon with these options, after prepare() in its process */
void daemon_spawn(const char *const *options, void (*prepare)(void))
{
	char *argv[16] = { getenv("DIBS_FABRIC") };
	int n = 1;

	for (; *options; options++)
		argv[n++] = (char *)*options;
	pid = fork();
	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prepare();
	execv(argv[0], argv);
	die("DIBS_FABRIC");
}

static void remove_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command))
		die(command);
}

/* Its directory stays for another one */
void daemon_end(void)
{
	int status;

	kill(pid, SIGTERM);
	if (waitpid(pid, &status, 0) != pid || status)
		die("the daemon did not end well");
	pid = 0;
}

/* Nor does it clean up when it is killed */
void daemon_kill(void)
{
	kill(pid, SIGKILL);
	if (waitpid(pid, NULL, 0) != pid)
		die("the daemon cannot be killed");
	pid = 0;
}

void daemon_stop(void)
{
	daemon_end();
	remove_dir();
}

/* Has it ended by itself, with status 1? */
bool daemon_failed(void)
{
	long end = now_ms() + WAIT_MS;
	int status, rc = 0;

	while (!rc && now_ms() < end) {
		usleep(1000);
		rc = waitpid(pid, &status, WNOHANG);
	}
	if (rc != pid)
		return false;
	remove_dir();
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

/* The daemon's child */
pid_t daemon_worker(void)
{
	char path[64], text[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "r");
	if (f && !fgets(text, sizeof(text), f))
		*text = '\0';
	if (f)
		fclose(f);
	return atoi(text);
}

/* Kills a worker that serves; when this returns another one serves */
void daemon_kill_worker(void)
{
	free(daemon_status());
	kill(daemon_worker(), SIGKILL);
	free(daemon_status());
}

static pid_t paused;

static bool is_stopped(pid_t p)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", p);
	f = fopen(path, "r");
	if (!f)
		die(path);
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		die(path);
	fclose(f);
	return state == 'T';
}

/*
 * What happens until daemon_continue() has happened when the worker looks. Until it has
 * stopped it could still be told of the first of it.
 */
void daemon_pause(void)
{
	paused = daemon_worker();
	kill(paused, SIGSTOP);
	while (!is_stopped(paused))
		usleep(1000);
}

void daemon_continue(void)
{
	kill(paused, SIGCONT);
}

/* How many descriptors the daemon has */
int daemon_fds(void)
{
	char path[64];
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	if (!d)
		die(path);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A connection to the control socket */
int daemon_control(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/control", dir);
	return connect_to(path);
}

char *daemon_command(const char *line)
{
	static const size_t room = 1 << 20;
	struct timeval limit = { .tv_sec = WAIT_MS / 1000 };
	char *text = calloc(1, room);
	long end = now_ms() + WAIT_MS;
	size_t have = 0;
	ssize_t n;
	int fd;

	do {
		fd = daemon_control();
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		if (now_ms() > end || write(fd, line, strlen(line)) < 0)
			die(line);
		while ((n = read(fd, text + have, room - 1 - have)) > 0)
			have += n;
		close(fd);
		/* a worker that died in between has forgotten who asked */
	} while (!have);
	return text;
}

char *daemon_status(void)
{
	return daemon_command("status\n");
}

/* The nth number of this name in the status */
long status_number(const char *name, int nth)
{
	char key[64], *text = daemon_status(), *at = text;
	long v = -1;

	snprintf(key, sizeof(key), "\"%s\": ", name);
	do {
		at = strstr(at, key);
		if (!at)
			break;
		at += strlen(key);
		v = !strncmp(at, "true", 4) ? 1 : atol(at);
	} while (nth--);
	free(text);
	return at ? v : -1;
}

/* --------------------------------- messages --------------------------------- */

static enum g_death death;
static int messages_left;

void g_die(enum g_death how, int message)
{
	death = how;
	messages_left = message;
}

/* What is to be sent of this message by somebody who is about to die */
static uint32_t last_words(uint32_t len)
{
	if (death == G_LIVES || --messages_left)
		return len;
	if (death == G_DIES_BEFORE)
		kill(getpid(), SIGKILL);
	return death == G_DIES_WITHIN ? len / 2 : len;
}

bool g_send(struct guest *g, const void *msg, uint32_t len, const int *fds, int nr_fds)
{
	union { struct cmsghdr h; char room[CMSG_SPACE(sizeof(int) * 64)]; } c;
	struct iovec iov = { (void *)msg, last_words(len) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *h = &c.h;
	bool sent;

	/* a worker that serves, so that it dies of this */
	if (death == G_KILLS_WORKER)
		free(daemon_status());
	if (nr_fds) {
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
		memcpy(CMSG_DATA(h), fds, sizeof(int) * nr_fds);
	}
	sent = sendmsg(g->fd, &m, MSG_NOSIGNAL) == (ssize_t)len;
	if (death == G_KILLS_WORKER)
		kill(daemon_worker(), SIGKILL);
	else if (death != G_LIVES && !messages_left)
		kill(getpid(), SIGKILL);
	return sent;
}

static bool receive(struct guest *g, void *buf, uint32_t len)
{
	struct pollfd p = { .fd = g->fd, .events = POLLIN };
	ssize_t n;

	for (; len; len -= n, buf = (char *)buf + n) {
		if (poll(&p, 1, WAIT_MS) != 1)
			return false;
		n = read(g->fd, buf, len);
		if (n <= 0)
			return false;
	}
	return true;
}

int g_call(struct guest *g, uint16_t cmd, const void *body, uint32_t len,
	   const int *fds, int nr_fds, void *reply, uint32_t reply_len)
{
	uint8_t msg[8192], rest[8192];
	struct vu_header h = {
		.id = ++g->id, .command = cmd, .size = sizeof(h) + len,
	}, r;

	memcpy(msg, &h, sizeof(h));
	if (len)
		memcpy(msg + sizeof(h), body, len);
	if (!g_send(g, msg, h.size, fds, nr_fds) || !receive(g, &r, sizeof(r)))
		return -1;
	if (r.id != h.id || r.command != cmd || (r.flags & VU_F_TYPE) != VU_F_REPLY ||
	    r.size < sizeof(r) || r.size > sizeof(rest) ||
	    !receive(g, rest, r.size - sizeof(r)))
		return -1;
	if (r.flags & VU_F_ERROR)
		return r.error ? (int)r.error : -1;
	if (reply && r.size - sizeof(r) < reply_len)
		return -1;
	if (reply)
		memcpy(reply, rest, reply_len);
	return 0;
}

/* Has the daemon ended the connection? */
bool g_gone(struct guest *g)
{
	struct pollfd p = { .fd = g->fd, .events = POLLIN };
	char c;

	return poll(&p, 1, WAIT_MS) == 1 && read(g->fd, &c, 1) <= 0;
}

int g_version(struct guest *g)
{
	static const char body[] = "\0\0\0\0{\"capabilities\":{}}";

	return g_call(g, VU_VERSION, body, sizeof(body), NULL, 0, NULL, 0);
}

int g_map(struct guest *g, uint64_t iova, uint64_t size, uint64_t offset, uint32_t flags,
	  int fd)
{
	struct vu_dma_map m = { sizeof(m), flags, offset, iova, size };

	return g_call(g, VU_DMA_MAP, &m, sizeof(m), &fd, fd >= 0, NULL, 0);
}

int g_unmap(struct guest *g, uint64_t iova, uint64_t size)
{
	struct vu_dma_unmap m = { sizeof(m), 0, iova, size };

	return g_call(g, VU_DMA_UNMAP, &m, sizeof(m), NULL, 0, NULL, 0);
}

int g_set_irqs(struct guest *g, uint32_t flags, uint32_t index, uint32_t start,
	       uint32_t count, const int *fds, int nr_fds)
{
	struct vu_set_irqs m = { sizeof(m), flags, index, start, count };

	return g_call(g, VU_SET_IRQS, &m, sizeof(m), fds, nr_fds, NULL, 0);
}

uint64_t g_reg_read(struct guest *g, uint32_t region, uint64_t offset, uint32_t len)
{
	struct { struct vu_region_access h; uint64_t v; } r = { { offset, region, len }, 0 };

	if (g_call(g, VU_REGION_READ, &r.h, sizeof(r.h), NULL, 0, &r, sizeof(r.h) + len))
		return UINT64_MAX;
	return r.v;
}

void g_reg_write(struct guest *g, uint32_t region, uint64_t offset, uint64_t value,
		 uint32_t len)
{
	struct { struct vu_region_access h; uint64_t v; } r = {
		{ offset, region, len }, value,
	};

	g_call(g, VU_REGION_WRITE, &r, sizeof(r.h) + len, NULL, 0, NULL, 0);
}

/* -------------------------------- the device -------------------------------- */

uint64_t g_iova(uint32_t at)
{
	return G_IOVA + at;
}

void g_connect(struct guest *g, int port)
{
	g_connect_path(g, port_path(port));
}

void g_connect_path(struct guest *g, const char *path)
{
	int i;

	memset(g, 0, sizeof(*g));
	g->memfd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (g->memfd < 0 || ftruncate(g->memfd, G_MEM))
		die("memory");
	g->mem = mmap(NULL, G_MEM, PROT_READ | PROT_WRITE, MAP_SHARED, g->memfd, 0);
	for (i = 0; i < G_VECTORS; i++)
		g->irq[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g->fd = connect_to(path);
}

void g_close(struct guest *g)
{
	int i;

	close(g->fd);
	close(g->memfd);
	munmap(g->mem, G_MEM);
	for (i = 0; i < G_VECTORS; i++)
		close(g->irq[i]);
}

static void common_write(struct guest *g, uint32_t at, uint64_t v, uint32_t len)
{
	g_reg_write(g, 0, at, v, len);
}

uint8_t g_status(struct guest *g)
{
	return g_reg_read(g, 0, VIRTIO_PCI_COMMON_STATUS, 1);
}

void g_setup_queue(struct guest *g, int nr)
{
	static const int vector[] = { 1, 2, 3 };
	uint32_t at = G_RINGS + nr * 0x4000;
	struct g_queue *q = &g->q[nr];

	memset(g->mem + at, 0, 0x4000);
	q->desc = (void *)(g->mem + at);
	q->avail = (void *)(g->mem + at + 0x1000);
	q->used = (void *)(g->mem + at + 0x2000);
	q->next = 0;
	q->seen = 0;
	common_write(g, VIRTIO_PCI_COMMON_Q_SELECT, nr, 2);
	common_write(g, VIRTIO_PCI_COMMON_Q_SIZE, G_QSIZE, 2);
	common_write(g, VIRTIO_PCI_COMMON_Q_MSIX, nr < 3 ? vector[nr] : 0xffff, 2);
	common_write(g, VIRTIO_PCI_COMMON_Q_DESCLO, g_iova(at), 4);
	common_write(g, VIRTIO_PCI_COMMON_Q_DESCHI, g_iova(at) >> 32, 4);
	common_write(g, VIRTIO_PCI_COMMON_Q_AVAILLO, g_iova(at + 0x1000), 4);
	common_write(g, VIRTIO_PCI_COMMON_Q_USEDLO, g_iova(at + 0x2000), 4);
	common_write(g, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
}

/* All that comes before DRIVER_OK */
void g_setup(struct guest *g)
{
	int i;

	common_write(g, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	common_write(g, VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	common_write(g, VIRTIO_PCI_COMMON_GF, 3, 4);
	common_write(g, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	common_write(g, VIRTIO_PCI_COMMON_GF, 1u << VIRTIO_RING_F_INDIRECT_DESC |
		     (uint32_t)g->event_idx << VIRTIO_RING_F_EVENT_IDX, 4);
	common_write(g, VIRTIO_PCI_COMMON_STATUS, 11, 1);
	for (i = 0; i < 5; i++)
		g_setup_queue(g, i);
	common_write(g, VIRTIO_PCI_COMMON_MSIX, 0, 2);
	for (i = 0; i < 16; i++)
		g->gid[i] = g_reg_read(g, 0, 0x2000 + i, 1);
}

static void post(struct guest *g, int q, uint32_t at, uint32_t len)
{
	struct g_piece in = { at, len };

	g_add_chain(g, q, NULL, 0, &in, 1);
}

void g_start(struct guest *g)
{
	int i;

	common_write(g, VIRTIO_PCI_COMMON_STATUS, 15, 1);
	for (i = 0; i < G_BUFS; i++) {
		post(g, VIRTIO_DIBS_VQ_EVENT, G_EVENTS + i * 64, 48);
		post(g, VIRTIO_DIBS_VQ_SIGNAL, G_SIGNALS + i * 16, 16);
	}
	g_kick(g, VIRTIO_DIBS_VQ_EVENT);
	g_kick(g, VIRTIO_DIBS_VQ_SIGNAL);
}

void g_open(struct guest *g, int port)
{
	g_connect(g, port);
	g_begin(g);
}

/* What there is between the connection and DRIVER_OK, and that */
void g_begin(struct guest *g)
{
	if (g_version(g) || g_map(g, G_IOVA, G_MEM, 0, 3, g->memfd) ||
	    g_set_irqs(g, VU_IRQ_EVENTFD | VU_IRQ_TRIGGER, VU_IRQ_MSIX, 0, G_VECTORS,
		       g->irq, G_VECTORS))
		die("cannot open a device");
	g_setup(g);
	g_start(g);
}

void g_reset(struct guest *g)
{
	common_write(g, VIRTIO_PCI_COMMON_STATUS, 0, 1);
}

/* ---------------------------------- queues ---------------------------------- */

static void add_desc(struct guest *g, struct g_queue *q, const struct g_piece *p,
		     uint16_t flags)
{
	uint16_t i = q->next;

	(void)g;
	q->next = (i + 1) % G_QSIZE;
	q->desc[i] = (struct vring_desc){ g_iova(p->at), p->len, flags, q->next };
}

void g_add_chain(struct guest *g, int nr, const struct g_piece *out, int nr_out,
		 const struct g_piece *in, int nr_in)
{
	struct g_queue *q = &g->q[nr];
	uint16_t head = q->next;
	int i;

	for (i = 0; i < nr_out; i++)
		add_desc(g, q, &out[i],
			 i + 1 < nr_out || nr_in ? VRING_DESC_F_NEXT : 0);
	for (i = 0; i < nr_in; i++)
		add_desc(g, q, &in[i], VRING_DESC_F_WRITE |
			 (i + 1 < nr_in ? VRING_DESC_F_NEXT : 0));
	q->avail->ring[q->avail->idx % G_QSIZE] = head;
	__atomic_store_n(&q->avail->idx, q->avail->idx + 1, __ATOMIC_RELEASE);
}

void g_kick(struct guest *g, int q)
{
	struct { struct vu_header h; struct vu_region_access a; uint16_t v; }
		__attribute__((packed)) m = {
		.h = { .id = ++g->id, .command = VU_REGION_WRITE, .size = sizeof(m),
		       .flags = VU_F_NO_REPLY },
		.a = { .offset = 0x3000 + 4 * q, .region = 0, .count = 2 },
		.v = q,
	};

	g_send(g, &m, sizeof(m), NULL, 0);
}

/* Is a doorbell wanted for what was made available since the index was old? */
bool g_wants_kick(struct guest *g, int nr, uint16_t old)
{
	struct g_queue *q = &g->q[nr];
	uint16_t *event = (uint16_t *)&q->used->ring[G_QSIZE];

	atomic_thread_fence(memory_order_seq_cst);
	if (g->event_idx)
		return vring_need_event(__atomic_load_n(event, __ATOMIC_RELAXED),
					q->avail->idx, old);
	return !(__atomic_load_n(&q->used->flags, __ATOMIC_RELAXED) &
		 VRING_USED_F_NO_NOTIFY);
}

/* An interrupt for the next buffer that is given back, or none for long */
void g_want_irq(struct guest *g, int nr, bool want)
{
	struct g_queue *q = &g->q[nr];

	if (g->event_idx)
		q->avail->ring[G_QSIZE] = q->seen + (want ? 0 : 0x8000);
	else
		q->avail->flags = want ? 0 : VRING_AVAIL_F_NO_INTERRUPT;
	atomic_thread_fence(memory_order_seq_cst);
}

bool g_has_used(struct guest *g, int nr)
{
	struct g_queue *q = &g->q[nr];

	return __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) != q->seen;
}

/* The next buffer that is given back: its length, or UINT32_MAX */
uint32_t g_wait(struct guest *g, int nr)
{
	struct g_queue *q = &g->q[nr];
	long end = now_ms() + WAIT_MS;

	while (!g_has_used(g, nr)) {
		if (now_ms() > end)
			return UINT32_MAX;
		usleep(20);
	}
	return q->used->ring[q->seen++ % G_QSIZE].len;
}

/* Interrupts since the last time */
uint64_t g_irqs(struct guest *g, int vector)
{
	uint64_t n;

	return read(g->irq[vector], &n, sizeof(n)) == sizeof(n) ? n : 0;
}

bool g_irq(struct guest *g, int vector)
{
	return g_irqs(g, vector);
}

/* --------------------------------- requests --------------------------------- */

uint32_t g_control(struct guest *g, uint32_t len, uint64_t *token)
{
	struct g_piece out = { G_REQUEST, len }, in = { G_ANSWER, 16 };
	struct virtio_dibs_ctrl_resp *resp = (void *)(g->mem + G_ANSWER);

	memset(resp, 0xee, sizeof(*resp));
	g_add_chain(g, VIRTIO_DIBS_VQ_CTRL, &out, 1, &in, 1);
	g_kick(g, VIRTIO_DIBS_VQ_CTRL);
	if (g_wait(g, VIRTIO_DIBS_VQ_CTRL) != sizeof(*resp))
		return UINT32_MAX;
	if (token)
		*token = resp->token;
	return resp->status;
}

uint32_t g_register(struct guest *g, uint32_t idx, const uint8_t *rgid, uint32_t at,
		    uint32_t len, uint64_t *token)
{
	struct virtio_dibs_register_dmb *r = (void *)(g->mem + G_REQUEST);

	memset(r, 0, sizeof(*r));
	r->hdr.cmd = VIRTIO_DIBS_C_REGISTER_DMB;
	memcpy(r->rgid, rgid, 16);
	r->idx = idx;
	r->len = len;
	r->nranges = 1;
	r->ranges[0] = (struct virtio_dibs_range){ g_iova(at), len, 0 };
	return g_control(g, sizeof(*r) + sizeof(r->ranges[0]), token);
}

uint32_t g_unregister(struct guest *g, uint64_t token)
{
	struct virtio_dibs_unregister_dmb *r = (void *)(g->mem + G_REQUEST);

	*r = (struct virtio_dibs_unregister_dmb){
		.hdr.cmd = VIRTIO_DIBS_C_UNREGISTER_DMB, .token = token,
	};
	return g_control(g, sizeof(*r), NULL);
}

uint32_t g_query(struct guest *g, const uint8_t *gid)
{
	struct virtio_dibs_query_gid *r = (void *)(g->mem + G_REQUEST);

	r->hdr = (struct virtio_dibs_ctrl_hdr){ .cmd = VIRTIO_DIBS_C_QUERY_GID };
	memcpy(r->gid, gid, 16);
	return g_control(g, sizeof(*r), NULL);
}

uint32_t g_signal_event(struct guest *g, const uint8_t *gid, uint32_t code, uint64_t info)
{
	struct virtio_dibs_signal_event *r = (void *)(g->mem + G_REQUEST);

	*r = (struct virtio_dibs_signal_event){
		.hdr.cmd = VIRTIO_DIBS_C_SIGNAL_EVENT, .code = code, .info = info,
	};
	memcpy(r->gid, gid, 16);
	return g_control(g, sizeof(*r), NULL);
}

/* Makes a move available: what it needs but for the data has a slot of its own */
void g_add_move(struct guest *g, int q, int slot, uint64_t token, uint32_t offset,
		uint32_t at, uint32_t size, int signal)
{
	uint32_t head = G_REQUEST + slot * 256;
	struct virtio_dibs_move *m = (void *)(g->mem + head);
	struct g_piece out[2] = { { head, sizeof(*m) + 8 }, { at, size } };
	struct g_piece in = { G_ANSWER + slot * 16, 4 };

	*m = (struct virtio_dibs_move){
		.token = token, .nsegs = 1,
		.flags = signal >= 0 ? VIRTIO_DIBS_MOVE_F_SIGNAL : 0,
		.signal = signal >= 0 ? signal : 0,
	};
	m->segs[0] = (struct virtio_dibs_move_seg){ offset, size };
	*g_status_of(g, slot) = 0xeeeeeeee;
	g_add_chain(g, q, out, 1 + !!size, &in, 1);
}

uint32_t *g_status_of(struct guest *g, int slot)
{
	return (void *)(g->mem + G_ANSWER + slot * 16);
}

uint32_t g_move(struct guest *g, int q, uint64_t token, uint32_t offset, const void *data,
		uint32_t size, int signal)
{
	if (data)
		memcpy(g->mem + G_DATA, data, size);
	g_add_move(g, q, 0, token, offset, G_DATA, size, signal);
	g_kick(g, q);
	if (g_wait(g, q) != sizeof(uint32_t))
		return UINT32_MAX;
	return *g_status_of(g, 0);
}

/* What is in the next buffer of a queue that the device fills; posts it again */
static void *filled(struct guest *g, int q, uint32_t base, uint32_t step, uint32_t len)
{
	static uint8_t copy[64];
	uint32_t at = base + g->q[q].seen % G_BUFS * step;

	memset(copy, 0xff, sizeof(copy));
	if (g_wait(g, q) != len)
		return copy;
	memcpy(copy, g->mem + at, len);
	post(g, q, at, len);
	g_kick(g, q);
	return copy;
}

struct virtio_dibs_event g_event(struct guest *g)
{
	return *(struct virtio_dibs_event *)filled(g, VIRTIO_DIBS_VQ_EVENT, G_EVENTS, 64,
						   sizeof(struct virtio_dibs_event));
}

struct virtio_dibs_signal g_signal(struct guest *g)
{
	return *(struct virtio_dibs_signal *)filled(g, VIRTIO_DIBS_VQ_SIGNAL, G_SIGNALS, 16,
						    sizeof(struct virtio_dibs_signal));
}

static bool quiet(struct guest *g, int q)
{
	long end = now_ms() + QUIET_MS;

	while (now_ms() < end)
		if (g_has_used(g, q))
			return false;
	return true;
}

bool g_no_event(struct guest *g)
{
	return quiet(g, VIRTIO_DIBS_VQ_EVENT);
}

bool g_no_signal(struct guest *g)
{
	return quiet(g, VIRTIO_DIBS_VQ_SIGNAL);
}
