// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets that systemd passes, sd_listen_fds(3): this test is systemd, which has them
 * before there is a daemon and when it has ended
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest.h"
#include "tap.h"

#define FIRST_FD	3
#define HIGH_FD		100
#define NR_SOCKETS	3

static int fds[NR_SOCKETS];
static int nr_fds;
static char names[64], count[32], who[16], dir[64];

static struct sockaddr_un address(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", dir, name);
	return sa;
}

static void make_socket(const char *name, int type)
{
	struct sockaddr_un sa = address(name);
	int fd = socket(AF_UNIX, type, 0);

	CHECK(!bind(fd, (struct sockaddr *)&sa, sizeof(sa)));
	fds[nr_fds++] = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	close(fd);
}

static void make_listener(const char *name)
{
	make_socket(name, SOCK_STREAM);
	CHECK(!listen(fds[nr_fds - 1], 8));
}

static void begin(void)
{
	strcpy(dir, daemon_make_dir());
	nr_fds = 0;
	*who = *names = '\0';
}

static void close_all(void)
{
	while (nr_fds)
		close(fds[--nr_fds]);
}

/* In the process that becomes the daemon */
static void pass(void)
{
	int i;

	for (i = 0; i < nr_fds; i++)
		dup2(fds[i], FIRST_FD + i);
	if (!*who)
		snprintf(who, sizeof(who), "%d", getpid());
	setenv("LISTEN_PID", who, 1);
	setenv("LISTEN_FDS", count, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

/* A daemon for the sockets that there are, with an option or two more */
static void start(const char *option, const char *value)
{
	const char *const options[] = { "--fabric-id", "0xff01", option, value, NULL };

	snprintf(count, sizeof(count), "%d", nr_fds);
	daemon_spawn(options, pass);
}

static void expect_refused(void)
{
	start(NULL, NULL);
	CHECK(daemon_failed());
	close_all();
}

static int nr_ports(void)
{
	int n = 0;

	while (status_number("connected", n) >= 0)
		n++;
	return n;
}

static void expect_socket(const char *name)
{
	struct sockaddr_un sa = address(name);
	struct stat st;

	CHECK(!stat(sa.sun_path, &st) && S_ISSOCK(st.st_mode));
}

/* One guest writes into a DMB of the other */
static void expect_works(struct guest *a, struct guest *b)
{
	uint64_t token;

	CHECK_EQ(g_register(b, 1, a->gid, G_DMBS, 4096, &token), 0);
	CHECK_EQ(g_move(a, VIRTIO_DIBS_VQ_MOVE, token, 5, "move", 4, -1), 0);
	CHECK(!memcmp(b->mem + G_DMBS + 5, "move", 4));
}

/* The first guest connects before there is a daemon, as when a socket starts one */
static void ports_of_sockets(void)
{
	struct guest a, b;
	int turn;

	begin();
	make_listener("p0.sock");
	make_listener("control");
	make_listener("p1.sock");
	strcpy(names, "dibs:control:dibs");
	for (turn = 0; turn < 2; turn++) {
		g_connect(&a, 0);
		start(NULL, NULL);
		g_begin(&a);
		g_open(&b, 1);
		expect_works(&a, &b);
		CHECK_EQ(nr_ports(), 2);
		g_close(&a);
		g_close(&b);
		daemon_end();
		/* they are systemd's, and serve the next one */
		expect_socket("p0.sock");
		expect_socket("p1.sock");
		expect_socket("control");
	}
	start(NULL, NULL);
	free(daemon_status());
	close_all();
	daemon_stop();
}

/* An option says more about a socket that is passed, and is no second one */
static void ports_of_options(void)
{
	static const uint8_t gid[16] = {
		0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
		0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8,
	};
	char option[160], control[128];
	struct guest a;
	char *status;

	begin();
	make_listener("p0.sock");
	make_listener("control");
	snprintf(option, sizeof(option),
		 "--port=%s/p0.sock,name=web,gid=6ba7b810-9dad-11d1-80b4-00c04fd430c8", dir);
	snprintf(control, sizeof(control), "--control=%s/control", dir);
	start(option, control);
	g_open(&a, 0);
	CHECK(!memcmp(a.gid, gid, sizeof(gid)));
	CHECK_EQ(nr_ports(), 1);
	status = daemon_status();
	CHECK(strstr(status, "\"web\""));
	free(status);
	g_close(&a);
	close_all();
	daemon_stop();
}

/* A function takes the socket for its blocks with it, whatever the order */
static void functions(void)
{
	const char *const options[] = { "--fabric-id=0x07c1", "--device=ism", NULL };

	begin();
	make_listener("p0.sock.blk");
	make_listener("p0.sock");
	make_listener("control");
	strcpy(names, "::control");
	strcpy(count, "3");
	daemon_spawn(options, pass);
	CHECK_EQ(nr_ports(), 1);
	close_all();
	daemon_end();
	expect_socket("p0.sock.blk");
}

static void refused(void)
{
	begin();
	make_socket("p0.sock", SOCK_STREAM);
	expect_refused();
	begin();
	make_socket("p0.sock", SOCK_DGRAM);
	expect_refused();
	begin();
	fds[nr_fds++] = open("/dev/null", O_RDWR);
	expect_refused();
	/* no path */
	begin();
	fds[nr_fds++] = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!bind(fds[0], &(struct sockaddr){ .sa_family = AF_UNIX }, sizeof(sa_family_t)));
	CHECK(!listen(fds[0], 8));
	expect_refused();
	/* for somebody else */
	begin();
	make_listener("p0.sock");
	strcpy(who, "1");
	expect_refused();
}

/* One that is called so is not a port because control is elsewhere */
static void second_control(void)
{
	char path[80];

	begin();
	make_listener("p0.sock");
	make_listener("passed");
	strcpy(names, "dibs:control");
	snprintf(path, sizeof(path), "%s/control", dir);
	start("--control", path);
	CHECK(daemon_failed());
	close_all();
	begin();
	make_listener("p0.sock");
	make_listener("control");
	make_listener("control2");
	strcpy(names, "dibs:control:control");
	start(NULL, NULL);
	CHECK(daemon_failed());
	close_all();
	/* the same one twice is one */
	begin();
	make_listener("p0.sock");
	make_listener("control");
	strcpy(names, "dibs:control");
	snprintf(path, sizeof(path), "%s/control", dir);
	start("--control", path);
	CHECK_EQ(nr_ports(), 1);
	close_all();
	daemon_stop();
}

static void counts_refused(void)
{
	static const char *const bad[] = { "-1", "1026", "2147483648", "99999999999999999999" };
	const char *const options[] = { "--fabric-id=0xff01", NULL };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin();
		strcpy(count, bad[i]);
		daemon_spawn(options, pass);
		CHECK(daemon_failed());
	}
}

