// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests of the console over dibs do with terminals.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 4096

static int die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void make_raw(int fd, const char *path)
{
	struct termios tio;

	if (fd < 0 || tcgetattr(fd, &tio))
		die(path);
	cfmakeraw(&tio);
	tio.c_cflag |= CLOCAL | CREAD;
	if (tcsetattr(fd, TCSANOW, &tio))
		die(path);
}

static int open_raw(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);

	make_raw(fd, path);
	return fd;
}

static int open_blocking(const char *path)
{
	int fd = open_raw(path);

	if (fcntl(fd, F_SETFL, 0))
		die("fcntl");
	return fd;
}

/* Waits for the other end: a console keeps only the end of what is written before */
static int open_carrier(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY);

	make_raw(fd, path);
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		die(path);
	return fd;
}

/* One direction: bytes that can be made again, of all values */
struct flow {
	const char *name;
	int from, to;
	uint64_t sent, got, total;
	uint64_t out, in;
};

static uint8_t next_byte(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 32;
}

static int flow_send(struct flow *f)
{
	uint8_t buf[CHUNK];
	uint64_t state = f->out;
	size_t i, len = f->total - f->sent < CHUNK ? f->total - f->sent : CHUNK;
	ssize_t n;

	for (i = 0; i < len; i++)
		buf[i] = next_byte(&state);
	n = write(f->from, buf, len);
	if (n < 0)
		return errno == EAGAIN ? 0 : die("write");
	for (i = 0; i < (size_t)n; i++)
		next_byte(&f->out);
	f->sent += n;
	return n;
}

static int flow_receive(struct flow *f)
{
	uint8_t buf[CHUNK];
	ssize_t i, n = read(f->to, buf, sizeof(buf));

	if (n < 0)
		return errno == EAGAIN ? 0 : die("read");
	for (i = 0; i < n; i++, f->got++) {
		if (f->got == f->total || buf[i] != next_byte(&f->in)) {
			printf("%s: byte %llu is wrong\n", f->name,
			       (unsigned long long)f->got);
			exit(1);
		}
	}
	return n;
}

/* duplex CON TERM BYTES [PAUSE]: BYTES each way at the same time; pauses in us */
static int duplex(char **arg, int args)
{
	int b = open_raw(arg[1]), a = open_carrier(arg[0]);
	uint64_t total = strtoull(arg[2], NULL, 0);
	useconds_t pause = args > 3 ? strtoul(arg[3], NULL, 0) : 0;
	struct flow flows[] = {
		{ "forth", a, b, 0, 0, total, 1, 1 },
		{ "back", b, a, 0, 0, total, 2, 2 },
	};
	struct pollfd fds[2] = { { .fd = a }, { .fd = b } };
	int moved, i;

	while (flows[0].got < total || flows[1].got < total) {
		for (i = 0; i < 2; i++)
			fds[i].events = POLLIN |
				(flows[i].sent < total ? POLLOUT : 0);
		if (poll(fds, 2, 60000) <= 0) {
			printf("stuck: %llu and %llu of %llu\n",
			       (unsigned long long)flows[0].got,
			       (unsigned long long)flows[1].got,
			       (unsigned long long)total);
			return 1;
		}
		for (i = moved = 0; i < 2; i++) {
			if (flows[i].sent < total)
				moved += flow_send(&flows[i]);
			moved += flow_receive(&flows[i]);
		}
		if (pause)
			usleep(pause);
		else if (!moved)
			usleep(200);
	}
	return 0;
}

static int copy_input(int fd)
{
	char buf[CHUNK], *p;
	ssize_t n, m;

	while ((n = read(0, buf, sizeof(buf))) > 0)
		for (p = buf; n; p += m, n -= m) {
			m = write(fd, p, n);
			if (m < 0)
				die("write");
		}
	return tcdrain(fd) ? die("drain") : 0;
}

/* send DEV: what is on standard input, as it is */
static int send_input(char **arg)
{
	return copy_input(open_blocking(arg[0]));
}

/* print DEV: the same, with lines that end as a terminal needs it */
static int print_input(char **arg)
{
	int fd = open_blocking(arg[0]);
	struct termios tio;

	if (tcgetattr(fd, &tio))
		die(arg[0]);
	tio.c_oflag |= OPOST | ONLCR;
	if (tcsetattr(fd, TCSANOW, &tio))
		die("tcsetattr");
	return copy_input(fd);
}

/* echo DEV: byte by byte, until it is a q */
static int echo(char **arg)
{
	int fd = open_blocking(arg[0]);
	char c = 0;

	while (c != 'q')
		if (read(fd, &c, 1) != 1 || write(fd, &c, 1) != 1)
			die("echo");
	return tcdrain(fd) ? die("drain") : 0;
}

/* Nobody may be there yet, who then answers several times. The other guest may have to
 * end something first that takes it half a minute.
 */
