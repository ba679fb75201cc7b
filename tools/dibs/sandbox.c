// SPDX-License-Identifier: GPL-2.0
/*
 * dibs-fabric: what a worker cannot do
 *
 * It works with descriptors that it has or is given. A sanitizer needs more than
 * that, so builds with one have no sandbox.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"

#ifdef __SANITIZE_ADDRESS__

void sandbox_prepare(void)
{
}

int sandbox_enter(void)
{
	return 0;
}

#else

static const int allowed[] = {
	SCMP_SYS(accept4), SCMP_SYS(brk), SCMP_SYS(clock_gettime), SCMP_SYS(close),
	SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_wait),
	SCMP_SYS(exit_group), SCMP_SYS(fcntl), SCMP_SYS(fstat), SCMP_SYS(fstatfs),
	SCMP_SYS(getpid), SCMP_SYS(getrandom), SCMP_SYS(getsockopt), SCMP_SYS(gettid),
	SCMP_SYS(io_getevents), SCMP_SYS(io_submit), SCMP_SYS(kill), SCMP_SYS(madvise),
	SCMP_SYS(mmap), SCMP_SYS(mremap), SCMP_SYS(munmap), SCMP_SYS(newfstatat),
	SCMP_SYS(read), SCMP_SYS(recv), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(send), SCMP_SYS(sendto), SCMP_SYS(setsockopt), SCMP_SYS(shutdown),
	SCMP_SYS(splice), SCMP_SYS(tgkill), SCMP_SYS(write),
};

static int filter_syscalls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	size_t i;
	int rc;

	if (!ctx)
		return -1;
	/* names that do not exist on this architecture are none to allow */
	for (i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			      SCMP_A1(SCMP_CMP_EQ, FIONREAD));
	if (!rc)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc)
		errno = -rc;
	return rc ? -1 : 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	return syscall(SYS_capset, &head, none);
}

static void map_id(const char *file, unsigned int id)
{
	char line[32];
	int fd = open(file, O_WRONLY | O_CLOEXEC), n;

	if (fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%u %u 1", id, id);
	if (write(fd, line, n) != n)
		log_event("sandbox: %s: %s", file, strerror(errno));
	close(fd);
}

/*
 * Where the kernel or a container does not allow namespaces the filter has to do. The
 * holder goes on seeing files, as itself, for it makes sockets and removes them.
 */
void sandbox_prepare(void)
{
	unsigned int uid = geteuid(), gid = getegid();
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |
		    CLONE_NEWUTS))
		return;
	map_id("/proc/self/uid_map", uid);
	fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "deny", 4) != 4)
			log_event("sandbox: setgroups: %s", strerror(errno));
		close(fd);
	}
	map_id("/proc/self/gid_map", gid);
}

/* Nothing is in there, not even for who gets around the filter */
static void leave_files(void)
{
	if (chroot("/proc/self/fdinfo") || chdir("/"))
		return;
}

int sandbox_enter(void)
{
	leave_files();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || drop_capabilities())
		return -1;
	return filter_syscalls();
}

#endif
