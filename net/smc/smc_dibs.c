// SPDX-License-Identifier: GPL-2.0
/*
 * Shared Memory Communications Direct over dibs devices (SMC-D)
 *
 * SMC-D as a client of dibs: devices that come and go, DMBs, signals and
 * events. Nothing else in SMC knows dibs.
 *
 * Lifetime: a smcd_dev is kept by its place in smcd_dev_list, by each of its
 * link groups and by each handshake that considers it. The dibs device behind
 * it is there while the smcd_dev is in the list or has a link group: its
 * removal ends the link groups and waits for them. A handshake that comes
 * later finds the device going away when it wants to create a link group.
 */

#include <linux/delay.h>
#include <linux/if_vlan.h>
#include <linux/log2.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/unaligned.h>

#include "smc.h"
#include "smc_cdc.h"
#include "smc_core.h"
#include "smc_dibs.h"
#include "smc_netlink.h"
#include "smc_pnet.h"

struct smcd_dev_list smcd_dev_list = {
	.list = LIST_HEAD_INIT(smcd_dev_list.list),
	.mutex = __MUTEX_INITIALIZER(smcd_dev_list.mutex)
};

static struct dibs_client smc_dibs_client;

static bool smc_ism_v2_capable;
static u8 smc_ism_v2_system_eid[SMC_MAX_EID_LEN];

static void smc_ism_create_system_eid(void)
{
	struct smc_ism_seid *seid =
		(struct smc_ism_seid *)smc_ism_v2_system_eid;
#if IS_ENABLED(CONFIG_S390)
	struct cpuid id;
	u16 ident_tail;
	char tmp[5];

	memcpy(seid->seid_string, "IBM-SYSZ-ISMSEID00000000", 24);
	get_cpu_id(&id);
	ident_tail = (u16)(id.ident & SMC_ISM_IDENT_MASK);
	snprintf(tmp, 5, "%04X", ident_tail);
	memcpy(seid->serial_number, tmp, 4);
	snprintf(tmp, 5, "%04X", id.machine);
	memcpy(seid->type, tmp, 4);
#else
	memset(seid, 0, SMC_MAX_EID_LEN);
#endif
}

void smc_ism_get_system_eid(u8 **eid)
{
	if (!smc_ism_v2_capable)
		*eid = NULL;
	else
		*eid = smc_ism_v2_system_eid;
}

/* There is or was a V2 capable device and thus the System EID is defined */
bool smc_ism_is_v2_capable(void)
{
	return smc_ism_v2_capable;
}

/* A GID of SMC-D is two numbers, the second one is 0 if the fabric has GIDs of
 * 64 bits only.
 */
static uuid_t smcd_gid_to_uuid(const struct smcd_gid *gid)
{
	uuid_t uuid;

	put_unaligned_be64(gid->gid, &uuid.b[0]);
	put_unaligned_be64(gid->gid_ext, &uuid.b[8]);
	return uuid;
}

static struct smcd_gid smcd_gid_from_uuid(const uuid_t *uuid)
{
	return (struct smcd_gid) {
		.gid = get_unaligned_be64(&uuid->b[0]),
		.gid_ext = get_unaligned_be64(&uuid->b[8]),
	};
}

/******************************** devices ************************************/

struct smcd_dev *smcd_dev_get(struct smcd_dev *smcd)
{
	refcount_inc(&smcd->refcnt);
	return smcd;
}

void smcd_dev_put(struct smcd_dev *smcd)
{
	struct smc_ism_vlanid *vlan, *tmp;

	if (!smcd || !refcount_dec_and_test(&smcd->refcnt))
		return;
	list_for_each_entry_safe(vlan, tmp, &smcd->vlan, list)
		kfree(vlan);
	kvfree(rcu_access_pointer(smcd->conns));
	kfree_rcu(smcd, rcu); /* an SMC diag dump may look at it */
}

/* Name of a device in smcd_dev_list, or not yet in it */
const char *smc_ism_name(struct smcd_dev *smcd)
{
	return dev_name(&smcd->dibs->dev);
}

