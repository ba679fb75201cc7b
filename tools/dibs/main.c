// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: options, and what there has to be before work begins
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "log.h"
#include "sockets.h"
#include "state.h"
#include "uuid.h"

static const char usage[] =
"usage: dibs-fabric --fabric-id ID --port PATH[,gid=UUID][,name=NAME] ...\n"
"\n"
" --device KIND         what a port is: virtio-dibs (default), or ism\n"
" --fabric-id ID        number of the fabric, 0xff00 to 0xfffe, or with --device ism\n"
"                       that of its physical channel, 0x0001 to 0xfeff\n"
" --port PATH[,...]     a port with its socket at PATH; NAME is for people and, if\n"
"                       there is no gid, what the GID is made of (default: the last\n"
"                       part of PATH without .sock)\n"
" --socket-dir DIR      where ports are made that are added at run time\n"
" --control PATH        socket that answers 'status', 'add NAME' and\n"
"                       'inject NAME WHAT' with JSON\n"
" --max-dmbs N          DMBs a port can have (1 to 65536, default 65536; with\n"
"                       --device ism at most 1920, which is the default)\n"
" --max-bytes N         bytes that the DMBs of a port can have in total\n"
"                       (default 4294967296)\n"
" --print-capabilities  says as JSON what this program can do\n";

#define DEFAULT_MAX_BYTES	(4ull << 30)

/**
 * struct options - what was asked for
 * @device: one of &enum device
 * @fabric_id: number of the fabric, 0 if not given
 * @socket_dir: directory for ports that are added, or NULL
 * @control: path of the control socket, or NULL
 * @max_dmbs: per port, 0 if not given
 * @max_bytes: per port
 * @nr_ports: number of @port
 * @port: arguments of --port
 */
struct options {
	enum device device;
	uint16_t fabric_id;
	const char *socket_dir;
	const char *control;
	uint32_t max_dmbs;
	uint64_t max_bytes;
	uint32_t nr_ports;
	char *port[FABRIC_MAX_PORTS];
};

static void __attribute__((noreturn)) fail(const char *what, const char *why)
{
	log_event("dibs-fabric: %s: %s", what, why);
	exit(1);
}

/* --------------------------------- options --------------------------------- */

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || v < min || v > max)
		fail(text, "not a number in the range that is allowed");
	return v;
}

static void print_capabilities(void)
{
	puts("{\"type\": \"dibs-fabric\", \"protocols\": [\"vfio-user\"], "
	     "\"devices\": [\"virtio-dibs\", \"ism\"]}");
	exit(0);
}

static enum device device_of(const char *text)
{
	if (!strcmp(text, "ism"))
		return DEVICE_ISM;
	if (strcmp(text, "virtio-dibs"))
		fail(text, "not a kind of device");
	return DEVICE_VIRTIO_DIBS;
}

static void set_option(struct options *o, int opt)
{
	switch (opt) {
	case 'D':
		o->device = device_of(optarg);
		break;
	case 'f':
		o->fabric_id = number(optarg, 1, 0xfffe);
		break;
	case 'p':
		if (o->nr_ports == FABRIC_MAX_PORTS)
			fail(optarg, "too many ports");
		o->port[o->nr_ports++] = optarg;
		break;
	case 's':
		o->socket_dir = optarg;
		break;
	case 'c':
		o->control = optarg;
		break;
	case 'd':
		o->max_dmbs = number(optarg, 1, FABRIC_MAX_DMBS);
		break;
	case 'b':
		o->max_bytes = number(optarg, 1, UINT64_MAX);
		break;
	case 'C':
		print_capabilities();
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		fputs(usage, stderr);
		exit(1);
	}
}

/* One that is passed by this name is not to become a port */
static void find_control(struct options *o)
{
	const char *named = NULL;

	if (sockets_named("control", &named) > 1)
		fail("LISTEN_FDNAMES", "more than one control socket");
	if (!o->control)
		o->control = named;
	else if (named && strcmp(o->control, named))
		fail("--control", "another socket of this name was passed");
}

static void get_options(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'D' },
		{ "fabric-id", required_argument, NULL, 'f' },
		{ "port", required_argument, NULL, 'p' },
		{ "socket-dir", required_argument, NULL, 's' },
		{ "control", required_argument, NULL, 'c' },
		{ "max-dmbs", required_argument, NULL, 'd' },
		{ "max-bytes", required_argument, NULL, 'b' },
		{ "print-capabilities", no_argument, NULL, 'C' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint32_t max_dmbs;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		set_option(o, opt);
	if (optind < argc)
		fail(argv[optind], "unexpected argument");
	if (!o->fabric_id)
		fail("--fabric-id", "is missing");
	/* numbers from there on are those of emulated devices */
	if (o->device == DEVICE_ISM ? o->fabric_id >= 0xff00 : o->fabric_id < 0xff00)
		fail("--fabric-id", "not one of a fabric of such devices");
	max_dmbs = o->device == DEVICE_ISM ? ISM_NR_DMBS : FABRIC_MAX_DMBS;
	if (o->max_dmbs > max_dmbs)
		fail("--max-dmbs", "more than such a device can have");
	if (!o->max_dmbs)
		o->max_dmbs = max_dmbs;
	find_control(o);
}

