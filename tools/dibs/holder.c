// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: the holder
 *
 * It has the sockets, the descriptors and the state, looks into none of them, and
 * sees to it that there is a worker. Worker and holder share one table of
 * descriptors, so whatever a worker has received is there for the next one.
 *
 * Security: the holder has no sandbox, and a worker that a guest has taken over can
 * write whatever it likes to the state. What the holder acts upon it remembers itself;
 * what it has to take from there it takes once, and then checks it.
 */
#include <errno.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "log.h"
#include "sandbox.h"
#include "sockets.h"
#include "state.h"
#include "uuid.h"

/* A worker that is at one and the same request for so long is stuck */
#define STUCK_SECONDS	10

/* Workers that may die in a row before they have begun to serve, for no port's sake */
#define MAX_EARLY_DEATHS 20

/* Workers that may die, each by itself, of different requests of one client */
#define MAX_PORT_DEATHS	5

/**
 * struct own_port - what the holder itself knows of a port
 * @name: for people
 * @path: of the socket
 */
struct own_port {
	char name[PORT_NAME_MAX];
	char path[PORT_PATH_MAX];
};

static struct own_port own[FABRIC_MAX_PORTS];
static uint32_t nr_own;

static pid_t start_worker(struct state *st)
{
	struct clone_args args = { .flags = CLONE_FILES, .exit_signal = SIGCHLD };
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));
	sigset_t none;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	_exit(worker_run(st) ? 1 : 0);
}

/*
 * Is a port not to be served any more? Two workers that died of one and the same request
 * are reason enough, and so are many that died of different ones, each by itself: SIGKILL
 * is what anybody may have sent.
 */
static bool poisonous(struct port_state *port, uint64_t serving, int how)
{
	uint32_t deaths = atomic_load(&port->deaths) + (how != SIGKILL);
	bool again = atomic_load(&port->died_at) == serving;

	atomic_store(&port->died_at, serving);
	atomic_store(&port->deaths, deaths);
	return again || deaths >= MAX_PORT_DEATHS;
}

/*
 * A worker has died. The next one closes a port that is poisonous. False if no port was
 * being served, or if that one was being closed for this very reason.
 */
static bool blame(struct state *st, int how)
{
	uint64_t serving = atomic_exchange(&st->serving, 0);
	uint32_t nr = (serving >> 48) - 1;
	struct port_state *port;

	atomic_fetch_add(&st->restarts, 1);
	if (!serving || nr >= nr_own) {
		log_event("worker: died (%d), starting another", how);
		return false;
	}
	port = &st->ports[nr];
	log_event("worker: died (%d) serving port %s, starting another", how, own[nr].name);
	return !poisonous(port, serving, how) || !atomic_exchange(&port->poison, 1);
}

/* The second half of a GID of an ISM function is 0 */
void state_default_gid(const struct state *st, const char *name, uint8_t *gid)
{
	char id[PORT_NAME_MAX + 16];

	snprintf(id, sizeof(id), "%04x/%s", st->fabric_id, name);
	uuid_of_name(id, gid);
	if (st->device == DEVICE_ISM)
		memset(gid + UUID_LEN / 2, 0, UUID_LEN / 2);
}

bool state_has_blocks(const struct state *st, uint32_t nr)
{
	return st->device == DEVICE_ISM && nr % 2;
}

static int add_port(struct state *st, const char *name, const char *path, int fd,
		    const uint8_t *gid)
{
	struct own_port *mine = &own[nr_own];
	struct port_state *port = &st->ports[nr_own];

	if (nr_own >= FABRIC_MAX_PORTS || strlen(path) >= sizeof(mine->path) ||
	    strlen(name) >= sizeof(mine->name))
		return -1;
	strcpy(mine->name, name);
	strcpy(mine->path, path);
	memcpy(port->name, mine->name, sizeof(port->name));
	memcpy(port->path, mine->path, sizeof(port->path));
	port->listen_fd = fd;
	if (fabric_add_port(&st->fabric, gid) != (int)nr_own)
		return -1;
	nr_own++;
	return 0;
}

/*
 * Both ports of an ISM function or none: their numbers tell which is which. The one for
 * its blocks never joins the fabric.
 */
static int add_function(struct state *st, const char *name, const char *path, int fd,
			const uint8_t *gid)
{
	char block_name[PORT_NAME_MAX + 8], block_path[PORT_PATH_MAX + 8];
	uint8_t block_gid[UUID_LEN];
	int block_fd;

	if (strlen(name) >= PORT_NAME_MAX || strlen(path) >= PORT_PATH_MAX)
		return -1;
	snprintf(block_name, sizeof(block_name), "%s.blk", name);
	snprintf(block_path, sizeof(block_path), "%s.blk", path);
	if (strlen(block_name) >= PORT_NAME_MAX ||
	    nr_own >= FABRIC_MAX_PORTS - 1)
		return -1;
	block_fd = listen_at(block_path);
	if (block_fd < 0)
		return -1;
	uuid_of_name(block_path, block_gid);
	if (!add_port(st, name, path, fd, gid) &&
	    !add_port(st, block_name, block_path, block_fd, block_gid))
		return 0;
	close(block_fd);
	unlisten_at(block_path);
	return -1;
}

