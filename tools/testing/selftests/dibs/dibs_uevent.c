// SPDX-License-Identifier: GPL-2.0
/*
 * dibs_uevent NAME ATTRIBUTE...: adds and removes a loopback device NAME, and
 * looks at the attributes at the moment at which the kernel announces it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/netlink.h>

#define CFG	"/sys/kernel/config/dibs_loopback/"

static int put(const char *name, const char *value)
{
	char path[200];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), CFG "%s/live", name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	n = write(fd, value, 1);
	close(fd);
	return n == 1 ? 0 : -1;
}

static int look(const char *name, const char *attr)
{
	char path[200], value[100];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/dibs/%s/%s", name, attr);
	fd = open(path, O_RDONLY);
	if (fd >= 0) {
		n = read(fd, value, sizeof(value));
		close(fd);
	}
	if (n > 0)
		return 0;
	printf("%s: %s\n", path, strerror(errno));
	return 1;
}

/* Waits for ACTION@...NAME */
static int await(int sock, const char *action, const char *name)
{
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	char msg[4096], want[64];
	const char *slash;
	ssize_t n;

	snprintf(want, sizeof(want), "%s@/devices/virtual/dibs/", action);
	while (poll(&pfd, 1, 5000) == 1) {
		n = recv(sock, msg, sizeof(msg) - 1, 0);
		if (n <= 0)
			break;
		msg[n] = 0;
		slash = strrchr(msg, '/');
		if (!strncmp(msg, want, strlen(want)) && slash &&
		    !strcmp(slash + 1, name))
			return 0;
	}
	printf("no uevent %s of %s\n", action, name);
	return 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int sock, i, bad = 0;
	char dir[200];
	pid_t child;

	if (argc < 3)
		return 2;
	sock = socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT);
	if (sock < 0 || bind(sock, (struct sockaddr *)&addr, sizeof(addr))) {
		perror("uevents");
		return 4;
	}
	snprintf(dir, sizeof(dir), CFG "%s", argv[1]);
	if (mkdir(dir, 0755)) {
		perror(dir);
		return 1;
	}
	child = fork();
	if (!child)
		_exit(put(argv[1], "1") ? 1 : 0);
	bad = await(sock, "add", argv[1]);
	for (i = 2; i < argc && !bad; i++)
		bad = look(argv[1], argv[i]);
	waitpid(child, &i, 0);
	bad |= i | put(argv[1], "0") | await(sock, "remove", argv[1]);
	rmdir(dir);
	return bad ? 1 : 0;
}
