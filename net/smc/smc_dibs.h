/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared Memory Communications Direct over dibs devices (SMC-D)
 *
 * Definitions for the use of dibs devices.
 */
#ifndef _SMC_DIBS_H
#define _SMC_DIBS_H

#include <linux/dibs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "smc.h"

#define SMC_EMULATED_ISM_CHID_MASK	0xFF00
#define SMC_ISM_IDENT_MASK		0x00FFFF

struct smcd_dev_list {	/* List of SMCD devices */
	struct list_head list;
	struct mutex mutex;	/* Protects list of devices */
};

extern struct smcd_dev_list	smcd_dev_list;	/* list of smcd devices */

struct smc_ism_vlanid {			/* VLAN id set on the device */
	struct list_head list;
	unsigned short vlanid;		/* Vlan id */
	refcount_t refcnt;		/* Reference count */
};

struct smc_ism_seid {
	u8 seid_string[24];
	u8 serial_number[4];
	u8 type[4];
};

struct netlink_callback;
struct sk_buff;
struct smc_buf_desc;
struct smc_connection;
struct smc_link_group;

struct smcd_dev *smcd_dev_get(struct smcd_dev *smcd);
void smcd_dev_put(struct smcd_dev *smcd);
const char *smc_ism_name(struct smcd_dev *smcd);
bool smc_ism_has_name(struct smcd_dev *smcd, const char *name);

int smc_ism_cantalk(struct smcd_gid *peer_gid, unsigned short vlan_id,
		    struct smcd_dev *smcd);
int smc_ism_set_conn(struct smc_connection *conn);
void smc_ism_unset_conn(struct smc_connection *conn);
int smc_ism_get_vlan(struct smcd_dev *smcd, unsigned short vlan_id);
int smc_ism_put_vlan(struct smcd_dev *smcd, unsigned short vlan_id);
int smc_ism_register_dmb(struct smc_link_group *lgr, int buf_size,
			 struct smc_buf_desc *dmb_desc);
int smc_ism_unregister_dmb(struct smcd_dev *smcd,
			   struct smc_buf_desc *dmb_desc);
int smc_ism_attach_dmb(struct smcd_dev *smcd, u64 token,
		       struct smc_buf_desc *dmb_desc);
int smc_ism_detach_dmb(struct smcd_dev *smcd, u64 token);
int smc_ism_signal_shutdown(struct smc_link_group *lgr);
void smc_ism_get_system_eid(u8 **eid);
bool smc_ism_is_v2_capable(void);
int smc_ism_init(void);
void smc_ism_exit(void);
int smcd_nl_get_device(struct sk_buff *skb, struct netlink_callback *cb);

/* The device attributes below outlive the dibs device itself */

static inline bool smc_ism_support_dmb_nocopy(struct smcd_dev *smcd)
{
	return smcd->can_attach;
}

static inline u16 smc_ism_get_chid(struct smcd_dev *smcd)
{
	return smcd->chid;
}

static inline bool __smc_ism_is_emulated(u16 chid)
{
	/* CHIDs in range of 0xFF00 to 0xFFFF are reserved
	 * for Emulated-ISM device.
	 *
	 * loopback:		0xFFFF
	 * virtio:		0xFF00 ~ 0xFFFE
	 */
	return (chid & SMC_EMULATED_ISM_CHID_MASK) ==
	       SMC_EMULATED_ISM_CHID_MASK;
}

static inline bool smc_ism_is_emulated(struct smcd_dev *smcd)
{
	return __smc_ism_is_emulated(smcd->chid);
}

static inline bool smc_ism_is_loopback(struct smcd_dev *smcd)
{
	return smcd->chid == DIBS_LOOPBACK_FABRIC;
}

#endif	/* _SMC_DIBS_H */
