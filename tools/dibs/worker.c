// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: the worker
 *
 * One thread that serves all ports in turn, a bounded piece of work at a time. All
 * that it must not forget is in &struct state; what it has beside that it makes
 * anew from there when it takes the place of a worker that has died.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "fault.h"
#include "irq.h"
#include "log.h"
#include "sandbox.h"
#include "state.h"

/* What a port that had less of the worker's time than others can make up for, in ns */
#define CREDIT_NS	200000

/* Whoever is so close to the one that had least is served as well, in ns */
#define CLOSE_NS	5000

/* The shortest slice of processor time there is, in ns */
#define SLICE_NS	100000

/**
 * struct worker - the worker
 * @st: what outlives it
 * @fabric: the fabric
 * @ports: the ports
 * @nr_ports: how many of them are being served
 * @room: for their guests' memory
 * @least: the least time that a port with something to do had, see &struct port.used
 * @epoll: epoll descriptor
 * @control: control connections
 */
struct worker {
	struct state *st;
	struct fabric fabric;
	struct port *ports;
	uint32_t nr_ports;
	struct mem_room room;
	uint64_t least;
	int epoll;
	struct control control;
};

static struct worker w;

uint64_t port_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/**
 * port_begin() - note what is being done, in case it kills the worker
 * @p: for which port
 * @what: number of a queue, or one of &enum port_work
 * @which: what tells it from what was done before and will be done later
 */
void port_begin(struct port *p, uint8_t what, uint64_t which)
{
	atomic_store(p->serving, (uint64_t)(p->nr + 1) << 48 | (uint64_t)what << 40 |
				 (which & 0xffffffffff));
}

void port_end(struct port *p)
{
	atomic_store(p->serving, 0);
}

static void on_wake(void *arg, uint32_t port)
{
	struct worker *worker = arg;

	worker->ports[port].ops->wake(&worker->ports[port]);
}

/* Guest memory is in files that others can cut off */
static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	uint32_t i;

	(void)context;
	for (i = 0; i < w.nr_ports; i++)
		if (mem_fault(&w.ports[i].mem, info->si_addr))
			return;
	signal(sig, SIG_DFL);
	raise(sig);
}

/* Time of a processor, in ns: that others keep the worker from it is no port's doing */
static uint64_t time_used(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int watch(int fd, uint32_t events, enum source from, uint32_t port)
{
	struct epoll_event e = {
		.events = events, .data.u64 = (uint64_t)from << 32 | port,
	};

	return epoll_ctl(w.epoll, EPOLL_CTL_ADD, fd, &e);
}

static int connected(const struct port *p)
{
	return atomic_load(&p->st->vu.fd);
}

/* -------------------------------- connections -------------------------------- */

static void watch_client(struct port *p)
{
	if (watch(connected(p), EPOLLIN | EPOLLRDHUP | EPOLLET, FROM_CLIENT, p->nr))
		p->failed = "cannot be watched";
	p->readable = true;
}

/* A port has one client at a time, others wait for their turn */
static void accept_client(struct port *p)
{
	int fd = accept4(p->st->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	p->ops->reset(p);
	if (!vu_accept(p, fd)) {
		close(fd);
		return;
	}
	log_event("port %s: connected", p->st->name);
	epoll_ctl(w.epoll, EPOLL_CTL_DEL, p->st->listen_fd, NULL);
	watch_client(p);
}

/* What a port still has without a client was of the last one */
static void forget_client(struct port *p)
{
	atomic_store(&p->st->vu.closing, 0);
	atomic_store(&p->st->poison, 0);
	atomic_store(&p->st->died_at, 0);
	atomic_store(&p->st->deaths, 0);
}

static void close_client(struct port *p)
{
	log_event("port %s: closed: %s", p->st->name, p->failed);
	port_begin(p, PORT_MESSAGE, p->st->vu.messages);
	vu_close(p);
	port_end(p);
	forget_client(p);
	p->failed = NULL;
	p->readable = false;
	p->ready = false;
	watch(p->st->listen_fd, EPOLLIN, FROM_LISTENER, p->nr);
}

/* --------------------------------- starting --------------------------------- */

static bool known_fd(int fd)
{
	const struct state *st = w.st;
	uint32_t i;

	if (fd <= STDERR_FILENO || fd == w.epoll || fd == st->control_fd ||
	    fd == st->nudge_fd || fd == st->signal_fd || fd == st->want_fd ||
	    fd == st->reply_pipe[0] || fd == st->reply_pipe[1])
		return true;
	for (i = 0; i < w.nr_ports; i++)
		if (fd == st->ports[i].listen_fd || vu_owns_fd(&st->ports[i].vu, fd))
			return true;
	return false;
}

/* A connection that was accepted by a worker that died before it could note it */
static bool adopt(int fd)
{
	struct sockaddr_un sa = { 0 };
	socklen_t len = sizeof(sa), size = sizeof(int);
	int listening = 0;
	uint32_t i;

	if (getsockname(fd, (struct sockaddr *)&sa, &len) || sa.sun_family != AF_UNIX ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) || listening)
		return false;
	for (i = 0; i < w.nr_ports; i++) {
		struct port *p = &w.ports[i];

		if (connected(p) || strncmp(p->st->path, sa.sun_path, sizeof(sa.sun_path)))
			continue;
		p->ops->reset(p);
		return vu_accept(p, fd);
	}
	return false;
}

/* What a worker that died had for itself, or had not come to note */
static void sweep_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int fd;

	if (!dir) {
		log_event("worker: no /proc: descriptors of the last one stay open");
		return;
	}
	while ((entry = readdir(dir))) {
		fd = atoi(entry->d_name);
		if (fd != dirfd(dir) && !known_fd(fd) && !adopt(fd))
			vu_drop_fd(fd);
	}
	closedir(dir);
}

