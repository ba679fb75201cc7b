/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: events that are pending, for fabric.c
 */
#ifndef DIBS_FABRIC_EVENT_H
#define DIBS_FABRIC_EVENT_H

#include "fabric.h"

uint32_t event_count(const struct fabric_port *p);
void event_dev(struct fabric *f, uint32_t to, uint32_t about,
	       enum fabric_dev_event what, uint64_t now);
void event_buf(struct fabric *f, uint32_t to, uint32_t owner, uint64_t token,
	       uint64_t now);
bool event_sw(struct fabric *f, uint32_t to, uint32_t sender, uint64_t request,
	      const struct fabric_event *event);
void event_drop_from(struct fabric *f, uint32_t to, uint32_t sender);
void event_drop_all(struct fabric *f, uint32_t to);

#endif /* DIBS_FABRIC_EVENT_H */
