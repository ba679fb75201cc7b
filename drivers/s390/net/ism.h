/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Internal Shared Memory (ISM)
 *
 * What the function and the driver exchange, and what the files of the driver
 * share. All numbers are big endian, as is the machine.
 */
#ifndef S390_ISM_H
#define S390_ISM_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/dibs.h>
#include <linux/irqreturn.h>
#include <linux/kconfig.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/xarray.h>

struct folio;
struct pci_dev;

/* DMBs are numbered, and the first 32 numbers are not used */
#define ISM_NR_DMBS		1920
#define ISM_FIRST_DMB		32
#define ISM_MAX_DMB_LEN		SZ_1M

/* ------------------------------- commands -------------------------------- */

/*
 * A command is written to the start of BAR 2, its header last, which makes the
 * function execute it. The response can be read from the same place at once.
 */
enum ism_cmd_code {
	ISM_REG_SBA	= 0x01,
	ISM_REG_IEQ	= 0x02,
	ISM_READ_GID	= 0x03,
	ISM_ADD_VLAN_ID	= 0x04,
	ISM_DEL_VLAN_ID	= 0x05,
	ISM_QUERY_INFO	= 0x08,
	ISM_QUERY_RGID	= 0x09,
	ISM_REG_DMB	= 0x0a,
	ISM_UNREG_DMB	= 0x0b,
	ISM_SIGNAL_IEQ	= 0x0e,
	ISM_UNREG_SBA	= 0x11,
	ISM_UNREG_IEQ	= 0x12,
};

/* The one response code with a known meaning, besides 0 */
#define ISM_RC_GONE	0xffff

struct ism_req_hdr {
	u32 cmd;
	u16 reserved;
	u16 len;	/* of the request, this header included */
};

struct ism_resp_hdr {
	u32 cmd;
	u16 ret;
	u16 len;	/* of the response, this header included */
};

union ism_simple {
	struct {
		struct ism_req_hdr hdr;
	} request;
	struct {
		struct ism_resp_hdr hdr;
	} response;
} __aligned(8);

union ism_reg_sba {
	struct {
		struct ism_req_hdr hdr;
		u64 sba;
	} request;
	struct {
		struct ism_resp_hdr hdr;
	} response;
} __aligned(16);

union ism_reg_ieq {
	struct {
		struct ism_req_hdr hdr;
		u64 ieq;
		u64 len;
	} request;
	struct {
		struct ism_resp_hdr hdr;
	} response;
} __aligned(16);

union ism_read_gid {
	struct {
		struct ism_req_hdr hdr;
	} request;
	struct {
		struct ism_resp_hdr hdr;
		u64 gid;
	} response;
} __aligned(16);

union ism_vlan_id {
	struct {
		struct ism_req_hdr hdr;
		u64 vlan_id;
	} request;
	struct {
		struct ism_resp_hdr hdr;
	} response;
} __aligned(16);

union ism_query_info {
	struct {
		struct ism_req_hdr hdr;
	} request;
	struct {
		struct ism_resp_hdr hdr;
		u32 version;
		u32 max_len;
		u64 ism_state;
		u64 my_gid;
		u64 sba;
		u64 ieq;
		u32 ieq_len;
		u32 reserved;
		u32 dmbs_owned;
		u32 dmbs_used;
		u32 vlan_required;
		u32 vlan_nr_ids;
		u16 vlan_id[64];
	} response;
} __aligned(64);

union ism_query_rgid {
	struct {
		struct ism_req_hdr hdr;
		u64 rgid;
		u32 vlan_valid;
		u32 vlan_id;
	} request;
	struct {
		struct ism_resp_hdr hdr;
	} response;
} __aligned(16);

union ism_reg_dmb {
	struct {
		struct ism_req_hdr hdr;
		u64 dmb;
		u32 dmb_len;
		u32 sba_idx;
		u32 vlan_valid;
		u32 vlan_id;
		u64 rgid;
	} request;
	struct {
		struct ism_resp_hdr hdr;
		u64 dmb_tok;
	} response;
} __aligned(32);

union ism_unreg_dmb {
	struct {
		struct ism_req_hdr hdr;
		u64 dmb_tok;
	} request;
	struct {
		struct ism_resp_hdr hdr;
	} response;
} __aligned(16);

union ism_signal_ieq {
	struct {
		struct ism_req_hdr hdr;
		u64 rgid;
		u32 trigger_irq;
		u32 event_code;
		u64 info;
	} request;
	struct {
		struct ism_resp_hdr hdr;
	} response;
} __aligned(32);

/* --------------------------------- moves --------------------------------- */

