// SPDX-License-Identifier: GPL-2.0
/*
 * Runs something that works again and again, and lets another one of the
 * allocations on its way fail each time, until none is left: it may then fail
 * or not, but has to clean up after itself and work the next time.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "smc_util.h"

#define CFG		"/sys/kernel/config/dibs_loopback/"
#define MAX_TASKS	256
#define BYTES		3000
#define HUNG_SECONDS	60
/* a worker may have had something else to do: believe it the third time */
#define MISSES		3

static const char usage[] =
"usage: dibs_fail [-m MAX] insmod FILE        load and unload a module\n"
"       dibs_fail [-m MAX] live NAME          add and remove a loopback device\n"
"       dibs_fail [-m MAX] connect [NAME]     an SMC connection, the client's side\n"
"       dibs_fail [-m MAX] accept [NAME]      the same, the server's side\n"
" With NAME, that loopback device is a new one for each connection.\n"
" Prints the number of points that failed; with -m, goes no further than MAX.\n";

static const char *what;
static int point;
static int kmsg;

static int put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, value, strlen(value));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

/****************************** the kernel's log *****************************/

static bool contains(const char *text, const char * const *words)
{
	for (; *words; words++)
		if (strstr(text, *words))
			return true;
	return false;
}

/* A failed allocation may be reported, a stack is part of some reports. What
 * else the kernel complains about counts.
 */
static bool log_bad(void)
{
	static const char * const bad[] = {
		"BUG:", "WARNING:", "KASAN", "UBSAN", "INFO: possible",
		"INFO: task", "general protection", "refcount_t",
		"Unable to handle", "ODEBUG", NULL
	};
	static const char * const expected[] = {
		"failed with error", "allocation failed",
		"page allocation failure", "failed for ", NULL
	};
	char rec[2048];
	bool found = false;
	int allowed = 0;
	ssize_t n;

	for (;;) {
		n = read(kmsg, rec, sizeof(rec) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		rec[n] = 0;
		if (contains(rec, expected))
			allowed = 12;
		else if (allowed)
			allowed--;
		if (contains(rec, bad) ||
		    (!allowed && strstr(rec, "Call Trace"))) {
			printf("# log: %s", rec);
			found = true;
		}
	}
	return found;
}

/******************************* fail-nth ************************************/

struct victims {
	int fd[MAX_TASKS];
	int count;
};

static void add_victim(struct victims *v, const char *pid)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/fail-nth", pid);
	fd = v->count < MAX_TASKS ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd >= 0)
		v->fd[v->count++] = fd;
}

/* The handshake of a server runs in a worker, one does not know in which */
static void find_workers(struct victims *v)
{
	char path[300], comm[16] = "";
	struct dirent *d;
	DIR *dir;
	int fd;

	dir = opendir("/proc");
	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] < '0' || d->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		if (read(fd, comm, sizeof(comm)) > 8 &&
		    !strncmp(comm, "kworker/", 8))
			add_victim(v, d->d_name);
		close(fd);
	}
	if (dir)
		closedir(dir);
}

static void arm(struct victims *v, int nth)
{
	char text[16];
	int i, len;

	len = snprintf(text, sizeof(text), "%d", nth);
	for (i = 0; i < v->count; i++)
		if (pwrite(v->fd[i], text, len, 0) != len)
			continue; /* a worker that has left */
}

/* Has it happened? */
static bool disarm(struct victims *v)
{
	bool fired = false;
	char text[16];
	ssize_t n;
	int i;

	for (i = 0; i < v->count; i++) {
		n = pread(v->fd[i], text, sizeof(text), 0);
		if (n > 0 && text[0] == '0')
			fired = true;
		if (pwrite(v->fd[i], "0", 1, 0) != 1)
			continue;
		close(v->fd[i]);
	}
	v->count = 0;
	return fired;
}

/******************************* what is run *********************************/

static int run_insmod(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -errno;
	rc = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return rc;
}