/* A daemon that nothing is passed to, in the directory of the last one */
static void start_alone(void)
{
	char control[80];
	const char *const options[] = {
		"--fabric-id=0xff01", "--socket-dir", dir, "--control", control, NULL,
	};

	snprintf(control, sizeof(control), "%s/control", dir);
	strcpy(count, "0");
	daemon_spawn(options, pass);
	free(daemon_status());
}

/* Does somebody listen there? */
static bool listens(const char *name)
{
	struct sockaddr_un sa = address(name);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool yes = !connect(fd, (struct sockaddr *)&sa, sizeof(sa));

	close(fd);
	return yes;
}

/* What is asked for comes a little later, or not; until then nothing else can be asked for */
static void add(const char *name)
{
	char line[32], *answer;
	bool taken = false;
	int i;

	snprintf(line, sizeof(line), "add %s\n", name);
	for (i = 0; i < 1000 && !taken; i++) {
		answer = daemon_command(line);
		taken = !strcmp(answer, "{}");
		free(answer);
		usleep(1000);
	}
	CHECK(taken);
}

static void expect_ports(int n)
{
	int i;

	for (i = 0; i < 1000 && nr_ports() != n; i++)
		usleep(1000);
	CHECK_EQ(nr_ports(), n);
}

/* What a daemon that was killed has left is not in the way of the next one */
static void left_behind(void)
{
	struct guest g;
	int i;

	begin();
	start_alone();
	add("late");
	expect_ports(1);
	daemon_kill();
	/* its worker dies of it */
	for (i = 0; i < 1000 && listens("late.sock"); i++)
		usleep(10000);
	expect_socket("late.sock");
	start_alone();
	add("late");
	expect_ports(1);
	g_connect_path(&g, address("late.sock").sun_path);
	g_begin(&g);
	/* twice is once too often, and so is what is somebody else's */
	add("late");
	make_listener("other.sock");
	add("other");
	CHECK(!close(open(address("file.sock").sun_path, O_CREAT | O_WRONLY, 0600)));
	add("file");
	add("last");
	for (i = 0; i < 1000 && !listens("last.sock"); i++)
		usleep(1000);
	expect_ports(2);
	CHECK_EQ(g_query(&g, g.gid), 0);
	g_close(&g);
	close_all();
	daemon_stop();
}

static const struct tap_test tests[] = {
	{ "ports_of_sockets", ports_of_sockets },
	{ "ports_of_options", ports_of_options },
	{ "functions", functions },
	{ "sockets_refused", refused },
	{ "second_control", second_control },
	{ "counts_refused", counts_refused },
	{ "left_behind", left_behind },
};

TAP_MAIN(tests)