int state_add_port(struct state *st, const char *name, const char *path, int fd,
		   const uint8_t *gid)
{
	return st->device == DEVICE_ISM ? add_function(st, name, path, fd, gid) :
					  add_port(st, name, path, fd, gid);
}

static bool is_own(const char *path)
{
	uint32_t i;

	for (i = 0; i < nr_own; i++)
		if (!strcmp(own[i].path, path))
			return true;
	return false;
}

static int add_wanted(struct state *st, const char *dir, const char *name)
{
	char path[PATH_MAX];
	uint8_t gid[UUID_LEN];
	struct stat sb;
	int fd;

	snprintf(path, sizeof(path), "%s/%s.sock", dir, name);
	state_default_gid(st, name, gid);
	/* a name that is taken must not take away the socket of its owner, if that lives */
	if (is_own(path) || (!lstat(path, &sb) && !socket_is_stale(path)))
		return -1;
	fd = listen_at(path);
	if (fd < 0)
		return -1;
	if (!state_add_port(st, name, path, fd, gid))
		return 0;
	close(fd);
	unlisten_at(path);
	return -1;
}

static void on_want(struct state *st, const char *dir)
{
	static const uint64_t one = 1;
	char name[PORT_NAME_MAX];
	uint64_t n;

	if (read(st->want_fd, &n, sizeof(n)) < 0 || !atomic_load(&st->want_port))
		return;
	memcpy(name, st->want_name, sizeof(name));
	name[PORT_NAME_MAX - 1] = '\0';
	if (dir && !strchr(name, '/') && !add_wanted(st, dir, name))
		log_event("port %s: added", name);
	else
		log_event("port %s: cannot be added", name);
	atomic_store(&st->want_port, 0);
	if (write(st->nudge_fd, &one, sizeof(one)) < 0)
		return;
}

/* Kills the worker if it has been at one request since long ago; has it? */
static bool watchdog(struct state *st, pid_t pid)
{
	static uint64_t last;
	static int seconds;
	uint64_t now = atomic_load(&st->serving);

	seconds = now && now == last ? seconds + 1 : 0;
	last = now;
	if (seconds < fault_patience(STUCK_SECONDS))
		return false;
	log_event("worker: stuck");
	seconds = 0;
	kill(pid, SIGKILL);
	return true;
}

/*
 * A worker until it dies: its status, or -1 if the daemon is to end. One that was stuck
 * has brought SIGKILL upon itself, and counts as if its time had run out.
 */
static int watch_worker(struct state *st, pid_t pid, const char *dir)
{
	struct pollfd fds[2] = {
		{ .fd = st->signal_fd, .events = POLLIN },
		{ .fd = st->want_fd, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	bool stuck = false;
	int status;

	for (;;) {
		/* a worker that begins closes descriptors that are not in the state */
		fds[1].fd = atomic_load(&st->early) ? -1 : st->want_fd;
		if (!poll(fds, 2, 1000))
			stuck |= watchdog(st, pid);
		if (fds[1].revents)
			on_want(st, dir);
		if (!fds[0].revents ||
		    read(st->signal_fd, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo != SIGCHLD)
			return -1;
		if (waitpid(pid, &status, WNOHANG) == pid)
			return stuck ? SIGALRM : status;
	}
}

static void unlink_sockets(void)
{
	uint32_t i;

	for (i = 0; i < nr_own; i++)
		unlisten_at(own[i].path);
}

/* Workers, one after another, until the daemon is to end: 0, or 1 if there can be none */
static int run_workers(struct state *st, const char *socket_dir)
{
	uint32_t early;
	int status;
	pid_t pid;

	for (;;) {
		pid = start_worker(st);
		if (pid < 0) {
			log_event("holder: no worker: %s", strerror(errno));
			return 1;
		}
		status = watch_worker(st, pid, socket_dir);
		if (status < 0)
			break;
		if (WIFEXITED(status))
			return 1;
		early = atomic_fetch_add(&st->early, 1);
		if (!blame(st, WTERMSIG(status)) && early > MAX_EARLY_DEATHS) {
			log_event("holder: workers do not live");
			return 1;
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}

int holder_run(struct state *st, const char *socket_dir)
{
	int rc;

	sandbox_prepare();
	rc = run_workers(st, socket_dir);
	unlink_sockets();
	log_event("fabric 0x%04x: ended", st->fabric_id);
	return rc;
}