static int undo_insmod(const char *file)
{
	const char *slash = strrchr(file, '/');
	char name[64], *c;

	snprintf(name, sizeof(name), "%s", slash ? slash + 1 : file);
	c = strchr(name, '.');
	if (c)
		*c = 0;
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

static int put_live(const char *name, const char *value)
{
	char path[200];

	snprintf(path, sizeof(path), CFG "%s/live", name);
	return put(path, value);
}

static int run_live(const char *name)
{
	return put_live(name, "1");
}

static int undo_live(const char *name)
{
	return put_live(name, "0");
}

static void __attribute__((noreturn)) differs(const int fd[2], int sender,
					      const char *out, const char *in)
{
	int i, at = 0;

	while (out[at] == in[at])
		at++;
	printf("# %s, point %d: wrong data from the %s at byte %d:", what,
	       point, sender ? "server" : "client", at);
	for (i = at; i < at + 16 && i < BYTES; i++)
		printf(" %02x", (unsigned char)in[i]);
	printf("\n# SMC-D: client %d, server %d\n", is_smcd(fd[0]),
	       is_smcd(fd[1]));
	exit(1);
}

/* A connection, over SMC-D or fallen back to TCP, carries its data, or there is
 * none
 */
static int run_connect(const char *name)
{
	static char out[BYTES], in[BYTES];
	struct pattern p;
	int fd[2], i, rc;

	(void)name;
	rc = pair_open("smc", 0, fd);
	if (rc)
		return rc;
	pattern_init(&p, 1);
	pattern_fill(&p, out, BYTES);
	for (i = 0; i < 2; i++) {
		limit_wait(fd[!i], HUNG_SECONDS / 4);
		rc = send_all(fd[i], out, BYTES);
		if (rc)
			break;
		rc = recv_all(fd[!i], in, BYTES);
		if (rc != BYTES) {
			rc = rc < 0 ? rc : -ECONNRESET;
			break;
		}
		rc = 0;
		if (memcmp(in, out, BYTES))
			differs(fd, i, out, in);
	}
	close(fd[0]);
	close(fd[1]);
	return rc;
}

static int undo_connect(const char *name)
{
	if (!name)
		return 0;
	return put_live(name, "0") | put_live(name, "1");
}

struct sequence {
	const char *name;
	int (*run)(const char *arg);
	int (*undo)(const char *arg);
	bool undo_always;
	bool workers;
};

static const struct sequence sequences[] = {
	{ "insmod", run_insmod, undo_insmod, false, false },
	{ "live", run_live, undo_live, false, false },
	{ "connect", run_connect, undo_connect, true, false },
	{ "accept", run_connect, undo_connect, true, true },
};

static void on_alarm(int sig)
{
	static const char text[] = "# it hangs\n";

	(void)sig;
	if (write(1, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

/* One point: true if there was one */
static bool one(const struct sequence *seq, const char *arg, int nth, int *rc)
{
	struct victims v = {};
	bool fired;

	point = nth;
	alarm(HUNG_SECONDS);
	if (seq->workers)
		find_workers(&v);
	else
		add_victim(&v, "self");
	arm(&v, nth);
	*rc = seq->run(arg);
	fired = disarm(&v);
	alarm(0);
	return fired;
}

static int check_one(const struct sequence *seq, const char *arg, int nth,
		     int rc)
{
	int undo;

	if (!rc || seq->undo_always) {
		undo = seq->undo(arg);
		if (undo) {
			printf("# %s, point %d: not undone: %s\n", what, nth,
			       strerror(-undo));
			return -1;
		}
	}
	if (log_bad()) {
		printf("# %s, point %d: see the log\n", what, nth);
		return -1;
	}
	return 0;
}

static int sweep(const struct sequence *seq, const char *arg, int max)
{
	int nth, rc, points = 0, failed = 0, misses = 0;
	int enough = seq->workers ? MISSES : 1;

	/* what happens once only is not counted */
	rc = seq->run(arg);
	if (rc || check_one(seq, arg, 0, rc)) {
		printf("# %s does not work: %s\n", what, strerror(-rc));
		return 1;
	}
	for (nth = 1; misses < enough && (!max || nth <= max); nth++) {
		if (one(seq, arg, nth, &rc)) {
			points++;
			misses = 0;
		} else {
			misses++;
		}
		failed += !!rc;
		if (check_one(seq, arg, nth, rc))
			return 1;
		if (misses && rc) {
			printf("# %s failed with no fault: %s\n", what,
			       strerror(-rc));
			return 1;
		}
	}
	rc = seq->run(arg);
	printf("%s: %d allocations failed once each%s, %d of them made it fail\n",
	       what, points, misses < enough ? " (not all)" : "", failed);
	return rc || check_one(seq, arg, nth, rc) || !points;
}

int main(int argc, char **argv)
{
	const char *arg = NULL;
	int max = 0, opt;
	size_t i;

	while ((opt = getopt(argc, argv, "m:")) != -1) {
		if (opt != 'm')
			goto out_usage;
		max = atoi(optarg);
	}
	if (optind >= argc)
		goto out_usage;
	what = argv[optind];
	if (optind + 1 < argc)
		arg = argv[optind + 1];
	if (access("/proc/self/fail-nth", W_OK)) {
		printf("# no fault injection in this kernel\n");
		return 4;
	}
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0) {
		perror("/dev/kmsg");
		return 1;
	}
	signal(SIGALRM, on_alarm);
	for (i = 0; i < sizeof(sequences) / sizeof(*sequences); i++)
		if (!strcmp(what, sequences[i].name))
			return sweep(&sequences[i], arg, max);
out_usage:
	fputs(usage, stderr);
	return 2;
}
