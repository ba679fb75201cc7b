// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: the vfio-user protocol, server side
 *
 * Security: nothing in a message may be believed. A message is copied out of the
 * socket once, checked, and then executed; numbers in it are indices only after they
 * were compared with a bound. File descriptors that come with it belong to the
 * message and are closed with it, unless the memory table or the interrupt table
 * has taken one over. A client that cannot frame messages is disconnected.
 *
 * A worker can die at any time and the next one must neither lose a message nor
 * execute one without its predecessor's effect being the same, nor answer twice. So
 * a message is looked at with MSG_PEEK and recorded, with its descriptors, before it
 * is taken out of the socket, and the kernel knows how much was taken: SO_PEEK_OFF
 * goes back by as much. A reply goes into a pipe and from there into the socket by
 * splice(): what is in the pipe was not sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "irq.h"
#include "port.h"
#include "vu_msg.h"

/* --------------------------------- closing --------------------------------- */

bool vu_owns_fd(const struct vu_state *vu, int fd)
{
	uint32_t i, phase = atomic_load(&vu->phase);

	if (fd == atomic_load(&vu->fd) || fd == atomic_load(&vu->intx) ||
	    mem_owns_fd(&vu->mem, fd))
		return true;
	for (i = 0; i < VU_MAX_VECTORS; i++)
		if (atomic_load(&vu->irq[i]) == fd)
			return true;
	for (i = 0; i < vu->nr_fds; i++)
		if ((phase == VU_RECORDED || phase == VU_CONSUMED) && vu->fds[i] == fd)
			return true;
	return false;
}

/* Close what a client has sent, which may be a socket that lingers for its data's sake */
void vu_drop_fd(int fd)
{
	static const struct linger off;

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	close(fd);
}

static void drop_fd(_Atomic int32_t *where)
{
	int fd = atomic_exchange(where, 0);

	if (fd)
		close(fd);
}

/* The message is at its end: close what nobody has taken over */
static void close_fds(struct vu_state *vu)
{
	uint32_t i;
	int fd;

	for (i = 0; i < vu->nr_fds; i++) {
		fd = vu->fds[i];
		/* whoever repeats this may have been given the number anew */
		vu->fds[i] = -1;
		fault_point(FAULT_FD_FORGOTTEN);
		if (fd >= 0 && !vu_owns_fd(vu, fd))
			vu_drop_fd(fd);
	}
	vu->nr_fds = 0;
	fault_point(FAULT_FDS_CLOSED);
}

/* SCM_MAX_FD of the kernel: what can come with one sendmsg() */
#define MAX_FDS_SENT	253

/*
 * Takes so much out of the socket, and closes the descriptors that come with it: the
 * kernel would do that as well, and linger. As recv() otherwise.
 */
static ssize_t take_out(int fd, uint8_t *buf, size_t len)
{
	union { struct cmsghdr h; char room[CMSG_SPACE(sizeof(int) * MAX_FDS_SENT)]; } c;
	struct iovec iov = { buf, len };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &c, .msg_controllen = sizeof(c),
	};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *h;
	size_t at;
	int one;

	for (h = n < 0 ? NULL : CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (at = CMSG_LEN(0); at < h->cmsg_len; at += sizeof(one)) {
			memcpy(&one, (char *)h + at, sizeof(one));
			vu_drop_fd(one);
		}
	}
	return n;
}

/* What is in the socket has been sent for nothing, and no more is to come */
static void drain(int fd)
{
	uint8_t rest[VU_MAX_MSG];

	if (!fd || shutdown(fd, SHUT_RD))
		return;
	while (take_out(fd, rest, sizeof(rest)) > 0)
		;
}

/**
 * vu_close() - end a connection, or go on ending it
 * @p: the port
 *
 * The device is reset first, so nothing of the guest is in use any more.
 */