/* Devices go by their own name and by that of their parent, which for ISM is
 * the name of the PCI function.
 */
bool smc_ism_has_name(struct smcd_dev *smcd, const char *name)
{
	struct device *parent = smcd->dibs->dev.parent;

	return !strncmp(smc_ism_name(smcd), name, IB_DEVICE_NAME_MAX - 1) ||
	       (parent && !strncmp(dev_name(parent), name,
				   IB_DEVICE_NAME_MAX - 1));
}

/* Test if an ISM communication is possible - same fabric */
int smc_ism_cantalk(struct smcd_gid *peer_gid, unsigned short vlan_id,
		    struct smcd_dev *smcd)
{
	uuid_t rgid = smcd_gid_to_uuid(peer_gid);

	return dibs_query_remote_gid(smcd->dibs, &rgid, vlan_id ? 1 : 0,
				     vlan_id);
}

/* Register a VLAN identifier with the device. Use a reference count and add a
 * VLAN identifier only when the first DMB using this VLAN is registered.
 */
int smc_ism_get_vlan(struct smcd_dev *smcd, unsigned short vlanid)
{
	struct smc_ism_vlanid *new_vlan, *vlan;
	int rc = 0;

	if (!vlanid)			/* No valid vlan id */
		return -EINVAL;

	/* create new vlan entry, in case we need it */
	new_vlan = kzalloc(sizeof(*new_vlan), GFP_KERNEL);
	if (!new_vlan)
		return -ENOMEM;
	new_vlan->vlanid = vlanid;
	refcount_set(&new_vlan->refcnt, 1);

	spin_lock(&smcd->lock);
	if (!smcd->dibs) {
		rc = -ENODEV;
		goto out;
	}
	/* if there is an existing entry, increase count and return */
	list_for_each_entry(vlan, &smcd->vlan, list) {
		if (vlan->vlanid == vlanid) {
			refcount_inc(&vlan->refcnt);
			goto out;
		}
	}
	/* no existing entry found.
	 * add new entry to device; might fail, e.g., if HW limit reached
	 */
	rc = dibs_add_vlan_id(smcd->dibs, vlanid);
	if (rc)
		goto out;
	list_add_tail(&new_vlan->list, &smcd->vlan);
	new_vlan = NULL;
out:
	spin_unlock(&smcd->lock);
	kfree(new_vlan);
	return rc;
}

/* Unregister a VLAN identifier with the device. Use a reference count and
 * remove a VLAN identifier only when the last DMB using this VLAN is
 * unregistered.
 */
int smc_ism_put_vlan(struct smcd_dev *smcd, unsigned short vlanid)
{
	struct smc_ism_vlanid *vlan;
	int rc = -ENOENT;

	if (!vlanid)			/* No valid vlan id */
		return -EINVAL;

	spin_lock(&smcd->lock);
	list_for_each_entry(vlan, &smcd->vlan, list) {
		if (vlan->vlanid != vlanid)
			continue;
		rc = 0;
		if (!refcount_dec_and_test(&vlan->refcnt))
			break;
		/* Found and the last reference just gone */
		if (smcd->dibs && dibs_del_vlan_id(smcd->dibs, vlanid))
			rc = -EIO;
		list_del(&vlan->list);
		kfree(vlan);
		break;
	}
	spin_unlock(&smcd->lock);
	return rc;
}

/********************************** DMBs *************************************/

int smc_ism_register_dmb(struct smc_link_group *lgr, int dmb_len,
			 struct smc_buf_desc *dmb_desc)
{
	struct dibs_dmb dmb = {
		.dmb_len = dmb_len,
		.vlan_id = lgr->vlan_id,
		.rgid = smcd_gid_to_uuid(&lgr->peer_gid),
	};
	int rc;

	rc = dibs_register_dmb(lgr->smcd->dibs, &dmb, &smc_dibs_client);
	if (rc)
		return rc;
	dmb_desc->sba_idx = dmb.idx;
	dmb_desc->token = dmb.dmb_tok;
	dmb_desc->cpu_addr = dmb.cpu_addr;
	dmb_desc->dma_addr = dmb.dma_addr;
	dmb_desc->len = dmb.dmb_len;
	return 0;
}

