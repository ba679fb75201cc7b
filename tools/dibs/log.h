/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DIBS_LOG_H
#define DIBS_LOG_H

/* One line on stderr, whole or not at all */
void log_event(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* DIBS_LOG_H */