static const struct port_ops *ops_of(uint32_t nr)
{
	if (w.st->device == DEVICE_VIRTIO_DIBS)
		return &vpci_ops;
	return state_has_blocks(w.st, nr) ? &ism_block_ops : &ism_ops;
}

static void port_init(uint32_t nr)
{
	struct port *p = &w.ports[nr];

	p->nr = nr;
	p->st = &w.st->ports[nr];
	p->all = w.ports;
	p->fabric = &w.fabric;
	p->fabric_id = w.st->fabric_id;
	p->ops = ops_of(nr);
	p->serving = &w.st->serving;
	p->reply_pipe = w.st->reply_pipe;
	/* for instance sealed meanwhile: that is this port's own trouble */
	if (mem_open(&p->mem, &p->st->vu.mem, &w.room))
		p->failed = "its memory cannot be mapped again";
}

static void port_restart(struct port *p)
{
	if (!connected(p)) {
		forget_client(p);
		return;
	}
	if (!p->failed)
		vu_restart(p);
	if (p->failed)
		return;
	/* another number for each worker: it is not one request that two have died of */
	port_begin(p, PORT_RESTART, atomic_load(&w.st->restarts));
	p->ops->restart(p);
	port_end(p);
}

/*
 * What may have been half done is repeated before anybody is told what came of it,
 * and could do something about it: first moves, then requests, of all ports.
 */
static void repeat_requests(void)
{
	unsigned int pass;
	uint32_t i;

	for (pass = 0; pass < PORT_PASSES; pass++)
		for (i = 0; i < w.nr_ports; i++)
			if (connected(&w.ports[i]))
				w.ports[i].ops->repeat(&w.ports[i], pass);
}

static void port_watch(struct port *p)
{
	if (connected(p))
		watch_client(p);
	else
		watch(p->st->listen_fd, EPOLLIN, FROM_LISTENER, p->nr);
}

/* Ports that the holder has added */
static void add_ports(void)
{
	uint32_t nr = atomic_load(&w.st->fabric.nr_ports);

	w.room.shares = nr > MEM_MIN_SHARES ? nr : MEM_MIN_SHARES;
	for (; w.nr_ports < nr; w.nr_ports++)
		port_init(w.nr_ports);
}

static int start(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	uint32_t i;

	sigaction(SIGBUS, &sa, NULL);
	w.ports = calloc(FABRIC_MAX_PORTS, sizeof(*w.ports));
	w.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!w.ports || w.epoll < 0)
		return -1;
	add_ports();
	if (fabric_open(&w.fabric, &w.st->fabric))
		return -1;
	sweep_fds();
	if (irq_open()) {
		log_event("worker: no asynchronous I/O, see fs.aio-max-nr");
		return -1;
	}
	w.fabric.wake = on_wake;
	w.fabric.arg = &w;
	control_init(&w.control, w.st, &w.fabric, w.ports, w.epoll);
	for (i = 0; i < w.nr_ports; i++)
		port_restart(&w.ports[i]);
	for (i = 0; i < w.nr_ports; i++)
		if (w.ports[i].failed)
			close_client(&w.ports[i]);
	repeat_requests();
	for (i = 0; i < w.nr_ports; i++)
		port_watch(&w.ports[i]);
	if (w.st->control_fd && watch(w.st->control_fd, EPOLLIN, FROM_CONTROL, 0))
		return -1;
	return watch(w.st->nudge_fd, EPOLLIN, FROM_NUDGE, 0);
}