/* Whatever the result is, the DMB belongs to the device again */
int smc_ism_unregister_dmb(struct smcd_dev *smcd, struct smc_buf_desc *dmb_desc)
{
	struct dibs_dmb dmb = {
		.dmb_tok = dmb_desc->token,
		.idx = dmb_desc->sba_idx,
		.cpu_addr = dmb_desc->cpu_addr,
		.dma_addr = dmb_desc->dma_addr,
		.dmb_len = dmb_desc->len,
	};

	if (!dmb_desc->cpu_addr)
		return 0;
	dmb_desc->cpu_addr = NULL;
	dmb_desc->dma_addr = 0;
	return dibs_unregister_dmb(smcd->dibs, &dmb, &smc_dibs_client);
}

/* The DMB of a connection that has just ended is given to the next one. Our
 * end of the old connection may not have let go of it yet, but is about to.
 */
#define SMCD_ATTACH_TRIES	10

int smc_ism_attach_dmb(struct smcd_dev *smcd, u64 token,
		       struct smc_buf_desc *dmb_desc)
{
	struct dibs_rdmb rdmb = { .dmb_tok = token };
	int tries = SMCD_ATTACH_TRIES;
	int rc;

	if (!smcd->can_attach)
		return -EOPNOTSUPP;

	rc = dibs_attach_dmb(smcd->dibs, &rdmb, &smc_dibs_client);
	while (rc == -EEXIST && --tries) {
		usleep_range(500, 1000);
		rc = dibs_attach_dmb(smcd->dibs, &rdmb, &smc_dibs_client);
	}
	if (rc)
		return rc;
	dmb_desc->token = token;
	dmb_desc->cpu_addr = rdmb.cpu_addr;
	dmb_desc->len = rdmb.dmb_len;
	return 0;
}

int smc_ism_detach_dmb(struct smcd_dev *smcd, u64 token)
{
	return dibs_detach_dmb(smcd->dibs, token, &smc_dibs_client);
}

/********************************* signals ***********************************/

/* The connections of a device by the index of their DMB. Each signal looks one
 * up. Devices give out low indices first, so the table is as large as the
 * largest one in use requires, not as what the device could have.
 */
struct smcd_conns {
	struct rcu_head rcu;
	unsigned int size;
	struct smc_connection *conn[] __counted_by(size);
};

#define SMCD_CONNS_MIN		64

static struct smcd_conns *smcd_conns_alloc(unsigned int size)
{
	struct smcd_conns *conns;

	conns = kvzalloc(struct_size(conns, conn, size), GFP_KERNEL);
	if (conns)
		conns->size = size;
	return conns;
}

static struct smcd_conns *smcd_conns(struct smcd_dev *smcd)
{
	return rcu_dereference_protected(smcd->conns,
					 lockdep_is_held(&smcd->conns_lock));
}

/* A table with room for @idx; NULL if there is no memory for it */
static struct smcd_conns *smcd_conns_grow(struct smcd_dev *smcd,
					  unsigned int idx)
{
	struct smcd_conns *old = smcd_conns(smcd);
	struct smcd_conns *new;
	unsigned int i;

	if (idx < old->size)
		return old;
	new = smcd_conns_alloc(roundup_pow_of_two(idx + 1));
	if (!new)
		return NULL;
	for (i = 0; i < old->size; i++)
		new->conn[i] = old->conn[i];
	rcu_assign_pointer(smcd->conns, new);
	kvfree_rcu(old, rcu);
	return new;
}

/* Set a connection using this DMBE. */
int smc_ism_set_conn(struct smc_connection *conn)
{
	struct smcd_dev *smcd = conn->lgr->smcd;
	unsigned int idx = conn->rmb_desc->sba_idx;
	struct smcd_conns *conns;

	mutex_lock(&smcd->conns_lock);
	conns = smcd_conns_grow(smcd, idx);
	if (conns)	/* with all that a handler looks at */
		smp_store_release(&conns->conn[idx], conn);
	mutex_unlock(&smcd->conns_lock);
	return conns ? 0 : -ENOMEM;
}

