/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connections of this system with itself, and what goes over them
 */
#ifndef SMC_UTIL_H
#define SMC_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "smc_nl.h"

int smc_setup(void);
int listen_on(const char *net, int bufsize, __u16 *port);
int connect_to(const char *net, int bufsize, __u16 port);
int pair_open(const char *net, int bufsize, int fd[2]);
bool is_smcd(int fd);

int send_all(int fd, const void *buf, size_t len);
ssize_t recv_all(int fd, void *buf, size_t len);
void limit_wait(int fd, int seconds);
double now_us(void);

/* A stream of bytes that both ends can compute */
struct pattern {
	__u64 state;
};

void pattern_init(struct pattern *p, __u64 seed);
void pattern_fill(struct pattern *p, void *buf, size_t len);
bool pattern_check(struct pattern *p, const void *buf, size_t len);
unsigned int pattern_rand(struct pattern *p, unsigned int limit);

#endif
