/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: sockets that are listening, made here or passed in by systemd
 */
#ifndef DIBS_SOCKETS_H
#define DIBS_SOCKETS_H

#include <stdbool.h>

/*
 * Takes the sockets that systemd has passed, sd_listen_fds(3). NULL, or what is wrong
 * with one of them.
 */
const char *sockets_receive(void);

/* The path of one that nobody has asked for so far, or NULL */
const char *sockets_left(void);

/* How many there are of that name; the path of the first one if there are any */
int sockets_named(const char *name, const char **path);

/* A socket that listens at path, passed or new, or -1 with errno */
int listen_at(const char *path);

/* Is this a socket that whoever made it left behind when it died? */
bool socket_is_stale(const char *path);

/* Ends what listen_at() has made; what was passed belongs to who passed it */
void unlisten_at(const char *path);

#endif /* DIBS_SOCKETS_H */
