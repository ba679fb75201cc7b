/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: raising the interrupts of guests
 */
#ifndef DIBS_IRQ_H
#define DIBS_IRQ_H

#include <stdbool.h>

int irq_open(void);
bool irq_raise(int fd);

#endif /* DIBS_IRQ_H */