static void wait_for_echo(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int tries = 900, got = 0;
	char c = 'h';

	while (!got && tries--) {
		if (write(fd, &c, 1) != 1)
			die("write");
		got = poll(&pfd, 1, 200);
	}
	if (!got) {
		errno = ETIMEDOUT;
		die("echo");
	}
	while (poll(&pfd, 1, 500) > 0)
		if (read(fd, &c, 1) != 1)
			die("read");
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* type DEV COUNT: us until a byte is echoed, median of so many; the last one is a q */
static int type(char **arg)
{
	int fd = open_blocking(arg[0]), count = strtol(arg[1], NULL, 0), i;
	double *us = calloc(count, sizeof(*us));
	char c;

	if (!us)
		die("type");
	wait_for_echo(fd);
	for (i = 0; i < count; i++) {
		char typed = i + 1 < count ? 'x' : 'q';

		us[i] = -now_us();
		if (write(fd, &typed, 1) != 1 || read(fd, &c, 1) != 1)
			die("type");
		us[i] += now_us();
		if (c != typed) {
			printf("%c was typed, the echo is %c\n", typed, c);
			return 1;
		}
	}
	qsort(us, count, sizeof(*us), compare);
	printf("%.1f\n", us[count / 2]);
	free(us);
	return 0;
}

/* receive DEV QUIET: until nothing has come for QUIET ms, or it hangs up */
static int receive(char **arg)
{
	struct pollfd pfd = { .fd = open_raw(arg[0]), .events = POLLIN };
	int quiet = strtol(arg[1], NULL, 0);
	char buf[CHUNK];
	ssize_t n;

	while (poll(&pfd, 1, quiet) > 0) {
		n = read(pfd.fd, buf, sizeof(buf));
		if (n <= 0)
			break;
		if (write(1, buf, n) != n)
			die("stdout");
	}
	return 0;
}

/* break DEV: and whatever is on standard input */
static int send_break(char **arg)
{
	int fd = open_raw(arg[0]);
	char c;

	if (tcsendbreak(fd, 0))
		die("break");
	while (read(0, &c, 1) == 1)
		if (write(fd, &c, 1) != 1)
			die("write");
	return tcdrain(fd) ? die("drain") : 0;
}

/* hangup DEV: says when it is open, and waits until it is hung up */
static int wait_hangup(char **arg)
{
	int fd = open(arg[0], O_RDWR | O_NOCTTY);
	struct termios tio;
	char c;

	if (fd < 0 || tcgetattr(fd, &tio))
		die(arg[0]);
	tio.c_cflag &= ~CLOCAL;
	tio.c_cflag |= HUPCL;
	if (tcsetattr(fd, TCSANOW, &tio))
		die("tcsetattr");
	puts("open");
	fflush(stdout);
	while (read(fd, &c, 1) > 0)
		;
	puts("hung up");
	return 0;
}

/* marks DEV MS: bytes as they come, with breaks as PARMRK shows them, in hex */
static int marks(char **arg)
{
	struct pollfd pfd = { .fd = open_raw(arg[0]), .events = POLLIN };
	struct termios tio;
	unsigned char c;

	tcgetattr(pfd.fd, &tio);
	tio.c_iflag |= PARMRK;
	tio.c_iflag &= ~(IGNBRK | BRKINT);
	if (tcsetattr(pfd.fd, TCSANOW, &tio))
		die("tcsetattr");
	while (poll(&pfd, 1, strtol(arg[1], NULL, 0)) > 0 &&
	       read(pfd.fd, &c, 1) == 1)
		printf("%02x", c);
	puts("");
	return 0;
}

/* uevents NAME MS: states of a tty that are told of, until there is no more */
static int uevents(char **arg)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	struct pollfd pfd = { .events = POLLIN };
	char buf[CHUNK + 1], *p;
	ssize_t n;

	pfd.fd = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT);
	if (pfd.fd < 0 || bind(pfd.fd, (void *)&addr, sizeof(addr)))
		die("netlink");
	while (poll(&pfd, 1, strtol(arg[1], NULL, 0)) > 0) {
		n = recv(pfd.fd, buf, CHUNK, 0);
		if (n < 0)
			die("recv");
		buf[n] = '\0';
		if (!strstr(buf, arg[0]))
			continue;
		for (p = buf; p < buf + n; p += strlen(p) + 1)
			if (!strncmp(p, "STATE=", 6))
				puts(p + 6);
	}
	return 0;
}

int main(int argc, char **argv)
{
	char *what = argc > 2 ? argv[1] : "";

	if (!strcmp(what, "duplex") && argc > 4)
		return duplex(argv + 2, argc - 2);
	if (!strcmp(what, "send"))
		return send_input(argv + 2);
	if (!strcmp(what, "print"))
		return print_input(argv + 2);
	if (!strcmp(what, "echo"))
		return echo(argv + 2);
	if (!strcmp(what, "type") && argc > 3)
		return type(argv + 2);
	if (!strcmp(what, "receive") && argc > 3)
		return receive(argv + 2);
	if (!strcmp(what, "break"))
		return send_break(argv + 2);
	if (!strcmp(what, "hangup"))
		return wait_hangup(argv + 2);
	if (!strcmp(what, "marks") && argc > 3)
		return marks(argv + 2);
	if (!strcmp(what, "uevents") && argc > 3)
		return uevents(argv + 2);
	fprintf(stderr, "usage: %s duplex CON TERM BYTES [PAUSE] | send DEV | print DEV |\n"
		"\techo DEV | type DEV COUNT | receive DEV QUIET | break DEV |\n"
		"\thangup DEV | marks DEV MS | uevents NAME MS\n",
		argv[0]);
	return 2;
}