/* Unset a connection using this DMBE. No signal is being processed for it any
 * more on return.
 */
void smc_ism_unset_conn(struct smc_connection *conn)
{
	struct smcd_dev *smcd = conn->lgr->smcd;
	struct smcd_conns *conns;
	unsigned int idx;

	if (!conn->rmb_desc)
		return;

	idx = conn->rmb_desc->sba_idx;
	mutex_lock(&smcd->conns_lock);
	conns = smcd_conns(smcd);
	if (idx < conns->size && conns->conn[idx] == conn)
		WRITE_ONCE(conns->conn[idx], NULL);
	mutex_unlock(&smcd->conns_lock);
	dibs_sync_dmb(smcd->dibs, idx);
}

/* Runs in softirq context, never twice at a time for one DMB. A connection
 * that is found stays until this returns, see smc_ism_unset_conn().
 */
static void smcd_handle_irq(struct dibs_dev *dibs, unsigned int idx, u16 mask)
{
	struct smcd_dev *smcd = dibs_get_priv(dibs, &smc_dibs_client);
	struct smc_connection *conn = NULL;
	struct smcd_conns *conns;

	rcu_read_lock();
	conns = rcu_dereference(smcd->conns);
	if (likely(idx < conns->size))
		conn = READ_ONCE(conns->conn[idx]);
	if (conn)
		smcd_cdc_rx(conn);
	rcu_read_unlock();
}

/********************************* events ************************************/

#define SMCD_EVENT_REQUEST		0x0001
#define SMCD_EVENT_RESPONSE		0x0002
#define SMCD_EVENT_REQUEST_IR		0x00000001
#define SMCD_EVENT_CODE_SHUTDOWN	0x80
#define SMCD_EVENT_CODE_TESTLINK	0x83

union smcd_sw_event_info {
	u64	info;
	struct {
		u8		uid[SMC_LGR_ID_SIZE];
		unsigned short	vlan_id;
		u16		code;
	};
};

int smc_ism_signal_shutdown(struct smc_link_group *lgr)
{
	struct smcd_dev *smcd = lgr->smcd;
	union smcd_sw_event_info ev_info;
	uuid_t rgid;
	int rc;

	/* The event would end all link groups that we have with ourselves, not
	 * only this one. Each of their connections learns of the end of its
	 * other end anyway.
	 */
	if (lgr->peer_shutdown ||
	    !memcmp(&lgr->peer_gid, &smcd->gid, sizeof(smcd->gid)))
		return 0;

	memcpy(ev_info.uid, lgr->id, SMC_LGR_ID_SIZE);
	ev_info.vlan_id = lgr->vlan_id;
	ev_info.code = SMCD_EVENT_REQUEST;
	rgid = smcd_gid_to_uuid(&lgr->peer_gid);
	rc = dibs_signal_event(smcd->dibs, &rgid, SMCD_EVENT_REQUEST_IR,
			       SMCD_EVENT_CODE_SHUTDOWN, ev_info.info);
	return rc == -EOPNOTSUPP ? 0 : rc;
}

static void smcd_handle_sw_event(struct smcd_dev *smcd,
				 const struct dibs_event *event,
				 struct smcd_gid *peer_gid)
{
	union smcd_sw_event_info ev_info = { .info = event->data };

	switch (event->subtype) {
	case SMCD_EVENT_CODE_SHUTDOWN:	/* Peer shut down DMBs */
		smc_smcd_terminate(smcd, peer_gid, ev_info.vlan_id);
		break;
	case SMCD_EVENT_CODE_TESTLINK:	/* Activity timer */
		if (ev_info.code != SMCD_EVENT_REQUEST)
			break;
		ev_info.code = SMCD_EVENT_RESPONSE;
		dibs_signal_event(smcd->dibs, &event->gid,
				  SMCD_EVENT_REQUEST_IR,
				  SMCD_EVENT_CODE_TESTLINK, ev_info.info);
		break;
	default:			/* of another client */
		break;
	}
}