/* --------------------------------- serving --------------------------------- */

static void on_nudge(void)
{
	uint32_t i, old = w.nr_ports;
	uint64_t n;

	if (read(w.st->nudge_fd, &n, sizeof(n)) < 0)
		return;
	add_ports();
	if (fabric_ports_added(&w.fabric, old))
		abort();
	for (i = old; i < w.nr_ports; i++)
		port_watch(&w.ports[i]);
}

static void dispatch(const struct epoll_event *e)
{
	struct port *p = &w.ports[e->data.u64 & 0xffffffff];

	switch (e->data.u64 >> 32) {
	case FROM_LISTENER:
		accept_client(p);
		break;
	case FROM_CLIENT:
		p->readable = true;
		break;
	case FROM_CONTROL:
		control_accept(&w.control);
		break;
	case FROM_CONTROL_CLIENT:
		control_serve(&w.control, e->data.u64 & 0xffffffff);
		break;
	case FROM_NUDGE:
		on_nudge();
		break;
	}
}

/* Serves a port for a while: a message, and a turn of its device */
static void serve_port(struct port *p)
{
	if (p->readable && !p->failed)
		p->readable = vu_step(p);
	if (!p->failed && p->ready)
		p->ready = p->ops->serve(p);
	if (p->mem.broken && !p->failed)
		p->failed = "its memory was cut off";
	if (p->failed)
		close_client(p);
}

static bool has_work(const struct port *p)
{
	return p->readable || p->ready || p->failed || p->mem.broken;
}

/*
 * Whoever had less time than the others comes first: up to how much is that? One that had
 * nothing to do saves up no more than a credit, and with it waits only for the one that is
 * being served.
 */
static uint64_t find_limit(void)
{
	uint64_t least = UINT64_MAX, lowest = w.least > CREDIT_NS ? w.least - CREDIT_NS : 0;
	struct port *p;

	for (p = w.ports; p < w.ports + w.nr_ports; p++) {
		if (!has_work(p))
			continue;
		if (p->used < lowest)
			p->used = lowest;
		if (p->used < least)
			least = p->used;
	}
	if (least == UINT64_MAX)
		return 0;
	if (least > w.least)
		w.least = least;
	return least + CLOSE_NS;
}

/* What is done for one port can be work for one before it: look again at the end */
static bool serve_ports(void)
{
	uint64_t limit = find_limit(), then = time_used(), now;
	struct port *p;

	for (p = w.ports; p < w.ports + w.nr_ports; p++) {
		if (!has_work(p) || p->used > limit)
			continue;
		serve_port(p);
		now = time_used();
		p->used += now - then;
		then = now;
	}
	for (p = w.ports; p < w.ports + w.nr_ports; p++)
		if (has_work(p))
			return true;
	return false;
}

/*
 * A CPU of a guest waits for its moves by looking, and the scheduler likes to put who
 * was woken beside the waker: unless the worker gets its turn at once, both wait for the
 * end of that one's slice. Since Linux 6.12 who wants short slices does; before, nobody
 * can want them.
 */
static void want_short_slices(void)
{
	struct sched_attr attr = { .size = sizeof(attr) };

	if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) ||
	    attr.sched_policy != SCHED_NORMAL)
		return;
	attr.sched_runtime = SLICE_NS;
	syscall(SYS_sched_setattr, 0, &attr, 0);
}

int worker_run(struct state *st)
{
	struct epoll_event events[64];
	bool more = true;
	int i, n;

	w.st = st;
	want_short_slices();
	if (start()) {
		log_event("worker: cannot start: %s", strerror(errno));
		return -1;
	}
	if (sandbox_enter()) {
		log_event("worker: no sandbox: %s", strerror(errno));
		return -1;
	}
	atomic_store(&st->early, 0);
	for (;;) {
		n = epoll_wait(w.epoll, events, 64, more ? 0 : -1);
		st->wakeups += !more;
		for (i = 0; i < n; i++)
			dispatch(&events[i]);
		more = serve_ports();
	}
}
