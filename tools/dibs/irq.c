// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: raising the interrupts of guests
 *
 * An interrupt is an eventfd of the client. A write to it waits while its counter is
 * full, unless it does not block, and that is up to the client, which has the same
 * file. What the kernel signals at the end of asynchronous I/O never waits, so that
 * is used: to read nothing from /dev/null ends at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "irq.h"

/* The kernel notes what has ended until somebody asks, for at least so many */
#define UNASKED		32

static aio_context_t context;
static int null_fd;

/**
 * irq_open() - prepare for irq_raise(), in each process anew
 *
 * Return: 0, or -1 with errno.
 */
int irq_open(void)
{
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return null_fd < 0 ? -1 : syscall(SYS_io_setup, UNASKED, &context);
}

/**
 * irq_raise() - raise an interrupt, whatever its counter and its flags are
 * @fd: an eventfd
 *
 * Return: true, or false if it is none, or the kernel has no memory for a request.
 */
bool irq_raise(int fd)
{
	struct iocb nothing = {
		.aio_fildes = null_fd,
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = fd,
	};
	struct iocb *list = &nothing;
	struct io_event ended[UNASKED];
	struct timespec now = { 0 };

	while (syscall(SYS_io_submit, context, 1, &list) != 1)
		if (errno != EAGAIN ||
		    syscall(SYS_io_getevents, context, 1, UNASKED, ended, &now) < 1)
			return false;
	return true;
}
