/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: messages of vfio-user, as far as they are used
 *
 * In the order of bytes of the host, as both ends are on one.
 */
#ifndef DIBS_VU_MSG_H
#define DIBS_VU_MSG_H

#include <stdint.h>

enum vu_command {
	VU_VERSION = 1,
	VU_DMA_MAP,
	VU_DMA_UNMAP,
	VU_GET_INFO,
	VU_GET_REGION_INFO,
	VU_GET_REGION_IO_FDS,
	VU_GET_IRQ_INFO,
	VU_SET_IRQS,
	VU_REGION_READ,
	VU_REGION_WRITE,
	VU_DMA_READ,
	VU_DMA_WRITE,
	VU_RESET,
};

#define VU_F_TYPE		0xf
#define VU_F_COMMAND		0
#define VU_F_REPLY		1
#define VU_F_NO_REPLY		0x10
#define VU_F_ERROR		0x20

struct vu_header {
	uint16_t id;
	uint16_t command;
	uint32_t size;
	uint32_t flags;
	uint32_t error;
};

struct vu_version {
	uint16_t major;
	uint16_t minor;
};

#define VU_DMA_F_READ		1
#define VU_DMA_F_WRITE		2

struct vu_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset;
	uint64_t addr;
	uint64_t size;
};

#define VU_UNMAP_ALL		2

struct vu_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t addr;
	uint64_t size;
};

#define VU_DEVICE_RESET_OK	1
#define VU_DEVICE_PCI		2

struct vu_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};

#define VU_REGION_READ_OK	1
#define VU_REGION_WRITE_OK	2

struct vu_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset;
};

enum { VU_IRQ_INTX, VU_IRQ_MSI, VU_IRQ_MSIX, VU_NR_IRQS = 5 };

#define VU_IRQ_INFO_EVENTFD	1
#define VU_IRQ_INFO_MASKABLE	2
#define VU_IRQ_INFO_AUTOMASKED	4

struct vu_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};

#define VU_IRQ_NONE		0x01
#define VU_IRQ_EVENTFD		0x04
#define VU_IRQ_MASK		0x08
#define VU_IRQ_UNMASK		0x10
#define VU_IRQ_TRIGGER		0x20

struct vu_set_irqs {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
};

struct vu_region_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
};

#endif /* DIBS_VU_MSG_H */
