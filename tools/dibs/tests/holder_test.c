// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of holder.c alone: its workers are functions here that have been taken over by
 * a guest, and write to the state what they like
 */
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../sandbox.h"
#include "../state.h"
#include "tap.h"

static struct state *st;
static char dir[64], socket_path[128], victim[128];

/* The workers, each of which begins where the one before it has died */
static void (*const *workers)(void);

void sandbox_prepare(void)
{
}

int worker_run(struct state *state)
{
	atomic_store(&state->early, 0);
	workers[atomic_load(&state->restarts)]();
	return -1;
}

static void die(void)
{
	kill(getpid(), SIGUSR1);
}

/* The last one of each test */
static void end(void)
{
	kill(getppid(), SIGTERM);
	pause();
}

static void make_state(void)
{
	size_t size = offsetof(struct state, fabric) +
		      fabric_state_size(FABRIC_MAX_PORTS, 1);
	static sigset_t set;

	st = mmap(NULL, size, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(st != MAP_FAILED);
	fabric_state_init(&st->fabric, 1, 4096);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	st->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	st->nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	st->want_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static void touch(const char *path)
{
	FILE *f = fopen(path, "w");

	CHECK(f && !fclose(f));
}

/* A fabric of one port until the last of the workers; its socket is gone then */
static void run(void (*const *them)(void))
{
	static const uint8_t gid[FABRIC_GID_LEN] = { 1 };
	pid_t pid;
	int status;

	workers = them;
	strcpy(dir, "/tmp/dibs-test.XXXXXX");
	CHECK(mkdtemp(dir));
	snprintf(socket_path, sizeof(socket_path), "%s/p.sock", dir);
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	make_state();
	touch(socket_path);
	touch(victim);
	/* what a holder remembers is not to be that of the next */
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(state_add_port(st, "p", socket_path, -1, gid) || holder_run(st, dir));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK(access(socket_path, F_OK));
	CHECK(!access(victim, F_OK));
	CHECK(!unlink(victim));
	CHECK(!rmdir(dir));
}

/* ------------------------------ who is to blame ------------------------------ */

static void last_of_all_ports(void)
{
	atomic_store(&st->serving, UINT64_MAX);
	die();
}

static void first_that_is_not(void)
{
	atomic_store(&st->serving, 2ull << 48);
	die();
}

/* A port that there is not; and none of the others is blamed for it */
static void ports_blamed(void)
{
	static void (*const them[])(void) = {
		last_of_all_ports, first_that_is_not, first_that_is_not, end,
	};

	run(them);
	CHECK_EQ(atomic_load(&st->restarts), 3);
	CHECK_EQ(atomic_load(&st->ports[0].deaths), 0);
	CHECK_EQ(atomic_load(&st->ports[1].deaths), 0);
	CHECK_EQ(atomic_load(&st->ports[1].poison), 0);
}

/* --------------------------- what is added, and removed --------------------------- */

static void want(const char *name)
{
	static const uint64_t one = 1;
	int i;

	memset(st->want_name, 'x', sizeof(st->want_name));
	if (name)
		strcpy(st->want_name, name);
	atomic_store(&st->want_port, 1);
	if (write(st->want_fd, &one, sizeof(one)) < 0)
		return;
	for (i = 0; i < 10000 && atomic_load(&st->want_port); i++)
		usleep(1000);
}

static void adds_too_many(void)
{
	atomic_store(&st->fabric.nr_ports, FABRIC_MAX_PORTS + 5);
	want("many");
	atomic_store(&st->fabric.nr_ports, UINT32_MAX);
	want("more");
	end();
}

/* What there is room for is what the holder knows of: anything else is out of bounds */
static void ports_added(void)
{
	static void (*const them[])(void) = { adds_too_many };

	run(them);
}

static void adds_elsewhere(void)
{
	want("../victim");
	want("a/b");
	want(NULL);
	end();
}

static void names_wanted(void)
{
	static void (*const them[])(void) = { adds_elsewhere };

	/* the name without an end is one that ends where there is no more room for it */
	run(them);
	CHECK_EQ(atomic_load(&st->fabric.nr_ports), 2);
	CHECK_EQ(strlen(st->ports[1].name), PORT_NAME_MAX - 1);
}

static void renames(void)
{
	strcpy(st->ports[0].path, victim);
	atomic_store(&st->fabric.nr_ports, FABRIC_MAX_PORTS + 5);
	end();
}

static void paths_unlinked(void)
{
	static void (*const them[])(void) = { renames };

	run(them);
}

static const struct tap_test tests[] = {
	{ "ports_blamed", ports_blamed },
	{ "ports_added", ports_added },
	{ "names_wanted", names_wanted },
	{ "paths_unlinked", paths_unlinked },
};

TAP_MAIN(tests)