/* Events were lost: find out which peers are still there. The lock is not held
 * while a peer is asked for, so mark the link groups that were dealt with.
 */
static void smcd_check_peers(struct smcd_dev *smcd)
{
	struct smc_link_group *lgr;
	unsigned short vlan = 0;
	struct smcd_gid gid;
	bool found;

	smcd->check_seq++;
	do {
		found = false;
		spin_lock_bh(&smcd->lgr_lock);
		list_for_each_entry(lgr, &smcd->lgr_list, list) {
			if (lgr->check_seq == smcd->check_seq)
				continue;
			lgr->check_seq = smcd->check_seq;
			gid = lgr->peer_gid;
			/* what was asked for when it was set up */
			vlan = lgr->smc_version == SMC_V2 ?
			       ISM_RESERVED_VLANID : lgr->vlan_id;
			found = true;
			break;
		}
		spin_unlock_bh(&smcd->lgr_lock);
		if (found && smc_ism_cantalk(&gid, vlan, smcd) == -ENETUNREACH)
			smc_smcd_terminate(smcd, &gid, VLAN_VID_MASK);
	} while (found);
}

/* Runs in process context, never twice at a time for one device */
static void smcd_handle_event(struct dibs_dev *dibs,
			      const struct dibs_event *event)
{
	struct smcd_dev *smcd = dibs_get_priv(dibs, &smc_dibs_client);
	struct smcd_gid gid = smcd_gid_from_uuid(&event->gid);

	if (!smcd || smcd->going_away)
		return;

	switch (event->type) {
	case DIBS_DEV_EVENT:
		if (event->subtype != DIBS_DEV_DISABLED &&
		    event->subtype != DIBS_DEV_ERR_STATE)
			break;
		if (uuid_is_null(&event->gid))
			smcd_check_peers(smcd);
		else
			smc_smcd_terminate(smcd, &gid, VLAN_VID_MASK);
		break;
	case DIBS_BUF_EVENT:
		if (event->subtype == DIBS_BUF_UNREGISTERED)
			smc_smcd_abort_token(smcd, uuid_is_null(&event->gid) ?
					     NULL : &gid, event->buffer_tok);
		break;
	case DIBS_SW_EVENT:
		smcd_handle_sw_event(smcd, event, &gid);
		break;
	case DIBS_OTHER_EVENT:
		if (event->subtype == DIBS_EVENTS_LOST)
			smcd_check_peers(smcd);
		break;
	}
}

/******************************** netlink ************************************/

static int smc_nl_put_smcd_pci(struct smcd_dev *smcd, struct sk_buff *skb)
{
	struct device *parent = smcd->dibs->dev.parent;
	struct smc_pci_dev smc_pci_dev;

	memset(&smc_pci_dev, 0, sizeof(smc_pci_dev));
	if (parent && dev_is_pci(parent))
		smc_set_pci_values(to_pci_dev(parent), &smc_pci_dev);
	if (nla_put_u32(skb, SMC_NLA_DEV_PCI_FID, smc_pci_dev.pci_fid) ||
	    nla_put_u16(skb, SMC_NLA_DEV_PCI_CHID, smc_pci_dev.pci_pchid) ||
	    nla_put_u16(skb, SMC_NLA_DEV_PCI_VENDOR, smc_pci_dev.pci_vendor) ||
	    nla_put_u16(skb, SMC_NLA_DEV_PCI_DEVICE, smc_pci_dev.pci_device) ||
	    nla_put_string(skb, SMC_NLA_DEV_PCI_ID, smc_pci_dev.pci_id))
		return -EMSGSIZE;
	return 0;
}