void vu_close(struct port *p)
{
	struct vu_state *vu = &p->st->vu;
	uint32_t i;

	atomic_store(&vu->closing, 1);
	fault_point(FAULT_CLOSING);
	p->ops->reset(p);
	atomic_store(&vu->phase, VU_IDLE);
	close_fds(vu);
	mem_map_del_all(&p->mem);
	for (i = 0; i < VU_MAX_VECTORS; i++)
		drop_fd(&vu->irq[i]);
	drop_fd(&vu->intx);
	vu->versioned = 0;
	vu->intx_masked = 0;
	p->vu.have = 0;
	drain(atomic_load(&vu->fd));
	drop_fd(&vu->fd);
	fault_point(FAULT_CLOSED);
	atomic_store(&vu->closing, 0);
}

static bool fail(struct port *p, const char *why)
{
	p->failed = why;
	return false;
}

/* -------------------------------- interrupts -------------------------------- */

bool vu_uses_msix(const struct port *p)
{
	return !atomic_load(&p->st->vu.intx);
}

static void trigger(struct vu_state *vu, _Atomic int32_t *where)
{
	int fd = atomic_load(where);

	if (fd && irq_raise(fd))
		vu->interrupts++;
}

/* Raise an MSI-X vector, if the guest has one there */
void vu_irq(struct port *p, uint16_t vector)
{
	if (vector < p->ops->nr_vectors)
		trigger(&p->st->vu, &p->st->vu.irq[vector]);
}

/* Raise INTx, unless it is raised already */
void vu_intx(struct port *p)
{
	struct vu_state *vu = &p->st->vu;

	if (vu->intx_masked || !atomic_load(&vu->intx))
		return;
	trigger(vu, &vu->intx);
	vu->intx_masked = 1;
}

/* An eventfd is a file without a type */
static int irq_check(int fd)
{
	struct stat sb;

	if (fstat(fd, &sb))
		return -errno;
	return sb.st_mode & S_IFMT ? -EINVAL : 0;
}

static int set_irq(_Atomic int32_t *where, int fd)
{
	int old, rc = fd ? irq_check(fd) : 0;

	if (rc)
		return rc;
	old = atomic_exchange(where, fd);
	fault_point(FAULT_IRQ_SET);
	if (old && old != fd)
		close(old);
	return 0;
}

static int set_irqs_intx(struct port *p, const struct vu_set_irqs *req)
{
	struct vu_state *vu = &p->st->vu;

	switch (req->flags) {
	case VU_IRQ_EVENTFD | VU_IRQ_TRIGGER:
		vu->intx_masked = 0;
		return set_irq(&vu->intx, vu->nr_fds ? vu->fds[0] : 0);
	case VU_IRQ_NONE | VU_IRQ_TRIGGER:
		return req->count ? -EINVAL : set_irq(&vu->intx, 0);
	case VU_IRQ_NONE | VU_IRQ_MASK:
		vu->intx_masked = 1;
		return 0;
	case VU_IRQ_NONE | VU_IRQ_UNMASK:
		vu->intx_masked = 0;
		if (p->ops->intx_pending(p))
			vu_intx(p);
		return 0;
	}
	return -EINVAL;
}

static int set_irqs_msix(struct port *p, const struct vu_set_irqs *req)
{
	struct vu_state *vu = &p->st->vu;
	uint32_t i;
	int rc = 0;

	if (req->flags == (VU_IRQ_NONE | VU_IRQ_TRIGGER) && !req->count) {
		for (i = 0; i < p->ops->nr_vectors; i++)
			set_irq(&vu->irq[i], 0);
		return 0;
	}
	if (req->flags != (VU_IRQ_EVENTFD | VU_IRQ_TRIGGER))
		return -EINVAL;
	for (i = 0; i < req->count && !rc; i++)
		rc = set_irq(&vu->irq[req->start + i], vu->nr_fds ? vu->fds[i] : 0);
	return rc;
}