/*
 * Data is stored as blocks to BAR 0. The offset in the BAR is the token of the
 * DMB plus the fields below; no block crosses a 4 KiB boundary of the DMB.
 */
#define ISM_MAX_BLOCK		SZ_4K
#define ISM_MOVE_OFFSET		GENMASK_ULL(22, 0)
#define ISM_MOVE_SIGNAL		BIT_ULL(23)
#define ISM_MOVE_IDX		GENMASK_ULL(27, 24)
#define ISM_MOVE_FIELDS		(ISM_MOVE_OFFSET | ISM_MOVE_SIGNAL | ISM_MOVE_IDX)

/* ----------------------- signals: state bit array ------------------------ */

/*
 * Bits are numbered from the most significant one of the first byte. The
 * function sets the mask of a DMB, then the bit of the DMB, then the summary
 * bit, and interrupts if that one was not set.
 */
#define ISM_SBA_SUMMARY		0
#define ISM_SBA_EVENT		1
#define ISM_SBA_DMB(idx)	(32 + (idx))

struct ism_sba {
	unsigned long bits[32];
	u16 dmbe_mask[ISM_NR_DMBS];	/* signal 0 is the highest bit */
};

static_assert(sizeof(struct ism_sba) == SZ_4K);

/* ----------------------- events: interrupt event queue ------------------- */

enum ism_event_type {
	ISM_EVENT_DMB	= 0,
	ISM_EVENT_GID	= 1,
	ISM_EVENT_SWR	= 2,
};

struct ism_event {
	u32 type;
	u32 code;
	u64 tok;	/* of the DMB, or the GID of the other function */
	u64 time;
	u64 info;
};

#define ISM_NR_EVENTS		15

struct ism_eq {
	u64 idx;	/* number of the entry last written, counted from 1 */
	u64 ieq_len;
	u64 entry_len;
	u64 reserved;
	struct ism_event entry[ISM_NR_EVENTS];
};

static_assert(sizeof(struct ism_eq) == 512);

/* ------------------------------- the driver ------------------------------ */

/**
 * struct ism_dev - one ISM function
 * @dibs: its device in class dibs
 * @dev: parent of @dibs, the device that memory is mapped for
 * @pdev: the same as PCI function
 * @fabric_id: physical channel of the function
 * @id: number in the name of @dibs
 * @cmd_lock: one command at a time; callers may have interrupts disabled
 * @irq_lock: the interrupt of a function can be handled on two CPUs at once
 * @sba: state bit array, shared with the function
 * @sba_dma: its address for the function
 * @ieq: event queue, shared with the function
 * @ieq_dma: its address for the function
 * @ieq_pos: entry of @ieq that is written next
 * @dmbs: &struct ism_buf by index; one that could not be unregistered stays,
 *	so that neither its memory nor its index is used again
 */
struct ism_dev {
	struct dibs_dev *dibs;
	struct device *dev;
	struct pci_dev *pdev;
	u16 fabric_id;
	int id;

	spinlock_t cmd_lock;	/* see above */

	spinlock_t irq_lock;	/* see above */
	struct ism_sba *sba;
	dma_addr_t sba_dma;
	struct ism_eq *ieq;
	dma_addr_t ieq_dma;
	unsigned int ieq_pos;

	struct xarray dmbs;
};

/**
 * struct ism_buf - memory of a DMB
 * @folio: the memory
 * @dma_addr: its address for the function
 * @len: length, in full pages
 * @kept: the function may still write to it, and nobody owns it
 * @tok: token that the function gave it
 */
struct ism_buf {
	struct folio *folio;
	dma_addr_t dma_addr;
	u32 len;
	bool kept;
	u64 tok;
};

#if IS_ENABLED(CONFIG_KUNIT)
extern const struct dibs_dev_ops ism_ops;

int ism_read_cmd(struct ism_dev *ism, void *data, unsigned long offset,
		 unsigned long len);
int ism_write_cmd(struct ism_dev *ism, const void *data, unsigned long offset,
		  unsigned long len);
int ism_move_block(struct ism_dev *ism, u64 dmb_req, const void *data,
		   unsigned int size);
void ism_report_signal(struct ism_dev *ism, unsigned int idx, u16 mask);
void ism_report_event(struct ism_dev *ism, const struct dibs_event *event);

struct ism_dev *ism_dev_alloc(struct device *dev);
void ism_dev_free(struct ism_dev *ism);
int ism_start(struct ism_dev *ism);
void ism_stop(struct ism_dev *ism);
int ism_dibs_add(struct ism_dev *ism);
void ism_dibs_del(struct ism_dev *ism);
irqreturn_t ism_handle_irq(int irq, void *data);
#endif

#endif /* S390_ISM_H */