static int smc_nl_put_smcd_port(struct smcd_dev *smcd, struct sk_buff *skb)
{
	char smc_pnet[SMC_MAX_PNETID_LEN + 1];
	struct nlattr *port_attrs;

	port_attrs = nla_nest_start(skb, SMC_NLA_DEV_PORT);
	if (!port_attrs)
		return -EMSGSIZE;
	memcpy(smc_pnet, smcd->pnetid, SMC_MAX_PNETID_LEN);
	smc_pnet[SMC_MAX_PNETID_LEN] = 0;
	if (nla_put_u8(skb, SMC_NLA_DEV_PORT_PNET_USR, smcd->pnetid_by_user) ||
	    nla_put_string(skb, SMC_NLA_DEV_PORT_PNETID, smc_pnet)) {
		nla_nest_cancel(skb, port_attrs);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, port_attrs);
	return 0;
}

static int smc_nl_handle_smcd_dev(struct smcd_dev *smcd,
				  struct sk_buff *skb,
				  struct netlink_callback *cb)
{
	int use_cnt = atomic_read(&smcd->lgr_cnt);
	struct nlattr *attrs;
	void *nlh;

	nlh = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &smc_gen_nl_family, NLM_F_MULTI,
			  SMC_NETLINK_GET_DEV_SMCD);
	if (!nlh)
		return -EMSGSIZE;
	attrs = nla_nest_start(skb, SMC_GEN_DEV_SMCD);
	if (!attrs)
		goto errout;
	if (nla_put_u32(skb, SMC_NLA_DEV_USE_CNT, use_cnt) ||
	    nla_put_u8(skb, SMC_NLA_DEV_IS_CRIT, use_cnt > 0) ||
	    smc_nl_put_smcd_pci(smcd, skb) ||
	    smc_nl_put_smcd_port(smcd, skb))
		goto errattr;

	nla_nest_end(skb, attrs);
	genlmsg_end(skb, nlh);
	return 0;

errattr:
	nla_nest_cancel(skb, attrs);
errout:
	genlmsg_cancel(skb, nlh);
	return -EMSGSIZE;
}

static void smc_nl_prep_smcd_dev(struct smcd_dev_list *dev_list,
				 struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	struct smc_nl_dmp_ctx *cb_ctx = smc_nl_dmp_ctx(cb);
	int snum = cb_ctx->pos[0];
	struct smcd_dev *smcd;
	int num = 0;

	mutex_lock(&dev_list->mutex);
	list_for_each_entry(smcd, &dev_list->list, list) {
		if (num < snum)
			goto next;
		if (smc_ism_is_loopback(smcd))
			goto next;
		if (smc_nl_handle_smcd_dev(smcd, skb, cb))
			goto errout;
next:
		num++;
	}
errout:
	mutex_unlock(&dev_list->mutex);
	cb_ctx->pos[0] = num;
}

int smcd_nl_get_device(struct sk_buff *skb, struct netlink_callback *cb)
{
	smc_nl_prep_smcd_dev(&smcd_dev_list, skb, cb);
	return skb->len;
}

/********************** devices that come and go *****************************/

static struct smcd_dev *smcd_alloc_dev(struct dibs_dev *dibs)
{
	struct smcd_conns *conns;
	struct smcd_dev *smcd;

	conns = smcd_conns_alloc(SMCD_CONNS_MIN);
	if (!conns)
		return NULL;
	smcd = kzalloc(sizeof(*smcd), GFP_KERNEL);
	if (!smcd) {
		kvfree(conns);
		return NULL;
	}

	smcd->dibs = dibs;
	smcd->gid = smcd_gid_from_uuid(&dibs->gid);
	smcd->chid = dibs_get_fabric_id(dibs);
	smcd->can_attach = dibs_support_mmapped_rdmb(dibs);
	smcd->dmb_len = dibs->dmb_len;
	refcount_set(&smcd->refcnt, 1);
	spin_lock_init(&smcd->lock);
	spin_lock_init(&smcd->lgr_lock);
	mutex_init(&smcd->conns_lock);
	RCU_INIT_POINTER(smcd->conns, conns);
	INIT_LIST_HEAD(&smcd->vlan);
	INIT_LIST_HEAD(&smcd->lgr_list);
	init_waitqueue_head(&smcd->lgrs_deleted);
	return smcd;
}