static int do_set_irqs(struct port *p, const void *msg, uint32_t len)
{
	uint32_t nr_fds = p->st->vu.nr_fds, max;
	struct vu_set_irqs req;

	if (len < sizeof(req))
		return -EINVAL;
	memcpy(&req, msg, sizeof(req));
	max = req.index == VU_IRQ_MSIX ? p->ops->nr_vectors : 1;
	if (req.start > max || req.count > max - req.start)
		return -EINVAL;
	if (nr_fds && nr_fds != req.count)
		return -EINVAL;
	if (req.index == VU_IRQ_INTX)
		return set_irqs_intx(p, &req);
	if (req.index == VU_IRQ_MSIX || (req.index == VU_IRQ_MSI && p->ops->msi))
		return set_irqs_msix(p, &req);
	return -EINVAL;
}

/* --------------------------------- commands --------------------------------- */

static const char capabilities[] =
	"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":4096,"
	"\"max_dma_maps\":65535,\"pgsizes\":4096}}";

/* What was said there */
#define PAGE_SIZE	4096

/* Each of these returns a negative errno, or 0 with the length of the answer in *out */

static int do_version(struct port *p, const uint8_t *msg, uint32_t len, uint8_t *reply,
		      uint32_t *out)
{
	struct vu_version version;

	if (len < sizeof(version))
		return -EINVAL;
	memcpy(&version, msg, sizeof(version));
	if (version.major != 0)
		return -EINVAL;
	version.minor = 0;
	memcpy(reply, &version, sizeof(version));
	memcpy(reply + sizeof(version), capabilities, sizeof(capabilities));
	*out = sizeof(version) + sizeof(capabilities);
	p->st->vu.versioned = 1;
	return 0;
}

static int do_dma_map(struct port *p, const uint8_t *msg, uint32_t len)
{
	struct vu_state *vu = &p->st->vu;
	struct vu_dma_map req;
	int rc;

	if (len != sizeof(req) || vu->nr_fds > 1)
		return -EINVAL;
	memcpy(&req, msg, sizeof(req));
	if (req.flags & ~(VU_DMA_F_READ | VU_DMA_F_WRITE) || !req.flags ||
	    (req.addr | req.size | req.offset) % PAGE_SIZE)
		return -EINVAL;
	rc = mem_map_add(&p->mem, req.addr, req.size, req.offset,
			 req.flags & VU_DMA_F_WRITE, vu->nr_fds ? vu->fds[0] : -1);
	if (!rc)
		p->ops->mapped(p);
	return rc;
}

static int do_dma_unmap(struct port *p, const uint8_t *msg, uint32_t len,
			uint8_t *reply, uint32_t *out)
{
	struct vu_dma_unmap req;
	int rc = 0;

	if (len != sizeof(req))
		return -EINVAL;
	memcpy(&req, msg, sizeof(req));
	memcpy(reply, &req, sizeof(req));
	*out = sizeof(req);
	if (req.flags & ~VU_UNMAP_ALL)
		return -EINVAL;
	if (req.flags & VU_UNMAP_ALL)
		mem_map_del_all(&p->mem);
	else
		rc = mem_map_del(&p->mem, req.addr, req.size);
	p->ops->unmapped(p);
	return rc;
}

static int do_get_info(uint8_t *reply, uint32_t *out)
{
	static const struct vu_device_info info = {
		.argsz = sizeof(info),
		.flags = VU_DEVICE_RESET_OK | VU_DEVICE_PCI,
		.num_regions = VU_NR_REGIONS,
		.num_irqs = VU_NR_IRQS,
	};

	memcpy(reply, &info, sizeof(info));
	*out = sizeof(info);
	return 0;
}

