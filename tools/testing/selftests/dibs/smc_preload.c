// SPDX-License-Identifier: GPL-2.0
/*
 * LD_PRELOAD library: TCP sockets of a program become SMC sockets, as smc_run
 * of smc-tools does it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#ifndef AF_SMC
#define AF_SMC		43
#endif
#define SMCPROTO_SMC	0
#define SMCPROTO_SMC6	1

#define TYPE_MASK	(~(SOCK_NONBLOCK | SOCK_CLOEXEC))

int socket(int domain, int type, int protocol)
{
	static int (*next)(int domain, int type, int protocol);

	if (!next)
		next = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
	if (!next) {
		errno = ENOTSUP;
		return -1;
	}
	if ((domain == AF_INET || domain == AF_INET6) &&
	    (type & TYPE_MASK) == SOCK_STREAM &&
	    (protocol == IPPROTO_IP || protocol == IPPROTO_TCP)) {
		protocol = domain == AF_INET ? SMCPROTO_SMC : SMCPROTO_SMC6;
		domain = AF_SMC;
	}
	return next(domain, type, protocol);
}