/* ----------------------------------- ports ----------------------------------- */

/**
 * struct port_option - an argument of --port
 * @path: of the socket
 * @name: for people
 * @has_gid: there is one
 * @gid: GID
 */
struct port_option {
	const char *path;
	char name[PORT_NAME_MAX];
	bool has_gid;
	uint8_t gid[UUID_LEN];
};

static void default_name(struct port_option *p)
{
	const char *last = strrchr(p->path, '/');
	size_t len;

	last = last ? last + 1 : p->path;
	len = strlen(last);
	if (len > 5 && !strcmp(last + len - 5, ".sock"))
		len -= 5;
	snprintf(p->name, sizeof(p->name), "%.*s", (int)len, last);
}

/* Half of a GID of an ISM function is 0: there they have 64 bits */
static bool gid_ok(const struct options *o, const uint8_t *gid)
{
	static const uint8_t half[UUID_LEN / 2];

	return o->device != DEVICE_ISM || !memcmp(gid + sizeof(half), half, sizeof(half));
}

static void parse_port(const struct options *o, char *arg, struct port_option *p)
{
	char *part, *rest;

	p->has_gid = false;
	p->path = strtok_r(arg, ",", &rest);
	if (!p->path)
		fail("--port", "no path");
	default_name(p);
	while ((part = strtok_r(NULL, ",", &rest))) {
		if (!strncmp(part, "name=", 5) && part[5] &&
		    strlen(part + 5) < sizeof(p->name))
			strcpy(p->name, part + 5);
		else if (!strncmp(part, "gid=", 4) && uuid_parse(part + 4, p->gid) &&
			 gid_ok(o, p->gid))
			p->has_gid = true;
		else
			fail(part, "not an option of a port, or a bad value");
	}
}

static void add_port(struct state *st, struct port_option *p)
{
	int fd;

	if (!p->has_gid)
		state_default_gid(st, p->name, p->gid);
	fd = listen_at(p->path);
	if (fd < 0)
		fail(p->path, strerror(errno));
	if (state_add_port(st, p->name, p->path, fd, p->gid))
		fail(p->path, "this GID is nil or taken by another port, or no more ports");
}

/* Those that were asked for, and then those whose sockets were passed and are left */
static uint32_t add_ports(const struct options *o, struct state *st)
{
	struct port_option p;
	uint32_t n;

	for (n = 0; n < o->nr_ports; n++) {
		parse_port(o, o->port[n], &p);
		add_port(st, &p);
	}
	for (; (p.path = sockets_left()); n++) {
		p.has_gid = false;
		default_name(&p);
		add_port(st, &p);
	}
	return n;
}

/* ----------------------------------- start ----------------------------------- */

/* Room for all that there can be; what is not used takes no memory */
static struct state *make_state(const struct options *o)
{
	size_t size = offsetof(struct state, fabric) +
		      fabric_state_size(FABRIC_MAX_PORTS, o->max_dmbs);
	struct state *st = mmap(NULL, size, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (st == MAP_FAILED)
		fail("state", strerror(errno));
	st->size = size;
	st->fabric_id = o->fabric_id;
	st->device = o->device;
	fabric_state_init(&st->fabric, o->max_dmbs, o->max_bytes);
	if (o->device == DEVICE_ISM)
		st->fabric.token_mask = ISM_TOKEN_MASK;
	return st;
}

static int block_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void make_descriptors(const struct options *o, struct state *st)
{
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK))
		fail("pipe", strerror(errno));
	st->reply_pipe[0] = pipe_fds[0];
	st->reply_pipe[1] = pipe_fds[1];
	st->nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	st->want_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	st->signal_fd = block_signals();
	if (st->nudge_fd < 0 || st->want_fd < 0 || st->signal_fd < 0)
		fail("descriptors", strerror(errno));
	if (!o->control)
		return;
	st->control_fd = listen_at(o->control);
	if (st->control_fd < 0)
		fail(o->control, strerror(errno));
}

/* A port has a listening socket, a connection, files of memory and interrupts */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Descriptors 0 to 2 are never those of a guest: 0 means none in the state */
static void fill_std_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct options o = {
		.max_bytes = DEFAULT_MAX_BYTES,
	};
	const char *wrong;
	struct state *st;
	uint32_t n;
	int rc;

	fill_std_fds();
	wrong = sockets_receive();
	if (wrong)
		fail("LISTEN_FDS", wrong);
	get_options(&o, argc, argv);
	raise_limits();
	st = make_state(&o);
	make_descriptors(&o, st);
	n = add_ports(&o, st);
	if (!n && !(o.socket_dir && o.control))
		fail("--port", "is missing");
	log_event("fabric 0x%04x: %u ports", o.fabric_id, n);
	rc = holder_run(st, o.socket_dir);
	if (o.control)
		unlisten_at(o.control);
	return rc;
}