/* No region can be mapped: that is what keeps doorbells from being waited for */
static int do_region_info(struct port *p, const uint8_t *msg, uint32_t len,
			  uint8_t *reply, uint32_t *out)
{
	struct vu_region_info info;

	if (len < sizeof(info))
		return -EINVAL;
	memcpy(&info, msg, sizeof(info));
	if (info.index >= VU_NR_REGIONS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.cap_offset = 0;
	info.size = p->ops->region_size(info.index);
	info.flags = info.size ? VU_REGION_READ_OK | VU_REGION_WRITE_OK : 0;
	info.offset = 0;
	memcpy(reply, &info, sizeof(info));
	*out = sizeof(info);
	return 0;
}

static int do_irq_info(struct port *p, const uint8_t *msg, uint32_t len,
		       uint8_t *reply, uint32_t *out)
{
	struct vu_irq_info info;

	if (len < sizeof(info))
		return -EINVAL;
	memcpy(&info, msg, sizeof(info));
	if (info.index >= VU_NR_IRQS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.flags = VU_IRQ_INFO_EVENTFD;
	info.count = 0;
	if (info.index == VU_IRQ_MSIX)
		info.count = p->ops->nr_vectors;
	if (info.index == VU_IRQ_MSI)
		info.count = p->ops->msi;
	if (info.index == VU_IRQ_INTX) {
		info.flags |= VU_IRQ_INFO_MASKABLE | VU_IRQ_INFO_AUTOMASKED;
		info.count = 1;
	}
	memcpy(reply, &info, sizeof(info));
	*out = sizeof(info);
	return 0;
}

static bool region_access_ok(struct port *p, const struct vu_region_access *req)
{
	uint64_t size;

	if (req->region >= VU_NR_REGIONS || !req->count)
		return false;
	size = p->ops->region_size(req->region);
	return req->offset <= size && req->count <= size - req->offset;
}

static int do_region_read(struct port *p, const uint8_t *msg, uint32_t len,
			  uint8_t *reply, uint32_t *out)
{
	struct vu_region_access req;

	if (len != sizeof(req))
		return -EINVAL;
	memcpy(&req, msg, sizeof(req));
	if (!region_access_ok(p, &req) ||
	    req.count > VU_MAX_MSG - sizeof(struct vu_header) - sizeof(req))
		return -EINVAL;
	memcpy(reply, &req, sizeof(req));
	p->ops->region_read(p, req.region, req.offset, reply + sizeof(req), req.count);
	*out = sizeof(req) + req.count;
	return 0;
}

static int do_region_write(struct port *p, const uint8_t *msg, uint32_t len,
			   uint8_t *reply, uint32_t *out)
{
	struct vu_region_access req;

	if (len < sizeof(req))
		return -EINVAL;
	memcpy(&req, msg, sizeof(req));
	if (!region_access_ok(p, &req) || req.count != len - sizeof(req))
		return -EINVAL;
	memcpy(reply, &req, sizeof(req));
	*out = sizeof(req);
	return p->ops->region_write(p, req.region, req.offset, msg + sizeof(req),
				    req.count);
}

static int execute(struct port *p, const struct vu_header *h, const uint8_t *msg,
		   uint8_t *reply, uint32_t *out)
{
	uint32_t len = h->size - sizeof(*h);

	switch (h->command) {
	case VU_VERSION:
		return do_version(p, msg, len, reply, out);
	case VU_DMA_MAP:
		return do_dma_map(p, msg, len);
	case VU_DMA_UNMAP:
		return do_dma_unmap(p, msg, len, reply, out);
	case VU_GET_INFO:
		return do_get_info(reply, out);
	case VU_GET_REGION_INFO:
		return do_region_info(p, msg, len, reply, out);
	case VU_GET_IRQ_INFO:
		return do_irq_info(p, msg, len, reply, out);
	case VU_SET_IRQS:
		return do_set_irqs(p, msg, len);
	case VU_REGION_READ:
		return do_region_read(p, msg, len, reply, out);
	case VU_REGION_WRITE:
		return do_region_write(p, msg, len, reply, out);
	case VU_RESET:
		p->ops->reset(p);
		return 0;
	}
	return -ENOTSUP;
}

/* ------------------------------ request and reply ------------------------------ */

/* Executes the message in the state and leaves the reply there */
static void execute_msg(struct port *p)
{
	struct vu_state *vu = &p->st->vu;
	struct vu_header h, r;
	uint32_t out = 0;

	memcpy(&h, vu->msg, sizeof(h));
	r = (struct vu_header){ .id = h.id, .command = h.command, .flags = VU_F_REPLY };
	r.error = -execute(p, &h, vu->msg + sizeof(h), vu->reply + sizeof(r), &out);
	if (r.error) {
		r.flags |= VU_F_ERROR;
		out = 0;
	}
	r.size = sizeof(r) + out;
	memcpy(vu->reply, &r, sizeof(r));
	vu->reply_len = h.flags & VU_F_NO_REPLY ? 0 : r.size;
}

static bool queue_reply(struct port *p)
{
	struct vu_state *vu = &p->st->vu;
	uint8_t rest[VU_MAX_MSG];
	int n;

	/* what a worker that died has left there */
	while (!ioctl(p->reply_pipe[0], FIONREAD, &n) && n > 0)
		if (read(p->reply_pipe[0], rest, sizeof(rest)) <= 0)
			return false;
	return write(p->reply_pipe[1], vu->reply, vu->reply_len) == (ssize_t)vu->reply_len;
}

/* A client that waits for this reply has room for it */
static bool send_reply(struct port *p)
{
	int n;

	for (;;) {
		if (ioctl(p->reply_pipe[0], FIONREAD, &n))
			return false;
		if (!n)
			return true;
		if (splice(p->reply_pipe[0], NULL, atomic_load(&p->st->vu.fd), NULL, n,
			   SPLICE_F_NONBLOCK) <= 0)
			return false;
	}
}

/* Takes the message that was recorded out of the socket, of which left bytes are there */
static bool consume(struct port *p, int left)
{
	int fd = atomic_load(&p->st->vu.fd);
	uint8_t rest[VU_MAX_MSG];
	size_t len;
	ssize_t n;

	for (; left > 0; left -= n) {
		len = left < VU_MAX_MSG ? left : VU_MAX_MSG;
		n = p->vu.brings ? take_out(fd, rest, len) :
				   recv(fd, rest, len, MSG_DONTWAIT);
		if (n <= 0)
			return false;
	}
	return true;
}

/* Goes on from the phase that the request is in, to its end; left as of consume() */
static bool go_on(struct port *p, int left)
{
	struct vu_state *vu = &p->st->vu;

	switch (atomic_load(&vu->phase)) {
	case VU_RECORDED:
		if (!consume(p, left))
			return fail(p, "cannot receive");
		fault_point(FAULT_TAKEN_OUT);
		atomic_store(&vu->phase, VU_CONSUMED);
		fault_point(FAULT_CONSUMED);
		__attribute__((fallthrough));
	case VU_CONSUMED:
		execute_msg(p);
		atomic_store(&vu->phase, VU_EXECUTED);
		fault_point(FAULT_EXECUTED);
		__attribute__((fallthrough));
	case VU_EXECUTED:
		close_fds(vu);
		if (vu->reply_len) {
			if (!queue_reply(p))
				return fail(p, "cannot answer");
			fault_point(FAULT_REPLY_WRITTEN);
			atomic_store(&vu->phase, VU_QUEUED);
			fault_point(FAULT_REPLY_QUEUED);
		}
		__attribute__((fallthrough));
	case VU_QUEUED:
		if (atomic_load(&vu->phase) == VU_QUEUED && !send_reply(p))
			return fail(p, "cannot answer");
		fault_point(FAULT_REPLY_SENT);
		vu->messages++;
		atomic_store(&vu->phase, VU_IDLE);
	}
	return true;
}

static void finish(struct port *p, int left)
{
	port_begin(p, PORT_MESSAGE, p->st->vu.messages);
	go_on(p, left);
	port_end(p);
}

/* -------------------------------- receiving -------------------------------- */

static void keep_fds(struct vu_state *vu, struct msghdr *m)
{
	struct cmsghdr *h;
	uint32_t n;

	for (h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(vu->fds, CMSG_DATA(h), n * sizeof(int));
		vu->nr_fds = n;
	}
}

/*
 * Looks at more of the message, until there are want bytes; 1, 0 if not yet, -1.
 * Descriptors count if they come with the first byte: each look at what they came
 * with makes new ones.
 */
static int peek(struct port *p, uint32_t want)
{
	union { struct cmsghdr h; char room[CMSG_SPACE(sizeof(int) * VU_MAX_FDS)]; } c;
	struct vu_state *vu = &p->st->vu;
	struct msghdr m = { .msg_iovlen = 1 };
	struct iovec iov;
	ssize_t n;

	while (p->vu.have < want) {
		iov = (struct iovec){ vu->msg + p->vu.have, want - p->vu.have };
		m.msg_iov = &iov;
		m.msg_control = p->vu.have ? NULL : &c;
		m.msg_controllen = p->vu.have ? 0 : sizeof(c);
		n = recvmsg(atomic_load(&vu->fd), &m,
			    MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
		p->vu.brings |= m.msg_flags & MSG_CTRUNC;
		if (!p->vu.have) {
			keep_fds(vu, &m);
			if (m.msg_flags & MSG_CTRUNC)
				return -1;
			p->vu.brings = vu->nr_fds;
		}
		p->vu.have += n;
	}
	return 1;
}

static bool header_ok(const struct port *p, const struct vu_header *h)
{
	if (h->size < sizeof(*h) || h->size > VU_MAX_MSG ||
	    (h->flags & VU_F_TYPE) != VU_F_COMMAND)
		return false;
	return p->st->vu.versioned || h->command == VU_VERSION;
}

/* A whole message into the state; 1, 0 if there is none yet, -1 */
static int receive(struct port *p)
{
	struct vu_state *vu = &p->st->vu;
	struct vu_header h;
	int rc;

	if (!p->vu.have)
		vu->nr_fds = 0;
	rc = peek(p, sizeof(h));
	if (rc <= 0)
		return rc;
	memcpy(&h, vu->msg, sizeof(h));
	if (!header_ok(p, &h))
		return -1;
	rc = peek(p, h.size);
	if (rc <= 0)
		return rc;
	fault_point(FAULT_PEEKED);
	vu->msg_len = h.size;
	p->vu.have = 0;
	atomic_store(&vu->phase, VU_RECORDED);
	fault_point(FAULT_RECORDED);
	return 1;
}

/**
 * vu_step() - work on one message, if there is one
 * @p: the port, connected
 *
 * Return: true if there was one; the connection has to be closed if @p->failed is
 *	set.
 */
bool vu_step(struct port *p)
{
	struct vu_state *vu = &p->st->vu;
	int rc;

	rc = receive(p);
	if (rc < 0) {
		/* what has been kept of it is nobody's */
		port_begin(p, PORT_MESSAGE, vu->messages);
		atomic_store(&vu->phase, VU_IDLE);
		close_fds(vu);
		port_end(p);
		return fail(p, p->vu.have ? "bad message" : "disconnected");
	}
	if (rc)
		finish(p, p->st->vu.msg_len);
	return rc;
}

/* A client has connected; false if it cannot be served */
bool vu_accept(struct port *p, int fd)
{
	int zero = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero)))
		return false;
	p->vu.have = 0;
	p->st->vu.nr_fds = 0;
	atomic_store(&p->st->vu.fd, fd);
	fault_point(FAULT_ACCEPTED);
	return true;
}

/* Go on where another worker has stopped */
void vu_restart(struct port *p)
{
	struct vu_state *vu = &p->st->vu;
	socklen_t len = sizeof(int);
	int left = 0;

	if (atomic_load(&p->st->poison))
		p->failed = "kills workers";
	else if (atomic_load(&vu->closing))
		p->failed = "disconnected";
	if (p->failed)
		return;
	if (atomic_load(&vu->phase) == VU_IDLE) {
		vu->nr_fds = 0;
		if (setsockopt(atomic_load(&vu->fd), SOL_SOCKET, SO_PEEK_OFF, &left,
			       sizeof(left)))
			p->failed = "cannot receive";
		return;
	}
	/* whether there are descriptors is not known any more */
	p->vu.brings = true;
	if (getsockopt(atomic_load(&vu->fd), SOL_SOCKET, SO_PEEK_OFF, &left, &len))
		p->failed = "cannot receive";
	else
		finish(p, left);
}
