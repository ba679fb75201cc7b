// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: sockets that are listening, made here or passed in by systemd
 *
 * Those that are passed are known by their paths. The protocol is that of
 * sd_listen_fds(3): descriptors from 3 on, as many as LISTEN_FDS says, whose names are in
 * LISTEN_FDNAMES, for the process LISTEN_PID.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fabric.h"
#include "sockets.h"

#define FIRST_FD	3

/* A function of an ISM fabric has two sockets for its two ports; one is for control */
#define MAX_PASSED	(FABRIC_MAX_PORTS + 1)

/**
 * struct passed - a socket from systemd
 * @path: where it listens
 * @name: which systemd gives it
 * @taken: somebody has asked for it
 */
struct passed {
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	char name[32];
	bool taken;
};

static struct passed passed[MAX_PASSED];
static int nr_passed;

static bool has_option(int fd, int option, int want)
{
	socklen_t len = sizeof(int);
	int value;

	return !getsockopt(fd, SOL_SOCKET, option, &value, &len) && value == want;
}

/* Is it what listen_at() would make? */
static bool receive(int fd, struct passed *p)
{
	struct sockaddr_un sa = { 0 };
	socklen_t len = sizeof(sa);

	if (!has_option(fd, SO_DOMAIN, AF_UNIX) || !has_option(fd, SO_TYPE, SOCK_STREAM) ||
	    !has_option(fd, SO_ACCEPTCONN, 1) ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) || !sa.sun_path[0])
		return false;
	memcpy(p->path, sa.sun_path, sizeof(sa.sun_path));
	return !fcntl(fd, F_SETFD, FD_CLOEXEC) && !fcntl(fd, F_SETFL, O_NONBLOCK);
}

/* The next of the names, which are separated by colons */
static void next_name(const char **names, char *name, size_t room)
{
	size_t len = strcspn(*names, ":");

	if (len < room)
		memcpy(name, *names, len);
	*names += len + ((*names)[len] == ':');
}

/* A number in the environment, 0 if there is none */
static long env_number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : 0;
}

const char *sockets_receive(void)
{
	const char *names = getenv("LISTEN_FDNAMES");
	long n = env_number("LISTEN_FDS");

	if (env_number("LISTEN_PID") != getpid())
		return NULL;
	if (n < 0 || n > MAX_PASSED)
		return "a number of sockets that is not allowed";
	if (!names)
		names = "";
	for (; nr_passed < n; nr_passed++) {
		struct passed *p = &passed[nr_passed];

		next_name(&names, p->name, sizeof(p->name));
		if (!receive(FIRST_FD + nr_passed, p))
			return "a socket that is not a listening Unix stream socket with a path";
	}
	return NULL;
}

static bool ends_in(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && !strcmp(text + len - end_len, end);
}

/* What takes one for blocks is the port that it belongs to: they come last */
const char *sockets_left(void)
{
	const char *last = NULL;
	int i;

	for (i = 0; i < nr_passed; i++) {
		if (passed[i].taken)
			continue;
		if (!ends_in(passed[i].path, ".blk"))
			return passed[i].path;
		last = passed[i].path;
	}
	return last;
}

int sockets_named(const char *name, const char **path)
{
	int i, n = 0;

	for (i = 0; i < nr_passed; i++)
		if (!strcmp(passed[i].name, name) && !n++)
			*path = passed[i].path;
	return n;
}

/* The number of the one with this path, or -1 */
static int find(const char *path)
{
	int i;

	for (i = 0; i < nr_passed; i++)
		if (!strcmp(passed[i].path, path))
			return i;
	return -1;
}

static int make(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (unlink(path) && errno != ENOENT)
		goto fail;
	if (!bind(fd, (struct sockaddr *)&sa, sizeof(sa)) && !listen(fd, 8))
		return fd;
fail:
	close(fd);
	return -1;
}

/*
 * Anything but a socket refuses connections as well; and where the queue of connections is
 * full there is somebody.
 */
bool socket_is_stale(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat sb;
	bool stale;
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path) || lstat(path, &sb) ||
	    !S_ISSOCK(sb.st_mode))
		return false;
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) && errno == ECONNREFUSED;
	close(fd);
	return stale;
}

int listen_at(const char *path)
{
	int nr = find(path);

	if (nr < 0)
		return make(path);
	if (passed[nr].taken) {
		errno = EADDRINUSE;
		return -1;
	}
	passed[nr].taken = true;
	return FIRST_FD + nr;
}

void unlisten_at(const char *path)
{
	if (find(path) < 0)
		unlink(path);
}