/* Fabrics without hardware have V2 only. Hardware has it if the reserved VLAN
 * can be added, which V2 connections need.
 */
static void smcd_check_v2(struct smcd_dev *smcd)
{
	if (smc_ism_is_emulated(smcd)) {
		smc_ism_v2_capable = true;
	} else if (!dibs_add_vlan_id(smcd->dibs, ISM_RESERVED_VLANID)) {
		smcd->has_v2_vlan = true;
		smc_ism_v2_capable = true;
	}
}

/* Sort list: loopback always at the very beginning, where the latest one is the
 * one that connections are offered; devices without pnetid before devices with
 * pnetid.
 */
static void smcd_list_add(struct smcd_dev *smcd)
{
	struct list_head *pos = &smcd_dev_list.list;
	struct smcd_dev *entry;

	mutex_lock(&smcd_dev_list.mutex);
	if (smc_ism_is_loopback(smcd)) {
		list_add(&smcd->list, pos);
	} else if (smcd->pnetid[0]) {
		list_add_tail(&smcd->list, pos);
	} else {
		list_for_each_entry(entry, &smcd_dev_list.list, list) {
			if (!smc_ism_is_loopback(entry))
				break;
			pos = &entry->list;
		}
		list_add(&smcd->list, pos);
	}
	mutex_unlock(&smcd_dev_list.mutex);
}

static int smcd_add_dev(struct dibs_dev *dibs)
{
	struct smcd_dev *smcd;

	smcd = smcd_alloc_dev(dibs);
	if (!smcd)
		return -ENOMEM;

	smcd_check_v2(smcd);
	if (!dibs->dev.parent ||
	    smc_pnetid_by_dev_port(dibs->dev.parent, 0, smcd->pnetid))
		smc_pnetid_by_table_smcd(smcd);
	dibs_set_priv(dibs, &smc_dibs_client, smcd);
	smcd_list_add(smcd);

	if (smc_ism_is_loopback(smcd) && !smcd->pnetid[0])
		pr_warn_ratelimited("smc: adding smcd device %s\n",
				    smc_ism_name(smcd));
	else
		pr_warn_ratelimited("smc: adding smcd device %s with pnetid %.16s%s\n",
				    smc_ism_name(smcd), smcd->pnetid,
				    smcd->pnetid_by_user ?
				    " (user defined)" : "");
	return 0;
}

static void smcd_del_dev(struct dibs_dev *dibs)
{
	struct smcd_dev *smcd = dibs_get_priv(dibs, &smc_dibs_client);

	pr_warn_ratelimited("smc: removing smcd device %s\n",
			    smc_ism_name(smcd));
	mutex_lock(&smcd_dev_list.mutex);
	list_del_init(&smcd->list);
	mutex_unlock(&smcd_dev_list.mutex);
	smc_smcd_terminate_all(smcd);
	if (smcd->has_v2_vlan)
		dibs_del_vlan_id(dibs, ISM_RESERVED_VLANID);
	dibs_set_priv(dibs, &smc_dibs_client, NULL);
	/* what still holds the smcd device may want to return a VLAN id */
	spin_lock(&smcd->lock);
	smcd->dibs = NULL;
	spin_unlock(&smcd->lock);
	smcd_dev_put(smcd);
}

static const struct dibs_client_ops smc_dibs_client_ops = {
	.add_dev = smcd_add_dev,
	.del_dev = smcd_del_dev,
	.handle_irq = smcd_handle_irq,
	.handle_event = smcd_handle_event,
};

static struct dibs_client smc_dibs_client = {
	.name = "SMC-D",
	.ops = &smc_dibs_client_ops,
	.flags = DIBS_CLIENT_THREADED_EVENT,
};

int smc_ism_init(void)
{
	smc_ism_v2_capable = false;
	smc_ism_create_system_eid();

	return dibs_register_client(&smc_dibs_client);
}

/* Runs at reboot and when the module is removed, which may come after it */
void smc_ism_exit(void)
{
	dibs_unregister_client(&smc_dibs_client);
}
